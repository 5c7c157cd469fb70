//! What no library offers without `unsafe`: rights that a child gives up between fork and exec, and
//! what it cost.
#![expect(
    unsafe_code,
    reason = "only `wait4` tells what a child cost; the others are unsafe by nature"
)]

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use rustix::process::{Pid, Signal, getppid};
use tokio::io::unix::AsyncFd;

use super::{Exit, Namespace, Rights};

/// Has the runtime watch a descriptor.
pub(super) fn register(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open and the same for as long as it lives.
    Ok(unsafe { AsyncFd::register(fd) }?)
}

/// Has the kernel kill the child when the calling thread ends.
pub(super) fn die_with_parent(command: &mut Command) {
    let parent = rustix::process::getpid();
    let arm = move || {
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
        // The parent may have died before the signal was requested.
        if getppid() == Some(parent) {
            Ok(())
        } else {
            Err(io::ErrorKind::NotConnected.into())
        }
    };
    // SAFETY: between fork and exec the closure makes two bare system calls and allocates
    // nothing; an `ErrorKind` is turned into an error without allocation.
    unsafe { command.pre_exec(arm) };
}

/// Takes rights from the child that it never needs. What the kernel does not know, or does not
/// let us take, stays: `no_new_privs` alone must hold.
pub(super) fn confine(command: &mut Command, rights: Rights) {
    /// `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH` of `linux/capability.h`: a cache that root
    /// uses may be another user's.
    const KEPT: [libc::c_ulong; 2] = [1, 2];
    /// `CLOSE_RANGE_CLOEXEC` of `linux/close_range.h`; since 5.11.
    const CLOEXEC: libc::c_ulong = 4;
    let confine = move || {
        let none = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: system calls on numbers and live values; nothing is allocated between fork
        // and exec.
        unsafe {
            // Not closed: the standard library tells through one of them that exec failed.
            libc::syscall(
                libc::SYS_close_range,
                3 as libc::c_ulong,
                libc::c_ulong::from(u32::MAX),
                CLOEXEC,
            );
            for fd in &rights.descriptors {
                if libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) != 0 {
                    return Err(io::Error::last_os_error());
                }
            }
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            // Ends at the first number that is no capability of this kernel's.
            let mut cap: libc::c_ulong = 0;
            while libc::prctl(libc::PR_CAPBSET_READ, cap, 0, 0, 0) >= 0 {
                if !KEPT.contains(&cap) {
                    libc::prctl(libc::PR_CAPBSET_DROP, cap, 0, 0, 0);
                }
                cap += 1;
            }
            // Raw, because libc's own would have the threads change that this process lacks.
            // The kernel takes every capability away with the last of the user's numbers.
            if let Some(user) = &rights.user {
                let id = libc::c_ulong::from(user.id);
                let groups = (user.groups.len(), user.groups.as_ptr());
                if libc::syscall(libc::SYS_setgroups, groups.0, groups.1) != 0
                    || libc::syscall(libc::SYS_setresgid, id, id, id) != 0
                    || libc::syscall(libc::SYS_setresuid, id, id, id) != 0
                {
                    return Err(io::Error::last_os_error());
                }
            }
            if let Some(namespace) = &rights.namespace {
                enter(namespace)?;
            }
            if libc::prctl(
                libc::PR_SET_NO_NEW_PRIVS,
                1 as libc::c_ulong,
                0 as libc::c_ulong,
                0 as libc::c_ulong,
                0 as libc::c_ulong,
            ) != 0
            {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes bare system calls and allocates nothing.
    unsafe { command.pre_exec(confine) };
}

/// Makes this process one of namespaces of its own, in which every mount is read-only.
fn enter(namespace: &Namespace) -> io::Result<()> {
    let done = |result: libc::c_int| match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    };
    let write = |path: &CStr, bytes: &[u8]| {
        // SAFETY: the path ends with a zero byte, and the length is that of the bytes.
        unsafe {
            let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            if fd < 0 || libc::write(fd, bytes.as_ptr().cast(), bytes.len()) < 0 {
                return Err(io::Error::last_os_error());
            }
            libc::close(fd);
        }
        Ok(())
    };
    let read_only = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: system calls on numbers, on texts that end with a zero byte, and on a live value of
    // the size that is named; nothing is allocated.
    unsafe {
        // The files in `/proc/self` are root's after a change of the user.
        done(libc::prctl(libc::PR_SET_DUMPABLE, 1 as libc::c_ulong))?;
        done(libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS))?;
        write(c"/proc/self/setgroups", b"deny")?;
        write(c"/proc/self/uid_map", &namespace.users)?;
        write(c"/proc/self/gid_map", &namespace.groups)?;
        let none = std::ptr::null();
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        done(libc::mount(none, c"/".as_ptr(), none, flags, none.cast()))?;
        let (tree, flags) = (namespace.tree.as_ptr(), libc::MS_BIND | libc::MS_REC);
        done(libc::mount(c"/".as_ptr(), tree, none, flags, none.cast()))?;
        for (path, is_dir) in &namespace.hidden {
            let path = path.as_ptr();
            done(if *is_dir {
                let tmpfs = c"tmpfs".as_ptr();
                let (flags, options) = (libc::MS_NOSUID | libc::MS_NODEV, c"size=4k");
                libc::mount(tmpfs, path, tmpfs, flags, options.as_ptr().cast())
            } else {
                let null = c"/dev/null".as_ptr();
                libc::mount(null, path, none, libc::MS_BIND, none.cast())
            })?;
        }
        done(
            i32::try_from(libc::syscall(
                libc::SYS_mount_setattr,
                libc::AT_FDCWD,
                c"/".as_ptr(),
                libc::AT_RECURSIVE,
                &raw const read_only,
                size_of::<libc::mount_attr>(),
            ))
            .unwrap_or(-1),
        )
    }
}

/// Reaps a child process, and blocks until it ends.
///
/// Its peak memory counts from the fork, so it is never less than ours was then.
pub(super) fn wait4(pid: Pid) -> io::Result<Exit> {
    let mut status = 0;
    // SAFETY: all-zero bytes are a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to live values of the right types.
        let reaped = unsafe {
            libc::wait4(
                pid.as_raw_nonzero().get(),
                &raw mut status,
                0,
                &raw mut usage,
            )
        };
        if reaped >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let seconds = |time: libc::timeval| {
        std::time::Duration::new(
            time.tv_sec.cast_unsigned(),
            u32::try_from(time.tv_usec).unwrap_or(0) * 1000,
        )
        .as_secs_f64()
    };
    Ok(Exit {
        status: ExitStatus::from_raw(status),
        cpu_seconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
        peak_kib: usage.ru_maxrss.cast_unsigned(),
    })
}
