//! `ukci plan`: what a run would boot, as a file; and reading such a file.

use std::path::Path;

use ukci_harness::{plan_file, resolve};
use ukci_schema::authored::instead_of;
use ukci_schema::plan::Plan;

use super::fetching::Fetching;
use crate::args;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{Output, WARN, data, paint};

/// Runs the command.
pub(crate) fn run(args: &args::Plan, output: Output) -> Result<Exit, Failure> {
    let plan = match &args.draft {
        Some(draft) => plan_file::complete(draft).map_err(|error| unusable(&error))?,
        None => resolved(args, output)?,
    };
    let failed = |path: &str, error: &dyn std::fmt::Display| {
        let message = format!("failed to write {path}: {error}");
        Failure::plain(Exit::NoVerdict, &message, None)
    };
    let mut text = serde_json::to_string_pretty(&plan).map_err(|error| failed("it", &error))?;
    text.push('\n');
    match &args.out {
        Some(path) => std::fs::write(path, text)
            .map_err(|error| failed(&format!("`{}`", path.display()), &error))?,
        None => data(&text).map_err(|error| failed("to stdout", &error))?,
    }
    Ok(Exit::Met)
}

fn resolved(args: &args::Plan, output: Output) -> Result<Plan, Failure> {
    let mut artifacts = resolve::artifacts(&args.artifacts).map_err(|e| super::unresolved(&e))?;
    let manifests = super::manifests(&args.manifest, &mut artifacts)?;
    let catalogue = super::catalogue(args.locked)?;
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

/// Reads a plan that someone else resolved; with `only`, keeps its cells on these kernels.
pub(crate) fn read(path: &Path, only: &[String]) -> Result<Plan, Failure> {
    let mut plan = plan_file::read(path).map_err(|error| unusable(&error))?;
    let mut known: Vec<&str> = plan.kernels.values().map(|k| k.name.as_str()).collect();
    known.dedup();
    if let Some(other) = only.iter().find(|name| !known.contains(&name.as_str())) {
        let message = format!("failed to find kernel `{other}` in the plan");
        return Err(Failure::plain(
            Exit::Usage,
            &message,
            instead_of(other, &known),
        ));
    }
    if !only.is_empty() {
        plan.cells.retain(|p| only.contains(&p.cell.kernel));
    }
    Ok(plan)
}

fn unusable(error: &plan_file::Error) -> Failure {
    Failure::new(Exit::NoVerdict, error, error.hint())
}
