//! The heart of the suite: the built binary, real kernels out of their packages, QEMU.
//!
//! `make test` sees to the agent, the kernels and the objects and sets `UKCI_TEST_REAL=1`: then
//! a missing one fails. Without it each test says what is missing and skips.

#![expect(clippy::print_stderr, reason = "a skip is told to people")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{AttachOutcome, StepOutcome};
use ukci_schema::features::{KernelFeatures, Kind};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::{Stage, VerdictKind};

/// Real machines use every core: one test at a time.
static MACHINE: Mutex<()> = Mutex::new(());

const K510: &str = "debian-11-5.10-cloud";
const K61: &str = "debian-12-6.1-cloud";
const K612: &str = "debian-13-6.12-cloud";
const ALL: [&str; 5] = [
    K510,
    K61,
    K612,
    "debian-sid-7.2-cloud",
    "debian-experimental-7.3-cloud",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn object(name: &str) -> PathBuf {
    root().join(format!("target/examples/{name}.bpf.o"))
}

/// The machine, or nothing where what a cell needs is missing.
fn machine() -> Option<MutexGuard<'static, ()>> {
    let needed = [
        root().join("target/release/ukci-guest-x86_64"),
        object("ringbuf"),
    ];
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

fn ukci(out: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ukci"));
    command
        .env(
            "UKCI_AGENT_X86_64",
            root().join("target/release/ukci-guest-x86_64"),
        )
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .arg("check")
        .arg("--out")
        .arg(out);
    command
}

struct Ran {
    status: Option<i32>,
    stderr: String,
    report: Report,
}

impl Ran {
    fn cell(&self, artifact: &str, kernel: &str) -> &CellReport {
        self.report
            .cells
            .iter()
            .find(|cell| cell.artifact == artifact && cell.kernel == kernel)
            .unwrap_or_else(|| panic!("no cell of {artifact} on {kernel}:\n{}", self.stderr))
    }
}

fn run(configure: impl FnOnce(&mut Command)) -> Ran {
    let out = tempfile::tempdir().unwrap();
    let mut command = ukci(out.path());
    configure(&mut command);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let text = std::fs::read(out.path().join("report.json"))
        .unwrap_or_else(|error| panic!("no report ({error}):\n{stderr}"));
    Ran {
        status: output.status.code(),
        stderr,
        report: serde_json::from_slice(&text).unwrap(),
    }
}

/// `pass`, the code of a failure, the headline of an error, or `skip`.
fn answer(cell: &CellReport) -> String {
    match cell.verdict {
        VerdictKind::Pass => "pass".into(),
        VerdictKind::Skip => "skip".into(),
        VerdictKind::Fail => cell.diagnosis.as_ref().unwrap().code.name().into(),
        VerdictKind::Error => format!("error: {}", cell.fault.as_ref().unwrap().headline),
    }
}

/// Command lines of live machines that name `marker`.
fn machines(marker: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(bytes) = std::fs::read(entry.path().join("cmdline")) else {
            continue;
        };
        let line = String::from_utf8_lossy(&bytes).replace('\0', " ");
        let is_machine = line.contains("qemu-system-") || line.contains("vhost-device-vsock");
        if is_machine && line.contains(marker) {
            found.push(line);
        }
    }
    found
}

fn wait_until(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::yield_now();
    }
}

