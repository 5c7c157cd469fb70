//! The same cell twice, on real kernels: the same evidence, a run that is finished later, cells run
//! again from a report, failures that become expectations, budgets.
//!
//! `make test` sees to what is needed and sets `UKCI_TEST_REAL=1`: then a missing file fails.

#![expect(clippy::print_stderr, reason = "a skip is told to people")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ukci_schema::diagnosis::Code;
use ukci_schema::report::Report;
use ukci_schema::verdict::Outcome;

/// Real machines use every core: one test at a time.
static MACHINE: Mutex<()> = Mutex::new(());

const K510: &str = "debian-11-5.10-cloud";
const K612: &str = "debian-13-6.12-cloud";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn object(name: &str) -> PathBuf {
    root().join(format!("target/examples/{name}.bpf.o"))
}

fn machine() -> Option<MutexGuard<'static, ()>> {
    let needed = [
        root().join("target/release/ukci-guest-x86_64"),
        object("ringbuf"),
    ];
    match needed.iter().find(|path| !path.exists()) {
        None => Some(MACHINE.lock().unwrap_or_else(PoisonError::into_inner)),
        Some(path) if std::env::var_os("UKCI_TEST_REAL").is_some() => {
            panic!("`{}` is missing: run `make test`", path.display())
        }
        Some(path) => {
            eprintln!(
                "skipped: `{}` is missing; `make test` makes it",
                path.display()
            );
            None
        }
    }
}

fn ukci(args: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .env(
            "UKCI_AGENT_X86_64",
            root().join("target/release/ukci-guest-x86_64"),
        )
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .args(args)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

fn report(out: &Path) -> Report {
    serde_json::from_slice(&std::fs::read(out.join("report.json")).unwrap()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn two_boots_of_a_cell_have_one_evidence_and_a_rerun_says_so() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let (one, two) = (out.path().join("one"), out.path().join("two"));
    let objects = ["ringbuf", "unchecked_deref", "two_programs", "kfunc"].map(object);
    let mut args = vec![
        "check",
        "--out",
        text(&one),
        "--kernel",
        K510,
        "--kernel",
        K612,
    ];
    args.extend(objects.iter().map(|path| text(path)));
    let (_, stderr) = ukci(&args);
    let first = report(&one);
    assert_eq!(first.cells.len(), 8, "{stderr}");
    assert!(
        first
            .cells
            .iter()
            .all(|cell| cell.evidence_digest.is_some()),
        "{stderr}"
    );

    let (_, stderr) = ukci(&["rerun", text(&one), "--out", text(&two)]);
    let second = report(&two);
    for (a, b) in first.cells.iter().zip(&second.cells) {
        assert_eq!(a.id, b.id);
        assert_eq!(a.evidence_digest, b.evidence_digest, "{}\n{stderr}", a.id);
        let same = format!("Same {}: verdict, diagnosis and evidence", a.id);
        assert!(stderr.contains(&same), "{stderr}");
        // The raw evidence is kept as it came, and does differ: boots take their time.
        let raw = |dir: &Path| std::fs::read(dir.join(&a.evidence).join("evidence.json")).unwrap();
        assert_ne!(raw(&one), raw(&two), "{}", a.id);
    }
    let digests: std::collections::BTreeSet<_> = first
        .cells
        .iter()
        .map(|cell| &cell.evidence_digest)
        .collect();
    assert_eq!(digests.len(), first.cells.len(), "different cells differ");

    // Other bytes are refused, and told.
    let kept = one.join("artifacts/ringbuf.bpf.o");
    std::fs::copy(object("bpf_loop"), &kept).unwrap();
    let id = format!("ringbuf/{K612}/x86_64");
    let three = out.path().join("three");
    let (output, stderr) = ukci(&["rerun", text(&one), &id, "--out", text(&three)]);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("artifact `ringbuf`: "), "{stderr}");
    assert!(!three.join("report.json").exists());
    let (_, stderr) = ukci(&["rerun", text(&one), &id, "--out", text(&three), "--anyway"]);
    assert!(stderr.contains(&format!("Differs {id}: ")), "{stderr}");
    assert_eq!(report(&three).cells.len(), 1);
}

#[test]
fn a_run_that_was_cut_short_is_finished_and_nothing_runs_twice() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let run = out.path().join("run");
    let (ringbuf, kfunc) = (object("ringbuf"), object("kfunc"));
    let all = [
        "check",
        text(&ringbuf),
        text(&kfunc),
        "--kernel",
        K510,
        "--kernel",
        K612,
    ];
    let with = |more: &[&'static str]| {
        let args: Vec<&str> = [&all[..], &["--out", text(&run)], more].concat();
        ukci(&args)
    };
    // `kfunc` does not load on 5.10: the run stops there.
    let (_, stderr) = with(&["--fail-fast", "--jobs", "1"]);
    let cut = report(&run);
    assert!(cut.run.interrupted && !cut.not_run.is_empty(), "{stderr}");
    assert_eq!(cut.not_run.len(), cut.summary.not_run);
    let (_, stderr) = with(&["--resume"]);
    let whole = report(&run);
    assert!(
        !whole.run.interrupted && whole.not_run.is_empty(),
        "{stderr}"
    );
    assert_eq!(whole.cells.len(), 4);
    for was in &cut.cells {
        let is = whole.cells.iter().find(|is| is.id == was.id).unwrap();
        assert_eq!(
            is, was,
            "a finished cell is kept as it was, to the microsecond"
        );
    }
    // Other inputs are another cell: nothing is kept.
    let (_, stderr) = with(&["--resume", "--mode", "load"]);
    let load = report(&run);
    let kept = load.cells.iter().filter(|cell| whole.cells.contains(cell));
    assert_eq!(kept.count(), 0, "{stderr}");
}

#[test]
fn failures_become_expectations_and_a_budget_is_a_failure() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let run = out.path().join("run");
    let matrix = out.path().join("mine.toml");
    std::fs::write(
        &matrix,
        format!("[[cells]]\nkernels = [\"{K510}\", \"{K612}\"]\n"),
    )
    .unwrap();
    let kfunc = object("kfunc");
    let check = |more: &[&'static str]| {
        let args = [
            "check",
            text(&kfunc),
            "--matrix",
            text(&matrix),
            "--out",
            text(&run),
        ];
        ukci(&[&args[..], more].concat())
    };
    let (output, stderr) = check(&[]);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let (output, stderr) = check(&["--bless"]);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let blessed = std::fs::read_to_string(&matrix).unwrap();
    assert!(blessed.contains("code = \"MISSING_KFUNC\""), "{blessed}");
    let (output, stderr) = check(&[]);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(
        report(&run)
            .cells
            .iter()
            .any(|cell| cell.outcome == Outcome::Xfail)
    );

    std::fs::write(&matrix, format!("max_insns = 3\n{blessed}")).unwrap();
    let (output, stderr) = check(&[]);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let over = report(&run);
    let cell = over.cells.iter().find(|cell| cell.kernel == K612).unwrap();
    let diagnosis = cell.diagnosis.as_ref().unwrap();
    assert_eq!(diagnosis.code, Code::VerifierBudget, "{stderr}");
    assert!(
        diagnosis.headline.contains("the budget is 3"),
        "{}",
        diagnosis.headline
    );
}
