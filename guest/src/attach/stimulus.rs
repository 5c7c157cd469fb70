//! Triggers the events that make an attached program run, if that is cheap.
//!
//! Nothing here may hang. The program may drop every packet and refuse every call, so every wait is
//! short and every error is ignored.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::calls;

/// The longest that any one step waits for a packet.
const PATIENCE: Duration = Duration::from_millis(30);

/// Something that is done while a program is attached.
pub(super) struct Stimulus<'a> {
    /// In the words of a report: "sends a datagram".
    pub(super) what: &'static str,
    pub(super) act: Box<dyn FnMut() + 'a>,
}

impl<'a> Stimulus<'a> {
    pub(super) fn new(what: &'static str, act: impl FnMut() + 'a) -> Self {
        Self {
            what,
            act: Box::new(act),
        }
    }
}

/// System calls: first those that are answered at once, then those that need a file or time. Most
/// watchers run on the first, and an emulated guest takes long for the rest.
pub(super) fn system_calls<'a>() -> [Stimulus<'a>; 2] {
    let what = "makes system calls";
    [Stimulus::new(what, questions), Stimulus::new(what, files)]
}

/// Some questions about the process and the system.
fn questions() {
    let _ = rustix::process::getpid();
    let _ = rustix::process::getppid();
    let _ = rustix::process::getuid();
    let _ = rustix::process::getpgid(None);
    let _ = rustix::process::test_kill_process(rustix::process::getpid());
    let _ = rustix::process::getcwd(Vec::new());
    let _ = rustix::system::uname();
    let _ = rustix::rand::getrandom(&mut [0_u8; 8][..], rustix::rand::GetRandomFlags::empty());
    let _ = File::open("/dev/null").and_then(|mut null| null.read(&mut [0; 8]));
}

/// Files made, written, read, renamed, linked and removed; a pipe, memory, a moment of sleep.
fn files() {
    let dir = std::env::temp_dir().join(format!("ukci-stimulus-{}", std::process::id()));
    let _ = fs::create_dir(&dir);
    let [one, two, three] = ["one", "two", "three"].map(|name| dir.join(name));
    if let Ok(mut file) = File::create(&one) {
        let _ = file.write_all(b"stimulus");
        let _ = file.sync_all();
        let _ = file.set_len(4);
        let _ = file.set_modified(std::time::SystemTime::now());
    }
    let _ = fs::read(&one);
    let _ = fs::metadata(&one);
    let _ = fs::set_permissions(&one, fs::Permissions::from_mode(0o600));
    let _ = fs::hard_link(&one, &two);
    let _ = symlink(&one, &three);
    let _ = fs::read_link(&three);
    let _ = fs::rename(&two, dir.join("four"));
    let _ = fs::read_dir(&dir).map(Iterator::count);
    let _ = fs::remove_dir_all(&dir);
    if let Ok((mut reader, mut writer)) = std::io::pipe() {
        let _ = writer.write_all(b"x");
        let _ = reader.read(&mut [0; 1]);
    }
    // Large enough for a mapping of its own.
    drop(std::hint::black_box(vec![1_u8; 1 << 20]));
    std::thread::sleep(Duration::from_millis(1));
}

/// This program run once more; it does not know the argument and ends.
pub(super) fn run_a_program() {
    let _ = Command::new("/proc/self/exe")
        .arg("--stimulus")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Keeps the processor busy for a while.
pub(super) fn burn() {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        std::hint::black_box(start);
    }
}

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

/// Datagrams and a stream over the loopback, with IPv4 and IPv6, and over Unix sockets.
pub(super) fn sockets() {
    for address in [V4, V6] {
        datagram(address);
        stream(address);
    }
    unix();
}

/// One datagram from an unconnected socket and one from a connected socket.
pub(super) fn datagram(address: IpAddr) {
    let (Ok(to), Ok(from)) = (UdpSocket::bind((address, 0)), UdpSocket::bind((address, 0))) else {
        return;
    };
    let _ = to.set_read_timeout(Some(PATIENCE));
    let _ = from.set_ttl(32);
    let _ = from.ttl();
    let Ok(place) = to.local_addr() else { return };
    let _ = from.send_to(b"stimulus", place);
    let _ = to.recv_from(&mut [0; 16]);
    let _ = from.connect(place);
    let _ = from.peer_addr();
    let _ = from.send(b"stimulus");
    let _ = to.recv_from(&mut [0; 16]);
}