#[test]
fn every_example_gets_the_right_answer_from_five_kernels() {
    let Some(_machine) = machine() else { return };
    let examples = [
        "ringbuf",
        "bpf_loop",
        "bloom_filter",
        "kfunc",
        "core_missing_field",
        "unchecked_deref",
        "two_programs",
    ];
    let ran = run(|command| {
        command
            .args(examples.map(object))
            .args(["--matrix", "quick"]);
    });
    let table: BTreeMap<&str, Vec<String>> = examples
        .iter()
        .map(|name| {
            (
                *name,
                ALL.iter()
                    .map(|kernel| answer(ran.cell(name, kernel)))
                    .collect(),
            )
        })
        .collect();
    insta::assert_debug_snapshot!("examples", table);
    assert_eq!(ran.status, Some(2), "{}", ran.stderr);

    let names = |artifact, kernel, words: &[&str]| {
        let diagnosis = ran.cell(artifact, kernel).diagnosis.as_ref().unwrap();
        let text = format!("{} {}", diagnosis.headline, diagnosis.hints.join(" "));
        for word in words {
            assert!(
                text.contains(word),
                "{artifact} on {kernel} does not name `{word}`: {text}"
            );
        }
    };
    names("bpf_loop", K510, &["bpf_loop", "5.17"]);
    names("bloom_filter", K510, &["bloom_filter", "5.16"]);
    let source =
        std::fs::read_to_string(root().join("docs/examples/unchecked_deref.bpf.c")).unwrap();
    for kernel in ALL {
        let diagnosis = ran
            .cell("unchecked_deref", kernel)
            .diagnosis
            .as_ref()
            .unwrap();
        let at = diagnosis
            .at
            .as_ref()
            .unwrap_or_else(|| panic!("no source line on {kernel}"));
        assert!(at.file.ends_with("unchecked_deref.bpf.c"), "{at:?}");
        let line = source.lines().nth(at.line as usize - 1).unwrap();
        assert_eq!(
            line.trim(),
            at.text.trim(),
            "the line is the one of the source"
        );
        assert!(
            diagnosis.headline.contains("map_value_or_null"),
            "{}",
            diagnosis.headline
        );

        let good = ran.cell("ringbuf", kernel);
        assert_eq!(good.stage, Stage::Attach);
        assert!(
            good.programs
                .iter()
                .all(|p| p.attach == AttachOutcome::Attached),
            "{good:?}"
        );
        assert!(good.hermetic && !good.libbpf.is_empty() && good.seconds > 0.0);
        assert!(
            good.programs[0]
                .verifier
                .as_ref()
                .is_some_and(|v| v.insns > 0),
            "{good:?}"
        );
    }
    // Only the guilty program of two is blamed, and the innocent one's load is no pass.
    let two = ran.cell("two_programs", K510);
    let outcomes: Vec<_> = two
        .programs
        .iter()
        .map(|p| (p.load, p.isolated, p.diagnosis.is_some()))
        .collect();
    assert!(
        outcomes.contains(&(StepOutcome::Ok, true, false)),
        "{two:?}"
    );
    assert!(
        outcomes.contains(&(StepOutcome::Refused, true, true)),
        "{two:?}"
    );
}

