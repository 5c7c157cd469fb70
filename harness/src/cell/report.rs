//! Makes a cell's entry of the report from the result of its last boot and from the verdict.

use ukci_judge::{Judgement, over_budget};
use ukci_judge::{behavior, canonical};
use ukci_schema::diagnosis::Diagnosis;
use ukci_schema::evidence::{Mode, ProgramEvidence, StepOutcome};
use ukci_schema::glob;
use ukci_schema::plan::PlannedCell;
use ukci_schema::report::{
    CellReport, CommandReport, ProgramReport, Start, TestOutcome, TestReport,
};
use ukci_schema::verdict::{Outcome, Stage, Verdict};

use super::inputs::Inputs;
use crate::catalogue::digest;
use crate::conversation::{Answer, BootResult};
use crate::machine::{Machine, Usage};
use crate::transport::Transport;

/// How a cell was run, and what it cost.
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) usage: Usage,
    pub(super) boots: u32,
    pub(super) memory: u32,
    /// How the last boot started.
    pub(super) start: Start,
    /// Why it did not start as a copy of a saved guest, if that was wanted.
    pub(super) booted_because: Option<String>,
}

pub(super) fn report<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    dir: &str,
    result: BootResult,
    judgement: Judgement,
    cost: Cost,
) -> CellReport {
    let planned = &inputs.planned;
    let cell = &planned.cell;
    let hardware = machine.hardware(&inputs.kernel);
    let transport = match cost.start {
        // The transport of a cached cell is that of the run that it came from.
        Start::Cold | Start::Cached => hardware.transport,
        Start::Warm => Transport::VirtioSerial.name().to_owned(),
    };
    let last = if inputs.command.is_some() {
        Stage::Behave
    } else {
        match inputs.mode_of_cell() {
            Mode::Load => Stage::Load,
            Mode::Attach => Stage::Attach,
            Mode::Behave => Stage::Behave,
        }
    };
    let evidence = match result.answer {
        Some(Answer::Evidence(evidence)) => Some(*evidence),
        _ => None,
    };
    let seen = evidence.as_ref();
    let tests = seen.map_or_else(Vec::new, behavior::tests);
    let evidence_digest = seen.map(|seen| digest::of(canonical::text(seen).as_bytes()));
    let evidence = evidence.unwrap_or_default();
    let watched = evidence
        .command
        .as_ref()
        .and_then(|seen| seen.watched.as_ref());
    let unwatched = watched.and_then(|watched| watched.incomplete.as_ref());
    let unwatched =
        unwatched.map(|why| format!("not all calls of the command were watched: {why}"));
    let command = evidence.command.map(|seen| CommandReport {
        ended: seen.ended,
        stdout_bytes: seen.stdout_bytes,
        stderr_bytes: seen.stderr_bytes,
        left_running: seen.left_running,
        out: seen.out,
        out_refused: seen.out_refused,
    });
    let programs = programs(evidence.programs, judgement.programs, planned);
    let verdict = within_budget(judgement.verdict, &programs, inputs);
    let stage = match &verdict {
        Verdict::Pass | Verdict::Skip { .. } => last,
        Verdict::Fail { diagnosis } => diagnosis.stage,
        Verdict::Error { fault } => fault.stage,
    };
    let kind = verdict.kind();
    let base = Outcome::of(&verdict, &planned.expected);
    let outcome = outcome(base, planned, &programs);
    let (mut diagnosis, mut fault, mut reason) = (None, None, None);
    match verdict {
        Verdict::Pass => {}
        Verdict::Fail { diagnosis: why } => diagnosis = Some(why),
        Verdict::Error { fault: why } => fault = Some(why),
        Verdict::Skip { reason: why } => reason = Some(why),
    }
    let (release, libbpf) = match result.hello {
        Some(hello) => (hello.facts.release, hello.libbpf),
        None => (inputs.kernel.release.clone(), String::new()),
    };
    let stall = result
        .stall
        .map(|line| format!("the kernel reported a stall, which a busy host can cause: `{line}`"));
    let booted = (cost.booted_because).map(|why| format!("it booted its kernel, because {why}"));
    CellReport {
        id: cell.id(),
        artifact: cell.artifact.clone(),
        kernel: cell.kernel.clone(),
        release,
        arch: cell.arch,
        llvm: cell.llvm.clone(),
        accel: hardware.accel,
        cpu: hardware.cpu,
        transport,
        start: cost.start,
        hermetic: inputs.is_hermetic(),
        network: inputs.userland().network,
        root: (inputs.command.as_ref()).and_then(|command| command.root.clone()),
        host_root: inputs.userland().host_root,
        btf: inputs.external_btf(),
        memory: cost.memory,
        cpus: planned.cpus,
        seconds: cost.seconds,
        cpu_seconds: cost.usage.cpu_seconds,
        stages: result.stages,
        peak_kib: cost.usage.peak_kib,
        boots: cost.boots,
        verdict: kind,
        outcome,
        expected: planned.expected.clone(),
        required: planned.required,
        stage,
        diagnosis,
        fault,
        reason,
        libbpf,
        command,
        programs,
        maps: evidence.maps,
        edits: (inputs.kernel.cmdline.iter())
            .chain(&planned.cmdline)
            .map(|argument| format!("kernel argument `{argument}`"))
            .chain(evidence.edits)
            .collect(),
        notes: (booted.into_iter().chain(stall).chain(unwatched))
            .chain(tests.iter().filter_map(optional))
            .collect(),
        tests,
        evidence: dir.to_owned(),
        evidence_digest,
        cached: None,
    }
}

