//! Runs the cells of the given settings: it selects the cells, resolves them to files, and returns
//! the report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::SystemTime;

use tokio::sync::{oneshot, watch};
use ukci_harness::cache;
use ukci_harness::catalogue::{Catalogue, cache_dir};
use ukci_harness::command::StdinReader;
use ukci_harness::event::Event;
use ukci_harness::machine::budget;
use ukci_harness::machine::qemu::Qemu;
use ukci_harness::render::harmless;
use ukci_harness::waited_for::WaitedFor;
use ukci_harness::{resolve, run};
use ukci_schema::budget::Budget;
use ukci_schema::plan::{Plan, PlannedArtifact};
use ukci_schema::report::{Asked, Report, RunInfo};

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::fetching::{self, Fetching};
use crate::host::{self, Trial};
use crate::out_dir::OutDir;
use crate::output::{GOOD, Output, label};
use crate::settings::{Settings, recorded};
use crate::terminal::Terminal;
use crate::text::text;
use crate::{commands, lock_file, plan_file, report_formats, runtime, selected, tty};

/// Runs the cells and writes the reports.
pub(crate) fn run(settings: &Settings, output: Output) -> Result<(Report, Exit), Failure> {
    report_formats::check(&settings.out, &settings.formats)?;
    let take = || OutDir::take(&settings.out, &settings.formats);
    // A run that fails before it starts leaves no former report either, and no new directory.
    let taken = settings.out.exists().then(take).transpose()?;
    let work = Work::of(settings, output)?;
    let _taken = taken.map_or_else(take, Ok)?;
    let ran = runtime::run(|cancel| async {
        let ran = resolve_and_run(settings, output, work, cancel).await?;
        if let Some((report, _)) = &ran {
            report_formats::write_all(&settings.out, &settings.formats, report, output)?;
        }
        Ok(ran)
    })?;
    let Some((report, lost)) = ran.flatten() else {
        let message = "a signal ended the run before there was a report";
        return Err(Failure::says(Exit::Interrupted, message, None));
    };
    // Only what was booted has left anything.
    if report.cells.iter().any(|cell| cell.boots > 0) {
        cache::evict(&cache_dir(), settings.cache_limit);
    }
    let exit = Exit::of(&report);
    match lost {
        // Whoever takes the output of this process would take what there is of it for all of it.
        Some(lost) => Err(Failure::says(
            lossy(exit),
            &lost,
            Some(ALL_OF_IT.to_owned()),
        )),
        None => Ok((report, exit)),
    }
}

/// Where output is that could not be written.
const ALL_OF_IT: &str = "find all of it in `stdout.log` and `stderr.log` of the cell's directory";

/// How a run ends whose output was lost: as without that, unless that would be a success.
fn lossy(exit: Exit) -> Exit {
    if exit == Exit::Met {
        Exit::NoVerdict
    } else {
        exit
    }
}

/// What is to be run: names that are still to be resolved, or a plan.
pub(crate) enum Work {
    Selected(Box<Catalogue>, Box<resolve::Selected>, Vec<PlannedArtifact>),
    Planned(Box<Plan>),
}

impl Work {
    /// What the settings name; of that, only the cells that they pin.
    pub(crate) fn of(settings: &Settings, output: Output) -> Result<Self, Failure> {
        let pins = settings.pins.as_ref();
        if let Some(path) = &settings.plan {
            let mut plan = plan_file::read(path, &settings.selection, settings.shard)?;
            if let Some(pins) = pins {
                plan_file::retain(&mut plan, |cell| pins.cells.contains(&cell.id()))?;
            }
            return Ok(Self::Planned(Box::new(plan)));
        }
        let mut artifacts =
            resolve::named_artifacts(&settings.artifacts).map_err(|e| selected::unresolved(&e))?;
        artifacts.extend(settings.command.clone());
        let manifests = selected::manifests(&settings.manifests, &mut artifacts)?;
        selected::check_compilation(&settings.compilation, &artifacts)?;
        let catalogue = lock_file::catalogue()?;
        let mut selected = selected::select(
            &settings.selection,
            (settings.since, settings.shard),
            &artifacts,
            &manifests,
            &catalogue,
            output,
        )?;
        if let Some(btf) = &settings.btf {
            resolve::external_btf(btf, &mut selected, &mut artifacts)
                .map_err(|error| selected::unresolved(&error))?;
        }
        commands::provide(&mut selected.cells, &artifacts);
        selected.compilation = settings.compilation.clone();
        if let Some(pins) = pins {
            selected::retain(&mut selected, |cell| pins.cells.contains(&cell.id()))?;
        }
        if let Some(only) = &settings.only {
            selected::retain(&mut selected, |cell| only.contains(&cell.id()))?;
        }
        Ok(Self::Selected(
            Box::new(catalogue),
            Box::new(selected),
            artifacts,
        ))
    }
}

