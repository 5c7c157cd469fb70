//! What GitHub Actions shows of a run: the job's summary, and annotations on lines of source.

use std::collections::BTreeSet;
use std::fmt::Write;

use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use super::grid::{self, Grid};
use super::markdown::{escape, head, picture, section};
use super::problem::{Problem, problems};

/// Most bytes of a summary: GitHub drops the whole of one that is over 1 MiB, and other steps of
/// the job may have written to it.
pub const SUMMARY_LIMIT: usize = 900 * 1024;

/// Most bytes of the grids: what is left is for the reasons.
const GRIDS_LIMIT: usize = SUMMARY_LIMIT / 2;

/// Most annotations of each kind that GitHub shows of one step.
const ANNOTATIONS: usize = 10;

/// The summary of a job: a grid for each architecture, then every problem, folded.
pub fn github(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_github(&mut text, report);
    text
}

fn write_github(text: &mut String, report: &Report) -> std::fmt::Result {
    head(text, report)?;
    let arches: BTreeSet<Arch> = report.cells.iter().map(|cell| cell.arch).collect();
    for &arch in &arches {
        let cells = report.cells.iter().filter(|cell| cell.arch == arch);
        let grid = table(&grid::of(cells));
        if text.len() + grid.len() > GRIDS_LIMIT {
            let count = report.cells.iter().filter(|cell| cell.arch == arch).count();
            writeln!(
                text,
                "\nThe grid of {arch} ({count} cells) is too large for this page."
            )?;
            continue;
        }
        if arches.len() > 1 {
            writeln!(text, "\n#### {arch}\n")?;
        }
        text.push_str(&grid);
    }
    let problems = problems(report);
    let total = problems.len();
    for (n, problem) in problems.iter().enumerate() {
        let mut part = String::new();
        section(&mut part, report, problem)?;
        if text.len() + part.len() > SUMMARY_LIMIT {
            writeln!(
                text,
                "\n{} further problems do not fit on this page; they are in `report.json`.",
                total - n
            )?;
            break;
        }
        text.push_str(&part);
    }
    Ok(())
}

/// The grid as a table; turned where there are many more columns than rows.
fn table(grid: &Grid<'_>) -> String {
    let mut text = String::new();
    let mut row = |name: &str, fields: &mut dyn Iterator<Item = String>| {
        text.push_str(&format!("| {name} |"));
        for field in fields {
            text.push_str(&format!(" {field} |"));
        }
        text.push('\n');
    };
    let sign = |cell: Option<&CellReport>| cell.map_or("-", picture).to_owned();
    if grid.columns.len() > 8 && grid.columns.len() > grid.rows.len() {
        row(
            "",
            &mut grid.rows.iter().map(|(kernel, _)| (*kernel).into()),
        );
        row("---", &mut grid.rows.iter().map(|_| ":-:".into()));
        for (n, column) in grid.columns.iter().enumerate() {
            row(
                &escape(column),
                &mut grid.rows.iter().map(|(_, cells)| sign(cells[n])),
            );
        }
    } else {
        row("kernel", &mut grid.columns.iter().map(|name| escape(name)));
        row("---", &mut grid.columns.iter().map(|_| ":-:".into()));
        for (kernel, cells) in &grid.rows {
            row(kernel, &mut cells.iter().map(|cell| sign(*cell)));
        }
    }
    text
}

/// Workflow commands that put a problem on its line of source, one a problem and not one a cell.
/// `workspace` is the directory that paths of the repository are relative to.
///
/// GitHub shows ten errors and ten warnings of a step; what exceeds them is told in the last.
pub fn annotations(report: &Report, workspace: Option<&str>) -> String {
    let problems = problems(report);
    let (errors, warnings): (Vec<&Problem<'_>>, Vec<&Problem<'_>>) = problems
        .iter()
        .partition(|problem| problem.cells.iter().any(|cell| cell.required));
    let mut text = String::new();
    for (command, problems) in [("error", errors), ("warning", warnings)] {
        let shown = if problems.len() > ANNOTATIONS {
            ANNOTATIONS - 1
        } else {
            problems.len()
        };
        for problem in &problems[..shown] {
            text.push_str(&annotation(command, problem, workspace));
        }
        if shown < problems.len() {
            let rest = problems.len() - shown;
            text.push_str(&format!(
                "::{command} title=ukci::{rest} further problems are in the job's summary\n"
            ));
        }
    }
    text
}

fn annotation(command: &str, problem: &Problem<'_>, workspace: Option<&str>) -> String {
    let mut properties = Vec::new();
    let at = problem.cells.first().and_then(|cell| {
        let diagnosis = cell.diagnosis.as_ref();
        diagnosis.and_then(|diagnosis| diagnosis.at.as_ref())
    });
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
    let what = match problem.outcome {
        Outcome::Error => "no verdict",
        Outcome::Xpass => "unexpected pass",
        _ => problem.code,
    };
    let title = format!("{}: {what} {}", problem.artifact, problem.count());
    properties.push(format!("title={}", property(&title)));
    let message = format!("{} ({})", problem.headline, problem.place());
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
