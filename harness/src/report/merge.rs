//! Merges several reports into one: the shards of a matrix, or an interrupted run and its
//! continuation.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ukci_schema::artifact::Artifact;
use ukci_schema::plan::Shard;
use ukci_schema::report::{CellReport, Choice, Report, Summary};

/// Reports that do not belong together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// There is nothing to merge.
    #[error("no report was given to merge")]
    Empty,
    /// One name stands for two sets of bytes.
    #[error("the reports have different bytes for {what} `{name}`: {one} and {other}")]
    Differs {
        /// `artifact`, `kernel` or `agent`.
        what: &'static str,
        /// Its name.
        name: String,
        /// A digest.
        one: String,
        /// Another.
        other: String,
    },
    /// They are of different matrices.
    #[error("the reports are of different matrices: `{0}` and `{1}`")]
    Matrices(String, String),
    /// They have nothing in common.
    #[error("the reports are of different runs: they have no artifact in common")]
    Unrelated,
    /// A shard of one plan, and a cell of another.
    #[error("the reports are of different runs: cell `{0}` is not in the plan of every shard")]
    NotPlanned(String),
    /// A cell ran twice with different outcomes.
    #[error("cell `{0}` has different outcomes in two reports")]
    Twice(String),
}

impl MergeError {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Empty => None,
            Self::Differs { .. } => {
                Some("merge only reports of the same files and the same lock".into())
            }
            Self::Matrices(..) | Self::Unrelated | Self::NotPlanned(_) => {
                Some("merge only the shards of one run, or a run and its continuation".into())
            }
            Self::Twice(_) => Some("compare the two runs with `ukci report diff`".into()),
        }
    }
}

/// One report of several.
///
/// A cell that stands in two reports must have ended alike; the later report's entry is kept. A
/// cell that no report has run, and one says was planned, is not run: a shard knows the cells of all
/// shards. Paths of evidence stay
/// as they are: the directories are merged by copying them together. Seconds are added up, since
/// shards need not have run at the same time. Cells come in the order of their names.
pub fn merge(reports: Vec<Report>) -> Result<Report, MergeError> {
    let mut reports = reports.into_iter();
    let mut whole = reports.next().ok_or(MergeError::Empty)?;
    let mut known: BTreeMap<String, usize> = whole.cells.iter().enumerate().map(place).collect();
    let mut not_run: BTreeSet<String> = whole.not_run.iter().cloned().collect();
    // Reports from before `not_run` was written have only a count.
    let mut uncounted = whole.summary.not_run.saturating_sub(whole.not_run.len());
    for report in reports {
        related(&whole, &report)?;
        whole.run.shard = both(whole.run.shard, report.run.shard)?;
        uncounted += report.summary.not_run.saturating_sub(report.not_run.len());
        not_run.extend(report.not_run);
        for artifact in report.artifacts {
            let known = whole.artifacts.iter().find(|a| a.name == artifact.name);
            match known {
                Some(known) => {
                    same("artifact", &artifact.name, &known.sha256, &artifact.sha256)?;
                    let manifest = |a: &Artifact| {
                        a.manifest
                            .as_ref()
                            .map_or("none".into(), |m| m.sha256.clone())
                    };
                    same(
                        "the manifest of",
                        &artifact.name,
                        &manifest(known),
                        &manifest(&artifact),
                    )?;
                }
                None => whole.artifacts.push(artifact),
            }
        }
        for (name, kernel) in report.kernels {
            match whole.kernels.get(&name) {
                Some(known) => same("kernel", &name, &known.image, &kernel.image)?,
                None => drop(whole.kernels.insert(name, kernel)),
            }
        }
        for (arch, agent) in report.run.agents {
            match whole.run.agents.get(&arch) {
                Some(known) => same("agent", arch.name(), known, &agent)?,
                None => drop(whole.run.agents.insert(arch, agent)),
            }
        }
        for cell in report.cells {
            match known.get(&cell.id).map(|&n| &mut whole.cells[n]) {
                Some(known) if known.outcome != cell.outcome || known.code() != cell.code() => {
                    return Err(MergeError::Twice(cell.id));
                }
                Some(known) => *known = cell,
                None => {
                    known.insert(cell.id.clone(), whole.cells.len());
                    whole.cells.push(cell);
                }
            }
        }
        whole.run.seconds += report.run.seconds;
        whole.run.hermetic &= report.run.hermetic;
        whole.run.confinement = least(whole.run.confinement, report.run.confinement);
        whole.run.qemu.extend(report.run.qemu);
        for warning in report.run.warnings {
            if !whole.run.warnings.contains(&warning) {
                whole.run.warnings.push(warning);
            }
        }
    }
    if let Some(shard) = &whole.run.shard {
        let planned: HashSet<&String> = shard.planned.iter().collect();
        if let Some(id) = known
            .keys()
            .chain(&not_run)
            .find(|id| !planned.contains(id))
        {
            return Err(MergeError::NotPlanned(id.clone()));
        }
        not_run.extend(shard.planned.iter().cloned());
    }
    not_run.retain(|id| !known.contains_key(id));
    whole.cells.sort_by_cached_key(CellReport::cell);
    whole.artifacts.sort_by(|a, b| a.name.cmp(&b.name));
    let left = not_run.len() + uncounted;
    whole.not_run = not_run.into_iter().collect();
    whole.run.interrupted = left > 0;
    if left == 0 {
        whole.run.shard = None;
    }
    whole.summary = Summary::of(&whole.cells, whole.summary.excluded, left);
    Ok(whole)
}

/// Refuses reports of runs that have nothing to do with each other.
fn related(one: &Report, other: &Report) -> Result<(), MergeError> {
    let matrices = (&one.run.matrix, &other.run.matrix);
    if matrices.0 != matrices.1 {
        return Err(MergeError::Matrices(matrices.0.clone(), matrices.1.clone()));
    }
    let names: HashSet<&str> = one.artifacts.iter().map(|a| a.name.as_str()).collect();
    if !other
        .artifacts
        .iter()
        .any(|a| names.contains(a.name.as_str()))
    {
        return Err(MergeError::Unrelated);
    }
    Ok(())
}

/// The shards of one plan as one.
fn both(one: Option<Shard>, other: Option<Shard>) -> Result<Option<Shard>, MergeError> {
    let (mut one, other) = match (one, other) {
        (Some(one), Some(other)) => (one, other),
        (one, other) => return Ok(one.or(other)),
    };
    let [of_one, of_other] =
        [&one, &other].map(|shard| shard.planned.iter().collect::<BTreeSet<_>>());
    if let Some(id) = of_one.symmetric_difference(&of_other).next() {
        return Err(MergeError::NotPlanned((*id).clone()));
    }
    for name in other.names {
        if !one.names.contains(&name) {
            one.names.push(name);
        }
    }
    Ok(Some(one))
}

/// What held in both runs: no more than in the one that was confined less, or that does not say.
fn least(one: Option<Choice>, other: Option<Choice>) -> Option<Choice> {
    let (one, other) = (one?, other?);
    Some(if one.name == "full" { other } else { one })
}

fn place((n, cell): (usize, &CellReport)) -> (String, usize) {
    (cell.id.clone(), n)
}

fn same(what: &'static str, name: &str, one: &str, other: &str) -> Result<(), MergeError> {
    if one == other {
        return Ok(());
    }
    Err(MergeError::Differs {
        what,
        name: name.to_owned(),
        one: one.to_owned(),
        other: other.to_owned(),
    })
}
