//! Reads the entries of a map, with what they mean by their types.
#![expect(unsafe_code, reason = "libbpf is a C library")]

use std::os::fd::RawFd;
use std::ptr;

use libbpf_sys as sys;
use ukci_schema::behavior::{DATA_COUNT, DATA_LIMIT, Entry};

use super::Loaded;
use crate::bpf::{self, Errno, Map, check};

/// Map types with a value for each CPU.
const PER_CPU: &[u32] = &[
    sys::BPF_MAP_TYPE_PERCPU_HASH,
    sys::BPF_MAP_TYPE_PERCPU_ARRAY,
    sys::BPF_MAP_TYPE_LRU_PERCPU_HASH,
    sys::BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE,
];

/// The entries, as many as evidence keeps, and whether there are more.
pub(super) fn read(copy: &Loaded, map: Map<'_>) -> Result<(Vec<Entry>, bool), String> {
    let name = map.name();
    let fd = map
        .fd()
        .ok_or_else(|| format!("map `{name}` is not created"))?;
    let (key_size, value_size, ..) = map.shape();
    let (key_size, value_size) = (key_size as usize, value_size as usize);
    if key_size == 0 {
        let kind = map.kind_name();
        return Err(format!(
            "map `{name}` of type `{kind}` has no entries to read"
        ));
    }
    let (key_type, value_type) = copy.types.get(&name).copied().unwrap_or_default();
    // The kernel gives every CPU's value room of whole 8 bytes.
    let (room, cpus) = if PER_CPU.contains(&map.kind()) {
        let cpus = bpf::possible_cpus().map_err(|errno| format!("count CPUs: errno {errno}"))?;
        (value_size.next_multiple_of(8), cpus as usize)
    } else {
        (value_size, 1)
    };
    let mut entries = Vec::new();
    let mut bytes = 0;
    let mut key: Option<Vec<u8>> = None;
    loop {
        let next = match next_key(fd, key.as_deref(), key_size) {
            Ok(next) => next,
            Err(libc::ENOENT) => return Ok((entries, false)),
            Err(errno) => return Err(format!("the entries of map `{name}`: errno {errno}")),
        };
        bytes += key_size + room * cpus;
        if entries.len() == DATA_COUNT || bytes > DATA_LIMIT {
            return Ok((entries, true));
        }
        let mut values = vec![0; room * cpus];
        // What is gone by now is no entry any more.
        if look_up(fd, &next, &mut values).is_ok() {
            entries.push(Entry {
                key: copy.datum(key_type, &next),
                values: (values.chunks(room.max(1)))
                    .map(|value| copy.datum(value_type, &value[..value_size]))
                    .collect(),
            });
        }
        key = Some(next);
    }
}

/// The key after `key`, or the first.
fn next_key(map: RawFd, key: Option<&[u8]>, size: usize) -> Result<Vec<u8>, Errno> {
    let mut next = vec![0; size];
    let key = key.map_or(ptr::null(), <[u8]>::as_ptr);
    // SAFETY: both are NULL or as long as the map's keys.
    check(unsafe { sys::bpf_map_get_next_key(map, key.cast(), next.as_mut_ptr().cast()) })?;
    Ok(next)
}

/// Reads a value; both slices are as long as the kernel has them.
fn look_up(map: RawFd, key: &[u8], value: &mut [u8]) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    check(unsafe { sys::bpf_map_lookup_elem(map, key.as_ptr().cast(), value.as_mut_ptr().cast()) })
}
