//! Counts and ends the processes of a command: all that there are but the agent, which is the first,
//! and the kernel's threads.
#![expect(unsafe_code, reason = "kill(2) of all, and a descriptor for signals")]

use std::fs::{self, File};
use std::io;
use std::os::fd::FromRawFd;

use rustix::process::{Pid, WaitOptions, WaitStatus};
use ukci_guest::userland;

/// A descriptor that can be read when a child has ended. From now on the signal that says so is
/// blocked, so that it waits there.
pub(super) fn ended_children() -> io::Result<File> {
    // SAFETY: the set is initialized before it is used, and the new descriptor is ours.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        if libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) < 0 {
            return Err(io::Error::last_os_error());
        }
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let fd = libc::signalfd(-1, &raw const set, flags);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(File::from_raw_fd(fd))
    }
}

/// Collects every child that has ended, those that the command left to the agent included. Returns
/// how `child` ended, if it is among them.
pub(super) fn reap(child: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
        if pid == child {
            found = Some(status);
        }
    }
    found
}

/// Kills every process but the agent. Returns how many there were.
///
/// `kill(-1)` walks the list of processes under its lock, and a process that forks meanwhile sees
/// its own signal first: none escapes, whatever session, group or parent it has moved to.
pub(super) fn kill_all() -> u32 {
    // Anywhere else this would end the system of the person who runs a test.
    if std::process::id() != 1 {
        return 0;
    }
    let running = running();
    // SAFETY: it takes two numbers.
    unsafe { libc::kill(-1, libc::SIGKILL) };
    running
}

/// How many processes there are besides the agent, kernel threads and those that have ended.
fn running() -> u32 {
    let mut count = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        count += u32::from(pid > 2 && is_process(&stat));
    }
    count
}

/// Whether a line of `/proc/PID/stat` is of a process that lives and is none of the kernel's.
fn is_process(stat: &str) -> bool {
    let Some((state, parent)) = userland::state_and_parent(stat) else {
        return false;
    };
    // The kernel's threads are children of kthreadd, which is the second process.
    !matches!(state, "X" | "Z") && parent != "2"
}

#[cfg(test)]
mod tests {
    use super::is_process;

    #[test]
    fn kernel_threads_and_zombies_are_no_processes() {
        assert!(is_process("77 (a b) c) S 1 77 77 0"));
        assert!(is_process("78 (x) R 77 77 77 0"));
        assert!(!is_process("9 (kworker/0:1) I 2 0 0 0"));
        assert!(!is_process("79 (x) Z 1 77 77 0"));
        assert!(!is_process(""));
    }

    #[test]
    fn nothing_is_killed_outside_of_a_guest() {
        assert_eq!(super::kill_all(), 0);
    }
}
