//! `ukci rerun`: the same cells with the same bytes, and whether they end alike.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Parser;
use ukci_harness::evidence_dir;
use ukci_matrix::nearest::nearest;
use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};

use super::check;
use super::pins::{Pins, short};
use super::report as reports;
use crate::args::rerun::Rerun;
use crate::args::{Cli, Command};
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output::{GOOD, Output, WARN, paint};

/// Runs the command.
pub(crate) fn run(args: Rerun, output: Output) -> Result<Exit, Failure> {
    let report = reports::read(&args.report)?;
    let dir = dir_of(&args.report);
    let same_dir = |a: &Path, b: &Path| match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    if same_dir(&dir, &args.out) {
        let message = format!("`{}` holds the report that is run again", dir.display());
        let hint = "choose another directory with `--out`".to_owned();
        return Err(Failure::says(Exit::Usage, &message, Some(hint)));
    }
    let chosen: Vec<CellReport> = choose(&args, &report)?.into_iter().cloned().collect();
    let mut check = check_like(&report, &chosen, &dir)?;
    check.machines = args.machines;
    check.out = args.out;
    check.format = args.format;
    let pins = Pins::of(report, &chosen, args.anyway);
    let (again, exit) = check::perform(check, output, Some(&pins))?;
    if let Some(again) = again {
        for was in &chosen {
            if let Some(is) = again.cells.iter().find(|is| is.id == was.id) {
                output.say(&compared(was, is));
            }
        }
    }
    Ok(exit)
}

/// The directory of a report, named by itself or by its directory.
pub(crate) fn dir_of(report: &Path) -> PathBuf {
    let file = reports::file_of(report);
    match file.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
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

/// A cell of the report by its id.
pub(crate) fn find<'a>(report: &'a Report, id: &str) -> Result<&'a CellReport, Failure> {
    let found = report.cells.iter().find(|cell| cell.id == *id);
    found.ok_or_else(|| {
        let ids = report.cells.iter().map(|cell| cell.id.as_str());
        let near = nearest(id, ids);
        let hint = (!near.is_empty()).then(|| format!("did you mean `{}`?", near.join("`, `")));
        Failure::says(Exit::Usage, &format!("the report has no cell `{id}`"), hint)
    })
}

/// The command line that the report's run had, for these cells alone.
pub(crate) fn check_like(
    report: &Report,
    chosen: &[CellReport],
    dir: &Path,
) -> Result<crate::args::Check, Failure> {
    let mut words: Vec<String> = ["ukci", "check"].map(str::to_owned).to_vec();
    let mut artifacts: Vec<&str> = Vec::new();
    let mut kernels: Vec<&str> = Vec::new();
    for cell in chosen {
        if !artifacts.contains(&cell.artifact.as_str()) {
            artifacts.push(&cell.artifact);
        }
        if !kernels.contains(&cell.kernel.as_str()) {
            kernels.push(&cell.kernel);
        }
    }
    words.extend(report.run.asked.options.iter().cloned());
    for kernel in kernels {
        match report.run.asked.kernels.get(kernel) {
            Some(named) => words.extend(named.iter().cloned()),
            None => words.extend(["--kernel".to_owned(), kernel.to_owned()]),
        }
    }
    // Without a matrix a kernel's name alone means x86_64.
    let arches: BTreeSet<Arch> = chosen.iter().map(|cell| cell.arch).collect();
    if arches.iter().any(|arch| *arch != Arch::X86_64) {
        for arch in arches {
            words.extend(["--arch".to_owned(), arch.to_string()]);
        }
    }
    let llvms: BTreeSet<&String> = chosen
        .iter()
        .filter_map(|cell| cell.llvm.as_ref())
        .collect();
    for llvm in llvms {
        words.extend(["--llvm".to_owned(), llvm.clone()]);
    }
    // A plan has its artifacts and what their manifests say.
    if report.run.asked.options.iter().any(|word| word == "--plan") {
        artifacts.clear();
    }
    for name in &artifacts {
        let artifact = report.artifacts.iter().find(|a| a.name == *name);
        if let Some(manifest) = artifact.and_then(|artifact| artifact.manifest.as_ref()) {
            words.push(format!("--manifest={name}={}", manifest.path));
        }
    }
    words.push("--".to_owned());
    for name in artifacts {
        words.push(artifact(report, name, dir).display().to_string());
    }
    let cli = Cli::try_parse_from(&words).map_err(|error| {
        let message = format!("the report's command line is not understood: {error}");
        Failure::says(Exit::NoVerdict, message.trim_end(), None)
    })?;
    let Command::Check(check) = cli.command else {
        let message = "the report's command line is not a check";
        return Err(Failure::says(Exit::NoVerdict, message, None));
    };
    Ok(*check)
}

/// The artifact's file: the copy beside the report, else where it was, seen from here or from the
/// report. Its digest is checked with everything else.
fn artifact(report: &Report, name: &str, dir: &Path) -> PathBuf {
    let kept = dir.join(evidence_dir::artifact_path(name));
    if kept.exists() {
        return kept;
    }
    let artifact = report.artifacts.iter().find(|a| a.name == name);
    let path = PathBuf::from(artifact.map_or(name, |artifact| artifact.path.as_str()));
    if path.exists() || !dir.join(&path).exists() {
        path
    } else {
        dir.join(path)
    }
}

/// One line: whether a cell ended as before.
fn compared(was: &CellReport, is: &CellReport) -> String {
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
        return format!(
            "{} {}: verdict, diagnosis and evidence ({digest})",
            paint(GOOD, format_args!("{:>12}", "Same")),
            is.id
        );
    }
    format!(
        "{} {}: {}",
        paint(WARN, format_args!("{:>12}", "Differs")),
        is.id,
        differs.join(", ")
    )
}
