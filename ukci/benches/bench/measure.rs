//! Runs a process to its end and says what it and its children cost.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions};

/// What a whole process cost, its children included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measure {
    /// Seconds.
    pub(crate) wall: f64,
    /// User and system seconds.
    pub(crate) cpu: f64,
    /// Largest resident memory of the process alone, in MiB.
    pub(crate) own_mib: f64,
    /// Largest proportional memory of the process and its children together, in MiB.
    pub(crate) all_mib: f64,
    /// Largest memory of the children that is no file's, in MiB: what the host gets back when they
    /// end. Pages of a kernel's image or of QEMU's program are there once, for all guests.
    pub(crate) children_own_mib: f64,
}

/// Runs to the end. A failure ends the benchmark, for its figures would be of something else.
pub(crate) fn run(command: Command) -> Measure {
    run_with(command, &[0])
}

/// The same, for a process that may end with one of these statuses.
#[expect(
    clippy::zombie_processes,
    reason = "rustix waits for it, and for its usage"
)]
pub(crate) fn run_with(mut command: Command, statuses: &[i32]) -> Measure {
    let before = children_cpu();
    let start = Instant::now();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let child = child.unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    let pid = Pid::from_child(&child);
    let ended = AtomicBool::new(false);
    let (status, wall, [own_mib, all_mib, children_own_mib]) = thread::scope(|scope| {
        let memory = scope.spawn(|| memory(child.id(), &ended));
        let status = rustix::process::waitpid(Some(pid), WaitOptions::empty());
        let wall = start.elapsed().as_secs_f64();
        ended.store(true, Ordering::Relaxed);
        (status, wall, memory.join().expect("the sampling thread"))
    });
    let (_, status) = status.expect("wait").expect("an ended process");
    let status = status.exit_status();
    assert!(
        status.is_some_and(|status| statuses.contains(&status)),
        "{command:?} ended with {status:?}"
    );
    Measure {
        wall,
        cpu: children_cpu() - before,
        own_mib,
        all_mib,
        children_own_mib,
    }
}

/// The largest memory of a process, of it and its children, and of its children alone without files,
/// until it ended. Sampled five times a second, which costs less than a hundredth of a core.
fn memory(pid: u32, ended: &AtomicBool) -> [f64; 3] {
    let (mut own, mut all, mut children_own) = (0.0_f64, 0.0_f64, 0.0_f64);
    while !ended.load(Ordering::Relaxed) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        own = own.max(kib(&status, "VmHWM:"));
        let (mut sum, mut sum_own) = (0.0, 0.0);
        for of in family(pid) {
            let rollup = fs::read_to_string(format!("/proc/{of}/smaps_rollup"));
            let rollup = rollup.unwrap_or_default();
            sum += kib(&rollup, "Pss:");
            if of != pid {
                sum_own += kib(&rollup, "Pss_Anon:") + kib(&rollup, "Pss_Shmem:");
            }
        }
        all = all.max(sum);
        children_own = children_own.max(sum_own);
        for _ in 0..20 {
            if ended.load(Ordering::Relaxed) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
    [own / 1024.0, all / 1024.0, children_own / 1024.0]
}

/// A figure of `/proc/<pid>/status` or `smaps_rollup`, in KiB; 0 for a process that is gone.
fn kib(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number.and_then(|n| n.parse().ok()).unwrap_or(0.0)
}

/// The process and all its descendants.
fn family(pid: u32) -> Vec<u32> {
    let stats = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = stats.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let parent = stat.rsplit(')').next()?.split_whitespace().nth(1)?;
        Some((pid, parent.parse::<u32>().ok()?))
    });
    let parents: BTreeMap<u32, u32> = stats.collect();
    let belongs = |mut of: u32| {
        while of != pid {
            match parents.get(&of) {
                Some(&parent) if parent > 1 => of = parent,
                _ => return false,
            }
        }
        true
    };
    parents.keys().copied().filter(|&of| belongs(of)).collect()
}

/// CPU seconds of every reaped child, and of theirs.
fn children_cpu() -> f64 {
    // Fields 16 and 17 of proc_pid_stat(5): cutime and cstime, in clock ticks.
    let stat = fs::read_to_string("/proc/self/stat").expect("/proc/self/stat");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks: u64 =
        fields[13].parse::<u64>().unwrap_or(0) + fields[14].parse::<u64>().unwrap_or(0);
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of ticks is far below 2^52"
    )]
    let seconds = ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
    seconds
}

/// The middle value; the upper one of two.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
