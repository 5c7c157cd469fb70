//! What commands read: ukci's own standard input, which can be given once.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::fixture::{K61, K612, command, machine, text};

/// Runs it with this input, and returns what it printed and its stderr as text.
fn fed(command: &mut Command, input: &[u8]) -> (Output, String) {
    let piped = || Stdio::piped();
    let command = command.stdin(piped()).stdout(piped()).stderr(piped());
    let mut child = command.spawn().unwrap();
    // It may have refused its command line already.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

fn exec(out: &Path, kernels: &[&str], words: &[&str]) -> Command {
    let mut exec = command(&["exec", "--out", text(out)]);
    for kernel in kernels {
        exec.args(["--kernel", kernel]);
    }
    exec.args(words);
    exec
}

#[test]
fn input_is_given_to_one_cell() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let words = ["--stdin", "-", "--shell", "cat"];
    let (ran, stderr) = fed(&mut exec(&out, &[K61, K612], &words), b"x\n");
    assert_eq!(ran.status.code(), Some(64), "{stderr}");
    let refusal = "error: 2 cells are selected, and only one can read `--stdin -`";
    assert!(stderr.contains(refusal), "{stderr}");
    assert!(stderr.contains("`--stdin FILE`"), "{stderr}");
    assert!(!out.exists());
}

#[test]
fn a_cell_whose_input_is_gone_is_not_run_again() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (out, again) = (dir.path().join("out"), dir.path().join("again"));
    let (ran, stderr) = fed(
        &mut exec(&out, &[K61], &["--stdin", "-", "--shell", "cat"]),
        b"x\n",
    );
    assert_eq!(
        (ran.status.code(), &ran.stdout[..]),
        (Some(0), &b"x\n"[..]),
        "{stderr}"
    );
    let mut rerun = command(&["rerun", text(&out), "--out", text(&again)]);
    let (ran, stderr) = fed(&mut rerun, b"");
    assert_eq!(ran.status.code(), Some(64), "{stderr}");
    assert!(stderr.contains("cannot run again"), "{stderr}");
    assert!(stderr.contains("--stdin FILE"), "{stderr}");
    assert!(!again.exists());
}
