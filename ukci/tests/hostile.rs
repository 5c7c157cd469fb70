//! Attacks by text: every string of a report, a lock and a file name is hostile, and nothing of it
//! acts on a terminal or can be taken for a line of ours.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use ukci_harness::render::is_active;

#[path = "../../harness/tests/hostile_report/mod.rs"]
mod hostile_report;

use hostile_report::{EVIL, hostile};

struct Ran {
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
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Text without styles (SGR).
fn without_styles(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';');
        let end = end.filter(|end| after[*end..].starts_with('m'));
        let end = end.unwrap_or_else(|| panic!("not a style: {after:.20?} in {text:?}"));
        rest = &after[end + 1..];
    }
    plain + rest
}

/// Asserts that nothing acts and nothing is forged; returns whether any of the evil is shown.
fn assert_harmless(what: &str, text: &str) -> bool {
    let plain = without_styles(text);
    let active = plain.chars().find(|c| *c != '\n' && is_active(*c));
    assert_eq!(active, None, "{what}: {plain}");
    // A line that is wrapped may begin anywhere in a string, but never in the column of our words.
    for line in plain.lines() {
        for forged in [
            "     Summary [   1.000s]",
            "::error file=x",
            "##[",
            "# PWNED",
        ] {
            assert!(!line.starts_with(forged), "{what}: forged: {line}");
        }
    }
    plain.contains("10 passed") && plain.contains("\\u")
}

/// A directory with two hostile reports: `old`, and `new`, in which everything has changed.
fn dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut report = hostile();
    let put = |name: &str, report: &Value| {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        let file = dir.path().join(name).join("report.json");
        std::fs::write(file, report.to_string()).unwrap();
    };
    put("old", &report);
    for cell in report["cells"].as_array_mut().unwrap() {
        cell["verdict"] = "pass".into();
        cell["outcome"] = "pass".into();
        cell["diagnosis"] = Value::Null;
        for program in cell["programs"].as_array_mut().unwrap() {
            if let Some(insns) = program.pointer_mut("/verifier/insns") {
                *insns = 900_000.into();
            }
        }
    }
    put("new", &report);
    dir
}

#[test]
fn a_report_whose_every_string_is_hostile_is_shown_harmless() {
    let dir = dir();
    for args in [
        ["report", "render", "old"].as_slice(),
        &["--color", "always", "report", "render", "old"],
        &["report", "render", "old", "--format", "markdown"],
        &["report", "render", "old", "--format", "github"],
        &["report", "render", "old", "--format", "html"],
        &["report", "render", "old", "--format", "json"],
        &["report", "diff", "old", "new", "--max-growth-percent", "1"],
        &["report", "diff", "old", "new", "--format", "markdown"],
        &["report", "diff", "old", "new", "--format", "json"],
        &["report", "verifier", "old", "--max-insns", "1"],
        &["report", "verifier", "old", "--format", "markdown"],
        &["report", "verifier", "old", "--format", "json"],
    ] {
        let ran = ukci(dir.path(), args, &[]);
        let shown = [&ran.stdout, &ran.stderr].map(|text| assert_harmless(&args.join(" "), text));
        let shown = shown.contains(&true);
        assert!(shown, "{}: {}{}", args.join(" "), ran.stdout, ran.stderr);
    }
}

/// GitHub's runner trims a line, takes `::name` at its start, and `##[name]` anywhere in it.
#[test]
fn the_plain_log_holds_no_workflow_command() {
    let dir = dir();
    let mut report: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("old/report.json")).unwrap())
            .unwrap();
    for cell in report["cells"].as_array_mut().unwrap() {
        cell["artifact"] = format!("::error::{}", cell["artifact"].as_str().unwrap()).into();
    }
    std::fs::write(dir.path().join("old/report.json"), report.to_string()).unwrap();
    for args in [
        ["report", "render", "old"].as_slice(),
        &["report", "diff", "old", "new"],
        &["report", "verifier", "old", "--max-insns", "1"],
        &["rerun", "old", "::error::x"],
        &["check", "##[add-mask]x.bpf.o"],
        &["check", "--arch", "##[add-mask]x"],
        &["##[add-mask]x"],
    ] {
        let ran = ukci(dir.path(), args, &[("GITHUB_ACTIONS", "true")]);
        for line in (ran.stdout + &ran.stderr).lines() {
            assert!(!line.trim_start().starts_with("::"), "{line}");
            assert!(!line.contains("##["), "{line}");
        }
    }
}

