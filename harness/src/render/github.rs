//! Renders what GitHub Actions shows of a run: the summary of the job, and annotations on source
//! lines.

use std::fmt::Write;

use ukci_schema::report::Report;
use ukci_schema::verdict::Outcome;

use super::Shown;
use super::cause::{Axes, Cause, causes};
use super::markdown::{head, noted, section, tables, titled, top_causes};

/// Most bytes of a summary: GitHub drops the whole of one that is over 1 MiB, and other steps of
/// the job may have written to it.
pub const SUMMARY_LIMIT: usize = 900 * 1024;

/// Most bytes of the grids: what is left is for the reasons.
const GRIDS_LIMIT: usize = SUMMARY_LIMIT / 2;

/// Most annotations of each kind that GitHub shows of one step.
const ANNOTATIONS: usize = 10;

/// The summary of a job: the grids, the codes with their counts, then every cause with its log
/// folded. `artifact` is the address at which the run's files can be downloaded.
pub fn github(report: &Shown<Report>, artifact: Option<&str>) -> Shown<String> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_github(&mut text, report);
    if let Some(address) = artifact {
        text.push_str(&format!(
            "\n[The whole report, with every log]({address})\n"
        ));
    }
    Shown::rendered(text)
}

fn write_github(text: &mut String, report: &Report) -> std::fmt::Result {
    head(text, report)?;
    for grid in tables(report) {
        let table = titled(&grid);
        if text.len() + table.len() > GRIDS_LIMIT {
            let rows = grid.rows.iter().flat_map(|(_, cells)| cells);
            let count = rows.filter(|cell| cell.is_some()).count();
            let of = grid
                .arch
                .map_or_else(String::new, |arch| format!(" of {arch}"));
            writeln!(
                text,
                "\nThe grid{of} ({count} cells) is too large for this page."
            )?;
            continue;
        }
        text.push_str(&table);
    }
    let causes = causes(report);
    text.push_str(&top_causes(&causes));
    let axes = Axes::of(report);
    let total = causes.len();
    for (n, cause) in causes.iter().enumerate() {
        let mut part = String::new();
        section(&mut part, report, &axes, cause)?;
        if text.len() + part.len() > SUMMARY_LIMIT {
            writeln!(
                text,
                "\n{} further causes do not fit on this page; they are in `report.json`.",
                total - n
            )?;
            break;
        }
        text.push_str(&part);
    }
    let mut part = String::new();
    noted(&mut part, report, &axes)?;
    if text.len() + part.len() <= SUMMARY_LIMIT {
        text.push_str(&part);
    }
    Ok(())
}

/// Workflow commands that put a cause on its line of source, one for each cause and not one for each cell.
/// `workspace` is the directory that paths of the repository are relative to.
///
/// GitHub shows ten errors and ten warnings of a step; the last one says how many more there are.
pub fn annotations(report: &Shown<Report>, workspace: Option<&str>) -> Shown<String> {
    let (causes, axes) = (causes(report), Axes::of(report));
    let (errors, warnings): (Vec<&Cause<'_>>, Vec<&Cause<'_>>) =
        causes.iter().partition(|cause| cause.is_required());
    let mut text = String::new();
    for (command, causes) in [("error", errors), ("warning", warnings)] {
        let shown = if causes.len() > ANNOTATIONS {
            ANNOTATIONS - 1
        } else {
            causes.len()
        };
        for cause in &causes[..shown] {
            text.push_str(&annotation(&axes, command, cause, workspace));
        }
        if shown < causes.len() {
            let rest = causes.len() - shown;
            text.push_str(&format!(
                "::{command} title=ukci::{rest} further causes are in the job's summary\n"
            ));
        }
    }
    Shown::rendered(text)
}

fn annotation(
    axes: &Axes<'_>,
    command: &str,
    cause: &Cause<'_>,
    workspace: Option<&str>,
) -> String {
    let mut properties = Vec::new();
    let diagnosis = cause.first().diagnosis;
    let at = diagnosis.and_then(|diagnosis| diagnosis.at.as_ref());
    if let Some(at) = at {
        let below = workspace.and_then(|dir| at.file.strip_prefix(dir));
        let file = below.map_or(at.file.as_str(), |file| file.trim_start_matches('/'));
        let file = file.strip_prefix("./").unwrap_or(file);
        properties.push(format!("file={}", property(file)));
        if at.line > 0 {
            properties.push(format!("line={}", at.line));
        }
        if at.column > 0 {
            properties.push(format!("col={}", at.column));
        }
    }
    let what = match cause.outcome {
        Outcome::Error => "no verdict",
        Outcome::Xpass => "unexpected pass",
        _ => cause.code,
    };
    let title = format!("{}: {what} {}", cause.artifacts().join(", "), cause.count());
    properties.push(format!("title={}", property(&title)));
    let message = format!("{} ({})", cause.headline, cause.places(axes).join("; "));
    format!("::{command} {}::{}\n", properties.join(","), data(&message))
}

/// A workflow command's message: one line.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a workflow command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
