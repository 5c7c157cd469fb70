//! `ukci report`, `ukci rerun` and `ukci list` through the front door, over the fixture report.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

struct Ran {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

fn ukci(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .envs(env.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../harness/tests/fixtures/report.json")).unwrap()
}

/// A directory with `old/report.json`, and `new.json` in which a cell that passed is refused and
/// a program takes twice as many instructions.
fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(dir.path().join("old/cells/x")).unwrap();
    std::fs::write(dir.path().join("old/cells/x/console.log"), "hello").unwrap();
    let old = fixture();
    std::fs::write(dir.path().join("old/report.json"), old.to_string()).unwrap();
    let mut new = old;
    new["cells"][0]["outcome"] = "error".into();
    new["cells"][0]["verdict"] = "error".into();
    let insns = &mut new["cells"][1]["programs"][0]["verifier"]["insns"];
    *insns = (insns.as_u64().unwrap() * 2).into();
    std::fs::write(dir.path().join("new.json"), new.to_string()).unwrap();
    dir
}

/// Without a format: what its run said at the end, as wide as the terminal is.
#[test]
fn a_report_is_shown_as_at_the_end_of_its_run() {
    let dir = dir();
    let shown = |columns: &str| {
        let args = ["report", "render", "old"];
        let ran = ukci(dir.path(), &args, &[("COLUMNS", columns)]);
        assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
        ran.stdout
    };
    let wide = shown("100");
    for words in [
        "FAIL unchecked_deref: VERIFIER_REJECTION in 2 cells",
        "logs   old/cells/unchecked_deref_debian-11-5.10-cloud_x86_64/",
        "8 cells: 2 passed",
    ] {
        assert!(wide.contains(words), "no `{words}`:\n{wide}");
    }
    assert!(!wide.contains('\u{1b}'), "no colour in a pipe");
    assert!(wide.contains("\n  debian-11-5.10-cloud "), "{wide}");
    // Four artifacts do not fit beside a kernel's name here; two kernels fit beside an artifact's.
    let narrow = shown("50");
    assert!(
        narrow.contains("\n  debian-*-cloud    11-5.10    12-6.1\n"),
        "{narrow}"
    );
}

#[test]
fn a_report_is_rendered_in_every_format_from_a_file_a_directory_and_to_a_path() {
    let dir = dir();
    for (format, starts) in [
        ("json", "{"),
        ("markdown", "## ukci: 8 cells"),
        ("github", "## ukci: 8 cells"),
        ("junit", "<?xml"),
        ("html", "<!DOCTYPE html>"),
    ] {
        let ran = ukci(
            dir.path(),
            &["report", "render", "old", "--format", format],
            &[],
        );
        assert_eq!(ran.status, Some(0), "{}", ran.stderr);
        assert!(ran.stdout.starts_with(starts), "{format}: {}", ran.stdout);
        let to = format!("{format}=out.{format}");
        let ran = ukci(
            dir.path(),
            &["report", "render", "old/report.json", "--format", &to],
            &[],
        );
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(0), ""));
        let text = std::fs::read_to_string(dir.path().join(format!("out.{format}"))).unwrap();
        assert!(text.starts_with(starts));
    }
    let again: Value =
        serde_json::from_str(&std::fs::read_to_string(dir.path().join("out.json")).unwrap())
            .unwrap();
    assert_eq!(again["cells"], fixture()["cells"]);
}

#[test]
fn a_diff_gates_on_what_it_is_told_to() {
    let dir = dir();
    let diff = |args: &[&str]| {
        let args: Vec<&str> = [&["report", "diff"], args].concat();
        ukci(dir.path(), &args, &[])
    };
    let same = diff(&["old", "old"]);
    assert_eq!(
        (same.status, same.stdout.trim()),
        (Some(0), "nothing changed")
    );
    let worse = diff(&["old", "new.json"]);
    assert_eq!(worse.status, Some(2));
    insta::assert_snapshot!("diff", format!("{}---\n{}", worse.stdout, worse.stderr));
    assert_eq!(
        diff(&["new.json", "old"]).status,
        Some(0),
        "better is no failure"
    );
    assert_eq!(
        diff(&["new.json", "old", "--fail-on", "changed"]).status,
        Some(2)
    );
    assert_eq!(
        diff(&["old", "new.json", "--fail-on", "never"]).status,
        Some(0)
    );
    let growth = [
        "old",
        "new.json",
        "--fail-on",
        "growth",
        "--max-growth-percent",
    ];
    assert_eq!(diff(&[&growth[..], &["99"]].concat()).status, Some(2));
    assert_eq!(diff(&[&growth[..], &["100"]].concat()).status, Some(0));
    let json: Value =
        serde_json::from_str(&diff(&["old", "new.json", "-f", "json"]).stdout).unwrap();
    assert_eq!(json["changed"][0]["worse"], true);
}

