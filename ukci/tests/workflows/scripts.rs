//! The scripts of `.github` that need no GitHub: run in a directory of their own, with what they
//! call written down.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{read, root, steps};

/// An empty directory, with programs that stand in for others in front of `PATH`.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("bin")).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// A shell script in `PATH`, or at a path of its own.
    fn program(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a script of the tree in this directory; its answers are in `output`, `summary`, `env`.
    fn run(&self, script: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new(script)
            .current_dir(self.0.path())
            .args(args)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env_remove("XDG_CACHE_HOME")
            .env("GITHUB_OUTPUT", self.path("output"))
            .env("GITHUB_STEP_SUMMARY", self.path("summary"))
            .env("GITHUB_ENV", self.path("env"))
            .envs(env.iter().copied())
            .output()
            .unwrap()
    }
}

fn script(name: &str) -> PathBuf {
    root().canonicalize().unwrap().join(".github").join(name)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_key_changes_with_what_it_names_and_nothing_else() {
    let place = Place::new();
    let keys = |env: &[(&str, &str)]| {
        std::fs::remove_file(place.path("output")).unwrap_or_default();
        let ran = place.run(&script("keys"), &[], env);
        assert!(ran.status.success(), "{}", said(&ran));
        let text = place.read("output");
        let value = |name: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            let value = lines.find(|(key, _)| *key == name).unwrap().1;
            assert!(!value.is_empty() && value.is_ascii(), "{name}");
            value.to_owned()
        };
        ["cache", "tool", "lock", "choice"].map(value)
    };
    let plain = keys(&[("MATRIX", "quick")]);
    assert_eq!(
        plain[0],
        place.path("home/.cache/ukci").display().to_string()
    );
    assert_eq!(plain, keys(&[("MATRIX", "quick")]));

    let arches = keys(&[("MATRIX", "quick"), ("ARCHES", "riscv64")]);
    assert_ne!(plain[1], arches[1], "another agent is built");
    assert_eq!(plain[2], arches[2]);

    for other in [
        ("KERNELS", "debian-12-6.1"),
        ("SHARD", "count:1/4"),
        ("OPTIONS", "-k x"),
    ] {
        let other = keys(&[("MATRIX", "quick"), other]);
        assert_eq!(plain[..3], other[..3]);
        assert_ne!(plain[3], other[3], "other kernels are taken");
    }
    place.write("my matrix.toml", "[[cells]]\n");
    let mine = keys(&[("MATRIX", "my matrix.toml")]);
    place.write("my matrix.toml", "[[cells]]\n# more\n");
    let more = keys(&[("MATRIX", "my matrix.toml")]);
    assert_ne!(mine[3], more[3], "a matrix is its content");
}

/// A copy of the tree's script, among a Makefile's and a package manager's stand-ins.
fn set_up(place: &Place, env: &[(&str, &str)]) -> Output {
    std::fs::create_dir_all(place.path("tree/.github")).unwrap();
    std::fs::copy(script("setup"), place.path("tree/.github/setup")).unwrap();
    place.program("tree/.setup/packages.sh", "echo \"packages $*\" >>../calls");
    place.program(
        "bin/make",
        "echo \"make $*\" >>../calls\ncase \"$*\" in *build*)\n\
         mkdir -p target/release target/include/bpf\n\
         touch target/release/ukci target/release/ukci-guest-x86_64 target/release/ukci-guest;;\nesac",
    );
    place.run(&place.path("tree/.github/setup"), &[], env)
}

#[test]
fn the_tool_is_built_once_for_a_key() {
    let place = Place::new();
    let key = ("TOOL", "0123");
    for calls in [
        "make packages tools ARCHES=x86_64 riscv64\nmake build target/include/bpf ARCHES=x86_64 riscv64\n",
        "make packages tools ARCHES=x86_64 riscv64\n",
    ] {
        let ran = set_up(&place, &[key, ("ARCHES", "x86_64 riscv64")]);
        assert!(ran.status.success(), "{}", said(&ran));
        assert_eq!(place.read("calls"), calls);
        std::fs::remove_file(place.path("calls")).unwrap();
    }
    let dir = place.path("home/.cache/ukci/action/0123");
    let lines = place.read("output");
    let (dir, mut lines) = (dir.display(), lines.lines());
    assert_eq!(lines.next(), Some(format!("ukci={dir}/ukci").as_str()));
    assert_eq!(
        lines.next(),
        Some(format!("headers={dir}/include").as_str())
    );
    assert!(
        place
            .path("home/.cache/ukci/action/0123/include/bpf")
            .is_dir()
    );
    assert!(
        place
            .path("home/.cache/ukci/action/0123/ukci-guest-x86_64")
            .is_file()
    );

    let other = set_up(&place, &[("TOOL", "4567")]);
    assert!(other.status.success(), "{}", said(&other));
    assert_eq!(
        place.read("calls"),
        "make packages tools\nmake build target/include/bpf\n"
    );
}

