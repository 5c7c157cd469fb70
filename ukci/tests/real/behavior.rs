//! Functional tests: what they see, what becomes of those that fail and of those that cannot be run.

use ukci_schema::report::TestOutcome;
use ukci_schema::verdict::Stage;

use crate::fixture::{K61, K510, answer, machine, root, run, text, ukci};

/// On an object of the casebook that sends an event for each program that starts.
const MANIFEST: &str = r#"
[[functional_tests]]
name = "brings its libraries"
command = "getconf PAGE_SIZE && ip link show lo | grep -q UP"
files = ["/usr/bin/getconf"]
expect_stdout_contains = "4096"
expect_events = [{ map = "events", type = "event", event = { comm = "getconf" }, count = 1 }]

[[functional_tests]]
name = "is killed with its children"
command = "setsid sleep 1000 & (trap '' TERM; setsid sh -c 'sleep 1000' &) ; sleep 1000"
timeout = "200ms"
required = false

[[functional_tests]]
name = "finds none of them"
command = "ps | grep 'sleep 10[0]0' | wc -l"
expect_stdout_matches = '^0\n$'

[[functional_tests]]
name = "cannot be run by the kernel"
required = false
prog_run = { program = "on_exec", data = "0000000000000000000000000000" }
expect_return = 0
"#;

#[test]
fn functional_tests_run_beside_the_attached_programs() {
    let Some(_machine) = machine() else { return };
    let object = root().join("target/casebook-x86_64/behavior_ringbuf.bpf.o");
    if !object.exists() {
        assert!(
            std::env::var_os("UKCI_TEST_REAL").is_none(),
            "run `make test`"
        );
        eprintln!("skipped: `make casebook-objects` compiles what this test needs");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("manifest.toml");
    std::fs::write(&manifest, MANIFEST).unwrap();
    let ran = run(|command| {
        command.arg(&object).args(["--manifest", text(&manifest)]);
        command.args(["--kernel", K510, "--kernel", K61]);
    });
    for kernel in [K510, K61] {
        let cell = ran.cell("behavior_ringbuf", kernel);
        assert_eq!(answer(cell), "pass", "{}", ran.stderr);
        assert_eq!(cell.stage, Stage::Behave);
        let outcomes: Vec<TestOutcome> = cell.tests.iter().map(|test| test.outcome).collect();
        let expected = [
            TestOutcome::Pass,
            TestOutcome::Fail,
            TestOutcome::Pass,
            TestOutcome::NotRun,
        ];
        assert_eq!(outcomes, expected, "{:?}", cell.tests);
        assert!(cell.notes.iter().any(|note| note.contains("was killed")));
    }
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    // A plan that is written down names every file that the tests need.
    let plan = dir.path().join("plan.json");
    let args = [
        text(&object),
        "--manifest",
        text(&manifest),
        "--kernel",
        K61,
    ];
    let (written, stderr) = ukci(&[&["plan"], &args[..], &["--out", text(&plan)]].concat());
    assert!(written.status.success(), "{stderr}");
    let out = dir.path().join("planned");
    let (planned, stderr) = ukci(&["check", "--plan", text(&plan), "--out", text(&out)]);
    assert!(planned.status.success(), "{stderr}");
    // The same tests, required: what cannot be run is no pass and no failure.
    let required = MANIFEST.replace("required = false\nprog_run", "prog_run");
    std::fs::write(&manifest, required).unwrap();
    let ran = run(|command| {
        command.arg(&object).args(["--manifest", text(&manifest)]);
        command.args(["--kernel", K61]);
    });
    let said = answer(ran.cell("behavior_ringbuf", K61));
    assert!(said.starts_with("error: "), "{said}");
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
}
