//! The seccomp filter that stops a process at the calls that are watched, and its way to the agent.
//!
//! A stopped call waits until the agent has read its arguments, and then goes on in the kernel as it
//! is (`SECCOMP_USER_NOTIF_FLAG_CONTINUE`, mainline 5.5). The filter is inherited by every process and
//! thread of the command. Calls that read and write single elements of maps are not stopped, because
//! tools make them all the time. A filter cannot tell the sockets of netlink from others, so it stops
//! calls that send and receive messages on any; the agent lets those go on at once.
#![expect(unsafe_code, reason = "seccomp(2), and a descriptor in a message")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use libbpf_sys as sys;
use libc::{sock_filter, sock_fprog};

use super::PERF_EVENT_IOC_SET_BPF;

#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const AUDIT_ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const AUDIT_ARCH: u32 = 0xc000_00f3;

/// The commands of bpf(2) that are stopped.
const COMMANDS: &[u32] = &[
    sys::BPF_MAP_CREATE,
    sys::BPF_PROG_LOAD,
    sys::BPF_PROG_ATTACH,
    sys::BPF_RAW_TRACEPOINT_OPEN,
    sys::BPF_MAP_FREEZE,
    sys::BPF_LINK_CREATE,
];

/// The size of `struct sockaddr_nl`.
const NETLINK_ADDRESS: u32 = 12;

/// Offsets in `struct seccomp_data`, of which an argument's lower half comes first.
const NR: u32 = 0;
const ARCH: u32 = 4;
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

/// The filter, made before the fork: the child must not allocate.
#[derive(Debug)]
pub struct Filter {
    code: Vec<sock_filter>,
    socket: UnixStream,
}

/// The agent's end.
#[derive(Debug)]
pub struct Receiver(UnixStream);

/// A filter, and the end at which its listener arrives.
pub(super) fn new() -> io::Result<(Filter, Receiver)> {
    let (ours, theirs) = UnixStream::pair()?;
    let filter = Filter {
        code: code(),
        socket: theirs,
    };
    Ok((filter, Receiver(ours)))
}

impl Filter {
    /// Puts the filter on this process and sends its listener to the agent, or the errno of the
    /// failure. It allocates nothing, and is called between fork and exec, as root.
    pub fn install(&self) {
        let program = sock_fprog {
            len: u16::try_from(self.code.len()).unwrap_or(0),
            filter: self.code.as_ptr().cast_mut(),
        };
        // SAFETY: the program outlives the call, which does not write to it.
        let listener = unsafe {
            libc::syscall(
                libc::SYS_seccomp,
                libc::SECCOMP_SET_MODE_FILTER,
                libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
                &raw const program,
            )
        };
        let listener = RawFd::try_from(listener).unwrap_or(-1);
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
        send(self.socket.as_raw_fd(), listener, errno);
    }
}

impl Receiver {
    /// The listener, once the command has started.
    pub fn receive(self) -> io::Result<OwnedFd> {
        receive(self.0.as_raw_fd())
    }
}

/// Room for one descriptor in a control message.
#[repr(C, align(8))]
struct Control([u8; 64]);

fn message(bytes: &mut [u8; 4], part: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    part.iov_base = bytes.as_mut_ptr().cast();
    part.iov_len = bytes.len();
    // SAFETY: zeroes are a valid header.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    header
}

fn empty() -> libc::iovec {
    libc::iovec {
        iov_base: std::ptr::null_mut(),
        iov_len: 0,
    }
}

