//! The same cell twice: the same evidence, a run that is finished later, cells run again from a
//! report, failures that become expectations, budgets.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use ukci_schema::diagnosis::Code;
use ukci_schema::report::Report;
use ukci_schema::verdict::Outcome;

use crate::fixture::{
    K510, K612, command, is_of_a_commit, machine, object, own_cache, report, text, ukci,
};

/// Checks until every cell has evidence. A host under load can cost a cell its verdict, which is
/// told as such and no matter of these tests.
fn settled(out: &Path, args: &[&str]) -> Report {
    let args: Vec<&str> = [&["check", "--resume", "--out", text(out)], args].concat();
    let mut said = String::new();
    for _ in 0..3 {
        let (_, stderr) = ukci(&args);
        let report = report(out);
        if report
            .cells
            .iter()
            .all(|cell| cell.evidence_digest.is_some())
        {
            return report;
        }
        said = stderr;
    }
    panic!("no verdict in three runs:\n{said}");
}

#[test]
fn two_boots_of_a_cell_have_one_evidence_and_a_rerun_says_so() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let (one, two) = (out.path().join("one"), out.path().join("two"));
    let objects = ["ringbuf", "unchecked_deref", "two_programs", "kfunc"].map(object);
    let mut args = vec!["--kernel", K510, "--kernel", K612];
    args.extend(objects.iter().map(|path| text(path)));
    let (first, second) = (settled(&one, &args), settled(&two, &args));
    assert_eq!(first.cells.len(), 8);
    for (a, b) in first.cells.iter().zip(&second.cells) {
        assert_eq!(a.id, b.id);
        assert_eq!(a.evidence_digest, b.evidence_digest, "{}", a.id);
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

    // The failures of the report, from the same bytes: the object is not even where it was.
    let again = out.path().join("again");
    let (output, stderr) = ukci(&["rerun", text(&one), "--failed", "--out", text(&again)]);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let cells = report(&again).cells;
    let failed = first.cells.iter().filter(|cell| !cell.outcome.is_met());
    assert_eq!(cells.len(), failed.count(), "{stderr}");
    for cell in cells.iter().filter(|cell| cell.evidence_digest.is_some()) {
        let same = format!("Same {}: verdict, diagnosis and evidence", cell.id);
        assert!(stderr.contains(&same), "{stderr}");
    }

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
        args
    };
    let finished = || {
        let cells = std::fs::read_dir(run.join("cells")).into_iter().flatten();
        cells
            .filter(|cell| cell.as_ref().unwrap().path().join("cell.json").exists())
            .count()
    };
    let cut = |args: &[&str], cells: usize, signal: Signal| {
        let mut child = command(args).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while finished() < cells {
            assert!(
                begun.elapsed() < Duration::from_mins(4),
                "no cell was finished"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        rustix::process::kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap();
    };
    cut(&with(&["--jobs", "1"]), 1, Signal::INT);
    let short = report(&run);
    assert!(short.run.interrupted && !short.not_run.is_empty());
    assert_eq!(short.not_run.len(), short.summary.not_run);
    assert_eq!(short.cells.len() + short.not_run.len(), 4);
    // Cut again, so that there is no time to write a report.
    let kept = finished();
    cut(&with(&["--jobs", "1", "--resume"]), kept + 1, Signal::KILL);
    let (_, stderr) = ukci(&with(&["--resume"]));
    assert!(stderr.contains("[     kept]"), "{stderr}");
    assert!(
        stderr.contains(" of an earlier run, whose inputs"),
        "{stderr}"
    );
    let whole = report(&run);
    assert!(
        !whole.run.interrupted && whole.not_run.is_empty(),
        "{stderr}"
    );
    assert_eq!(whole.cells.len(), 4);
    for was in short
        .cells
        .iter()
        .filter(|cell| cell.outcome != Outcome::Error)
    {
        let is = whole.cells.iter().find(|is| is.id == was.id).unwrap();
        assert_eq!(
            is, was,
            "a finished cell is kept as it was, to the microsecond"
        );
    }
    // Other inputs are another cell: nothing is kept.
    let (_, stderr) = ukci(&with(&["--resume", "--mode", "load"]));
    let load = report(&run);
    let kept = load.cells.iter().filter(|cell| whole.cells.contains(cell));
    assert_eq!(kept.count(), 0, "{stderr}");
    assert!(!stderr.contains("kept]"), "{stderr}");
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
    // As a step of GitHub Actions: the summary is appended to, the annotation is said.
    let summary = out.path().join("summary.md");
    std::fs::write(&summary, "of another step\n").unwrap();
    let output = command(&[
        "check",
        text(&kfunc),
        "--matrix",
        text(&matrix),
        "--out",
        text(&run),
    ])
    .env("GITHUB_ACTIONS", "true")
    .env("GITHUB_STEP_SUMMARY", &summary)
    .output()
    .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = stderr.lines().find(|line| line.starts_with("::error "));
    let said = said.unwrap_or_else(|| panic!("no annotation: {stderr}"));
    for part in [
        "kfunc.bpf.c,line=",
        ",title=kfunc%3A MISSING_KFUNC in 1 cell::",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let summary = std::fs::read_to_string(&summary).unwrap();
    assert!(
        summary.starts_with("of another step\n## ukci: 2 cells"),
        "{summary}"
    );
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

    // The budget travels in a plan, and so does what was expected.
    let (plan, kept) = (out.path().join("plan.json"), out.path().join("planned"));
    let (output, stderr) = ukci(&[
        "plan",
        text(&kfunc),
        "--matrix",
        text(&matrix),
        "--out",
        text(&plan),
    ]);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let (output, stderr) = ukci(&["check", "--plan", text(&plan), "--out", text(&kept)]);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let planned = report(&kept);
    assert_eq!(planned.run.budget, over.run.budget);
    let said = |report: &Report| -> Vec<(Outcome, Option<Code>)> {
        (report.cells.iter().map(|cell| (cell.outcome, cell.code()))).collect()
    };
    assert_eq!(said(&planned), said(&over));

    // A cell of that run is run again from the same plan, and no other.
    let again = out.path().join("again");
    let id = cell.id.as_str();
    let (output, stderr) = ukci(&["rerun", text(&kept), id, "--out", text(&again)]);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let again = report(&again);
    assert_eq!((again.cells.len(), again.cells[0].id.as_str()), (1, id));
    assert_eq!(again.cells[0].code(), Some(Code::VerifierBudget));
}

#[test]
fn a_cell_is_booted_once_by_a_build_of_a_commit_and_every_time_by_any_other() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let cache = own_cache();
    let (ringbuf, refused) = (object("ringbuf"), object("unchecked_deref"));
    let run = |out: &str, more: &[&str]| {
        let out = dir.path().join(out);
        let mut command = command(&["check", "--kernel", K612, "--out", text(&out)]);
        command.args([&ringbuf, &refused]).args(more);
        command
            .env_remove("UKCI_NO_CACHE")
            .env("XDG_CACHE_HOME", cache.path());
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        (report(&out), stderr)
    };
    let is_commit = is_of_a_commit();
    let (first, _) = run("first", &[]);
    let (second, said) = run("second", &[]);
    assert_eq!(said.contains("Cached 2 verdicts"), is_commit, "{said}");
    for (before, after) in first.cells.iter().zip(&second.cells) {
        assert_eq!((before.boots, after.boots == 0), (1, is_commit));
        assert_eq!(after.cached.is_some(), is_commit);
        // An excerpt has addresses as they were.
        let answers = |cell: &ukci_schema::report::CellReport| {
            let diagnosis = cell.diagnosis.as_ref();
            let diagnosis = diagnosis.map(|found| (&found.headline, &found.at, &found.hints));
            (
                cell.verdict,
                cell.code(),
                format!("{diagnosis:?}"),
                cell.evidence_digest.clone(),
            )
        };
        assert_eq!(answers(after), answers(before), "{}", after.id);
        for log in ["console.log", "command.txt", "evidence.json", "cell.json"] {
            assert!(
                dir.path()
                    .join("second")
                    .join(&after.evidence)
                    .join(log)
                    .exists(),
                "{log}"
            );
        }
    }
    let (third, _) = run("third", &["--no-cache"]);
    assert!(
        third
            .cells
            .iter()
            .all(|cell| cell.boots == 1 && cell.cached.is_none())
    );
}
