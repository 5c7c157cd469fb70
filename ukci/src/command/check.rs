//! `ukci check`: the main job.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use ukci_harness::catalogue::{Catalogue, cache_dir};
use ukci_harness::compile::vmlinux;
use ukci_harness::machine::qemu::{Qemu, Settings};
use ukci_harness::machine::{Boot, budget};
use ukci_harness::{initramfs, resolve, run};
use ukci_schema::budget::Budget;
use ukci_schema::cell::Arch;
use ukci_schema::evidence;
use ukci_schema::plan::{Plan, PlannedArtifact};
use ukci_schema::report::{Asked, Report, RunInfo};

use super::fetching::Fetching;
use super::pins::Pins;
use super::session;
use crate::args::{self, Check};
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::output::Output;
use crate::terminal::Terminal;

/// Runs the command.
pub(crate) fn run(check: Check, output: Output) -> Result<Exit, Failure> {
    if !check.bless {
        return Ok(perform(check, output, None)?.1);
    }
    let file = super::bless::file(check.selection.matrix.as_deref())?.to_owned();
    match perform(check, output, None)? {
        (Some(report), _) => super::bless::bless(&file, &report, output),
        (None, exit) => Ok(exit),
    }
}

/// Runs the cells and writes the reports; with `pins`, only those cells, from those bytes.
pub(crate) fn perform(
    mut check: Check,
    output: Output,
    pins: Option<&Pins>,
) -> Result<Ran, Failure> {
    check.artifacts.append(&mut check.artifact);
    let work = Work::of(&check, pins)?;
    let baseline = check
        .baseline
        .as_deref()
        .map(super::report::read)
        .transpose()?;
    std::fs::create_dir_all(&check.out).map_err(|error| {
        let action = Action::on("create", &check.out);
        Failure::failed_to(action, &error).with_hint("choose another directory with `--out`")
    })?;

    let ran =
        session::run(|cancel| prepare_and_run(&check, output, work, (pins, baseline), cancel));
    let (report, exit) = ran?.unwrap_or((None, Exit::Interrupted));
    let Some(report) = report else {
        return Ok((None, exit));
    };
    super::rendered::write_all(&check.out, &check.format, &report, output)?;
    let exit = Exit::of(&report);
    Ok((Some(report), exit))
}

/// The report, unless the run was killed, and the exit status.
pub(crate) type Ran = (Option<Report>, Exit);

/// What is to be run: names that are still to be resolved, or a plan.
pub(crate) enum Work {
    Selected(Box<Catalogue>, Box<resolve::Selected>, Vec<PlannedArtifact>),
    Planned(Plan),
}

impl Work {
    /// What the command line names; of that, only the cells of `pins`.
    pub(crate) fn of(check: &Check, pins: Option<&Pins>) -> Result<Self, Failure> {
        if let Some(path) = &check.plan {
            let mut plan = super::plan::read(path, &check.selection)?;
            if let Some(pins) = pins {
                super::plan::retain(&mut plan, |cell| pins.cells.contains(&cell.id()))?;
            }
            return Ok(Self::Planned(plan));
        }
        let mut artifacts =
            resolve::artifacts(&check.artifacts).map_err(|e| super::unresolved(&e))?;
        let manifests = super::manifests(&check.manifest, &mut artifacts)?;
        let catalogue = super::catalogue()?;
        let mut selected = super::select(&check.selection, &artifacts, &manifests, &catalogue)?;
        selected.compilation = super::compilation(&check.compilation, &artifacts)?;
        if let Some(pins) = pins {
            super::retain(&mut selected, |cell| pins.cells.contains(&cell.id()))?;
        }
        Ok(Self::Selected(
            Box::new(catalogue),
            Box::new(selected),
            artifacts,
        ))
    }
}

async fn prepare_and_run(
    check: &Check,
    output: Output,
    work: Work,
    (pins, baseline): (Option<&Pins>, Option<Report>),
    cancel: watch::Receiver<bool>,
) -> Result<Ran, Failure> {
    let asked = match &work {
        Work::Planned(_) => asked(check, &BTreeMap::new()),
        Work::Selected(_, selected, _) => asked(check, &selected.own),
    };
    let resolved = resolve(output, work, pins, &cancel).await?;
    let Some((plan, mut warnings)) = resolved else {
        return Ok((None, Exit::Interrupted));
    };
    if plan.budget.max_growth_percent.is_some() && baseline.is_none() {
        let text = "the matrix has `max_growth_percent`, which needs `--baseline REPORT`";
        warnings.push(text.to_owned());
    }
    run_plan(check, output, (plan, warnings), baseline, asked, cancel).await
}

/// The plan and its warnings, fetching what is missing; none where it was cancelled.
pub(crate) async fn resolve(
    output: Output,
    work: Work,
    pins: Option<&Pins>,
    cancel: &watch::Receiver<bool>,
) -> Result<Option<(Plan, Vec<String>)>, Failure> {
    let (catalogue, selected, artifacts) = match work {
        Work::Planned(plan) => {
            pins.map_or(Ok(()), |pins| pins.verify(&plan, output))?;
            return Ok(Some((plan, Vec::new())));
        }
        Work::Selected(catalogue, selected, artifacts) => (catalogue, selected, artifacts),
    };
    let fetching = Fetching::new(output);
    let resolving = tokio::task::spawn_blocking(move || {
        resolve::resolve(*selected, artifacts, &catalogue, &|progress| {
            fetching.show(progress);
        })
    });
    let mut stop = cancel.clone();
    let resolved = tokio::select! {
        resolved = resolving => resolved,
        _ = stop.wait_for(|stop| *stop) => return Ok(None),
    };
    let (plan, warnings) = resolved
        .map_err(|error| Failure::failed_to("resolve the matrix", &error))?
        .map_err(|error| super::unresolved(&error))?;
    if let Some(pins) = pins {
        pins.verify(&plan, output)?;
    }
    Ok(Some((plan, warnings)))
}