#[test]
fn names_of_the_command_line_forge_nothing() {
    let dir = dir();
    let name = "x\u{1b}[2J\r\n     Summary [   1.000s] 10 cells: 10 passed\u{9b}\u{202e}";
    let object = format!("{name}.bpf.o");
    std::fs::write(dir.path().join(&object), "not an object").unwrap();
    for args in [
        ["check", "--kernel", name, object.as_str()].as_slice(),
        &["check", "--matrix", name, &object],
        &["check", &format!("{name}.missing")],
        &["check", "--manifest", name, &object],
        &["list", "--matrix", name],
        &["list", &object],
        &["list", &object, "--format", "json"],
        &["report", "render", name],
        &["rerun", "old", name],
        &["rerun", "old", "--out", name],
        &["shell", name, "--report", "old"],
        &["kernels", "show", name],
        &["kernels", "fetch", name],
        &["explain", name],
        &["help", name],
        &["check", "--arch", name, &object],
        &["check", &format!("--{name}"), &object],
        &[name],
        &["--color", name, "doctor"],
        &["report", "render", "old", "--format", &format!("{name}=x")],
        &["plan", &object, "--kernel", name],
        &["kernels", "features", name],
        &["kernels", "unpack", name],
        &["manifest", "import", name],
        &["init", name],
        &["manifest", "suggest", name],
    ] {
        let ran = ukci(dir.path(), args, &[]);
        let what = args.join(" ").escape_debug().to_string();
        assert_harmless(&what, &ran.stdout);
        assert_harmless(&what, &ran.stderr);
        assert!(!(ran.stdout + &ran.stderr).is_empty(), "{what}");
    }
}

/// The places that a host gives, and what ukci traces about them.
#[test]
fn a_host_whose_paths_are_hostile_is_shown_harmless() {
    let dir = dir();
    let evil = "c\u{1b}[2J\r\n     Summary [   1.000s] 10 cells: 10 passed\u{9b}\u{202e}";
    let cache = dir.path().join(evil);
    std::fs::create_dir(&cache).unwrap();
    // Nothing can be remembered in it, which is traced.
    std::fs::write(cache.join("ukci"), "a file").unwrap();
    let cache = cache.to_str().unwrap();
    for args in [
        ["doctor"].as_slice(),
        &["-vv", "kernels", "fetch", "debian-12-6.1-cloud"],
        &[
            "report",
            "render",
            "old",
            "--format",
            &format!("junit={evil}/no/x"),
        ],
        &["--help"],
    ] {
        let env = [
            ("XDG_CACHE_HOME", cache),
            ("TMPDIR", cache),
            ("UKCI_LOG", "trace"),
            ("PATH", "/usr/bin:/bin"),
            ("UKCI_MIRROR_DEBIAN", "http://127.0.0.1:9/"),
            ("UKCI_MIRROR_DEBIAN_SECURITY", "http://127.0.0.1:9/"),
        ];
        let ran = ukci(dir.path(), args, &env);
        assert_harmless(&args.join(" "), &ran.stdout);
        assert_harmless(&args.join(" "), &ran.stderr);
        assert!(!(ran.stdout + &ran.stderr).is_empty(), "{}", args.join(" "));
    }
}

#[test]
fn a_lock_whose_names_are_hostile_is_shown_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let text = include_str!("../../kernels/lock.json");
    let mut lock: Value = serde_json::from_str(text).unwrap();
    for kernel in lock["kernels"].as_array_mut().unwrap() {
        for field in ["name", "uname"] {
            kernel[field] = format!("{}{EVIL}", kernel[field].as_str().unwrap()).into();
        }
    }
    let name = lock["kernels"][0]["name"].as_str().unwrap().to_owned();
    std::fs::write(dir.path().join("lock.json"), lock.to_string()).unwrap();
    let env = [("UKCI_LOCK", "lock.json")];
    for args in [
        ["kernels", "list"].as_slice(),
        &["kernels", "show", &name],
        &["kernels", "show", "none"],
        &["doctor"],
    ] {
        let ran = ukci(dir.path(), args, &env);
        assert_harmless(&args.join(" "), &ran.stdout);
        assert_harmless(&args.join(" "), &ran.stderr);
        assert!(!(ran.stdout + &ran.stderr).is_empty());
    }
}

