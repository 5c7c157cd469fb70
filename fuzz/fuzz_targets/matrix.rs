//! Reads any text as a matrix, as groups of kernels and as the streams that the lock follows. It is
//! read or refused at a place within it, and its expansion is the same twice.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_matrix::groups::{Groups, KnownKernel};
use ukci_matrix::matrix::Matrix;
use ukci_pin::Streams;
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::cell::Arch;

const KERNELS: [&str; 3] = ["debian-11-5.10", "debian-12-6.1", "debian-12-6.1-cloud"];

fuzz_target!(|text: &str| {
    let groups = Groups::parse(text, "groups.toml").unwrap_or_default();
    match Matrix::parse(text, "m.toml") {
        Ok(matrix) => expands(&matrix.with_groups(groups)),
        Err(error) => harmless(&format!("{error}{:?}", error.hint())),
    }
    match Streams::parse(text) {
        Ok(streams) => {
            for stream in streams.all() {
                assert!(streams.named(&stream.name()).count() > 0);
            }
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
});

fn harmless(shown: &str) {
    assert!(
        !shown.chars().any(|c| c.is_control() && c != '\n'),
        "{shown:?}"
    );
}

fn expands(matrix: &Matrix) {
    let known = KERNELS.map(|name| KnownKernel {
        name,
        arch: Arch::X86_64,
        version: None,
        is_verified: true,
    });
    let artifact = Artifact {
        name: "a".into(),
        path: "a.bpf.o".into(),
        sha256: "0".repeat(64),
        size: 1,
        form: Form::Object,
        manifest: None,
    };
    match matrix.expand(std::slice::from_ref(&artifact), &known) {
        Ok(expansion) => {
            assert_eq!(matrix.expand(&[artifact], &known), Ok(expansion.clone()));
            for planned in &expansion.cells {
                assert!(KERNELS.contains(&planned.cell.kernel.as_str()));
            }
        }
        Err(error) => harmless(&format!("{error}{:?}", error.hint())),
    }
}
