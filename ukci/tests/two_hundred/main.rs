//! Objects of two hundred programs on a real 6.1: every program is judged, whether none is refused
//! or twenty are, each for a reason of its own.

#![expect(
    clippy::print_stderr,
    reason = "a skip and the cost are told to people"
)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ukci_schema::diagnosis::Code::{self, *};
use ukci_schema::evidence::{AttachOutcome, StepOutcome};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::VerdictKind;

const KERNEL: &str = "debian-12-6.1-cloud";
const BAD: &str = include_str!("bad.bpf.c");

/// What is wrong with each program of `bad.bpf.c`, and a word of the diagnosis.
const REASONS: &[(&str, Code, &str)] = &[
    ("bad_null", VerifierRejection, "map_value_or_null"),
    ("bad_offset", VerifierRejection, "unbounded"),
    ("bad_loop", VerifierRejection, "infinite loop"),
    ("bad_limit", VerifierLimit, "too large"),
    ("bad_helper", UnsupportedHelper, "213"),
    (
        "bad_helper_for_type",
        UnsupportedHelper,
        "bpf_skb_load_bytes",
    ),
    ("bad_stack", VerifierRejection, "stack"),
    ("bad_register", VerifierRejection, "!read_ok"),
    ("bad_context", VerifierRejection, "context"),
    ("bad_reference", VerifierRejection, "reference"),
    ("bad_kfunc", MissingKfunc, "bpf_iter_bits_new"),
    ("bad_field", CoreRelocationFailure, "no_such_field"),
    (
        "bad_config",
        MissingKernelConfig,
        "CONFIG_FUNCTION_ERROR_INJECTION",
    ),
    ("bad_map", MapRefused, "refused_map"),
    ("bad_map_type", UnsupportedMapType, "arena"),
    ("bad_packet", VerifierRejection, "packet"),
    ("bad_target", AttachTargetMissing, "no_such_function"),
    ("bad_type", UnsupportedProgramType, "netfilter"),
    ("bad_return", VerifierRejection, "At program exit"),
    ("bad_contract", LoaderContract, "replaces a function"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// `count` programs that every kernel takes.
fn good(count: usize) -> String {
    let mut source = String::new();
    for n in 0..count {
        let _ = writeln!(
            source,
            "SEC(\"raw_tp/sched_switch\") int good_{n:03}(void *ctx)\n\
             {{ __sync_fetch_and_add(&sink, {n}); return 0; }}"
        );
    }
    source
}

/// Compiles the source and checks it on the kernel; nothing where something is missing.
fn check(name: &str, source: &str) -> Option<CellReport> {
    let agent = root().join("target/release/ukci-guest-x86_64");
    let headers = root().join("target/include");
    if let Some(missing) = [&agent, &headers].into_iter().find(|path| !path.exists()) {
        let missing = format!("`{}` is missing; `make test` makes it", missing.display());
        assert!(std::env::var_os("UKCI_TEST_REAL").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let (input, object) = (
        dir.path().join(format!("{name}.bpf.c")),
        dir.path().join(format!("{name}.bpf.o")),
    );
    std::fs::write(&input, source).unwrap();
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang-19".into());
    let compiled = Command::new(clang)
        .args(["-g", "-O2", "-target", "bpf", "-D__TARGET_ARCH_x86"])
        .arg("-I")
        .arg(headers)
        .arg("-I/usr/include/x86_64-linux-gnu")
        .arg("-c")
        .arg(&input)
        .arg("-o")
        .arg(&object)
        .status()
        .unwrap();
    assert!(compiled.success());
    let out = dir.path().join("out");
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .env("UKCI_AGENT_X86_64", agent)
        .env("NO_COLOR", "1")
        // A test of what kernels answer asks them.
        .env("UKCI_NO_CACHE", "1")
        .stdin(Stdio::null())
        .args([
            "--quiet",
            "check",
            "--kernel",
            KERNEL,
            "--timeout",
            "120s",
            "--out",
        ])
        .arg(&out)
        .arg(&object)
        .output()
        .unwrap();
    let text = std::fs::read(out.join("report.json"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let report: Report = serde_json::from_slice(&text).unwrap();
    let cell = report.cells.into_iter().next().unwrap();
    eprintln!(
        "{name}: {} programs in {:.1} s, {} MiB of host memory",
        cell.programs.len(),
        cell.seconds,
        cell.peak_kib / 1024
    );
    // The guest itself has 512 MiB; what comes on top is QEMU's.
    assert!(cell.peak_kib < 1024 * 1024, "{} KiB", cell.peak_kib);
    Some(cell)
}

#[test]
fn two_hundred_good_programs_are_attached_one_and_all() {
    let head = "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n__u64 sink;\n\
                char LICENSE[] SEC(\"license\") = \"GPL\";\n";
    let Some(cell) = check("good", &format!("{head}{}", good(200))) else {
        return;
    };
    assert_eq!(cell.verdict, VerdictKind::Pass, "{:?}", cell.diagnosis);
    assert_eq!(cell.programs.len(), 200);
    for program in &cell.programs {
        assert_eq!(program.load, StepOutcome::Ok, "{}", program.name);
        assert_eq!(program.attach, AttachOutcome::Attached, "{}", program.name);
        assert!(program.fired.is_some_and(|n| n > 0), "{}", program.name);
    }
}

#[test]
fn twenty_bad_programs_of_two_hundred_are_told_apart() {
    assert_eq!(REASONS.len(), 20);
    let Some(cell) = check("bad", &format!("{BAD}{}", good(180))) else {
        return;
    };
    assert_eq!(cell.verdict, VerdictKind::Fail);
    assert_eq!(cell.programs.len(), 200);
    let mut wrong = Vec::new();
    for program in &cell.programs {
        let reason = REASONS.iter().find(|(name, ..)| *name == program.name);
        match (reason, &program.diagnosis) {
            (None, None) if program.load == StepOutcome::Ok => {}
            (Some((_, code, word)), Some(found))
                if found.code == *code && found.headline.contains(word) => {}
            (_, found) => wrong.push(format!(
                "{} ({:?}): {found:?}, expected {reason:?}",
                program.name, program.load
            )),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
