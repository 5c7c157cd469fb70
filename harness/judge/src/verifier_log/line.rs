//! Classifies one line of the verifier's log.

use super::instruction::{Instruction, end_of_jump};

/// One line of the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// `12: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(…)`, with the state behind it.
    Instruction(Instruction<'a>, &'a str),
    /// `0: R1=ctx() R10=fp0`, or ` R0_w=inv(id=0) R10=fp0` before 5.17.
    State(&'a str),
    /// `from 12 to 15: R0=…`: another path begins behind instruction 12.
    From(usize, &'a str),
    /// `Validating f() func#1...`: a global function is verified by itself.
    Validating,
    /// What the verifier met on its way and went on from; a refusal where the log ends with it.
    Remark(&'a str),
    /// A source line, a step of the search for precision, a statistic.
    Noise,
    /// A sentence.
    Prose(&'a str),
}

impl<'a> Line<'a> {
    pub(crate) fn of(line: &'a str) -> Self {
        let line = line.trim();
        if is_statistic(line) || line.starts_with([';', '<']) || starts(line, NOISE) {
            return Self::Noise;
        }
        if line.starts_with("Validating ") {
            return Self::Validating;
        }
        if starts(line, REMARKS) {
            return Self::Remark(line);
        }
        // `func 'x' arg0 has btf_id 12 type STRUCT 'file'` is a remark on a good access.
        if line.starts_with("func '") && line.contains(" has btf_id ") {
            return Self::Noise;
        }
        if let Some(rest) = line.strip_prefix("from ") {
            return path(rest).unwrap_or(Self::Noise);
        }
        if let Some(instruction) = Instruction::of(line) {
            return Self::Instruction(instruction, behind(line, &instruction));
        }
        match line.split_once(':') {
            Some((index, state)) if is_number(index) => Self::State(state),
            _ if is_state(line) => Self::State(line),
            _ => Self::Prose(without_statistic(line)),
        }
    }
}

/// The message of a line by itself, where the kernel printed it behind a jump (6.1 to 7.2):
/// `3: (15) if r2 == 0x0 goto pc-2 infinite loop detected at insn 2`. A state can stand there too,
/// and belongs to the jump.
pub(super) fn apart(line: &str) -> impl Iterator<Item = &str> {
    let is_instruction = (line.split_once(": (")).is_some_and(|(index, _)| is_number(index.trim()));
    let jump = end_of_jump(line).filter(|_| is_instruction);
    let split = jump.filter(|at| {
        let message = line[*at..].trim();
        !message.is_empty() && matches!(Line::of(message), Line::Prose(_))
    });
    let (instruction, message) = match split {
        Some(at) => (&line[..at], Some(line[at..].trim_start())),
        None => (line, None),
    };
    std::iter::once(instruction).chain(message)
}

/// A few of the kernel's sentences end without a line break, and the statistics follow at once
/// (`expected prog array map for tail callprocessed 3 insns (limit …`, 7.3).
fn without_statistic(line: &str) -> &str {
    let glued = line.rsplit_once("processed ").filter(|(_, rest)| {
        rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains(" insns (limit ")
    });
    glued.map_or(line, |(sentence, _)| sentence.trim_end())
}

/// The state that stands behind an instruction: `; R0=…`, or `12: R0=…` behind a jump.
fn behind<'a>(line: &'a str, instruction: &Instruction<'a>) -> &'a str {
    let rest = line
        .split_once(instruction.text)
        .map_or("", |(_, rest)| rest)
        .trim_start();
    rest.strip_prefix(';').unwrap_or(rest)
}

/// What the verifier prints whether it is content or not.
pub(crate) fn is_statistic(line: &str) -> bool {
    let line = line.trim();
    let statistics = [
        "processed ",
        "verification time ",
        "stack depth ",
        "insns processed ",
        "max_states",
    ];
    // 7.3: `subprog 0 (long_loop) main insns_self 1000001 …`.
    let by_function = line.starts_with("subprog ") && line.contains("insns_self");
    line.is_empty() || by_function || starts(line, &statistics)
}

/// The search for what must be known exactly, which is printed between an instruction and the
/// sentence about it, hundreds of lines of it before 6.2.
pub(crate) fn is_backtracking(line: &str) -> bool {
    starts(
        line.trim(),
        &["last_idx", "regs=", "parent ", "mark_precise:"],
    )
}

/// Where the path came from and what is tried, not why it is refused.
const NOISE: &[&str] = &[
    "caller:",
    "callee:",
    "returning from callee:",
    "returning from ",
    "propagating",
    "func#",
    "Func#",
    "last_idx",
    "regs=",
    "parent ",
    "mark_precise:",
    "to caller at",
    "The reg sizes",
    "stack=",
    "cur state:",
    "old state:",
    "btf_vmlinux is malformed",
];

/// Remarks on arguments. Of the main program they say that its type was not recognized, and the
/// verifier goes on; of a global function they are why it is refused.
const REMARKS: &[&str] = &[
    "arg#0 type is not a struct",
    "Unrecognized arg#0",
    "arg#0 reference type",
    "arg#0 is not a pointer",
    "arg#1 reference type",
    "arg#2 reference type",
    "arg#3 reference type",
    "arg#4 reference type",
    "reg type unsupported for arg#",
];

fn starts(line: &str, words: &[&str]) -> bool {
    words.iter().any(|words| line.starts_with(words))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `12 to 15: R0=…`, `12 to 15: safe`, `0 to 4 (speculative execution): …`.
fn path(rest: &str) -> Option<Line<'_>> {
    let (from, rest) = rest.split_once(" to ")?;
    let (to, state) = rest.split_once(':')?;
    let to = to.split(' ').next()?;
    if !is_number(to) || state.trim() == "safe" {
        return None;
    }
    Some(Line::From(from.parse().ok()?, state))
}

/// A register's or a stack slot's state: `R0_w=scalar(umax=7,var_off=(0x0; 0x7)) R10=fp0`.
fn is_state(line: &str) -> bool {
    let line = match line.split_once(": ") {
        Some((frame, rest)) if frame.strip_prefix("frame").is_some_and(is_number) => rest,
        _ => line,
    };
    let Some((name, _)) = line.split_once('=') else {
        let frame = line
            .strip_prefix("frame")
            .and_then(|rest| rest.split_once(':'));
        return frame.is_some_and(|(number, _)| is_number(number));
    };
    let name = name
        .strip_prefix("fp-")
        .or_else(|| name.strip_prefix('R'))
        .unwrap_or("");
    is_number(name.split('_').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Line, apart};

    fn is_prose(line: &str) -> bool {
        matches!(Line::of(line), Line::Prose(_))
    }

    #[test]
    fn states_and_instructions_are_no_prose() {
        for line in [
            " R0_rw=inv(id=0) R6_w=invP999298 R10=fp0",
            "R1=ctx() R2_w=scalar(umax=7,var_off=(0x0; 0x7)) R10=fp0",
            "12: (85) call bpf_loop#181",
            "1: <invalid CO-RE relocation>",
            "; if (x) @ a.bpf.c:3",
            "frame1: R1=scalar() R10=fp0 cb",
            "from 3 to 7: R0=0 R10=fp0",
            "from 3 to 7: safe",
            "regs=8 stack=0 before 7: (b7) r4 = 0",
            "mark_precise: frame0: last_idx 8 first_idx 0 subseq_idx -1",
            "processed 4 insns (limit 1000000) max_states_per_insn 0",
            "subprog 0 (f) main insns_self 1 insns_total 1 stack 0",
            "Validating f() func#1...",
        ] {
            assert!(!is_prose(line), "{line}");
        }
    }

    #[test]
    fn a_message_behind_a_jump_is_a_line_of_its_own() {
        let parts = |line| apart(line).map(str::trim).collect::<Vec<_>>();
        for (line, message) in [
            (
                "3: (15) if r2 == 0x0 goto pc-2 infinite loop detected at insn 2",
                "infinite loop detected at insn 2",
            ),
            (
                "7: (05) goto pc+4 The sequence of 8193 jumps is too complex.",
                "The sequence of 8193 jumps is too complex.",
            ),
        ] {
            let (jump, _) = line.split_once(message).unwrap();
            assert_eq!(parts(line), [jump.trim(), message]);
        }
        for whole in [
            "3: (15) if r2 == 0x0 goto pc-2 2: R1_w=map_value(map=x.bss,ks=4,vs=4) R2_w=0 R10=fp0",
            "3: (15) if r2 == 0x0 goto pc-2",
            "3: (15) if r2 == 0x0 goto pc+1       ; R2=0",
            "3: (85) call pc+5",
            "the jump goto pc+5 is not one of these",
            "",
        ] {
            assert_eq!(parts(whole), [whole]);
        }
    }

    #[test]
    fn sentences_are_prose() {
        for line in [
            "R1 type=scalar expected=fp",
            "R2 min value is negative, either use unsigned or 'var &= const'",
            "invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)",
            "Arg#0 type PTR in advance() is not supported yet.",
            "At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]",
            "the call stack of 9 frames is too deep !",
            "frame pointer is read only",
        ] {
            assert!(is_prose(line), "{line}");
        }
    }
}
