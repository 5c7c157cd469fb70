//! What was noticed beside the verdicts: by cells, and by a look at all cells of a run.
//!
//! A report comes in, sentences go out. They are for people: no verdict changes.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::report::{CellReport, Report};

use super::cause::Cause;

/// What was noticed beside a cause, each sentence once: targets that no kernel of the run has, then
/// the notes of the cells that it decided.
pub fn notes(report: &Report, cause: &Cause<'_>) -> Vec<String> {
    let mut notes = absent_targets(report, cause);
    for seen in cause.seen.iter().filter(|seen| seen.decided) {
        for note in &seen.cell.notes {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
    }
    notes
}

/// What cells noted that have no part in a cause, each note once with its cells.
pub fn notes_elsewhere(report: &Report) -> Vec<(&str, Vec<&CellReport>)> {
    let mut notes: IndexMap<&str, Vec<&CellReport>> = IndexMap::new();
    for cell in report.cells.iter().filter(|cell| cell.outcome.is_met()) {
        for note in &cell.notes {
            notes.entry(note).or_default().push(cell);
        }
    }
    notes.into_iter().collect()
}

/// One sentence for each target of the cause that no kernel of the run has. The kernels must be of
/// at least two series: one alone says nothing of others.
fn absent_targets(report: &Report, cause: &Cause<'_>) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    let mut asked = BTreeSet::new();
    for seen in &cause.seen {
        let of_artifact = |cell: &&CellReport| cell.artifact == seen.cell.artifact;
        let cells: Vec<&CellReport> = report.cells.iter().filter(of_artifact).collect();
        let series: BTreeSet<Series> = cells.iter().filter_map(|cell| series(cell)).collect();
        let (Some(first), Some(last)) = (series.first(), series.last()) else {
            continue;
        };
        if first == last {
            continue;
        }
        for program in &seen.programs {
            if !asked.insert((&seen.cell.artifact, program)) {
                continue;
            }
            let Some(target) = target(seen.cell, program) else {
                continue;
            };
            if !cells.iter().all(|cell| lacks(cell, program, target)) {
                continue;
            }
            let note = format!(
                "`{target}` exists on no kernel of this run ({} to {}): either it is a placeholder, \
                 which the object's own loader replaces, or only other kernels have it",
                text(*first),
                text(*last)
            );
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}

/// The first two numbers of a release.
type Series = (u32, u32);

fn series(cell: &CellReport) -> Option<Series> {
    let mut numbers = cell.release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn text((major, minor): Series) -> String {
    format!("{major}.{minor}")
}

/// What stands behind the `/` in the section of a program that hooks a kernel's function or
/// tracepoint.
fn target<'c>(cell: &'c CellReport, program: &str) -> Option<&'c str> {
    let program = cell.programs.iter().find(|of| of.name == program)?;
    let section = program.section.trim_start_matches('?');
    let (_, target) = section.split_once('/')?;
    (!target.is_empty()).then_some(target)
}

/// Whether the kernel of a cell was asked for the target of a program, and does not have it.
fn lacks(cell: &CellReport, program: &str, target: &str) -> bool {
    let own = (cell.programs.iter())
        .find(|of| of.name == program)
        .and_then(|of| of.diagnosis.as_ref());
    let of_cell = (cell.diagnosis.as_ref()).filter(|of| of.program.as_deref() == Some(program));
    own.into_iter()
        .chain(of_cell)
        .any(|of| is_absent(of, target))
}

fn is_absent(diagnosis: &Diagnosis, target: &str) -> bool {
    match diagnosis.code {
        Code::AttachTargetMissing => true,
        // A name that the judge knows for a placeholder.
        Code::LoaderContract => diagnosis.headline.contains(&format!("`{target}`")),
        _ => false,
    }
}
