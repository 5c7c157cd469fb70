//! Runs a plan: it schedules cells within a budget of CPUs and memory, stops when it is cancelled
//! or at the first failure if requested, and collects the report.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use ukci_schema::cell::Cell;
use ukci_schema::plan::{Plan, PlannedKernel, PlannedObject};
use ukci_schema::report::{CellReport, KernelInfo, Report, RunInfo, SCHEMA, Summary};

use crate::cell::{self, Inputs, Progress};
use crate::command::{Chunk, Sender};
use crate::event::Event;
use crate::machine::Machine;
use crate::prepare::{self, Prepared};
use crate::remembered::Verdicts;
use crate::schedule::{self, Lease, Room};
use crate::templates::Templates;

pub use crate::run_options::{Copies, Options, Remember};

/// Pieces of output that wait to be observed; a command waits when there is no room.
const OUTPUT: usize = 16;

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What the cells need could not be read or made.
    #[error(transparent)]
    Prepare(#[from] prepare::Error),
    /// A cell's task died: a defect of `ukci`'s.
    #[error("cell `{cell}` did not finish: {reason}")]
    Task {
        /// The cell's id.
        cell: String,
        /// The panic's message.
        reason: String,
    },
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Prepare(error) => error.hint(),
            Self::Task { .. } => Some("report this: it is a bug in ukci".into()),
        }
    }
}

/// Runs every cell of `plan` on `machine` and tells `observe` what happens as it happens.
///
/// When `cancel` becomes true no further cell starts and those under way are shut down; the
/// report then holds what finished. Dropping the future kills every guest at once.
pub async fn run<M: Machine>(
    plan: Plan,
    machine: M,
    mut options: Options,
    mut cancel: watch::Receiver<bool>,
    mut observe: impl FnMut(Event) + Send,
) -> Result<Report, Error> {
    let started = Instant::now();
    let Prepared { cells, mut files } = Prepared::of(&plan, &options)?;
    let verdicts = Verdicts::of(&options);
    observe(started_event(&plan, &options));
    for warning in &options.info.warnings {
        observe(Event::Warning(warning.clone()));
    }

    let total = cells.len();
    let mut finished: BTreeMap<usize, CellReport> = BTreeMap::new();
    let room = Room::new(options.jobs, options.memory);
    let mut running = Running::new(machine, Arc::clone(&verdicts), room);
    let mut booted = Vec::new();
    for (index, inputs) in in_order(cells, running.machine.as_ref()) {
        if *cancel.borrow() {
            break;
        }
        let kept = options.resume.then(|| cell::finished(&inputs)).flatten();
        let is_kept = kept.is_some();
        let known = kept.or_else(|| cell::recalled(&*running.machine, &inputs, &verdicts));
        let Some(report) = known else {
            booted.push((index, inputs));
            continue;
        };
        finished.insert(index, report.clone());
        observe(Event::Finished {
            report: Box::new(report),
            kept: is_kept,
            done: finished.len(),
            total,
        });
    }
    // Nothing is booted for a plan of which some file is missing or was changed.
    for (_, inputs) in &mut booted {
        files.assemble(inputs)?;
    }
    let inputs = booted.iter().map(|(_, inputs)| inputs);
    running.templates = Arc::new(Templates::of(inputs, options.copies));
    for (index, inputs) in booted {
        running.start(index, inputs);
    }
    let mut interrupted = false;
    loop {
        // In this order, so that a cell's stages are observed before its end.
        tokio::select! {
            biased;
            () = cancelled(&mut cancel) => {
                interrupted = true;
                observe(Event::Interrupted);
                break;
            }
            Some((index, progress)) = running.progress.recv() => {
                let cell = plan.cells[index].cell.clone();
                observe(match progress {
                    Progress::Stage(stage) => Event::Stage { cell, stage },
                    Progress::Retry(why) => Event::Retry { cell, why },
                    Progress::Warning(text) => {
                        options.info.warnings.push(text.clone());
                        Event::Warning(text)
                    }
                });
            }
            Some((index, chunk)) = running.output.recv() => {
                let cell = plan.cells[index].cell.clone();
                observe(Event::Output { cell, chunk });
            }
            ended = running.tasks.join_next_with_id() => {
                let Some(ended) = ended else { break };
                // Another cell starts only when this one's end was looked at.
                let (index, report, _lease) = running.ended(ended, &plan)?;
                let stop = options.fail_fast && report.required && !report.outcome.is_met();
                finished.insert(index, report.clone());
                let (report, done) = (Box::new(report), finished.len());
                observe(Event::Finished {
                    report,
                    kept: false,
                    done,
                    total,
                });
                if stop {
                    break;
                }
            }
        }
    }
    // Aborting a cell drops its guest, which kills and reaps what was started for it.
    running.tasks.shutdown().await;
    let cells = finished.into_values().collect();
    let seconds = started.elapsed().as_secs_f64();
    let report = report(plan, options.info, cells, interrupted, seconds);
    observe(Event::Ended(Box::new(report.clone())));
    Ok(report)
}

/// The cells in the order in which they start, with their places in the plan.
fn in_order<M: Machine>(cells: Vec<Inputs>, machine: &M) -> Vec<(usize, Inputs)> {
    let slowness = |inputs: &Inputs| {
        let (arch, release) = (inputs.kernel.arch, &inputs.kernel.release);
        (arch, machine.hardware(arch, release).accel != "kvm")
    };
    let order = schedule::order(cells.iter().map(slowness));
    let mut cells: Vec<Option<Inputs>> = cells.into_iter().map(Some).collect();
    let take = |place: usize| Some((place, cells[place].take()?));
    order.into_iter().filter_map(take).collect()
}

