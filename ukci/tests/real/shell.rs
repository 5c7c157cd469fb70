//! `ukci shell`: the cell's machine, with a command in place of a person.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{K612, check, command, machine, object, text, ukci};

#[test]
fn a_shell_has_the_cell_and_ends_with_the_commands_status() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let ran = check(out.path(), |command| {
        command.arg(object("unchecked_deref"));
        command.args(["--kernel", K612]);
    });
    let cell = ran.cell("unchecked_deref", K612);
    let release = &ran.report.kernels[&format!("{K612}/x86_64")].release;
    let shell = |command: &str| {
        let (output, stderr) = ukci(&[
            "shell",
            &cell.id,
            "--report",
            text(out.path()),
            "-c",
            command,
        ]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said, stderr)
    };
    let (status, said, stderr) = shell("uname -r; ls /cell; ukci-guest check; exit 7");
    assert_eq!(status, Some(7), "{said}\n{stderr}");
    assert!(said.contains(release.as_str()), "{said}");
    assert!(said.contains("unchecked_deref.bpf.o"), "{said}");
    // What the cell's diagnosis is made of, seen from inside.
    assert!(said.contains("load refused: Permission denied"), "{said}");
    assert!(
        said.contains("R0 invalid mem access 'map_value_or_null'"),
        "{said}"
    );

    let (status, said, stderr) = shell("kill -9 $$");
    assert_eq!(status, Some(137), "{said}\n{stderr}");

    let late = ["shell", &cell.id, "--report", text(out.path())];
    let late = [&late[..], &["-c", "sleep 600", "--timeout", "5s"]].concat();
    let (output, stderr) = ukci(&late);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("did not end within 5s"), "{stderr}");
    // As `timeout` and a job that is canceled end it.
    let args = [
        "shell",
        &cell.id,
        "--report",
        text(out.path()),
        "-c",
        "echo up; sleep 600",
    ];
    let mut child = command(&args).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().trim() == "up"));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));

    let (output, stderr) = ukci(&[
        "shell",
        "unchecked_deref/6.12",
        "--report",
        text(out.path()),
    ]);
    assert_eq!(output.status.code(), Some(64));
    assert!(stderr.contains("the report has no cell"), "{stderr}");
}
