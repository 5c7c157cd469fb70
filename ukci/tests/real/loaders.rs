//! The whole examples of docs/running.md: loaders with four libraries, compiled as the page has them, and
//! run in real kernels.
//!
//! The one in C is always compiled, and the one in Go if Debian's package of its library is installed.
//! Those in Rust need crates of the registry, which takes a minute: `UKCI_TEST_LOADERS` has them
//! compiled too.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ukci_schema::report::TestOutcome;

use crate::fixture::{K61, K612, answer, command, machine, object, report, root, run, text};

/// Where Debian installs `golang-github-cilium-ebpf-dev`.
const GO_PATH: &str = "/usr/share/gocode";

/// The block of this language after this heading.
fn block(heading: &str, language: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/running.md")).unwrap();
    let (_, rest) = page.split_once(&format!("\n### {heading}\n")).unwrap();
    let section = rest.split("\n### ").next().unwrap();
    let (_, code) = section.split_once(&format!("\n```{language}\n")).unwrap();
    let (code, _) = code.split_once("```").unwrap();
    code.to_owned()
}

/// Runs a loader in two kernels, in which it must get an event of its own.
fn load(dir: &Path, loader: &Path) {
    let out = dir.join("out");
    let object = object("ringbuf");
    let mut exec = command(&["exec", "--kernel", K61, "--kernel", K612]);
    exec.args(["--out", text(&out), "--artifact", text(&object)]);
    let ran = exec.arg("--").arg(loader).arg(&object).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(0), "{said}");
    let shown = String::from_utf8_lossy(&ran.stdout).into_owned();
    let events = shown.matches("loader called getppid\n").count();
    assert_eq!(events, 2, "{shown}");
    for cell in report(&out).cells {
        let names: Vec<&str> = cell.programs.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["handle_getppid"], "{}", cell.kernel);
    }
}

fn succeeded(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// A directory with libbpf and what it needs, as the agent or its tests were built with them.
pub(crate) fn libbpf() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_ukci")).parent().unwrap();
    let agents = root().join("target/guest-x86_64");
    let targets = std::fs::read_dir(&agents).into_iter().flatten().flatten();
    let agents = targets.map(|target| target.path().join("agent/build"));
    let dirs = std::iter::once(built.join("build")).chain(agents);
    let packages = dirs.flat_map(|dir| std::fs::read_dir(dir).into_iter().flatten().flatten());
    packages
        .map(|package| package.path().join("out"))
        .find(|out| out.join("libbpf.a").exists() && out.join("libz.a").exists())
}

#[test]
fn the_functional_test_gets_its_event() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let manifest = dir.path().join("ringbuf.toml");
    std::fs::write(&manifest, block("Without a loader", "toml")).unwrap();
    let ran = run(|check| {
        check.args(["--kernel", K61, "--kernel", K612]);
        check
            .args(["--manifest", text(&manifest)])
            .arg(object("ringbuf"));
    });
    for kernel in [K61, K612] {
        let cell = ran.cell("ringbuf", kernel);
        assert_eq!(answer(cell), "pass", "{}", ran.stderr);
        let tests: Vec<TestOutcome> = cell.tests.iter().map(|test| test.outcome).collect();
        assert_eq!(tests, [TestOutcome::Pass], "{kernel}");
    }
}

#[test]
fn the_loader_in_c_gets_its_event() {
    let Some(_machine) = machine() else { return };
    let Some(libbpf) = libbpf() else {
        eprintln!("skipped: no libbpf was built here");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("loader.c");
    std::fs::write(&source, block("libbpf and C", "c")).unwrap();
    let loader = dir.path().join("loader");
    let mut cc = Command::new("cc");
    cc.arg("-I").arg(root().join("target/include"));
    cc.arg("-o").arg(&loader).arg(&source);
    cc.args(["libbpf.a", "libelf.a", "libz.a"].map(|name| libbpf.join(name)));
    let Ok(built) = cc.output() else {
        eprintln!("skipped: there is no C compiler");
        return;
    };
    succeeded(&built);
    load(dir.path(), &loader);
}

#[test]
fn the_loader_in_go_gets_its_event() {
    let Some(_machine) = machine() else { return };
    if !Path::new(GO_PATH)
        .join("src/github.com/cilium/ebpf")
        .exists()
    {
        eprintln!("skipped: the package golang-github-cilium-ebpf-dev is not installed");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("loader.go");
    std::fs::write(&source, block("Go", "go")).unwrap();
    let loader = dir.path().join("loader");
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&loader).arg(&source);
    go.env("GO111MODULE", "off").env("GOPATH", GO_PATH);
    let Ok(built) = go.output() else {
        eprintln!("skipped: there is no Go");
        return;
    };
    succeeded(&built);
    load(dir.path(), &loader);
}

#[test]
fn the_tests_in_rust_get_their_event() {
    let Some(_machine) = machine() else { return };
    if std::env::var_os("UKCI_TEST_LOADERS").is_none() {
        eprintln!("skipped: set `UKCI_TEST_LOADERS=1` to compile aya and libbpf-rs");
        return;
    }
    for heading in ["libbpf-rs", "aya"] {
        let dir = tempfile::tempdir().unwrap();
        for part in ["src", "tests"] {
            std::fs::create_dir(dir.path().join(part)).unwrap();
        }
        let write = |path: &str, text: String| std::fs::write(dir.path().join(path), text).unwrap();
        write("Cargo.toml", block(heading, "toml"));
        write("tests/kernel.rs", block(heading, "rust"));
        write("src/lib.rs", String::new());
        let object = object("ringbuf");
        let runner = command(&["runner", "--kernel", K61, "--file", text(&object)]);
        let words = runner.get_args().map(|word| word.to_str().unwrap());
        let words = words.collect::<Vec<_>>().join(" ");
        let mut cargo = Command::new("cargo");
        cargo
            .args(["test", "--", "--ignored"])
            .current_dir(dir.path())
            .env("OBJECT", &object)
            .env_remove("CARGO_TARGET_DIR")
            .env(
                "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER",
                format!("{} {words}", text(Path::new(runner.get_program()))),
            );
        for (name, value) in runner.get_envs() {
            cargo.env(name, value.unwrap());
        }
        let tested = cargo.output().unwrap();
        succeeded(&tested);
        let said = String::from_utf8_lossy(&tested.stdout).into_owned();
        assert!(
            said.contains("an_event_of_getppid_arrives ... ok"),
            "{said}"
        );
    }
}
