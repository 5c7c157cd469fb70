//! The one table of helpers, `history.tsv` of the schema, has those of the libbpf that is linked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ukci_schema::history;

/// The `bpf_helper_defs.h` of the crate that carries libbpf's sources.
fn header() -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {output:?}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let libbpf = (packages.iter())
        .find(|package| package["name"] == "libbpf-sys")
        .unwrap();
    let manifest = Path::new(libbpf["manifest_path"].as_str().unwrap());
    manifest
        .with_file_name("libbpf")
        .join("src/bpf_helper_defs.h")
}

/// `static long (* const bpf_map_update_elem)(void *map, …) = (void *) 2;`
fn declared(line: &str) -> Option<(u32, String)> {
    let (_, rest) = line.split_once("(* const ")?;
    let (name, rest) = rest.split_once(')')?;
    let (_, number) = rest.rsplit_once("= (void *)")?;
    let number = number.trim().trim_end_matches(';').trim().parse().ok()?;
    Some((number, name.to_owned()))
}

#[test]
fn the_table_has_the_helpers_of_libbpf() {
    let text = std::fs::read_to_string(header()).unwrap();
    let theirs: BTreeMap<u32, String> = text.lines().filter_map(declared).collect();
    let ours: BTreeMap<u32, String> = history::facts()
        .iter()
        .filter(|fact| fact.kind == "helper")
        .map(|fact| (fact.number.unwrap(), fact.name.to_owned()))
        .collect();
    assert!(theirs.len() > 200, "{} helpers are declared", theirs.len());
    assert_eq!(ours, theirs);
}
