//! The verifier's sentences: what they are about, and what to do.

/// Whether the verifier refused for a reason that no missing helper or kfunc can give: it reached
/// an instruction and found fault with what that does to registers, memory or control.
///
/// A missing helper in a branch that is never walked is no reason; and for callback helpers old
/// kernels say something that names no helper at all ("number of funcs in `func_info` doesn't match
/// number of subprogs", "unrecognized `bpf_ld_imm64` insn"), so this is a list of what is *not* it.
pub(super) fn is_no_missing_function(sentence: &str) -> bool {
    let register = sentence.strip_prefix('R').is_some_and(|rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
            .starts_with([' ', '('])
    });
    let about = [
        "mem access",
        "invalid access to",
        "invalid indirect",
        "bpf_context access",
        "stack",
        "infinite loop",
        "back-edge",
        "too large",
        "too complex",
        "too many",
        "Unreleased",
        "reference leak",
        "sleepable",
        "GPL",
        "misaligned",
        "At program exit",
        "CO-RE",
        "wasn't created",
        "wasn't resolved",
        "unbounded",
        "pointer arithmetic",
        "leaks addr",
        "non-JITed",
        "preallocated",
        "reserved fields",
        "spin_lock",
        "bpf_spin_lock",
    ];
    register || about.iter().any(|words| sentence.contains(words))
}

/// What usually helps against a sentence, best first.
pub(super) fn hints(sentence: &str) -> Vec<&'static str> {
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
            &["BPF_STX uses reserved fields", "BPF_ATOMIC"],
            "atomic operations that return a value, and all but add, came with 5.12: use a spin \
             lock or `__sync_fetch_and_add` without its result before",
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
    use super::{hints, is_no_missing_function};

    #[test]
    fn a_missing_helper_is_told_from_other_reasons() {
        for missing in [
            "unknown func bpf_loop#181",
            "invalid func unknown#213",
            "number of funcs in func_info doesn't match number of subprogs",
            "unrecognized bpf_ld_imm64 insn",
            "program of this type cannot use helper bpf_loop#181",
            "unreachable insn 12",
        ] {
            assert!(!is_no_missing_function(missing), "{missing}");
        }
        for other in [
            "R0 invalid mem access 'map_value_or_null'",
            "R1 type=inv expected=map_ptr",
            "infinite loop detected at insn 2",
            "invalid write to stack R10 off=8 size=8",
            "BPF program is too large. Processed 1000001 insn",
            "cannot call GPL-restricted function from non-GPL compatible program",
            "__x64_sys_execve is not sleepable",
        ] {
            assert!(is_no_missing_function(other), "{other}");
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