#[test]
fn a_budget_gates_and_says_which_program_is_over_it() {
    let dir = dir();
    let verifier = |args: &[&str]| {
        let args: Vec<&str> = [&["report", "verifier", "new.json"], args].concat();
        ukci(dir.path(), &args, &[])
    };
    assert_eq!(verifier(&["--max-insns", "1000"]).status, Some(0));
    let over = verifier(&[
        "--baseline",
        "old",
        "--max-growth-percent",
        "50",
        "--max-insns",
        "30",
    ]);
    assert_eq!(over.status, Some(2));
    insta::assert_snapshot!("verifier", format!("{}---\n{}", over.stdout, over.stderr));
    let one = verifier(&["--program", "loops", "--format", "json"]);
    let rows: Value = serde_json::from_str(&one.stdout).unwrap();
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(verifier(&["--program", "lops"]).status, Some(3));
    let top = verifier(&["--top", "1", "--format", "json"]);
    let rows: Value = serde_json::from_str(&top.stdout).unwrap();
    let names = |rows: &Value| -> Vec<String> {
        let rows = rows.as_array().unwrap().iter();
        rows.map(|row| row["program"].as_str().unwrap().to_owned())
            .collect()
    };
    let all: Value = serde_json::from_str(&verifier(&["--format", "json"]).stdout).unwrap();
    let shares: Vec<f64> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["verifier"]["insns"].as_f64().unwrap())
        .collect();
    assert_eq!(names(&rows)[0], names(&all)[0]);
    assert!(names(&rows).iter().all(|name| *name == names(&rows)[0]));
    assert!(rows.as_array().unwrap().len() < shares.len());
    let most = shares.iter().copied().fold(0.0, f64::max);
    assert!(
        rows.as_array()
            .unwrap()
            .iter()
            .any(|row| row["verifier"]["insns"].as_f64() == Some(most)),
        "the program with the most instructions comes first: {all}"
    );
    // What is not shown still counts.
    let hidden = verifier(&["--top", "1", "--max-insns", "1"]);
    assert_eq!(hidden.status, Some(2));
    assert_eq!(
        hidden.stderr.lines().count(),
        shares.len(),
        "{}",
        hidden.stderr
    );
    assert_eq!(verifier(&["--top", "0"]).status, Some(64));
}

#[test]
fn shards_merge_with_their_evidence() {
    let dir = dir();
    let (mut one, mut other) = (fixture(), fixture());
    let cells = one["cells"].as_array_mut().unwrap();
    let rest = cells.split_off(3);
    other["cells"] = rest.into();
    other["summary"]["not_run"] = 0.into();
    std::fs::create_dir_all(dir.path().join("two/cells/y")).unwrap();
    std::fs::write(dir.path().join("two/cells/y/console.log"), "there").unwrap();
    std::fs::write(dir.path().join("old/report.json"), one.to_string()).unwrap();
    std::fs::write(dir.path().join("two/report.json"), other.to_string()).unwrap();
    let ran = ukci(
        dir.path(),
        &["report", "merge", "old", "two", "--out", "all"],
        &[],
    );
    assert_eq!(ran.status, Some(2), "it has failures: {}", ran.stderr);
    let merged: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("all/report.json")).unwrap())
            .unwrap();
    assert_eq!(merged["summary"], fixture()["summary"]);
    for (cell, text) in [("x", "hello"), ("y", "there")] {
        let console = dir.path().join(format!("all/cells/{cell}/console.log"));
        assert_eq!(std::fs::read_to_string(console).unwrap(), text);
    }
    // Into one of its own directories: nothing is copied over itself. A file that is there is
    // replaced and not written to: it may be read-only, and linked from elsewhere.
    let (old, new) = (
        dir.path().join("old.log"),
        dir.path().join("all/cells/y/console.log"),
    );
    std::fs::hard_link(&new, &old).unwrap();
    std::fs::write(dir.path().join("two/cells/y/console.log"), "later").unwrap();
    let again = ukci(
        dir.path(),
        &["report", "merge", "all", "two", "--out", "all"],
        &[],
    );
    assert_eq!(again.status, Some(2), "{}", again.stderr);
    let console = dir.path().join("all/cells/x/console.log");
    assert_eq!(std::fs::read_to_string(console).unwrap(), "hello");
    assert_eq!(std::fs::read_to_string(new).unwrap(), "later");
    assert_eq!(std::fs::read_to_string(old).unwrap(), "there");
}