#[test]
fn what_is_missing_is_installed() {
    let place = Place::new();
    place.program("bin/clang-77", "");
    place.program("bin/bpftool", "exit 2");
    let env = [("TOOL", "0"), ("LLVMS", "77 78"), ("VMLINUX_H", "auto")];
    let ran = set_up(&place, &env);
    let calls = place.read("calls");
    let installed = calls.lines().last().unwrap();
    if installed == "packages clang-78 linux-tools-generic" {
        // Ubuntu, where the stand-in has installed nothing that could be found.
        return;
    }
    assert!(ran.status.success(), "{}", said(&ran));
    assert_eq!(installed, "packages clang-78 bpftool");

    // A bpftool that works, and compilers that are there.
    place.program("bin/bpftool", "");
    std::fs::remove_file(place.path("calls")).unwrap();
    let env = [("TOOL", "0"), ("LLVMS", "77"), ("VMLINUX_H", "auto")];
    assert!(set_up(&place, &env).status.success());
    assert_eq!(place.read("calls"), "make packages tools\n");
}

/// Two shards of the fixture report's cells, and what `ukci list` says there should be.
fn shards(place: &Place, extra: &str) -> Output {
    let whole: serde_json::Value =
        serde_json::from_str(include_str!("../../../harness/tests/fixtures/report.json")).unwrap();
    let cells = whole["cells"].as_array().unwrap();
    let (one, two) = cells.split_at(cells.len() / 2);
    for (name, cells) in [("a", one), ("b", two)] {
        let mut shard = whole.clone();
        shard["cells"] = cells.into();
        place.write(&format!("shards/{name}/report.json"), &shard.to_string());
    }
    // A job that was lost before it had a report.
    place.write("shards/c/junit.xml", "");
    let ids: Vec<&str> = cells
        .iter()
        .filter_map(|cell| cell["id"].as_str())
        .collect();
    let listed = ids.join("  expect fail: MISSING_BTF\n");
    place.write("listed", &format!("{listed}\n{extra}"));
    place.program(
        "ukci",
        &format!(
            "[ \"$1\" = list ] || exec {} \"$@\"\necho \"$*\" >asked\nsort -r listed",
            env!("CARGO_BIN_EXE_ukci")
        ),
    );
    let ukci = place.path("ukci");
    place.run(
        &script("join"),
        &["shards", "out", "m.toml", "a.bpf.c", "b.bpf.c"],
        &[("UKCI", ukci.to_str().unwrap())],
    )
}

#[test]
fn shards_become_one_report_whatever_they_say() {
    let place = Place::new();
    let ran = shards(&place, "");
    // The fixture has cells of every outcome: the run that it describes was red.
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    assert_eq!(
        place.read("asked"),
        "list a.bpf.c b.bpf.c --matrix m.toml\n"
    );
    let summary = place.read("summary");
    assert!(summary.starts_with("## ukci: "), "{summary}");
    assert!(!summary.contains("in no shard"), "{summary}");
    assert!(place.read("out/report.html").starts_with("<!DOCTYPE html>"));
    let joined: serde_json::Value = serde_json::from_str(&place.read("out/report.json")).unwrap();
    let listed = place.read("listed");
    assert_eq!(
        joined["cells"].as_array().unwrap().len(),
        listed.lines().count()
    );
}

#[test]
fn a_lost_cell_is_told() {
    let place = Place::new();
    let ran = shards(&place, "x/debian-99/x86_64\n");
    assert!(!ran.status.success());
    let told = "**1 cells of the matrix are in no shard:**\n\n```text\nx/debian-99/x86_64\n```\n";
    assert!(
        place.read("summary").ends_with(told),
        "{}",
        place.read("summary")
    );
    assert!(said(&ran).contains("::error::1 cells"), "{}", said(&ran));

    let none = Place::new();
    std::fs::create_dir(none.path("shards")).unwrap();
    let ran = none.run(
        &script("join"),
        &["shards", "out", "m", "a"],
        &[("UKCI", "false")],
    );
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        said(&ran).contains("no shard left a report"),
        "{}",
        said(&ran)
    );
}

