//! Evidence comes out of a guest and may be anything: the judge never panics, and never passes
//! what was refused.

use serde_json::Value;
use ukci_judge::judge;
use ukci_schema::evidence::{Evidence, Log, ProgramEvidence, Step, StepOutcome};
use ukci_schema::verdict::Verdict;

use crate::recorded::all;

/// A small generator (xorshift), so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap()
    }
}

const WORDS: &[&str] = &[
    "",
    "'",
    "''",
    "extern (func ksym) '",
    "extern (kcfg) '",
    "extern '' (strong): not resolved",
    "failed to resolve CO-RE relocation ",
    "failed to resolve CO-RE relocation <> [] .",
    "[",
    "] (",
    "struct_ops init_kern",
    "struct_ops init_kern: struct ",
    "map 'x': failed to create: -",
    "Verification failed",
    "Verification failed:\n\nReason:\n",
    "; a @ b:",
    "; @ :99999999999999",
    "(85) call ",
    "1: (85) call pc+1",
    "R",
    "R1=",
    "fp-",
    "func 'x",
    "BPF map '",
    "kfunc '' is",
    "cannot call GPL-restricted function from non-GPL compatible program",
    "unknown func bpf_#",
    "invalid func unknown#195896080",
    "near: ",
    "near: , ,",
    "\u{1f980}\n\u{fffd}",
    "is not sleepable",
    "non-JITed",
    "sys_",
    "__se_sys_",
    "lpm_trie",
    "array_of_maps",
    "helper#",
    "helper#9",
    "n",
    "0",
    "confidentiality",
    "xdp.frags",
    "fentry.s/",
    "trace_fsession",
    "9999999999.9",
    "\0",
];

fn mutate(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Object(fields) => {
            let at = dice.below(fields.len());
            if let Some((_, field)) = fields.iter_mut().nth(at) {
                mutate(field, dice);
            }
        }
        Value::Array(items) => match dice.below(6) {
            0 => items.clear(),
            1 if !items.is_empty() => {
                let copy = items[dice.below(items.len())].clone();
                items.push(copy);
            }
            _ => {
                let at = dice.below(items.len());
                if let Some(item) = items.get_mut(at) {
                    mutate(item, dice);
                }
            }
        },
        Value::String(text) => {
            let word = WORDS[dice.below(WORDS.len())];
            match dice.below(4) {
                0 => word.clone_into(text),
                1 => text.push_str(word),
                2 => text.insert_str(0, word),
                _ => {
                    let at = text.floor_char_boundary(dice.below(text.len() + 1));
                    text.truncate(at);
                }
            }
        }
        Value::Number(_) => {
            const ERRNOS: [i32; 12] = [0, 1, 2, 3, 7, 9, 12, 13, 22, 95, 524, 4003];
            *value = ERRNOS[dice.below(ERRNOS.len())].into();
        }
        Value::Bool(flag) => *flag = !*flag,
        Value::Null => {}
    }
}

#[test]
fn no_evidence_makes_the_judge_panic_or_pass_a_refusal() {
    let mut dice = Dice(0x5eed_1234_5678_9abc);
    let mut judged = 0;
    for evidence in all()
        .into_values()
        .flat_map(std::collections::BTreeMap::into_values)
    {
        let whole = serde_json::to_value(&evidence).unwrap();
        for _ in 0..60 {
            let mut value = whole.clone();
            for _ in 0..=dice.below(12) {
                mutate(&mut value, &mut dice);
            }
            // Words of enums and versions are damaged too; such evidence is refused before.
            let Ok(evidence) = serde_json::from_value::<Evidence>(value) else {
                continue;
            };
            judged += 1;
            for strict in [false, true] {
                let judgement = judge(&evidence, strict);
                assert_eq!(judgement.programs.len(), evidence.programs.len());
                let fine = evidence.open.outcome == StepOutcome::Ok
                    && evidence.load.outcome == StepOutcome::Ok;
                if judgement.verdict == Verdict::Pass {
                    assert!(fine);
                }
            }
        }
    }
    assert!(
        judged > 1000,
        "only {judged} pieces of evidence were left to judge"
    );
}

/// Fragments of verifier logs that no kernel prints so.
const FRAGMENTS: &[&str] = &[
    "R",
    "R11 invalid mem access '",
    "R99999999999999999999 !read_ok",
    "R1 type= expected=",
    "R2 type=scalar expected=fp",
    "invalid access to map value, value_size=-1 off=9223372036854775807 size=9223372036854775807",
    "R0 max value is outside of the allowed memory range",
    "invalid access to packet, off=-9223372036854775808 size=1, R1(id=,r=",
    "invalid bpf_context access off=-9223372036854775808 size=9223372036854775807",
    "invalid bpf_context access off=76 size=4",
    "dereference of modified ctx ptr R1 off=",
    "misaligned value access off (0x0; 0x0)+0+4 size 8",
    "invalid write to stack R1 off=-9223372036854775808 size=9223372036854775807",
    "invalid variable-offset write to stack R1 var_off=(0x0; 0x3f) off=-16 size=1",
    "invalid indirect read from stack R2 off -8+",
    "Unreleased reference id=2 alloc_insn=18446744073709551615",
    "Unreleased reference id=2 alloc_insn=4",
    "At program exit the register R0 has smin=-9223372036854775808 smax=2 should have been in [0, 1]",
    "At program exit the register R0 has value (0x should have been in (",
    "should have been in [9223372036854775807, -9223372036854775808]",
    "cannot pass map_type 4294967296 into func",
    "Caller passes invalid args into func#1 ('",
    "('') size cannot be determined",
    "access beyond struct  at off -1 size ",
    "' has to have BTF in order to use ",
    " cannot be used inside ",
    "combined stack size of  calls is ",
    "8: (79) r1 = *(u64 *)(r0 +9223372036854775807)",
    "9: (07) r1 += -9223372036854775808",
    "9: (17) r1 -= -9223372036854775808",
    "9: (0f) r1 += r11",
    "7: (85) call ",
    "7: (85) call \u{1f980}#1",
    "7: (db) lock *(u64 *)(r9 -",
    "from 7 to 9: R1=pkt(off=9223372036854775807,r=18446744073709551615,imm=1)",
    "from 99999999999999999999 to 9: R1=fp-9223372036854775808",
    "from  to : safe",
    "7: R1_w=map_value(map=(((,ks=,vs=18446744073709551615,smin=-9223372036854775808,var_off=(0x;",
    "R1=fp(off=9223372036854775807,smin=9223372036854775807,smax=-9223372036854775808)",
    "R2=scalar(umin=18446744073709551615,umax=0,smax=smin=umax=)",
    "Validating () func#",
    "; @ :",
    "Verification failed",
    "Suggestion:",
];

