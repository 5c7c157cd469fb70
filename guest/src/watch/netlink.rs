//! Programs that a process attaches through rtnetlink: XDP programs and classifiers of tc.
//!
//! The kernel carries such a request out while it is sent, and puts its answer into the socket. The
//! agent reads the request before it is sent, and looks at the answer without taking it
//! (`MSG_PEEK`). A process is stopped when it is about to read an answer, so that the agent sees it
//! first.
#![expect(
    unsafe_code,
    reason = "a message of a socket is looked at, and an ioctl"
)]

use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::net::{AddressFamily, sockopt};

use super::attributes::u32_at;
use super::stopped::{Process, Stopped};

/// Longest request that is read.
const MOST: usize = 64 * 1024;
/// Length of `struct nlmsghdr`.
const HEADER: usize = 16;

const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_SETLINK: u16 = 19;
const RTM_NEWTFILTER: u16 = 44;
const NLM_F_ACK: u16 = 4;

const IFLA_IFNAME: u16 = 3;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_FD: u16 = 6;
/// `TC_H_INGRESS`, and the classes of clsact for both directions.
const INGRESS: [u32; 2] = [0xffff_0000, 0xffff_fff2];
const EGRESS: u32 = 0xffff_fff3;

/// A request to attach a program.
#[derive(Debug)]
pub(super) struct Request {
    /// As a section names it: `xdp` or `tc`.
    pub(super) kind: &'static str,
    /// To what: `eth0`, `eth0 ingress`.
    pub(super) place: String,
    /// The descriptor of the program in its process.
    pub(super) program: RawFd,
    /// A duplicate of the socket, into which the answer comes.
    socket: OwnedFd,
    sequence: u32,
    /// Whether the kernel also answers where nothing is wrong.
    is_acknowledged: bool,
}

impl Request {
    /// The request of a call that is about to send something, if it is one.
    pub(super) fn of(stopped: &Stopped, process: &mut Option<Process>) -> Option<Self> {
        let start = Sent::of(stopped)?;
        let peeked = start.read(stopped.thread, HEADER);
        if !matches!(kind(&peeked)?, RTM_NEWLINK | RTM_SETLINK | RTM_NEWTFILTER) {
            return None;
        }
        let bytes = start.read(stopped.thread, MOST);
        let Asked {
            kind,
            program,
            index,
            name,
            direction,
            sequence,
            flags,
        } = messages(&bytes).find_map(asked)?;
        let process = process.insert(Process::of(stopped.thread));
        let fd = u32::try_from(stopped.args[0] & 0xffff_ffff)
            .ok()?
            .cast_signed();
        let socket = process.duplicate(fd)?;
        // NETLINK_ROUTE is protocol 0, which the crate calls none.
        let is_route = sockopt::socket_domain(&socket) == Ok(AddressFamily::NETLINK)
            && sockopt::socket_protocol(&socket) == Ok(None);
        let interface = (index != 0)
            .then(|| interface(&socket, index))
            .flatten()
            .or(name)
            .unwrap_or_else(|| format!("interface {index}"));
        is_route.then(|| Self {
            kind,
            place: format!("{interface}{direction}"),
            program,
            socket,
            sequence,
            is_acknowledged: flags & NLM_F_ACK != 0,
        })
    }

    /// The errno of the answer, 0 if there is none; nothing if the answer is gone.
    pub(super) fn errno(&self) -> Option<i32> {
        let mut bytes = vec![0_u8; MOST];
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        // SAFETY: at most as many bytes are written as there are.
        let read = unsafe {
            libc::recv(
                self.socket.as_raw_fd(),
                bytes.as_mut_ptr().cast(),
                bytes.len(),
                flags,
            )
        };
        bytes.truncate(usize::try_from(read).unwrap_or(0));
        answer(&bytes, self.sequence).or((!self.is_acknowledged).then_some(0))
    }
}

/// What a call sends, in the memory of its process.
struct Sent {
    parts: Vec<(u64, usize)>,
}

