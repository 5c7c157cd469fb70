//! From evidence to a verdict. Pure: the same evidence gives the same verdict everywhere.
//!
//! What the object asks for, held against what this kernel was probed to have, comes first; then
//! stage and errno; the text of logs last. The claim that this kernel lacks something always comes
//! from this kernel; [`history`](crate::history) only adds which mainline release brought it.

mod attach;
mod load;
mod map;
mod object;
mod text;

use crate::diagnosis::{Code, Diagnosis};
use crate::evidence::{AttachOutcome, Evidence, Feature, FeatureKind, Mode, StepOutcome};
use crate::verdict::{Fault, Stage, Verdict};

/// What evidence means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The cell's verdict.
    pub verdict: Verdict,
    /// A diagnosis for each program of the evidence, in its order, where one was refused.
    pub programs: Vec<Option<Diagnosis>>,
}

/// Decides what `evidence` means. With `strict`, a program that was not attempted fails.
pub fn judge(evidence: &Evidence, strict: bool) -> Judgement {
    let mut programs = vec![None; evidence.programs.len()];
    if evidence.open.outcome != StepOutcome::Ok {
        return Judgement {
            verdict: fail(object::unopened(evidence)),
            programs,
        };
    }
    if evidence.load.outcome != StepOutcome::Ok {
        for (program, diagnosis) in evidence.programs.iter().zip(&mut programs) {
            if program.load.outcome == StepOutcome::Refused {
                *diagnosis = Some(load::diagnose(program, evidence));
            }
        }
        let primary = primary(evidence, &programs);
        return Judgement {
            verdict: fail(primary),
            programs,
        };
    }
    if evidence.mode == Mode::Attach {
        for (program, diagnosis) in evidence.programs.iter().zip(&mut programs) {
            *diagnosis = attach::diagnose(program, evidence, strict);
        }
    }
    let verdict = match programs.iter().flatten().next() {
        Some(first) => fail(first.clone()),
        None => idle(evidence).map_or(Verdict::Pass, |reason| Verdict::Skip { reason }),
    };
    Judgement { verdict, programs }
}

/// The diagnosis that stands for a refused load: the object's as a whole, a map's, or the first
/// guilty program's.
fn primary(evidence: &Evidence, programs: &[Option<Diagnosis>]) -> Diagnosis {
    let mut maps = evidence
        .maps
        .iter()
        .filter(|map| map.created == StepOutcome::Refused)
        .map(|map| map::diagnose(map, evidence));
    maps.next()
        .or_else(|| programs.iter().flatten().next().cloned())
        .unwrap_or_else(|| object::unloaded(evidence))
}

/// Want of guest memory is no answer about the artifact.
fn fail(diagnosis: Diagnosis) -> Verdict {
    if diagnosis.code != Code::GuestResources {
        return Verdict::Fail { diagnosis };
    }
    Verdict::Error {
        fault: Fault {
            stage: diagnosis.stage,
            code: Some(diagnosis.code),
            headline: diagnosis.headline,
            console: Vec::new(),
            hints: diagnosis.hints,
        },
    }
}

/// Why nothing was attempted that could pass, if so.
fn idle(evidence: &Evidence) -> Option<String> {
    let programs = &evidence.programs;
    if programs.is_empty() {
        return None;
    }
    if programs.iter().all(|program| !program.autoload) {
        return Some("every program of the object is switched off".into());
    }
    let any_attached = programs
        .iter()
        .any(|p| p.attach.outcome == AttachOutcome::Attached);
    if evidence.mode == Mode::Load || any_attached {
        return None;
    }
    let reasons: Vec<String> = programs
        .iter()
        .filter(|program| program.autoload)
        .map(|program| {
            let why = program
                .attach
                .reason
                .as_deref()
                .unwrap_or("no reason was given");
            format!("`{}`: {why}", program.name)
        })
        .take(3)
        .collect();
    Some(format!(
        "it loads, and no program was attached: {}",
        reasons.join("; ")
    ))
}

/// The probe's answers of one kind about one name.
fn features<'a>(
    evidence: &'a Evidence,
    kind: FeatureKind,
    name: &'a str,
) -> impl Iterator<Item = &'a Feature> {
    evidence
        .features
        .iter()
        .filter(move |f| f.kind == kind && f.name == name)
}

/// A diagnosis without source line, excerpt or hints.
fn diagnosis(code: Code, stage: Stage, headline: String) -> Diagnosis {
    Diagnosis {
        code,
        stage,
        program: None,
        headline,
        at: None,
        excerpt: None,
        hints: Vec::new(),
    }
}
