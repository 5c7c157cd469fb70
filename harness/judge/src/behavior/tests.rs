use std::collections::BTreeMap;

use serde_json::json;
use ukci_schema::behavior::{
    Action, Amount, Datum, Entry, EventsExpected, EventsSeen, Expected, FileExpected, MapExpected,
    MapSeen, RunsExpected, Test, TestEvidence, Text, TextExpected,
};
use ukci_schema::command::Ended;
use ukci_schema::evidence::{
    AttachOutcome, Evidence, Mode, ProgramAttach, ProgramEvidence, Step, StepOutcome,
};
use ukci_schema::report::TestOutcome;
use ukci_schema::verdict::Verdict;

use crate::judge;

fn test(name: &str, expected: Expected) -> TestEvidence {
    TestEvidence::of(Test {
        name: name.into(),
        required: true,
        action: Action::Stimuli,
        timeout_ms: 10_000,
        wait_ms: 100,
        expected,
    })
}

/// An object that was loaded and attached, and these tests.
fn evidence(tests: Vec<TestEvidence>) -> Evidence {
    let ok = Step {
        outcome: StepOutcome::Ok,
        ..Step::default()
    };
    let mut program = ProgramEvidence {
        name: "handle".into(),
        autoload: true,
        attach: ProgramAttach {
            outcome: AttachOutcome::Attached,
            ..ProgramAttach::default()
        },
        ..ProgramEvidence::default()
    };
    program.load.outcome = StepOutcome::Ok;
    Evidence {
        mode: Mode::Behave,
        open: ok.clone(),
        load: ok,
        programs: vec![program],
        tests,
        ..Evidence::default()
    }
}

fn said(tests: Vec<TestEvidence>) -> String {
    match judge(&evidence(tests), false).verdict {
        Verdict::Pass => "pass".into(),
        Verdict::Fail { diagnosis } => {
            let lines = diagnosis
                .excerpt
                .map_or_else(Vec::new, |excerpt| excerpt.lines);
            format!(
                "{} {}\n{}\nhint: {}",
                diagnosis.code,
                diagnosis.headline,
                lines.join("\n"),
                diagnosis.hints.join("; ")
            )
        }
        Verdict::Error { fault } => format!("error {}", fault.headline),
        Verdict::Skip { reason } => format!("skip {reason}"),
    }
}

fn datum(hex: &str, value: serde_json::Value) -> Datum {
    Datum {
        hex: hex.into(),
        value: Some(value),
    }
}

