//! Programs that exceed a limit of the kernel. It reports them with E2BIG, which has many reasons.

use crate::case::Case;
use crate::errno::E2BIG;
use crate::finding::at_load;
use crate::verifier_log::Trace;
use ukci_schema::diagnosis::{Code, Diagnosis};

/// Most instructions of one program (`BPF_COMPLEXITY_LIMIT_INSNS`, since 5.2).
const INSNS: u64 = 1_000_000;
/// Most maps that one program refers to (`MAX_USED_MAPS`).
const MAPS: usize = 64;

/// What is too much, named where it is known. Kernels count instructions, and up to 6.x maps,
/// without a word.
pub(crate) fn diagnose(case: &Case<'_>) -> Option<Diagnosis> {
    let words = [
        "BPF program is too large",
        "The sequence of",
        "too many states",
        "too many subprog",
    ];
    let line = words.iter().find_map(|words| case.verifier_line(words));
    let too_big = case.program.load.errno == Some(E2BIG);
    if line.is_none() && !too_big {
        return None;
    }
    let silent = too_big && case.is_silent();
    let counted = case.verifier_line("maps per program has reached the limit");
    if counted.is_some() || (silent && case.program.maps.len() > MAPS) {
        return Some(maps(case));
    }
    if silent && case.program.insns > INSNS {
        return Some(instructions(case));
    }
    // E2BIG alone may also stand for attributes of the load that this kernel does not know.
    if silent {
        return None;
    }
    if let Some(line) = case.verifier_line("frames is too deep") {
        // A function that calls itself is no matter of a limit.
        let log = &case.program.load.log;
        if Trace::of(log, &case.program.program_type).calls_itself() {
            return None;
        }
        let headline = format!("{} calls functions too deeply: {line}", case.name());
        return Some(at_load(
            Code::VerifierLimit,
            headline,
            &[
                "inline functions of the chain (`static __always_inline`), or call them one after \
                 the other",
                "if a function of the chain calls itself, write a loop in place of the recursion",
            ],
        ));
    }
    Some(complexity(case, line.or(case.sentence.as_deref())))
}

fn maps(case: &Case<'_>) -> Diagnosis {
    let used = case.program.maps.len();
    let headline = format!(
        "{} refers to {used} maps, and a program may refer to {MAPS}",
        case.name()
    );
    at_load(
        Code::VerifierLimit,
        headline,
        &[
            "put values of the same kind into one map, under several keys",
            "or split the program: each tail call starts a new one",
        ],
    )
}

fn instructions(case: &Case<'_>) -> Diagnosis {
    let headline = format!(
        "{} has {} instructions, and a program may have {INSNS}",
        case.name(),
        case.program.insns
    );
    at_load(
        Code::VerifierLimit,
        headline,
        &[
            "keep loops as loops: leave out `#pragma unroll` and do not inline what is large",
            "or split the program: each tail call starts a new one",
        ],
    )
}

fn complexity(case: &Case<'_>, line: Option<&str>) -> Diagnosis {
    let why = line.map_or_else(
        || " (E2BIG)".into(),
        |line| format!(": {}", line.trim_end_matches('.')),
    );
    let insns = case
        .program
        .load
        .verifier
        .as_ref()
        .map_or(0, |stats| stats.insns);
    let after = if insns == 0 {
        String::new()
    } else {
        format!(" after {insns} instructions")
    };
    let headline = format!("the verifier gave up on {}{after}{why}", case.name());
    at_load(
        Code::VerifierLimit,
        headline,
        &[
            "give each loop a small constant bound that the verifier sees (`for (i = 0; i < 64 && i < n; \
             i++)`): it follows every pass of a loop",
            "or use a loop that is verified once: `bpf_loop()` (mainline 5.17) or an open-coded iterator such \
             as `bpf_for` (6.4)",
            "or split the program: a global function is verified once, and a tail call starts a new program",
        ],
    )
}
