//! What the kernel says of a program, a map or BTF, by a descriptor of it.
#![expect(unsafe_code, reason = "libbpf is a C library")]

use std::os::fd::RawFd;

use libbpf_sys as sys;
use ukci_schema::evidence::VerifierStats;

/// Largest value of a map whose contents are kept when it is made read-only.
const MOST_VALUE: u32 = 64 * 1024;

/// The id of BTF.
pub(super) fn btf_id(fd: RawFd) -> Option<u32> {
    let mut info = sys::bpf_btf_info::default();
    let mut length = u32::try_from(size_of_val(&info)).ok()?;
    // SAFETY: the kernel fills at most `length` bytes; no array pointer is set.
    let result = unsafe { sys::bpf_btf_get_info_by_fd(fd, &raw mut info, &raw mut length) };
    (result == 0).then_some(info.id)
}

/// Id, and the figures of the verifier.
pub(super) fn program(fd: RawFd) -> Option<(u32, VerifierStats)> {
    let mut info = sys::bpf_prog_info::default();
    let mut length = u32::try_from(size_of_val(&info)).ok()?;
    // SAFETY: as above.
    let result = unsafe { sys::bpf_prog_get_info_by_fd(fd, &raw mut info, &raw mut length) };
    let stats = VerifierStats {
        insns: u64::from(info.verified_insns),
        xlated_bytes: u64::from(info.xlated_prog_len),
        jited_bytes: u64::from(info.jited_prog_len),
        ..VerifierStats::default()
    };
    (result == 0).then_some((info.id, stats))
}

/// The id and the name of a map.
pub(super) fn map(fd: RawFd) -> Option<(u32, String)> {
    let info = map_info(fd)?;
    let bytes = info.name.map(|c| u8::from_ne_bytes(c.to_ne_bytes()));
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(15);
    let name = String::from_utf8_lossy(&bytes[..end]).into_owned();
    Some((info.id, map_name(&name)))
}

fn map_info(fd: RawFd) -> Option<sys::bpf_map_info> {
    let mut info = sys::bpf_map_info::default();
    let mut length = u32::try_from(size_of_val(&info)).ok()?;
    // SAFETY: as above.
    let result = unsafe { sys::bpf_map_get_info_by_fd(fd, &raw mut info, &raw mut length) };
    (result == 0).then_some(info)
}

/// The name of a map as its object has it: libbpf puts the object's name before that of global data,
/// which begins with a dot.
pub(super) fn map_name(kernel: &str) -> String {
    match kernel.find('.') {
        Some(dot) => kernel[dot..].to_owned(),
        None => kernel.to_owned(),
    }
}

/// The only value of a map, as hex.
pub(super) fn only_value(fd: RawFd) -> Option<String> {
    let info = map_info(fd)?;
    let size = info.value_size;
    if info.type_ != sys::BPF_MAP_TYPE_ARRAY || info.max_entries != 1 || size > MOST_VALUE {
        return None;
    }
    let key = 0_u32;
    let mut value = vec![0_u8; size as usize];
    // SAFETY: an array's key has four bytes, and its value as many as the kernel said.
    let result =
        unsafe { sys::bpf_map_lookup_elem(fd, (&raw const key).cast(), value.as_mut_ptr().cast()) };
    (result == 0).then(|| hex(&value))
}

/// Bytes without the zeros at their end.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    let end = bytes.iter().rposition(|byte| *byte != 0);
    let bytes = &bytes[..end.map_or(0, |last| last + 1)];
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::{hex, map_name};

    #[test]
    fn zeros_at_the_end_are_left_out() {
        assert_eq!(hex(&[1, 0, 0xa0, 0, 0]), "0100a0");
        assert_eq!(hex(&[0; 9]), "");
    }

    #[test]
    fn global_data_is_named_as_in_its_object() {
        assert_eq!(map_name("execsnoo.rodata"), ".rodata");
        assert_eq!(map_name("events"), "events");
    }
}