/// What a functional test that is not required has to say if it did not pass.
fn optional(test: &TestReport) -> Option<String> {
    if test.required {
        return None;
    }
    let unmet = test.checks.iter().find(|check| !check.met);
    let why = match (test.outcome, &test.reason, unmet) {
        (TestOutcome::Fail, _, Some(check)) => format!(
            "failed: {}: expected {}, saw {}",
            check.what, check.expected, check.seen
        ),
        (TestOutcome::NotRun, Some(reason), _) => format!("could not be run: {reason}"),
        _ => return None,
    };
    let name = &test.name;
    Some(format!(
        "the functional test `{name}`, which is not required, {why}"
    ))
}

/// One entry per program, with its diagnosis and what the matrix says of it alone.
fn programs(
    seen: Vec<ProgramEvidence>,
    diagnoses: Vec<Option<Diagnosis>>,
    planned: &PlannedCell,
) -> Vec<ProgramReport> {
    let mut diagnoses = diagnoses.into_iter();
    let reports = seen.into_iter().map(|program| {
        let mut report = ProgramReport {
            errno: program.load.errno.or(program.attach.errno),
            name: program.name,
            section: program.section,
            program_type: program.program_type,
            load: program.load.outcome,
            isolated: program.load.isolated,
            attach: program.attach.outcome,
            method: program.attach.method,
            reason: program.attach.reason.or(program.load.reason),
            fired: program.attach.fired,
            verifier: program.load.verifier,
            at: program.load.at,
            diagnosis: diagnoses.next().flatten(),
            expected: None,
            outcome: None,
        };
        if let Some(expected) = planned.programs.get(&report.name) {
            report.outcome = Some(Outcome::of(&report.verdict(), expected));
            report.expected = Some(expected.clone());
        }
        report
    });
    reports.collect()
}

/// A pass is a failure if a program cost the verifier more than the budget allows.
fn within_budget(verdict: Verdict, programs: &[ProgramReport], inputs: &Inputs) -> Verdict {
    if verdict != Verdict::Pass {
        return verdict;
    }
    let before = |program: &str| inputs.baseline.get(program).copied();
    let accepted = programs.iter().filter(|p| p.load == StepOutcome::Ok);
    let counted = accepted.filter_map(|p| Some((p.name.as_str(), p.verifier.as_ref()?.insns)));
    match over_budget(&inputs.budget, counted, before) {
        Some(diagnosis) => Verdict::Fail { diagnosis },
        None => verdict,
    }
}

/// The cell's outcome, once single programs with expectations of their own had their say.
fn outcome(base: Outcome, planned: &PlannedCell, programs: &[ProgramReport]) -> Outcome {
    // Without evidence there are none to compare, and the fault says why.
    let of_programs: Vec<Outcome> = programs.iter().filter_map(|p| p.outcome).collect();
    let others_fail = programs.iter().any(|program| {
        let forgiven =
            glob::any(&planned.attach_optional, &program.name) && program.load == StepOutcome::Ok;
        program.diagnosis.is_some() && program.outcome.is_none() && !forgiven
    });
    base.with_programs(&of_programs, others_fail)
}
