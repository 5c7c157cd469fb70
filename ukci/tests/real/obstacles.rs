//! Commands that meet an obstacle: what the agent refuses, an output that nobody takes, and files that
//! cannot come back.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use crate::fixture::{K61, K612, command, machine, report, text};

#[test]
fn what_the_agent_refuses_before_the_command_starts_is_an_error_in_its_words() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, "#!/bin/sh\r\ntrue\r\n").unwrap();
    let executable = PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).unwrap();
    let file = format!("{}:/proc/x", text(&script));
    let cases: [(&[&str], &str); 3] = [
        (&["--module", "nosuch", "sh", "-c", "true"], "`nosuch`"),
        (
            &["--file", &file, "sh", "-c", "true"],
            "`/proc/x` cannot be replaced",
        ),
        (&[text(&script)], "could not start"),
    ];
    for (words, why) in cases {
        let output = command(&["runner", "--kernel", K61])
            .args(words)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(125), "{stderr}");
        assert!(stderr.contains(why), "{stderr}");
    }
}

#[test]
fn an_output_without_a_reader_ends_the_command_and_a_full_device_is_an_error() {
    let Some(_machine) = machine() else { return };
    let mut child = command(&["runner", "--kernel", K61, "sh", "-c", "yes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Its reader goes away at once.
    drop(child.stdout.take());
    let ended = child.wait().unwrap();
    // A shell that starts `yes` as its child reports SIGPIPE as 141; one that becomes `yes` dies of it.
    let status = ended.code().or(ended.signal().map(|signal| 128 + signal));
    assert_eq!(status, Some(141));
    let full = std::fs::File::options().write(true).open("/dev/full");
    let output = command(&["runner", "--kernel", K61, "sh", "-c", "echo lost"])
        .stdout(full.unwrap())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
        .wait_with_output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
}

#[test]
fn what_does_not_come_back_is_said_and_a_program_stays_executable() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let back = dir.path().join("back");
    let commands = "cd $UKCI_OUT; echo >x; chmod +x x; ln -s x link; mkfifo pipe; mkdir empty";
    let run = |back: &Path| {
        command(&["runner", "--kernel", K61, "sh", "-c", commands])
            .env("UKCI_OUT", back)
            .output()
            .unwrap()
    };
    let output = run(&back);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    for lost in [
        "link: it is a symbolic link",
        "pipe: it is a pipe",
        "empty: it is an empty directory",
    ] {
        assert!(stderr.contains(lost), "{stderr}");
    }
    let x = std::fs::metadata(back.join("x")).unwrap();
    assert_eq!(x.permissions().mode() & 0o100, 0o100);
    // What is no directory is refused, and nothing boots.
    let output = run(&back.join("x"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{stderr}");
    assert!(stderr.contains("no directory"), "{stderr}");
}

/// `-q` is about what ukci says itself, which begins on a line of its own.
#[test]
fn a_quiet_run_shows_what_commands_write() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let run = |kernels: &[&str], redirected: &str| {
        let kernels: Vec<String> = kernels.iter().map(|k| format!("--kernel {k}")).collect();
        let line = format!(
            "exec \"$0\" exec -q --timeout 50s --out \"$1\" {} --shell 'printf visible' {redirected}",
            kernels.join(" ")
        );
        let ukci = command(&[]);
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-c", &line])
            .arg(ukci.get_program())
            .arg(out.path());
        for (name, value) in ukci.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let both = run(&[K61, K612], "2>/dev/null");
    let mut lines: Vec<&str> = both.lines().collect();
    lines.sort_unstable();
    let expected = [K61, K612].map(|kernel| format!("shell/{kernel} | visible"));
    assert_eq!(lines, expected);
    // The two streams are one.
    let one = run(&[K61], "2>&1");
    assert!(one.starts_with("visible\n"), "{one}");
    // What is not one stays byte for byte.
    assert_eq!(run(&[K61], "2>/dev/null"), "visible");
    let report = report(out.path());
    assert_eq!(report.run.asked.options, ["--timeout", "50s"]);
}
