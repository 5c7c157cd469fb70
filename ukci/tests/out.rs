//! The directory of a run belongs to one run at a time, and holds no report but that run's.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

/// Status and stderr of a command in this directory, without anything from outside.
fn ukci(dir: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .args(args)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().unwrap_or(-1), stderr)
}

#[test]
fn a_second_run_into_a_directory_is_told_who_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("out")).unwrap();
    let path = dir.path().join("out/.ukci-lock");
    fs::write(&path, "process 77: ukci check \u{1b}[31mx.bpf.o\n").unwrap();
    fs::write(dir.path().join("out/report.json"), "of the other run").unwrap();
    let lock = File::options().read(true).write(true).open(&path).unwrap();
    lock.lock().unwrap();
    let check = ["check", "absent.bpf.o", "--out", "out"];
    let (status, stderr) = ukci(dir.path(), &check);
    assert_eq!(status, 1, "{stderr}");
    let said =
        "error: another ukci is writing to `out` (process 77: ukci check \\u{1b}[31mx.bpf.o)";
    assert!(stderr.starts_with(said), "{stderr}");
    assert!(stderr.contains("hint: wait until it has ended"), "{stderr}");
    assert!(dir.path().join("out/report.json").exists());

    drop(lock);
    let (_, stderr) = ukci(dir.path(), &check);
    assert!(stderr.contains("absent.bpf.o"), "{stderr}");
    let holder = fs::read_to_string(&path).unwrap();
    assert!(holder.starts_with("process ") && holder.ends_with(" check absent.bpf.o --out out\n"));
}

#[test]
fn a_run_that_fails_leaves_no_report_of_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    fs::create_dir_all(out.join("cells/x")).unwrap();
    let reports = [
        "report.json",
        "report.md",
        "summary.md",
        "junit.xml",
        "report.html",
    ];
    for name in reports {
        fs::write(out.join(name), "1 passed").unwrap();
    }
    for name in ["out/cells/x/cell.json", "out/notes.txt", "mine.xml"] {
        fs::write(dir.path().join(name), "kept").unwrap();
    }
    let args = [
        "check",
        "absent.bpf.o",
        "--out",
        "out",
        "--format",
        "junit=mine.xml",
    ];
    let (status, stderr) = ukci(dir.path(), &args);
    assert_ne!(status, 0, "{stderr}");
    for name in reports {
        assert!(!out.join(name).exists(), "{name} is of a former run");
    }
    assert!(!dir.path().join("mine.xml").exists());
    assert!(out.join("cells/x/cell.json").exists() && out.join("notes.txt").exists());

    // A directory is not made for a run that never starts.
    ukci(dir.path(), &["check", "absent.bpf.o", "--out", "new"]);
    assert!(!dir.path().join("new").exists());
}
