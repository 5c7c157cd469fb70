//! Compares two reports: what changed, what is new, and which programs cost the verifier more.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use ukci_schema::budget::growth_percent;
use ukci_schema::diagnosis::Code;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use super::stage_change::{self, StageChange};

/// What changed from one report to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diff {
    /// Cells whose outcome or code changed, in the order of the newer report.
    pub changed: Vec<Change>,
    /// Cells that only the newer report has, in its order.
    pub added: Vec<Added>,
    /// Ids of cells that only the older report has.
    pub removed: Vec<String>,
    /// Programs whose instruction count changed, most grown first.
    pub verifier: Vec<Growth>,
    /// Stages whose CPU time changed markedly.
    pub stages: Vec<StageChange>,
}

/// A cell that ended otherwise than before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Whether it decides an exit status.
    pub required: bool,
}

/// A cell that was not there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// The cell.
    pub id: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// Its code.
    pub code: Option<Code>,
    /// Whether it decides an exit status.
    pub required: bool,
}

/// A program that the verifier found harder or easier than before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub fn percent(&self) -> f64 {
        growth_percent(self.before, self.after)
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
        let gone = before
            .cells
            .iter()
            .filter(|cell| !new.contains(cell.id.as_str()));
        let mut diff = Self {
            removed: gone.map(|cell| cell.id.clone()).collect(),
            ..Self::default()
        };
        for cell in &after.cells {
            let Some(was) = old.get(cell.id.as_str()) else {
                diff.added.push(Added {
                    id: cell.id.clone(),
                    outcome: cell.outcome,
                    code: cell.code(),
                    required: cell.required,
                });
                continue;
            };
            if was.outcome != cell.outcome || was.code() != cell.code() {
                diff.changed.push(Change {
                    id: cell.id.clone(),
                    before: was.outcome,
                    after: cell.outcome,
                    code_before: was.code(),
                    code_after: cell.code(),
                    worse: was.outcome.is_met() && !cell.outcome.is_met(),
                    required: cell.required,
                });
            }
            diff.verifier.extend(growths(was, cell));
        }
        let pairs = after.cells.iter();
        let pairs = pairs.filter_map(|cell| Some((*old.get(cell.id.as_str())?, cell)));
        diff.stages = stage_change::changes(pairs);
        diff.verifier
            .sort_by(|a, b| b.percent().total_cmp(&a.percent()));
        diff
    }

    /// Ids of required cells that fail to meet their expectation now, and met it or did not exist
    /// before.
    pub fn new_failures(&self) -> impl Iterator<Item = &str> {
        let changed = self.changed.iter().filter(|c| c.worse && c.required);
        let added = self.added.iter();
        let added = added.filter(|added| !added.outcome.is_met() && added.required);
        changed
            .map(|change| change.id.as_str())
            .chain(added.map(|added| added.id.as_str()))
    }

    /// Programs that grew by more than `percent`.
    pub fn grown(&self, percent: f64) -> impl Iterator<Item = &Growth> {
        let grown = self.verifier.iter();
        grown.filter(move |growth| growth.percent() > percent)
    }
}

fn growths<'a>(was: &'a CellReport, is: &'a CellReport) -> impl Iterator<Item = Growth> + 'a {
    is.programs.iter().filter_map(|program| {
        let older = was.programs.iter().find(|p| p.name == program.name)?;
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
