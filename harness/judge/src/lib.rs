//! Turns evidence into a verdict. The judge is pure: the same evidence gives the same verdict
//! everywhere.
//!
//! Rules are tried in order, and the first that applies decides. The first rules compare what the
//! object needs with what this kernel has according to its probes. Then come rules for the stage
//! and the errno, and last those for the text of logs. The claim that this kernel lacks something
//! always comes from this kernel. [`history`](ukci_schema::history) only adds which mainline
//! release introduced it.
//!
//! A program is only blamed for what it uses itself, and nothing that was done to a copy of the
//! object counts towards a pass.

mod alike;
mod attributed;
pub mod behavior;
mod budget;
pub mod canonical;
mod case;
mod errno;
pub mod explain;
mod finding;
mod rules;
mod said;
pub mod stall;
mod text;
mod verifier_log;

pub use alike::{advice, alike};
pub use budget::over_budget;

use std::collections::BTreeSet;

use case::{Case, Whole};
use finding::Found;
use rules::{attach, command, functional, map, object, open, refusal, splat, struct_ops, watched};
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{AttachOutcome, Evidence, Mode, StepOutcome};
use ukci_schema::glob;
use ukci_schema::verdict::{Fault, Stage, Verdict};

/// What evidence means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The cell's verdict.
    pub verdict: Verdict,
    /// A diagnosis for each program of the evidence, in its order, where one was refused.
    pub programs: Vec<Option<Diagnosis>>,
}

/// How strictly evidence is judged.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// Whether a program that was not attempted fails.
    pub strict: bool,
    /// Programs whose attachment may be refused: it is reported, and fails nothing.
    pub attach_optional: Option<&'a BTreeSet<String>>,
}

impl Terms<'_> {
    /// Whether a finding about this program fails nothing.
    fn forgives(&self, program: &str, found: &Found) -> bool {
        found.diagnosis.stage == Stage::Attach
            && self
                .attach_optional
                .is_some_and(|optional| glob::any(optional, program))
    }
}

/// Decides what `evidence` means. With `strict`, a program that was not attempted fails.
pub fn judge(evidence: &Evidence, strict: bool) -> Judgement {
    let terms = Terms {
        strict,
        ..Terms::default()
    };
    judge_on(evidence, terms)
}

/// Decides what `evidence` means on terms that a manifest may have softened.
pub fn judge_on(evidence: &Evidence, terms: Terms<'_>) -> Judgement {
    let decided = decide(evidence, terms);
    let programs = decided
        .programs
        .into_iter()
        .map(|found| found.map(|f| f.diagnosis))
        .collect();
    Judgement {
        verdict: decided.verdict,
        programs,
    }
}

/// The rules behind [`judge`]'s answer: that of the verdict, and one for each program.
pub fn rules(evidence: &Evidence, strict: bool) -> (&'static str, Vec<Option<&'static str>>) {
    let terms = Terms {
        strict,
        ..Terms::default()
    };
    let decided = decide(evidence, terms);
    (
        decided.rule,
        decided
            .programs
            .into_iter()
            .map(|found| found.map(|f| f.rule))
            .collect(),
    )
}

struct Decided {
    verdict: Verdict,
    rule: &'static str,
    programs: Vec<Option<Found>>,
}

impl Decided {
    fn by(found: Found, programs: Vec<Option<Found>>) -> Self {
        Self {
            verdict: fail(found.diagnosis),
            rule: found.rule,
            programs,
        }
    }

    fn fault(rule: &'static str, fault: Fault, programs: Vec<Option<Found>>) -> Self {
        Self {
            verdict: Verdict::Error { fault },
            rule,
            programs,
        }
    }
}

/// What the object was answered; but damage that it does to the kernel goes before all of it. Where
/// ukci could not tell, that stays so.
fn decide(evidence: &Evidence, terms: Terms<'_>) -> Decided {
    let evidence = &*attributed::attributed(evidence);
    let answered = answered(evidence, terms);
    match splat::caused(evidence) {
        Some(found) if !matches!(answered.verdict, Verdict::Error { .. }) => {
            Decided::by(found, answered.programs)
        }
        _ => answered,
    }
}

