//! The directory of a run belongs to one run at a time, and holds no report but that run's.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, symlink};
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
fn a_merge_waits_for_nobody_and_writes_through_no_link() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let report = include_str!("../../harness/tests/fixtures/report.json");
    for name in ["one/cells/x", "one/artifacts", "all", "outside"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    fs::write(at("one/report.json"), report).unwrap();
    fs::write(at("one/cells/x/cell.json"), "new").unwrap();
    fs::write(at("all/junit.xml"), "of a former run").unwrap();
    fs::write(at("outside/cell.json"), "kept").unwrap();
    let merge = ["report", "merge", "one", "--out", "all"];

    let lock = File::create(at("all/.ukci-lock")).unwrap();
    lock.lock().unwrap();
    let (status, stderr) = ukci(dir.path(), &merge);
    assert_eq!(status, 1, "{stderr}");
    let said = "error: another ukci is writing to `all`";
    assert!(stderr.starts_with(said), "{stderr}");
    drop(lock);

    fs::remove_file(at("all/.ukci-lock")).unwrap();
    symlink(at("outside/cell.json"), at("all/.ukci-lock")).unwrap();
    let (status, stderr) = ukci(dir.path(), &merge);
    assert_eq!(status, 1, "{stderr}");
    assert!(
        stderr.contains("failed to open `all/.ukci-lock`"),
        "{stderr}"
    );
    fs::remove_file(at("all/.ukci-lock")).unwrap();

    for link in ["all/cells", "all/cells/x"] {
        fs::create_dir_all(at(link).parent().unwrap()).unwrap();
        symlink(at("outside"), at(link)).unwrap();
        let (status, stderr) = ukci(dir.path(), &merge);
        assert_eq!(status, 1, "{stderr}");
        assert!(stderr.contains("symbolic link"), "{stderr}");
        fs::remove_file(at(link)).unwrap();
    }
    assert!(!at("all/junit.xml").exists() && !at("all/report.json").exists());
    assert_eq!(fs::read_to_string(at("outside/cell.json")).unwrap(), "kept");

    let (_, stderr) = ukci(dir.path(), &merge);
    assert!(at("all/report.json").exists(), "{stderr}");
    assert_eq!(
        fs::read_to_string(at("all/cells/x/cell.json")).unwrap(),
        "new"
    );
    // Its own report is one of those that it is made of.
    let (_, stderr) = ukci(dir.path(), &["report", "merge", "all", "--out", "all"]);
    assert!(at("all/report.json").exists(), "{stderr}");
}

#[test]
fn a_pipe_that_a_report_is_written_to_stays_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let report = include_str!("../../harness/tests/fixtures/report.json");
    fs::write(dir.path().join("report.json"), report).unwrap();
    let pipe = dir.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // Both ends, so that nobody waits.
    let mut held = File::options().read(true).write(true).open(&pipe).unwrap();
    let render = ["report", "render", ".", "--format", "markdown=pipe"];
    let (_, stderr) = ukci(dir.path(), &render);
    assert!(
        fs::metadata(&pipe).unwrap().file_type().is_fifo(),
        "{stderr}"
    );
    let mut start = [0; 2];
    held.read_exact(&mut start).unwrap();
    assert_eq!(&start, b"##", "{stderr}");
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

/// A path that no report can be written to is found before anything is run, and nothing is made.
#[test]
fn a_format_whose_file_has_no_directory_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("there")).unwrap();
    for path in ["absent/x.xml", "there"] {
        let format = format!("junit={path}");
        let args = ["exec", "--shell", "true", "--format", &format];
        let args = [&args[..], &["--kernel", "no-such-kernel"]].concat();
        let (status, stderr) = ukci(dir.path(), &args);
        assert_eq!(status, 64, "{stderr}");
        assert!(
            stderr.contains(&format!("failed to write `{path}`")),
            "{stderr}"
        );
        assert!(!dir.path().join("ukci-out").exists());
    }
    // The directory of the reports need not be there yet.
    let args = [
        "check",
        "absent.bpf.o",
        "--out",
        "new",
        "--format",
        "junit=new/x.xml",
    ];
    let (_, stderr) = ukci(dir.path(), &args);
    assert!(stderr.contains("absent.bpf.o"), "{stderr}");
}
