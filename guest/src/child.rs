//! Runs probes in child processes, and reports how the children and the agent itself end.
//!
//! A crash of libbpf must not look like a crash of the kernel, and the host must learn of both. The
//! input is what a child does. The output is its process, and a description of how it ended.
//! Nothing is retried.
#![expect(unsafe_code, reason = "fork, and a descriptor for the last words")]

use std::fs;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::{Pid, WaitOptions};
use ukci_schema::message::FromGuest;

use crate::channel::Channel;

/// Ends the machine. Should that fail, PID 1 ends and the kernel panics, which the host sees.
pub fn power_off() -> ! {
    let _ = rustix::system::reboot(rustix::system::RebootCommand::PowerOff);
    std::process::exit(1)
}

/// Who hears of a panic: the host, and in a probe the agent. None yet: -1.
static LISTENER: AtomicI32 = AtomicI32::new(-1);

/// From now on the peer behind `fd`, which stays open, hears of a panic.
pub fn tell_panics_to(fd: RawFd) {
    LISTENER.store(fd, Ordering::Relaxed);
}

/// Makes a panic a [`FromGuest::Trouble`]: should PID 1 just end, the kernel would panic, and
/// that would look like the kernel's fault.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = format!("the agent panicked: {panic}");
        if std::process::id() == 1 {
            console(&message);
        }
        let listener = LISTENER.load(Ordering::Relaxed);
        if listener >= 0 {
            // SAFETY: whoever called `tell_panics_to` keeps it open; it is not closed here.
            let file = ManuallyDrop::new(unsafe { fs::File::from_raw_fd(listener) });
            let _ = Channel::new(&*file).refuse(&FromGuest::Trouble {
                message,
                out_of_memory: false,
            });
        }
        if std::process::id() == 1 {
            power_off();
        }
        // SAFETY: ends the process without running what others registered.
        unsafe { libc::_exit(101) }
    }));
}

/// Writes a line to the console.
pub fn console(line: &str) {
    // /dev/console is stdout too, but not where the initramfs has no such node.
    if let Ok(mut kmsg) = fs::File::options().write(true).open("/dev/kmsg") {
        // Level 3 (error) passes `quiet`.
        let _ = kmsg.write_all(format!("<3>{line}\n").as_bytes());
    }
}

/// Runs `act` in a child that then ends. Returns the child and the caller's end of the socket
/// pair, whose other end moved into the child.
pub fn fork(
    ours: UnixStream,
    theirs: UnixStream,
    act: impl FnOnce(UnixStream),
) -> io::Result<(Pid, UnixStream)> {
    // SAFETY: the agent has one thread, so the child may do anything.
    match unsafe { libc::fork() } {
        0 => {
            drop(ours);
            tell_panics_to(theirs.as_raw_fd());
            act(theirs);
            // SAFETY: ends the child without running what the parent registered.
            unsafe { libc::_exit(0) }
        }
        child => {
            let child = Pid::from_raw(child).filter(|_| child > 0);
            child
                .map(|child| (child, ours))
                .ok_or_else(io::Error::last_os_error)
        }
    }
}

/// Waits for a child; how it ended, in words.
pub fn wait(child: Pid) -> String {
    match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
        Ok(Some((_, status))) => match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => format!("ended with status {status}"),
            (_, Some(signal)) => format!("died of signal {signal}"),
            _ => "ended".into(),
        },
        Ok(None) => "ended".into(),
        Err(error) => format!("could not be waited for ({error})"),
    }
}