async fn run_plan(
    check: &Check,
    output: Output,
    (plan, warnings): (Plan, Vec<String>),
    baseline: Option<Report>,
    asked: Asked,
    cancel: watch::Receiver<bool>,
) -> Result<Ran, Failure> {
    let qemu = machine(check, &plan).await?;
    let mut options = options(check, &plan, &qemu, warnings, asked);
    options.baseline = baseline.map(Arc::new);
    let ids = plan.cells.iter().map(|planned| planned.cell.id());
    let mut terminal = Terminal::new(output, &check.out.display().to_string(), ids);
    let report = run::run(plan, qemu, options, cancel, |event| terminal.observe(event))
        .await
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    Ok((Some(report), Exit::Met))
}

/// QEMU on this host, with an answer about KVM.
pub(crate) async fn machine(check: &Check, plan: &Plan) -> Result<Qemu, Failure> {
    let mut arches: Vec<Arch> = plan.cells.iter().map(|planned| planned.cell.arch).collect();
    arches.sort_unstable();
    arches.dedup();
    let settings = Settings {
        accel: check.machines.accel.chosen(),
        transport: check.machines.transport.chosen(),
        arches,
        cache: cache_dir(),
    };
    let scratch = tempfile::tempdir().ok();
    let probe = scratch.as_ref().and_then(|dir| probe(plan, dir.path()));
    Qemu::detect(settings, probe)
        .await
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}

/// A kernel of this host's architecture, to try KVM with.
fn probe(plan: &Plan, dir: &Path) -> Option<Boot> {
    let planned = plan
        .cells
        .iter()
        .find(|planned| planned.cell.arch.name() == std::env::consts::ARCH)?;
    let kernel = plan.kernels.get(&planned.cell.kernel_key())?;
    let agent = plan.agents.get(&planned.cell.arch)?;
    Some(Boot {
        cell: planned.cell.clone(),
        release: kernel.release.clone(),
        kernel: kernel.image.path.clone(),
        initramfs: initramfs::assemble(&cache_dir(), agent, &kernel.segment).ok()?,
        cmdline: Vec::new(),
        memory: planned.memory,
        cpus: 1,
        evidence: dir.to_owned(),
    })
}

/// What must be said again to run a cell of this run alike. How fast and how many at once is left
/// out: no verdict depends on it.
fn asked(check: &Check, own: &BTreeMap<String, PathBuf>) -> Asked {
    let mut options: Vec<String> = Vec::new();
    let mut say = |option: &str, value: &str| {
        options.push(option.to_owned());
        if !value.is_empty() {
            options.push(value.to_owned());
        }
    };
    if let Some(plan) = &check.plan {
        say("--plan", &plan.display().to_string());
    } else if let Some(matrix) = super::matrix(&check.selection) {
        say("--matrix", matrix);
    }
    if check.mode == args::Mode::Load {
        say("--mode", "load");
    }
    if check.strict {
        say("--strict", "");
    }
    for dir in &check.compilation.include {
        say("-I", &dir.display().to_string());
    }
    for define in &check.compilation.define {
        say("-D", define);
    }
    match &check.compilation.vmlinux_h {
        Some(vmlinux::Source::Auto) => say("--vmlinux-h", "auto"),
        Some(vmlinux::Source::File(file)) => say("--vmlinux-h", &file.display().to_string()),
        None => {}
    }
    if let Some(baseline) = &check.baseline {
        say("--baseline", &baseline.display().to_string());
    }
    let modules = check.selection.modules.iter();
    let modules: Vec<String> = modules
        .flat_map(|dir| ["--modules".to_owned(), dir.display().to_string()])
        .collect();
    let kernels = own.iter().map(|(name, path)| {
        let named = vec!["--kernel".to_owned(), path.display().to_string()];
        (name.clone(), [named, modules.clone()].concat())
    });
    Asked {
        options,
        kernels: kernels.collect(),
    }
}

pub(crate) fn options(
    check: &Check,
    plan: &Plan,
    qemu: &Qemu,
    warnings: Vec<String>,
    asked: Asked,
) -> run::Options {
    let memory = plan
        .cells
        .iter()
        .map(|planned| planned.memory)
        .max()
        .unwrap_or(256);
    let jobs =
        budget::jobs(check.machines.jobs.map(usize::from), memory).min(plan.cells.len().max(1));
    run::Options {
        mode: match check.mode {
            args::Mode::Load => evidence::Mode::Load,
            args::Mode::Attach => evidence::Mode::Attach,
        },
        strict: check.strict,
        jobs,
        timeout: check.machines.timeout,
        fail_fast: check.fail_fast,
        resume: check.resume,
        baseline: None,
        out: check.out.clone(),
        cache: cache_dir(),
        info: RunInfo {
            ukci: env!("CARGO_PKG_VERSION").into(),
            matrix: plan.matrix.clone(),
            started: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            seconds: 0.0,
            jobs,
            qemu: qemu.versions().clone(),
            accel: qemu.accel().clone(),
            transport: qemu.transport().clone(),
            agents: plan
                .agents
                .iter()
                .map(|(arch, file)| (*arch, file.sha256.clone()))
                .collect(),
            toolchains: BTreeMap::new(),
            hermetic: true,
            interrupted: false,
            warnings,
            asked,
            budget: Budget::default(),
        },
    }
}
