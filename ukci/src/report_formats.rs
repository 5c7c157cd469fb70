//! Writes reports in the formats that the command line names.

use std::io::Write;
use std::path::{Path, PathBuf};

use ukci_harness::render::{self, Shown};
use ukci_schema::report::Report;

use crate::args::{Format, FormatKind};
use crate::atomic_file;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::output::Output;
use crate::stdout;

/// The report in a format.
pub(crate) fn text(report: &Report, kind: FormatKind) -> Shown<String> {
    let shown = Shown::of(report);
    match kind {
        FormatKind::Json => render::json(report),
        FormatKind::Markdown => render::markdown(&shown),
        FormatKind::Github => render::github(&shown, artifacts_address().as_deref()),
        FormatKind::Junit => render::junit(&shown),
        FormatKind::Html => render::html(&shown),
    }
}

/// The name of a format's file beside the report.
const fn file_name(kind: FormatKind) -> &'static str {
    match kind {
        FormatKind::Json => "report.json",
        FormatKind::Markdown => "report.md",
        FormatKind::Github => "summary.md",
        FormatKind::Junit => "junit.xml",
        FormatKind::Html => "report.html",
    }
}

/// Writes `report.json` into `out`, every format that was requested, and on GitHub Actions the
/// job's summary and annotations.
pub(crate) fn write_all(
    out: &Path,
    formats: &[Format],
    report: &Report,
    output: Output,
) -> Result<(), Failure> {
    atomic_file::write(&out.join("report.json"), &render::json(report))?;
    for format in formats {
        let beside = out.join(file_name(format.kind));
        let path = format.path.as_deref().unwrap_or(&beside);
        put(Some(path), text(report, format.kind))?;
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        tell_github(report, output)?;
    }
    Ok(())
}

/// Appends to the job's summary, as GitHub asks for, and says the annotations.
fn tell_github(report: &Report, output: Output) -> Result<(), Failure> {
    let shown = Shown::of(report);
    if let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) {
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path);
        file.and_then(|mut file| {
            file.write_all(render::github(&shown, artifacts_address().as_deref()).as_bytes())
        })
        .map_err(|error| failed(&path, &error))?;
    }
    let workspace = std::env::var("GITHUB_WORKSPACE").ok();
    let annotations = render::annotations(&shown, workspace.as_deref());
    if !annotations.is_empty() {
        // The runner reads workflow commands on either stream, and stdout may hold a report.
        output.command(&annotations.into());
    }
    Ok(())
}

/// Where a run of GitHub Actions lists the files that its jobs upload; none elsewhere.
fn artifacts_address() -> Option<String> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let server = variable("GITHUB_SERVER_URL")?;
    let (repository, run) = (variable("GITHUB_REPOSITORY")?, variable("GITHUB_RUN_ID")?);
    Some(format!(
        "{server}/{repository}/actions/runs/{run}#artifacts"
    ))
}

/// Refuses formats whose files cannot be written, before there is anything to write.
/// `out` need not exist yet.
pub(crate) fn check(out: &Path, formats: &[Format]) -> Result<(), Failure> {
    let paths = formats.iter().filter_map(|format| format.path.as_deref());
    for path in paths.filter(|path| *path != Path::new("-")) {
        let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let dir = dir.unwrap_or(Path::new("."));
        let error = match dir.metadata() {
            Err(_) if dir == out => continue,
            Err(error) => error,
            Ok(dir) if !dir.is_dir() => std::io::ErrorKind::NotADirectory.into(),
            Ok(_) if path.is_dir() => std::io::ErrorKind::IsADirectory.into(),
            Ok(_) => continue,
        };
        let failure = failed(path, &error).ending_with(Exit::Usage);
        return Err(
            failure.with_hint("give `--format` the path of a file in an existing directory")
        );
    }
    Ok(())
}

/// Every file that a run into `out` may have left of a report, and those of these formats.
pub(crate) fn files(out: &Path, formats: &[Format]) -> Vec<PathBuf> {
    let kinds = [
        FormatKind::Json,
        FormatKind::Markdown,
        FormatKind::Github,
        FormatKind::Junit,
        FormatKind::Html,
    ];
    let beside = kinds.map(|kind| out.join(file_name(kind)));
    let named = formats.iter().filter_map(|format| format.path.clone());
    beside.into_iter().chain(named).collect()
}

/// The files that [`write_all`] writes for a run into `out`, the report first.
pub(crate) fn written(out: &Path, formats: &[Format]) -> Vec<String> {
    let mut files = vec![out.join("report.json").display().to_string()];
    for format in formats {
        let beside = out.join(file_name(format.kind));
        let path = format
            .path
            .as_deref()
            .unwrap_or(&beside)
            .display()
            .to_string();
        if path != "-" && !files.contains(&path) {
            files.push(path);
        }
    }
    files
}

/// Writes to a path, whole or not at all; to stdout without one, or where it is `-`.
pub(crate) fn put(path: Option<&Path>, text: Shown<String>) -> Result<(), Failure> {
    match path {
        Some(path) if path != Path::new("-") => atomic_file::write(path, &text),
        _ => stdout::print(text).map(drop),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed_to(Action::on("write", path), error)
}
