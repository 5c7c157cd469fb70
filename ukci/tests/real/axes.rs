//! The axes beside the kernels: every architecture gets what `x86_64` gets, and every LLVM compiles
//! what its cells load.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};

use crate::fixture::{answer, machine_for, object, root};

fn run(out: &Path, objects: &[&str], arguments: &[&str]) -> Report {
    let objects: Vec<PathBuf> = objects.iter().map(|name| object(name)).collect();
    check(out, &objects, arguments)
}

fn check(out: &Path, artifacts: &[PathBuf], arguments: &[&str]) -> Report {
    let ran = crate::fixture::check(out, |command| {
        command.args(artifacts).args(arguments);
    });
    ran.report
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
    let Some(_machine) = machine_for(&Arch::ALL) else {
        return;
    };
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
    let Some(_machine) = machine_for(&Arch::ALL) else {
        return;
    };
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
    let transports = ["vhost-user-vsock", "virtio-serial", "serial"];
    let [vsock, virtio, serial] = transports.map(|transport| {
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
    assert_eq!(serial.len(), 4);
    assert_eq!(vsock, virtio);
    assert_eq!(virtio, serial);
}

#[test]
fn an_arm64_machine_has_more_cpus_than_a_gicv2_can_serve() {
    let Some(_machine) = machine_for(&Arch::ALL) else {
        return;
    };
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

/// The LLVMs of this host that the suite knows; `make test` installs 19.
fn llvms() -> Vec<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let is_here = |llvm: &&str| {
        dirs.iter()
            .any(|dir| dir.join(format!("clang-{llvm}")).is_file())
    };
    ["14", "19", "22"].into_iter().filter(is_here).collect()
}

#[test]
fn each_llvm_compiles_what_its_cells_load() {
    let Some(_machine) = machine_for(&Arch::ALL) else {
        return;
    };
    let llvms = llvms();
    assert!(!llvms.is_empty(), "no clang: run `make test`");
    let out = tempfile::tempdir().unwrap();
    let include = root().join("target/include");
    let mut arguments = vec!["-I", include.to_str().unwrap()];
    arguments.extend([
        "--kernel",
        "debian-13-6.12-cloud",
        "--arch",
        "x86_64",
        "--arch",
        "aarch64",
    ]);
    arguments.extend(llvms.iter().flat_map(|llvm| ["--llvm", llvm]));
    let source = root().join("docs/examples/sum.bpf.c");
    let report = check(out.path(), &[source], &arguments);
    assert_eq!(report.cells.len(), 2 * llvms.len());
    let mut walked: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for cell in &report.cells {
        assert_eq!(answer(cell), "pass", "{}", cell.id);
        let verifier = cell.programs[0].verifier.as_ref().unwrap();
        let llvm = cell.llvm.as_deref().unwrap();
        walked.entry(llvm).or_default().insert(verifier.insns);
    }
    eprintln!("instructions that the verifier walked, by LLVM: {walked:?}");
    for (llvm, counts) in &walked {
        assert_eq!(
            counts.len(),
            1,
            "LLVM {llvm} made two objects for one architecture: {counts:?}"
        );
    }
    let counts: BTreeSet<&u64> = walked.values().flatten().collect();
    assert_eq!(
        counts.len(),
        walked.len(),
        "two LLVMs made the same of it: {walked:?}"
    );
}

#[test]
fn what_a_compiler_refuses_is_a_failure_and_boots_nothing() {
    let Some(_machine) = machine_for(&Arch::ALL) else {
        return;
    };
    let out = tempfile::tempdir().unwrap();
    let source = out.path().join("broken.bpf.c");
    std::fs::write(&source, "int x;\nint f(void) { return y; }\n").unwrap();
    let arguments = ["--kernel", "debian-13-6.12-cloud", "--arch", "aarch64"];
    let report = check(out.path(), &[source, object("ringbuf")], &arguments);
    let [broken, ringbuf] = report.cells.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(
        (answer(broken).as_str(), broken.boots),
        ("COMPILE_ERROR", 0)
    );
    let diagnosis = broken.diagnosis.as_ref().unwrap();
    assert!(
        diagnosis.headline.contains("undeclared identifier 'y'"),
        "{diagnosis:?}"
    );
    assert_eq!(diagnosis.at.as_ref().map(|at| at.line), Some(2));
    assert!(
        !out.path()
            .join(&broken.evidence)
            .join("command.txt")
            .exists()
    );
    assert_eq!((answer(ringbuf).as_str(), &ringbuf.llvm), ("pass", &None));
}

/// A source is no object before it is compiled, so this cannot be said when its manifest is read.
#[test]
fn what_a_source_lacks_is_told_before_anything_boots() {
    let Some(_machine) = machine_for(&[Arch::X86_64]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let body = "int f(void *ctx) { hits++; return 2; }\n";
    let without = write("without.bpf.c", &format!("int hits;\n{body}"));
    let section = "__attribute__((section(\"xdp\")))";
    let with = write("with.bpf.c", &format!("int hits;\n{section} {body}"));
    let expected = "expect_maps = [{ map = \".bss\", value = { hitz = 1 } }]";
    let test = format!("[[functional_tests]]\nname = \"counts\"\n{expected}\n");
    let manifest = write("m.toml", &test);
    for (arguments, words) in [
        (vec![without.as_str()], "no program: `f` is in `.text`"),
        (
            vec![&with, "--manifest", &manifest],
            "there is no field `hitz`",
        ),
    ] {
        let out = dir.path().join("out");
        let options = [
            "check",
            "--kernel",
            "debian-13-6.12-cloud",
            "--out",
            out.to_str().unwrap(),
        ];
        let (ran, said) = crate::fixture::ukci(&[&options[..], &arguments].concat());
        assert_eq!(ran.status.code(), Some(64), "{said}");
        assert!(said.contains(words), "{said}");
    }
}
