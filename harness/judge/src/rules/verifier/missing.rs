//! Recognizes messages of the verifier about a helper that this kernel lacks.

/// What a sentence says of a missing helper, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It names the helper's number.
    Number(u32),
    /// It stumbled over the callback of one, which kernels before 5.13 do not know as such: they
    /// take it for code that nobody calls.
    Callback,
}

/// Whether the verifier refused because of a helper. A helper that is missing in a branch that is
/// never walked is no reason for any other sentence.
pub(crate) fn missing_helper(sentence: &str) -> Option<Missing> {
    let direct = ["unknown func ", "invalid func ", "cannot use helper "];
    if let Some(words) = direct.iter().find(|words| sentence.contains(*words)) {
        let (_, rest) = sentence.split_once(words)?;
        let (_, number) = rest.split_once('#')?;
        let digits = number.split(|c: char| !c.is_ascii_digit()).next()?;
        return digits.parse().ok().map(Missing::Number);
    }
    let structure = [
        "number of funcs in func_info",
        "unrecognized bpf_ld_imm64 insn",
        "unreachable insn",
    ];
    let stumbled = structure.iter().any(|words| sentence.contains(words));
    stumbled.then_some(Missing::Callback)
}

#[cfg(test)]
mod tests {
    use super::{Missing, missing_helper};

    #[test]
    fn a_missing_helper_is_told_from_other_reasons() {
        for (said, number) in [
            ("unknown func bpf_loop#181", 181),
            ("invalid func unknown#213", 213),
            ("program of this type cannot use helper bpf_loop#181", 181),
        ] {
            assert_eq!(
                missing_helper(said),
                Some(Missing::Number(number)),
                "{said}"
            );
        }
        for stumbled in [
            "number of funcs in func_info doesn't match number of subprogs",
            "unrecognized bpf_ld_imm64 insn",
            "unreachable insn 12",
        ] {
            assert_eq!(
                missing_helper(stumbled),
                Some(Missing::Callback),
                "{stumbled}"
            );
        }
        for other in [
            "R0 invalid mem access 'map_value_or_null'",
            "cannot pass map_type 2 into func bpf_ringbuf_output#130",
            "infinite loop detected at insn 2",
            "BPF program is too large. Processed 1000001 insn",
            "cannot call GPL-restricted function from non-GPL compatible program",
            "dereference of modified ctx ptr R1 off=8 disallowed",
            "unknown opcode d7",
        ] {
            assert_eq!(missing_helper(other), None, "{other}");
        }
    }
}