/// Sends an errno, with the descriptor if there is one.
fn send(socket: RawFd, fd: RawFd, errno: i32) {
    const SIZE: u32 = 4;
    let mut bytes = if fd < 0 { errno } else { 0 }.to_ne_bytes();
    let (mut part, mut control) = (empty(), Control([0; 64]));
    let mut header = message(&mut bytes, &mut part, &mut control);
    if fd < 0 {
        header.msg_controllen = 0;
        header.msg_control = std::ptr::null_mut();
    } else {
        // SAFETY: the room is larger than one header and one descriptor, and aligned for both.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(SIZE) as _;
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(SIZE) as _;
            libc::CMSG_DATA(first).cast::<RawFd>().write_unaligned(fd);
        }
    }
    let mut one = libc::mmsghdr {
        msg_hdr: header,
        msg_len: 0,
    };
    // The filter is in force, and would stop sendmsg(2) with nobody there yet to let it go on.
    // SAFETY: the header and what it points to outlive the call. The agent misses what is not sent.
    unsafe { libc::sendmmsg(socket, &raw mut one, 1, libc::MSG_NOSIGNAL as _) };
}

fn receive(socket: RawFd) -> io::Result<OwnedFd> {
    let mut bytes = [0; 4];
    let (mut part, mut control) = (empty(), Control([0; 64]));
    let mut header = message(&mut bytes, &mut part, &mut control);
    let flags = libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    // SAFETY: the header and what it points to can be written to, and outlive the call.
    if unsafe { libc::recvmsg(socket, &raw mut header, flags) } != 4 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel filled the control message, of which the first header is looked at only if
    // there is one. The descriptor is ours alone.
    unsafe {
        let first = libc::CMSG_FIRSTHDR(&raw const header);
        if !first.is_null() && (*first).cmsg_type == libc::SCM_RIGHTS {
            let fd = libc::CMSG_DATA(first).cast::<RawFd>().read_unaligned();
            return Ok(OwnedFd::from_raw_fd(fd));
        }
    }
    Err(io::Error::from_raw_os_error(i32::from_ne_bytes(bytes)))
}

/// One instruction of the filter before its jumps are resolved.
enum Step {
    Load(u32),
    /// Falls through if equal, and else goes to the block of this number, of those that follow.
    Unless(u32, usize),
    /// Stops the call if equal.
    StopIf(u32),
    Stop,
    Allow,
    /// A block begins.
    Block(usize),
}

fn code() -> Vec<sock_filter> {
    let number = |n: libc::c_long| u32::try_from(n).unwrap_or(u32::MAX);
    let mut steps = vec![
        Step::Load(ARCH),
        Step::Unless(AUDIT_ARCH, 4),
        Step::Load(NR),
        Step::StopIf(number(libc::SYS_perf_event_open)),
        Step::StopIf(number(libc::SYS_sendmsg)),
        Step::StopIf(number(libc::SYS_recvmsg)),
        Step::StopIf(number(libc::SYS_recvfrom)),
        Step::Unless(number(libc::SYS_bpf), 1),
        Step::Load(argument(0)),
    ];
    steps.extend(COMMANDS.iter().map(|command| Step::StopIf(*command)));
    steps.extend([
        Step::Allow,
        Step::Block(1),
        Step::Unless(number(libc::SYS_ioctl), 2),
        Step::Load(argument(1)),
        Step::StopIf(PERF_EVENT_IOC_SET_BPF),
        Step::Allow,
        Step::Block(2),
        Step::Unless(number(libc::SYS_setsockopt), 3),
        Step::Load(argument(1)),
        Step::Unless(libc::SOL_SOCKET.cast_unsigned(), 4),
        Step::Load(argument(2)),
        Step::StopIf(libc::SO_ATTACH_BPF.cast_unsigned()),
        Step::Allow,
        Step::Block(3),
        Step::Unless(number(libc::SYS_sendto), 4),
        // The length of the address. Without one it is the kernel's, and else that of netlink.
        Step::Load(argument(5)),
        Step::StopIf(0),
        Step::StopIf(NETLINK_ADDRESS),
        Step::Block(4),
        Step::Allow,
        Step::Stop,
    ]);
    resolve(&steps)
}

