//! Safe wrappers for the libbpf functions and system calls that attach programs.
//!
//! They take programs, descriptors and names, and return a link or an errno. All unsafe code for
//! attaching is in this module and below. Nothing here decides where a program is attached.
#![expect(
    unsafe_code,
    reason = "libbpf is a C library, and some socket options have no safe face"
)]

mod links;
mod user;

use std::ffi::{CString, c_int, c_void};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libbpf_sys as sys;

use crate::bpf::{Errno, check, errno};

pub(super) use links::*;
pub(super) use user::*;

/// `BPF_PROG_ATTACH`, for hooks that have no link.
pub(super) fn prog_attach(program: RawFd, target: RawFd, kind: u32) -> Result<(), Errno> {
    // SAFETY: numbers only.
    check(unsafe { sys::bpf_prog_attach(program, target, kind, 0) })
}

/// `BPF_PROG_DETACH`.
pub(super) fn prog_detach(program: RawFd, target: RawFd, kind: u32) -> Result<(), Errno> {
    // SAFETY: numbers only.
    check(unsafe { sys::bpf_prog_detach2(program, target, kind) })
}

/// A map of one entry.
pub(super) fn create_map(kind: u32, key: u32, value: u32) -> Result<OwnedFd, Errno> {
    // SAFETY: no name, no options; the descriptor is ours alone.
    unsafe {
        let fd = sys::bpf_map_create(kind, ptr::null(), key, value, 1, ptr::null());
        check(fd)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Sets the value of a key; both must be as long as the map says.
pub(super) fn update_map(map: RawFd, key: &[u8], value: &[u8]) -> Result<(), Errno> {
    // SAFETY: the caller's slices are as long as the map's key and value.
    check(unsafe { sys::bpf_map_update_elem(map, key.as_ptr().cast(), value.as_ptr().cast(), 0) })
}

/// Reads the value of a key into `value`; both must be as long as the map says.
pub(super) fn look_up(map: RawFd, key: &[u8], value: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: as above.
    check(unsafe { sys::bpf_map_lookup_elem(map, key.as_ptr().cast(), value.as_mut_ptr().cast()) })
}

/// `BPF_PROG_TEST_RUN` with a context and no data. Returns what the program returned.
pub(super) fn test_run(program: RawFd, context: &mut [u8]) -> Result<u32, Errno> {
    let length = u32::try_from(context.len()).map_err(|_| libc::EOVERFLOW)?;
    let mut opts = sys::bpf_test_run_opts {
        sz: size_of::<sys::bpf_test_run_opts>() as sys::size_t,
        ctx_in: context.as_mut_ptr().cast::<c_void>(),
        ctx_size_in: length,
        ..Default::default()
    };
    // SAFETY: the kernel reads and writes at most `length` bytes of the context.
    check(unsafe { sys::bpf_prog_test_run_opts(program, &raw mut opts) })?;
    Ok(opts.retval)
}

/// While it lives, the kernel counts how often each program runs. From 5.8 on.
#[derive(Debug)]
pub(super) struct Counting(#[expect(dead_code, reason = "held, never read")] OwnedFd);

impl Counting {
    pub(super) fn start() -> Option<Self> {
        // SAFETY: a number; the descriptor is ours alone.
        unsafe {
            let fd = sys::bpf_enable_stats(sys::BPF_STATS_RUN_TIME);
            (fd >= 0).then(|| Self(OwnedFd::from_raw_fd(fd)))
        }
    }
}

/// A side of the `clsact` qdisc of a device.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clsact {
    pub(super) device: c_int,
    /// `BPF_TC_INGRESS` or `BPF_TC_EGRESS`.
    pub(super) side: u32,
    /// From 1. Filters of different programs have different ones, so that they can be there together.
    pub(super) priority: u32,
}

impl Clsact {
    fn hook(self, point: u32) -> sys::bpf_tc_hook {
        sys::bpf_tc_hook {
            sz: size_of::<sys::bpf_tc_hook>() as sys::size_t,
            ifindex: self.device,
            attach_point: point,
            ..Default::default()
        }
    }

    fn opts(self) -> sys::bpf_tc_opts {
        sys::bpf_tc_opts {
            sz: size_of::<sys::bpf_tc_opts>() as sys::size_t,
            handle: 1,
            priority: self.priority,
            ..Default::default()
        }
    }

    /// Makes the qdisc and attaches a filter to it.
    pub(super) fn attach(self, program: RawFd) -> Result<(), Errno> {
        let mut hook = self.hook(self.side);
        let mut opts = self.opts();
        opts.prog_fd = program;
        // SAFETY: hook and options outlive the calls.
        unsafe {
            match check(sys::bpf_tc_hook_create(&raw mut hook)) {
                Err(libc::EEXIST) | Ok(()) => {}
                other => return other,
            }
            check(sys::bpf_tc_attach(&raw const hook, &raw mut opts))
        }
    }

    /// The id of the program that the filter has.
    pub(super) fn program_id(self) -> Result<u32, Errno> {
        let hook = self.hook(self.side);
        let mut opts = self.opts();
        // SAFETY: as above.
        check(unsafe { sys::bpf_tc_query(&raw const hook, &raw mut opts) })?;
        Ok(opts.prog_id)
    }

    /// Takes the filter away, and the qdisc with it.
    pub(super) fn detach(self) -> Result<(), Errno> {
        let opts = self.opts();
        let hook = self.hook(self.side);
        let mut both = self.hook(sys::BPF_TC_INGRESS | sys::BPF_TC_EGRESS);
        // SAFETY: as above.
        unsafe {
            let detached = check(sys::bpf_tc_detach(&raw const hook, &raw const opts));
            detached.and(check(sys::bpf_tc_hook_destroy(&raw mut both)))
        }
    }
}

/// Sets an option of a socket to a number.
pub(super) fn set_option(
    socket: impl AsFd,
    level: c_int,
    option: c_int,
    value: c_int,
) -> Result<(), Errno> {
    let length = libc::socklen_t::try_from(size_of::<c_int>()).unwrap_or(4);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `length` bytes of `value`.
    let result = unsafe { libc::setsockopt(fd, level, option, (&raw const value).cast(), length) };
    if result < 0 { Err(errno()) } else { Ok(()) }
}

/// Chooses the congestion control of a TCP socket.
pub(super) fn set_congestion(socket: impl AsFd, name: &str) -> Result<(), Errno> {
    let name = CString::new(name).map_err(|_| libc::EINVAL)?;
    let length = libc::socklen_t::try_from(name.as_bytes().len()).unwrap_or(0);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads `length` bytes of the name.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::IPPROTO_TCP,
            libc::TCP_CONGESTION,
            name.as_ptr().cast(),
            length,
        )
    };
    if result < 0 { Err(errno()) } else { Ok(()) }
}

/// Sends a raw Ethernet frame through a device.
pub(super) fn send_frame(device: c_int, frame: &[u8]) -> Result<(), Errno> {
    // SAFETY: the address is a zeroed, then filled C struct; the kernel reads the frame.
    unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(errno());
        }
        let socket = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_ll = std::mem::zeroed();
        address.sll_family = 17;
        address.sll_ifindex = device;
        address.sll_halen = 6;
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap_or(0);
        let sent = libc::sendto(
            socket.as_raw_fd(),
            frame.as_ptr().cast(),
            frame.len(),
            libc::MSG_DONTWAIT,
            (&raw const address).cast(),
            length,
        );
        if sent < 0 { Err(errno()) } else { Ok(()) }
    }
}

/// Moves this process into a network namespace of its own.
pub(super) fn unshare_network() -> Result<(), Errno> {
    // SAFETY: no memory is involved; the process has one thread.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    if result < 0 { Err(errno()) } else { Ok(()) }
}
