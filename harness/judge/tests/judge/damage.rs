//! Evidence comes out of a guest and may be anything: the judge never panics, and never passes
//! what was refused.

use serde_json::Value;
use ukci_judge::judge;
use ukci_schema::evidence::{Evidence, StepOutcome};
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

#[test]
fn empty_evidence_is_an_error_and_no_verdict() {
    let verdict = judge(&Evidence::default(), false).verdict;
    assert!(matches!(verdict, Verdict::Error { .. }), "{verdict:?}");
}
