//! Creates links to user space: to the clocks of a process, and to functions and probes of a file.
#![expect(unsafe_code, reason = "libbpf's C interface")]

use std::ffi::{CStr, c_int};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use libbpf_sys as sys;

use super::links::Link;
use crate::bpf::{Errno, Program, errno};

/// `linux/perf_event.h`: `PERF_FLAG_FD_CLOEXEC`.
const CLOSE_ON_EXEC: c_int = 8;

/// A link to a software clock of this process, which ticks every 100 µs of its CPU time.
pub(in crate::attach) fn perf_event(program: &Program<'_>) -> Result<Link, Errno> {
    let mut attr = sys::perf_event_attr {
        size: u32::try_from(size_of::<sys::perf_event_attr>()).unwrap_or(0),
        // linux/perf_event.h: PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK.
        type_: 1,
        config: 0,
        ..Default::default()
    };
    attr.__bindgen_anon_1.sample_period = 100_000;
    // SAFETY: the kernel reads `size` bytes; libbpf owns the descriptor once it made a link of it.
    unsafe {
        let fd = libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attr,
            0,
            -1,
            -1,
            CLOSE_ON_EXEC,
        );
        let fd = c_int::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(errno());
        }
        let link = Link::of(sys::bpf_program__attach_perf_event(program.as_ptr(), fd));
        if link.is_err() {
            drop(OwnedFd::from_raw_fd(fd));
        }
        link
    }
}

/// How a user-space function is probed.
#[derive(Clone, Copy, Debug)]
pub(in crate::attach) struct Uprobe {
    /// At its return.
    pub(in crate::attach) returns: bool,
    /// Through `uprobe_multi` (6.6).
    pub(in crate::attach) multi: bool,
    /// At both ends, as one (6.13).
    pub(in crate::attach) session: bool,
}

/// A probe of the function at `offset` of the file at `path`, in any process.
pub(in crate::attach) fn uprobe(
    program: &Program<'_>,
    path: &CStr,
    offset: u64,
    how: Uprobe,
) -> Result<Link, Errno> {
    let offset = usize::try_from(offset).map_err(|_| libc::EOVERFLOW)?;
    if how.multi {
        let offsets = [offset as std::ffi::c_ulong];
        let opts = sys::bpf_uprobe_multi_opts {
            sz: size_of::<sys::bpf_uprobe_multi_opts>() as sys::size_t,
            offsets: offsets.as_ptr(),
            cnt: 1,
            retprobe: how.returns,
            session: how.session,
            ..Default::default()
        };
        // SAFETY: the program is alive; options, offsets and path outlive the call.
        return Link::of(unsafe {
            sys::bpf_program__attach_uprobe_multi(
                program.as_ptr(),
                -1,
                path.as_ptr(),
                ptr::null(),
                &raw const opts,
            )
        });
    }
    // SAFETY: as above.
    Link::of(unsafe {
        sys::bpf_program__attach_uprobe(
            program.as_ptr(),
            how.returns,
            -1,
            path.as_ptr(),
            offset as sys::size_t,
        )
    })
}

/// A probe of the function `symbol` of the file at `path`, `offset` bytes into it.
pub(in crate::attach) fn uprobe_of(
    program: &Program<'_>,
    path: &CStr,
    symbol: &CStr,
    offset: u64,
    how: Uprobe,
) -> Result<Link, Errno> {
    if how.multi {
        let opts = sys::bpf_uprobe_multi_opts {
            sz: size_of::<sys::bpf_uprobe_multi_opts>() as sys::size_t,
            retprobe: how.returns,
            session: how.session,
            ..Default::default()
        };
        // SAFETY: the program is alive; options and texts outlive the call. A function's name is
        // a pattern without wildcards.
        return Link::of(unsafe {
            sys::bpf_program__attach_uprobe_multi(
                program.as_ptr(),
                -1,
                path.as_ptr(),
                symbol.as_ptr(),
                &raw const opts,
            )
        });
    }
    let opts = sys::bpf_uprobe_opts {
        sz: size_of::<sys::bpf_uprobe_opts>() as sys::size_t,
        retprobe: how.returns,
        func_name: symbol.as_ptr(),
        ..Default::default()
    };
    let offset = usize::try_from(offset).map_err(|_| libc::EOVERFLOW)?;
    // SAFETY: as above.
    Link::of(unsafe {
        sys::bpf_program__attach_uprobe_opts(
            program.as_ptr(),
            -1,
            path.as_ptr(),
            offset as sys::size_t,
            &raw const opts,
        )
    })
}

/// The statically defined probe `provider:name` of the file at `path`, in this process: before
/// BPF cookies (5.15) libbpf does not do it for all processes of a position-independent file.
pub(in crate::attach) fn usdt(
    program: &Program<'_>,
    path: &CStr,
    provider: &CStr,
    name: &CStr,
) -> Result<Link, Errno> {
    // SAFETY: as above; no options.
    Link::of(unsafe {
        sys::bpf_program__attach_usdt(
            program.as_ptr(),
            0,
            path.as_ptr(),
            provider.as_ptr(),
            name.as_ptr(),
            ptr::null(),
        )
    })
}
