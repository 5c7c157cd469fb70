//! libbpf's names for the kernel's numbers, and its probes of kernel features.
#![expect(unsafe_code, reason = "libbpf is a C library")]

use std::ffi::{c_char, c_int};
use std::ptr;

use libbpf_sys as sys;

use super::{Errno, check, string};

/// libbpf's word for an `enum bpf_prog_type`.
pub fn program_type_name(kind: u32) -> String {
    // SAFETY: a static string or NULL.
    unsafe { string(sys::libbpf_bpf_prog_type_str(kind)) }.unwrap_or_else(|| format!("type {kind}"))
}

/// libbpf's word for an `enum bpf_map_type`.
pub fn map_type_name(kind: u32) -> String {
    // SAFETY: a static string or NULL.
    unsafe { string(sys::libbpf_bpf_map_type_str(kind)) }.unwrap_or_else(|| format!("type {kind}"))
}

/// libbpf's word for an `enum bpf_attach_type`.
pub fn attach_type_name(kind: u32) -> Option<String> {
    // SAFETY: a static string or NULL.
    unsafe { string(sys::libbpf_bpf_attach_type_str(kind)) }
}

/// libbpf's word for an `enum bpf_link_type`.
pub fn link_type_name(kind: u32) -> String {
    // SAFETY: a static string or NULL.
    unsafe { string(sys::libbpf_bpf_link_type_str(kind)) }.unwrap_or_else(|| format!("type {kind}"))
}

/// How many program types libbpf knows, number 0 included.
pub fn program_types() -> u32 {
    // SAFETY: a static string or NULL.
    count(|kind| unsafe { sys::libbpf_bpf_prog_type_str(kind) })
}

/// How many map types libbpf knows, number 0 included.
pub fn map_types() -> u32 {
    // SAFETY: as above.
    count(|kind| unsafe { sys::libbpf_bpf_map_type_str(kind) })
}

/// How many link types libbpf knows, number 0 included.
pub fn link_types() -> u32 {
    // SAFETY: as above.
    count(|kind| unsafe { sys::libbpf_bpf_link_type_str(kind) })
}

/// How many numbers from 0 on have a name; libbpf knows some thirty of each.
fn count(name: impl Fn(u32) -> *const c_char) -> u32 {
    (0..1024).find(|kind| name(*kind).is_null()).unwrap_or(1024)
}

/// `v1.7`.
pub fn libbpf_version() -> String {
    // SAFETY: a static string.
    unsafe { string(sys::libbpf_version_string()) }.unwrap_or_default()
}

/// Whether the kernel lets programs of this type call this helper; `None` if libbpf cannot tell.
pub fn probe_helper(program_type: u32, helper: u32) -> Option<bool> {
    // SAFETY: numbers only; the options must be NULL.
    answer(unsafe { sys::libbpf_probe_bpf_helper(program_type, helper, ptr::null()) })
}

/// Whether the kernel has this map type; `None` if libbpf cannot tell.
pub fn probe_map_type(kind: u32) -> Option<bool> {
    // SAFETY: as above.
    answer(unsafe { sys::libbpf_probe_bpf_map_type(kind, ptr::null()) })
}

/// Whether the kernel has this program type; `None` if libbpf cannot tell.
pub fn probe_program_type(kind: u32) -> Option<bool> {
    // SAFETY: as above.
    answer(unsafe { sys::libbpf_probe_bpf_prog_type(kind, ptr::null()) })
}

/// How many CPUs the kernel could ever bring up.
pub fn possible_cpus() -> Result<u32, Errno> {
    // SAFETY: reads a file of sysfs.
    let cpus = unsafe { sys::libbpf_num_possible_cpus() };
    check(cpus)?;
    u32::try_from(cpus).map_err(|_| libc::EOVERFLOW)
}

fn answer(result: c_int) -> Option<bool> {
    match result {
        1 => Some(true),
        0 => Some(false),
        _ => None,
    }
}
