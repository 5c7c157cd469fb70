//! Translates the verifier's names of types into words for a reader.

use crate::verifier_log::Register;

/// What a register holds: `scalar` is "a number".
pub(super) fn kind(kind: &str) -> String {
    let said = match kind {
        "scalar" | "inv" | "imm" | "fixed-scalar" => "a number",
        "ctx" => "the context pointer",
        "fp" => "a pointer to the stack",
        "pkt" => "a pointer into the packet",
        "pkt_meta" => "a pointer to the packet's metadata",
        "pkt_end" => "the end of the packet",
        "map_ptr" | "const_map_ptr" => "the map itself",
        "map_ptr_or_null" => "a map that may be NULL",
        "arena" => "a pointer into the arena",
        "map_value" => "a map value",
        "map_value_or_null" => "a map value that may be NULL",
        "map_key" => "a map key",
        "mem" | "ringbuf_mem" | "alloc_mem" => "memory of a known size",
        "mem_or_null" | "ringbuf_mem_or_null" | "alloc_mem_or_null" => {
            "memory of a known size that may be NULL"
        }
        "sock_or_null" | "sock_common_or_null" | "tcp_sock_or_null" => "a socket that may be NULL",
        "sock" | "sock_common" | "tcp_sock" => "a socket",
        "buf" | "rdonly_buf" | "rdwr_buf" => "a buffer of the kernel",
        "func" => "a function of the program",
        _ => return typed(kind),
    };
    said.to_owned()
}

/// Whether a register holds a map itself, not a value of it.
pub(super) fn is_map(kind: &str) -> bool {
    matches!(kind, "map_ptr" | "const_map_ptr")
}

/// `trusted_ptr_file` is a pointer of the kernel to `struct file`.
fn typed(kind: &str) -> String {
    let (bare, null) = match kind.strip_prefix("ptr_or_null_") {
        Some(name) => (name, true),
        None => match kind.split_once("ptr_") {
            Some((_, rest)) => match rest.strip_prefix("or_null_") {
                Some(name) => (name, true),
                None => (rest, false),
            },
            None => return format!("`{kind}`"),
        },
    };
    let untrusted = if kind.starts_with("untrusted") {
        "an untrusted "
    } else {
        "a "
    };
    let null = if null { " that may be NULL" } else { "" };
    if bare.is_empty() {
        format!("{untrusted}kernel pointer{null}")
    } else {
        format!("{untrusted}kernel pointer to `struct {bare}`{null}")
    }
}

/// The values that a number can have, in words: `0 to 31`, `any number`. None where the log does not
/// say.
pub(super) fn range(register: &Register<'_>) -> Option<String> {
    if !register.printed && register.constant().is_none() {
        return None;
    }
    let (low, high) = register.signed;
    Some(match (low, high) {
        (i64::MIN, i64::MAX) if register.unsigned == (0, u64::MAX) => "any number".into(),
        (low, high) if low == high => format!("{low}"),
        (i64::MIN, i64::MAX) => format!("{} to {}", register.unsigned.0, register.unsigned.1),
        (i64::MIN, high) => format!("any number up to {high}"),
        (low, i64::MAX) => format!("any number from {low}"),
        (low, high) => format!("{low} to {high}"),
    })
}

/// `1 byte`, `16 bytes`.
pub(super) fn bytes(count: i64) -> String {
    if count == 1 {
        "1 byte".into()
    } else {
        format!("{count} bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::{bytes, kind, range};
    use crate::verifier_log::Register;

    #[test]
    fn the_verifiers_words_are_translated() {
        assert_eq!(kind("scalar"), "a number");
        assert_eq!(
            kind("trusted_ptr_file"),
            "a kernel pointer to `struct file`"
        );
        assert_eq!(
            kind("ptr_or_null_task_struct"),
            "a kernel pointer to `struct task_struct` that may be NULL"
        );
        assert_eq!(kind("untrusted_ptr_"), "an untrusted kernel pointer");
        assert_eq!(kind("iter_num"), "`iter_num`");
        assert_eq!(kind("map_ptr_or_null"), "a map that may be NULL");
        assert_eq!(bytes(1), "1 byte");
        let of = |text| range(&Register::of(text).unwrap()).unwrap();
        assert_eq!(of("scalar()"), "any number");
        assert_eq!(of("inv7"), "7");
        assert_eq!(of("scalar(umax=31)"), "0 to 31");
        assert_eq!(of("scalar(smin=-4095,smax=256)"), "-4095 to 256");
        assert_eq!(of("scalar(smax=15)"), "any number up to 15");
        assert_eq!(range(&Register::of_kind("scalar")), None);
    }
}
