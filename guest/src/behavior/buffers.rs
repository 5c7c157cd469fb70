//! Takes events out of ring buffers and perf buffers.
//!
//! The buffers are opened before any program is attached, as a loader opens them, and stay open
//! until the last test has ended.
#![expect(unsafe_code, reason = "libbpf calls back")]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::ptr::{self, NonNull};

use libbpf_sys as sys;
use ukci_schema::behavior::{DATA_COUNT, DATA_LIMIT, Test};

use crate::bpf::{Errno, Map, Object, errno};

/// Pages of a perf buffer for each CPU.
const PAGES: sys::size_t = 64;

/// What was taken out of one buffer.
#[derive(Clone, Debug, Default)]
pub(super) struct Taken {
    /// How many events.
    pub(super) count: u64,
    /// How many the kernel says that it dropped.
    pub(super) lost: u64,
    /// The first of them.
    pub(super) events: Vec<Vec<u8>>,
    bytes: usize,
}

impl Taken {
    fn event(&mut self, bytes: &[u8]) {
        self.count += 1;
        self.bytes += bytes.len();
        if self.events.len() < DATA_COUNT && self.bytes <= DATA_LIMIT {
            self.events.push(bytes.to_vec());
        }
    }
}

/// The buffers that tests name, and why others could not be opened.
pub(super) struct Buffers(BTreeMap<String, Result<Buffer, String>>);

impl Buffers {
    /// Opens every buffer of which a test expects events.
    pub(super) fn open(object: &Object, tests: &[Test]) -> Self {
        let mut buffers = BTreeMap::new();
        let named = tests.iter().flat_map(|test| &test.expected.events);
        for name in named.map(|events| &events.map) {
            if buffers.contains_key(name) {
                continue;
            }
            let maps = object.maps();
            let opened = match maps.iter().find(|map| map.name() == *name) {
                Some(map) => Buffer::open(*map),
                None => Err(format!("the object has no map `{name}`")),
            };
            buffers.insert(name.clone(), opened);
        }
        Self(buffers)
    }

    /// Takes what there is out of all buffers.
    pub(super) fn take(&self) {
        for buffer in self.0.values().flatten() {
            buffer.take();
        }
    }

    /// Takes what there is, and forgets all that was taken.
    pub(super) fn forget(&self) {
        self.take();
        for buffer in self.0.values().flatten() {
            buffer.taken.replace(Taken::default());
        }
    }

    /// What was taken out of the buffer of this name.
    pub(super) fn taken(&self, name: &str) -> Result<Taken, String> {
        match self.0.get(name) {
            Some(Ok(buffer)) => Ok(buffer.taken.borrow().clone()),
            Some(Err(why)) => Err(why.clone()),
            None => Err(format!("buffer `{name}` was not opened")),
        }
    }
}

enum Handle {
    Ring(NonNull<sys::ring_buffer>),
    Perf(NonNull<sys::perf_buffer>),
}

struct Buffer {
    handle: Handle,
    /// In a box of its own: libbpf has its address.
    taken: Box<RefCell<Taken>>,
}

impl Buffer {
    fn open(map: Map<'_>) -> Result<Self, String> {
        let name = map.name();
        let fd = map
            .fd()
            .ok_or_else(|| format!("map `{name}` is not created"))?;
        let taken = Box::<RefCell<Taken>>::default();
        let context = ptr::from_ref(&*taken).cast_mut().cast::<c_void>();
        let failed = |errno: Errno| format!("open the buffer `{name}`: errno {errno}");
        let handle = match map.kind() {
            sys::BPF_MAP_TYPE_RINGBUF => {
                // SAFETY: the context lives in the new `Buffer` for as long as the handle.
                let ring = unsafe { sys::ring_buffer__new(fd, Some(sample), context, ptr::null()) };
                Handle::Ring(NonNull::new(ring).ok_or_else(|| failed(errno()))?)
            }
            sys::BPF_MAP_TYPE_PERF_EVENT_ARRAY => {
                // SAFETY: as above.
                let perf = unsafe {
                    sys::perf_buffer__new(
                        fd,
                        PAGES,
                        Some(perf_sample),
                        Some(lost),
                        context,
                        ptr::null(),
                    )
                };
                Handle::Perf(NonNull::new(perf).ok_or_else(|| failed(errno()))?)
            }
            _ => {
                return Err(format!(
                    "map `{name}` is of type `{}`, which has no events",
                    map.kind_name()
                ));
            }
        };
        Ok(Self { handle, taken })
    }

    fn take(&self) {
        // SAFETY: the handle is alive; the callbacks only touch the context.
        unsafe {
            match self.handle {
                Handle::Ring(ring) => sys::ring_buffer__consume(ring.as_ptr()),
                Handle::Perf(perf) => sys::perf_buffer__consume(perf.as_ptr()),
            };
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: freed once, here, before the context.
        unsafe {
            match self.handle {
                Handle::Ring(ring) => sys::ring_buffer__free(ring.as_ptr()),
                Handle::Perf(perf) => sys::perf_buffer__free(perf.as_ptr()),
            }
        }
    }
}

unsafe extern "C" fn sample(context: *mut c_void, data: *mut c_void, size: sys::size_t) -> c_int {
    // SAFETY: `Buffer::open` gave this context, and libbpf `size` bytes of data.
    unsafe { keep(context, data, usize::try_from(size).unwrap_or(0)) };
    0
}

unsafe extern "C" fn perf_sample(context: *mut c_void, _: c_int, data: *mut c_void, size: u32) {
    // SAFETY: as above.
    unsafe { keep(context, data, size as usize) };
}

unsafe extern "C" fn lost(context: *mut c_void, _: c_int, count: u64) {
    // SAFETY: as above.
    unsafe { (*context.cast::<RefCell<Taken>>()).borrow_mut().lost += count };
}

/// # Safety
///
/// `context` is a `RefCell<Taken>` that lives, and `data` has `size` bytes.
unsafe fn keep(context: *mut c_void, data: *mut c_void, size: usize) {
    // SAFETY: the caller's promise; nothing is borrowed while libbpf hands out events.
    unsafe {
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), size);
        (*context.cast::<RefCell<Taken>>())
            .borrow_mut()
            .event(bytes);
    }
}
