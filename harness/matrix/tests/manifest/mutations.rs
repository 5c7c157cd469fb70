//! No text makes the reader panic, hang or point outside of it: the documentation's examples,
//! damaged in four thousand ways that are the same on every run. `fuzz/` looks further.

use ukci_matrix::manifest::{Manifest, import};
use ukci_schema::cell::Arch;
use ukci_schema::contract::Contract;

use crate::written::{YAML, blocks, full, on};

/// xorshift64: the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

/// Texts that have a meaning in one of the notations, or are awkward in any.
const PIECES: [&str; 30] = [
    "\n",
    "[",
    "]",
    "{",
    "}",
    "[[maps]]\n",
    ":",
    "- ",
    "&a ",
    "*a",
    "<<: ",
    "\"",
    "'",
    "#",
    "|\n",
    "!!str ",
    "~",
    "---\n",
    "=",
    ".",
    ",",
    "\t",
    "\u{0}",
    "\u{feff}",
    "é",
    "\u{202e}",
    "-1",
    "99999999999999999999",
    "cpus",
    "\r\n",
];

/// Cuts, doubles, moves and inserts a few pieces of a text.
fn damaged(text: &str, numbers: &mut Numbers) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(chars.len() + 1);
        let length = numbers.below(40).min(chars.len() - at);
        match numbers.below(4) {
            0 => drop(chars.drain(at..at + length)),
            1 => {
                let piece: Vec<char> = chars[at..at + length].to_vec();
                let to = numbers.below(chars.len() + 1);
                chars.splice(to..to, piece);
            }
            2 => {
                let piece = PIECES[numbers.below(PIECES.len())];
                chars.splice(at..at, piece.chars());
            }
            _ => {
                let other = numbers.below(chars.len().max(1));
                if at < chars.len() {
                    chars.swap(at, other);
                }
            }
        }
    }
    chars.into_iter().collect()
}

/// What holds for every text. Whether it was read.
fn holds(text: &str, is_yaml: bool) -> bool {
    let read = if is_yaml {
        import(text, "m").map(|imported| imported.manifest)
    } else {
        Manifest::parse(text, "m")
    };
    match read {
        Err(error) => {
            // What an imported text says is shown as the TOML that it becomes.
            if let Some(place) = error.place().filter(|place| place.file == "m") {
                let lines: Vec<&str> = text.split('\n').collect();
                let line = lines
                    .get(place.line - 1)
                    .unwrap_or_else(|| panic!("{error}\n{text}"));
                assert!(place.column <= line.chars().count() + 1, "{error}\n{text}");
            }
            let shown = format!("{error}{:?}", error.hint());
            assert!(!shown.contains(['\u{0}', '\u{1b}', '\u{202e}']), "{shown}");
            false
        }
        Ok(manifest) => {
            let json = serde_json::to_string(&manifest).unwrap();
            assert_eq!(
                serde_json::from_str::<Manifest>(&json).unwrap(),
                manifest,
                "{text}"
            );
            for arch in Arch::ALL {
                let contract = manifest.contract(&on("debian-11-5.10", arch));
                let json = serde_json::to_string(&contract).unwrap();
                assert_eq!(
                    serde_json::from_str::<Contract>(&json).unwrap(),
                    contract,
                    "{text}"
                );
                let _ = manifest.expected(&on("debian-11-5.10", arch));
            }
            if !is_yaml {
                for problem in manifest.check_object(&super::meaning::object()) {
                    holds_of(&problem.locate(text, "m"), text);
                }
            }
            true
        }
    }
}

fn holds_of(error: &ukci_matrix::manifest::ManifestError, text: &str) {
    let place = error.place().unwrap();
    assert!(place.line <= text.split('\n').count(), "{error}\n{text}");
}

#[test]
fn damaged_manifests_are_read_or_refused_at_their_place() {
    let json = serde_json::to_string_pretty(&full()).unwrap();
    let seeds = [
        (blocks("toml")[0], false),
        (blocks("toml")[1], false),
        (YAML, true),
        (json.as_str(), true),
    ];
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut read = 0;
    let count = 4_000;
    for n in 0..count {
        let (text, is_yaml) = seeds[n % seeds.len()];
        read += usize::from(holds(&damaged(text, &mut numbers), is_yaml));
    }
    // A damage that nothing survives, or that nothing minds, would test little.
    assert!(
        (count / 50..count / 2).contains(&read),
        "{read} of {count} were read"
    );
}