/// The commands that take a cell further are copied into a shell.
#[test]
fn commands_of_a_report_run_nothing_of_its_names() {
    let dir = tempfile::tempdir().unwrap();
    let text = include_str!("../../harness/tests/fixtures/report.json");
    let mut report: Value = serde_json::from_str(text).unwrap();
    let name = |name: &Value| format!("{}'$(touch PWNED)`touch PWNED` ;x", name.as_str().unwrap());
    for artifact in report["artifacts"].as_array_mut().unwrap() {
        artifact["name"] = name(&artifact["name"]).into();
        artifact["path"] = name(&artifact["path"]).into();
    }
    for cell in report["cells"].as_array_mut().unwrap() {
        for field in ["id", "artifact"] {
            cell[field] = name(&cell[field]).into();
        }
    }
    std::fs::create_dir(dir.path().join("it's")).unwrap();
    std::fs::write(dir.path().join("it's/report.json"), report.to_string()).unwrap();
    let ran = ukci(dir.path(), &["report", "render", "it's"], &[]);
    let mut commands = 0;
    for line in ran.stdout.lines().chain(ran.stderr.lines()) {
        let Some(("rerun" | "shell", command)) = line.trim().split_once("  ") else {
            continue;
        };
        let script = format!("ukci() {{ printf '%s\\n' \"$@\"; }}; {command}");
        let sh = Command::new("/bin/sh")
            .args(["-c", &script])
            .current_dir(dir.path())
            .output();
        let said = String::from_utf8(sh.unwrap().stdout).unwrap();
        let is_whole = |word: &str| word.contains("'$(touch PWNED)`touch PWNED` ;x");
        assert!(said.lines().any(is_whole), "{command}: {said}");
        commands += 1;
    }
    assert!(commands > 2, "{}{}", ran.stdout, ran.stderr);
    assert!(!dir.path().join("PWNED").exists());
}

/// Rust pads to less than 65,536 columns, and panics beyond.
#[test]
fn a_name_and_a_terminal_of_any_width_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    let text = include_str!("../../harness/tests/fixtures/report.json");
    let mut report: Value = serde_json::from_str(text).unwrap();
    let long = "x".repeat(70_000);
    for artifact in report["artifacts"].as_array_mut().unwrap() {
        artifact["name"] = format!("{}{long}", artifact["name"].as_str().unwrap()).into();
    }
    for cell in report["cells"].as_array_mut().unwrap() {
        cell["artifact"] = format!("{}{long}", cell["artifact"].as_str().unwrap()).into();
    }
    std::fs::write(dir.path().join("report.json"), report.to_string()).unwrap();
    let lock = include_str!("../../kernels/lock.json");
    let mut lock: Value = serde_json::from_str(lock).unwrap();
    let name = lock["kernels"][0]["name"].as_str().unwrap().to_owned();
    lock["kernels"][0]["name"] = (name + &long).into();
    std::fs::write(dir.path().join("lock.json"), lock.to_string()).unwrap();
    for columns in ["1", "70000", "99999999"] {
        let ran = ukci(
            dir.path(),
            &["report", "render", "."],
            &[("COLUMNS", columns)],
        );
        assert!(
            !ran.stderr.contains("panicked"),
            "{columns}: {:.300}",
            ran.stderr
        );
        assert!((ran.stdout + &ran.stderr).contains("Summary"), "{columns}");
        let env = [("COLUMNS", columns), ("UKCI_LOCK", "lock.json")];
        let ran = ukci(dir.path(), &["kernels", "list"], &env);
        assert!(
            !ran.stderr.contains("panicked"),
            "{columns}: {:.300}",
            ran.stderr
        );
        assert!(
            ran.stdout.contains("debian-12-6.1"),
            "{columns}: {:.300}",
            ran.stderr
        );
    }
}
