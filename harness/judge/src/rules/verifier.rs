//! The verifier's sentences: what they are about, and what to do.

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

/// What usually helps against a sentence, best first.
pub(crate) fn hints(sentence: &str) -> Vec<&'static str> {
    const HINTS: &[(&[&str], &str)] = &[
        (
            &["_or_null", "possibly NULL", "or_null'"],
            "compare the pointer with NULL before its use",
        ),
        (
            &["invalid access to packet"],
            "compare the end of the access with `data_end` just before it",
        ),
        (
            &["invalid access to map value"],
            "bound the offset by the value's size just before the access",
        ),
        (
            &[
                "invalid mem access 'scalar'",
                "invalid mem access 'inv'",
                "invalid mem access 'imm'",
            ],
            "read kernel memory with `bpf_probe_read_kernel` or BPF_CORE_READ: the verifier does \
             not know this value as a pointer",
        ),
        (
            &[
                "min value is negative",
                "unbounded memory access",
                "unbounded",
            ],
            "bound the value just before its use: compare it, or mask it (`n &= SIZE - 1`)",
        ),
        (
            &["BPF_STX uses reserved fields"],
            "atomic operations that return a value, and all but add, came with 5.12 (acquiring \
             loads and releasing stores with 6.15): use a spin lock or `__sync_fetch_and_add` \
             without its result before",
        ),
        (
            &["preallocated hash", "Sleepable programs can only use"],
            "drop BPF_F_NO_PREALLOC from the map on kernels before 6.1, which let sleepable \
             programs use preallocated maps only",
        ),
        (
            &["can be sleepable"],
            "drop `.s` where the kernel does not let this type sleep (uprobes: 6.0)",
        ),
        (
            &["back-edge", "infinite loop"],
            "give the loop a bound that the verifier can see",
        ),
        (
            &["back-edge"],
            "kernels before 5.3 take no loops at all: unroll it (`#pragma unroll`)",
        ),
        (
            &["stack"],
            "keep the stack below 512 bytes and its accesses inside: move large buffers to a \
             per-CPU array",
        ),
        (
            &["with variable args is unsupported"],
            "attach a kprobe there: BTF programs trace no function of variable arguments",
        ),
        (
            &["disabled hook"],
            "the kernel keeps this hook from BPF: its result is no plain error, or it has none; take \
             another hook (`grep bpf_lsm_ /proc/kallsyms`)",
        ),
        (
            &["sleepable progs cannot use bpf_spin_lock"],
            "drop `.s`, or count with atomics: newer kernels let sleepable programs take a lock",
        ),
        (
            &["has to have BTF in order to use bpf_spin_lock"],
            "the map's type takes no lock, so libbpf created it without BTF: locks are for `hash`, \
             `array` and local storage maps, not for per-CPU ones",
        ),
        (
            &["cannot pass map_type"],
            "the helper is for maps of another type",
        ),
        (
            &["combined stack size"],
            "the stacks of a chain of calls count together",
        ),
        (&["!read_ok"], "set the value on every path that leads here"),
        (
            &["doesn't have", "bpf_context access"],
            "declare the arguments as this kernel has them, and read only those",
        ),
        (
            &["Unreleased reference", "reference leak"],
            "release the reference on every path (`bpf_…_release`, `bpf_ringbuf_discard`)",
        ),
        (
            &["is not allowed", "calling kernel function"],
            "the kfunc is there, and not for this program type or attach point",
        ),
        (
            &["leaks addr"],
            "do not store kernel pointers where user space can read them",
        ),
        (
            &["At program exit"],
            "return a value that this program type may return",
        ),
        (&["expected="], "pass what the helper expects there"),
    ];
    let fits = |words: &[&str]| words.iter().any(|words| sentence.contains(words));
    HINTS
        .iter()
        .filter(|(words, _)| fits(words))
        .map(|(_, hint)| *hint)
        .take(2)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Missing, hints, missing_helper};

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

    #[test]
    fn hints_fit_the_sentence() {
        let first = |sentence| hints(sentence).first().copied().unwrap_or_default();
        assert!(first("R0 invalid mem access 'map_value_or_null'").contains("NULL"));
        assert!(first("invalid write to stack R10 off=8 size=8").contains("512"));
        assert!(first("BPF_STX uses reserved fields").contains("5.12"));
        assert!(hints("something new").is_empty());
    }
}
