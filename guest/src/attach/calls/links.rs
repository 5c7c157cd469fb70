//! Creates libbpf links that need only a name or a place in the kernel.
#![expect(unsafe_code, reason = "libbpf's C interface")]

use std::ffi::{CStr, c_int};
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

use libbpf_sys as sys;

use crate::bpf::{Errno, Map, Program, check, errno};

/// A link of libbpf's: what it holds is detached when it is dropped.
#[derive(Debug)]
pub(in crate::attach) struct Link(NonNull<sys::bpf_link>);

impl Link {
    pub(super) fn of(link: *mut sys::bpf_link) -> Result<Self, Errno> {
        NonNull::new(link).map(Self).ok_or_else(errno)
    }

    /// Ids of the link and of its program, where the kernel has them: on 5.10 it has none for
    /// perf events, and never a program for `struct_ops`.
    pub(in crate::attach) fn ids(&self) -> Option<(u32, u32)> {
        // libbpf wraps other descriptors as links too: perf events, `struct_ops` maps.
        // SAFETY: the link is alive.
        let fd = unsafe { sys::bpf_link__fd(self.0.as_ptr()) };
        let file = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
        if !file.to_string_lossy().contains("bpf_link") {
            return None;
        }
        let mut info = sys::bpf_link_info::default();
        let mut length = u32::try_from(size_of::<sys::bpf_link_info>()).ok()?;
        // SAFETY: the descriptor is open; the kernel fills at most `length` bytes, and every
        // pointer in them is NULL.
        let result = unsafe { sys::bpf_link_get_info_by_fd(fd, &raw mut info, &raw mut length) };
        (result == 0).then_some((info.id, info.prog_id))
    }

