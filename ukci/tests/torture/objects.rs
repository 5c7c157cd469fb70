//! Objects with random bytes changed, through a real guest.

use std::fs;
use std::time::Duration;

use ukci_schema::verdict::VerdictKind;

use super::{Attack, KERNEL, assert_orderly, ended, report, start};

/// Objects of one run.
const BATCH: usize = 6;

#[test]
fn a_mutated_object_passes_or_fails() {
    let Some(mut attack) = Attack::begin("objects", 20) else {
        return;
    };
    let mut objects = 0;
    while attack.goes_on() {
        let mut arguments: Vec<String> = vec!["check".into()];
        for n in 0..BATCH {
            let from = attack.object();
            let mut bytes = fs::read(from).unwrap();
            mutate(&mut bytes, &mut attack);
            let path = attack.path("objects").join(format!("mutant{n}.bpf.o"));
            fs::write(&path, bytes).unwrap();
            arguments.push(path.to_str().unwrap().into());
        }
        let rest = ["--kernel", KERNEL, "--out", "out", "--timeout", "120s"];
        arguments.extend(rest.map(str::to_owned));
        let child = start(&mut attack.ukci(&arguments));
        let output = ended(child, Duration::from_mins(15), "mutants");
        assert_orderly(&output, "mutants");
        attack.assert_no_process("mutants");
        let report = report(&attack.path("out"), "mutants");
        // All of them may have been refused before anything booted.
        for cell in report.iter().flat_map(|report| &report.cells) {
            if cell.verdict == VerdictKind::Error {
                let kept = attack.dir.path();
                panic!("no verdict of a mutant in {}: {cell:#?}", kept.display());
            }
        }
        objects += BATCH;
    }
    eprintln!("mutated objects: {objects}");
}

/// Some bytes, more often in a table than in code: by chance, or a piece moved, or the end cut.
fn mutate(bytes: &mut Vec<u8>, attack: &mut Attack) {
    for _ in 0..=attack.random.below(6) {
        let at = attack.random.below(bytes.len());
        match attack.random.below(8) {
            0 => bytes.truncate(at.max(64)),
            1 => {
                let from = attack.random.below(bytes.len());
                let length = attack.random.below(16).min(bytes.len() - at.max(from));
                bytes.copy_within(from..from + length, at);
            }
            2 => bytes[at] = 0xff,
            _ => bytes[at] ^= 1 << attack.random.below(8),
        }
    }
}
