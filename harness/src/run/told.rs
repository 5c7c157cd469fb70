//! What is told of a run: that it begins, each cell that ended, and the report.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ukci_schema::cell::Cell;
use ukci_schema::plan::{Plan, PlannedKernel, PlannedObject};
use ukci_schema::report::{CellReport, KernelInfo, Report, RunInfo, SCHEMA, Summary};

use crate::event::Event;
use crate::run_options::Options;

/// Whom to tell, and which cells have ended by their places in the plan.
pub(super) struct Told<F> {
    observe: F,
    finished: BTreeMap<usize, CellReport>,
    total: usize,
    /// What the report says was not as requested.
    warnings: Vec<String>,
}

impl<F: FnMut(Event)> Told<F> {
    /// Tells that the run of this plan begins.
    pub(super) fn begin(observe: F, plan: &Plan, options: &Options) -> Self {
        let mut told = Self {
            observe,
            finished: BTreeMap::new(),
            total: plan.cells.len(),
            warnings: Vec::new(),
        };
        told.event(started_event(plan, options));
        for warning in &options.info.warnings {
            told.warning(warning.clone());
        }
        told
    }

    pub(super) fn event(&mut self, event: Event) {
        (self.observe)(event);
    }

    /// Something is not as requested.
    pub(super) fn warning(&mut self, text: String) {
        self.warnings.push(text.clone());
        self.event(Event::Warning(text));
    }

    /// A cell ended, or is `kept` as an earlier run left it.
    pub(super) fn finished(&mut self, place: usize, report: CellReport, kept: bool) {
        self.finished.insert(place, report.clone());
        let (done, total) = (self.finished.len(), self.total);
        self.event(Event::Finished {
            report: Box::new(report),
            kept,
            done,
            total,
        });
    }

    /// The end, with the report of all that happened.
    pub(super) fn end(
        mut self,
        plan: Plan,
        info: RunInfo,
        interrupted: bool,
        seconds: f64,
    ) -> Report {
        let cells = self.finished.into_values().collect();
        let info = RunInfo {
            warnings: self.warnings,
            ..info
        };
        let report = report(plan, info, cells, interrupted, seconds);
        (self.observe)(Event::Ended(Box::new(report.clone())));
        report
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
            shard: plan.shard,
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
