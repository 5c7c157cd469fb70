//! What watched calls returned, from the kernel's own tracepoints at the end of system calls.
//!
//! A listener of seccomp sees a call only before it begins. The tracepoints `sys_exit_…` are read
//! through perf events, one for each call and CPU with one ring for each CPU. Neither is visible to the
//! command, and no program of BPF is loaded. The events are on only while a watched call is running.
#![expect(unsafe_code, reason = "perf_event_open(2) and a ring in shared memory")]

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, fence};

use libbpf_sys as sys;

/// Pages of a ring without its first, a power of two.
const PAGES: usize = 16;

/// Offsets in `struct perf_event_mmap_page`.
const HEAD: usize = 1024;
const TAIL: usize = 1032;

const ENABLE: libc::Ioctl = 0x2400;
const DISABLE: libc::Ioctl = 0x2401;
const SET_OUTPUT: libc::Ioctl = 0x2405;

/// The calls whose ends are seen.
const CALLS: &[(&str, libc::c_long)] = &[
    ("bpf", libc::SYS_bpf),
    ("perf_event_open", libc::SYS_perf_event_open),
    ("ioctl", libc::SYS_ioctl),
    ("setsockopt", libc::SYS_setsockopt),
    ("sendmsg", libc::SYS_sendmsg),
    ("sendto", libc::SYS_sendto),
];

/// The end of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) thread: i32,
    pub(super) nr: i64,
    /// A negated errno, or what the call returned.
    pub(super) value: i64,
}

#[derive(Debug)]
pub(super) struct Results {
    cpus: Vec<Cpu>,
    /// How many calls of each kind run.
    running: [u32; CALLS.len()],
}

#[derive(Debug)]
struct Cpu {
    /// In the order of [`CALLS`]; the first one's ring is that of all.
    events: Vec<OwnedFd>,
    ring: Ring,
}

impl Results {
    pub(super) fn open() -> Result<Self, String> {
        let mut cpus = Vec::new();
        for cpu in online()? {
            let mut events: Vec<OwnedFd> = Vec::new();
            for (name, _) in CALLS {
                let event = open(id(name)?, cpu)
                    .map_err(|error| format!("open the tracepoint sys_exit_{name}: {error}"))?;
                events.push(event);
            }
            let ring = Ring::of(&events[0]).map_err(|error| format!("map a ring: {error}"))?;
            // Only an event that is mapped can be the output of others.
            for event in &events[1..] {
                control(event, SET_OUTPUT, events[0].as_raw_fd())
                    .map_err(|error| format!("share a ring of events: {error}"))?;
            }
            cpus.push(Cpu { events, ring });
        }
        Ok(Self {
            cpus,
            running: [0; CALLS.len()],
        })
    }

    /// Can be read when a call has ended.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.cpus.iter().map(|cpu| cpu.events[0].as_raw_fd())
    }

    /// From now on the end of calls of this number is seen.
    pub(super) fn expect(&mut self, nr: i64) {
        self.count(nr, 1, ENABLE);
    }

    /// One call that was expected has ended, or never will.
    pub(super) fn forget(&mut self, nr: i64) {
        self.count(nr, -1, DISABLE);
    }

    fn count(&mut self, nr: i64, by: i32, what: libc::Ioctl) {
        let Some(n) = CALLS.iter().position(|(_, number)| *number == nr) else {
            return;
        };
        let before = self.running[n];
        self.running[n] = before.saturating_add_signed(by);
        if (before == 0) != (self.running[n] == 0) {
            for cpu in &self.cpus {
                let _ = control(&cpu.events[n], what, 0);
            }
        }
    }

    /// The calls that have ended since the last time, and how many were lost.
    pub(super) fn take(&mut self) -> (Vec<Ended>, u64) {
        let (mut ended, mut lost) = (Vec::new(), 0);
        for cpu in &mut self.cpus {
            cpu.ring.read(&mut |record| match record {
                Record::Ended(one) => ended.push(one),
                Record::Lost(count) => lost += count,
            });
        }
        (ended, lost)
    }
}

