//! One cell: boot, connect, hand over the artifact, take the evidence, judge it, shut down.
//!
//! The conversation runs under deadlines; the guest is owned outside the timed part, so a timeout
//! still keeps its console and reaps its QEMU. Three things are tried twice: a load that failed for
//! want of guest memory, a kernel that panicked while it had the artifact, and a guest that never
//! reached the host.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tokio::time::timeout_at;
use ukci_schema::budget::Budget;
use ukci_schema::canonical;
use ukci_schema::diagnosis::{Code, Diagnosis, Excerpt};
use ukci_schema::evidence::{Evidence, GuestFacts, MapEvidence, Mode, StepOutcome};
use ukci_schema::judge::{Judgement, Terms, judge_on};
use ukci_schema::message::{FromGuest, FromHost, PROTOCOL, Request};
use ukci_schema::plan::{PlannedArtifact, PlannedCell, PlannedKernel};
use ukci_schema::report::{CellReport, ProgramReport};
use ukci_schema::verdict::{Fault, Outcome, Stage, Verdict};

use crate::catalogue::digest;
use crate::channel::{self, Channel};
use crate::evidence_dir::{self, EvidenceDir};
use crate::machine::{Boot, Ending, Guest, Machine, NoConnection, Usage};

/// How long an agent may take to power off after its last word, on bare hardware.
const POWER_OFF: Duration = Duration::from_secs(2);
/// How long to wait for the cause when the connection broke, on bare hardware.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// Most guest memory that a retry asks for, in MiB.
const MEMORY_CEILING: u64 = 8 * 1024;

/// What a cell is run with.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) planned: PlannedCell,
    pub(crate) kernel: Arc<PlannedKernel>,
    pub(crate) artifact: Arc<PlannedArtifact>,
    pub(crate) object: Arc<[u8]>,
    /// The files of the cell's contract, in its order.
    pub(crate) files: Vec<Arc<[u8]>>,
    /// Why a compiler made no object of the source: then nothing is booted.
    pub(crate) refused: Option<Arc<Diagnosis>>,
    pub(crate) initramfs: Arc<Path>,
    pub(crate) agent: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) strict: bool,
    pub(crate) timeout: Duration,
    pub(crate) out: Arc<Path>,
    pub(crate) budget: Budget,
    /// Instructions that the baseline has for this cell's programs.
    pub(crate) baseline: BTreeMap<String, u64>,
}

/// Something to tell while a cell runs.
#[derive(Clone, Debug)]
pub(crate) enum Telling {
    /// A stage began.
    Stage(Stage),
    /// It is booted again.
    Retry(String),
}

/// What `plan.json` holds: every input of the cell by digest.
#[derive(Serialize)]
struct PlanFile<'a> {
    id: String,
    cell: &'a PlannedCell,
    artifact: &'a PlannedArtifact,
    kernel: &'a PlannedKernel,
    agent: &'a str,
    mode: Mode,
    /// SHA-256 of the bytes that the guest is handed.
    object: String,
    strict: bool,
    budget: Budget,
    baseline: &'a BTreeMap<String, u64>,
}

impl<'a> PlanFile<'a> {
    fn of(inputs: &'a Inputs) -> Self {
        Self {
            id: inputs.planned.cell.id(),
            cell: &inputs.planned,
            artifact: &inputs.artifact,
            kernel: &inputs.kernel,
            agent: &inputs.agent,
            mode: inputs.mode,
            object: digest::of(&inputs.object),
            strict: inputs.strict,
            budget: inputs.budget,
            baseline: &inputs.baseline,
        }
    }
}

/// The report of this cell that an earlier run left in the same directory, if it had the same
/// inputs and came to a verdict.
pub(crate) fn finished(inputs: &Inputs) -> Option<CellReport> {
    let kept = evidence_dir::Kept::of(&inputs.out, &inputs.planned.cell);
    let same = kept.json("plan.json")? == serde_json::to_value(PlanFile::of(inputs)).ok()?;
    let report: CellReport = serde_json::from_value(kept.json("cell.json")?).ok()?;
    (same && report.outcome != Outcome::Error).then_some(report)
}

