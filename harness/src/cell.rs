//! Runs one cell: it boots the guest, connects, sends the artifact, receives the evidence, judges
//! it, and shuts down.

mod inputs;
mod key;
mod report;
mod retry;

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tracing::Instrument;
use ukci_judge::{Judgement, Terms, judge_on};
use ukci_schema::diagnosis::{Code, Diagnosis, Excerpt};
use ukci_schema::message::FromHost;
use ukci_schema::report::{CellReport, Start as ReportedStart};
use ukci_schema::verdict::{Fault, Outcome, Stage, Verdict, VerdictKind};

use self::inputs::PlanFile;
use self::key::key;
use self::report::{Cost, report};
use self::retry::{died_with_artifact, input_is_gone, second_chance};
use crate::command::{Run, Sender, Stdin};
use crate::conversation::{self, Answer, BootResult, GuestRequest};
use crate::evidence_dir::{self, EvidenceDir};
use crate::machine::{Boot, Hardware, Machine, Template, Usage};
use crate::remembered::{self, Verdicts};
use crate::schedule::Lease;
use crate::waited_for::Unprepared;

pub(crate) use self::inputs::{Inputs, Refusal};

/// How the first boot of a cell starts.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// As a copy of a guest that was saved.
    Copy(Template),
    /// By booting the kernel; and why, if a copy was wanted.
    Boot { why: Option<String> },
}

/// What happens while a cell runs.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// A stage began.
    Stage(Stage),
    /// It is booted again, and why.
    Retry(String),
    /// Something that holds for the whole run.
    Warning(String),
}

/// The report of this cell that an earlier run left in the same directory, if it had the same
/// inputs and came to a verdict.
pub(crate) fn finished(inputs: &Inputs) -> Option<CellReport> {
    // What it was given then is not kept, so it cannot be compared with what it would be given now.
    if matches!(inputs.stdin, Some(Stdin::Stream(_))) {
        return None;
    }
    let kept = evidence_dir::EarlierRun::of(&inputs.out, &inputs.planned.cell);
    let plan = PlanFile::of(inputs);
    let CellFile { plan: of, cell } = serde_json::from_value(kept.json("cell.json")?).ok()?;
    // The two files may be of two runs that were killed: each is asked.
    let same = of == plan.digest().ok()?
        && cell.id == inputs.planned.cell.id()
        && kept.json("plan.json")? == serde_json::to_value(plan).ok()?;
    (same && cell.outcome != Outcome::Error).then_some(cell)
}

/// What `cell.json` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CellFile {
    /// The digest of the plan that was carried out, which is all of the cell's inputs.
    plan: String,
    /// The cell's entry of the report.
    cell: CellReport,
}

/// The report of this cell from the evidence that an earlier run has left in the cache, if there is
/// any: it is judged again, on today's terms. Its logs are put where a boot would have left them.
pub(crate) fn recalled<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    verdicts: &Verdicts,
) -> Option<CellReport> {
    if verdicts.is_off() || inputs.refused.is_some() || inputs.unkept.is_some() {
        return None;
    }
    let started = Instant::now();
    let key = key(inputs, &hardware(machine, inputs))?;
    let mut kept = verdicts.recall(&key)?;
    let result = kept.result();
    let judgement = judgement(&result, inputs, 1);
    // Today's judge may want another boot, with more memory.
    let again = second_chance(&result, &judgement, kept.ran.memory);
    if again.is_some() || matches!(judgement.verdict, Verdict::Error { .. }) {
        return None;
    }
    // Where the evidence cannot be written, the cell runs, and says so.
    let dir = EvidenceDir::create(&inputs.out, &inputs.planned.cell).ok()?;
    let plan = PlanFile::of(inputs);
    dir.write_json("plan.json", &plan).ok()?;
    kept.restore(dir.path()).ok()?;
    let cost = Cost {
        seconds: 0.0,
        usage: Usage::default(),
        boots: 0,
        memory: kept.ran.memory,
        start: ReportedStart::Cached,
        booted_because: None,
    };
    let mut cell = report(machine, inputs, dir.relative(), result, judgement, cost);
    cell.transport.clone_from(&kept.ran.transport);
    cell.release.clone_from(&kept.ran.release);
    cell.cached = Some(kept.ran.from);
    cell.seconds = started.elapsed().as_secs_f64();
    let plan = plan.digest().ok()?;
    let file = CellFile { plan, cell };
    dir.write_json("cell.json", &file).ok()?;
    Some(file.cell)
}

