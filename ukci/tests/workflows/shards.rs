//! Tests that every cell of the full matrix is in exactly one shard.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use super::place::output;
use super::{fill, read, root};

/// The cells that `ukci list` names for the examples.
fn cells(options: &[&str]) -> Vec<String> {
    let mut list = Command::new(env!("CARGO_BIN_EXE_ukci"));
    list.current_dir(root())
        .arg("list")
        .args(artifacts())
        .args(options);
    let output = output(&mut list);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options:?}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    // The expectation follows the id.
    let ids = text.lines().filter_map(|line| line.split(' ').next());
    ids.map(str::to_owned).collect()
}

fn artifacts() -> Vec<String> {
    let files = std::fs::read_dir(root().join("docs/examples")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.ends_with(".bpf.c"))
        .map(|name| format!("docs/examples/{name}"))
        .collect()
}

/// The step of a job that calls the action.
fn call(job: &Value) -> &Value {
    let steps = job["steps"].as_array().unwrap();
    &steps.iter().find(|step| step["uses"] == "./").unwrap()["with"]
}

#[test]
fn shards_cover_every_cell_once() {
    let workflow = read(".github/workflows/full.yml");
    let shard = &workflow["jobs"]["shard"];
    let strategy = &shard["strategy"]["matrix"];
    let axis = |name: &str| strategy[name].as_array().unwrap().clone();
    assert_eq!(
        strategy.as_object().unwrap().len(),
        2,
        "the shards have no other axis"
    );
    let with = call(shard);
    let matrix = with["matrix"].as_str().unwrap();
    let mut dealt = BTreeMap::new();
    let mut names = BTreeMap::new();
    for arch in axis("arch") {
        for llvm in axis("llvm") {
            let values = [
                ("matrix.arch", arch.as_str().unwrap()),
                ("matrix.llvm", llvm.as_str().unwrap()),
                ("inputs.name", "weekly"),
            ];
            let of = |input: &str| fill(with[input].as_str().unwrap(), &values);
            *names.entry(of("name")).or_insert(0) += 1;
            let mine = cells(&["-m", matrix, "--arch", &of("arch"), "--llvm", &of("llvm")]);
            assert!(!mine.is_empty(), "{arch} {llvm} runs nothing");
            for cell in mine {
                *dealt.entry(cell).or_insert(0) += 1;
            }
        }
    }
    let all: BTreeSet<String> = cells(&["-m", matrix]).into_iter().collect();
    assert!(all.len() > 500, "{} cells", all.len());
    let lost: Vec<_> = all
        .iter()
        .filter(|cell| !dealt.contains_key(*cell))
        .collect();
    assert!(lost.is_empty(), "cells in no shard: {lost:?}");
    let twice: Vec<_> = dealt.iter().filter(|(_, shards)| **shards != 1).collect();
    assert!(twice.is_empty(), "cells in several shards: {twice:?}");
    assert_eq!(
        dealt.len(),
        all.len(),
        "a shard has a cell that the matrix does not have"
    );
    assert!(names.values().all(|&jobs| jobs == 1), "{names:?}");
    // The job that merges the reports uses the same matrix, and only the artifacts of these names.
    let report = &workflow["jobs"]["report"]["steps"];
    assert!(report.to_string().contains(&format!(
        "join shards report {matrix} docs/examples/*.bpf.c"
    )));
    assert!(report.to_string().contains("${{ inputs.name }}-*"));
}

#[test]
fn a_pull_request_runs_the_quick_matrix_with_the_newest_llvm() {
    let workflow = read(".github/workflows/check.yml");
    let with = call(&workflow["jobs"]["quick"]);
    let words = |name: &str| with[name].as_str().unwrap().split_whitespace();
    let mut options = vec!["-m", with["matrix"].as_str().unwrap()];
    for (option, name) in [
        ("--kernel", "kernels"),
        ("--arch", "arch"),
        ("--llvm", "llvm"),
    ] {
        options.extend(words(name).flat_map(|word| [option, word]));
    }
    let (mut quick, mut ours) = (cells(&["-m", "quick", "--llvm", "20"]), cells(&options));
    quick.sort();
    ours.sort();
    assert_eq!(ours, quick);
    let full = read(".github/workflows/full.yml");
    let llvms = full["jobs"]["shard"]["strategy"]["matrix"]["llvm"]
        .as_array()
        .unwrap();
    assert_eq!(llvms.last(), Some(&with["llvm"]));
}
