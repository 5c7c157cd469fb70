//! `ukci plan`: what a run would boot, as a file; and reading such a file.

use std::collections::BTreeSet;
use std::path::Path;

use ukci_harness::{plan_file, resolve};
use ukci_matrix::authored::instead_of;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::plan::Plan;

use super::fetching::Fetching;
use crate::args;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{Output, WARN, paint};

/// Runs the command.
pub(crate) fn run(args: &args::Plan, output: Output) -> Result<Exit, Failure> {
    let plan = match &args.draft {
        Some(draft) => plan_file::complete(draft).map_err(|error| unusable(&error))?,
        None => resolved(args, output)?,
    };
    let mut text = serde_json::to_string_pretty(&plan)
        .map_err(|error| Failure::failed_to("write the plan as JSON", &error))?;
    text.push('\n');
    super::rendered::put(args.out.as_deref(), &text)?;
    Ok(Exit::Met)
}

fn resolved(args: &args::Plan, output: Output) -> Result<Plan, Failure> {
    let mut artifacts = resolve::artifacts(&args.artifacts).map_err(|e| super::unresolved(&e))?;
    let manifests = super::manifests(&args.manifest, &mut artifacts)?;
    let catalogue = super::catalogue()?;
    let mut selected = super::select(&args.selection, &artifacts, &manifests, &catalogue)?;
    selected.compilation = super::compilation(&args.compilation, &artifacts)?;
    let fetching = Fetching::new(output);
    let (plan, warnings) = resolve::resolve(selected, artifacts, &catalogue, &|progress| {
        fetching.show(progress);
    })
    .map_err(|error| super::unresolved(&error))?;
    for warning in warnings {
        output.say(&format!("{} {warning}", paint(WARN, "warning:")));
    }
    Ok(plan)
}

/// Reads a plan that someone else resolved, and keeps the cells that are selected.
pub(crate) fn read(path: &Path, selection: &args::Selection) -> Result<Plan, Failure> {
    let mut plan = plan_file::read(path).map_err(|error| unusable(&error))?;
    let arches: Vec<String> = selection.arch.iter().map(Arch::to_string).collect();
    keep(&mut plan, "kernel", &selection.kernel, |cell| {
        Some(&cell.kernel)
    })?;
    keep(&mut plan, "architecture", &arches, |cell| {
        Some(cell.arch.name())
    })?;
    keep(&mut plan, "LLVM", &selection.llvm, |cell| {
        cell.llvm.as_deref()
    })?;
    let mut place = 0..;
    retain(&mut plan, |cell| {
        let partition = selection.partition.as_ref();
        partition.is_none_or(|partition| place.next().is_some_and(|n| partition.takes(n, cell)))
    })?;
    Ok(plan)
}

/// Keeps the cells that have one of these values, where any are named.
fn keep(
    plan: &mut Plan,
    what: &str,
    named: &[String],
    value: impl Fn(&Cell) -> Option<&str>,
) -> Result<(), Failure> {
    let there = plan.cells.iter().filter_map(|p| value(&p.cell));
    let there: BTreeSet<&str> = there.collect();
    if let Some(other) = named.iter().find(|name| !there.contains(name.as_str())) {
        let message = format!("the plan has no cell with {what} `{other}`");
        let there: Vec<&str> = there.into_iter().collect();
        let hint = instead_of(other, &there);
        return Err(Failure::says(Exit::Usage, &message, hint));
    }
    let is_named = |cell: &Cell| value(cell).is_some_and(|value| named.iter().any(|n| n == value));
    retain(plan, |cell| named.is_empty() || is_named(cell))
}

/// Keeps only some of the cells; it is an error to be left without any.
pub(crate) fn retain(plan: &mut Plan, mut keep: impl FnMut(&Cell) -> bool) -> Result<(), Failure> {
    plan.cells.retain(|planned| keep(&planned.cell));
    if plan.cells.is_empty() {
        let message = format!("no cell of `{}` is left", plan.matrix);
        return Err(Failure::says(Exit::NoCells, &message, None));
    }
    Ok(())
}

fn unusable(error: &plan_file::Error) -> Failure {
    Failure::of(Exit::NoVerdict, error, error.hint())
}
