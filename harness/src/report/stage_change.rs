//! Finds the stages whose CPU time changed from one report to another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use ukci_schema::budget::growth_percent;
use ukci_schema::report::CellReport;
use ukci_schema::verdict::Stage;

/// The least change of a stage that is worth a line, in percent. The same cell twice differs by up
/// to a tenth on a busy host.
const PERCENT: f64 = 20.0;
/// The least change per cell that is worth a line, in seconds.
const SECONDS: f64 = 0.03;

/// A stage that takes markedly more or less CPU time than before, over the cells that both reports
/// have with this stage, the same accelerator and the same start: a copy of a saved guest does not boot. Wall time is not compared: it says how busy the
/// host was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageChange {
    /// The stage.
    pub stage: Stage,
    /// How many cells were compared.
    pub cells: u32,
    /// CPU seconds per cell before.
    pub before: f64,
    /// CPU seconds per cell now.
    pub after: f64,
}

impl StageChange {
    /// The growth in percent; negative if it got faster.
    pub fn percent(&self) -> f64 {
        let ten_microseconds = |seconds: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "CPU seconds of a stage are positive and small"
            )]
            let count = (seconds * 100_000.0).round() as u64;
            count
        };
        growth_percent(ten_microseconds(self.before), ten_microseconds(self.after))
    }
}

/// The changes over pairs of a cell before and now, in the order of the stages.
pub(super) fn changes<'a>(
    pairs: impl Iterator<Item = (&'a CellReport, &'a CellReport)>,
) -> Vec<StageChange> {
    let mut stages: BTreeMap<Stage, StageChange> = BTreeMap::new();
    let alike = |was: &CellReport, is: &CellReport| was.accel == is.accel && was.start == is.start;
    for (was, is) in pairs.filter(|(was, is)| alike(was, is)) {
        for time in &is.stages {
            let older = was.stages.iter().find(|older| older.stage == time.stage);
            let Some((before, after)) = older.and_then(|o| o.cpu_seconds.zip(time.cpu_seconds))
            else {
                continue;
            };
            let sum = stages.entry(time.stage).or_insert(StageChange {
                stage: time.stage,
                cells: 0,
                before: 0.0,
                after: 0.0,
            });
            sum.cells += 1;
            sum.before += before;
            sum.after += after;
        }
    }
    let per_cell = stages.into_values().map(|sum| StageChange {
        before: sum.before / f64::from(sum.cells),
        after: sum.after / f64::from(sum.cells),
        ..sum
    });
    let marked = |change: &StageChange| {
        let by = (change.after - change.before).abs();
        by >= SECONDS && (change.before <= 0.0 || change.percent().abs() >= PERCENT)
    };
    per_cell.filter(marked).collect()
}

#[cfg(test)]
mod tests {
    use ukci_schema::report::{Report, StageTime, Start};

    use super::*;

    fn cell(accel: &str, stages: &[(Stage, f64, Option<f64>)]) -> CellReport {
        let text = include_str!("../../tests/fixtures/report.json");
        let report: Report = serde_json::from_str(text).unwrap();
        let stages = stages
            .iter()
            .map(|&(stage, seconds, cpu_seconds)| StageTime {
                stage,
                seconds,
                cpu_seconds,
            });
        CellReport {
            accel: accel.into(),
            stages: stages.collect(),
            ..report.cells[0].clone()
        }
    }

    #[test]
    fn only_marked_changes_of_cpu_time_are_listed() {
        let before = [
            (Stage::Boot, 1.6, Some(1.5)),
            (Stage::Open, 0.02, Some(0.02)),
            (Stage::Load, 0.1, Some(0.1)),
            (Stage::Attach, 0.1, None),
        ];
        let after = [
            // A tenth more is noise, the wall time says nothing, and a stage may be too short.
            (Stage::Boot, 9.0, Some(1.65)),
            (Stage::Open, 0.04, Some(0.04)),
            (Stage::Load, 0.3, Some(0.3)),
            (Stage::Attach, 5.0, Some(5.0)),
        ];
        let (was, is) = (cell("tcg", &before), cell("tcg", &after));
        let other = cell("kvm", &after);
        let copied = CellReport {
            start: Start::Warm,
            ..is.clone()
        };
        assert_ne!(was.start, copied.start);
        let pairs = [(&was, &is), (&was, &is), (&was, &other), (&was, &copied)];
        let found = changes(pairs.into_iter());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].stage, found[0].cells), (Stage::Load, 2));
        assert!((found[0].percent() - 200.0).abs() < 0.1, "{found:?}");
        let faster = changes([(&is, &was)].into_iter());
        assert!(faster[0].percent() < -60.0, "{faster:?}");
    }
}
