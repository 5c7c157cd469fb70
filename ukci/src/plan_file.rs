//! Reading a plan that `ukci plan` or Nix wrote, and keeping some of its cells.

use std::collections::BTreeSet;
use std::path::Path;

use ukci_harness::plan_file;
use ukci_harness::resolve::Selection;
use ukci_matrix::authored::instead_of;
use ukci_matrix::partition::Partition;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::plan::Plan;

use crate::diagnostic::Failure;
use crate::exit::Exit;

/// Reads a plan that someone else resolved, and keeps the cells that are selected.
pub(crate) fn read(
    path: &Path,
    selection: &Selection,
    shard: Option<Partition>,
) -> Result<Plan, Failure> {
    let mut plan = plan_file::read(path).map_err(|error| unusable(&error))?;
    let arches: Vec<String> = selection.arches.iter().map(Arch::to_string).collect();
    keep(&mut plan, "kernel", &selection.kernels, |cell| {
        Some(&cell.kernel)
    })?;
    keep(&mut plan, "architecture", &arches, |cell| {
        Some(cell.arch.name())
    })?;
    keep(&mut plan, "LLVM", &selection.llvms, |cell| {
        cell.llvm.as_deref()
    })?;
    if let Some(shard) = shard {
        plan.shard = Some(shard.keep(&mut plan.cells, plan.shard.take()));
        retain(&mut plan, |_| true)?;
    }
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

/// Keeps only some of the cells. It is an error if none is left.
pub(crate) fn retain(plan: &mut Plan, mut keep: impl FnMut(&Cell) -> bool) -> Result<(), Failure> {
    plan.cells.retain(|planned| keep(&planned.cell));
    if plan.cells.is_empty() {
        let message = format!("no cell of `{}` is left", plan.matrix);
        return Err(Failure::says(Exit::NoCells, &message, None));
    }
    Ok(())
}

/// A plan that cannot be used.
pub(crate) fn unusable(error: &plan_file::Error) -> Failure {
    let exit = match error {
        plan_file::Error::Read { .. } => Exit::Usage,
        _ => Exit::NoVerdict,
    };
    Failure::of(exit, error, error.hint())
}