fn control(event: &OwnedFd, what: libc::Ioctl, argument: RawFd) -> io::Result<()> {
    // SAFETY: each of these takes a number.
    match unsafe { libc::ioctl(event.as_raw_fd(), what, argument) } {
        result if result < 0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn id(call: &str) -> Result<u64, String> {
    let path = format!("/sys/kernel/tracing/events/syscalls/sys_exit_{call}/id");
    let text = fs::read_to_string(&path).map_err(|error| format!("read {path}: {error}"))?;
    text.trim().parse().map_err(|_| format!("{path}: {text}"))
}

/// The CPUs of a list like `0-3,6`.
fn online() -> Result<Vec<i32>, String> {
    let path = "/sys/devices/system/cpu/online";
    let text = fs::read_to_string(path).map_err(|error| format!("read {path}: {error}"))?;
    Ok(list(text.trim()))
}

fn list(text: &str) -> Vec<i32> {
    let parts = text.split(',').filter_map(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    });
    parts.flatten().collect()
}

fn open(id: u64, cpu: i32) -> io::Result<OwnedFd> {
    let mut attributes = sys::perf_event_attr {
        type_: sys::PERF_TYPE_TRACEPOINT,
        size: u32::try_from(size_of::<sys::perf_event_attr>()).unwrap_or(0),
        config: id,
        sample_type: u64::from(sys::PERF_SAMPLE_TID) | u64::from(sys::PERF_SAMPLE_RAW),
        ..Default::default()
    };
    attributes.__bindgen_anon_1.sample_period = 1;
    attributes.__bindgen_anon_2.wakeup_events = 1;
    attributes.set_disabled(1);
    let flags = sys::PERF_FLAG_FD_CLOEXEC;
    // SAFETY: the attributes outlive the call; the new descriptor is ours alone.
    unsafe {
        let fd = libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attributes,
            -1,
            cpu,
            -1,
            flags,
        );
        let fd = RawFd::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

enum Record {
    Ended(Ended),
    Lost(u64),
}

/// A ring that the kernel writes and the agent reads.
#[derive(Debug)]
struct Ring {
    start: NonNull<u8>,
    page: usize,
}

impl Ring {
    fn of(event: &OwnedFd) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let fd = event.as_raw_fd();
        let none = std::ptr::null_mut();
        // SAFETY: a new mapping at an address that the kernel chooses, and a number.
        let (start, page) = unsafe {
            let page = usize::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096);
            let length = page * (PAGES + 1);
            let start = libc::mmap(none, length, access, libc::MAP_SHARED, fd, 0);
            (start, page)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or_else(io::Error::last_os_error)?;
        Ok(Self { start, page })
    }

    fn position(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: the first page is mapped as long as `self` lives, and both positions are aligned
        // words in it, which the kernel reads and writes as such.
        unsafe { AtomicU64::from_ptr(self.start.add(offset).cast::<u64>().as_ptr()) }
    }

    /// Bytes from a position on, which may go round the ring's end.
    fn bytes(&self, at: u64, length: usize) -> Vec<u8> {
        let ring = (self.page * PAGES) as u64;
        let byte = |n: u64| {
            let offset = usize::try_from((at + n) % ring).unwrap_or(0);
            // SAFETY: the offset lies in the mapping, and the kernel has finished this record.
            unsafe { self.start.as_ptr().add(self.page + offset).read_volatile() }
        };
        (0..length as u64).map(byte).collect()
    }

    fn read(&mut self, take: &mut dyn FnMut(Record)) {
        let head = self.position(HEAD).load(Ordering::Acquire);
        let mut tail = self.position(TAIL).load(Ordering::Relaxed);
        while tail < head {
            let header = self.bytes(tail, 8);
            let kind = u32_at(&header, 0);
            let size = u64::from(u16::from_ne_bytes([header[6], header[7]]));
            if size < 8 {
                tail = head;
                break;
            }
            let body = self.bytes(tail + 8, usize::try_from(size - 8).unwrap_or(0));
            if let Some(record) = record(kind, &body) {
                take(record);
            }
            tail += size;
        }
        fence(Ordering::SeqCst);
        self.position(TAIL).store(tail, Ordering::Release);
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped in `of` with this length, and no reference into it is left.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.page * (PAGES + 1)) };
    }
}

/// A record: process and thread, then the tracepoint's own bytes with their length before them. Of
/// those, the number of the call is at 8 and its result at 16, on every kernel.
fn record(kind: u32, body: &[u8]) -> Option<Record> {
    match kind {
        sys::PERF_RECORD_LOST => {
            let count = body.get(8..16)?.try_into().ok()?;
            Some(Record::Lost(u64::from_ne_bytes(count)))
        }
        sys::PERF_RECORD_SAMPLE => {
            let raw = body.get(12..)?;
            Some(Record::Ended(Ended {
                thread: u32_at(body, 4).cast_signed(),
                nr: i64::from(u32_at(raw, 8).cast_signed()),
                value: i64::from_ne_bytes(raw.get(16..24)?.try_into().ok()?),
            }))
        }
        _ => None,
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use super::{Record, list, record};

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(list("0"), [0]);
        assert_eq!(list("0-2,5"), [0, 1, 2, 5]);
    }

    #[test]
    fn samples_and_losses_are_read() {
        let mut body = Vec::new();
        body.extend(7_u32.to_ne_bytes());
        body.extend(8_u32.to_ne_bytes());
        body.extend(24_u32.to_ne_bytes());
        body.extend([0; 8]);
        body.extend(321_u32.to_ne_bytes());
        body.extend([0; 4]);
        body.extend((-22_i64).to_ne_bytes());
        let Some(Record::Ended(ended)) = record(libbpf_sys::PERF_RECORD_SAMPLE, &body) else {
            panic!("a sample");
        };
        assert_eq!((ended.thread, ended.nr, ended.value), (8, 321, -22));
        assert!(record(libbpf_sys::PERF_RECORD_SAMPLE, &body[..20]).is_none());
        let lost = [[0; 8], 3_u64.to_ne_bytes()].concat();
        let Some(Record::Lost(3)) = record(libbpf_sys::PERF_RECORD_LOST, &lost) else {
            panic!("a loss");
        };
    }
}
