//! The connection to the host over a serial line: the UART beside the console.
//!
//! The output is an ordinary socket. A thread carries its bytes over the line, in the packets of
//! [`SerialLine`], so that packets are confirmed and sent again while the agent is busy, and so that
//! whoever waits for the host waits for a descriptor. It is a thread of the first process and no
//! process, because a command's end is that of every process but the first.
#![expect(unsafe_code, reason = "poll(2)")]

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::termios::{ControlModes, OptionalActions, speed, tcgetattr, tcsetattr};
use ukci_schema::serial_line::SerialLine;

/// Where the kernel lists its terminals.
const TERMINALS: &str = "/sys/class/tty";

/// The names of lines of the driver 8250, which drives every UART of this kind that QEMU has.
const NAME: &str = "ttyS";

/// How much is read at once.
const CHUNK: usize = 4096;

/// How many bytes the UART collects before it interrupts: the most that a 16550A can.
const TRIGGER: &str = "14";

/// How long to let more arrive once something has. An emulated guest would otherwise wait and read
/// anew for every few bytes.
const COLLECT: Duration = Duration::from_millis(1);

/// Opens the line, and carries what is sent through the socket that is returned.
pub(crate) fn dial() -> Result<UnixStream, String> {
    let device = device()?;
    let failed = |error: io::Error| format!("open {device}: {error}");
    let port = open(&device).map_err(failed)?;
    if let Some(name) = device.strip_prefix("/dev/") {
        // Without it the kernel's own trigger, 8, stays.
        let _ = fs::write(format!("{TERMINALS}/{name}/rx_trig_bytes"), TRIGGER);
    }
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    theirs.set_nonblocking(true).map_err(failed)?;
    let carry = move || {
        // The agent sees the end of its socket, and says so on the console.
        let _ = Pump::new(port, theirs).run();
    };
    let thread = thread::Builder::new()
        .name("serial-line".into())
        .spawn(carry);
    thread.map_err(failed)?;
    Ok(ours)
}

/// The line that is there and is not the console.
fn device() -> Result<String, String> {
    let active = fs::read_to_string(format!("{TERMINALS}/console/active")).unwrap_or_default();
    let consoles: Vec<&str> = active.split_ascii_whitespace().collect();
    let entries = fs::read_dir(TERMINALS).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(NAME) && !consoles.contains(&name.as_str()))
        .filter(|name| {
            // The driver has names for more lines than there are UARTs: their type is 0.
            let kind = fs::read_to_string(format!("{TERMINALS}/{name}/type"));
            kind.is_ok_and(|kind| !matches!(kind.trim(), "" | "0"))
        })
        .collect();
    names.sort();
    match names.first() {
        Some(name) => Ok(format!("/dev/{name}")),
        None => Err(format!(
            "no serial line in {TERMINALS} beside the console ({}) has a UART \
             (CONFIG_SERIAL_8250, and CONFIG_SERIAL_8250_PCI except on x86)",
            consoles.join(" ")
        )),
    }
}

/// The line with nothing between it and us: no echo, no signals, no translation, eight bits.
fn open(device: &str) -> io::Result<File> {
    // PID 1 leads no session, and must not get a terminal that controls it.
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    let port = File::options()
        .read(true)
        .write(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(device)?;
    let mut settings = tcgetattr(&port)?;
    settings.make_raw();
    // No modem has to carry, and the line is not hung up when it is closed.
    settings.control_modes |= ControlModes::CLOCAL | ControlModes::CREAD;
    settings.control_modes &= !ControlModes::HUPCL;
    // QEMU sends at once, but waits for four characters at this speed until it reports a few bytes
    // that arrived.
    settings.set_speed(speed::B115200)?;
    tcsetattr(&port, OptionalActions::Now, &settings)?;
    Ok(port)
}

/// What goes in both directions.
struct Pump {
    port: File,
    socket: UnixStream,
    line: SerialLine,
    /// What is to be written to the line.
    spoken: Vec<u8>,
}

impl Pump {
    fn new(port: File, socket: UnixStream) -> Self {
        Self {
            port,
            socket,
            line: SerialLine::default(),
            spoken: Vec::new(),
        }
    }

    /// Carries until the machine is off or an end breaks.
    fn run(mut self) -> io::Result<()> {
        let mut buffer = [0; CHUNK];
        loop {
            if self.spoken.is_empty() {
                self.spoken = self.line.speak(Instant::now());
            }
            self.wait()?;
            if let Some(length) = ready((&self.port).read(&mut buffer))? {
                self.line.hear(&buffer[..length], Instant::now());
                if self.line.inbox().is_empty() && length < CHUNK {
                    thread::sleep(COLLECT);
                }
            }
            if self.line.room() >= CHUNK
                && let Some(length) = ready((&self.socket).read(&mut buffer))?
            {
                self.line.queue(&buffer[..length]);
            }
            let (head, _) = self.line.inbox().as_slices();
            if !head.is_empty()
                && let Some(length) = ready((&self.socket).write(head))?
            {
                self.line.inbox().drain(..length);
            }
            if !self.spoken.is_empty()
                && let Some(length) = ready((&self.port).write(&self.spoken))?
            {
                self.spoken.drain(..length);
            }
        }
    }

    /// Waits until an end is ready for something that is to be done, or something has to be sent again.
    fn wait(&mut self) -> io::Result<()> {
        let when = |wanted: bool, events: libc::c_short| if wanted { events } else { 0 };
        let sends = !self.spoken.is_empty();
        let watched = |fd, events| libc::pollfd {
            fd,
            events,
            revents: 0,
        };
        let mut watched = [
            watched(
                self.port.as_raw_fd(),
                libc::POLLIN | when(sends, libc::POLLOUT),
            ),
            watched(
                self.socket.as_raw_fd(),
                when(self.line.room() >= CHUNK, libc::POLLIN)
                    | when(!self.line.inbox().is_empty(), libc::POLLOUT),
            ),
        ];
        let deadline = self.line.deadline().filter(|_| !sends);
        let patience = deadline.map_or(-1, |at| {
            // A moment more than the rest: poll(2) would end before the deadline and be called again.
            let rest = at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            libc::c_int::try_from(rest.as_millis()).unwrap_or(libc::c_int::MAX)
        });
        // SAFETY: the array outlives the call.
        let done = unsafe { libc::poll(watched.as_mut_ptr(), 2, patience) };
        match done {
            0.. => Ok(()),
            _ => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(()),
                error => Err(error),
            },
        }
    }
}

/// What was done, or none where the end was not ready. An end that is closed is an error.
fn ready(done: io::Result<usize>) -> io::Result<Option<usize>> {
    match done {
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(length) => Ok(Some(length)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
        Err(error) => Err(error),
    }
}
