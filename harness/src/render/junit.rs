//! Renders `JUnit` XML: one suite per artifact and one case per cell. A failure means that the
//! artifact was refused, an error means that the cell has no verdict, and a skip is neither.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report as Junit, TestCase, TestCaseStatus, TestSuite};
use ukci_schema::diagnosis::Code;
use ukci_schema::report::{CellReport, CheckReport, Report, TestOutcome, TestReport};
use ukci_schema::verdict::Outcome;

use super::{Shown, cached, needs_loader};

/// The report as `JUnit` XML.
pub fn junit(report: &Shown<Report>) -> Shown<String> {
    let mut document = Junit::new("ukci");
    document.set_time(seconds(report.run.seconds));
    for artifact in &report.artifacts {
        let mut suite = TestSuite::new(artifact.name.clone());
        suite.add_property(Property::new("sha256", artifact.sha256.clone()));
        let cells = report
            .cells
            .iter()
            .filter(|cell| cell.artifact == artifact.name);
        suite.add_test_cases(cells.flat_map(|cell| {
            let tests = cell.tests.iter().map(|test| functional_test(cell, test));
            std::iter::once(case(cell)).chain(tests)
        }));
        document.add_test_suite(suite);
    }
    // Writing to memory cannot fail, and nothing is left that XML cannot hold.
    Shown::rendered(for_strict_readers(
        &document.to_string().unwrap_or_default(),
    ))
}

fn case(cell: &CellReport) -> TestCase {
    let mut status = match cell.outcome {
        Outcome::Pass | Outcome::Xfail => TestCaseStatus::success(),
        Outcome::Fail | Outcome::Xpass => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Error => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Skip => TestCaseStatus::skipped(),
    };
    match cell.outcome {
        Outcome::Pass | Outcome::Xfail => {}
        Outcome::Xpass => {
            status.set_type("XPASS");
            status.set_message("passed where a failure is expected: remove the expectation");
        }
        Outcome::Fail => {
            if let Some(diagnosis) = &cell.diagnosis {
                status.set_type(diagnosis.code.name());
                let mut message = diagnosis.headline.clone();
                if needs_loader(cell) {
                    message.push_str(
                        " (its own loader has to set this: it says nothing about the kernel)",
                    );
                }
                status.set_message(message);
                let mut text = Vec::new();
                if let Some(at) = &diagnosis.at {
                    text.push(format!("{}:{}: {}", at.file, at.line, at.text.trim()));
                }
                if let Some(excerpt) = &diagnosis.excerpt {
                    text.extend(excerpt.lines.iter().cloned());
                }
                text.extend(diagnosis.hints.iter().map(|hint| format!("hint: {hint}")));
                text.extend(others(cell));
                status.set_description(text.join("\n"));
            }
        }
        Outcome::Error => {
            if let Some(fault) = &cell.fault {
                status.set_type(
                    fault
                        .code
                        .map_or("error", ukci_schema::diagnosis::Code::name),
                );
                status.set_message(format!("{}: {}", fault.stage, fault.headline));
                status.set_description(fault.console.join("\n"));
            }
        }
        Outcome::Skip => {
            status.set_message(cell.reason.clone().unwrap_or_default());
        }
    }
    let mut case = TestCase::new(cell_name(cell), status);
    case.set_classname(cell.artifact.clone());
    case.set_time(seconds(cell.seconds));
    // Not properties: the schemas of Jenkins and Surefire have none in a case.
    let mut facts = vec![
        format!("outcome: {}", cell.outcome),
        format!("kernel: {}", cell.release),
        format!("machine: {} {}, {}", cell.accel, cell.cpu, cell.transport),
        format!("evidence: {}", cell.evidence),
    ];
    facts.extend(
        cell.cached
            .as_ref()
            .map(|from| format!("cached: {}", cached(from))),
    );
    if let (Outcome::Xfail, Some(diagnosis)) = (cell.outcome, &cell.diagnosis) {
        facts.push(format!("failed as expected: {}", diagnosis.code));
        facts.extend(cell.expected.reason.clone());
    }
    case.set_system_out(facts.join("\n"));
    case
}

/// One functional test of a cell. One that is not required is never a failure.
fn functional_test(cell: &CellReport, test: &TestReport) -> TestCase {
    let mut status = match (test.outcome, test.required) {
        (TestOutcome::Pass, _) => TestCaseStatus::success(),
        (TestOutcome::Fail, true) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        (TestOutcome::NotRun, true) => TestCaseStatus::non_success(NonSuccessKind::Error),
        (TestOutcome::Fail | TestOutcome::NotRun, false) => TestCaseStatus::skipped(),
    };
    let unmet: Vec<&CheckReport> = test.checks.iter().filter(|check| !check.met).collect();
    let said = |check: &&CheckReport| {
        format!(
            "{}\n  expected: {}\n  seen:     {}",
            check.what, check.expected, check.seen
        )
    };
    if test.outcome != TestOutcome::Pass {
        let first = unmet.first().map(|check| {
            let CheckReport {
                what,
                expected,
                seen,
                ..
            } = check;
            format!("{what}: expected {expected}, saw {seen}")
        });
        status.set_message(test.reason.clone().or(first).unwrap_or_default());
    }
    if test.outcome != TestOutcome::Pass && test.required {
        status.set_type(Code::FunctionalTestFailure.name());
        let lines: Vec<String> = unmet.iter().map(said).collect();
        status.set_description(lines.join("\n"));
    }
    let mut case = TestCase::new(format!("{}: {}", cell_name(cell), test.name), status);
    case.set_classname(cell.artifact.clone());
    case.set_time(seconds(test.seconds));
    case
}

/// Viewers list cases by this name, and split the class at its dots.
fn cell_name(cell: &CellReport) -> String {
    let mut name = format!("{} {}", cell.kernel, cell.arch);
    if let Some(llvm) = &cell.llvm {
        name.push_str(&format!(" llvm-{llvm}"));
    }
    if let Some(btf) = cell.btf_name() {
        name.push_str(&format!(" btf-{btf}"));
    }
    name
}

/// The refusals of other programs than the one that decided.
fn others(cell: &CellReport) -> impl Iterator<Item = String> {
    let decided = cell.diagnosis.as_ref();
    let others = cell.programs.iter().filter_map(move |program| {
        let diagnosis = program.diagnosis.as_ref()?;
        (Some(diagnosis) != decided).then_some((program, diagnosis))
    });
    others.map(|(program, diagnosis)| {
        format!(
            "also `{}`: {}: {}",
            program.name, diagnosis.code, diagnosis.headline
        )
    })
}

/// Without the `skipped` of the root, which quick-junit writes and the schema of Jenkins' xUnit
/// plug-in refuses; suites have theirs.
fn for_strict_readers(xml: &str) -> String {
    let Some((start, rest)) = xml.split_once("<testsuites ") else {
        return xml.to_owned();
    };
    let Some((root, rest)) = rest.split_once('>') else {
        return xml.to_owned();
    };
    let root = match root.split_once(" skipped=\"") {
        Some((before, after)) => {
            let after = after.split_once('"').map_or("", |(_, after)| after);
            format!("{before}{after}")
        }
        None => root.to_owned(),
    };
    format!("{start}<testsuites {root}>{rest}")
}

/// A clock that went backwards is no reason to have no report.
fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value).unwrap_or_default()
}
