//! Pure views of a report: `fn(&Report) -> String`, one file a format.

mod diff;
mod features;
mod github;
mod grid;
mod html;
mod junit;
mod markdown;
mod problem;
mod table;
mod verifier;

use std::collections::BTreeSet;

use ukci_schema::report::Report;

use crate::plural::count;

pub use diff::{diff, diff_markdown};
pub use features::{differences, features};
pub use github::{SUMMARY_LIMIT, annotations, github};
pub use grid::{Grid, grids};
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use problem::{Problem, again, problems};
pub use verifier::{Row, over_budget, top, verifier, verifier_markdown, verifier_rows};

/// What the cells ran on, each once: `tcg`, or `kvm, tcg` where shards or architectures differ. What
/// the run had chosen, where no cell ran.
pub(crate) fn accels(report: &Report) -> String {
    let ran: BTreeSet<&str> = report
        .cells
        .iter()
        .map(|cell| cell.accel.as_str())
        .filter(|accel| !accel.is_empty())
        .collect();
    if ran.is_empty() {
        return report.run.accel.name.clone();
    }
    ran.into_iter().collect::<Vec<_>>().join(", ")
}

/// The report as JSON: the contract.
pub fn json(report: &Report) -> String {
    // Its maps have string keys and its numbers are finite, so it always serialises.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    text
}

/// `33 cells: 25 passed, 3 xfail, 4 failed, 1 error; 3 excluded`.
pub fn summary(report: &Report) -> String {
    let summary = &report.summary;
    let counts: Vec<String> = [
        (summary.pass, format!("{} passed", summary.pass)),
        (summary.xfail, format!("{} xfail", summary.xfail)),
        (summary.fail, format!("{} failed", summary.fail)),
        (summary.xpass, format!("{} xpass", summary.xpass)),
        (summary.error, count(summary.error, "error")),
        (summary.skip, format!("{} skipped", summary.skip)),
    ]
    .into_iter()
    .filter_map(|(number, words)| (number > 0).then_some(words))
    .collect();
    let mut text = count(summary.cells, "cell");
    if !counts.is_empty() {
        text.push_str(": ");
        text.push_str(&counts.join(", "));
    }
    for (number, words) in [
        (summary.excluded, "excluded"),
        (summary.not_run, "not run"),
        (summary.programs_not_attempted, "programs not attempted"),
    ] {
        if number > 0 {
            text.push_str(&format!("; {number} {words}"));
        }
    }
    text
}