/// The report of a shard says which cells the others have, so that one that is missing is seen.
#[test]
fn a_missing_shard_is_no_success() {
    let dir = dir();
    let mut shard = fixture();
    let ids: Vec<Value> = shard["cells"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["id"].clone())
        .collect();
    let cells = shard["cells"].as_array_mut().unwrap();
    cells.retain(|cell| cell["outcome"] == "pass");
    let passed = cells.len();
    assert!(passed > 0 && passed < ids.len());
    shard["run"]["shard"] = serde_json::json!({ "names": ["count:1/2"], "planned": ids });
    shard["run"]["interrupted"] = false.into();
    std::fs::write(dir.path().join("old/report.json"), shard.to_string()).unwrap();
    let ran = ukci(dir.path(), &["report", "merge", "old", "--out", "all"], &[]);
    assert_eq!(ran.status, Some(1), "{}", ran.stderr);
    insta::assert_snapshot!("missing_shard", ran.stderr);
    let merged = std::fs::read(dir.path().join("all/report.json")).unwrap();
    let merged: Value = serde_json::from_slice(&merged).unwrap();
    assert_eq!(
        merged["not_run"].as_array().unwrap().len(),
        ids.len() - passed
    );
    assert_eq!(merged["summary"]["not_run"], ids.len() - passed);
    assert_eq!(merged["run"]["interrupted"], true);
}

#[test]
fn what_is_no_report_is_refused_with_its_reason() {
    let dir = dir();
    std::fs::write(
        dir.path().join("later.json"),
        r#"{"schema": "ukci.report/2"}"#,
    )
    .unwrap();
    std::fs::write(dir.path().join("torn.json"), r#"{"schema": "ukci.rep"#).unwrap();
    let mut odd = fixture();
    odd["surprise"] = true.into();
    std::fs::write(dir.path().join("odd.json"), odd.to_string()).unwrap();
    let mut said = String::new();
    for name in ["absent.json", "later.json", "torn.json", "odd.json"] {
        let ran = ukci(dir.path(), &["report", "render", name, "-f", "html"], &[]);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(64), ""), "{name}");
        said.push_str(&ran.stderr);
        said.push('\n');
    }
    insta::assert_snapshot!("no_reports", said);
}

#[test]
fn the_printed_schema_is_the_published_one() {
    let dir = dir();
    let ran = ukci(dir.path(), &["report", "schema"], &[]);
    // Compared without printing both: they are long.
    let same = ran.stdout == include_str!("../../docs/report.schema.json");
    assert!(same, "run `ukci report schema > docs/report.schema.json`");
}

#[test]
fn help_of_reports_teaches() {
    let dir = dir();
    let mut text = String::new();
    for args in [
        &["report", "--help"][..],
        &["report", "diff", "--help"],
        &["report", "verifier", "--help"],
        &["rerun", "--help"],
        &["list", "--help"],
    ] {
        text.push_str(&format!(
            "$ ukci {}\n{}\n",
            args.join(" "),
            ukci(dir.path(), args, &[]).stdout
        ));
    }
    insta::assert_snapshot!("help", text);
}

