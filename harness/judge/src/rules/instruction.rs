//! Instructions that a kernel does not know, because the compiler was told to use a newer
//! instruction set.

use crate::case::Case;
use crate::finding::at_load;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::history;

/// The hint for instructions of the fourth set.
const V4: &str = "compile with `-mcpu=v3`: kernels since 5.12 have all of its instructions";

/// The same of a move, where nothing tells which of the two it is.
const V4_OR_ARENA: &str = "compile with `-mcpu=v3` if the program has no arena pointers (`__arena`); with them, it \
                           needs a kernel with arenas (6.9)";

const ARENA: &str = "load a variant without the arena on kernels before 6.9: the compiler casts each arena pointer \
                     (`__arena`), whatever `-mcpu` is";

/// What an unknown instruction is.
#[derive(Clone, Copy)]
struct Unknown {
    /// What the verifier says; the first that fits decides.
    words: &'static str,
    /// What it is.
    is: &'static str,
    /// The mainline release that brought it.
    release: &'static str,
    hint: &'static str,
}

/// The fourth set came with 6.6, `may_goto` with 6.9, acquiring and releasing with 6.15.
const UNKNOWN: &[Unknown] = &[
    Unknown {
        words: "unknown opcode 06",
        is: "a far jump (`gotol`, -mcpu=v4)",
        release: "6.6",
        hint: V4,
    },
    Unknown {
        words: "BPF_JA uses reserved fields",
        is: "a far jump (`gotol`, -mcpu=v4)",
        release: "6.6",
        hint: V4,
    },
    Unknown {
        words: "unknown opcode d7",
        is: "an unconditional byte swap (`bswap`, -mcpu=v4)",
        release: "6.6",
        hint: V4,
    },
    Unknown {
        words: "unknown opcode e5",
        is: "`may_goto`",
        release: "6.9",
        hint: "use a loop with a constant bound (5.3) or `bpf_loop()` (5.17) on kernels without it",
    },
    Unknown {
        words: "BPF_LDX uses reserved fields",
        is: "a load that extends the sign (-mcpu=v4)",
        release: "6.6",
        hint: V4,
    },
    Unknown {
        words: "BPF_MOV uses reserved fields",
        is: "a move that extends the sign (-mcpu=v4) or casts an arena pointer (`addr_space_cast`)",
        release: "6.6",
        hint: V4_OR_ARENA,
    },
    Unknown {
        words: "BPF_ALU uses reserved fields",
        is: "a signed division or remainder (-mcpu=v4)",
        release: "6.6",
        hint: V4,
    },
    Unknown {
        words: "invalid atomic opcode 100",
        is: "a load that acquires",
        release: "6.15",
        hint: "use `__sync_fetch_and_add(p, 0)`, which orders both ways, on kernels without it",
    },
    Unknown {
        words: "invalid atomic opcode 110",
        is: "a store that releases",
        release: "6.15",
        hint: "use `__sync_lock_test_and_set` (`xchg`, 5.12), which orders both ways, on kernels \
               without it",
    },
];

/// What a move is in a program that uses an arena: the encoding of both is alike.
const CAST: Unknown = Unknown {
    words: "BPF_MOV uses reserved fields",
    is: "the cast of an arena pointer (`addr_space_cast`)",
    release: "6.9",
    hint: ARENA,
};

/// The release that takes calls of kernel functions (e6ac2450d6de).
const KFUNC_CALLS: &str = "5.13";

/// A call of a kernel function, on a kernel that has the function and takes no such call: libbpf
/// finds it in the kernel's BTF, and the verifier sees only a call with a field that it does not
/// know.
pub(crate) fn kfunc_call(case: &Case<'_>) -> Option<Diagnosis> {
    let sentence = case.sentence.as_deref()?;
    let kfunc = case.program.kfuncs.first()?;
    if !sentence.contains("BPF_CALL uses reserved fields")
        || !history::is_older(&case.evidence.guest.release, KFUNC_CALLS)
    {
        return None;
    }
    let others = match case.program.kfuncs.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let headline = format!(
        "this kernel takes no calls of kernel functions (mainline {KFUNC_CALLS}): {} calls `{kfunc}`{others}",
        case.name()
    );
    Some(at_load(
        Code::MissingKfunc,
        headline,
        &[
            "load a variant without the call on kernels before 5.13: switch the program off with \
             `bpf_program__set_autoload` there",
            "or do in the program what the function does",
        ],
    ))
}

/// The verifier does not know an instruction that mainline brought after this kernel's release.
pub(crate) fn unknown(case: &Case<'_>) -> Option<Diagnosis> {
    let sentence = case.sentence.as_deref()?;
    let found = UNKNOWN
        .iter()
        .find(|known| sentence.contains(known.words))?;
    let found = if found.words == CAST.words && uses_arena(case) {
        &CAST
    } else {
        found
    };
    if !history::is_older(&case.evidence.guest.release, found.release) {
        return None;
    }
    let headline = format!(
        "the kernel does not know an instruction of {}, {} (mainline {}): {sentence}",
        case.name(),
        found.is,
        found.release
    );
    Some(at_load(Code::VerifierRejection, headline, &[found.hint]))
}

fn uses_arena(case: &Case<'_>) -> bool {
    let mut arenas = case
        .evidence
        .maps
        .iter()
        .filter(|map| map.map_type == "arena");
    arenas.any(|arena| case.program.maps.contains(&arena.name))
}
