//! `ukci warm`: boot kernels and save their guests, before a run needs them.

use ukci_harness::catalogue::cache_dir;
use ukci_harness::machine::{NoTemplate, budget};
use ukci_harness::render::harmless;
use ukci_harness::resolve::{self, Manifests, Selection};
use ukci_harness::warm::{self, Made};
use ukci_schema::plan::Plan;

use crate::args::{Transport, Warm};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::fetching::Fetching;
use crate::host::{self, Trial};
use crate::output::{BAD, GOOD, Output, label};
use crate::text::text;
use crate::{lock_file, runtime, selected, settings};

/// Runs the command.
pub(crate) fn run(args: &Warm, output: Output) -> Result<Exit, Failure> {
    let plan = plan(args, output)?;
    let mut failed = 0;
    let ended = runtime::run_to_first_signal(|_| {
        make(args, &plan, |made| {
            let expected = matches!(made.result, Ok(_) | Err(NoTemplate::Timers(_)));
            failed += usize::from(!expected);
            say(&made, output);
        })
    })?;
    Ok(match (ended, failed) {
        (None, _) => Exit::Interrupted,
        (Some(()), 0) => Exit::Met,
        (Some(()), _) => Exit::NoVerdict,
    })
}

/// The kernels, with their boot files and agents, and the cells that the matrix has for them.
fn plan(args: &Warm, output: Output) -> Result<Plan, Failure> {
    let default = args
        .kernels
        .is_empty()
        .then(|| settings::DEFAULT_MATRIX.to_owned());
    let selection = Selection {
        matrix: args.matrix.clone().or(default),
        kernels: args.kernels.clone(),
        arches: args.arch.clone(),
        ..Selection::default()
    };
    let catalogue = lock_file::catalogue()?;
    let artifacts = vec![selected::any_artifact()];
    let none = (None, None);
    let selected = selected::select(
        &selection,
        none,
        &artifacts,
        &Manifests::new(),
        &catalogue,
        output,
    )?;
    let fetching = Fetching::new(output);
    let resolved = resolve::resolve(selected, artifacts, &catalogue, &|progress| {
        fetching.show(progress);
    });
    let (plan, warnings) = resolved.map_err(|error| selected::unresolved(&error))?;
    for warning in warnings {
        output.warn(&warning);
    }
    Ok(plan)
}

async fn make(args: &Warm, plan: &Plan, tell: impl FnMut(Made)) -> Result<(), Failure> {
    let arches = plan.cells.iter().map(|planned| planned.cell.arch);
    let trials = plan.cells.iter().filter_map(|planned| {
        Some(Trial {
            cell: planned.cell.clone(),
            kernel: plan.kernels.get(&planned.cell.kernel_key())?,
            agent: plan.agents.get(&planned.cell.arch)?,
            memory: planned.memory,
        })
    });
    let machine = host::qemu(args.accel, Transport::Auto, arches, trials).await?;
    let memory = plan.cells.iter().map(|planned| planned.memory).max();
    let jobs = args.jobs.map(usize::from);
    let budget::Limits { jobs, .. } = budget::Limits::of(jobs, None, memory.unwrap_or(256));
    let options = warm::Options {
        jobs,
        timeout: args.timeout,
        cache: cache_dir(),
    };
    let made = warm::make(plan, machine, &options, tell).await;
    made.map_err(|error| Failure::failed_to("make an initramfs", &error))
}

fn say(made: &Made, output: Output) {
    let of = text!(
        "{} for {} with {} MiB",
        harmless(&made.cell.kernel),
        made.cell.arch,
        made.memory
    );
    let line = match &made.result {
        Err(NoTemplate::Timers(_)) | Ok(_) if !output.chatty => return,
        Err(why @ NoTemplate::Timers(_)) => text!(
            "{} {}: {}",
            label(GOOD, "Skipped"),
            of,
            harmless(&why.to_string())
        ),
        Err(why) => text!(
            "{} {}: {}",
            label(BAD, "Failed"),
            of,
            harmless(&why.to_string())
        ),
        Ok(true) => text!("{} {}", label(GOOD, "Unchanged"), of),
        Ok(false) => text!("{} {} in {:.1} s", label(GOOD, "Saved"), of, made.seconds),
    };
    output.say(&line);
}
