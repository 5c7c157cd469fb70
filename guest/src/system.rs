//! Sets up the system for a cell as PID 1: limits, clock and entropy.
//!
//! Each step is done as far as the kernel permits it. A step that fails never fails the cell.
#![expect(unsafe_code, reason = "ioctls of /dev/random")]

use std::ffi::c_int;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Resource, Rlimit};

/// What the kernel gave the first process: the limit on locked memory.
static MEMORY_LOCK: OnceLock<(Option<u64>, Option<u64>)> = OnceLock::new();

/// Most open files that a service of a distribution may have, and may raise that to.
const OPEN_FILES: (Option<u64>, Option<u64>) = (Some(1024), Some(524_288));

/// The limits that a command of a booted distribution has: systemd restores the kernel's own limit
/// on locked memory, which is 64 KiB before 5.16 and 8 MiB after.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    memory_lock: (Option<u64>, Option<u64>),
}

/// The limits for a command.
pub(crate) fn limits_at_boot() -> Limits {
    let memory_lock = MEMORY_LOCK.get().copied().unwrap_or((None, None));
    Limits { memory_lock }
}

/// Sets the limits of this process, which is about to become a command.
pub(crate) fn restore_limits(limits: Limits) {
    let limit = |(current, maximum)| Rlimit { current, maximum };
    let _ = rustix::process::setrlimit(Resource::Memlock, limit(limits.memory_lock));
    let _ = rustix::process::setrlimit(Resource::Nofile, limit(OPEN_FILES));
}

/// Lifts `RLIMIT_MEMLOCK`.
pub(crate) fn lift_memory_lock() {
    let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Memlock);
    let _ = MEMORY_LOCK.set((current, maximum));
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

/// Lets the kernel end what a boot leaves to be done: a guest that is saved before would have it done
/// in each of its copies.
pub(crate) fn settle(random: Option<&File>) {
    // Some kernels are still without entropy. What they get here is known to whoever can read the
    // saved guest; each of its copies gets some of its own before it draws any.
    add_entropy(random, &"5a".repeat(32));
    populate();
    std::thread::sleep(SETTLE);
}

/// The kernel refines its measure of the time stamp counter for a second, and then changes its clock.
const SETTLE: Duration = Duration::from_millis(1500);

/// Gives this process its pages now: after a fork, each write to one would be a fault. Kernels from
/// 5.14 can do this; with an older one the faults come one by one.
pub(crate) fn populate() {
    // SAFETY: only tells the allocator by how much it grows its heap.
    unsafe { libc::mallopt(libc::M_TOP_PAD, HEAP) };
    // Larger than anything that is free in the heap, and too small for a mapping of its own.
    drop(std::hint::black_box(vec![0_u8; 100 << 10]));
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for line in maps.lines().filter(|line| !line.contains("[v")) {
        let mut words = line.split_ascii_whitespace();
        let (Some(range), Some(rights)) = (words.next(), words.next()) else {
            continue;
        };
        let advice = match rights.as_bytes() {
            [b'r', b'w', _, b'p'] => libc::MADV_POPULATE_WRITE,
            [b'r', ..] => libc::MADV_POPULATE_READ,
            _ => continue,
        };
        let number = |hex| usize::from_str_radix(hex, 16).ok();
        let Some((start, end)) = range.split_once('-') else {
            continue;
        };
        if let (Some(start), Some(end)) = (number(start), number(end)) {
            let start = std::ptr::without_provenance_mut(start);
            // SAFETY: neither advice changes what any page holds.
            unsafe { libc::madvise(start, end.saturating_sub(start.addr()), advice) };
        }
    }
}

/// By how many bytes the heap grows when it has to.
const HEAP: c_int = 1 << 20;

/// Mixes hex digits into the pool behind `/dev/random`, credits them, and reseeds: clones of one template would
/// otherwise draw the same numbers.
pub(crate) fn add_entropy(random: Option<&File>, hex: &str) {
    /// `struct rand_pool_info` with room for 32 bytes.
    #[repr(C)]
    struct RandPoolInfo {
        bits: c_int,
        bytes: c_int,
        buffer: [u8; 32],
    }
    let mut pool = RandPoolInfo {
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
    let Some(random) = random else { return };
    // SAFETY: the first ioctl reads `bytes` bytes of the buffer, the second takes nothing.
    unsafe {
        libc::ioctl(random.as_raw_fd(), 0x4008_5203, &raw const pool);
        libc::ioctl(random.as_raw_fd(), 0x5207);
    }
}
