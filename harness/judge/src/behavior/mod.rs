//! Compares what a guest saw of a manifest's tests with what they expect.
//!
//! The input is evidence. The output is one report per test, with the expected and the seen beside
//! each other. A test whose evidence is not complete is neither a pass nor a failure.

mod data;
mod wording;

use regex::Regex;
use ukci_schema::behavior::{
    EventsExpected, EventsSeen, Expected, MapExpected, MapSeen, TestEvidence, Text, TextExpected,
};
use ukci_schema::command::{Ended, signal_name};
use ukci_schema::evidence::Evidence;
use ukci_schema::report::{CheckReport, TestOutcome, TestReport};

use data::Answer;

/// The tests of the evidence, in its order.
pub fn tests(evidence: &Evidence) -> Vec<TestReport> {
    evidence.tests.iter().map(test).collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of five minutes are exact"
)]
fn test(seen: &TestEvidence) -> TestReport {
    let checks = match &seen.not_run {
        Some(_) => Vec::new(),
        None => checks(seen),
    };
    // What is certain decides: one check that failed is enough.
    let failed = checks.iter().any(|check| check.met == Answer::No);
    let unknown = checks.iter().find(|check| check.met == Answer::Unknown);
    let reason = seen.not_run.clone().or_else(|| {
        let unknown = unknown.filter(|_| !failed)?;
        Some(format!("{}: {}", unknown.what, unknown.seen))
    });
    let outcome = match (&reason, failed) {
        (Some(_), _) => TestOutcome::NotRun,
        (None, true) => TestOutcome::Fail,
        (None, false) => TestOutcome::Pass,
    };
    TestReport {
        name: seen.test.name.clone(),
        required: seen.test.required,
        outcome,
        reason,
        checks: checks.into_iter().map(Check::report).collect(),
        seconds: seen.micros as f64 / 1e6,
    }
}

/// One thing that is expected.
struct Check {
    what: String,
    expected: String,
    seen: String,
    met: Answer,
}

impl Check {
    fn new(
        what: impl Into<String>,
        expected: String,
        seen: String,
        met: impl Into<Answer>,
    ) -> Self {
        Self {
            what: what.into(),
            expected,
            seen,
            met: met.into(),
        }
    }

    fn report(self) -> CheckReport {
        CheckReport {
            what: self.what,
            expected: self.expected,
            seen: self.seen,
            met: self.met == Answer::Yes,
        }
    }
}

fn checks(seen: &TestEvidence) -> Vec<Check> {
    let expected: &Expected = &seen.test.expected;
    let mut checks = Vec::new();
    if let (Some(status), Some(ended)) = (expected.exit_status, &seen.ended) {
        checks.push(Check::new(
            "exit status",
            status.to_string(),
            how(ended),
            *ended == Ended::Exited { status },
        ));
    }
    if let Some(number) = expected.returned {
        let came = seen.returned.unwrap_or_default();
        let what = "return value";
        checks.push(Check::new(
            what,
            wording::returned(number),
            wording::returned(came),
            came == number,
        ));
    }
    if let Some(bytes) = &expected.output {
        let came = seen.output.as_deref().unwrap_or_default();
        let (expected, seen) = wording::bytes(bytes, came);
        checks.push(Check::new("output", expected, seen, came == bytes));
    }
    text(
        &mut checks,
        "standard output",
        &expected.stdout,
        &seen.stdout,
    );
    text(
        &mut checks,
        "standard error",
        &expected.stderr,
        &seen.stderr,
    );
    text(&mut checks, "trace_pipe", &expected.trace, &seen.trace);
    for file in &expected.files {
        let what = format!("file `{}`", file.path);
        match seen.files.get(&file.path).and_then(Option::as_ref) {
            Some(_) if file.absent => {
                checks.push(Check::new(
                    what,
                    "no such file".into(),
                    "it exists".into(),
                    false,
                ));
            }
            None => {
                let wanted = if file.absent {
                    "no such file"
                } else {
                    "a file"
                };
                let came = "no such file".to_owned();
                checks.push(Check::new(what, wanted.into(), came, file.absent));
            }
            Some(_) if file.text.is_empty() => {
                checks.push(Check::new(what, "a file".into(), "it exists".into(), true));
            }
            Some(said) => text(&mut checks, &what, &file.text, said),
        }
    }
    for (expected, seen) in expected.events.iter().zip(&seen.events) {
        checks.push(events(expected, seen));
    }
    for (expected, seen) in expected.maps.iter().zip(&seen.maps) {
        checks.push(map(expected, seen));
    }
    for runs in &expected.runs {
        let what = format!("runs of program `{}`", runs.program);
        let wanted = runs.amount.to_string();
        checks.push(match seen.runs.get(&runs.program) {
            Some(count) => Check::new(what, wanted, count.to_string(), runs.amount.fits(*count)),
            None if seen.runs.is_empty() => {
                let why = "this kernel does not count how often programs run";
                Check::new(what, wanted, why.into(), Answer::Unknown)
            }
            None => Check::new(what, wanted, "it is not loaded".into(), false),
        });
    }
    checks
}

fn how(ended: &Ended) -> String {
    match ended {
        Ended::Exited { status } => status.to_string(),
        Ended::Signaled { signal } => format!("{} killed it", signal_name(*signal)),
        Ended::TimedOut { seconds } => {
            format!("it had not ended after {seconds} s and was killed")
        }
        Ended::NotStarted { why, .. } => why.clone(),
    }
}

fn text(checks: &mut Vec<Check>, what: &str, expected: &TextExpected, seen: &Text) {
    let answer = |is_there: bool| match (is_there, seen.cut_bytes) {
        (true, _) => Answer::Yes,
        (false, 0) => Answer::No,
        // It may be in what was not kept.
        (false, _) => Answer::Unknown,
    };
    if let Some(part) = &expected.contains {
        let met = answer(seen.text.contains(part));
        let wanted = format!("text that contains `{part}`");
        checks.push(Check::new(what, wanted, wording::text(seen), met));
    }
    if let Some(pattern) = &expected.matches {
        // It was checked when the manifest was read.
        let found = Regex::new(pattern).is_ok_and(|regex| regex.is_match(&seen.text));
        let wanted = format!("text that matches `{pattern}`");
        checks.push(Check::new(what, wanted, wording::text(seen), answer(found)));
    }
}

fn events(expected: &EventsExpected, seen: &EventsSeen) -> Check {
    let kept = seen.events.iter();
    let fitting = match &expected.event {
        None => seen.count,
        Some(wanted) => kept.filter(|event| data::is(wanted, event)).count() as u64,
    };
    let incomplete =
        seen.lost > 0 || (expected.event.is_some() && seen.count > seen.events.len() as u64);
    let met = data::counted(expected.amount, fitting, incomplete);
    let mut wanted = wording::amount(expected.amount, "event", "events");
    if let Some(event) = &expected.event {
        wanted.push_str(&format!(" with {}", wording::value(event)));
    }
    Check::new(
        format!("events of `{}`", expected.map),
        wanted,
        wording::events(expected, seen, fitting),
        met,
    )
}

fn map(expected: &MapExpected, seen: &MapSeen) -> Check {
    let fitting = (seen.after.iter())
        .filter(|entry| data::entry_is(expected, entry, &seen.before))
        .count() as u64;
    let met = data::counted(expected.amount, fitting, seen.cut);
    Check::new(
        format!("entries of map `{}`", expected.map),
        wording::entries_expected(expected),
        wording::entries(expected, seen, fitting),
        met,
    )
}

#[cfg(test)]
mod tests;