/// What one boot gave.
#[derive(Debug, Default)]
struct Attempt {
    stage: Option<Stage>,
    facts: Option<Box<GuestFacts>>,
    libbpf: String,
    evidence: Option<Box<Evidence>>,
    fault: Option<Fault>,
    /// The guest powered itself off before it said hello.
    unheard: bool,
    usage: Usage,
}

impl Attempt {
    /// Whether the kernel died while it had the artifact.
    fn died_with_artifact(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| {
            fault.code == Some(Code::KernelPanic) && fault.stage >= Stage::Open
        })
    }
}

/// Runs one cell to its report. An artifact that is refused is a report; an error is an evidence
/// directory that cannot be written.
pub(crate) async fn run<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    tell: impl Fn(Telling),
) -> Result<CellReport, evidence_dir::Error> {
    let started = Instant::now();
    let cell = &inputs.planned.cell;
    let dir = EvidenceDir::create(&inputs.out, cell)?;
    dir.write_json("plan.json", &PlanFile::of(inputs))?;

    if let Some(diagnosis) = &inputs.refused {
        let judgement = Judgement {
            verdict: Verdict::Fail {
                diagnosis: Diagnosis::clone(diagnosis),
            },
            programs: Vec::new(),
        };
        let cost = Cost {
            seconds: 0.0,
            usage: Usage::default(),
            boots: 0,
            memory: inputs.planned.memory,
        };
        let attempt = Attempt::default();
        return Ok(report(machine, inputs, &dir, attempt, judgement, cost));
    }
    let mut memory = inputs.planned.memory;
    let mut boots = 1;
    let mut usage = Usage::default();
    let (attempt, judgement) = loop {
        let attempt = attempt(machine, inputs, &dir, memory, &tell).await;
        usage.cpu_seconds += attempt.usage.cpu_seconds;
        usage.peak_kib = usage.peak_kib.max(attempt.usage.peak_kib);
        if let Some(evidence) = &attempt.evidence {
            dir.write_evidence(evidence)?;
        }
        let judgement = judgement(&attempt, inputs, boots);
        let retry = (boots == 1)
            .then(|| second_chance(&attempt, &judgement, memory))
            .flatten();
        let Some((why, more)) = retry else {
            break (attempt, judgement);
        };
        dir.set_first_boot_aside()?;
        tell(Telling::Retry(why));
        memory = more;
        boots = 2;
    };
    let report = report(
        machine,
        inputs,
        &dir,
        attempt,
        judgement,
        Cost {
            seconds: started.elapsed().as_secs_f64(),
            usage,
            boots,
            memory,
        },
    );
    // The last file: where it lies, the cell is finished.
    dir.write_json("cell.json", &report)?;
    Ok(report)
}

/// Why a cell deserves another boot, and with how much memory.
fn second_chance(attempt: &Attempt, judgement: &Judgement, memory: u32) -> Option<(String, u32)> {
    if attempt.died_with_artifact() {
        return Some(("the kernel panicked; does it again?".into(), memory));
    }
    // Now and then, on a loaded host, vhost-device-vsock 0.3 never serves its guest: 3 of 153 boots
    // were seen to end so. It says nothing of the artifact, which the guest did not have yet.
    if attempt.unheard {
        let why = "the guest powered off before its hello; does it again?";
        return Some((why.into(), memory));
    }
    if judgement.verdict.code() == Some(Code::GuestResources) {
        let maps = attempt
            .evidence
            .as_ref()
            .map_or(&[][..], |evidence| &evidence.maps);
        let cpus = attempt.facts.as_ref().map_or(1, |facts| facts.cpus);
        let more = enough_memory(maps, cpus, memory);
        return (more > memory).then(|| {
            (
                format!("{memory} MiB of guest memory were not enough; now {more} MiB"),
                more,
            )
        });
    }
    None
}