/// What the cell's guest runs on.
fn hardware<M: Machine>(machine: &M, inputs: &Inputs) -> Hardware {
    machine.hardware(&inputs.kernel)
}

/// Runs one cell to its report, whatever happens: a cell whose evidence cannot be written has no
/// verdict, and the others go on.
pub(crate) async fn run<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    (start, verdicts): (Start, &Verdicts),
    lease: &mut Lease,
    output: &(usize, Sender),
    tell: impl Fn(Progress),
) -> CellReport {
    let started = Instant::now();
    // Quoted, because an artifact's name may have any character.
    let span = tracing::debug_span!("cell", id = ?inputs.planned.cell.id());
    match attempt(
        machine,
        inputs,
        (start, verdicts),
        started,
        lease,
        output,
        tell,
    )
    .instrument(span)
    .await
    {
        Ok(report) => report,
        Err(error) => {
            let headline = format!("the evidence cannot be saved: {error}: {}", error.source);
            unbooted(machine, inputs, headline, vec![error.hint()], started)
        }
    }
}

/// The report of a cell whose kernel could not be prepared.
pub(crate) fn unprepared<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    Unprepared { why, hints }: &Unprepared,
) -> CellReport {
    // What an earlier run left there is not of this cell. Where that cannot be removed, it stays.
    let _ = EvidenceDir::create(&inputs.out, &inputs.planned.cell);
    unbooted(machine, inputs, why.clone(), hints.clone(), Instant::now())
}

/// The report of a cell whose task panicked with this message. What it wrote until then stays.
pub(crate) fn panicked<M: Machine>(machine: &M, inputs: &Inputs, message: &str) -> CellReport {
    let headline = format!("ukci failed while it ran this cell: {message}");
    let hint = "report this: it is a bug in ukci".to_owned();
    unbooted(machine, inputs, headline, vec![hint], Instant::now())
}

/// The report of a cell that has no verdict, because it could not be booted.
fn unbooted<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    headline: String,
    hints: Vec<String>,
    started: Instant,
) -> CellReport {
    let judgement = Judgement {
        verdict: Verdict::Error {
            fault: Fault {
                hints,
                ..Fault::at(Stage::Boot, headline)
            },
        },
        programs: Vec::new(),
    };
    let cost = Cost {
        seconds: started.elapsed().as_secs_f64(),
        usage: Usage::default(),
        boots: 0,
        memory: inputs.planned.memory,
        start: ReportedStart::default(),
        booted_because: None,
    };
    let dir = evidence_dir::relative(&inputs.planned.cell);
    report(
        machine,
        inputs,
        &dir,
        BootResult::default(),
        judgement,
        cost,
    )
}