/// Two ends of a TCP connection over the loopback.
pub(super) fn tcp_pair(address: IpAddr) -> Option<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((address, 0)).ok()?;
    listener.set_nonblocking(true).ok()?;
    let client = TcpStream::connect_timeout(&listener.local_addr().ok()?, PATIENCE).ok()?;
    // The handshake is over, so the connection waits to be accepted.
    let (server, _) = listener.accept().ok()?;
    server.set_nonblocking(false).ok()?;
    for end in [&client, &server] {
        end.set_read_timeout(Some(PATIENCE)).ok()?;
        end.set_write_timeout(Some(PATIENCE)).ok()?;
    }
    Some((client, server))
}

/// A word there and back.
pub(super) fn exchange(client: &mut TcpStream, server: &mut TcpStream) {
    let _ = client.write_all(b"stimulus");
    let _ = server.read(&mut [0; 16]);
    let _ = server.write_all(b"stimulus");
    let _ = client.read(&mut [0; 16]);
}

fn stream(address: IpAddr) {
    if let Some((mut client, mut server)) = tcp_pair(address) {
        let _ = client.set_nodelay(true);
        let _ = client.peer_addr();
        exchange(&mut client, &mut server);
    }
}

/// A TCP connection under a congestion control of this name.
pub(super) fn stream_with(congestion: &str) {
    if let Some((mut client, mut server)) = tcp_pair(V4) {
        let _ = calls::set_congestion(&client, congestion);
        let _ = calls::set_congestion(&server, congestion);
        exchange(&mut client, &mut server);
    }
}

fn unix() {
    let dir = std::env::temp_dir();
    let [at, from, listening] = ["at", "from", "listening"]
        .map(|name| dir.join(format!("ukci-{name}-{}", std::process::id())));
    if let (Ok(to), Ok(socket)) = (UnixDatagram::bind(&at), UnixDatagram::bind(&from)) {
        let _ = to.set_read_timeout(Some(PATIENCE));
        let _ = socket.send_to(b"stimulus", &at);
        let _ = to.recv_from(&mut [0; 16]);
        let _ = socket.connect(&at);
        let _ = socket.peer_addr();
        let _ = socket.local_addr();
    }
    if let Ok(listener) = UnixListener::bind(&listening) {
        let _ = listener.set_nonblocking(true);
        if let Ok(stream) = UnixStream::connect(&listening) {
            let _ = stream.peer_addr();
            let _ = stream.local_addr();
        }
        let _ = listener.accept();
    }
    for path in [at, from, listening] {
        let _ = fs::remove_file(path);
    }
}

/// What cgroup programs see: sockets, their options, devices, settings.
pub(super) fn a_members_life() {
    sockets();
    let _ = File::open("/dev/null");
    let _ = fs::read("/proc/sys/kernel/ostype");
    if let Ok(socket) = UdpSocket::bind((V4, 0)) {
        let _ = socket.set_broadcast(true);
        let _ = socket.broadcast();
    }
}

/// One datagram to an address that a route leads to.
pub(super) fn datagram_to(address: [u8; 4]) {
    if let Ok(socket) = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)) {
        let _ = socket.set_write_timeout(Some(PATIENCE));
        let _ = socket.send_to(b"stimulus", SocketAddr::from((address, 9)));
    }
}

/// An Ethernet frame with an empty TCP segment in it, which the kernel dissects when it is sent
/// as a raw frame.
pub(super) fn raw_frame() -> Vec<u8> {
    let mut frame = vec![0; 12];
    frame.extend_from_slice(&[0x08, 0x00]);
    // IPv4: 20 bytes of header, 40 in all, TTL 64, TCP, from 127.0.0.1 to 127.0.0.1.
    frame.extend_from_slice(&[
        0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1,
    ]);
    // TCP: port 9 to port 9, 20 bytes of header.
    frame.extend_from_slice(&[
        0, 9, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0,
    ]);
    frame
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    /// They run as any user, here without any program attached.
    #[test]
    fn stimuli_end_soon_and_leave_nothing() {
        let start = Instant::now();
        for stimulus in &mut super::system_calls() {
            (stimulus.act)();
        }
        super::a_members_life();
        super::burn();
        assert!(start.elapsed() < Duration::from_secs(20));
        let left = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
        let ours = format!("{}", std::process::id());
        let names = left.map(|entry| entry.file_name().into_string().unwrap());
        let ours: Vec<_> = names
            .filter(|n| n.starts_with("ukci-stimulus-") && n.ends_with(&ours))
            .collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}
