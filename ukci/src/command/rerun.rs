//! `ukci rerun`: run the same cells with the same bytes, and compare the results.

use std::path::Path;

use ukci_matrix::nearest::nearest;
use ukci_schema::plural::first_of;
use ukci_schema::report::{CellReport, Report};

use crate::args::rerun::Rerun;
use crate::cells;
use crate::commands;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, WARN, label};
use crate::report_file;
use crate::settings::{recorded, short};
use crate::text::{Text, text};
use ukci_harness::render::harmless;

/// Runs the command.
pub(crate) fn run(args: Rerun, output: Output) -> Result<Exit, Failure> {
    let report = report_file::read(&args.report)?;
    let dir = report_file::dir_of(&args.report);
    let same_dir = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    if same_dir(&dir, &args.outputs.out) {
        let message = format!("`{}` holds the report that is run again", dir.display());
        let hint = "choose another directory with `--out`".to_owned();
        return Err(Failure::says(Exit::Usage, &message, Some(hint)));
    }
    let chosen: Vec<CellReport> = choose(&args, &report)?.into_iter().cloned().collect();
    let command = commands::recorded(&report, &chosen, &dir, output)?;
    let mut settings = recorded::read(
        report,
        &chosen,
        &dir,
        args.anyway,
        args.limit.cache_max_size.as_u64(),
        args.machines,
        args.outputs,
    )?;
    settings.command = command;
    let (again, exit) = cells::run(&settings, output)?;
    for was in &chosen {
        if let Some(is) = again.cells.iter().find(|is| is.id == was.id) {
            output.say(&compared(was, is));
        }
    }
    Ok(exit)
}

fn choose<'a>(args: &Rerun, report: &'a Report) -> Result<Vec<&'a CellReport>, Failure> {
    let none = |message: &str| Failure::says(Exit::NoCells, message, None);
    if args.failed {
        let failed = report.cells.iter().filter(|cell| !cell.outcome.is_met());
        let failed: Vec<&CellReport> = failed.collect();
        if failed.is_empty() {
            return Err(none("every cell of the report met its expectation"));
        }
        return Ok(failed);
    }
    if args.cells.is_empty() {
        if report.cells.is_empty() {
            return Err(none("the report has no cells"));
        }
        return Ok(report.cells.iter().collect());
    }
    let find = |id: &String| find(report, id);
    args.cells.iter().map(find).collect()
}

/// Most cells that a hint names.
const SHOWN: usize = 5;

/// A cell of the report by its id.
pub(crate) fn find<'a>(report: &'a Report, id: &str) -> Result<&'a CellReport, Failure> {
    let found = report.cells.iter().find(|cell| cell.id == *id);
    found.ok_or_else(|| {
        let ids = report.cells.iter().map(|cell| cell.id.as_str());
        let near = nearest(id, ids);
        let hint = if near.is_empty() {
            let ids = report.cells.iter().map(|cell| format!("`{}`", cell.id));
            let ids = first_of(ids, SHOWN);
            (!ids.is_empty()).then(|| format!("its cells are {ids}"))
        } else {
            Some(format!("did you mean `{}`?", near.join("`, `")))
        };
        Failure::says(Exit::Usage, &format!("the report has no cell `{id}`"), hint)
    })
}

/// One line: whether a cell ended as before.
fn compared(was: &CellReport, is: &CellReport) -> Text {
    let mut differs = Vec::new();
    if (was.verdict, was.code()) != (is.verdict, is.code()) {
        differs.push("verdict");
    }
    if was.diagnosis.as_ref().map(|d| (&d.headline, &d.at))
        != is.diagnosis.as_ref().map(|d| (&d.headline, &d.at))
    {
        differs.push("diagnosis");
    }
    if was.evidence_digest != is.evidence_digest {
        differs.push("evidence");
    }
    if differs.is_empty() {
        let digest = is.evidence_digest.as_deref().map_or("none", short);
        return text!(
            "{} {}: verdict, diagnosis and evidence ({})",
            label(GOOD, "Same"),
            harmless(&is.id),
            harmless(digest)
        );
    }
    text!(
        "{} {}: {}",
        label(WARN, "Differs"),
        harmless(&is.id),
        harmless(&differs.join(", "))
    )
}
