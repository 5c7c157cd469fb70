//! Runs a plan: it schedules cells within a budget of CPUs and memory, stops when it is cancelled
//! or at the first failure if requested, and collects the report.

mod told;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::task::{Id, JoinError, JoinSet};
use ukci_schema::plan::{Plan, PlannedKernel};
use ukci_schema::report::{CellReport, Report};

use crate::cell::{self, Inputs, Progress};
use crate::command::{Chunk, Closer, Sender};
use crate::event::Event;
use crate::machine::Machine;
use crate::prepare::{Files, Prepared, Waiting};
use crate::remembered::Verdicts;
use crate::schedule::{self, Lease, Room};
use crate::templates::Templates;
use crate::waited_for::{Arrival, Unprepared, WaitedFor};
use told::Told;

pub use crate::prepare::Error;
pub use crate::run_options::{Copies, Options, Remember};

/// Pieces of output that wait to be observed; a command waits when there is no room.
const OUTPUT: usize = 16;

/// Runs every cell of `plan` on `machine` and tells `observe` what happens as it happens.
///
/// When `cancel` becomes true no further cell starts and those under way are shut down; the
/// report then holds what finished. Dropping the future kills every guest at once.
pub async fn run<M: Machine>(
    plan: Plan,
    machine: M,
    options: Options,
    cancel: watch::Receiver<bool>,
    observe: impl FnMut(Event) + Send,
) -> Result<Report, Error> {
    let nothing = WaitedFor::nothing();
    run_as_kernels_come(plan, nothing, machine, options, cancel, observe).await
}

/// The same for a plan that lacks kernels which are still fetched or unpacked: their cells start when
/// they are there. A cell whose kernel never comes has no verdict.
pub async fn run_as_kernels_come<M: Machine>(
    mut plan: Plan,
    mut waited_for: WaitedFor,
    machine: M,
    options: Options,
    mut cancel: watch::Receiver<bool>,
    observe: impl FnMut(Event) + Send,
) -> Result<Report, Error> {
    let started = Instant::now();
    let Prepared {
        cells,
        waiting,
        files,
    } = Prepared::of(&plan, &options, &waited_for)?;
    let room = Room::new(options.jobs, options.memory);
    let mut run = Run {
        options: &options,
        files,
        waiting,
        arrived: BTreeMap::new(),
        templates: Arc::default(),
        running: Running::new(machine, Verdicts::of(&options), room),
        told: Told::begin(observe, &plan, &options),
    };
    run.begin(cells, &cancel)?;
    let mut interrupted = false;
    while !run.running.tasks.is_empty() || !waited_for.is_over() {
        let running = &mut run.running;
        // In this order, so that a cell's stages are observed before its end.
        tokio::select! {
            biased;
            () = cancelled(&mut cancel) => {
                interrupted = true;
                run.told.event(Event::Interrupted);
                break;
            }
            Some((index, progress)) = running.progress.recv() => {
                let cell = plan.cells[index].cell.clone();
                match progress {
                    Progress::Stage(stage) => run.told.event(Event::Stage { cell, stage }),
                    Progress::Retry(why) => run.told.event(Event::Retry { cell, why }),
                    Progress::Warning(text) => run.told.warning(text),
                }
            }
            Some((index, chunk, closer)) = running.output.recv() => {
                let cell = plan.cells[index].cell.clone();
                run.told.event(Event::Output { cell, chunk, closer });
            }
            Some(ended) = running.tasks.join_next_with_id() => {
                // Another cell starts only when this one's end was looked at.
                let (index, report, _lease) = run.running.ended(ended);
                let stop = run.stops(&report);
                run.told.finished(index, report, false);
                if stop {
                    break;
                }
            }
            Some(arrival) = waited_for.next() => {
                if run.arrived(arrival) {
                    break;
                }
            }
        }
    }
    // Nobody waits for the other kernels any more.
    drop(waited_for);
    let Run {
        files,
        arrived,
        mut running,
        told,
        ..
    } = run;
    drop(files);
    // Aborting a cell drops its guest, which kills and reaps what was started for it.
    running.tasks.shutdown().await;
    plan.kernels.extend(arrived);
    let seconds = started.elapsed().as_secs_f64();
    Ok(told.end(plan, options.info, interrupted, seconds))
}

/// A run under way.
struct Run<'a, M, F> {
    options: &'a Options,
    files: Files<'a>,
    /// The cells whose kernels are still to come, by those, with their places in the plan.
    waiting: BTreeMap<String, Vec<(usize, Waiting)>>,
    /// The kernels that the plan lacked.
    arrived: BTreeMap<String, PlannedKernel>,
    templates: Arc<Templates>,
    running: Running<M>,
    told: Told<F>,
}