/// Guest memory that holds these maps twice over, in MiB: at least double what there was.
fn enough_memory(maps: &[MapEvidence], cpus: u32, memory: u32) -> u32 {
    let bytes: u64 = maps
        .iter()
        .map(|map| {
            let copies = if map.map_type.contains("percpu") {
                u64::from(cpus.max(1))
            } else {
                1
            };
            if map.map_type.contains("ringbuf") {
                u64::from(map.max_entries)
            } else {
                // A hash table's element carries some 64 bytes of its own.
                u64::from(map.max_entries)
                    .saturating_mul(u64::from(map.value_size).div_ceil(8) * 8 * copies)
                    .saturating_add(
                        u64::from(map.max_entries).saturating_mul(u64::from(map.key_size) + 64),
                    )
            }
        })
        .fold(0, u64::saturating_add);
    let wanted = u64::from(memory).saturating_mul(2).max(
        (bytes / (1024 * 1024))
            .saturating_mul(2)
            .saturating_add(u64::from(memory)),
    );
    u32::try_from(wanted.min(MEMORY_CEILING))
        .unwrap_or(memory)
        .max(memory)
}

/// What an attempt means: judged evidence, or the fault that kept it from us.
fn judgement(attempt: &Attempt, inputs: &Inputs, boots: u32) -> Judgement {
    if let Some(fault) = &attempt.fault {
        // Once is chance (a crash of the emulator looks the same); twice is the artifact's doing.
        if boots > 1 && attempt.died_with_artifact() {
            let diagnosis = Diagnosis {
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
                    "report it to the kernel's maintainers: an eBPF object must never panic a \
                     kernel"
                        .into(),
                ],
            };
            return Judgement {
                verdict: Verdict::Fail { diagnosis },
                programs: Vec::new(),
            };
        }
        return Judgement {
            verdict: Verdict::Error {
                fault: fault.clone(),
            },
            programs: Vec::new(),
        };
    }
    match &attempt.evidence {
        Some(evidence) => judge_on(
            evidence,
            Terms {
                strict: inputs.strict,
                attach_optional: Some(&inputs.planned.attach_optional),
            },
        ),
        None => Judgement {
            verdict: Verdict::Error {
                fault: Fault {
                    stage: attempt.stage.unwrap_or(Stage::Boot),
                    code: None,
                    headline: "the guest ended without evidence".into(),
                    console: Vec::new(),
                    hints: Vec::new(),
                },
            },
            programs: Vec::new(),
        },
    }
}

/// Boots the cell once.
async fn attempt<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    dir: &EvidenceDir,
    memory: u32,
    tell: &impl Fn(Telling),
) -> Attempt {
    let slowness = machine.slowness();
    let limit = inputs.timeout * slowness;
    let deadline = tokio::time::Instant::now() + limit;
    tell(Telling::Stage(Stage::Boot));
    let boot = Boot {
        cell: inputs.planned.cell.clone(),
        release: inputs.kernel.release.clone(),
        kernel: inputs.kernel.image.path.clone(),
        initramfs: inputs.initramfs.to_path_buf(),
        cmdline: [&*inputs.kernel.cmdline, &inputs.planned.cmdline].concat(),
        memory,
        cpus: inputs.planned.cpus,
        evidence: dir.path().to_owned(),
    };
    let mut guest = match timeout_at(deadline, machine.boot(boot)).await {
        Ok(Ok(guest)) => guest,
        Ok(Err(fault)) => {
            return Attempt {
                fault: Some(fault),
                ..Attempt::default()
            };
        }
        Err(_) => {
            let fault = Fault {
                stage: Stage::Boot,
                code: None,
                headline: format!("QEMU did not start within {}", seconds(limit)),
                console: Vec::new(),
                hints: Vec::new(),
            };
            return Attempt {
                fault: Some(fault),
                ..Attempt::default()
            };
        }
    };

    let mut talk = Talk {
        stage: Stage::Boot,
        waiting_for: "hello from the guest".into(),
        facts: None,
        libbpf: String::new(),
        evidence: None,
        done: false,
    };
    let outcome = timeout_at(deadline, talk.through(&mut guest, inputs, tell)).await;
    let mut unheard = false;
    let fault = match outcome {
        Ok(Ok(())) => None,
        // The agent's answer is whole; how it went down after it is no matter of the artifact's.
        Ok(Err(_)) if talk.done => None,
        Ok(Err(broken)) => {
            let broken = last_words(broken, &mut guest, LAST_WORDS * slowness).await;
            unheard = talk.facts.is_none() && broken.is_power_off();
            Some(fault_of(&broken, &talk, guest.console_tail()))
        }
        Err(_) => {
            Some(Fault {
                // Before hello the transports differ in what can be seen; the stage must not.
                stage: talk.stage.max(Stage::Connect),
                code: None,
                headline: format!("no {} within {}", talk.waiting_for, seconds(limit)),
                console: guest.console_tail(),
                hints: vec![
                    "the console shows how far it came; give it longer with `--timeout`".into(),
                ],
            })
        }
    };
    let grace = if fault.is_none() {
        POWER_OFF * slowness
    } else {
        Duration::ZERO
    };
    let usage = guest.stop(grace).await;
    Attempt {
        stage: Some(talk.stage),
        facts: talk.facts,
        libbpf: talk.libbpf,
        // Evidence that was not closed by the agent's last word may be of a dying kernel.
        evidence: talk.evidence.filter(|_| fault.is_none()),
        fault,
        unheard,
        usage,
    }
}