    /// Opens what an iterator's link iterates over.
    pub(in crate::attach) fn iterate(&self) -> Result<File, Errno> {
        // SAFETY: the link is alive; the descriptor is ours alone.
        unsafe {
            let fd = sys::bpf_iter_create(sys::bpf_link__fd(self.0.as_ptr()));
            check(fd)?;
            Ok(File::from_raw_fd(fd))
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // SAFETY: destroyed once, here.
        unsafe { sys::bpf_link__destroy(self.0.as_ptr()) };
    }
}

/// Whether a link of this id is still there.
pub(in crate::attach) fn link_exists(id: u32) -> bool {
    // SAFETY: a number; the descriptor, if there is one, is ours to close.
    unsafe {
        let fd = sys::bpf_link_get_fd_by_id(id);
        if fd < 0 {
            return false;
        }
        drop(OwnedFd::from_raw_fd(fd));
        true
    }
}

/// libbpf's own way, from what the section says.
pub(in crate::attach) fn auto(program: &Program<'_>) -> Result<Link, Errno> {
    // SAFETY: the program is loaded and alive.
    Link::of(unsafe { sys::bpf_program__attach(program.as_ptr()) })
}

/// A probe of the kernel function `name`, `offset` bytes into it.
pub(in crate::attach) fn kprobe(
    program: &Program<'_>,
    name: &CStr,
    offset: u64,
    returns: bool,
) -> Result<Link, Errno> {
    let opts = sys::bpf_kprobe_opts {
        sz: size_of::<sys::bpf_kprobe_opts>() as sys::size_t,
        offset: offset as sys::size_t,
        retprobe: returns,
        ..Default::default()
    };
    // SAFETY: the program is alive; options and name outlive the call.
    Link::of(unsafe {
        sys::bpf_program__attach_kprobe_opts(program.as_ptr(), name.as_ptr(), &raw const opts)
    })
}

/// A probe of every kernel function that a pattern matches (5.18).
pub(in crate::attach) fn kprobe_multi(
    program: &Program<'_>,
    pattern: &CStr,
    returns: bool,
) -> Result<Link, Errno> {
    let opts = sys::bpf_kprobe_multi_opts {
        sz: size_of::<sys::bpf_kprobe_multi_opts>() as sys::size_t,
        retprobe: returns,
        ..Default::default()
    };
    // SAFETY: as above.
    Link::of(unsafe {
        sys::bpf_program__attach_kprobe_multi_opts(
            program.as_ptr(),
            pattern.as_ptr(),
            &raw const opts,
        )
    })
}

/// A probe of a system call, by its name without prefix.
pub(in crate::attach) fn ksyscall(
    program: &Program<'_>,
    name: &CStr,
    returns: bool,
) -> Result<Link, Errno> {
    let opts = sys::bpf_ksyscall_opts {
        sz: size_of::<sys::bpf_ksyscall_opts>() as sys::size_t,
        retprobe: returns,
        ..Default::default()
    };
    // SAFETY: as above.
    Link::of(unsafe {
        sys::bpf_program__attach_ksyscall(program.as_ptr(), name.as_ptr(), &raw const opts)
    })
}

/// A link to a tracepoint.
pub(in crate::attach) fn tracepoint(
    program: &Program<'_>,
    category: &CStr,
    name: &CStr,
) -> Result<Link, Errno> {
    // SAFETY: the program is alive; the names outlive the call.
    Link::of(unsafe {
        sys::bpf_program__attach_tracepoint(program.as_ptr(), category.as_ptr(), name.as_ptr())
    })
}

/// A link to a tracepoint without its format.
pub(in crate::attach) fn raw_tracepoint(program: &Program<'_>, name: &CStr) -> Result<Link, Errno> {
    // SAFETY: as above.
    Link::of(unsafe { sys::bpf_program__attach_raw_tracepoint(program.as_ptr(), name.as_ptr()) })
}

/// A link to what the program's target was when it was loaded.
pub(in crate::attach) fn trace(program: &Program<'_>) -> Result<Link, Errno> {
    // SAFETY: the program is alive.
    Link::of(unsafe { sys::bpf_program__attach_trace(program.as_ptr()) })
}

/// A link to the LSM hook that was the program's when it was loaded.
pub(in crate::attach) fn lsm(program: &Program<'_>) -> Result<Link, Errno> {
    // SAFETY: the program is alive.
    Link::of(unsafe { sys::bpf_program__attach_lsm(program.as_ptr()) })
}

/// What an iterator iterates over, which its section does not say.
#[derive(Clone, Copy, Debug)]
pub(in crate::attach) enum IteratorTarget {
    Everything,
    Map(RawFd),
    Cgroup(RawFd),
}

/// `bpf_program__attach_iter`.
pub(in crate::attach) fn iterator(
    program: &Program<'_>,
    target: IteratorTarget,
) -> Result<Link, Errno> {
    let mut info = sys::bpf_iter_link_info::default();
    match target {
        IteratorTarget::Everything => {}
        IteratorTarget::Map(fd) => info.map.map_fd = fd.unsigned_abs(),
        IteratorTarget::Cgroup(fd) => {
            info.cgroup.cgroup_fd = fd.unsigned_abs();
            info.cgroup.order = sys::BPF_CGROUP_ITER_SELF_ONLY;
        }
    }
    let mut opts = sys::bpf_iter_attach_opts {
        sz: size_of::<sys::bpf_iter_attach_opts>() as sys::size_t,
        ..Default::default()
    };
    if !matches!(target, IteratorTarget::Everything) {
        opts.link_info = &raw mut info;
        opts.link_info_len = u32::try_from(size_of::<sys::bpf_iter_link_info>()).unwrap_or(0);
    }
    // SAFETY: the program is alive; the options and what they point to outlive the call.
    Link::of(unsafe { sys::bpf_program__attach_iter(program.as_ptr(), &raw const opts) })
}

/// A link to a cgroup.
pub(in crate::attach) fn cgroup(program: &Program<'_>, cgroup: RawFd) -> Result<Link, Errno> {
    // SAFETY: the program is alive.
    Link::of(unsafe { sys::bpf_program__attach_cgroup(program.as_ptr(), cgroup) })
}

/// A link to a network namespace.
pub(in crate::attach) fn netns(program: &Program<'_>, netns: RawFd) -> Result<Link, Errno> {
    // SAFETY: as above.
    Link::of(unsafe { sys::bpf_program__attach_netns(program.as_ptr(), netns) })
}

/// A link to a device's XDP hook.
pub(in crate::attach) fn xdp(program: &Program<'_>, device: c_int) -> Result<Link, Errno> {
    // SAFETY: as above.
    Link::of(unsafe { sys::bpf_program__attach_xdp(program.as_ptr(), device) })
}

/// A link to a device's tcx hook (6.6).
pub(in crate::attach) fn tcx(program: &Program<'_>, device: c_int) -> Result<Link, Errno> {
    // SAFETY: as above; no options.
    Link::of(unsafe { sys::bpf_program__attach_tcx(program.as_ptr(), device, ptr::null()) })
}

/// A link to a netkit device (6.7).
pub(in crate::attach) fn netkit(program: &Program<'_>, device: c_int) -> Result<Link, Errno> {
    // SAFETY: as above; no options.
    Link::of(unsafe { sys::bpf_program__attach_netkit(program.as_ptr(), device, ptr::null()) })
}

/// A link to the IPv4 hook for what is delivered to this host (6.4).
pub(in crate::attach) fn netfilter(program: &Program<'_>) -> Result<Link, Errno> {
    let opts = sys::bpf_netfilter_opts {
        sz: size_of::<sys::bpf_netfilter_opts>() as sys::size_t,
        // linux/netfilter.h: NFPROTO_IPV4, NF_INET_LOCAL_IN; the priority must not be an end.
        pf: 2,
        hooknum: 1,
        priority: -128,
        ..Default::default()
    };
    // SAFETY: the program is alive; the options outlive the call.
    Link::of(unsafe { sys::bpf_program__attach_netfilter(program.as_ptr(), &raw const opts) })
}

/// Registers a `struct_ops` map.
pub(in crate::attach) fn struct_ops(map: Map<'_>) -> Result<Link, Errno> {
    // SAFETY: the map is alive.
    Link::of(unsafe { sys::bpf_map__attach_struct_ops(map.as_ptr()) })
}