fn answered(evidence: &Evidence, terms: Terms<'_>) -> Decided {
    if let Some(seen) = &evidence.command {
        return ended(watched::answer(evidence, seen));
    }
    let whole = &Whole::new(evidence);
    let mut programs = vec![None; evidence.programs.len()];
    match evidence.open.outcome {
        StepOutcome::Ok => {}
        StepOutcome::Refused if evidence.open.errno == Some(errno::ENOSYS) => {
            return Decided::fault("no-system-call", no_system_call(evidence), programs);
        }
        StepOutcome::Refused => return Decided::by(open::unopened(whole), programs),
        StepOutcome::NotAttempted => {
            return Decided::fault("not-attempted", not_attempted(Stage::Open), programs);
        }
    }
    if evidence.load.outcome != StepOutcome::Ok {
        return refused_load(whole, programs);
    }
    if evidence.mode.attaches() {
        for (program, found) in evidence.programs.iter().zip(&mut programs) {
            *found = attach::diagnose(&Case::new(whole, program), terms.strict);
        }
    }
    let serious: Vec<Option<Found>> = (evidence.programs.iter().zip(&programs))
        .map(|(program, found)| {
            let found = found.as_ref()?;
            (!terms.forgives(&program.name, found)).then(|| found.clone())
        })
        .collect();
    let maps = (evidence.mode.attaches())
        .then(|| struct_ops::without_programs(evidence, terms.strict))
        .flatten();
    match primary(&serious).or(maps) {
        Some(found) => Decided::by(found, programs),
        None => tested(evidence, programs),
    }
}

/// What an object is that was not refused: what its tests say, if there are any.
fn tested(evidence: &Evidence, programs: Vec<Option<Found>>) -> Decided {
    let (verdict, rule) = match functional::answer(evidence) {
        functional::Answer::Fail(found) => return Decided::by(*found, programs),
        functional::Answer::Fault(fault) => {
            return Decided::fault("functional-test", fault, programs);
        }
        functional::Answer::Pass => (Verdict::Pass, "functional-test"),
        functional::Answer::None => match idle(evidence) {
            Some(reason) => (Verdict::Skip { reason }, "idle"),
            None => (Verdict::Pass, "pass"),
        },
    };
    Decided {
        verdict,
        rule,
        programs,
    }
}

/// What became of a command, and of the programs that it was seen to load.
fn ended((answer, programs): (command::Answer, Vec<Option<Found>>)) -> Decided {
    match answer {
        command::Answer::Pass => Decided {
            verdict: Verdict::Pass,
            rule: "command",
            programs,
        },
        command::Answer::Fail(found) => Decided::by(*found, programs),
        command::Answer::Fault(fault) => Decided::fault("command", fault, programs),
    }
}

fn refused_load(whole: &Whole<'_>, mut programs: Vec<Option<Found>>) -> Decided {
    let evidence = whole.evidence;
    if evidence.load.outcome == StepOutcome::NotAttempted {
        return Decided::fault("not-attempted", not_attempted(Stage::Load), programs);
    }
    if let Some(fault) = object::no_kconfig(whole) {
        return Decided::fault("kconfig-unreadable", fault, programs);
    }
    for (program, found) in evidence.programs.iter().zip(&mut programs) {
        if program.autoload && program.load.outcome == StepOutcome::Refused {
            *found = refusal::diagnose(&Case::new(whole, program));
        }
    }
    // libbpf prepares the object, then creates the maps, then loads the programs: the first step
    // that fails is the reason of the whole, the others are seen in copies only.
    let prepared = object::unprepared(whole).map(|found| with_program(found, &programs));
    let maps = map::refused(whole).map(|found| with_program(found, &programs));
    let certain = |found: &Found| found.diagnosis.code != Code::GuestResources;
    let candidates = [prepared, maps, primary(&programs)];
    let found = candidates.iter().flatten().find(|found| certain(found));
    let found = found
        .or_else(|| candidates.iter().flatten().next())
        .cloned();
    let found = found.unwrap_or_else(|| object::unexplained(whole));
    would_not_attach(whole, &mut programs);
    Decided::by(found, programs)
}

