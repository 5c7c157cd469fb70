//! One cell: boot, connect, hand over the artifact, take the evidence, judge it, shut down.
//!
//! Three things are tried twice: a load that failed for want of guest memory, a kernel that
//! panicked while it had the artifact, and a guest that never reached the host.

mod attempt;
mod report;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use ukci_judge::{Judgement, Terms, judge_on};
use ukci_schema::budget::Budget;
use ukci_schema::diagnosis::{Code, Diagnosis, Excerpt};
use ukci_schema::evidence::{MapEvidence, Mode};
use ukci_schema::plan::{PlannedArtifact, PlannedCell, PlannedKernel};
use ukci_schema::report::CellReport;
use ukci_schema::verdict::{Fault, Outcome, Stage, Verdict};

use self::attempt::{Attempt, attempt};
use self::report::{Cost, report};
use crate::catalogue::digest;
use crate::evidence_dir::{self, EvidenceDir};
use crate::machine::{Machine, Usage};

pub(crate) use self::attempt::request;

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