#[test]
fn cells_are_listed_as_data_and_dealt_to_runners() {
    let dir = dir();
    let list = |args: &[&str]| {
        let args: Vec<&str> = [&["list"], args].concat();
        ukci(dir.path(), &args, &[])
    };
    let whole: Vec<Value> = serde_json::from_str(&list(&["--format", "json"]).stdout).unwrap();
    assert_eq!(whole.len(), 5);
    let shards = list(&["--format", "github", "--shards", "3"]).stdout;
    assert_eq!(shards.lines().count(), 1, "GITHUB_OUTPUT takes one line");
    let shards: Value = serde_json::from_str(&shards).unwrap();
    let shards = shards["include"].as_array().unwrap();
    let counts: Vec<u64> = shards
        .iter()
        .map(|s| s["cells"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [2, 2, 1]);
    let mut listed = Vec::new();
    for (shard, count) in shards.iter().zip(counts) {
        let ran = list(&["--shard", shard["shard"].as_str().unwrap()]);
        assert_eq!(ran.stdout.lines().count() as u64, count);
        listed.extend(ran.stdout.lines().map(str::to_owned));
    }
    listed.sort();
    let mut all: Vec<String> = whole
        .iter()
        .map(|cell| cell["id"].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    assert_eq!(listed, all, "every cell is in exactly one shard");
    assert_eq!(
        list(&["--shard", "count:6/6"]).status,
        Some(3),
        "no cell is left"
    );
    assert_eq!(list(&["--shard", "count:0/2"]).status, Some(64));
    // The option has the name of the release before for one more release.
    let (new, old) = (
        list(&["--shard", "count:2/3"]),
        list(&["--partition", "count:2/3"]),
    );
    assert_eq!((new.status, new.stdout), (old.status, old.stdout));
    assert_eq!(
        list(&["--format", "github", "--shards", "257"]).status,
        Some(64)
    );
}

#[test]
fn a_rerun_that_cannot_be_is_refused() {
    let dir = dir();
    let refused = |args: &[&str], status| {
        let args: Vec<&str> = [&["rerun"], args].concat();
        let ran = ukci(dir.path(), &args, &[]);
        assert_eq!(ran.status, Some(status), "{}", ran.stderr);
        ran.stderr
    };
    let mut said = refused(&["old", "ringbuf/debian-12-6.1-cloud/x86_65"], 64);
    said.push_str(&refused(&["old", "nocell"], 64));
    said.push_str(&refused(&["old", "--out", "old"], 64));
    let mut met = fixture();
    for cell in met["cells"].as_array_mut().unwrap() {
        cell["outcome"] = "pass".into();
    }
    std::fs::write(dir.path().join("met.json"), met.to_string()).unwrap();
    said.push_str(&refused(&["met.json", "--failed"], 3));
    insta::assert_snapshot!("rerun_refused", said);
}

#[test]
fn a_shell_without_a_terminal_is_refused_before_anything_boots() {
    let dir = dir();
    let cell = fixture()["cells"][0]["id"].as_str().unwrap().to_owned();
    let ran = ukci(dir.path(), &["shell", &cell, "--report", "old"], &[]);
    assert_eq!(ran.status, Some(64), "{}", ran.stderr);
    insta::assert_snapshot!(ran.stderr, @r#"
    error: a shell needs a terminal, and the standard input of ukci is none

    hint: run the text of a script with `-c TEXT`, such as `-c "$(cat script.sh)"`
    "#);
}

#[test]
fn a_bless_needs_a_file() {
    let dir = dir();
    std::fs::write(dir.path().join("x.bpf.o"), b"\x7fELF").unwrap();
    let ran = ukci(
        dir.path(),
        &["check", "x.bpf.o", "-m", "quick", "--bless"],
        &[],
    );
    assert_eq!(ran.status, Some(64));
    assert!(
        ran.stderr.contains("`--bless` writes to a matrix file"),
        "{}",
        ran.stderr
    );
}

/// Ten thousand cells: 2000 prebuilt objects, for which twenty LLVMs are one, on five kernels.
#[test]
fn ten_thousand_cells_are_listed_and_dealt_in_a_moment() {
    let dir = tempfile::tempdir().unwrap();
    let llvms: Vec<String> = (1..=20).map(|n| format!("\"{n}\"")).collect();
    let matrix = format!(
        "[[cells]]\nkernels = [\"@cloud\"]\nllvms = [{}]\n",
        llvms.join(", ")
    );
    std::fs::write(dir.path().join("big.toml"), matrix).unwrap();
    let objects: Vec<PathBuf> = (0..2000)
        .map(|n| {
            let path = dir.path().join(format!("a{n}.bpf.o"));
            std::fs::write(&path, format!("\u{7f}ELF{n}")).unwrap();
            path
        })
        .collect();
    let mut args = vec!["list", "-m", "./big.toml", "--shard", "hash:1/4"];
    args.extend(objects.iter().map(|path| path.to_str().unwrap()));
    let ran = ukci(dir.path(), &args, &[]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let count = ran.stdout.lines().count();
    assert!(
        (2200..2800).contains(&count),
        "a quarter of ten thousand, not {count}"
    );
}
