//! The answers: the right verdict, with the right reason, for the right program.

use std::collections::BTreeMap;

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{AttachOutcome, StepOutcome};
use ukci_schema::verdict::Stage;

use crate::fixture::{K61, K510, K612, answer, machine, object, root, run, text, ukci};

const ALL: [&str; 5] = [
    K510,
    K61,
    K612,
    "debian-sid-7.2-cloud",
    "debian-experimental-7.3-cloud",
];

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
    let transports = ["vhost-user-vsock", "virtio-serial", "serial"];
    let [vsock, virtio, serial] = transports.map(|transport| {
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
                let digest = cell.evidence_digest.clone();
                assert!(digest.is_some(), "{}", cell.id);
                (cell.id.clone(), answer(cell), why, digest)
            })
            .collect::<Vec<_>>()
    });
    assert_eq!(vsock, virtio);
    assert_eq!(virtio, serial);
}

#[test]
fn a_text_file_and_a_missing_path_are_plain_errors_and_boot_nothing() {
    let Some(_machine) = machine() else { return };
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes.txt");
    std::fs::write(&notes, "this is a text file and no BPF object, sorry.\n").unwrap();
    let args = ["check", text(&notes), "--kernel", K612];
    let (output, stderr) = ukci(&[&args[..], &["--out", text(dir.path())]].concat());
    assert_eq!(output.status.code(), Some(64));
    assert!(
        stderr.contains("notes.txt") && stderr.contains("not a BPF object"),
        "{stderr}"
    );
    assert!(!dir.path().join("cells").exists(), "nothing was booted");

    let absent = dir.path().join("absent.bpf.o");
    let (output, stderr) = ukci(&["check", text(&absent), "--out", text(dir.path())]);
    assert_eq!(output.status.code(), Some(64));
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
