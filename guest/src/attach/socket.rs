//! Attaches programs of sockets, socket maps, the network namespace and its packet filter. It uses
//! sockets that the agent creates.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use libbpf_sys as sys;

use super::netlink::LOOPBACK;
use super::stimulus::{Stimulus, exchange, raw_frame, sockets, tcp_pair};
use super::{Attached, Attachment, Attempt, NotAttached, calls};
use crate::bpf::{Errno, attach_type_name};

/// asm-generic/socket.h, which x86, arm64 and riscv use.
const SO_DETACH_BPF: i32 = 27;
const SO_ATTACH_BPF: i32 = 50;
const SO_ATTACH_REUSEPORT_EBPF: i32 = 52;
const SO_DETACH_REUSEPORT_BPF: i32 = 68;

fn datagram_socket() -> Result<UdpSocket, NotAttached> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
        .map_err(|error| NotAttached::NotAttempted(format!("no socket on the loopback: {error}")))
}

/// A datagram from a socket of its own to `to`.
fn send_to(to: &UdpSocket) {
    let Ok(place) = to.local_addr() else { return };
    if let Ok(from) = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)) {
        let _ = from.send_to(b"stimulus", place);
    }
}

/// A socket's own filter.
pub(super) fn filter<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment.network()?;
    let socket = datagram_socket()?;
    calls::set_option(&socket, libc::SOL_SOCKET, SO_ATTACH_BPF, attachment.fd)?;
    let other = socket
        .try_clone()
        .map_err(|e| e.raw_os_error().unwrap_or(0))?;
    let send = Stimulus::new("sends the socket a datagram", move || send_to(&other));
    Ok(Attached::without_link(
        "filter of a UDP socket",
        vec![send],
        move || calls::set_option(&socket, libc::SOL_SOCKET, SO_DETACH_BPF, 0),
    ))
}

/// The choice among sockets that share a port.
pub(super) fn reuseport<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment.network()?;
    // `SO_REUSEPORT` must be set before the socket is bound, which std does not let us.
    let socket = shared_socket()?;
    calls::set_option(
        &socket,
        libc::SOL_SOCKET,
        SO_ATTACH_REUSEPORT_EBPF,
        attachment.fd,
    )?;
    let other = socket
        .try_clone()
        .map_err(|e| e.raw_os_error().unwrap_or(0))?;
    let send = Stimulus::new("sends the port a datagram", move || send_to(&other));
    Ok(Attached::without_link(
        "UDP sockets that share a port",
        vec![send],
        move || calls::set_option(&socket, libc::SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0),
    ))
}

fn shared_socket() -> Result<UdpSocket, Errno> {
    use rustix::net::{AddressFamily, SocketAddrV4, SocketType, bind, socket, sockopt};
    let code = |error: rustix::io::Errno| error.raw_os_error();
    let new = socket(AddressFamily::INET, SocketType::DGRAM, None).map_err(code)?;
    sockopt::set_socket_reuseport(&new, true).map_err(code)?;
    bind(&new, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).map_err(code)?;
    Ok(new.into())
}

/// A hook of the network namespace: socket lookup or flow dissector.
pub(super) fn namespace<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    let netns = attachment.network()?;
    let link = calls::netns(attachment.program, netns)?;
    let hook = attach_type_name(attachment.program.attach_type()).unwrap_or_default();
    let dissects = attachment.program.kind() == sys::BPF_PROG_TYPE_FLOW_DISSECTOR;
    let stimulus = if dissects {
        Stimulus::new("sends a raw frame", || {
            let _ = calls::send_frame(LOOPBACK, &raw_frame());
        })
    } else {
        Stimulus::new("talks over the loopback", sockets)
    };
    Ok(Attached::by(
        link,
        format!("{hook} of a network namespace"),
        vec![stimulus],
    ))
}

