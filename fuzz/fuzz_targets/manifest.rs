//! Any text as a manifest, in both notations: it is read or refused at a place within it; what is
//! read survives its own JSON, and says the same to every kernel twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_matrix::authored::Format;
use ukci_schema::cell::{Arch, Cell};
use ukci_matrix::manifest::{Manifest, ObjectNames};
use ukci_schema::contract::Contract;

fuzz_target!(|text: &str| {
    for format in [Format::Toml, Format::Yaml] {
        match Manifest::parse(text, "m", format) {
            Ok(manifest) => agrees(&manifest, text, format),
            Err(error) => {
                if let Some(place) = error.place() {
                    let line = text
                        .split('\n')
                        .nth(place.line - 1)
                        .expect("a line of the text");
                    assert!(place.column <= line.chars().count() + 1);
                }
                let shown = format!("{error}{:?}", error.hint());
                assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
            }
        }
    }
});

/// What holds for a manifest that was read.
fn agrees(manifest: &Manifest, text: &str, format: Format) {
    let json = serde_json::to_string(manifest).expect("JSON of a manifest");
    assert_eq!(
        serde_json::from_str::<Manifest>(&json).expect("its own JSON"),
        *manifest
    );
    // JSON is YAML, but for bytes that YAML does not print.
    if let Ok(again) = Manifest::parse(&json, "m", Format::Yaml) {
        assert_eq!(again, *manifest);
    }
    for arch in Arch::ALL {
        let cell = Cell {
            artifact: "x".into(),
            kernel: "debian-12-6.1".into(),
            llvm: None,
            arch,
        };
        let contract = manifest.contract(&cell);
        let json = serde_json::to_string(&contract).expect("JSON of a contract");
        assert_eq!(
            serde_json::from_str::<Contract>(&json).expect("its own JSON"),
            contract
        );
        let _ = (
            manifest.boot(&cell),
            manifest.expected(&cell),
        );
    }
    let mut problems = manifest.check_object(&ObjectNames::default());
    problems.extend(manifest.check_kernels(["debian-12-6.1"]));
    problems.extend(manifest.check_required(["debian-12-6.1"]));
    for problem in problems {
        let error = problem.locate(text, "m", format);
        assert!(error.place().expect("a place").line <= text.split('\n').count());
    }
}