/// Why a conversation stopped.
#[derive(Debug)]
enum Broken {
    Ended(Ending),
    Channel(channel::Error),
    Host(String),
    Agent(String),
    Protocol(u32),
}

impl Broken {
    /// Whether the guest powered itself off, as the agent does when it cannot go on.
    fn is_power_off(&self) -> bool {
        let Self::Ended(Ending::Exited { reason, .. }) = self else {
            return false;
        };
        reason.as_deref() == Some("guest-shutdown")
    }
}

/// A connection breaks a moment before its cause is seen: waits for the cause.
async fn last_words<G: Guest>(broken: Broken, guest: &mut G, patience: Duration) -> Broken {
    match broken {
        Broken::Channel(channel::Error::Closed | channel::Error::Io(_)) => {
            match tokio::time::timeout(patience, guest.ended()).await {
                Ok(ending) => Broken::Ended(ending),
                Err(_) => broken,
            }
        }
        broken => broken,
    }
}

/// The conversation so far.
struct Talk {
    stage: Stage,
    waiting_for: String,
    facts: Option<Box<GuestFacts>>,
    libbpf: String,
    evidence: Option<Box<Evidence>>,
    done: bool,
}

impl Talk {
    /// From the agent's dial to its last word.
    async fn through<G: Guest>(
        &mut self,
        guest: &mut G,
        inputs: &Inputs,
        tell: &impl Fn(Telling),
    ) -> Result<(), Broken> {
        let stream = guest.connect().await.map_err(|none| match none {
            NoConnection::Ended(ending) => Broken::Ended(ending),
            NoConnection::Failed(why) => Broken::Host(why),
        })?;
        let mut channel = Channel::new(stream);
        match alive(guest, channel.receive()).await? {
            FromGuest::Hello {
                protocol: PROTOCOL,
                libbpf,
                facts,
                ..
            } => {
                self.libbpf = libbpf;
                self.facts = Some(facts);
            }
            FromGuest::Hello { protocol, .. } => return Err(Broken::Protocol(protocol)),
            FromGuest::Trouble { message } => return Err(Broken::Agent(message)),
            _ => {
                return Err(Broken::Channel(channel::Error::Unexpected(
                    "a message",
                    "its hello",
                )));
            }
        }
        self.stage = Stage::Connect;
        tell(Telling::Stage(Stage::Connect));

        self.waiting_for = "acknowledgement of the artifact".into();
        let request = FromHost::Request(Box::new(Request {
            name: inputs.artifact.artifact.name.clone(),
            size: inputs.object.len() as u64,
            mode: inputs.mode,
            contract: inputs.planned.contract.clone(),
            sysctl: inputs.kernel.sysctl.clone(),
            time: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |d| d.as_secs()),
            entropy: entropy(),
        }));
        alive(guest, channel.send(&request)).await?;
        alive(guest, channel.send_bytes(&inputs.object)).await?;
        for file in &inputs.files {
            alive(guest, channel.send_bytes(file)).await?;
        }