/// Programs that load alone and would not attach, in a copy without the refused ones: a further
/// cause, never the reason why the whole was refused. What attaches there counts for nothing.
fn would_not_attach(whole: &Whole<'_>, programs: &mut [Option<Found>]) {
    for (program, found) in whole.evidence.programs.iter().zip(programs) {
        let refused = program.attach.isolated && program.attach.outcome == AttachOutcome::Refused;
        if found.is_none() && refused {
            *found = attach::diagnose(&Case::new(whole, program), false);
        }
    }
}

/// The first guilty program in the object's order. Want of guest memory is no certain refusal: a
/// program that is refused whatever the memory goes before it.
fn primary(programs: &[Option<Found>]) -> Option<Found> {
    let certain = |found: &&Found| found.diagnosis.code != Code::GuestResources;
    let first = programs.iter().flatten().find(certain);
    first.or_else(|| programs.iter().flatten().next()).cloned()
}

/// The same finding of the first program that it concerns, which names that program; the object's
/// own where it concerns none.
fn with_program(found: Found, programs: &[Option<Found>]) -> Found {
    let same = |other: &&Found| other.diagnosis.code == found.diagnosis.code;
    programs
        .iter()
        .flatten()
        .find(same)
        .cloned()
        .unwrap_or(found)
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

/// libbpf opens an object without a question to the kernel about it: a system call that the kernel
/// does not have is no fault of the object's (`memfd_create` without `CONFIG_MEMFD_CREATE`).
fn no_system_call(evidence: &Evidence) -> Fault {
    let last = evidence.log.lines().next_back().unwrap_or_default();
    let said = last.strip_prefix("libbpf: ").unwrap_or(last).trim();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {}", text::clipped(said))
    };
    Fault {
        stage: Stage::Open,
        code: None,
        headline: format!(
            "this kernel lacks a system call that libbpf needs to open any object (ENOSYS){said}"
        ),
        console: Vec::new(),
        hints: vec![
            "build the kernel with what docs/kernels.md says that any kernel must have; \
             CONFIG_MEMFD_CREATE with CONFIG_SHMEM is the likeliest"
                .into(),
        ],
    }
}

fn not_attempted(stage: Stage) -> Fault {
    Fault {
        stage,
        code: None,
        headline: format!("the guest sent evidence in which the {stage} was not attempted"),
        console: Vec::new(),
        hints: vec![
            "this is a mistake of ukci's agent: please report it, with the evidence".into(),
        ],
    }
}

/// Why nothing was attempted that could pass, if so. An object of maps alone passes by its load.
fn idle(evidence: &Evidence) -> Option<String> {
    let programs = &evidence.programs;
    let maps: Vec<String> = struct_ops::untried(evidence).collect();
    if programs.is_empty() && maps.is_empty() {
        return None;
    }
    let any_attached = (programs.iter().map(|program| &program.attach))
        .chain(evidence.struct_ops.iter().map(|map| &map.attach))
        .any(|attach| attach.outcome == AttachOutcome::Attached);
    if maps.is_empty() && !any_attached && programs.iter().all(|program| !program.autoload) {
        return Some("every program of the object is switched off".into());
    }
    if evidence.mode == Mode::Load || any_attached {
        return None;
    }
    let active = programs.iter().filter(|program| program.autoload);
    let of_programs =
        active.map(|program| format!("`{}`: {}", program.name, attach::why_not(program)));
    let all: Vec<String> = of_programs.chain(maps).collect();
    let reasons = &all[..all.len().min(3)];
    let more = match all.len() - reasons.len() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Some(format!(
        "it loads, and no program was attached: {}{more}",
        reasons.join("; ")
    ))
}
