//! Reads the verifier's log: its statistics, and the last instruction that it looked at.
//!
//! The input is a log from any kernel, and the output is numbers. What a sentence of the log means
//! is not decided here.

use ukci_schema::evidence::VerifierStats;

use crate::bpf::{Insn, Program};

/// The figures that the log states; `None` if it states none.
///
/// Up to 7.1: `processed 4 insns (limit 1000000) max_states_per_insn 0 total_states 0 …`,
/// `verification time 87 usec`, `stack depth 8+0`. In 7.2 also `insns processed A+B` and
/// `stack depth A+B max N`; from 7.3 on `stack depth max N` and a line a subprogram,
/// `subprog 0 (name) main insns_self 8 insns_total 13 stack 24`.
pub fn statistics(log: &str) -> Option<VerifierStats> {
    let mut stats = VerifierStats::default();
    let mut any = false;
    for line in log.lines() {
        if let Some(time) = line.strip_prefix("verification time ") {
            stats.micros = number(time);
        } else if let Some(depth) = line.strip_prefix("stack depth ") {
            // 7.2 says `24+0 max 0` of a callback's program: the parts tell more than the sum.
            let parts = depth.split(['+', ' ']).map(number).max().unwrap_or(0);
            stats.stack_depth = stats.stack_depth.max(parts);
        } else if line.starts_with("subprog ") {
            let stack = line
                .rsplit_once(" stack ")
                .map_or(0, |(_, depth)| number(depth));
            stats.stack_depth = stats.stack_depth.max(stack);
        } else if let Some(processed) = line.strip_prefix("insns processed ") {
            stats.insns = processed.split('+').map(number).sum();
            any = true;
        } else if line.contains("processed ") && line.contains(" insns (limit ") {
            stats.insns = after(line, "processed ");
            any = true;
        }
        if line.contains("total_states ") {
            stats.limit = after(line, "(limit ").max(stats.limit);
            stats.max_states_per_insn = after(line, "max_states_per_insn ");
            stats.total_states = after(line, "total_states ");
            stats.peak_states = after(line, "peak_states ");
        }
    }
    any.then_some(stats)
}

/// The last instruction of a trace, by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// One that the verifier looked at, or a call or map that libbpf put a poison in the place of.
    Insn(u32),
    /// An offset or size that CO-RE did not find.
    Offset(u32),
}

/// The last line of a trace that begins `N: (`, or `N: <invalid`, where libbpf says in the kernel's
/// stead what it put a poison in the place of.
pub fn last_instruction(log: &str) -> Option<Last> {
    log.lines().rev().find_map(|line| {
        let (index, rest) = line.split_once(": ")?;
        let index = index.trim().parse().ok()?;
        let rest = rest.trim_start();
        if rest.starts_with("<invalid CO-RE") {
            return Some(Last::Offset(index));
        }
        rest.starts_with(['(', '<']).then_some(Last::Insn(index))
    })
}

/// The instruction that an offset or size at `index` is for. A constant, and an address that is
/// computed with it, may stand far before their use, in the line of the function's head: the first
/// access or call that takes the result says what it is for.
pub(crate) fn user_of_offset(code: &[Insn], index: u32) -> u32 {
    let start = index as usize;
    let Some(mut register) = code.get(start).and_then(|insn| computed(*insn)) else {
        return index;
    };
    let mut user = start;
    for (n, insn) in code.iter().enumerate().skip(start + 1) {
        if reads(*insn, register) {
            user = n;
            match computed(*insn) {
                Some(result) => register = result,
                None => break,
            }
        } else if overwrites(*insn, register) {
            break;
        }
    }
    u32::try_from(user).unwrap_or(index)
}

const LD: u8 = 0;
const LDX: u8 = 1;
const ST: u8 = 2;
const STX: u8 = 3;
const ALU: u8 = 4;
const JMP: u8 = 5;
const JMP32: u8 = 6;
const ALU64: u8 = 7;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

fn class(insn: Insn) -> u8 {
    insn.code & 7
}

/// The register that an instruction computes without touching memory: `r1 = 8`, `r3 += r1`.
fn computed(insn: Insn) -> Option<u8> {
    const LD_IMM64: u8 = 0x18;
    (insn.code == LD_IMM64 || matches!(class(insn), ALU | ALU64)).then_some(insn.dst)
}

fn is_move(insn: Insn) -> bool {
    matches!(class(insn), ALU | ALU64) && insn.code & 0xf0 == 0xb0
}

fn reads(insn: Insn, register: u8) -> bool {
    let from_register = insn.code & 8 != 0 && insn.src == register;
    match class(insn) {
        LDX => insn.src == register,
        ST => insn.dst == register,
        STX => insn.dst == register || insn.src == register,
        ALU | ALU64 => from_register || (insn.dst == register && !is_move(insn)),
        JMP if insn.code == CALL => (1..=5).contains(&register),
        JMP if insn.code == EXIT => register == 0,
        JMP | JMP32 => from_register || insn.dst == register,
        _ => false,
    }
}

