//! Gives a refusal of the whole object to the program that libbpf names, where the time was over
//! before that program could be tried alone.

use std::borrow::Cow;

use ukci_schema::evidence::{Evidence, Log, ProgramLoad, StepOutcome};

const FAILED: &str = "BPF program load failed: ";
const BEGIN: &str = "-- BEGIN PROG LOAD LOG --";
const END: &str = "-- END PROG LOAD LOG --";

/// The evidence with the program's refusal, or as it is if libbpf names none. The name, the errno and
/// the verifier's log are those of the whole object, which are true of the program alone as well:
/// libbpf loads one program after the other, and gives up at the first that is refused.
pub(crate) fn attributed(evidence: &Evidence) -> Cow<'_, Evidence> {
    match refusal(evidence) {
        Some((n, load)) => {
            let mut evidence = evidence.clone();
            evidence.programs[n].load = load;
            Cow::Owned(evidence)
        }
        None => Cow::Borrowed(evidence),
    }
}

fn refusal(evidence: &Evidence) -> Option<(usize, ProgramLoad)> {
    if evidence.load.outcome != StepOutcome::Refused {
        return None;
    }
    let line = evidence.log.lines().rfind(|line| line.contains(FAILED))?;
    let (name, _) = line.strip_prefix("libbpf: prog '")?.split_once("': ")?;
    let n = evidence
        .programs
        .iter()
        .position(|program| program.name == name)?;
    let load = &evidence.programs[n].load;
    let was_late = load
        .reason
        .as_deref()
        .is_some_and(|reason| reason.starts_with(ProgramLoad::TIME_WAS_OVER));
    if load.outcome != StepOutcome::NotAttempted || !was_late {
        return None;
    }
    let load = ProgramLoad {
        outcome: StepOutcome::Refused,
        errno: evidence.load.errno,
        log: verifier_log(&evidence.log, name),
        libbpf: Log::bounded(line),
        ..ProgramLoad::default()
    };
    Some((n, load))
}

/// The verifier's log of a program, as libbpf repeats it. Where the middle of libbpf's log was cut,
/// the beginning or the end of it may be missing.
fn verifier_log(log: &Log, program: &str) -> Log {
    let begins = format!("libbpf: prog '{program}': {BEGIN}");
    let mut text = String::new();
    let mut inside = false;
    for line in log.lines() {
        if line == begins {
            text.clear();
            inside = true;
        } else if line.ends_with(END) {
            inside = false;
        } else if inside {
            text.push_str(line);
            text.push('\n');
        }
    }
    Log::bounded(&text)
}
