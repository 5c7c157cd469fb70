//! Judges evidence whose every log is any text: those of the verifier, of libbpf and of the kernel.
//! The judge never passes what was refused, and says the same twice: a quarter of the inputs asks it
//! again, and another one is made canonical twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_judge::{canonical, judge};
use ukci_schema::evidence::{
    AttachOutcome, Evidence, Log, ProgramEvidence, ProgramLoad, Step, StepOutcome,
};
use ukci_schema::verdict::Verdict;

/// What libbpf and the kernel answer.
const ERRNOS: [i32; 12] = [1, 2, 3, 7, 9, 12, 13, 22, 28, 95, 524, 4003];

fuzz_target!(|input: (u8, u8, &str)| {
    let (kind, errno, text) = input;
    let errno = ERRNOS[usize::from(errno) % ERRNOS.len()];
    let refused = Step {
        outcome: StepOutcome::Refused,
        errno: Some(errno),
        micros: 0,
    };
    let ok = Step {
        outcome: StepOutcome::Ok,
        ..Step::default()
    };
    let (log, words) = text.split_once('\0').unwrap_or((text, text));
    let mut evidence = Evidence {
        log: Log::bounded(words),
        kmsg: words.lines().take(64).map(str::to_owned).collect(),
        open: ok.clone(),
        load: refused.clone(),
        ..Evidence::default()
    };
    let mut program = ProgramEvidence {
        name: "p".into(),
        section: words.lines().next().unwrap_or_default().to_owned(),
        ..ProgramEvidence::default()
    };
    match kind % 3 {
        0 => evidence.open = refused,
        1 => {
            program.load = ProgramLoad {
                outcome: StepOutcome::Refused,
                errno: Some(errno),
                log: Log::bounded(log),
                ..ProgramLoad::default()
            };
        }
        _ => {
            evidence.load = ok;
            program.load.outcome = StepOutcome::Ok;
            program.attach.outcome = AttachOutcome::Refused;
            program.attach.errno = Some(errno);
            program.attach.reason = Some(log.to_owned());
        }
    }
    evidence.programs.push(program);
    let judgement = judge(&evidence, true);
    assert!(!matches!(judgement.verdict, Verdict::Pass { .. }));
    // Each takes as long as the judgement itself.
    match kind / 3 % 4 {
        0 => assert_eq!(judge(&evidence, true), judgement),
        1 => {
            let once = canonical::canonical(&evidence);
            assert_eq!(canonical::canonical(&once), once);
        }
        _ => {}
    }
});