        self.waiting_for = "answer from the agent".into();
        loop {
            match alive(guest, channel.receive()).await? {
                FromGuest::Progress { stage, doing } => {
                    if stage > self.stage {
                        self.stage = stage;
                        tell(Telling::Stage(stage));
                    }
                    self.waiting_for = format!("end of {stage} ({})", bounded(&doing));
                }
                FromGuest::Reply { evidence } => {
                    self.waiting_for = "last word from the agent".into();
                    self.evidence = Some(evidence);
                }
                FromGuest::Done if self.evidence.is_some() => {
                    self.done = true;
                    return Ok(());
                }
                FromGuest::Trouble { message } => return Err(Broken::Agent(message)),
                FromGuest::Done => {
                    return Err(Broken::Agent("it was done without an answer".into()));
                }
                FromGuest::Hello { .. } => {
                    return Err(Broken::Channel(channel::Error::Unexpected(
                        "a second hello",
                        "an answer",
                    )));
                }
                FromGuest::Features { .. } => {
                    return Err(Broken::Channel(channel::Error::Unexpected(
                        "the kernel's features",
                        "an answer",
                    )));
                }
            }
        }
    }
}

/// Awaits `conversation` for as long as the guest lives. What has already arrived counts, even if
/// the guest is gone by now.
async fn alive<G: Guest, T>(
    guest: &mut G,
    conversation: impl Future<Output = Result<T, channel::Error>>,
) -> Result<T, Broken> {
    tokio::select! {
        biased;
        said = conversation => said.map_err(Broken::Channel),
        ending = guest.ended() => Err(Broken::Ended(ending)),
    }
}

fn fault_of(broken: &Broken, talk: &Talk, console: Vec<String>) -> Fault {
    let (code, headline, hints): (_, String, Vec<String>) = match broken {
        Broken::Ended(Ending::Panicked(line)) => (
            Some(Code::KernelPanic),
            format!("the guest's kernel panicked: {}", bounded(line)),
            Vec::new(),
        ),
        Broken::Ended(Ending::Stalled(line)) => (
            Some(Code::KernelSplat),
            format!("the guest's kernel is stuck: {}", bounded(line)),
            vec!["an overloaded host can cause this too: try fewer `--jobs`".into()],
        ),
        Broken::Ended(Ending::Exited {
            reason,
            status,
            complaint,
        }) => {
            let mut headline = format!(
                "QEMU ended ({status}{}) while ukci waited for the {}",
                reason
                    .as_ref()
                    .map(|r| format!(", {r}"))
                    .unwrap_or_default(),
                talk.waiting_for,
            );
            if let Some(complaint) = complaint {
                headline.push_str(": ");
                headline.push_str(&bounded(complaint));
            }
            (
                None,
                headline,
                vec!["`command.txt` beside the evidence starts it by hand".into()],
            )
        }
        Broken::Channel(error) => (None, error.to_string(), Vec::new()),
        Broken::Host(why) => (None, why.clone(), Vec::new()),
        Broken::Agent(message) => (
            None,
            format!("the agent could not do its work: {}", bounded(message)),
            Vec::new(),
        ),
        Broken::Protocol(theirs) => (
            None,
            format!("the agent speaks protocol {theirs}, this ukci {PROTOCOL}"),
            vec!["build both from one tree: `make agent`".into()],
        ),
    };
    let stage = match broken {
        // Bytes that make no sense came from a guest that did connect.
        Broken::Channel(_) | Broken::Protocol(_) => talk.stage.max(Stage::Connect),
        _ => talk.stage,
    };
    Fault {
        stage,
        code,
        headline,
        console,
        hints,
    }
}

/// What a cell cost.
#[derive(Clone, Copy)]
struct Cost {
    seconds: f64,
    usage: Usage,
    boots: u32,
    memory: u32,
}