/// The report, and why output of a command was lost, if it was; neither if the run was stopped.
async fn resolve_and_run(
    settings: &Settings,
    output: Output,
    work: Work,
    cancel: watch::Receiver<bool>,
) -> Result<Option<(Report, Option<String>)>, Failure> {
    let asked = match &work {
        Work::Planned(_) => recorded::write(settings, &BTreeMap::new()),
        Work::Selected(_, selected, _) => recorded::write(settings, &selected.own),
    };
    let bars = fetching::bars(output);
    let fetching = Arc::new(Fetching::among(bars.clone(), output));
    let resolved = resolve_as_kernels_come(settings, output, work, &cancel, &fetching);
    let Some((plan, mut warnings, waited_for)) = resolved.await? else {
        return Ok(None);
    };
    if plan.budget.max_growth_percent.is_some() && settings.baseline.is_none() {
        let text = "the matrix has `max_growth_percent`, which needs `--baseline REPORT`";
        warnings.push(text.to_owned());
    }
    let qemu = qemu(settings, &plan).await?;
    if output.stages
        && let Some(btf) = &settings.btf
    {
        output.say(&text!(
            "{} the BTF of `{}` for CO-RE instead of the kernel's own",
            label(GOOD, "Using"),
            harmless(&btf.display().to_string())
        ));
    }
    if output.stages
        && let Some(name) = settings.machines.booting_transport()
    {
        output.say(&text!(
            "{} every kernel for each cell: a copy of a saved guest has no {}",
            label(GOOD, "Booting"),
            name
        ));
    }
    let options = options(settings, &plan, &qemu, warnings, asked);
    let cells = plan.cells.iter().map(|planned| &planned.cell);
    let files = report_formats::written(&settings.out, &settings.formats);
    let out = settings.out.display().to_string();
    let output = match settings.tty {
        // A display of ours and the command's own screen would be in each other's way.
        Some(_) => output.without_display(),
        None => output,
    };
    let mut terminal = Terminal::new(output, bars, &out, files, cells);
    let observe = |event| {
        observe_tty(settings, &event);
        if matches!(event, Event::Ended(_)) {
            fetching.end();
        }
        terminal.observe(event);
    };
    let report = run::run_as_kernels_come(plan, waited_for, qemu, options, cancel, observe)
        .await
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    Ok(Some((report, terminal.lost())))
}

/// Runs the one cell that the settings name, and shows nothing of it: whatever happens is handed to
/// `observe`. There is no report if the run was killed.
pub(crate) fn run_quietly(
    settings: &Settings,
    output: Output,
    mut observe: impl FnMut(Event) + Send,
) -> Result<Option<Report>, Failure> {
    let work = Work::of(settings, output)?;
    let ran = runtime::run(|cancel| async move {
        let resolved = resolve(settings, output, work, &cancel).await?;
        let Some((plan, warnings)) = resolved else {
            return Ok(None);
        };
        let qemu = qemu(settings, &plan).await?;
        let options = options(settings, &plan, &qemu, warnings, Asked::default());
        let observe = |event| {
            observe_tty(settings, &event);
            observe(event);
        };
        let report = run::run(plan, qemu, options, cancel, observe).await;
        report
            .map(Some)
            .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
    })?;
    Ok(ran.flatten())
}

/// How many cells the settings select.
pub(crate) fn count(settings: &Settings, output: Output) -> Result<usize, Failure> {
    Ok(match Work::of(settings, output)? {
        Work::Selected(_, selected, _) => selected.cells.len(),
        Work::Planned(plan) => plan.cells.len(),
    })
}

fn observe_tty(settings: &Settings, event: &Event) {
    if settings.tty.is_some() {
        tty::observe(event);
    }
}

/// What this process reads, for a command.
pub(crate) fn stdin() -> StdinReader {
    StdinReader::of(tty::input())
}

/// The plan and its warnings, fetching what is missing; none if it was cancelled.
pub(crate) async fn resolve(
    settings: &Settings,
    output: Output,
    work: Work,
    cancel: &watch::Receiver<bool>,
) -> Result<Option<(Plan, Vec<String>)>, Failure> {
    let verify = |plan: &Plan| match &settings.pins {
        Some(pins) => pins.verify(plan, output),
        None => Ok(()),
    };
    let (catalogue, selected, artifacts) = match work {
        Work::Planned(plan) => {
            verify(&plan)?;
            return Ok(Some((*plan, Vec::new())));
        }
        Work::Selected(catalogue, selected, artifacts) => (catalogue, selected, artifacts),
    };
    let fetching = Fetching::new(output);
    let resolved = resolved(cancel, move |ready| {
        let show = |progress| fetching.show(progress);
        ready(resolve::resolve(*selected, artifacts, &catalogue, &show));
    });
    let Some((plan, warnings)) = resolved.await? else {
        return Ok(None);
    };
    verify(&plan)?;
    Ok(Some((plan, warnings)))
}

