//! A command whose calls to the kernel were watched: which of its programs, maps and attachments the
//! kernel refused, and whether the command failed because of that.
//!
//! A refusal is told as that of an object. It is the reason why the command failed if it ended by
//! itself with an unexpected status, and if the kernel accepted no program, map or attachment after
//! it: a tool that falls back on something else is not stopped by what was refused first.

use super::{attach, command, map, object, refusal};
use crate::case::{Case, Whole};
use crate::finding::{Found, HINTS, list};
use crate::text;
use ukci_schema::command::{CommandEvidence, Ended};
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{AttachOutcome, Evidence, ProgramAttach, ProgramEvidence, StepOutcome};
use ukci_schema::watched::{Attachment, LastRefused, Watched};

/// What became of the command, and a diagnosis for each program that was refused.
pub(crate) fn answer(
    evidence: &Evidence,
    seen: &CommandEvidence,
) -> (command::Answer, Vec<Option<Found>>) {
    let whole = &Whole::new(evidence);
    let programs: Vec<Option<Found>> = (evidence.programs.iter())
        .map(|program| diagnose(&Case::new(whole, program)))
        .collect();
    let answer = command::answer(evidence, seen);
    let is_fail = matches!(answer, command::Answer::Fail(_));
    let cause = match (&seen.ended, &seen.watched) {
        (Ended::Exited { status }, Some(watched)) if is_fail => {
            cause(whole, watched, &programs).map(|found| ending_with(found, seen, *status))
        }
        _ => None,
    };
    match cause {
        Some(found) => (command::Answer::Fail(Box::new(found)), programs),
        None => (answer, programs),
    }
}

fn diagnose(case: &Case<'_>) -> Option<Found> {
    match (case.program.load.outcome, case.program.attach.outcome) {
        (StepOutcome::Refused, _) => refusal::diagnose(case),
        (_, AttachOutcome::Refused) => attach::diagnose(case, false),
        _ => None,
    }
}

/// The refusal after which the kernel accepted nothing more of the command.
fn cause(whole: &Whole<'_>, watched: &Watched, programs: &[Option<Found>]) -> Option<Found> {
    let evidence = whole.evidence;
    match &watched.last_refused {
        // Why libbpf gave up before it asked the kernel for anything.
        None if evidence.programs.is_empty() && evidence.maps.is_empty() => {
            // A command is its own loader.
            object::unprepared(whole).filter(|found| found.diagnosis.code != Code::LoaderContract)
        }
        None => None,
        Some(LastRefused::Program(name)) => {
            let of = evidence.programs.iter().zip(programs);
            let mut found = of.filter(|(program, _)| program.name == *name);
            found.find_map(|(_, found)| found.clone())
        }
        Some(LastRefused::Map(name)) => {
            map::refused_among(whole, std::slice::from_ref(name)).map(|diagnosis| Found {
                rule: "map",
                diagnosis,
            })
        }
        Some(LastRefused::Attachment(place)) => {
            let attachment = watched.attachments.get(*place)?;
            let own = evidence.programs.iter().zip(programs);
            let mut own = own.filter(|(program, _)| {
                attachment.program.as_ref() == Some(&program.name)
                    && program.attach.outcome == AttachOutcome::Refused
            });
            own.find_map(|(_, found)| found.clone())
                .or_else(|| unnamed(whole, attachment))
        }
    }
}

/// An attachment of which no call names the program: opening its event was refused.
fn unnamed(whole: &Whole<'_>, attachment: &Attachment) -> Option<Found> {
    let section = attachment.section();
    let program = ProgramEvidence {
        name: section.replacen('/', " ", 1),
        section,
        program_type: match attachment.kind.as_str() {
            "tracepoint" | "perf_event" => attachment.kind.clone(),
            _ => "kprobe".to_owned(),
        },
        target: attachment.place.clone(),
        autoload: true,
        attach: ProgramAttach {
            outcome: AttachOutcome::Refused,
            errno: attachment.errno,
            ..ProgramAttach::default()
        },
        ..ProgramEvidence::default()
    };
    let mut found = attach::diagnose(&Case::new(whole, &program), false)?;
    found.diagnosis.program = None;
    Some(found)
}

/// The same finding, with how the command ended.
fn ending_with(found: Found, seen: &CommandEvidence, status: u8) -> Found {
    let Found {
        rule,
        mut diagnosis,
    } = found;
    let name = seen.arguments.first().map_or("", String::as_str);
    diagnosis.hints.truncate(HINTS - 1);
    diagnosis.hints.push(format!(
        "note that {} then ended with exit status {status}, and {} was expected",
        list(&[text::clipped(name)]),
        seen.expected_status
    ));
    Found { rule, diagnosis }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge;
    use ukci_schema::evidence::{Log, ProgramLoad};
    use ukci_schema::verdict::Verdict;

    fn evidence(last_refused: Option<LastRefused>) -> Evidence {
        let mut refused = ProgramEvidence {
            name: "count".into(),
            section: "kprobe".into(),
            program_type: "kprobe".into(),
            autoload: true,
            ..ProgramEvidence::default()
        };
        refused.load = ProgramLoad {
            outcome: StepOutcome::Refused,
            errno: Some(13),
            log: Log::bounded(
                "0: R1=ctx() R10=fp0\n0: (61) r0 = *(u32 *)(r0 +0)\nR0 !read_ok\nprocessed 1 insns \
                 (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0\n",
            ),
            ..ProgramLoad::default()
        };
        Evidence {
            programs: vec![refused],
            command: Some(CommandEvidence {
                arguments: vec!["./tool".into()],
                ended: Ended::Exited { status: 1 },
                watched: Some(Watched {
                    last_refused,
                    ..Watched::default()
                }),
                ..CommandEvidence::default()
            }),
            ..Evidence::default()
        }
    }

    fn code(evidence: &Evidence) -> (Option<Code>, Vec<String>) {
        match judge(evidence, false).verdict {
            Verdict::Fail { diagnosis } => (Some(diagnosis.code), diagnosis.hints),
            _ => (None, Vec::new()),
        }
    }

    #[test]
    fn the_last_refusal_is_why_a_command_failed() {
        let mut seen = evidence(Some(LastRefused::Program("count".into())));
        let (found, hints) = code(&seen);
        assert_eq!(found, Some(Code::VerifierRejection));
        let note = "note that `./tool` then ended with exit status 1, and 0 was expected";
        assert_eq!(hints.last().map(String::as_str), Some(note));
        // What it expects is a pass, and the refusal is told all the same.
        seen.command.as_mut().unwrap().expected_status = 1;
        let judged = judge(&seen, false);
        assert_eq!(judged.verdict, Verdict::Pass);
        let of_program = judged.programs[0].as_ref().map(|found| found.code);
        assert_eq!(of_program, Some(Code::VerifierRejection));
    }

    #[test]
    fn a_refusal_that_something_accepted_followed_is_not_the_reason() {
        let (found, _) = code(&evidence(None));
        assert_eq!(found, Some(Code::CommandValidationFailure));
    }

    #[test]
    fn an_event_that_was_refused_is_an_attachment() {
        let mut seen = evidence(Some(LastRefused::Attachment(0)));
        seen.programs.clear();
        let command = seen.command.as_mut().unwrap();
        command.watched.as_mut().unwrap().attachments = vec![Attachment {
            program: None,
            kind: "kprobe".into(),
            place: Some("blk_account_io_start".into()),
            errno: Some(2),
        }];
        let (found, _) = code(&seen);
        assert_eq!(found, Some(Code::AttachTargetMissing));
    }
}