fn overwrites(insn: Insn, register: u8) -> bool {
    let loads = matches!(class(insn), LD | LDX) || is_move(insn);
    loads && insn.dst == register && !reads(insn, register)
}

fn after(line: &str, word: &str) -> u64 {
    line.split_once(word).map_or(0, |(_, rest)| number(rest))
}

/// The number that `text` begins with.
fn number(text: &str) -> u64 {
    let digits: String = text
        .trim_start()
        .chars()
        .take_while(char::is_ascii_digit)
        .collect();
    digits.parse().unwrap_or(0)
}

/// What the verifier counted: from its log, and from what the kernel says of the program.
pub(crate) fn of_program(program: Program<'_>) -> Option<VerifierStats> {
    let mut stats = statistics(&program.log());
    if let Some(info) = program.info() {
        let stats = stats.get_or_insert_default();
        stats.xlated_bytes = u64::from(info.xlated_prog_len);
        stats.jited_bytes = u64::from(info.jited_prog_len);
        if stats.insns == 0 {
            // 0 on 5.10, which does not count for us.
            stats.insns = u64::from(info.verified_insns);
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::{Last, last_instruction, statistics, user_of_offset};
    use crate::bpf::Insn;

    #[test]
    fn figures_of_6_12() {
        let log = "verification time 87 usec\nstack depth 16+8\nprocessed 62 insns (limit 1000000) \
                   max_states_per_insn 1 total_states 4 peak_states 3 mark_read 2\n";
        let stats = statistics(log).unwrap();
        assert_eq!(
            (stats.insns, stats.limit, stats.stack_depth),
            (62, 1_000_000, 16)
        );
        assert_eq!(
            (stats.total_states, stats.peak_states, stats.micros),
            (4, 3, 87)
        );
        assert_eq!(stats.max_states_per_insn, 1);
        assert!(statistics("func#0 @0\n").is_none());
    }

    /// The same program on both kernels.
    #[test]
    fn figures_of_7_2_and_7_3() {
        let last = "processed 13 insns (limit 1000000) max_states_per_insn 0 total_states 1 \
                    peak_states 2 mark_read 0\n";
        let of_7_2 = "verification time 7354 usec\nstack depth 24+0 max 0\ninsns processed 13\n";
        let of_7_3 = "verification time 15480 usec\nstack depth max 0\n\
                      subprog 0 (looping) main insns_self 8 insns_total 13 stack 24\n\
                      subprog 1 (turn) static insns_self 5 insns_total 5 stack 0\n";
        for log in [of_7_2, of_7_3] {
            let stats = statistics(&format!("{log}{last}")).unwrap();
            assert_eq!(
                (stats.insns, stats.stack_depth, stats.peak_states),
                (13, 24, 2)
            );
        }
    }

    #[test]
    fn a_hoisted_offset_is_of_the_instruction_that_reads_it() {
        let insn = |code, dst, src| Insn { code, dst, src };
        let hoisted = [
            insn(0xb7, 2, 0), // r2 = 168
            insn(0x79, 6, 1), // r6 = *(u64 *)(r1 + 112)
            insn(0xbf, 3, 6), // r3 = r6
            insn(0x0f, 3, 2), // r3 += r2
            insn(0xb7, 2, 0), // r2 = 4
            insn(0x85, 0, 0), // call
        ];
        assert_eq!(user_of_offset(&hoisted, 0), 5);
        // A load at the offset itself is its own line.
        assert_eq!(user_of_offset(&hoisted, 1), 1);
        let lost = [insn(0xb7, 2, 0), insn(0xb7, 2, 0), insn(0x0f, 3, 2)];
        assert_eq!(user_of_offset(&lost, 0), 0);
        assert_eq!(user_of_offset(&lost, 1), 2);
        assert_eq!(user_of_offset(&[], 7), 7);
    }

    #[test]
    fn the_last_instruction_is_the_one_that_was_refused() {
        let log = "0: R1=ctx() R10=fp0\n; int x; @ a.c:3\n0: (b7) r0 = 0\n12: (61) r0 = *(u32 *)(r0 +0)\n\
                   R0 invalid mem access 'map_value_or_null'\nprocessed 13 insns\n";
        assert_eq!(last_instruction(log), Some(Last::Insn(12)));
        assert_eq!(last_instruction("nothing"), None);
        let poisoned = "3: (15) if r1 == 0x0 goto pc+11\n15: <invalid CO-RE relocation>\n\
                        failed to resolve CO-RE relocation <byte_off> [5] struct a.b (0:2 @ offset 8)\n";
        assert_eq!(last_instruction(poisoned), Some(Last::Offset(15)));
        let unresolved = "7: <invalid kfunc call>\nkfunc 'x' is referenced but wasn't resolved\n";
        assert_eq!(last_instruction(unresolved), Some(Last::Insn(7)));
    }
}