#[test]
fn the_answer_does_not_depend_on_the_transport() {
    let Some(_machine) = machine() else { return };
    let [vsock, serial] = ["vhost-user-vsock", "virtio-serial"].map(|transport| {
        let ran = run(|command| {
            command.args([object("ringbuf"), object("unchecked_deref")]);
            command.args(["--kernel", K61, "--kernel", K612, "--transport", transport]);
        });
        assert!(
            ran.report
                .cells
                .iter()
                .all(|cell| cell.transport == transport)
        );
        let cells = ran.report.cells.iter();
        cells
            .map(|cell| {
                let why = cell.diagnosis.clone().map(|d| (d.headline, d.at));
                (cell.id.clone(), answer(cell), why)
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(vsock, serial);
}

#[test]
fn a_text_file_is_an_invalid_object_and_a_missing_path_a_plain_error() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(&text, "this is a text file and no BPF object, sorry.\n").unwrap();
    let ran = run(|command| {
        command.arg(&text).args(["--kernel", K612]);
    });
    assert_eq!(answer(&ran.report.cells[0]), Code::InvalidObject.name());

    let output = ukci(dir.path())
        .arg(dir.path().join("absent.bpf.o"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("absent.bpf.o") && stderr.contains("No such file"),
        "{stderr}"
    );
    assert!(!dir.path().join("cells").exists(), "nothing was booted");
}

#[test]
fn a_kernel_that_panics_while_booting_is_an_error_with_its_console() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let matrix = dir.path().join("panic.toml");
    let text = format!("cmdline = [\"rdinit=/absent\"]\n[[cells]]\nkernels = [\"{K612}\"]\n");
    std::fs::write(&matrix, text).unwrap();
    let ran = run(|command| {
        command.arg(object("ringbuf")).arg("--matrix").arg(&matrix);
    });
    let cell = &ran.report.cells[0];
    let fault = cell.fault.as_ref().unwrap_or_else(|| panic!("{cell:?}"));
    assert_eq!(
        (fault.stage, fault.code),
        (Stage::Boot, Some(Code::KernelPanic))
    );
    assert!(
        fault
            .console
            .iter()
            .any(|line| line.contains("Kernel panic")),
        "{fault:?}"
    );
    assert_eq!(ran.status, Some(1));
    assert!(
        cell.seconds < 60.0,
        "a panic must end the cell at once: {}s",
        cell.seconds
    );
}

/// Starts a run of many cells and waits until a machine of it is up.
fn start_many(out: &Path) -> Child {
    let mut command = ukci(out);
    command
        .arg(object("ringbuf"))
        .args(["--matrix", "quick", "--jobs", "2"]);
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
    let text = std::fs::read(out.path().join("report.json")).unwrap();
    let report: Report = serde_json::from_slice(&text).unwrap();
    assert!(report.run.interrupted);
    assert!(report.summary.not_run > 0);
    assert_eq!(status.code(), Some(1), "cells have no verdict");
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

/// What `ukci kernels features` prints for these arguments.
fn features(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .env(
            "UKCI_AGENT_X86_64",
            root().join("target/release/ukci-guest-x86_64"),
        )
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .args(["kernels", "features", "--timeout", "2m"])
        .args(args)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Each of these is known of mainline, and none of Debian's configurations contradicts it.
#[test]
fn kernels_say_what_they_offer_and_are_right() {
    let Some(_machine) = machine() else { return };
    let of = |kernel: &str| -> KernelFeatures {
        serde_json::from_str(&features(&[kernel, "--format", "json"])).unwrap()
    };
    let [old, new] = [K510, K612].map(of);
    let offered = |kernel: &KernelFeatures, kind, name: &str| {
        let mut all = kernel.features.iter();
        let found = all.find(|f| f.kind == kind && f.name == name).cloned();
        found.unwrap_or_else(|| panic!("{} says nothing of {name}", kernel.kernel))
    };
    let present = |kernel, kind, name| offered(kernel, kind, name).present;
    for kernel in [&old, &new] {
        for name in ["array", "hash", "ringbuf"] {
            assert_eq!(present(kernel, Kind::MapType, name), Some(true), "{name}");
        }
        for name in ["xdp", "tracing", "lsm", "ext", "struct_ops"] {
            assert_eq!(present(kernel, Kind::ProgramType, name), Some(true));
        }
        let lirc = present(kernel, Kind::ProgramType, "lirc_mode2");
        assert_eq!(lirc, Some(false), "CONFIG_BPF_LIRC_MODE2 is off");
        let lookup = offered(kernel, Kind::Helper, "bpf_map_lookup_elem");
        for caller in ["xdp", "kprobe", "tp_btf", "fentry", "iter", "lsm"] {
            assert!(lookup.program_types.iter().any(|t| t == caller), "{caller}");
        }
        let adjust = offered(kernel, Kind::Helper, "bpf_xdp_adjust_head");
        assert_eq!(adjust.program_types, ["xdp"]);
        assert_eq!(adjust.mainline.as_deref(), Some("4.10"));
        assert_eq!(
            present(kernel, Kind::StructOps, "tcp_congestion_ops"),
            Some(true)
        );
        let unknown = kernel.features.iter().filter(|f| f.present.is_none());
        assert!(unknown.count() < 8, "{}", kernel.kernel);
    }
    let news = [
        (Kind::Helper, "bpf_loop"),
        (Kind::MapType, "bloom_filter"),
        (Kind::ProgramType, "netfilter"),
        (Kind::LinkType, "kprobe_multi"),
        (Kind::LinkType, "perf_event"),
        (Kind::Command, "token_create"),
    ];
    for (kind, name) in news {
        assert_eq!(present(&old, kind, name), Some(false), "{name}");
        assert_eq!(present(&new, kind, name), Some(true), "{name}");
    }
    // On 5.10 there is a function `tcp_slow_start`, and no kfunc of any name.
    assert_eq!(
        old.features
            .iter()
            .filter(|f| f.kind == Kind::Kfunc)
            .count(),
        0
    );
    let kfunc = |name| offered(&new, Kind::Kfunc, name).program_types;
    assert_eq!(kfunc("tcp_slow_start"), ["struct_ops"]);
    assert_eq!(kfunc("bpf_dynptr_from_xdp"), ["xdp"]);
    // No device is bound to a trial, so nothing is known of who may call it.
    assert!(kfunc("bpf_xdp_metadata_rx_hash").is_empty());
    assert!(!old.settings()["lsm"].split(',').any(|lsm| lsm == "bpf"));
    assert!(new.settings()["lsm"].split(',').any(|lsm| lsm == "bpf"));

    // The header of 6.1 names it, for the kernel's own use.
    let middle = of(K61);
    assert_eq!(present(&middle, Kind::LinkType, "struct_ops"), Some(false));
    assert_eq!(present(&new, Kind::LinkType, "struct_ops"), Some(true));

    let told = features(&[K510, K612, "--only", "helpers", "--name", "bpf_loop"]);
    assert!(told.contains("  no   yes  bpf_loop  5.17"), "{told}");
    let same = features(&[K612, K612]);
    assert!(same.contains("no difference"), "{same}");
}