/// The cells that run or wait for their turn. Dropping it kills every guest.
struct Running<M> {
    machine: Arc<M>,
    verdicts: Arc<Verdicts>,
    templates: Arc<Templates>,
    room: Room,
    tasks: JoinSet<(CellReport, Lease)>,
    /// The place in the plan of each task's cell.
    indices: HashMap<Id, usize>,
    /// What the cells are doing, by their places in the plan.
    progress: mpsc::UnboundedReceiver<(usize, Progress)>,
    sender: mpsc::UnboundedSender<(usize, Progress)>,
    /// What commands write, with room for a few pieces only.
    output: mpsc::Receiver<(usize, Chunk)>,
    writer: Sender,
}

impl<M: Machine> Running<M> {
    fn new(machine: M, verdicts: Arc<Verdicts>, room: Room) -> Self {
        let (sender, progress) = mpsc::unbounded_channel();
        let (writer, output) = mpsc::channel(OUTPUT);
        Self {
            machine: Arc::new(machine),
            verdicts,
            templates: Arc::default(),
            room,
            tasks: JoinSet::new(),
            indices: HashMap::new(),
            progress,
            sender,
            output,
            writer,
        }
    }

    /// Starts a cell as soon as there is room.
    fn start(&mut self, index: usize, inputs: Inputs) {
        let (machine, room) = (Arc::clone(&self.machine), self.room.clone());
        let (verdicts, sender) = (Arc::clone(&self.verdicts), self.sender.clone());
        let output = (index, self.writer.clone());
        let templates = Arc::clone(&self.templates);
        let task = self.tasks.spawn(async move {
            // Nobody listens any more when the run is being stopped.
            let tell = |progress| drop(sender.send((index, progress)));
            let warn = |text| tell(Progress::Warning(text));
            let start = templates
                .start(machine.as_ref(), &inputs, &room, warn)
                .await;
            let mut lease = room.take(inputs.planned.memory).await;
            let start = (start, verdicts.as_ref());
            let report =
                cell::run(machine.as_ref(), &inputs, start, &mut lease, &output, tell).await;
            (report, lease)
        });
        self.indices.insert(task.id(), index);
    }

    /// The place and the report of a cell whose task ended, and its room.
    fn ended(
        &self,
        ended: Result<(Id, (CellReport, Lease)), JoinError>,
        plan: &Plan,
    ) -> Result<(usize, CellReport, Lease), Error> {
        match ended {
            Ok((id, (report, lease))) => Ok((self.indices[&id], report, lease)),
            Err(error) => Err(Error::Task {
                cell: plan.cells[self.indices[&error.id()]].cell.id(),
                reason: error.to_string(),
            }),
        }
    }
}

fn report(
    plan: Plan,
    info: RunInfo,
    cells: Vec<CellReport>,
    interrupted: bool,
    seconds: f64,
) -> Report {
    let ran: HashSet<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
    let planned = plan.cells.iter().map(|planned| planned.cell.id());
    let not_run: Vec<String> = planned.filter(|id| !ran.contains(id.as_str())).collect();
    Report {
        schema: SCHEMA.into(),
        run: RunInfo {
            seconds,
            hermetic: cells.iter().all(|cell| cell.hermetic),
            interrupted: interrupted || !not_run.is_empty(),
            toolchains: toolchains(&plan),
            budget: plan.budget,
            ..info
        },
        artifacts: plan
            .artifacts
            .into_values()
            .map(|planned| planned.artifact)
            .collect(),
        kernels: plan
            .kernels
            .iter()
            .map(|(name, k)| (name.clone(), kernel_info(k)))
            .collect(),
        summary: Summary::of(&cells, plan.excluded, not_run.len()),
        not_run,
        cells,
    }
}

/// Resolves when the run shall stop. If nobody can stop it any more, it never resolves.
async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn started_event(plan: &Plan, options: &Options) -> Event {
    let distinct = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>().len();
    let cells = || plan.cells.iter().map(|planned| &planned.cell);
    Event::Started {
        matrix: plan.matrix.clone(),
        artifacts: plan.artifacts.keys().cloned().collect(),
        cells: plan.cells.len(),
        axes: (
            distinct(cells().map(|cell| cell.kernel.clone()).collect()),
            distinct(cells().filter_map(|cell| cell.llvm.clone()).collect()),
            distinct(cells().map(|cell| cell.arch.to_string()).collect()),
        ),
        excluded: plan.excluded,
        jobs: options.jobs,
        accel: options.info.accel.clone(),
        transport: options.info.transport.clone(),
    }
}

/// What the compilers of the plan's objects say of themselves.
fn toolchains(plan: &Plan) -> BTreeMap<String, String> {
    let of = |cell: &Cell| {
        let object = plan.objects.get(&cell.object_key()?)?;
        let (PlannedObject::Object { clang, .. } | PlannedObject::Refused { clang, .. }) = object;
        Some((cell.llvm.clone()?, clang.clone()))
    };
    plan.cells.iter().filter_map(|p| of(&p.cell)).collect()
}

fn kernel_info(kernel: &PlannedKernel) -> KernelInfo {
    KernelInfo {
        release: kernel.release.clone(),
        image: kernel.image.sha256.clone(),
        segment: kernel.segment.sha256.clone(),
        packages: kernel.packages.clone(),
        hermetic: kernel.hermetic,
    }
}
