//! Memory for a verifier's log. The system gives a page of it when the kernel first writes there, so
//! that a log costs what it holds: an allocator hands out used memory again, and would clear 16 MiB
//! for each of the programs of an object.

use std::ffi::c_char;
use std::ptr::{self, NonNull};

/// Zeroed memory, until this is dropped.
#[derive(Debug)]
pub(super) struct LogBuffer {
    start: NonNull<c_char>,
    size: usize,
}

impl LogBuffer {
    /// Nothing if the system has none.
    pub(super) fn new(size: usize) -> Option<Self> {
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
        Some(Self { start, size })
    }

    pub(super) fn as_mut_ptr(&self) -> *mut c_char {
        self.start.as_ptr()
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this size, and nobody else unmaps it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.size) };
    }
}
