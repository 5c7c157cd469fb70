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

pub use diff::{diff, diff_markdown};
pub use features::{differences, features};
pub use github::{SUMMARY_LIMIT, annotations, github};
pub use grid::{Grid, grids};
pub use html::html;
pub use junit::junit;
pub use markdown::markdown;
pub use problem::{Problem, again, problems};
pub use verifier::{Row, over_budget, verifier, verifier_markdown, verifier_rows};

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
    let cells = if summary.cells == 1 {
        "1 cell".into()
    } else {
        format!("{} cells", summary.cells)
    };
    let counts: Vec<String> = [
        (summary.pass, "passed"),
        (summary.xfail, "xfail"),
        (summary.fail, "failed"),
        (summary.xpass, "xpass"),
        (
            summary.error,
            if summary.error == 1 {
                "error"
            } else {
                "errors"
            },
        ),
        (summary.skip, "skipped"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}"))
    .collect();
    let mut text = cells;
    if !counts.is_empty() {
        text.push_str(": ");
        text.push_str(&counts.join(", "));
    }
    for (count, words) in [
        (summary.excluded, "excluded"),
        (summary.not_run, "not run"),
        (summary.programs_not_attempted, "programs not attempted"),
    ] {
        if count > 0 {
            text.push_str(&format!("; {count} {words}"));
        }
    }
    text
}
