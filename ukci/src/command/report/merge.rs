//! `ukci report merge`: write one report, and the evidence of all reports, below one directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ukci_harness::evidence_dir;
use ukci_harness::render::{self, harmless};
use ukci_harness::report::merge;

use ukci_schema::report::Report;

use crate::args::report::Merge;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::out_dir::{OutDir, remove_reports};
use crate::output::Output;
use crate::text::{count, text};
use crate::{atomic_file, report_file};

/// Most cells that are named on the terminal.
const SHOWN: usize = 5;

/// Runs the command. The exit status is that of the run which the merged report describes.
pub(super) fn run(args: &Merge, output: Output) -> Result<Exit, Failure> {
    let lock = || OutDir::lock(&args.out);
    // Before it is read: it may hold one of the reports. It is made only for a report that there is.
    let locked = args.out.exists().then(lock).transpose()?;
    let reports = report_file::read_all(&args.reports)?;
    let merged = merge::merge(reports)
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    let _locked = locked.map_or_else(lock, Ok)?;
    // One that is merged stays until the merged one takes its place.
    if !args.reports.iter().any(|report| is_in(report, &args.out)) {
        remove_reports(&args.out, &[])?;
    }
    for report in &args.reports {
        let file = report_file::file_of(report);
        let Some(dir) = file.parent() else { continue };
        for name in [evidence_dir::CELLS, evidence_dir::ARTIFACTS] {
            copy(&dir.join(name), &args.out.join(name))
                .map_err(|(path, error)| Failure::failed_to(Action::on("copy", &path), &error))?;
        }
    }
    atomic_file::write(&args.out.join("report.json"), &render::json(&merged))?;
    if output.chatty {
        output.say(&text!(
            "      Merged {}: {}\n      Report {}",
            count(args.reports.len(), "report"),
            render::summary(&merged),
            harmless(&args.out.join("report.json").to_string_lossy())
        ));
    }
    if !merged.not_run.is_empty() {
        output.warn(&missing(&merged));
    }
    Ok(Exit::of(&merged))
}

/// The planned cells that are in no report, the first of them by their ids.
fn missing(merged: &Report) -> String {
    let all = &merged.not_run;
    let mut ids: Vec<String> = all.iter().take(SHOWN).map(|id| format!("`{id}`")).collect();
    if all.len() > SHOWN {
        ids.push(format!("and {} more in `not_run`", all.len() - SHOWN));
    }
    let shards = merged.run.shard.iter().flat_map(|shard| &shard.names);
    let shards: Vec<String> = shards.map(|name| format!("`{name}`")).collect();
    let of = match shards.as_slice() {
        [] => String::new(),
        [one] => format!(", which are of shard {one}"),
        all => format!(", which are of the shards {}", all.join(", ")),
    };
    let count = ukci_schema::plural::count(all.len(), "planned cell");
    format!(
        "{count} did not run in the merged reports{of}: {}",
        ids.join(", ")
    )
}

/// Whether a report, named by its file or its directory, is the one in `out`.
fn is_in(report: &Path, out: &Path) -> bool {
    let canonical = |path: &Path| fs::canonicalize(path).ok();
    let file = canonical(&report_file::file_of(report));
    file.is_some() && file == canonical(&out.join("report.json"))
}

/// Copies a directory's files over those of another; a directory that is not there holds nothing.
/// Only files and directories: evidence has no links.
fn copy(from: &Path, to: &Path) -> Result<(), (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| (path, error)
    };
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err((from.to_owned(), error)),
    };
    evidence_dir::make_directory(to).map_err(at(to))?;
    if fs::canonicalize(from).map_err(at(from))? == fs::canonicalize(to).map_err(at(to))? {
        return Ok(());
    }
    for entry in entries {
        let entry = entry.map_err(at(from))?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(at(&path))?;
        if kind.is_dir() {
            copy(&path, &target)?;
        } else if kind.is_file() {
            // Of two cells of one artifact each has it, and what Nix keeps is not to be written to:
            // neither is its copy.
            match fs::remove_file(&target) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err((target, error));
                }
                _ => {}
            }
            fs::copy(&path, &target).map_err(at(&path))?;
        }
    }
    Ok(())
}