fn resolve(steps: &[Step]) -> Vec<sock_filter> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    let blocks = |n: &usize| matches!(steps[*n], Step::Block(_));
    // Where each step is once the marks of the blocks are gone. The last one stops.
    let place = |step: usize| step - (0..step).filter(blocks).count();
    let block = |wanted: usize| {
        let found = (steps.iter()).position(|step| matches!(step, Step::Block(n) if *n == wanted));
        place(found.unwrap_or(steps.len() - 1))
    };
    let stop = place(steps.len() - 1);
    let away = |from: usize, to: usize| u8::try_from(to - from - 1).unwrap_or(u8::MAX);
    let plain = |code, k| sock_filter {
        code,
        jt: 0,
        jf: 0,
        k,
    };
    let mut code = Vec::new();
    for step in steps {
        let here = code.len();
        code.push(match *step {
            Step::Block(_) => continue,
            Step::Load(offset) => plain(LOAD, offset),
            Step::Unless(k, to) => sock_filter {
                jf: away(here, block(to)),
                ..plain(EQUAL, k)
            },
            Step::StopIf(k) => sock_filter {
                jt: away(here, stop),
                ..plain(EQUAL, k)
            },
            Step::Stop => plain(RETURN, libc::SECCOMP_RET_USER_NOTIF),
            Step::Allow => plain(RETURN, libc::SECCOMP_RET_ALLOW),
        });
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter answers to a call, as the kernel runs it.
    fn answer<const N: usize>(nr: libc::c_long, arguments: [u64; N]) -> u32 {
        let mut data = [0_u32; 16];
        data[0] = u32::try_from(nr).unwrap();
        data[1] = AUDIT_ARCH;
        for (n, argument) in arguments.iter().enumerate() {
            data[4 + 2 * n] = u32::try_from(argument & 0xffff_ffff).unwrap();
        }
        let (code, mut at, mut value) = (code(), 0, 0);
        loop {
            let step = code[at];
            at += 1;
            match step.code {
                0x20 => value = data[step.k as usize / 4],
                0x15 if value == step.k => at += usize::from(step.jt),
                0x15 => at += usize::from(step.jf),
                _ => return step.k,
            }
        }
    }

    #[test]
    fn only_calls_that_load_create_and_attach_are_stopped() {
        let (stop, allow) = (libc::SECCOMP_RET_USER_NOTIF, libc::SECCOMP_RET_ALLOW);
        for command in COMMANDS {
            assert_eq!(answer(libc::SYS_bpf, [u64::from(*command), 0, 0]), stop);
        }
        assert_eq!(answer(libc::SYS_bpf, [1, 0, 0]), allow);
        assert_eq!(answer(libc::SYS_perf_event_open, [0; 3]), stop);
        let set = u64::from(PERF_EVENT_IOC_SET_BPF);
        assert_eq!(answer(libc::SYS_ioctl, [3, set, 4]), stop);
        assert_eq!(answer(libc::SYS_ioctl, [3, 1, 4]), allow);
        let attach = u64::try_from(libc::SO_ATTACH_BPF).unwrap();
        let level = u64::try_from(libc::SOL_SOCKET).unwrap();
        assert_eq!(answer(libc::SYS_setsockopt, [3, level, attach]), stop);
        assert_eq!(answer(libc::SYS_setsockopt, [3, level, 7]), allow);
        assert_eq!(answer(libc::SYS_setsockopt, [3, 6, attach]), allow);
        assert_eq!(answer(libc::SYS_read, [0; 3]), allow);
        for (address, expected) in [(0, stop), (12, stop), (16, allow), (28, allow)] {
            let arguments = [3, 4096, 64, 0, 8192, address];
            assert_eq!(answer(libc::SYS_sendto, arguments), expected, "{address}");
        }
        for nr in [libc::SYS_sendmsg, libc::SYS_recvmsg, libc::SYS_recvfrom] {
            assert_eq!(answer(nr, [0; 6]), stop);
        }
        // The filter's own listener leaves the process through it.
        assert_eq!(answer(libc::SYS_sendmmsg, [0; 6]), allow);
    }

    #[test]
    fn a_descriptor_arrives_and_so_does_an_errno() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        send(theirs.as_raw_fd(), 1, 0);
        assert!(receive(ours.as_raw_fd()).is_ok());
        send(theirs.as_raw_fd(), -1, libc::EINVAL);
        let error = receive(ours.as_raw_fd()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}
