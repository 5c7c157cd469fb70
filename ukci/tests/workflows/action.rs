//! `.github/check`, which `action.yml` runs, with a `ukci` that writes down how it was called.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::root;

const DEFAULTS: [(&str, &str); 8] = [
    ("ARTIFACT", "a.bpf.o"),
    ("MATRIX", "quick"),
    ("KERNELS", ""),
    ("MANIFEST", ""),
    ("LLVMS", ""),
    ("ARCHES", ""),
    ("MODE", "attach"),
    ("SHARD", ""),
];

/// Runs the script where `ukci check` ends with `status`; returns its own status, the calls, and
/// what it answered.
fn check(status: i32, inputs: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let script = format!(
        "#!/bin/sh\nprintf '%s|' \"$@\" >>calls\necho >>calls\n\
         [ \"$1\" != check ] || {{ mkdir -p ukci-out; echo '{{}}' >ukci-out/report.json; exit {status}; }}\n"
    );
    std::fs::write(path("ukci"), script).unwrap();
    std::fs::set_permissions(path("ukci"), std::fs::Permissions::from_mode(0o755)).unwrap();
    for name in ["a.bpf.o", "b.bpf.o", "other.txt"] {
        std::fs::write(path(name), "").unwrap();
    }
    let output = Command::new(root().canonicalize().unwrap().join(".github/check"))
        .current_dir(dir.path())
        .envs(DEFAULTS)
        .envs(inputs.iter().copied())
        .env("UKCI", path("ukci"))
        .env("GITHUB_OUTPUT", path("output"))
        .output()
        .unwrap();
    let text = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
    (
        output.status.code(),
        text(&path("calls")),
        text(&path("output")),
    )
}

/// Whether the real `ukci` takes a recorded call: `--help` is given only after what is before it.
fn is_understood(call: &str) -> bool {
    let words = call.split('|').filter(|word| !word.is_empty());
    let mut ukci = Command::new(env!("CARGO_BIN_EXE_ukci"));
    ukci.args(words)
        .arg("--help")
        .output()
        .unwrap()
        .status
        .success()
}

#[test]
fn inputs_become_options() {
    assert!(!is_understood("check|--no-such-option|"));
    let (status, calls, said) = check(0, &[]);
    assert_eq!(status, Some(0));
    assert_eq!(
        calls,
        "check|--matrix|quick|--mode|attach|--locked|--out|ukci-out|--artifact|a.bpf.o|--format|junit|\n"
    );
    assert_eq!(said, "outcome=pass\nreport=ukci-out/report.json\n");

    let (_, calls, _) = check(
        0,
        &[
            ("ARTIFACT", "*.bpf.o"),
            ("MATRIX", "my matrix.toml"),
            ("KERNELS", "debian-12-6.1 debian-13-6.12"),
            ("LLVMS", "19 16"),
            ("ARCHES", "riscv64"),
            ("MANIFEST", "m.toml; touch pwned"),
            ("SHARD", "count:1/4"),
        ],
    );
    let called = calls.lines().next().unwrap();
    assert!(is_understood(called), "{called}");
    assert_eq!(
        called,
        "check|--matrix|my matrix.toml|--mode|attach|--locked|--out|ukci-out|--kernel|debian-12-6.1|\
         --kernel|debian-13-6.12|--arch|riscv64|--llvm|19|--llvm|16|--artifact|a.bpf.o|--artifact|\
         b.bpf.o|--manifest|m.toml; touch pwned|--partition|count:1/4|--format|junit|"
    );
}

#[test]
fn a_status_becomes_an_outcome() {
    for (status, outcome) in [
        (0, "pass"),
        (2, "fail"),
        (1, "error"),
        (3, "error"),
        (64, "error"),
    ] {
        let (code, _, said) = check(status, &[]);
        assert_eq!(code, Some(status));
        assert!(
            said.starts_with(&format!("outcome={outcome}\n")),
            "{status}: {said}"
        );
    }
}
