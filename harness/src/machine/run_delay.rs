//! Measures how long a process was ready to run but did not, because other processes had the CPUs.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Dir, Mode, OFlags, open, openat};
use rustix::process::Pid;

/// The threads of one process.
///
/// They are reached through an open directory: it never shows another process that was given the
/// same id later.
#[derive(Debug)]
pub(super) struct RunDelay {
    threads: OwnedFd,
}

impl RunDelay {
    /// Of a process that has not been reaped.
    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        let path = format!("/proc/{}/task", pid.as_raw_nonzero());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            threads: open(path, flags, Mode::empty())?,
        })
    }

    /// The delay of the thread that waited longest, since the process began: the sum would count
    /// the same second once per thread. Zero where the kernel does not say, or the process is gone.
    pub(super) fn longest(&self) -> Duration {
        let threads = Dir::read_from(&self.threads).into_iter().flatten();
        let delays = threads.flatten().filter_map(|thread| {
            let path = [thread.file_name().to_bytes(), b"/schedstat"].concat();
            let file = openat(
                &self.threads,
                path,
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            );
            let mut text = String::new();
            File::from(file.ok()?).read_to_string(&mut text).ok()?;
            delay(&text)
        });
        delays.max().unwrap_or_default()
    }
}

/// The second number of `/proc/<pid>/schedstat`: nanoseconds on a run queue. A kernel without
/// `CONFIG_SCHED_INFO` has no such file, or zeros in it.
fn delay(schedstat: &str) -> Option<Duration> {
    let nanoseconds = schedstat.split_ascii_whitespace().nth(1)?;
    nanoseconds.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn the_delay_is_the_second_number() {
        assert_eq!(delay("8120487056 5278935454 13846\n").unwrap().as_secs(), 5);
        assert_eq!(delay("0"), None);
        assert_eq!(delay(""), None);
    }

    /// Busy threads on every CPU, and as many again, wait for one another.
    #[test]
    fn threads_that_share_a_cpu_wait() {
        let delay = RunDelay::of(rustix::process::getpid()).unwrap();
        let Ok(text) = std::fs::read_to_string("/proc/self/schedstat") else {
            return skip("this kernel has no `schedstat`");
        };
        if super::delay(&text).is_none() {
            return skip("this kernel's `schedstat` has no delay");
        }
        let before = delay.longest();
        let count = std::thread::available_parallelism().map_or(2, std::num::NonZero::get) * 2;
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..count {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        std::hint::spin_loop();
                    }
                });
            }
            let deadline = std::time::Instant::now() + Duration::from_mins(1);
            let mut waited = false;
            while !waited && std::time::Instant::now() < deadline {
                waited = delay.longest() > before;
            }
            done.store(true, Ordering::Relaxed);
            assert!(waited, "{count} busy threads never waited for a CPU");
        });
    }

    #[expect(clippy::print_stderr, reason = "a skipped test says why")]
    fn skip(why: &str) {
        eprintln!("skipped: {why}");
    }
}