#[test]
fn the_newest_earlier_report_is_taken() {
    // Of four runs 9 is this one, 8 never had the artifact, 7's is broken; 6 has it.
    let gh = "case \"$1 $2\" in\n\"run list\") echo \"$*\" >asked; printf '9\\n8\\n7\\n6\\n5\\n';;\n\
              \"run download\") echo \"$3\" >>downloaded\n\
              case $3 in 8|5) exit 1;; esac\nmkdir last\n[ $3 = 7 ] || echo $3 >last/report.json;;\nesac";
    let env = [
        ("GITHUB_RUN_ID", "9"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_REPOSITORY", "o/r"),
    ];
    let args = ["weekly.yml", "weekly", "last"];
    let place = Place::new();
    place.program("bin/gh", gh);
    let ran = place.run(&script("last-report"), &args, &env);
    assert!(ran.status.success(), "{}", said(&ran));
    assert_eq!(place.read("downloaded"), "8\n7\n6\n");
    assert_eq!(place.read("last/report.json"), "6\n");
    let asked = place.read("asked");
    assert!(
        asked.contains("--repo o/r --workflow weekly.yml --branch main"),
        "{asked}"
    );
    assert_eq!(place.read("summary"), "");

    // The first week, or all have expired.
    let place = Place::new();
    place.program("bin/gh", &gh.replace("8|5", "*"));
    let ran = place.run(&script("last-report"), &args, &env);
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(!place.path("last").exists());
    assert_eq!(
        place.read("summary"),
        "There is no earlier report to compare with.\n"
    );
}

/// The text of `weekly.yml` itself, on the fixture report and one that costs twice as much.
#[test]
fn a_program_that_costs_more_fails_the_week() {
    let workflow = read(".github/workflows/weekly.yml");
    let compare = steps(&workflow)
        .into_iter()
        .filter_map(|(_, step)| step["run"].as_str())
        .find(|run| run.contains("report diff"))
        .unwrap()
        .to_owned();
    let fixture = include_str!("../../../harness/tests/fixtures/report.json");
    let mut dearer: serde_json::Value = serde_json::from_str(fixture).unwrap();
    let insns = &mut dearer["cells"][1]["programs"][0]["verifier"]["insns"];
    *insns = (insns.as_u64().unwrap() * 2).into();
    for (now, status) in [(fixture.to_owned(), 0), (dearer.to_string(), 2)] {
        let place = Place::new();
        place.write("last/report.json", fixture);
        place.write("weekly/report.json", &now);
        let ran = place.run(
            Path::new("bash"),
            &["--noprofile", "--norc", "-eo", "pipefail", "-c", &compare],
            &[("UKCI", env!("CARGO_BIN_EXE_ukci"))],
        );
        assert_eq!(ran.status.code(), Some(status), "{}", said(&ran));
        let summary = place.read("summary");
        assert_eq!(summary.contains("1 program grew"), status == 2, "{summary}");
    }
}

#[test]
fn an_archive_holds_a_tool_that_finds_its_agents() {
    let place = Place::new();
    for arch in ["x86_64", "aarch64", "riscv64"] {
        place.write(&format!("agents/ukci-guest-{arch}"), "an agent");
    }
    let mut archives = Vec::new();
    for dir in ["one", "two"] {
        std::fs::create_dir(place.path(dir)).unwrap();
        let args = [env!("CARGO_BIN_EXE_ukci"), "agents", dir];
        let ran = place.run(&script("archive"), &args, &[]);
        assert!(ran.status.success(), "{}", said(&ran));
        let name = format!(
            "ukci-v{}-{}-linux",
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH
        );
        archives.push((place.path(dir).join(format!("{name}.tar.gz")), name));
    }
    let bytes = |at: usize| std::fs::read(&archives[at].0).unwrap();
    assert!(bytes(0) == bytes(1), "the same bytes each time");

    let (archive, name) = &archives[0];
    let ran = place.run(Path::new("tar"), &["-xf", archive.to_str().unwrap()], &[]);
    assert!(ran.status.success(), "{}", said(&ran));
    let tool = place.path(name).join("bin/ukci");
    let doctor = place.run(&tool, &["doctor"], &[("UKCI_NO_PROGRESS", "1")]);
    let agent = place
        .path(name)
        .join("bin/../libexec/ukci/ukci-guest-x86_64");
    let ok = format!("ok agent `{}`", agent.display());
    assert!(said(&doctor).contains(&ok), "{}", said(&doctor));
    assert!(place.path(name).join("LICENSE-MIT").is_file());
}