impl<M: Machine, F: FnMut(Event)> Run<'_, M, F> {
    /// Starts the cells whose kernels are there.
    fn begin(
        &mut self,
        cells: Vec<(usize, Inputs)>,
        cancel: &watch::Receiver<bool>,
    ) -> Result<(), Error> {
        let mut booted = Vec::new();
        for (index, inputs) in in_order(cells, self.running.machine.as_ref()) {
            if *cancel.borrow() {
                break;
            }
            booted.extend(self.unknown(index, inputs));
        }
        // Nothing is booted for a plan of which some file is missing or was changed.
        for (_, inputs) in &mut booted {
            self.files.assemble(inputs)?;
        }
        self.start(booted);
        Ok(())
    }

    /// The cell, unless its report is known without a boot.
    fn unknown(&mut self, index: usize, inputs: Inputs) -> Option<(usize, Inputs)> {
        let resume = self.options.resume;
        let kept = resume.then(|| cell::finished(&inputs)).flatten();
        let is_kept = kept.is_some();
        let recalled = || cell::recalled(&*self.running.machine, &inputs, &self.running.verdicts);
        match kept.or_else(recalled) {
            Some(report) => self.told.finished(index, report, is_kept),
            None => return Some((index, inputs)),
        }
        None
    }

    /// Starts cells none of whose guests is shared with those that were started before.
    fn start(&mut self, cells: Vec<(usize, Inputs)>) {
        let inputs = cells.iter().map(|(_, inputs)| inputs);
        let templates = self.templates.and(inputs, self.options.copies);
        self.templates = Arc::new(templates);
        for (index, inputs) in cells {
            self.running.start(index, inputs, &self.templates);
        }
    }

    /// Starts the cells of a kernel that came. Says whether the run stops, because it never comes.
    fn arrived(&mut self, Arrival { key, kernel }: Arrival) -> bool {
        let cells = self.waiting.remove(&key).unwrap_or_default();
        let (kernel, warnings) = match kernel {
            Ok(arrived) => arrived,
            Err(unprepared) => {
                let mut stop = false;
                for (index, cell) in cells {
                    stop |= self.unprepared(index, &cell.without_kernel(), &unprepared);
                }
                return stop;
            }
        };
        for warning in warnings {
            self.told.warning(warning);
        }
        self.arrived.insert(key.clone(), kernel.clone());
        let kernel = self.files.add(key, kernel);
        let (mut booted, mut stop) = (Vec::new(), false);
        for (index, cell) in cells {
            let Some((index, mut inputs)) = self.unknown(index, cell.on(Arc::clone(&kernel)))
            else {
                continue;
            };
            match self.files.assemble(&mut inputs) {
                Ok(()) => booted.push((index, inputs)),
                // Others run already.
                Err(error) => {
                    let why = Unprepared::of(&error, error.hint());
                    stop |= self.unprepared(index, &inputs, &why);
                }
            }
        }
        if !stop {
            self.start(booted);
        }
        stop
    }

    /// A cell cannot be booted. Says whether the run stops for that.
    fn unprepared(&mut self, index: usize, inputs: &Inputs, why: &Unprepared) -> bool {
        let report = cell::unprepared(&*self.running.machine, inputs, why);
        let stop = self.stops(&report);
        self.told.finished(index, report, false);
        stop
    }

    /// Whether the run stops after this cell.
    fn stops(&self, report: &CellReport) -> bool {
        self.options.fail_fast && report.required && !report.outcome.is_met()
    }
}

/// The cells in the order in which they start, with their places in the plan.
fn in_order<M: Machine>(cells: Vec<(usize, Inputs)>, machine: &M) -> Vec<(usize, Inputs)> {
    let slowness = |inputs: &Inputs| {
        let hardware = machine.hardware(&inputs.kernel);
        (inputs.kernel.arch, hardware.accel != "kvm")
    };
    let order = schedule::order(cells.iter().map(|(_, inputs)| slowness(inputs)));
    let mut cells: Vec<Option<_>> = cells.into_iter().map(Some).collect();
    let take = |place: usize| cells[place].take();
    order.into_iter().filter_map(take).collect()
}

/// The cells that run or wait for their turn. Dropping it kills every guest.
struct Running<M> {
    machine: Arc<M>,
    verdicts: Arc<Verdicts>,
    room: Room,
    tasks: JoinSet<(CellReport, Lease)>,
    /// The cell of each task, with its place in the plan.
    cells: HashMap<Id, (usize, Arc<Inputs>)>,
    /// What the cells are doing, by their places in the plan.
    progress: mpsc::UnboundedReceiver<(usize, Progress)>,
    sender: mpsc::UnboundedSender<(usize, Progress)>,
    /// What commands write, with room for a few pieces only.
    output: mpsc::Receiver<(usize, Chunk, Closer)>,
    writer: Sender,
}

impl<M: Machine> Running<M> {
    fn new(machine: M, verdicts: Arc<Verdicts>, room: Room) -> Self {
        let (sender, progress) = mpsc::unbounded_channel();
        let (writer, output) = mpsc::channel(OUTPUT);
        Self {
            machine: Arc::new(machine),
            verdicts,
            room,
            tasks: JoinSet::new(),
            cells: HashMap::new(),
            progress,
            sender,
            output,
            writer,
        }
    }

    /// Starts a cell as soon as there is room.
    fn start(&mut self, index: usize, inputs: Inputs, templates: &Arc<Templates>) {
        let (machine, room) = (Arc::clone(&self.machine), self.room.clone());
        let (verdicts, sender) = (Arc::clone(&self.verdicts), self.sender.clone());
        let output = (index, self.writer.clone());
        let templates = Arc::clone(templates);
        let inputs = Arc::new(inputs);
        let kept = Arc::clone(&inputs);
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
        self.cells.insert(task.id(), (index, kept));
    }

    /// The place and the report of a cell whose task ended, and its room. If the task panicked, which
    /// is a bug in ukci, this is the error of that cell alone.
    fn ended(
        &mut self,
        ended: Result<(Id, (CellReport, Lease)), JoinError>,
    ) -> (usize, CellReport, Option<Lease>) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let (index, inputs) = self.cells.remove(&id).expect("each task has its cell");
        match ended {
            Ok((_, (report, lease))) => (index, report, Some(lease)),
            Err(error) => {
                let report = cell::panicked(&*self.machine, &inputs, &error.to_string());
                (index, report, None)
            }
        }
    }
}

/// Resolves when the run shall stop. If nobody can stop it any more, it never resolves.
async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}
