//! How many machines fit on this host.

use std::num::NonZero;
use std::path::Path;
use std::{fs, thread};

/// What QEMU and the vsock device beside it take in addition to the guest's own memory, in MiB. Measured:
/// 205 MiB resident for a guest that had touched about 75 MiB of its 256, plus 14–25 MiB of
/// vhost-device-vsock.
const OVERHEAD: u64 = 150;

/// How many machines run at once: as many as requested, else one per core, but no more than fit in
/// memory (each needs `memory` MiB and what QEMU itself takes), and at least one.
pub fn jobs(asked: Option<usize>, memory: u32) -> usize {
    asked.map_or_else(
        || {
            fit(
                thread::available_parallelism().map_or(1, NonZero::get),
                available(),
                memory,
            )
        },
        |asked| asked.max(1),
    )
}

/// The smaller of `cores` and the machines that `available` MiB hold, where that is known.
fn fit(cores: usize, available: Option<u64>, memory: u32) -> usize {
    let by_memory = available.map_or(usize::MAX, |available| {
        usize::try_from(available / (u64::from(memory) + OVERHEAD)).unwrap_or(usize::MAX)
    });
    cores.min(by_memory).max(1)
}

/// Memory that can be used without swapping, in MiB: the host's, or what is left of the control
/// group's limit where that is less, as in a container.
fn available() -> Option<u64> {
    let host = mem_available(&fs::read_to_string("/proc/meminfo").ok()?);
    let group = fs::read_to_string("/proc/self/cgroup")
        .ok()
        .and_then(|text| {
            let path = text.lines().find_map(|line| line.strip_prefix("0::/"))?;
            let directory = Path::new("/sys/fs/cgroup").join(path);
            let read = |name: &str| {
                fs::read_to_string(directory.join(name))
                    .ok()?
                    .trim()
                    .parse::<u64>()
                    .ok()
            };
            // `max` where there is no limit, which is no number.
            Some(read("memory.max")?.saturating_sub(read("memory.current")?) >> 20)
        });
    host.into_iter().chain(group).min()
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
    fn a_requested_number_is_taken() {
        assert_eq!(jobs(Some(7), 1 << 20), 7);
        assert_eq!(jobs(Some(0), 256), 1);
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