fn report<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    dir: &EvidenceDir,
    attempt: Attempt,
    judgement: Judgement,
    cost: Cost,
) -> CellReport {
    let planned = &inputs.planned;
    let cell = &planned.cell;
    let hardware = machine.hardware(cell.arch, &inputs.kernel.release);
    let last = if inputs.mode == Mode::Attach {
        Stage::Attach
    } else {
        Stage::Load
    };
    let seen = attempt.evidence.as_deref();
    let evidence_digest = seen.map(|seen| digest::of(canonical::text(seen).as_bytes()));
    let evidence = attempt
        .evidence
        .map(|evidence| *evidence)
        .unwrap_or_default();
    let mut of_programs = judgement.programs.into_iter();
    let mut programs: Vec<ProgramReport> = evidence
        .programs
        .into_iter()
        .map(|program| ProgramReport {
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
            diagnosis: of_programs.next().flatten(),
            expected: None,
            outcome: None,
        })
        .collect();
    for program in &mut programs {
        if let Some(expected) = planned.programs.get(&program.name) {
            program.outcome = Some(Outcome::of(&program.verdict(), expected));
            program.expected = Some(expected.clone());
        }
    }
    let mut verdict = judgement.verdict;
    if verdict == Verdict::Pass {
        let before = |program: &str| inputs.baseline.get(program).copied();
        if let Some(diagnosis) = inputs.budget.judge(&programs, before) {
            verdict = Verdict::Fail { diagnosis };
        }
    }
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
    let release = attempt
        .facts
        .map_or_else(|| inputs.kernel.release.clone(), |facts| facts.release);
    CellReport {
        id: cell.id(),
        artifact: cell.artifact.clone(),
        kernel: cell.kernel.clone(),
        release,
        arch: cell.arch,
        llvm: cell.llvm.clone(),
        accel: hardware.accel,
        cpu: hardware.cpu,
        transport: hardware.transport,
        hermetic: inputs.kernel.hermetic,
        memory: cost.memory,
        cpus: planned.cpus,
        seconds: cost.seconds,
        cpu_seconds: cost.usage.cpu_seconds,
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
        libbpf: attempt.libbpf,
        programs,
        maps: evidence.maps,
        edits: (inputs.kernel.cmdline.iter())
            .chain(&planned.cmdline)
            .map(|argument| format!("kernel argument `{argument}`"))
            .chain(evidence.edits)
            .collect(),
        evidence: dir.relative().to_owned(),
        evidence_digest,
    }
}

/// The cell's outcome, once single programs with expectations of their own had their say.
fn outcome(base: Outcome, planned: &PlannedCell, programs: &[ProgramReport]) -> Outcome {
    // Without evidence there are none to compare, and the fault says why.
    let of_programs: Vec<Outcome> = programs.iter().filter_map(|p| p.outcome).collect();
    let others_fail = programs.iter().any(|program| {
        let forgiven =
            planned.attach_optional.contains(&program.name) && program.load == StepOutcome::Ok;
        program.diagnosis.is_some() && program.outcome.is_none() && !forgiven
    });
    base.with_programs(&of_programs, others_fail)
}

/// 32 bytes that no other guest was given, hex.
fn entropy() -> String {
    use std::fmt::Write;
    let mut bytes = [0; 32];
    // The first 256 bytes of a seeded pool come whole; without them the guest keeps its own.
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let mut hex = String::with_capacity(64);
    for byte in &bytes[..got.unwrap_or(0)] {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A guest's words, for a sentence: one line of at most 200 characters.
fn bounded(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

fn seconds(limit: Duration) -> String {
    format!("{}s", limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use ukci_schema::evidence::MapEvidence;

    use super::enough_memory;

    #[test]
    fn a_retry_has_room_for_the_maps_and_stays_below_the_ceiling() {
        let map = |map_type: &str, max_entries, value_size| MapEvidence {
            map_type: map_type.into(),
            key_size: 4,
            value_size,
            max_entries,
            ..MapEvidence::default()
        };
        assert_eq!(enough_memory(&[], 1, 256), 512);
        let gib = enough_memory(&[map("array", 1 << 20, 1024)], 1, 256);
        assert!((2304..4096).contains(&gib), "{gib}");
        let percpu = enough_memory(&[map("percpu_array", 1 << 20, 256)], 4, 256);
        assert!(percpu > 2000, "{percpu}");
        assert_eq!(
            enough_memory(&[map("array", u32::MAX, u32::MAX)], 1, 256),
            8192
        );
    }
}