/// The same, and what the kernels are waited for with that the plan lacks.
async fn resolve_as_kernels_come(
    settings: &Settings,
    output: Output,
    work: Work,
    cancel: &watch::Receiver<bool>,
    fetching: &Arc<Fetching>,
) -> Result<Option<(Plan, Vec<String>, WaitedFor)>, Failure> {
    // Pins are of the whole plan.
    let (catalogue, selected, artifacts) = match (work, &settings.pins) {
        (Work::Selected(catalogue, selected, artifacts), None) => (catalogue, selected, artifacts),
        (work, _) => {
            let resolved = resolve(settings, output, work, cancel).await?;
            return Ok(resolved.map(|(plan, warnings)| (plan, warnings, WaitedFor::nothing())));
        }
    };
    let fetching = Arc::clone(fetching);
    let resolved = resolved(cancel, move |ready| {
        let show = |progress| fetching.show(progress);
        resolve::resolve_as_kernels_come(*selected, artifacts, &catalogue, &show, ready);
    });
    resolved.await
}

/// How a resolution is handed over.
type Ready<T> = Box<dyn FnOnce(Result<T, resolve::Error>) + Send>;

/// What `resolve`, which blocks, comes to in a thread of its own; none if it was cancelled.
async fn resolved<T: Send + 'static>(
    cancel: &watch::Receiver<bool>,
    resolve: impl FnOnce(Ready<T>) + Send + 'static,
) -> Result<Option<T>, Failure> {
    // Not the runtime's: it panics where no thread can be started.
    let (send, resolving) = oneshot::channel();
    // Nobody waits for it in a run that was stopped.
    let ready = Box::new(|resolved| drop(send.send(resolved)));
    (thread::Builder::new().name("ukci-resolve".into()))
        .spawn(move || resolve(ready))
        .map_err(|error| runtime::no_thread(&error))?;
    let mut stop = cancel.clone();
    let resolved = tokio::select! {
        resolved = resolving => resolved,
        _ = stop.wait_for(|stop| *stop) => return Ok(None),
    };
    resolved
        .map_err(|error| Failure::failed_to("resolve the matrix", &error))?
        .map_err(|error| selected::unresolved(&error))
        .map(Some)
}

/// QEMU on this host, with an answer about KVM.
pub(crate) async fn qemu(settings: &Settings, plan: &Plan) -> Result<Qemu, Failure> {
    let machines = &settings.machines;
    let arches = plan.cells.iter().map(|planned| planned.cell.arch);
    let trials = plan.cells.iter().filter_map(|planned| {
        Some(Trial {
            cell: planned.cell.clone(),
            kernel: plan.kernels.get(&planned.cell.kernel_key())?,
            agent: plan.agents.get(&planned.cell.arch)?,
            memory: planned.memory,
        })
    });
    host::qemu(machines.accel, machines.transport, arches, trials).await
}

/// How the harness runs the plan. It is called in the runtime.
pub(crate) fn options(
    settings: &Settings,
    plan: &Plan,
    qemu: &Qemu,
    warnings: Vec<String>,
    asked: Asked,
) -> run::Options {
    if let Some(tty) = &settings.tty {
        tty.follow();
    }
    let smallest = plan.cells.iter().map(|planned| planned.memory).min();
    let machines = &settings.machines;
    let memory = machines.max_memory.map(|bytes| bytes.as_u64() >> 20);
    let budget::Limits { jobs, memory } = budget::Limits::of(
        machines.jobs.map(usize::from),
        memory,
        smallest.unwrap_or(256),
    );
    let jobs = jobs.min(plan.cells.len().max(1));
    let baseline = settings.baseline.as_ref();
    run::Options {
        mode: settings.mode,
        strict: settings.strict,
        jobs,
        memory,
        timeout: settings.machines.timeout(),
        fail_fast: settings.fail_fast,
        copies: settings.machines.copies(),
        resume: settings.resume,
        remember: settings.remember,
        baseline: baseline.map(|baseline| Arc::new(baseline.report.clone())),
        out: settings.out.clone(),
        cache: cache_dir(),
        stdin: settings.stdin.clone(),
        info: RunInfo {
            ukci: env!("CARGO_PKG_VERSION").into(),
            matrix: plan.matrix.clone(),
            started: started(SystemTime::now()),
            seconds: 0.0,
            jobs,
            qemu: qemu.versions().clone(),
            accel: qemu.accel().clone(),
            transport: qemu.transport().clone(),
            confinement: Some(qemu.confinement()),
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
            shard: None,
        },
    }
}

/// When a run started. A clock that was never set is before 1970, which RFC 3339 has no year for.
fn started(now: SystemTime) -> String {
    humantime::format_rfc3339_seconds(now.max(SystemTime::UNIX_EPOCH)).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_run_that_starts_before_1970_starts_in_1970() {
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(started(before), "1970-01-01T00:00:00Z");
    }
}
