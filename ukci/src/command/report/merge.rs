//! `ukci report merge`: write one report, and the evidence of all reports, below one directory.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ukci_harness::render::{self, harmless};
use ukci_harness::report::merge;

use crate::args::report::Merge;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::output::Output;
use crate::text::text;
use crate::{atomic_file, report_file};

/// Runs the command. The exit status is that of the run which the merged report describes.
pub(super) fn run(args: &Merge, output: Output) -> Result<Exit, Failure> {
    let reports = report_file::read_all(&args.reports)?;
    let merged = merge::merge(reports)
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    fs::create_dir_all(&args.out)
        .map_err(|error| Failure::failed_to(Action::on("create", &args.out), &error))?;
    for report in &args.reports {
        let file = report_file::file_of(report);
        let Some(dir) = file.parent() else { continue };
        for name in ["cells", "artifacts"] {
            copy(&dir.join(name), &args.out.join(name))
                .map_err(|(path, error)| Failure::failed_to(Action::on("copy", &path), &error))?;
        }
    }
    atomic_file::write(&args.out.join("report.json"), &render::json(&merged))?;
    if output.chatty {
        output.say(&text!(
            "      Merged {} reports: {}\n      Report {}",
            args.reports.len(),
            render::summary(&merged),
            harmless(&args.out.join("report.json").to_string_lossy())
        ));
    }
    Ok(Exit::of(&merged))
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
    fs::create_dir_all(to).map_err(at(to))?;
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
