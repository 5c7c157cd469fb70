//! The libbpf and system calls that attach programs, behind safe faces. Everything unsafe about
//! attaching is here.
#![expect(
    unsafe_code,
    reason = "libbpf is a C library, and some socket options have no safe face"
)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

use libbpf_sys as sys;

use crate::bpf::{Errno, Map, Program, check, errno};

/// A link of libbpf's: what it holds is detached when it is dropped.
#[derive(Debug)]
pub(super) struct Link(NonNull<sys::bpf_link>);

impl Link {
    fn of(link: *mut sys::bpf_link) -> Result<Self, Errno> {
        NonNull::new(link).map(Self).ok_or_else(errno)
    }

    /// Ids of the link and of its program, where the kernel has them: on 5.10 it has none for
    /// perf events, and never a program for `struct_ops`.
    pub(super) fn ids(&self) -> Option<(u32, u32)> {
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
    pub(super) fn iterate(&self) -> Result<File, Errno> {
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
pub(super) fn link_exists(id: u32) -> bool {
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
pub(super) fn auto(program: &Program<'_>) -> Result<Link, Errno> {
    // SAFETY: the program is loaded and alive.
    Link::of(unsafe { sys::bpf_program__attach(program.as_ptr()) })
}

/// A probe of the kernel function `name`, `offset` bytes into it.
pub(super) fn kprobe(
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
pub(super) fn kprobe_multi(
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
pub(super) fn ksyscall(program: &Program<'_>, name: &CStr, returns: bool) -> Result<Link, Errno> {
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
pub(super) fn tracepoint(
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
pub(super) fn raw_tracepoint(program: &Program<'_>, name: &CStr) -> Result<Link, Errno> {
    // SAFETY: as above.
    Link::of(unsafe { sys::bpf_program__attach_raw_tracepoint(program.as_ptr(), name.as_ptr()) })
}

/// A link to what the program's target was when it was loaded.
pub(super) fn trace(program: &Program<'_>) -> Result<Link, Errno> {
    // SAFETY: the program is alive.
    Link::of(unsafe { sys::bpf_program__attach_trace(program.as_ptr()) })
}

/// A link to the LSM hook that was the program's when it was loaded.
pub(super) fn lsm(program: &Program<'_>) -> Result<Link, Errno> {
    // SAFETY: the program is alive.
    Link::of(unsafe { sys::bpf_program__attach_lsm(program.as_ptr()) })
}

/// What an iterator needs to know beside its section.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over {
    Everything,
    Map(RawFd),
    Cgroup(RawFd),
}

/// `bpf_program__attach_iter`.
pub(super) fn iterator(program: &Program<'_>, over: Over) -> Result<Link, Errno> {
    let mut info = sys::bpf_iter_link_info::default();
    match over {
        Over::Everything => {}
        Over::Map(fd) => info.map.map_fd = fd.unsigned_abs(),
        Over::Cgroup(fd) => {
            info.cgroup.cgroup_fd = fd.unsigned_abs();
            info.cgroup.order = sys::BPF_CGROUP_ITER_SELF_ONLY;
        }
    }
    let mut opts = sys::bpf_iter_attach_opts {
        sz: size_of::<sys::bpf_iter_attach_opts>() as sys::size_t,
        ..Default::default()
    };
    if !matches!(over, Over::Everything) {
        opts.link_info = &raw mut info;
        opts.link_info_len = u32::try_from(size_of::<sys::bpf_iter_link_info>()).unwrap_or(0);
    }
    // SAFETY: the program is alive; the options and what they point to outlive the call.
    Link::of(unsafe { sys::bpf_program__attach_iter(program.as_ptr(), &raw const opts) })
}

/// A link to a cgroup.
pub(super) fn cgroup(program: &Program<'_>, cgroup: RawFd) -> Result<Link, Errno> {
    // SAFETY: the program is alive.
    Link::of(unsafe { sys::bpf_program__attach_cgroup(program.as_ptr(), cgroup) })
}

/// A link to a network namespace.
pub(super) fn netns(program: &Program<'_>, netns: RawFd) -> Result<Link, Errno> {
    // SAFETY: as above.
    Link::of(unsafe { sys::bpf_program__attach_netns(program.as_ptr(), netns) })
}

/// A link to a device's XDP hook.
pub(super) fn xdp(program: &Program<'_>, device: c_int) -> Result<Link, Errno> {
    // SAFETY: as above.
    Link::of(unsafe { sys::bpf_program__attach_xdp(program.as_ptr(), device) })
}

/// A link to a device's tcx hook (6.6).
pub(super) fn tcx(program: &Program<'_>, device: c_int) -> Result<Link, Errno> {
    // SAFETY: as above; no options.
    Link::of(unsafe { sys::bpf_program__attach_tcx(program.as_ptr(), device, ptr::null()) })
}

/// A link to a netkit device (6.7).
pub(super) fn netkit(program: &Program<'_>, device: c_int) -> Result<Link, Errno> {
    // SAFETY: as above; no options.
    Link::of(unsafe { sys::bpf_program__attach_netkit(program.as_ptr(), device, ptr::null()) })
}

/// A link to the IPv4 hook for what is delivered to this host (6.4).
pub(super) fn netfilter(program: &Program<'_>) -> Result<Link, Errno> {
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

/// `linux/perf_event.h`: `PERF_FLAG_FD_CLOEXEC`.
const CLOSE_ON_EXEC: c_int = 8;

/// A link to a software clock of this process, which ticks every 100 µs of its CPU time.
pub(super) fn perf_event(program: &Program<'_>) -> Result<Link, Errno> {
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
pub(super) struct Uprobe {
    /// At its return.
    pub(super) returns: bool,
    /// Through `uprobe_multi` (6.6).
    pub(super) multi: bool,
    /// At both ends, as one (6.13).
    pub(super) session: bool,
}

/// A probe of the function at `offset` of the file at `path`, in any process.
pub(super) fn uprobe(
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
pub(super) fn uprobe_of(
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
pub(super) fn usdt(
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

/// Registers a `struct_ops` map.
pub(super) fn struct_ops(map: Map<'_>) -> Result<Link, Errno> {
    // SAFETY: the map is alive.
    Link::of(unsafe { sys::bpf_map__attach_struct_ops(map.as_ptr()) })
}

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

    fn opts() -> sys::bpf_tc_opts {
        sys::bpf_tc_opts {
            sz: size_of::<sys::bpf_tc_opts>() as sys::size_t,
            handle: 1,
            priority: 1,
            ..Default::default()
        }
    }

    /// Makes the qdisc and attaches a filter to it.
    pub(super) fn attach(self, program: RawFd) -> Result<(), Errno> {
        let mut hook = self.hook(self.side);
        let mut opts = Self::opts();
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
        let mut opts = Self::opts();
        // SAFETY: as above.
        check(unsafe { sys::bpf_tc_query(&raw const hook, &raw mut opts) })?;
        Ok(opts.prog_id)
    }

    /// Takes the filter away, and the qdisc with it.
    pub(super) fn detach(self) -> Result<(), Errno> {
        let opts = Self::opts();
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
