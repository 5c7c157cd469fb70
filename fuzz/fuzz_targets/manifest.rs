//! Any text as a manifest, in TOML and to be imported from YAML: it is read or refused at a place
//! within it; what is read survives its own JSON, and says the same to every kernel twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_matrix::manifest::{Manifest, ManifestError, ObjectNames, import};
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::contract::Contract;

fuzz_target!(|text: &str| {
    match Manifest::parse(text, "m") {
        Ok(manifest) => agrees(&manifest, text),
        Err(error) => harmless(&error, text),
    }
    match import(text, "m") {
        Ok(imported) => agrees(&imported.manifest, &imported.toml),
        Err(error) => harmless(&error, text),
    }
});

/// What holds for an error: its place is in the text, and nothing of it moves a terminal.
fn harmless(error: &ManifestError, text: &str) {
    // What an imported text says is shown as the TOML that it becomes.
    if let Some(place) = error.place().filter(|place| place.file == "m") {
        let line = text
            .split('\n')
            .nth(place.line - 1)
            .expect("a line of the text");
        assert!(place.column <= line.chars().count() + 1);
    }
    let shown = format!("{error}{:?}", error.hint());
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
}

/// What holds for a manifest that was read.
fn agrees(manifest: &Manifest, text: &str) {
    let json = serde_json::to_string(manifest).expect("JSON of a manifest");
    assert_eq!(
        serde_json::from_str::<Manifest>(&json).expect("its own JSON"),
        *manifest
    );
    // JSON is YAML, but for bytes that YAML does not print.
    if let Ok(again) = import(&json, "m") {
        assert_eq!(again.manifest, *manifest);
    }
    for arch in Arch::ALL {
        let cell = Cell {
            artifact: "x".into(),
            kernel: "debian-12-6.1".into(),
            llvm: None,
            arch,
            btf: None,
        };
        let contract = manifest.contract(&cell);
        let json = serde_json::to_string(&contract).expect("JSON of a contract");
        assert_eq!(
            serde_json::from_str::<Contract>(&json).expect("its own JSON"),
            contract
        );
        let _ = (manifest.boot(&cell), manifest.expected(&cell));
    }
    let mut problems = manifest.check_object(&ObjectNames::default());
    problems.extend(manifest.check_kernels(["debian-12-6.1"]));
    problems.extend(manifest.check_required(["debian-12-6.1"]));
    for problem in problems {
        let error = problem.locate(text, "m");
        assert!(error.place().expect("a place").line <= text.split('\n').count());
    }
}