#[test]
fn a_command_is_compared_with_everything_that_is_expected_of_it() {
    let expected = Expected {
        exit_status: Some(0),
        stdout: TextExpected {
            contains: Some("exec".into()),
            matches: Some("^pid [0-9]+$".into()),
        },
        files: vec![FileExpected {
            path: "out".into(),
            ..FileExpected::default()
        }],
        ..Expected::default()
    };
    let mut seen = test("sees an exec", expected);
    seen.ended = Some(Ended::Exited { status: 0 });
    seen.stdout.text = "pid 7".into();
    seen.files.insert("out".into(), Some(Text::default()));
    insta::assert_snapshot!(said(vec![seen.clone()]), @r"
    FUNCTIONAL_TEST_FAILURE the functional test `sees an exec` failed: standard output: expected text that contains `exec`
    standard output
      expected: text that contains `exec`
      seen:     `pid 7`
    hint: all that was seen is in `evidence.json` of the cell, under `tests`
    ");
    seen.test.expected.stdout.contains = None;
    assert_eq!(said(vec![seen.clone()]), "pass");
    // What it says may be in what was not kept.
    seen.test.expected.stdout.contains = Some("exec".into());
    seen.stdout.cut_bytes = 9;
    insta::assert_snapshot!(said(vec![seen.clone()]), @"error the functional test `sees an exec` could not be run: standard output: `pid 7`; 9 bytes of it were not kept");
    seen.ended = Some(Ended::TimedOut { seconds: 3 });
    insta::assert_snapshot!(said(vec![seen]), @r"
    FUNCTIONAL_TEST_FAILURE the functional test `sees an exec` failed: exit status: expected 0, saw it had not ended after 3 s and was killed
    exit status
      expected: 0
      seen:     it had not ended after 3 s and was killed
    standard output
      expected: text that contains `exec`
      seen:     `pid 7`; 9 bytes of it were not kept
    hint: all that was seen is in `evidence.json` of the cell, under `tests`
    ");
}

#[test]
fn events_entries_and_runs_are_counted() {
    let expected = Expected {
        events: vec![EventsExpected {
            map: "events".into(),
            event: Some(json!({"comm": "true"})),
            amount: Amount {
                at_least: Some(2),
                at_most: Some(2),
            },
            ..EventsExpected::default()
        }],
        maps: vec![MapExpected {
            map: "counts".into(),
            key: Some(json!(1)),
            grows: true,
            ..MapExpected::default()
        }],
        runs: vec![RunsExpected {
            program: "handle".into(),
            amount: Amount::default(),
        }],
        ..Expected::default()
    };
    let mut seen = test("counts", expected);
    let event = |comm: &str, pid: u32| datum("00", json!({"comm": comm, "pid": pid}));
    seen.events = vec![EventsSeen {
        map: "events".into(),
        count: 3,
        events: vec![event("true", 1), event("sh", 2), event("true", 3)],
        ..EventsSeen::default()
    }];
    let entry = |value: u32| Entry {
        key: datum("01000000", json!(1)),
        values: vec![datum("00", json!(value))],
    };
    seen.maps = vec![MapSeen {
        map: "counts".into(),
        before: vec![entry(4)],
        after: vec![entry(5)],
        cut: false,
    }];
    seen.runs = BTreeMap::from([("handle".into(), 3)]);
    assert_eq!(said(vec![seen.clone()]), "pass");
    seen.events[0].events.pop();
    seen.events[0].count = 2;
    seen.maps[0].after = vec![entry(4)];
    seen.runs.insert("handle".into(), 0);
    insta::assert_snapshot!(said(vec![seen.clone()]), @r#"
    FUNCTIONAL_TEST_FAILURE the functional test `counts` failed: events of `events`: expected exactly 2 events with comm "true"
    events of `events`
      expected: exactly 2 events with comm "true"
      seen:     1 of 2 events: { comm "true" }, { comm "sh" }
    entries of map `counts`
      expected: at least 1 entry with key 1 whose value grows
      seen:     0 of 1: { 1: 4 before, 4 after }
    runs of program `handle`
      expected: at least 1
      seen:     0
    hint: during the test, `handle` did not run once
    "#);
    // Events that were dropped may have been the right ones.
    seen.test.expected.maps.clear();
    seen.test.expected.runs.clear();
    seen.events[0].lost = 1;
    insta::assert_snapshot!(said(vec![seen]), @r#"error the functional test `counts` could not be run: events of `events`: 1 of 2 events: { comm "true" }, { comm "sh" }; the kernel dropped 1 because the buffer was full"#);
}

#[test]
fn what_could_not_be_run_is_never_a_pass_and_what_failed_goes_before_it() {
    let passed = test("one", Expected::default());
    let mut not_run = test("two", Expected::default());
    not_run.not_run = Some("the guest has no shell".into());
    assert_eq!(said(vec![passed.clone()]), "pass");
    insta::assert_snapshot!(said(vec![passed.clone(), not_run.clone()]), @"error the functional test `two` could not be run: the guest has no shell");
    let mut failed = test(
        "three",
        Expected {
            returned: Some(1),
            ..Expected::default()
        },
    );
    failed.returned = Some(u32::MAX);
    insta::assert_snapshot!(said(vec![not_run.clone(), failed.clone()]), @r"
    FUNCTIONAL_TEST_FAILURE the functional test `three` failed: return value: expected 1, saw 4294967295 (-1)
    return value
      expected: 1
      seen:     4294967295 (-1)
    hint: all that was seen is in `evidence.json` of the cell, under `tests`
    ");
    for seen in [&mut not_run, &mut failed] {
        seen.test.required = false;
    }
    assert_eq!(said(vec![passed, not_run.clone(), failed]), "pass");
    let reports = super::tests(&evidence(vec![not_run]));
    assert_eq!(reports[0].outcome, TestOutcome::NotRun);
}

#[test]
fn damage_that_a_test_brings_out_goes_before_what_it_saw() {
    let mut damaged = evidence(vec![test("one", Expected::default())]);
    damaged.kmsg = vec!["WARNING: kernel/bpf/x.c:1 at f+0x1/0x2".into()];
    damaged.kmsg_marks = vec![ukci_schema::evidence::KmsgMark {
        line: 0,
        stage: ukci_schema::verdict::Stage::Behave,
        doing: "one".into(),
    }];
    let Verdict::Fail { diagnosis } = judge(&damaged, false).verdict else {
        panic!("a WARN of the kernel is a failure");
    };
    assert_eq!(diagnosis.code, ukci_schema::diagnosis::Code::KernelSplat);
    insta::assert_snapshot!(diagnosis.headline, @"the kernel reported damage while `one` ran: `WARNING in f (kernel/bpf/x.c)`");
}
