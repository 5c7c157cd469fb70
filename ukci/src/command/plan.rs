//! `ukci plan`: write what a run would boot to a file.

use ukci_harness::render::plain_json;
use ukci_harness::{plan_file as plans, resolve};
use ukci_schema::plan::Plan;

use crate::args;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::fetching::Fetching;
use crate::output::Output;
use crate::{lock_file, plan_file, report_formats, selected, settings};

/// Runs the command.
pub(crate) fn run(args: args::Plan, output: Output) -> Result<Exit, Failure> {
    let out = args.out.clone();
    let plan = match &args.draft {
        Some(draft) => plans::complete(draft).map_err(|error| plan_file::unusable(&error))?,
        None => resolved(args, output)?,
    };
    let mut text = serde_json::to_string_pretty(&plan)
        .map_err(|error| Failure::failed_to("write the plan as JSON", &error))?;
    text.push('\n');
    report_formats::put(out.as_deref(), plain_json(&text))?;
    Ok(Exit::Met)
}

fn resolved(args: args::Plan, output: Output) -> Result<Plan, Failure> {
    let mut artifacts =
        resolve::artifacts(&args.artifacts).map_err(|e| selected::unresolved(&e))?;
    let manifests = selected::manifests(&args.manifest, &mut artifacts)?;
    let catalogue = lock_file::catalogue()?;
    let some = (args.selection.since, args.selection.shard);
    let selection = settings::selection(args.selection);
    let compilation = settings::compilation(args.compilation);
    selected::check_compilation(&compilation, &artifacts)?;
    let mut selected =
        selected::select(&selection, some, &artifacts, &manifests, &catalogue, output)?;
    selected.compilation = compilation;
    let fetching = Fetching::new(output);
    let (plan, warnings) = resolve::resolve(selected, artifacts, &catalogue, &|progress| {
        fetching.show(progress);
    })
    .map_err(|error| selected::unresolved(&error))?;
    for warning in warnings {
        output.warn(&warning);
    }
    Ok(plan)
}
