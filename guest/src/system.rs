//! System calls that only the agent makes, and its last words.
#![expect(
    unsafe_code,
    reason = "fork, ioctls of /dev/random, and a descriptor for the last words"
)]

use std::ffi::c_int;
use std::fs;
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicI32, Ordering};

use ukci_guest::serve::Channel;
use ukci_schema::message::FromGuest;

use rustix::process::{Pid, Resource, Rlimit, WaitOptions};

/// Ends the machine. Should that fail, PID 1 ends and the kernel panics, which the host sees.
pub(crate) fn power_off() -> ! {
    let _ = rustix::system::reboot(rustix::system::RebootCommand::PowerOff);
    std::process::exit(1)
}

/// Who hears of a panic: the host, and in a probe the agent. None yet: -1.
static LISTENER: AtomicI32 = AtomicI32::new(-1);

/// From now on the peer behind `fd`, which stays open, hears of a panic.
pub(crate) fn tell_panics_to(fd: RawFd) {
    LISTENER.store(fd, Ordering::Relaxed);
}

/// Makes a panic a [`FromGuest::Trouble`]: should PID 1 just end, the kernel would panic, and
/// that would look like the kernel's fault.
pub(crate) fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = format!("the agent panicked: {panic}");
        if std::process::id() == 1 {
            console(&message);
        }
        let listener = LISTENER.load(Ordering::Relaxed);
        if listener >= 0 {
            // SAFETY: whoever called `tell_panics_to` keeps it open; it is not closed here.
            let file = ManuallyDrop::new(unsafe { fs::File::from_raw_fd(listener) });
            let _ = Channel::new(&*file).say(&FromGuest::Trouble { message });
        }
        if std::process::id() == 1 {
            power_off();
        }
        // SAFETY: ends the process without running what others registered.
        unsafe { libc::_exit(101) }
    }));
}

/// Writes a line to the console.
pub(crate) fn console(line: &str) {
    // /dev/console is stdout too, but not where the initramfs has no such node.
    if let Ok(mut kmsg) = fs::File::options().write(true).open("/dev/kmsg") {
        // Level 3 (error) passes `quiet`.
        let _ = kmsg.write_all(format!("<3>{line}\n").as_bytes());
    }
}

/// Lifts `RLIMIT_MEMLOCK`.
pub(crate) fn lift_memory_lock() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    let _ = rustix::process::setrlimit(Resource::Memlock, unlimited);
}

/// Sets the wall clock, which a restored template has from its saving.
pub(crate) fn set_clock(seconds: u64) {
    let Ok(tv_sec) = i64::try_from(seconds) else {
        return;
    };
    let time = rustix::time::Timespec { tv_sec, tv_nsec: 0 };
    let _ = rustix::time::clock_settime(rustix::time::ClockId::Realtime, time);
}

/// Mixes hex digits into the pool, credits them, and reseeds: clones of one template would
/// otherwise draw the same numbers.
pub(crate) fn add_entropy(hex: &str) {
    /// `struct rand_pool_info` with room for 32 bytes.
    #[repr(C)]
    struct Pool {
        bits: c_int,
        bytes: c_int,
        buffer: [u8; 32],
    }
    let mut pool = Pool {
        bits: 256,
        bytes: 32,
        buffer: [0; 32],
    };
    if hex.len() != 64 || !hex.is_ascii() {
        return;
    }
    for (n, byte) in pool.buffer.iter_mut().enumerate() {
        let Ok(value) = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16) else {
            return;
        };
        *byte = value;
    }
    // linux/random.h: RNDADDENTROPY, RNDRESEEDCRNG (from 4.17).
    let Ok(random) = fs::File::open("/dev/random") else {
        return;
    };
    // SAFETY: the first ioctl reads `bytes` bytes of the buffer, the second takes nothing.
    unsafe {
        libc::ioctl(random.as_raw_fd(), 0x4008_5203, &raw const pool);
        libc::ioctl(random.as_raw_fd(), 0x5207);
    }
}

/// Runs `act` in a child that then ends. Returns the child and the caller's end of the socket
/// pair, whose other end moved into the child.
pub(crate) fn fork(
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
pub(crate) fn wait(child: Pid) -> String {
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use ukci_guest::serve::{Arrived, Channel};

    use super::{fork, report_panics, wait};

    #[test]
    fn a_crash_is_told_apart_by_its_signal() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let crash = |_| {
            // SAFETY: ends the child, as an invalid access of libbpf's would.
            unsafe { libc::raise(libc::SIGSEGV) };
        };
        let (child, ours) = fork(ours, theirs, crash).unwrap();
        assert!(Channel::new(ours).receive().is_err(), "it said nothing");
        assert_eq!(wait(child), "died of signal 11");
    }

    #[test]
    fn a_panic_is_told_to_the_peer() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let panic = |_| {
            report_panics();
            panic!("out of ideas");
        };
        let (child, ours) = fork(ours, theirs, panic).unwrap();
        let Arrived::Json(said) = Channel::new(ours).receive().unwrap() else {
            panic!()
        };
        let said = String::from_utf8(said).unwrap();
        assert!(
            said.contains("trouble") && said.contains("out of ideas"),
            "{said}"
        );
        assert_eq!(wait(child), "ended with status 101");
    }
}