impl Sent {
    fn of(stopped: &Stopped) -> Option<Self> {
        let number = |bytes: &[u8], at: usize| {
            let bytes = bytes.get(at..at + 8)?.try_into().ok()?;
            Some(u64::from_ne_bytes(bytes))
        };
        let size = |length: u64| usize::try_from(length).unwrap_or(MOST).min(MOST);
        if stopped.nr == libc::SYS_sendto {
            let [_, start, length, ..] = stopped.args;
            let parts = vec![(start, size(length))];
            return Some(Self { parts });
        }
        // `struct msghdr` and its `struct iovec`s.
        let header = Process::memory(stopped.thread, stopped.args[1], 32);
        let (vectors, count) = (number(&header, 16)?, size(number(&header, 24)?).min(16));
        let vectors = Process::memory(stopped.thread, vectors, 16 * count);
        let part = |vector: &[u8]| Some((number(vector, 0)?, size(number(vector, 8)?)));
        let parts = vectors.chunks_exact(16).map(part).collect::<Option<_>>()?;
        Some(Self { parts })
    }

    /// Its first bytes, no more than these.
    fn read(&self, thread: i32, most: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (start, length) in &self.parts {
            let length = (*length).min(most - bytes.len());
            bytes.extend(Process::memory(thread, *start, length));
        }
        bytes
    }
}

/// What a request says.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    kind: &'static str,
    program: RawFd,
    index: u32,
    name: Option<String>,
    direction: String,
    sequence: u32,
    flags: u16,
}

/// The attachment that a message asks for. A descriptor below zero detaches.
fn asked(message: &[u8]) -> Option<Asked> {
    let text = |value: &[u8]| {
        let end = value.iter().position(|byte| *byte == 0);
        String::from_utf8_lossy(&value[..end.unwrap_or(value.len())]).into_owned()
    };
    let (asked, program, direction, name) = match kind(message)? {
        RTM_NEWLINK | RTM_SETLINK => {
            let attributes = message.get(HEADER + 16..)?;
            let program = find(find(attributes, IFLA_XDP)?, IFLA_XDP_FD)?;
            let name = find(attributes, IFLA_IFNAME).map(text);
            ("xdp", program, String::new(), name)
        }
        RTM_NEWTFILTER => {
            let attributes = message.get(HEADER + 20..)?;
            let is_bpf = find(attributes, TCA_KIND).map(text)? == "bpf";
            let program = find(find(attributes, TCA_OPTIONS)?, TCA_BPF_FD).filter(|_| is_bpf)?;
            let direction = match u32_at(message, HEADER + 12) {
                parent if INGRESS.contains(&parent) => " ingress".to_owned(),
                EGRESS => " egress".to_owned(),
                parent => format!(" {:x}:{:x}", parent >> 16, parent & 0xffff),
            };
            ("tc", program, direction, None)
        }
        _ => return None,
    };
    let program = u32_at(program, 0).cast_signed();
    (program >= 0).then(|| Asked {
        kind: asked,
        program,
        // The index stands at the same place in `struct ifinfomsg` and `struct tcmsg`.
        index: u32_at(message, HEADER + 4),
        name,
        direction,
        sequence: u32_at(message, 8),
        flags: u16_at(message, 6).unwrap_or(0),
    })
}

/// The errno that the kernel answers to a request, 0 for success.
fn answer(bytes: &[u8], sequence: u32) -> Option<i32> {
    let answer = messages(bytes).find(|message| u32_at(message, 8) == sequence)?;
    Some(match kind(answer) {
        Some(NLMSG_ERROR) => -u32_at(answer, HEADER).cast_signed(),
        // What was made, which comes before the acknowledgement if it was asked for (NLM_F_ECHO).
        _ => 0,
    })
}

