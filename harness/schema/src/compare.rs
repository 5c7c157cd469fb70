//! Reports beside each other: what changed between two, and what several make together.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::diagnosis::Code;
use crate::report::{CellReport, Report, Summary};
use crate::verdict::Outcome;

/// What changed from one report to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Diff {
    /// Cells whose outcome or code changed, in the order of the newer report.
    pub changed: Vec<Change>,
    /// Ids of cells that only the newer report has.
    pub added: Vec<String>,
    /// Ids of cells that only the older report has.
    pub removed: Vec<String>,
    /// Programs whose instruction count changed, most grown first.
    pub verifier: Vec<Growth>,
}

/// A cell that ended otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The cell.
    pub id: String,
    /// Its outcome before.
    pub before: Outcome,
    /// Its outcome now.
    pub after: Outcome,
    /// Its code before.
    pub code_before: Option<Code>,
    /// Its code now.
    pub code_after: Option<Code>,
    /// Whether it got worse: it met its expectation before, and does not now.
    pub worse: bool,
}

/// A program that the verifier found harder or easier than before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Growth {
    /// The cell.
    pub id: String,
    /// The program.
    pub program: String,
    /// Instructions processed before.
    pub before: u64,
    /// Instructions processed now.
    pub after: u64,
}

impl Growth {
    /// By how many percent it grew; negative where it shrank.
    #[expect(
        clippy::cast_precision_loss,
        reason = "instruction counts are far below 2^52"
    )]
    pub fn percent(&self) -> f64 {
        (self.after as f64 / self.before.max(1) as f64 - 1.0) * 100.0
    }
}

impl Diff {
    /// What changed from `before` to `after`. A program counts as grown or shrunk where both have
    /// a figure and they differ.
    pub fn of(before: &Report, after: &Report) -> Self {
        let old: BTreeMap<&str, &CellReport> = before
            .cells
            .iter()
            .map(|cell| (cell.id.as_str(), cell))
            .collect();
        let new: BTreeSet<&str> = after.cells.iter().map(|cell| cell.id.as_str()).collect();
        let mut diff = Self {
            removed: before
                .cells
                .iter()
                .filter(|cell| !new.contains(cell.id.as_str()))
                .map(|cell| cell.id.clone())
                .collect(),
            ..Self::default()
        };
        for cell in &after.cells {
            let Some(was) = old.get(cell.id.as_str()) else {
                diff.added.push(cell.id.clone());
                continue;
            };
            if was.outcome != cell.outcome || code(was) != code(cell) {
                diff.changed.push(Change {
                    id: cell.id.clone(),
                    before: was.outcome,
                    after: cell.outcome,
                    code_before: code(was),
                    code_after: code(cell),
                    worse: was.outcome.is_met() && !cell.outcome.is_met(),
                });
            }
            diff.verifier.extend(growths(was, cell));
        }
        diff.verifier
            .sort_by(|a, b| b.percent().total_cmp(&a.percent()));
        diff
    }

    /// Whether a gate must close: a cell got worse, or vanished.
    pub fn is_worse(&self) -> bool {
        !self.removed.is_empty() || self.changed.iter().any(|change| change.worse)
    }
}

fn code(cell: &CellReport) -> Option<Code> {
    let diagnosis = cell.diagnosis.as_ref().map(|diagnosis| diagnosis.code);
    diagnosis.or_else(|| cell.fault.as_ref().and_then(|fault| fault.code))
}

fn growths<'a>(was: &'a CellReport, is: &'a CellReport) -> impl Iterator<Item = Growth> + 'a {
    is.programs.iter().filter_map(|program| {
        let older = was
            .programs
            .iter()
            .find(|older| older.name == program.name)?;
        let (before, after) = (
            older.verifier.as_ref()?.insns,
            program.verifier.as_ref()?.insns,
        );
        (before != after && before > 0 && after > 0).then(|| Growth {
            id: is.id.clone(),
            program: program.name.clone(),
            before,
            after,
        })
    })
}

/// Reports that do not belong together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("no report was given")]
    Empty,
    /// One name stands for two sets of bytes.
    #[error("{what} `{name}` is not the same in every report: {one} and {other}")]
    Differs {
        /// `artifact` or `kernel`.
        what: &'static str,
        /// Its name.
        name: String,
        /// A digest.
        one: String,
        /// Another.
        other: String,
    },
    /// A cell ran twice with different outcomes.
    #[error("cell `{0}` stands in two reports with different outcomes")]
    Twice(String),
}

/// One report of several: shards of one matrix, or an interrupted run and the rest of it.
///
/// A cell that stands in two reports must have ended alike; the later report's entry is kept.
/// Paths of evidence stay as they are, so the directories are merged by copying them together.
pub fn merge(reports: Vec<Report>) -> Result<Report, MergeError> {
    let mut reports = reports.into_iter();
    let mut whole = reports.next().ok_or(MergeError::Empty)?;
    let mut not_run = whole.summary.not_run;
    for report in reports {
        for artifact in report.artifacts {
            match whole
                .artifacts
                .iter()
                .find(|known| known.name == artifact.name)
            {
                Some(known) if known.sha256 != artifact.sha256 => {
                    return Err(differs(
                        "artifact",
                        artifact.name,
                        &known.sha256,
                        &artifact.sha256,
                    ));
                }
                Some(_) => {}
                None => whole.artifacts.push(artifact),
            }
        }
        for (name, kernel) in report.kernels {
            match whole.kernels.get(&name) {
                Some(known) if known.image != kernel.image => {
                    return Err(differs("kernel", name, &known.image, &kernel.image));
                }
                Some(_) => {}
                None => drop(whole.kernels.insert(name, kernel)),
            }
        }
        for cell in report.cells {
            match whole.cells.iter_mut().find(|known| known.id == cell.id) {
                Some(known) if known.outcome != cell.outcome || code(known) != code(&cell) => {
                    return Err(MergeError::Twice(cell.id));
                }
                Some(known) => *known = cell,
                None => {
                    whole.cells.push(cell);
                    not_run = not_run.saturating_sub(1);
                }
            }
        }
        whole.run.seconds += report.run.seconds;
        whole.run.hermetic &= report.run.hermetic;
        for warning in report.run.warnings {
            if !whole.run.warnings.contains(&warning) {
                whole.run.warnings.push(warning);
            }
        }
    }
    whole.cells.sort_by_key(super::report::CellReport::cell);
    whole.run.interrupted = not_run > 0;
    whole.summary = Summary::of(&whole.cells, whole.summary.excluded, not_run);
    Ok(whole)
}

fn differs(what: &'static str, name: String, one: &str, other: &str) -> MergeError {
    MergeError::Differs {
        what,
        name,
        one: one.to_owned(),
        other: other.to_owned(),
    }
}
