//! Ends of runs: what is written, and that nothing is left.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::fixture::{K612, command, machine, machines, object, report, run, text, wait_until};

/// Starts a run of many cells and waits until a machine of it is up.
fn start_many(out: &Path) -> Child {
    let ringbuf = object("ringbuf");
    let mut command = command(&["check", text(&ringbuf), "--out", text(out)]);
    command.args(["--matrix", "quick", "--jobs", "2"]);
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    let marker = out.display().to_string();
    wait_until("a machine is up", Duration::from_mins(1), || {
        !machines(&marker).is_empty()
    });
    child
}

#[test]
fn ctrl_c_writes_the_report_of_what_finished_and_leaves_nothing() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let mut child = start_many(out.path());
    rustix::process::kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(
        machines(&out.path().display().to_string()),
        Vec::<String>::new()
    );
    let report = report(out.path());
    assert!(report.run.interrupted);
    assert!(report.summary.not_run > 0);
    assert_eq!(status.code(), Some(1), "cells have no verdict");
}

/// `timeout` signals its command and then its whole group: two signals within a moment, and one wish.
#[test]
fn what_timeout_ends_has_a_report() {
    let Some(_machine) = machine() else { return };
    for signal in ["INT", "HUP"] {
        let out = tempfile::tempdir().unwrap();
        let ringbuf = object("ringbuf");
        let check = command(&["check", text(&ringbuf), "--out", text(out.path())]);
        let mut timeout = Command::new("timeout");
        timeout.args(["-s", signal, "600"]).arg(check.get_program());
        timeout.args(check.get_args());
        timeout.args(["--matrix", "quick", "--jobs", "1"]);
        let variables = check
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?)));
        timeout
            .envs(variables)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let mut child = timeout.spawn().unwrap();
        let marker = out.path().display().to_string();
        wait_until("a machine is up", Duration::from_mins(1), || {
            !machines(&marker).is_empty()
        });
        // Its time is over.
        rustix::process::kill_process(Pid::from_child(&child), Signal::ALARM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(124), "{signal}");
        wait_until("every machine is gone", Duration::from_secs(10), || {
            machines(&marker).is_empty()
        });
        let report = report(out.path());
        assert!(
            report.run.interrupted && report.summary.not_run > 0,
            "{signal}"
        );
    }
}

/// The report cannot be written, because nobody reads the pipe.
#[test]
fn a_second_signal_ends_a_run_that_the_first_cannot() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let pipe = out.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let (ringbuf, to) = (object("ringbuf"), out.path().join("out"));
    let mut command = command(&[
        "check",
        text(&ringbuf),
        "--out",
        text(&to),
        "--kernel",
        K612,
    ]);
    command
        .arg("--format")
        .arg(format!("junit={}", text(&pipe)));
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    wait_until("the report is written", Duration::from_mins(2), || {
        to.join("report.json").exists()
    });
    let pid = Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::INT).unwrap();
    wait_until("it has ended", Duration::from_secs(30), || {
        // The first of them that is a moment later than the first of all is the second.
        let _ = rustix::process::kill_process(pid, Signal::INT);
        child.try_wait().unwrap().is_some()
    });
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn nothing_outlives_a_killed_ukci() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let mut child = start_many(out.path());
    rustix::process::kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    let marker = out.path().display().to_string();
    wait_until("every machine is gone", Duration::from_secs(10), || {
        machines(&marker).is_empty()
    });
}

#[test]
fn eight_at_once_leave_no_process_and_no_directory() {
    let Some(_machine) = machine() else { return };
    let runtime = tempfile::tempdir().unwrap();
    let copies = tempfile::tempdir().unwrap();
    // Forty in a row is the soak that a change of the machine asks for.
    let count = if std::env::var_os("UKCI_TEST_SOAK").is_some() {
        40
    } else {
        8
    };
    let objects: Vec<PathBuf> = (0..count)
        .map(|n| {
            let copy = copies.path().join(format!("copy{n:02}.bpf.o"));
            std::fs::copy(object("ringbuf"), &copy).unwrap();
            copy
        })
        .collect();
    let ran = run(|command| {
        command
            .args(&objects)
            .args(["--kernel", K612, "--jobs", "8"]);
        command.env("XDG_RUNTIME_DIR", runtime.path());
    });
    assert_eq!(ran.report.summary.pass, count, "{}", ran.stderr);
    let left: Vec<_> = std::fs::read_dir(runtime.path())
        .unwrap()
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(
        machines(&runtime.path().display().to_string()),
        Vec::<String>::new()
    );
}