/// The messages of a datagram, each with its header.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(bytes, 0)).unwrap_or(0);
        if length < HEADER {
            return None;
        }
        let message = bytes.get(..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The type of a message.
fn kind(message: &[u8]) -> Option<u16> {
    u16_at(message, 4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_ne_bytes(bytes))
}

/// The value of the first attribute of this type. Two bits beside the type say how it is coded.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        if u16_at(attributes, 2)? & 0x3fff == wanted {
            return attributes.get(4..length);
        }
        if length < 4 {
            return None;
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

/// The name of an interface in the network namespace of a socket.
fn interface(socket: &OwnedFd, index: u32) -> Option<String> {
    // SAFETY: the structure is a plain C one, which the kernel fills and which outlives the call.
    let name = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_ifru.ifru_ifindex = index.cast_signed();
        let fd = socket.as_raw_fd();
        if libc::ioctl(fd, libc::SIOCGIFNAME, &raw mut request) < 0 {
            return None;
        }
        request.ifr_name
    };
    let bytes = name.map(|c| u8::from_ne_bytes(c.to_ne_bytes()));
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Asked, NLMSG_ERROR, RTM_NEWTFILTER, answer, asked, messages};

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(4 + value.len()).unwrap();
        let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, body: &[u8], attributes: &[u8]) -> Vec<u8> {
        let length = u32::try_from(16 + body.len() + attributes.len()).unwrap();
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend([kind.to_ne_bytes(), 5_u16.to_ne_bytes()].concat());
        bytes.extend([7_u32.to_ne_bytes(), [0; 4]].concat());
        bytes.extend(body);
        bytes.extend(attributes);
        bytes
    }

    #[test]
    fn requests_to_attach_are_read() {
        let mut link = [0; 16];
        link[4] = 3;
        let fd = attribute(1, &9_i32.to_ne_bytes());
        // NLA_F_NESTED, and another attribute first.
        let nested = [attribute(2, &[0]), fd].concat();
        let xdp = attribute(0x802b, &nested);
        let bytes = message(19, &link, &[attribute(3, b"lo\0"), xdp].concat());
        let expected = Asked {
            kind: "xdp",
            program: 9,
            index: 3,
            name: Some("lo".into()),
            direction: String::new(),
            sequence: 7,
            flags: 5,
        };
        assert_eq!(asked(&bytes), Some(expected));
        let off = attribute(43, &attribute(1, &(-1_i32).to_ne_bytes()));
        assert_eq!(asked(&message(19, &link, &off)), None);

        let mut filter = [0; 20];
        filter[4] = 1;
        filter[12..16].copy_from_slice(&0xffff_fff3_u32.to_ne_bytes());
        let options = attribute(2, &attribute(6, &4_i32.to_ne_bytes()));
        let of = |kind: &[u8]| {
            let bytes = message(44, &filter, &[attribute(1, kind), options.clone()].concat());
            asked(&bytes)
        };
        let found = of(b"bpf\0").unwrap();
        assert_eq!((found.kind, found.program), ("tc", 4));
        assert_eq!((found.index, &*found.direction), (1, " egress"));
        assert_eq!(of(b"flower\0"), None);
    }

    #[test]
    fn answers_are_errors_or_what_was_made() {
        let mut other = message(RTM_NEWTFILTER, &[0; 20], &[]);
        other[8] = 6;
        let errno = |errno: i32| message(NLMSG_ERROR, &errno.to_ne_bytes(), &[]);
        assert_eq!(answer(&[other.clone(), errno(-16)].concat(), 7), Some(16));
        assert_eq!(answer(&errno(0), 7), Some(0));
        assert_eq!(answer(&message(RTM_NEWTFILTER, &[0; 20], &[]), 7), Some(0));
        assert_eq!(answer(&other, 7), None);
    }

    #[test]
    fn messages_that_are_cut_off_are_none() {
        let one = message(19, &[0; 16], &[]);
        let two = [one.clone(), one.clone()].concat();
        assert_eq!(messages(&two).count(), 2);
        assert_eq!(messages(&two[..two.len() - 1]).count(), 1);
        assert_eq!(messages(&[0; 64]).count(), 0);
        assert_eq!(asked(&one[..20]), None);
        assert_eq!(asked(&message(44, &[0; 20], &[3, 0, 1, 0])), None);
    }
}
