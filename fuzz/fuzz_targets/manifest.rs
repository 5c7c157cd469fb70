//! Reads any text as a manifest, in both notations. It is read, or refused with a place in the text. A
//! manifest that was read survives a round trip through JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_matrix::authored::Format;
use ukci_matrix::manifest::{Manifest, ObjectNames};
use ukci_schema::cell::Arch;
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
        let contract = manifest.contract("debian-12-6.1", arch);
        let json = serde_json::to_string(&contract).expect("JSON of a contract");
        assert_eq!(
            serde_json::from_str::<Contract>(&json).expect("its own JSON"),
            contract
        );
        let _ = (
            manifest.boot("debian-12-6.1", arch),
            manifest.expected("debian-12-6.1", arch),
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
