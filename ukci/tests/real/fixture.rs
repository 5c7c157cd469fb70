//! What the tests share: the machine, the command, its report.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;
use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::VerdictKind;

/// Real machines use every core: one test at a time.
static MACHINE: Mutex<()> = Mutex::new(());

pub(crate) const K510: &str = "debian-11-5.10-cloud";
pub(crate) const K61: &str = "debian-12-6.1-cloud";
pub(crate) const K612: &str = "debian-13-6.12-cloud";

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn agent(arch: Arch) -> PathBuf {
    root().join(format!("target/release/ukci-guest-{arch}"))
}

pub(crate) fn object(name: &str) -> PathBuf {
    root().join(format!("target/examples/{name}.bpf.o"))
}

/// The machine for cells of this architecture, or nothing where what they need is missing.
pub(crate) fn machine() -> Option<MutexGuard<'static, ()>> {
    machine_for(&[Arch::X86_64])
}

/// The machine for cells of these architectures, or nothing where what they need is missing.
pub(crate) fn machine_for(arches: &[Arch]) -> Option<MutexGuard<'static, ()>> {
    let mut needed: Vec<PathBuf> = arches.iter().copied().map(agent).collect();
    needed.push(object("ringbuf"));
    match needed.iter().find(|path| !path.exists()) {
        None => Some(MACHINE.lock().unwrap_or_else(PoisonError::into_inner)),
        Some(path) if std::env::var_os("UKCI_TEST_REAL").is_some() => {
            panic!("`{}` is missing: run `make test`", path.display())
        }
        Some(path) => {
            eprintln!(
                "skipped: `{}` is missing; `make test` makes it",
                path.display()
            );
            None
        }
    }
}

/// `ukci`, with this tree's agents.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ukci"));
    for arch in Arch::ALL {
        let variable = format!("UKCI_AGENT_{}", arch.name().to_uppercase());
        command.env(variable, agent(arch));
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null()).args(args);
    // These tests are of machines; that of the cache says otherwise.
    command.env("UKCI_NO_CACHE", "1");
    command
}

/// Runs it to its end: what it printed, and stderr as text.
pub(crate) fn ukci(args: &[&str]) -> (Output, String) {
    let output = command(args).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output, stderr)
}

/// Whether the tool was built from a commit without a change, so that it remembers verdicts.
pub(crate) fn is_of_a_commit() -> bool {
    let version = command(&["--version"]).output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    version.trim().ends_with(')') && !version.contains("-dirty")
}

pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stderr: String,
    pub(crate) report: Report,
}

impl Ran {
    pub(crate) fn cell(&self, artifact: &str, kernel: &str) -> &CellReport {
        self.report
            .cells
            .iter()
            .find(|cell| cell.artifact == artifact && cell.kernel == kernel)
            .unwrap_or_else(|| panic!("no cell of {artifact} on {kernel}:\n{}", self.stderr))
    }
}

/// `ukci check`, into `out`.
pub(crate) fn check(out: &Path, configure: impl FnOnce(&mut Command)) -> Ran {
    let mut command = command(&["check", "--out", text(out)]);
    configure(&mut command);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(out.join("report.json").exists(), "no report:\n{stderr}");
    Ran {
        status: output.status.code(),
        stderr,
        report: report(out),
    }
}

/// `ukci check`, into a directory that is gone afterwards.
pub(crate) fn run(configure: impl FnOnce(&mut Command)) -> Ran {
    let out = tempfile::tempdir().unwrap();
    check(out.path(), configure)
}

/// The report in a directory, which others can read by the published schema.
pub(crate) fn report(out: &Path) -> Report {
    let read =
        |path: &Path| -> Value { serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap() };
    let schema = read(&root().join("docs/report.schema.json"));
    let report = read(&out.join("report.json"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let complaints: Vec<String> = validator
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(
        complaints,
        Vec::<String>::new(),
        "by docs/report.schema.json"
    );
    serde_json::from_value(report).unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `pass`, the code of a failure, the headline of an error, or `skip`.
pub(crate) fn answer(cell: &CellReport) -> String {
    match cell.verdict {
        VerdictKind::Pass => "pass".into(),
        VerdictKind::Skip => "skip".into(),
        VerdictKind::Fail => cell.diagnosis.as_ref().unwrap().code.name().into(),
        VerdictKind::Error => format!("error: {}", cell.fault.as_ref().unwrap().headline),
    }
}

/// Command lines of live machines that name `marker`, or that have a file open whose path does: where
/// root runs the tests, machines get descriptors in place of paths.
pub(crate) fn machines(marker: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(bytes) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        let is_machine = line.contains("qemu-system-") || line.contains("vhost-device-vsock");
        let files = std::fs::read_dir(entry.path().join("fd"));
        let mut files = files.into_iter().flatten().flatten();
        let mut has_open = || {
            files.any(|file| {
                let target = std::fs::read_link(file.path());
                target.is_ok_and(|target| target.to_string_lossy().contains(marker))
            })
        };
        if is_machine && (line.contains(marker) || has_open()) {
            found.push(line);
        }
    }
    found
}

pub(crate) fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::yield_now();
    }
}

/// A cache of its own with the kernels of the shared one, and no saved guests, verdicts or answers.
pub(crate) fn own_cache() -> tempfile::TempDir {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    let real = std::env::var_os("XDG_CACHE_HOME").map_or(home, PathBuf::from);
    let cache = tempfile::tempdir().unwrap();
    let own = cache.path().join("ukci");
    std::fs::create_dir(&own).unwrap();
    for name in ["store", "packages", "tools", "initramfs", "host"] {
        symlink(real.join("ukci").join(name), own.join(name)).unwrap();
    }
    cache
}
