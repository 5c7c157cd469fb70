//! Runs a plan: schedules cells under a budget, stops on cancel or the first failure, collects
//! the report.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use ukci_schema::artifact::Form;
use ukci_schema::cell::Cell;
use ukci_schema::contract::Contract;
use ukci_schema::diagnosis::Diagnosis;
use ukci_schema::evidence::Mode;
use ukci_schema::plan::{Plan, PlannedKernel, PlannedObject};
use ukci_schema::report::{CellReport, KernelInfo, Report, RunInfo, SCHEMA, Summary};

use crate::cell::{self, Inputs, Telling};
use crate::event::Event;
use crate::evidence_dir;
use crate::initramfs;
use crate::machine::Machine;
use crate::modules::{Modules, Named};

/// How to run a plan.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far artifacts are taken.
    pub mode: Mode,
    /// Whether a program that could not be attempted fails its cell.
    pub strict: bool,
    /// Machines at once; at least 1.
    pub jobs: usize,
    /// Longest time for a cell on bare hardware; multiplied by [`Machine::slowness`].
    pub timeout: Duration,
    /// Whether to stop at the first cell that does not meet its expectation.
    pub fail_fast: bool,
    /// Directory for the evidence; created. `report.json` goes there too, by the caller.
    pub out: PathBuf,
    /// Where assembled initramfs files are kept.
    pub cache: PathBuf,
    /// Whether cells are kept that an earlier run into `out` finished with the same inputs.
    pub resume: bool,
    /// The report that the growth of the plan's budget is held against.
    pub baseline: Option<Arc<Report>>,
    /// What the report says of the run; `seconds`, `interrupted`, `hermetic`, `toolchains` and
    /// `budget` are filled in.
    pub info: RunInfo,
}