/// Runs one cell to its report. An artifact that is refused is a report; an error is an evidence
/// directory that cannot be written.
async fn attempt<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    (start, verdicts): (Start, &Verdicts),
    started: Instant,
    lease: &mut Lease,
    output: &(usize, Sender),
    tell: impl Fn(Progress),
) -> Result<CellReport, evidence_dir::Error> {
    if let Some(error) = &inputs.unkept {
        return Err(error.again());
    }
    let cell = &inputs.planned.cell;
    let dir = EvidenceDir::create(&inputs.out, cell)?;
    let plan = PlanFile::of(inputs);
    dir.write_json("plan.json", &plan)?;
    let plan_digest = (plan.digest()).map_err(|error| dir.unwritten("cell.json", error.into()))?;

    if let Some(refusal) = &inputs.refused {
        dir.write_compiler_log(&refusal.log)?;
        let judgement = Judgement {
            verdict: Verdict::Fail {
                diagnosis: refusal.diagnosis.clone(),
            },
            programs: Vec::new(),
        };
        let cost = Cost {
            seconds: 0.0,
            usage: Usage::default(),
            boots: 0,
            memory: inputs.planned.memory,
            start: ReportedStart::default(),
            booted_because: None,
        };
        return Ok(report(
            machine,
            inputs,
            dir.relative(),
            BootResult::default(),
            judgement,
            cost,
        ));
    }
    let mut memory = inputs.planned.memory;
    let mut boots = 1;
    let mut usage = Usage::default();
    // Of a cell that a fault had booted twice, chance had a part in it.
    let mut faultless = true;
    let (mut template, mut booted_because) = match start {
        Start::Copy(template) => (Some(template), None),
        Start::Boot { why } => (None, why),
    };
    let (result, judgement, start) = loop {
        let start = template
            .as_ref()
            .map_or(ReportedStart::Cold, |_| ReportedStart::Warm);
        let result = boot(
            machine,
            inputs,
            &dir,
            (memory, template.take()),
            output,
            &tell,
        )
        .await;
        usage.cpu_seconds += result.usage.cpu_seconds;
        usage.peak_kib = usage.peak_kib.max(result.usage.peak_kib);
        if let Some(fault) = result.fault.as_ref().filter(|_| result.never_resumed) {
            let why = format!("the copy of a saved guest failed: {}", fault.headline);
            dir.set_first_boot_aside()?;
            tell(Progress::Retry(format!(
                "{why}, so the cell boots its kernel"
            )));
            booted_because = Some(why);
            continue;
        }
        faultless &= result.fault.is_none() && result.stall.is_none();
        if let Some(Answer::Evidence(evidence)) = &result.answer {
            dir.write_evidence(evidence)?;
        }
        let judgement = judgement(&result, inputs, boots);
        let retry = (boots == 1)
            .then(|| second_chance(&result, &judgement, memory))
            .flatten();
        let Some((why, more)) = retry else {
            break (result, judgement, start);
        };
        if inputs.stdin.as_ref().is_some_and(Stdin::was_taken) {
            let fault = input_is_gone(&result, &judgement);
            let verdict = Verdict::Error { fault };
            break (
                result,
                Judgement {
                    verdict,
                    ..judgement
                },
                start,
            );
        }
        dir.set_first_boot_aside()?;
        tell(Progress::Retry(why));
        if more > memory {
            lease.resize(more).await;
        }
        memory = more;
        boots = 2;
    };
    let of_evidence = match &result.answer {
        Some(Answer::Evidence(evidence)) if faultless => Some(remembered::is_complete(evidence)),
        _ => None,
    };
    let report = report(
        machine,
        inputs,
        dir.relative(),
        result,
        judgement,
        Cost {
            seconds: started.elapsed().as_secs_f64(),
            usage,
            boots,
            memory,
            start,
            booted_because,
        },
    );
    if of_evidence == Some(true)
        && report.verdict != VerdictKind::Error
        && !verdicts.is_off()
        && let Some(key) = key(inputs, &hardware(machine, inputs))
    {
        verdicts.keep(&key, dir.path(), &inputs.kernel.image.sha256, &report);
    }
    // The last file: where it lies, the cell is finished.
    let file = CellFile {
        plan: plan_digest,
        cell: report,
    };
    dir.write_json("cell.json", &file)?;
    Ok(file.cell)
}

