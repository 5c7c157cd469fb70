//! How many machines fit on this host.

use std::num::NonZero;
use std::path::Path;
use std::{fs, thread};

/// What QEMU and the vsock device beside it take in addition to the guest's own memory, in MiB. Measured:
/// 205 MiB resident for a guest that had touched about 75 MiB of its 256, plus 14–25 MiB of
/// vhost-device-vsock.
const OVERHEAD: u32 = 150;

/// What this run may take of this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Machines at once; at least 1.
    pub jobs: usize,
    /// Memory for all machines together, in MiB; `None` if only the jobs count.
    pub memory: Option<u64>,
}

impl Limits {
    /// `jobs` and `memory` (in MiB) as requested. Without a request there is one machine per core,
    /// in the memory that is available now. A requested number of machines is not reduced unless a
    /// limit of the memory was requested too.
    ///
    /// `smallest` is the guest memory of the smallest cell, in MiB. Larger ones wait until there is
    /// room for them.
    pub fn of(jobs: Option<usize>, memory: Option<u64>, smallest: u32) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let memory = match (memory, jobs) {
            (None, None) => available(),
            (requested, _) => requested,
        };
        Self {
            jobs: fit(jobs.unwrap_or(cores), memory, smallest),
            memory,
        }
    }
}

/// The memory of a machine whose guest has `memory` MiB.
pub(crate) fn with_overhead(memory: u32) -> u32 {
    memory.saturating_add(OVERHEAD)
}

/// The smaller of `most` and the machines that `available` MiB hold, where that is known.
fn fit(most: usize, available: Option<u64>, memory: u32) -> usize {
    let by_memory = available.map_or(usize::MAX, |available| {
        usize::try_from(available / u64::from(with_overhead(memory))).unwrap_or(usize::MAX)
    });
    most.min(by_memory).max(1)
}

/// Memory that can be used without swapping, in MiB: the host's, or what is left of the control
/// group's limit where that is less, as in a container.
fn available() -> Option<u64> {
    let host = mem_available(&fs::read_to_string("/proc/meminfo").ok()?);
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = left_in_groups(Path::new("/sys/fs/cgroup"), &groups);
    host.into_iter().chain(group).min()
}

/// What the control groups of `/proc/self/cgroup` leave, in MiB: the least of ours and of those above
/// it, in version 2 and in version 1, where memory has a hierarchy of its own.
fn left_in_groups(root: &Path, groups: &str) -> Option<u64> {
    let memory = |line: &str| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(":/")?;
        let mut controllers = controllers.split(',');
        let is_v2 = controllers.clone().eq([""]);
        let (top, limit, used) = if is_v2 {
            (root.to_owned(), "memory.max", "memory.current")
        } else if controllers.any(|controller| controller == "memory") {
            let top = root.join("memory");
            (top, "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            return None;
        };
        // In a container the path may be the host's, and only the top be there.
        let own = top.join(path);
        let all = own.ancestors().take_while(|dir| dir.starts_with(&top));
        // `max` where there is no limit, which is no number.
        let read = |file: &Path| fs::read_to_string(file).ok()?.trim().parse::<u64>().ok();
        let left = all.filter_map(|dir| {
            let left = read(&dir.join(limit))?.saturating_sub(read(&dir.join(used))?);
            Some(left >> 20)
        });
        left.min()
    };
    groups.lines().filter_map(memory).min()
}

/// `MemAvailable` of `/proc/meminfo`, in MiB.
fn mem_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_both_versions_and_of_groups_above_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let put = |group: &str, files: [(&str, u64); 2]| {
            let group = dir.path().join(group);
            fs::create_dir_all(&group).unwrap();
            for (name, mib) in files {
                fs::write(group.join(name), format!("{}\n", mib << 20)).unwrap();
            }
        };
        let one = |limit, used| {
            [
                ("memory.limit_in_bytes", limit),
                ("memory.usage_in_bytes", used),
            ]
        };
        let two = |limit, used| [("memory.max", limit), ("memory.current", used)];
        let left = |groups: &str| left_in_groups(dir.path(), groups);
        put("memory/ci", one(1000, 100));
        put("memory/ci/job", one(1 << 40, 50));
        assert_eq!(left("9:cpu:/ci\n5:memory:/ci/job\n0::/\n"), Some(900));
        put("ci/job", two(600, 100));
        assert_eq!(left("0::/ci/job\n"), Some(500));
        assert_eq!(left("9:cpu:/ci\n"), None);
        // A container that does not see the path of its own group.
        put("memory", one(300, 100));
        assert_eq!(left("5:memory:/docker/0123\n"), Some(200));
    }

    #[test]
    fn a_requested_number_is_taken_unless_the_memory_is_limited_too() {
        let of = |jobs, memory| Limits::of(jobs, memory, 256);
        assert_eq!(
            of(Some(7), None),
            Limits {
                jobs: 7,
                memory: None
            }
        );
        assert_eq!(of(Some(0), None).jobs, 1);
        let memory = Some(1000);
        assert_eq!(of(Some(7), memory), Limits { jobs: 2, memory });
        assert_eq!(of(None, Some(1)).jobs, 1);
        assert!(of(None, None).memory.is_some_and(|mib| mib > 0));
    }

    #[test]
    fn the_scarcer_of_cores_and_memory_decides() {
        assert_eq!(fit(8, Some(64_000), 256), 8);
        assert_eq!(fit(8, Some(1_000), 256), 2);
        assert_eq!(fit(8, Some(100), 256), 1);
        assert_eq!(fit(8, None, 256), 8);
    }

    #[test]
    fn available_memory_is_read() {
        assert_eq!(
            mem_available("MemTotal:  24684036 kB\nMemAvailable:   24368044 kB\n"),
            Some(23_796)
        );
        assert_eq!(mem_available("MemTotal: 1 kB\n"), None);
        assert!(available().is_some_and(|mib| mib > 0));
    }
}
