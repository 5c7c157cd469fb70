//! Measures how long a process ran, and how long it was ready to run but did not, because other
//! processes had the CPUs.

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
pub(super) struct SchedStat {
    threads: OwnedFd,
}

impl SchedStat {
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
    pub(super) fn longest_delay(&self) -> Duration {
        let delays = self.threads().filter_map(|(_, delay)| delay);
        delays.max().unwrap_or_default()
    }

    /// What all threads ran since the process began, except those that have ended. `None` where the
    /// kernel does not say, or the process is gone.
    pub(super) fn ran(&self) -> Option<Duration> {
        let ran: Vec<Duration> = self.threads().filter_map(|(ran, _)| ran).collect();
        (!ran.is_empty()).then(|| ran.iter().sum())
    }

    /// How long each thread ran, and how long it waited.
    fn threads(&self) -> impl Iterator<Item = (Option<Duration>, Option<Duration>)> {
        let threads = Dir::read_from(&self.threads).into_iter().flatten();
        threads.flatten().filter_map(|thread| {
            // `..` would be the main thread a second time.
            if thread.file_name().to_bytes().starts_with(b".") {
                return None;
            }
            let path = [thread.file_name().to_bytes(), b"/schedstat"].concat();
            let file = openat(
                &self.threads,
                path,
                OFlags::RDONLY | OFlags::CLOEXEC,
                Mode::empty(),
            );
            let mut text = String::new();
            File::from(file.ok()?).read_to_string(&mut text).ok()?;
            Some((number(&text, 0), number(&text, 1)))
        })
    }
}

/// A number of `/proc/<pid>/schedstat`: 0 is nanoseconds on a CPU, 1 is nanoseconds on a run queue.
/// A kernel without `CONFIG_SCHED_INFO` has no such file, or zeros in it.
fn number(schedstat: &str, place: usize) -> Option<Duration> {
    let nanoseconds = schedstat.split_ascii_whitespace().nth(place)?;
    nanoseconds.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn the_time_on_a_cpu_is_the_first_number_and_the_delay_the_second() {
        let text = "8120487056 5278935454 13846\n";
        assert_eq!(number(text, 0).unwrap().as_secs(), 8);
        assert_eq!(number(text, 1).unwrap().as_secs(), 5);
        assert_eq!(number("0", 1), None);
        assert_eq!(number("", 0), None);
    }

    #[test]
    fn a_busy_process_runs() {
        let of_us = SchedStat::of(rustix::process::getpid()).unwrap();
        let Some(before) = of_us.ran() else {
            return skip("this kernel has no `schedstat`");
        };
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        while of_us.ran().unwrap() < before + Duration::from_millis(10) {
            assert!(
                std::time::Instant::now() < deadline,
                "a busy thread never ran"
            );
        }
    }

    /// Busy threads on every CPU, and as many again, wait for one another.
    #[test]
    fn threads_that_share_a_cpu_wait() {
        let delay = SchedStat::of(rustix::process::getpid()).unwrap();
        let Ok(text) = std::fs::read_to_string("/proc/self/schedstat") else {
            return skip("this kernel has no `schedstat`");
        };
        if number(&text, 1).is_none() {
            return skip("this kernel's `schedstat` has no delay");
        }
        let before = delay.longest_delay();
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
                waited = delay.longest_delay() > before;
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