/// Boots the cell once and asks its agent.
async fn boot<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    dir: &EvidenceDir,
    (memory, template): (u32, Option<Template>),
    output: &(usize, Sender),
    tell: &impl Fn(Progress),
) -> BootResult {
    let boot = Boot {
        template,
        ..inputs.boot(memory, dir.path().to_owned())
    };
    let limit = inputs.timeout * machine.slowness();
    let reached = |stage| tell(Progress::Stage(stage));
    if let Some(command) = &inputs.command {
        let run = Run {
            request: FromHost::Command(Box::new(inputs.command_request(command))),
            modules: (inputs.modules.iter())
                .map(|(_, bytes)| Arc::clone(bytes))
                .collect(),
            contents: inputs.files.clone(),
            stdin: (inputs.stdin.clone()).unwrap_or_else(|| Stdin::Bytes(Vec::new().into())),
            output: output.clone(),
            evidence: dir.path().to_owned(),
            limit,
        };
        let request = GuestRequest::Command(Box::new(run));
        return conversation::hold(machine, boot, request, limit, &reached).await;
    }
    let mut asked = inputs.request(limit);
    // A guest whose processor is emulated has as much more time for each test.
    for test in &mut asked.contract.tests {
        test.timeout_ms *= u64::from(machine.slowness());
    }
    let limit = limit + inputs.tests_time() * machine.slowness();
    let request = FromHost::Request(Box::new(asked));
    let request = GuestRequest::Artifact(request, inputs.parts());
    conversation::hold(machine, boot, request, limit, &reached).await
}

/// What a boot means: judged evidence, or the fault that kept it from us.
fn judgement(result: &BootResult, inputs: &Inputs, boots: u32) -> Judgement {
    let verdict = match (&result.fault, &result.answer) {
        // Once is chance (a crash of the emulator looks the same); twice is the artifact's doing.
        (Some(fault), _) if boots > 1 && died_with_artifact(result) => Verdict::Fail {
            diagnosis: panicked_twice(fault),
        },
        (Some(fault), _) => match ended_the_guest(inputs, fault) {
            Some(diagnosis) => Verdict::Fail { diagnosis },
            None => Verdict::Error {
                fault: fault.clone(),
            },
        },
        (None, Some(Answer::Evidence(evidence))) => {
            let attach_optional = Some(&inputs.planned.attach_optional);
            let terms = Terms {
                strict: inputs.strict,
                attach_optional,
            };
            return judge_on(evidence, terms);
        }
        (None, _) => {
            let stage = result.stage.unwrap_or(Stage::Boot);
            Verdict::Error {
                fault: Fault::at(stage, "the guest ended without evidence"),
            }
        }
    };
    Judgement {
        verdict,
        programs: Vec::new(),
    }
}

/// What the kernel says when a program has it restarted, halted or powered off (`kernel/reboot.c`),
/// and what that is called.
const ENDINGS: &[(&str, &str)] = &[
    ("reboot: Restarting system", "restarted"),
    ("reboot: System halted", "halted"),
    ("reboot: Power down", "powered off"),
];

/// A command that ended the guest did not end as expected. The agent itself powers the guest off only
/// after its last word.
fn ended_the_guest(inputs: &Inputs, fault: &Fault) -> Option<Diagnosis> {
    let command = inputs.command.as_ref()?;
    if fault.code.is_some() || fault.stage != Stage::Behave {
        return None;
    }
    let said = |line: &String| ENDINGS.iter().find(|(words, _)| line.contains(words));
    let (_, how) = fault.console.iter().rev().find_map(said)?;
    let name = command.arguments.first().map_or("", String::as_str);
    let expected = command.expected_status;
    Some(Diagnosis {
        code: Code::CommandValidationFailure,
        stage: Stage::Behave,
        program: None,
        headline: format!(
            "expected exit status {expected} from `{name}`, but the guest was {how} while it ran"
        ),
        at: None,
        excerpt: Some(Excerpt {
            of: "console".into(),
            lines: fault.console.clone(),
            omitted: 0,
        }),
        hints: vec![
            "read what it wrote before in `stdout.log` and `stderr.log` of the cell".into(),
        ],
    })
}

/// A panic that repeats is the artifact's failure.
fn panicked_twice(fault: &Fault) -> Diagnosis {
    Diagnosis {
        code: Code::KernelPanic,
        stage: fault.stage,
        program: None,
        headline: format!("{}, in two boots out of two", fault.headline),
        at: None,
        excerpt: Some(Excerpt {
            of: "console".into(),
            lines: fault.console.clone(),
            omitted: 0,
        }),
        hints: vec![
            "report it to the kernel's maintainers, unless a command asked for the panic, for \
             example through `/proc/sysrq-trigger`"
                .into(),
        ],
    }
}
