//! Every architecture gets what `x86_64` gets: a real kernel boots, and the answers are right.
//!
//! As in `real_cells.rs`, `make test` sees to what is needed and sets `UKCI_TEST_REAL=1`.

#![expect(clippy::print_stderr, reason = "a skip is told to people")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::VerdictKind;

/// Real machines use every core: one test at a time.
static MACHINE: Mutex<()> = Mutex::new(());

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn agent(arch: Arch) -> PathBuf {
    root().join(format!("target/release/ukci-guest-{arch}"))
}

fn object(name: &str) -> PathBuf {
    root().join(format!("target/examples/{name}.bpf.o"))
}

/// The machine, or nothing where what a cell needs is missing.
fn machine() -> Option<MutexGuard<'static, ()>> {
    let mut needed: Vec<PathBuf> = Arch::ALL.map(agent).to_vec();
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

fn run(out: &Path, objects: &[&str], arguments: &[&str]) -> Report {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ukci"));
    for arch in Arch::ALL {
        command.env(
            format!("UKCI_AGENT_{}", arch.name().to_uppercase()),
            agent(arch),
        );
    }
    let output = command
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .arg("check")
        .args(objects.iter().map(|name| object(name)))
        .args(arguments)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let text = std::fs::read(out.join("report.json"))
        .unwrap_or_else(|error| panic!("no report ({error}):\n{stderr}"));
    serde_json::from_slice(&text).unwrap()
}

/// `pass`, the code of a failure, or the headline of an error.
fn answer(cell: &CellReport) -> String {
    match cell.verdict {
        VerdictKind::Pass => "pass".into(),
        VerdictKind::Skip => "skip".into(),
        VerdictKind::Fail => cell.diagnosis.as_ref().unwrap().code.name().into(),
        VerdictKind::Error => format!("error: {}", cell.fault.as_ref().unwrap().headline),
    }
}

/// What `uname -m` said in the guest.
fn said_machine(out: &Path, cell: &CellReport) -> String {
    let path = out.join(&cell.evidence).join("evidence.json");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let evidence: serde_json::Value = serde_json::from_str(&text).unwrap();
    let found = evidence.pointer("/guest/machine").and_then(|m| m.as_str());
    found
        .unwrap_or_else(|| panic!("no machine in {text}"))
        .to_owned()
}

#[test]
fn every_architecture_boots_and_is_judged() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let objects = ["ringbuf", "bpf_loop", "kfunc"];
    let kernels = [
        "debian-11-5.10-cloud",
        "debian-13-6.12-cloud",
        "debian-13-6.12",
    ];
    let mut arguments = vec!["--matrix", "archs"];
    arguments.extend(kernels.iter().flat_map(|kernel| ["--kernel", kernel]));
    let report = run(out.path(), &objects, &arguments);
    let answers: BTreeMap<&str, String> = (report.cells.iter())
        .map(|cell| (cell.id.as_str(), answer(cell)))
        .collect();
    // Callbacks and kfuncs want the JIT, which riscv64 kernels leave off.
    insta::assert_debug_snapshot!(answers);
    for cell in &report.cells {
        assert_eq!(
            said_machine(out.path(), cell),
            cell.arch.name(),
            "{}",
            cell.id
        );
        assert!(report.run.qemu.contains_key(&cell.arch), "{}", cell.id);
    }
}

#[test]
fn the_answer_does_not_depend_on_the_transport() {
    let Some(_machine) = machine() else { return };
    let arguments = |transport| {
        [
            "--matrix",
            "archs",
            "--kernel",
            "debian-13-6.12",
            "--kernel",
            "debian-12-6.1-cloud",
            "--arch",
            "aarch64",
            "--arch",
            "riscv64",
            "--transport",
            transport,
        ]
    };
    let [vsock, serial] = ["vhost-user-vsock", "virtio-serial"].map(|transport| {
        let out = tempfile::tempdir().unwrap();
        let report = run(
            out.path(),
            &["ringbuf", "unchecked_deref"],
            &arguments(transport),
        );
        assert!(report.cells.iter().all(|cell| cell.transport == transport));
        let cells = report.cells.into_iter();
        cells
            .map(|cell| {
                let answer = answer(&cell);
                (cell.id, answer, cell.diagnosis.map(|d| (d.headline, d.at)))
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(vsock.len(), 4);
    assert_eq!(vsock, serial);
}

#[test]
fn an_arm64_machine_has_more_cpus_than_a_gicv2_can_serve() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let matrix = out.path().join("nine.toml");
    let text =
        "cpus = 9\n[[cells]]\nkernels = [\"debian-13-6.12-cloud\"]\narches = [\"aarch64\"]\n";
    std::fs::write(&matrix, text).unwrap();
    let report = run(
        out.path(),
        &["ringbuf"],
        &["--matrix", matrix.to_str().unwrap()],
    );
    assert_eq!(answer(&report.cells[0]), "pass");
    assert_eq!(report.cells[0].cpus, 9);
}
