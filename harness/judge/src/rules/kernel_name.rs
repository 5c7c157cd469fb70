//! Names that the kernel does not accept, of maps, programs and types. It answers EINVAL without a word.

use crate::case::{Case, Whole};
use crate::errno::{self, EINVAL};
use crate::finding::at_load;
use crate::said::Said;
use ukci_schema::diagnosis::{Code, Diagnosis};

/// The bytes that libbpf gives the kernel of a name (`BPF_OBJ_NAME_LEN`, less the final zero).
const LENGTH: usize = 15;

/// What helps with the name of a map or a program.
pub(super) const RENAME: &str =
    "rename it: in names, the kernel accepts ASCII letters, digits, `_` and `.`";

/// The first character that is not accepted in the name of a map or a program.
///
/// `bpf_obj_name_cpy` takes `isalnum`, `_` and `.` (5.2, 3e0ddc4f3ff1). The kernel's `isalnum` knows
/// Latin-1, so the byte that begins a character of UTF-8 is a letter, and each byte behind it is not.
pub(super) fn unaccepted(name: &str) -> Option<char> {
    let is_accepted = |byte: &u8| match byte {
        b'_' | b'.' | 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0xff => true,
        other => other.is_ascii_alphanumeric(),
    };
    let bytes = name.as_bytes();
    let bad = bytes.iter().take(LENGTH).position(|b| !is_accepted(b))?;
    name[name.floor_char_boundary(bad)..].chars().next()
}

/// The kernel does not accept the program's name, and looks at nothing else.
pub(super) fn of_program(case: &Case<'_>) -> Option<Diagnosis> {
    let load = &case.program.load;
    if load.errno != Some(EINVAL) || !case.is_silent() {
        return None;
    }
    let bad = unaccepted(&case.program.name)?;
    let headline = format!(
        "the kernel does not accept the name of {}, which has `{bad}` ({})",
        case.name(),
        errno::name(load.errno)
    );
    Some(at_load(Code::InvalidObject, headline, &[RENAME]))
}

/// What helps if the kernel refused the object's types for the name of one.
pub(super) fn of_type(whole: &Whole<'_>) -> Option<String> {
    let name = whole.heard(|said| match *said {
        Said::OwnBtfName(name) => Some(name),
        _ => None,
    })?;
    Some(format!(
        "rename `{name}`: the kernel refuses all of the object's BTF over this name. In names it accepts \
         ASCII letters, digits, `_` and `.`, and `.` not in every name"
    ))
}

#[cfg(test)]
mod tests {
    use super::unaccepted;

    #[test]
    fn a_name_is_accepted_as_far_as_the_kernel_reads_it() {
        for (name, bad) in [
            ("sizes_2.bss", None),
            ("größe", Some('ö')),
            ("has$dollar", Some('$')),
            ("键", Some('键')),
            ("fifteen_letters", None),
            ("fifteen_letters_and_ö", None),
            // Of `ö`, only the first byte is read.
            ("fourteen_letteö", None),
            ("thirteen_letö", Some('ö')),
            ("", None),
        ] {
            assert_eq!(unaccepted(name), bad, "{name}");
        }
    }
}