/// A log of which lines are lost, doubled, swapped, cut within or replaced.
fn damaged(lines: &[&str], dice: &mut Dice) -> String {
    let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    for _ in 0..=dice.below(6) {
        let at = dice.below(lines.len());
        let fragment = FRAGMENTS[dice.below(FRAGMENTS.len())];
        match dice.below(6) {
            0 if at < lines.len() => drop(lines.remove(at)),
            1 if at < lines.len() => lines.insert(at, lines[at].clone()),
            2 if at < lines.len() => {
                let other = dice.below(lines.len());
                lines.swap(at, other);
            }
            3 if at < lines.len() => {
                let line = &mut lines[at];
                let end = line.floor_char_boundary(dice.below(line.len() + 1));
                line.truncate(end);
            }
            4 if at < lines.len() => {
                let line = &mut lines[at];
                let place = line.floor_char_boundary(dice.below(line.len() + 1));
                line.insert_str(place, fragment);
            }
            _ => lines.push(fragment.to_owned()),
        }
    }
    lines.join("\n")
}

#[test]
fn no_damaged_verifier_log_makes_the_judge_panic_or_leaves_a_refusal_without_a_hint() {
    let mut dice = Dice(0x1095_5eed_0000_0001);
    let mut judged = 0;
    for evidence in all()
        .into_values()
        .flat_map(std::collections::BTreeMap::into_values)
    {
        let refused = |program: &&ProgramEvidence| program.load.outcome == StepOutcome::Refused;
        let Some(program) = evidence.programs.iter().find(refused) else {
            continue;
        };
        let text = program.load.log.text();
        let lines: Vec<&str> = text.lines().collect();
        let lines = &lines[lines.len().saturating_sub(40)..];
        let name = program.name.clone();
        let mut evidence = evidence;
        for _ in 0..40 {
            let log = Log::bounded(&damaged(lines, &mut dice));
            let found = evidence
                .programs
                .iter_mut()
                .find(|program| program.name == name);
            found.unwrap().load.log = log;
            let Verdict::Fail { diagnosis } = judge(&evidence, false).verdict else {
                panic!("a refusal passes");
            };
            assert!(!diagnosis.hints.is_empty(), "{}", diagnosis.headline);
            judged += 1;
        }
    }
    assert!(judged > 1000, "only {judged} damaged logs were judged");
}

/// Numbers at the ends of their ranges, in any two or three lines that meet.
#[test]
fn no_lines_that_meet_make_the_judge_panic() {
    let mut evidence = Evidence {
        open: Step {
            outcome: StepOutcome::Ok,
            ..Step::default()
        },
        load: Step {
            outcome: StepOutcome::Refused,
            ..Step::default()
        },
        programs: vec![ProgramEvidence {
            name: "prog".into(),
            section: "xdp".into(),
            autoload: true,
            ..ProgramEvidence::default()
        }],
        ..Evidence::default()
    };
    evidence.programs[0].load.outcome = StepOutcome::Refused;
    let kinds = [
        "xdp",
        "sched_cls",
        "cgroup_sock_addr",
        "kprobe",
        "lsm",
        "unheard_of",
    ];
    let states = FRAGMENTS
        .iter()
        .filter(|line| line.contains('=') && line.contains('R'));
    let states: Vec<&&str> = states.filter(|line| !line.contains("invalid")).collect();
    let instructions: Vec<&&str> = FRAGMENTS
        .iter()
        .filter(|line| line.contains(": ("))
        .collect();
    for (turn, state) in states.iter().enumerate() {
        evidence.programs[0].program_type = kinds[turn % kinds.len()].into();
        for instruction in &instructions {
            for sentence in FRAGMENTS {
                let log = format!("{state}\n{instruction}\n{sentence}\n");
                evidence.programs[0].load.log = Log::bounded(&log);
                let verdict = judge(&evidence, false).verdict;
                assert!(matches!(verdict, Verdict::Fail { .. }), "{log}{verdict:?}");
            }
        }
    }
}

#[test]
fn empty_evidence_is_an_error_and_no_verdict() {
    let verdict = judge(&Evidence::default(), false).verdict;
    assert!(matches!(verdict, Verdict::Error { .. }), "{verdict:?}");
}
