//! Memory for a verifier's log. The system gives a page of it when the kernel first writes there, so
//! that a log costs what it holds: an allocator hands out used memory again, and would clear 16 MiB
//! for each of the programs of an object. One is set aside before a guest is saved.

use std::ffi::c_char;
use std::ptr::{self, NonNull};
use std::sync::{Mutex, PoisonError};

/// Zeroed memory, until this is dropped.
#[derive(Debug)]
pub(super) struct LogBuffer {
    start: NonNull<c_char>,
    size: usize,
    /// Whether it stays mapped: to give it back would take a copy of a saved guest as long as to map
    /// it.
    is_kept: bool,
}

// SAFETY: it is the only one to know its memory.
unsafe impl Send for LogBuffer {}

/// What was set aside and is not taken yet.
static ASIDE: Mutex<Option<LogBuffer>> = Mutex::new(None);

impl LogBuffer {
    /// Sets one of this size aside, with its first page, for the first who wants one of that size.
    pub(super) fn set_aside(size: usize) {
        let Some(mut log) = Self::mapped(size) else {
            return;
        };
        log.is_kept = true;
        // SAFETY: the memory is ours, and has at least a byte. The page is there once it is written.
        unsafe { log.start.write_volatile(0) };
        *ASIDE.lock().unwrap_or_else(PoisonError::into_inner) = Some(log);
    }

    /// Nothing if the system has none.
    pub(super) fn new(size: usize) -> Option<Self> {
        let mut aside = ASIDE.lock().unwrap_or_else(PoisonError::into_inner);
        match aside.take_if(|log| log.size == size) {
            Some(log) => Some(log),
            None => Self::mapped(size),
        }
    }

    fn mapped(size: usize) -> Option<Self> {
        // SAFETY: a new mapping, which overlaps nothing.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        let start = NonNull::new(start)?.cast();
        Some(Self {
            start,
            size,
            is_kept: false,
        })
    }

    pub(super) fn as_mut_ptr(&self) -> *mut c_char {
        self.start.as_ptr()
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        if self.is_kept {
            return;
        }
        // SAFETY: mapped by us with this size, and nobody else unmaps it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}
