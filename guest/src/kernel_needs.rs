//! Checks what the agent and libbpf need of any kernel, once when the agent starts.
//!
//! The output is each need that this kernel does not meet, with the system call, the option that
//! provides it and the kernel's answer. Such a kernel shows nothing about an object, so the object
//! is never blamed. What only some objects need (BTF, kprobes, cgroups) is not checked here.
#![expect(unsafe_code, reason = "system calls that have no safe face")]

use std::fs;
use std::io;

use rustix::fs::{MemfdFlags, memfd_create};
use ukci_schema::evidence::UnmetNeed;

/// What every kernel must have and this one has not.
pub fn unmet() -> Vec<UnmetNeed> {
    let answers = [
        // libbpf keeps the data of maps in one before there is a map (since 1.3), and so does the
        // agent with the host's files.
        (
            "memfd_create(2)",
            "MEMFD_CREATE and CONFIG_SHMEM",
            memfd().map_err(io::Error::from),
        ),
        ("bpf(2)", "BPF_SYSCALL", has_bpf()),
        // Of libbpf's ring and perf buffers.
        ("epoll_create1(2)", "EPOLL", has_epoll()),
        (
            "procfs",
            "PROC_FS",
            fs::metadata("/proc/self/maps").map(drop),
        ),
        ("sysfs", "SYSFS", fs::metadata("/sys/kernel").map(drop)),
    ];
    answers
        .into_iter()
        .filter_map(|(what, option, answer)| {
            Some(UnmetNeed {
                what: what.into(),
                option: option.into(),
                error: answer.err()?.to_string(),
            })
        })
        .collect()
}

/// One sentence about needs that are not met; `None` if all are.
pub fn sentence(unmet: &[UnmetNeed]) -> Option<String> {
    let each: Vec<String> = unmet
        .iter()
        .map(|need| format!("{} (CONFIG_{}): {}", need.what, need.option, need.error))
        .collect();
    (!each.is_empty()).then(|| {
        format!(
            "this kernel lacks what ukci needs of any kernel: {}",
            each.join("; ")
        )
    })
}

fn memfd() -> rustix::io::Result<()> {
    memfd_create("ukci", MemfdFlags::CLOEXEC).map(drop)
}

/// A command that no kernel has: whatever else the answer is, a kernel with the call does not say
/// ENOSYS.
fn has_bpf() -> io::Result<()> {
    // SAFETY: numbers only; the kernel refuses the command before it looks at an address.
    let result = unsafe { libc::syscall(libc::SYS_bpf, -1, 0, 0) };
    known(result)
}

fn has_epoll() -> io::Result<()> {
    // SAFETY: a number; a descriptor that comes back is closed once.
    unsafe {
        let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        if fd >= 0 {
            libc::close(fd);
        }
        known(fd.into())
    }
}

/// Any answer but ENOSYS is that of a kernel that knows the call.
fn known(result: libc::c_long) -> io::Result<()> {
    let error = io::Error::last_os_error();
    if result < 0 && error.raw_os_error() == Some(libc::ENOSYS) {
        return Err(error);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ukci_schema::evidence::UnmetNeed;

    #[test]
    fn this_kernel_has_all_but_perhaps_bpf() {
        let unmet = super::unmet();
        // A sandbox may forbid bpf(2), but it does not lack the others.
        assert!(unmet.iter().all(|need| need.what == "bpf(2)"), "{unmet:?}");
    }

    /// Makes the kernel answer ENOSYS to one system call of this thread, as one that is built without it
    /// does.
    fn take_away(call: libc::c_long) {
        let statement = |code: u32, jt, jf, k| libc::sock_filter {
            code: u16::try_from(code).unwrap(),
            jt,
            jf,
            k,
        };
        let call = u32::try_from(call).unwrap();
        let enosys = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.unsigned_abs();
        // The number of the call is the first word of what the filter is given.
        let mut filter = [
            statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
            statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call),
            statement(libc::BPF_RET | libc::BPF_K, 0, 0, enosys),
            statement(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        ];
        let program = libc::sock_fprog {
            len: 4,
            filter: filter.as_mut_ptr(),
        };
        // SAFETY: the kernel copies the filter, which is for this thread alone.
        unsafe {
            assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
            let mode = libc::SECCOMP_MODE_FILTER;
            let set = libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program);
            assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
        }
    }

    #[test]
    fn a_call_that_the_kernel_lacks_is_found_with_its_option() {
        for (call, what, option) in [
            (libc::SYS_memfd_create, "memfd_create(2)", "SHMEM"),
            (libc::SYS_bpf, "bpf(2)", "BPF_SYSCALL"),
            (libc::SYS_epoll_create1, "epoll_create1(2)", "EPOLL"),
        ] {
            let without = move || {
                take_away(call);
                super::unmet()
            };
            let unmet = std::thread::spawn(without).join().unwrap();
            let need = unmet.iter().find(|need| need.what == what);
            let need = need.unwrap_or_else(|| panic!("{what}: {unmet:?}"));
            assert!(need.option.contains(option), "{need:?}");
            assert!(need.error.contains("not implemented"), "{need:?}");
        }
    }

    #[test]
    fn a_need_is_told_with_the_call_and_the_option() {
        assert_eq!(super::sentence(&[]), None);
        let need = UnmetNeed {
            what: "memfd_create(2)".into(),
            option: "MEMFD_CREATE and CONFIG_SHMEM".into(),
            error: "Function not implemented (os error 38)".into(),
        };
        let sentence = super::sentence(&[need]).unwrap();
        assert!(sentence.contains("memfd_create(2) (CONFIG_MEMFD_CREATE and CONFIG_SHMEM)"));
        assert!(sentence.contains("not implemented"));
    }
}