/// A run that could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A directory or file of the evidence could not be written.
    #[error("keep the evidence")]
    Evidence(#[from] evidence_dir::Error),
    /// A file of the plan could not be read.
    #[error("read `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An initramfs could not be made.
    #[error("assemble the initramfs of `{kernel}`")]
    Initramfs {
        /// The kernel's name.
        kernel: String,
        /// Why.
        source: std::io::Error,
    },
    /// The plan names a kernel, artifact or agent that it does not hold.
    #[error("the plan has no {what} `{name}`, which cell `{cell}` needs")]
    Incomplete {
        /// `kernel`, `artifact`, `agent` or `file`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The cell's id.
        cell: String,
    },
    /// A cell's task died: a defect of `ukci`'s.
    #[error("finish cell `{cell}`: {reason}")]
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
            Self::Evidence(error) if error.source.kind() == std::io::ErrorKind::StorageFull => {
                Some("free some space, or put the evidence elsewhere with `--out`".into())
            }
            Self::Evidence(_) => Some("put the evidence elsewhere with `--out`".into()),
            Self::Task { .. } => Some("this is a bug in ukci; please report it".into()),
            _ => None,
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
    options: Options,
    mut cancel: watch::Receiver<bool>,
    mut observe: impl FnMut(Event) + Send,
) -> Result<Report, Error> {
    let started = Instant::now();
    let inputs = prepare(&plan, &options)?;
    observe(started_event(&plan, &options));
    for warning in &options.info.warnings {
        observe(Event::Warning(warning.clone()));
    }

    let total = inputs.len();
    let machine = Arc::new(machine);
    let gate = Arc::new(Semaphore::new(options.jobs.max(1)));
    let (say, mut hear) = mpsc::unbounded_channel();
    // Dropped on every way out, and with it every guest.
    let mut tasks = JoinSet::new();
    let mut indices = HashMap::new();
    let mut reports: BTreeMap<usize, CellReport> = BTreeMap::new();
    for (index, inputs) in inputs.into_iter().enumerate() {
        let kept = options.resume.then(|| cell::finished(&inputs)).flatten();
        if let Some(report) = kept {
            reports.insert(index, report.clone());
            observe(Event::Finished {
                report: Box::new(report),
                done: reports.len(),
                total,
            });
            continue;
        }
        let (machine, gate, say) = (Arc::clone(&machine), Arc::clone(&gate), say.clone());
        let task = tasks.spawn(async move {
            let _permit = gate.acquire_owned().await;
            cell::run(machine.as_ref(), &inputs, |telling| {
                drop(say.send((index, telling)));
            })
            .await
        });
        indices.insert(task.id(), index);
    }

    let mut interrupted = false;
    loop {
        // In this order: a cell's stages are told before its end.
        tokio::select! {
            biased;
            () = cancelled(&mut cancel) => {
                interrupted = true;
                observe(Event::Interrupted);
                break;
            }
            Some((index, telling)) = hear.recv() => {
                let cell = plan.cells[index].cell.clone();
                observe(match telling {
                    Telling::Stage(stage) => Event::Stage { cell, stage },
                    Telling::Retry(why) => Event::Retry { cell, why },
                });
            }
            ended = tasks.join_next_with_id() => {
                let Some(ended) = ended else { break };
                let (id, report) = match ended {
                    Ok((id, report)) => (id, report.map_err(Error::Evidence)),
                    Err(error) => (error.id(), Err(Error::Task {
                        cell: plan.cells[indices[&error.id()]].cell.id(),
                        reason: error.to_string(),
                    })),
                };
                let report = report?;
                let stop = options.fail_fast && report.required && !report.outcome.is_met();
                reports.insert(indices[&id], report.clone());
                observe(Event::Finished { report: Box::new(report), done: reports.len(), total });
                if stop {
                    break;
                }
            }
        }
    }
    // Aborting a cell drops its guest, which kills and reaps what was started for it.
    tasks.shutdown().await;

    let cells: Vec<CellReport> = reports.into_values().collect();
    let ran: HashSet<&str> = cells.iter().map(|cell| cell.id.as_str()).collect();
    let planned = plan.cells.iter().map(|planned| planned.cell.id());
    let not_run: Vec<String> = planned.filter(|id| !ran.contains(id.as_str())).collect();
    let report = Report {
        schema: SCHEMA.into(),
        run: RunInfo {
            seconds: started.elapsed().as_secs_f64(),
            hermetic: cells.iter().all(|cell| cell.hermetic),
            interrupted: interrupted || !not_run.is_empty(),
            toolchains: toolchains(&plan),
            budget: plan.budget,
            ..options.info
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
    };
    observe(Event::Ended(Box::new(report.clone())));
    Ok(report)
}

/// Resolves when the run is told to stop; never if nobody can tell it any more.
async fn cancelled(cancel: &mut watch::Receiver<bool>) {
    if cancel.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn started_event(plan: &Plan, options: &Options) -> Event {
    let distinct = |names: Vec<String>| {
        names
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .len()
    };
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

/// Reads and assembles what the cells share, once.
pub(crate) fn prepare(plan: &Plan, options: &Options) -> Result<Vec<Inputs>, Error> {
    let mut kernels: BTreeMap<String, (Arc<PlannedKernel>, PathBuf)> = BTreeMap::new();
    let mut modules: BTreeMap<String, Modules> = BTreeMap::new();
    let mut artifacts = BTreeMap::new();
    let mut files: BTreeMap<PathBuf, Arc<[u8]>> = BTreeMap::new();
    let mut compiled: BTreeMap<String, Object> = BTreeMap::new();
    let out: Arc<Path> = options.out.as_path().into();
    let mut before = baseline(options);
    let mut inputs = Vec::with_capacity(plan.cells.len());
    for planned in &plan.cells {
        let cell = &planned.cell;
        let incomplete = |what, name: &str| Error::Incomplete {
            what,
            name: name.to_owned(),
            cell: cell.id(),
        };
        let agent = plan
            .agents
            .get(&cell.arch)
            .ok_or_else(|| incomplete("agent", cell.arch.name()))?;
        let key = cell.kernel_key();
        if !kernels.contains_key(&key) {
            let kernel = plan
                .kernels
                .get(&key)
                .ok_or_else(|| incomplete("kernel", &key))?;
            let file =
                initramfs::assemble(&options.cache, agent, &kernel.segment).map_err(|source| {
                    Error::Initramfs {
                        kernel: cell.kernel.clone(),
                        source,
                    }
                })?;
            if let Some(pack) = &kernel.modules {
                let opened = Modules::open(pack).map_err(|source| Error::Read {
                    path: pack.path.clone(),
                    source,
                })?;
                modules.insert(key.clone(), opened);
            }
            kernels.insert(key.clone(), (Arc::new(kernel.clone()), file));
        }
        let (kernel, initramfs) = kernels[&key].clone();
        if !artifacts.contains_key(cell.artifact.as_str()) {
            let artifact = plan
                .artifacts
                .get(&cell.artifact)
                .ok_or_else(|| incomplete("artifact", &cell.artifact))?;
            let path = &artifact.file.path;
            let object = read(path)?;
            // A source alone would not be what was compiled: its headers are elsewhere.
            if artifact.artifact.form == Form::Object {
                evidence_dir::keep_artifact(&options.out, &cell.artifact, &object)?;
            }
            artifacts.insert(cell.artifact.as_str(), (Arc::new(artifact.clone()), object));
        }
        let (artifact, mut object) = artifacts[cell.artifact.as_str()].clone();
        let mut refused = None;
        if let Some(key) = cell.object_key() {
            if !compiled.contains_key(&key) {
                let planned = plan.objects.get(&key);
                let planned = planned.ok_or_else(|| incomplete("object", &key))?;
                compiled.insert(key.clone(), read_object(planned)?);
            }
            match &compiled[&key] {
                Ok(bytes) => object = Arc::clone(bytes),
                Err(diagnosis) => refused = Some(Arc::clone(diagnosis)),
            }
        }
        let mut companions = Vec::new();
        for name in &planned.contract.files {
            let file = (artifact.companions.get(name)).ok_or_else(|| incomplete("file", name))?;
            if !files.contains_key(&file.path) {
                files.insert(file.path.clone(), read(&file.path)?);
            }
            companions.push(Arc::clone(&files[&file.path]));
        }
        let initramfs = match modules.get(&key) {
            None => initramfs,
            Some(modules) => modules
                .beside(
                    &initramfs,
                    &options.cache,
                    &named_by(&object, &planned.contract),
                )
                .map_err(|source| Error::Initramfs {
                    kernel: cell.kernel.clone(),
                    source,
                })?,
        };
        inputs.push(Inputs {
            planned: planned.clone(),
            kernel,
            artifact,
            object,
            files: companions,
            refused,
            initramfs: initramfs.into(),
            agent: agent.sha256.as_str().into(),
            mode: options.mode,
            strict: options.strict,
            timeout: options.timeout,
            out: Arc::clone(&out),
            budget: plan.budget,
            baseline: before.remove(&cell.id()).unwrap_or_default(),
        });
    }
    Ok(inputs)
}

/// What the object names, and its contract.
fn named_by(object: &[u8], contract: &Contract) -> Named {
    let mut named = Named::by(object);
    for target in contract.targets.values() {
        named.section(&target.section(&contract.files));
    }
    for module in &contract.modules {
        named.module(module);
    }
    named
}

fn read(path: &Path) -> Result<Arc<[u8]>, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    Ok(bytes.into())
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

/// An object's bytes, or why there is none.
type Object = Result<Arc<[u8]>, Arc<Diagnosis>>;

fn read_object(planned: &PlannedObject) -> Result<Object, Error> {
    match planned {
        PlannedObject::Refused { diagnosis, .. } => Ok(Err(Arc::new(diagnosis.clone()))),
        PlannedObject::Object { file, .. } => read(&file.path).map(Ok),
    }
}

/// Instructions of each program in the baseline, by the cell's id.
fn baseline(options: &Options) -> HashMap<String, BTreeMap<String, u64>> {
    let cells = options.baseline.iter().flat_map(|report| &report.cells);
    cells
        .map(|cell| {
            let programs = cell.programs.iter().filter_map(|program| {
                let stats = program.verifier.as_ref()?;
                Some((program.name.clone(), stats.insns))
            });
            (cell.id.clone(), programs.collect())
        })
        .collect()
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
