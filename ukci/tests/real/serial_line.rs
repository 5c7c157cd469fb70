//! A kernel without a driver of virtio talks over a serial line, and says the same.

use std::path::Path;

use ukci_schema::report::CellReport;

use super::fixture::{K61, K510, answer, check, machine, object, run};

/// What must not depend on the transport.
fn said(cell: &CellReport) -> (String, String, Option<String>) {
    assert!(cell.evidence_digest.is_some(), "{cell:?}");
    (
        cell.artifact.clone(),
        answer(cell),
        cell.evidence_digest.clone(),
    )
}

/// The image and the configuration of a kernel of the catalogue, whose drivers are all modules, in `dir`
/// and without any module.
fn without_modules(of: &Path, dir: &Path) {
    let plan: serde_json::Value =
        serde_json::from_slice(&std::fs::read(of.join("plan.json")).unwrap()).unwrap();
    let image = Path::new(plan["kernel"]["image"]["path"].as_str().unwrap());
    let config = image.with_file_name("config");
    let text = std::fs::read_to_string(&config).unwrap();
    assert!(
        !text.contains("CONFIG_VIRTIO_PCI=y"),
        "{}",
        config.display()
    );
    std::fs::copy(image, dir.join("vmlinux")).unwrap();
    std::fs::copy(config, dir.join(".config")).unwrap();
}

#[test]
fn a_kernel_without_virtio_talks_over_a_serial_line_by_itself_and_says_the_same() {
    let Some(_machine) = machine() else { return };
    let objects = ["ringbuf", "unchecked_deref", "two_programs"].map(object);
    for kernel in [K510, K61] {
        let out = tempfile::tempdir().unwrap();
        let usual = check(out.path(), |command| {
            command.args(&objects).args(["--kernel", kernel]);
        });
        let dir = tempfile::tempdir().unwrap();
        let first = &usual.report.cells[0];
        assert_ne!(first.transport, "serial");
        without_modules(&out.path().join(&first.evidence), dir.path());
        let serial = run(|command| {
            command.args(&objects);
            command.arg("--kernel").arg(dir.path().join("vmlinux"));
        });
        assert!(
            serial.stderr.contains("its cells talk over a serial line"),
            "{}",
            serial.stderr
        );
        for (usual, serial) in usual.report.cells.iter().zip(&serial.report.cells) {
            assert_eq!(serial.transport, "serial", "{}", serial.id);
            assert!(!serial.hermetic);
            assert_eq!(said(usual), said(serial), "{kernel}");
        }
        assert_eq!(serial.report.cells.len(), objects.len());
    }
}
