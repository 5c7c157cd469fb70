//! Functional tests: one that saw something else than its manifest expects fails the object, and one
//! that could not be run means that there is no verdict.

use crate::behavior;
use crate::finding::{Found, diagnosis, list};
use crate::text;
use ukci_schema::behavior::Action;
use ukci_schema::diagnosis::{Code, Diagnosis, Excerpt};
use ukci_schema::evidence::Evidence;
use ukci_schema::report::{CheckReport, TestOutcome, TestReport};
use ukci_schema::verdict::{Fault, Stage};

/// What the tests of a manifest mean for the cell.
pub(crate) enum Answer {
    /// There are none.
    None,
    /// All that are required passed.
    Pass,
    /// One that is required failed.
    Fail(Box<Found>),
    /// One that is required could not be run.
    Fault(Fault),
}

/// Decides what the tests mean. One that failed is certain, whatever becomes of the others.
pub(crate) fn answer(evidence: &Evidence) -> Answer {
    let tests = behavior::tests(evidence);
    if tests.is_empty() {
        return Answer::None;
    }
    let ended = |outcome| {
        let required = tests.iter().filter(|test| test.required);
        required.filter(move |test| test.outcome == outcome)
    };
    if let Some(first) = ended(TestOutcome::Fail).next() {
        let others: Vec<&str> = (ended(TestOutcome::Fail).skip(1))
            .map(|test| test.name.as_str())
            .collect();
        return Answer::Fail(Box::new(Found {
            rule: "functional-test",
            diagnosis: failed(evidence, first, &others),
        }));
    }
    if let Some(first) = ended(TestOutcome::NotRun).next() {
        let why = first.reason.as_deref().unwrap_or("it was not run");
        return Answer::Fault(Fault {
            hints: vec![
                "with `required = false` in the manifest, the test is shown and decides nothing"
                    .into(),
            ],
            ..Fault::at(
                Stage::Behave,
                format!(
                    "the functional test `{}` could not be run: {}",
                    first.name,
                    text::clipped(why)
                ),
            )
        });
    }
    Answer::Pass
}

fn failed(evidence: &Evidence, test: &TestReport, others: &[&str]) -> Diagnosis {
    let unmet: Vec<&CheckReport> = test.checks.iter().filter(|check| !check.met).collect();
    let gist = unmet.first().map_or_else(String::new, |check| {
        let seen = if is_alike(check) {
            format!(", saw {}", check.seen)
        } else {
            String::new()
        };
        format!(": {}: expected {}{seen}", check.what, check.expected)
    });
    let headline = format!("the functional test `{}` failed{gist}", test.name);
    let mut hints = Vec::new();
    let seen = evidence
        .tests
        .iter()
        .find(|seen| seen.test.name == test.name);
    // The kernel runs the one program itself, attached or not.
    let seen = seen.filter(|seen| !matches!(seen.test.action, Action::ProgRun(_)));
    if seen.is_some() && !evidence.unattached_in_tests.is_empty() {
        let names: Vec<&String> = evidence.unattached_in_tests.keys().collect();
        hints.push(format!(
            "{} could be attached alone, but not beside the others while the test ran",
            list(&names)
        ));
    }
    let silent: Vec<&str> = (seen.iter())
        .flat_map(|seen| &seen.runs)
        .filter(|(_, runs)| **runs == 0)
        .map(|(name, _)| name.as_str())
        .collect();
    if !silent.is_empty() {
        hints.push(format!(
            "during the test, {} did not run once",
            list(&silent)
        ));
    }
    if !others.is_empty() {
        hints.push(format!("{} failed too", list(others)));
    }
    if hints.is_empty() {
        hints.push("all that was seen is in `evidence.json` of the cell, under `tests`".into());
    }
    let mut found = diagnosis(
        Code::FunctionalTestFailure,
        Stage::Behave,
        text::clipped(&headline),
        hints,
    );
    found.excerpt = Some(Excerpt {
        of: "test".into(),
        lines: unmet.iter().flat_map(|check| lines(check)).collect(),
        omitted: 0,
    });
    found
}

/// Whether what was seen is the same words wherever it is the same: numbers of processes and times
/// would make a cause of each cell.
fn is_alike(check: &CheckReport) -> bool {
    let words = ["nothing", "no events", "no entries", "no such file"];
    let numbers = ["exit status", "return value"];
    words.contains(&check.seen.as_str()) || numbers.contains(&check.what.as_str())
}

/// Expected and seen, one above the other.
fn lines(check: &CheckReport) -> [String; 3] {
    [
        check.what.clone(),
        format!("  expected: {}", text::clipped(&check.expected)),
        format!("  seen:     {}", text::clipped(&check.seen)),
    ]
}