/// The packet filter's hook for what is delivered here.
pub(super) fn netfilter<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment.network()?;
    let link = calls::netfilter(attachment.program).map_err(|errno| {
        NotAttached::Refused(errno, attachment.environment.blame("NETFILTER_BPF_LINK"))
    })?;
    let talk = Stimulus::new("talks over the loopback", sockets);
    Ok(Attached::by(link, "netfilter IPv4 LOCAL_IN", vec![talk]))
}

/// A map of sockets: the object's own, or one made for it.
struct SocketMap {
    fd: RawFd,
    key: usize,
    value: usize,
    _own: Option<OwnedFd>,
}

impl SocketMap {
    fn of(attachment: &Attachment<'_>) -> Result<Self, Errno> {
        let kinds = [sys::BPF_MAP_TYPE_SOCKMAP, sys::BPF_MAP_TYPE_SOCKHASH];
        let maps = attachment.object.maps();
        let theirs = maps.iter().filter(|map| kinds.contains(&map.kind()));
        for map in theirs {
            let (key, value, _, _) = map.shape();
            if let Some(fd) = map.fd() {
                return Ok(Self {
                    fd,
                    key: key as usize,
                    value: value as usize,
                    _own: None,
                });
            }
        }
        let own = calls::create_map(sys::BPF_MAP_TYPE_SOCKMAP, 4, 4)?;
        Ok(Self {
            fd: own.as_raw_fd(),
            key: 4,
            value: 4,
            _own: Some(own),
        })
    }

    /// Puts a socket into the first entry.
    fn put(&self, socket: RawFd) -> Result<(), Errno> {
        let mut value = vec![0; self.value.max(4)];
        value[..4].copy_from_slice(&socket.to_ne_bytes());
        calls::update_map(self.fd, &vec![0; self.key], &value)
    }
}

/// Verdicts and parsers of the sockets in a map.
pub(super) fn map<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    attachment.network()?;
    let map = SocketMap::of(attachment)?;
    // Plain `sk_skb` sections name no hook; a verdict is what loaders attach them as.
    let kind = match (attachment.program.kind(), attachment.program.attach_type()) {
        (sys::BPF_PROG_TYPE_SK_SKB, 0) => sys::BPF_SK_SKB_STREAM_VERDICT,
        (_, kind) => kind,
    };
    let map_fd = map.fd;
    calls::prog_attach(attachment.fd, map_fd, kind)?;
    // The kernel only asks a parser where there is a verdict too.
    let verdict = if kind == sys::BPF_SK_SKB_STREAM_PARSER {
        verdict_of(attachment)
    } else {
        None
    };
    let send = Stimulus::new("sends through a socket in the map", move || {
        let helped =
            verdict.map(|fd| calls::prog_attach(fd, map_fd, sys::BPF_SK_SKB_STREAM_VERDICT));
        if let Some((mut client, mut server)) = tcp_pair(Ipv4Addr::LOCALHOST.into()) {
            // A message verdict is asked where data is sent, the others where it arrives.
            let end = if kind == sys::BPF_SK_MSG_VERDICT {
                &client
            } else {
                &server
            };
            if map.put(end.as_raw_fd()).is_ok() {
                exchange(&mut client, &mut server);
            }
        }
        if let (Some(fd), Some(Ok(()))) = (verdict, helped) {
            let _ = calls::prog_detach(fd, map_fd, sys::BPF_SK_SKB_STREAM_VERDICT);
        }
    });
    let stimuli = match (kind, verdict) {
        (sys::BPF_SK_SKB_STREAM_PARSER, None) => Vec::new(),
        _ => vec![send],
    };
    let hook = attach_type_name(kind).unwrap_or_default();
    Ok(Attached::without_link(
        format!("{hook} of a socket map"),
        stimuli,
        move || calls::prog_detach(attachment.fd, map_fd, kind),
    ))
}

/// The object's own stream verdict.
fn verdict_of(attachment: &Attachment<'_>) -> Option<RawFd> {
    let programs = attachment.object.programs();
    let verdict = programs.iter().find(|program| {
        program.kind() == sys::BPF_PROG_TYPE_SK_SKB
            && program.attach_type() == sys::BPF_SK_SKB_STREAM_VERDICT
    })?;
    verdict.fd()
}
