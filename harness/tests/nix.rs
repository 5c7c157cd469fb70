//! Nix and Rust agree: on the cells of every matrix, on what is refused, on where Nix keeps a file,
//! on which files make the tool, and on what a report is. Needs `nix-instantiate` and `nix-store`; without them the tests say so and skip, unless
//! `UKCI_TEST_NIX` is set (`make nix-check` does).

#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use ukci_harness::nix::{StorePath, store_name};
use ukci_harness::resolve::{GROUPS, LOCK};
use ukci_matrix::matrix::{Groups, KnownKernel, Matrix, MatrixError};
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::lock::Lock;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A command of Nix's with settings of its own, or nothing where Nix is not installed.
fn nix(program: &str, home: &Path) -> Option<Command> {
    let mut command = Command::new(program);
    command
        .env("NIX_CONF_DIR", home)
        .env("HOME", home)
        .env("NIX_STATE_DIR", home.join("state"))
        .env("NIX_LOG_DIR", home.join("log"));
    let is_there = Command::new(program).arg("--version").output().is_ok();
    if is_there {
        return Some(command);
    }
    assert!(
        std::env::var_os("UKCI_TEST_NIX").is_none(),
        "`{program}` is missing"
    );
    eprintln!("skipped: `{program}` is missing; the package is `nix-bin`");
    None
}

#[test]
fn the_tool_of_nix_says_which_sources_it_was_built_from() {
    let home = tempfile::tempdir().unwrap();
    let expression = format!(
        "let
          surface.rustPlatform.buildRustPackage = arguments: arguments;
          scope = import {root}/nix {{ root = {root}; inherit surface; }};
        in {{ inherit (scope.ukciUnwrapped) UKCI_COMMIT src; }}",
        root = root().canonicalize().unwrap().display()
    );
    let Some(output) = evaluate(home.path(), &expression) else {
        return;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let tool: Value = serde_json::from_slice(&output.stdout).unwrap();
    let source = Path::new(tool["src"].as_str().unwrap());
    let source = source.file_name().unwrap().to_str().unwrap();
    assert!(source.ends_with("-ukci-source"), "{source}");
    assert_eq!(tool["UKCI_COMMIT"], format!("source-{}", &source[..12]));
}

fn evaluate(home: &Path, expression: &str) -> Option<Output> {
    let mut command = nix("nix-instantiate", home)?;
    // Evaluation alone: no store is written.
    command.args(["--eval", "--strict", "--json", "--readonly-mode", "--expr"]);
    Some(command.arg(expression).output().unwrap())
}

/// What `nix/expand.nix` makes of each text: `{ cells, excluded }`, or null where it refuses.
fn expand_in_nix(texts: &[String], form: &str) -> Option<Vec<Value>> {
    let home = tempfile::tempdir().unwrap();
    let list = serde_json::to_string(texts).unwrap();
    std::fs::write(home.path().join("texts.json"), list).unwrap();
    let expression = format!(
        "let
          expand = import {root}/nix/expand.nix;
          lock = builtins.fromJSON (builtins.readFile {root}/kernels/lock.json);
          texts = builtins.fromJSON (builtins.readFile {texts});
          artifacts = [ {{ name = \"a\"; form = \"{form}\"; }} {{ name = \"b\"; form = \"{form}\"; }} ];
          one = text:
            let
              expansion = expand {{ matrix = builtins.fromTOML text; inherit artifacts lock; }};
              tried = builtins.tryEval (builtins.deepSeq expansion expansion);
            in if tried.success then tried.value else null;
        in map one texts",
        root = root().canonicalize().unwrap().display(),
        texts = home.path().join("texts.json").display(),
    );
    let output = evaluate(home.path(), &expression)?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

/// The same in Rust.
fn expand(text: &str, form: Form) -> Result<Value, MatrixError> {
    let lock: Lock = serde_json::from_str(LOCK).unwrap();
    let known: Vec<KnownKernel<'_>> = (lock.kernels.iter())
        .map(|kernel| KnownKernel {
            name: &kernel.name,
            arch: kernel.arch,
            version: None,
            is_verified: true,
        })
        .collect();
    let artifacts = ["a", "b"].map(|name| {
        let sha256 = "0".repeat(64);
        let mut artifact = json!({ "name": name, "path": "", "sha256": sha256, "size": 0 });
        artifact["form"] = serde_json::to_value(form).unwrap();
        serde_json::from_value::<Artifact>(artifact).unwrap()
    });
    let groups = Groups::parse(GROUPS, "kernels/groups.toml").unwrap();
    let matrix = Matrix::parse(text, "m.toml")?.with_groups(groups);
    let expansion = matrix.expand(&artifacts, &known)?;
    Ok(json!({ "cells": expansion.cells, "excluded": expansion.excluded }))
}

const RICH: &str = r#"
memory = 512
cmdline = ["lsm=bpf"]

[[cells]]
kernels = ["debian-12-6.1", "debian-13-6.12"]
llvms = ["19", "21"]

[[cells]]
kernels = ["debian-13-6.12", "debian-11-5.10-cloud"]
llvms = ["21"]
arches = ["x86_64"]

[[cells]]
kernels = ["@lts", "@all"]
arches = ["aarch64", "riscv64"]
llvms = ["19"]

[[cells]]
kernels = ["debian-sid-7.2"]
required = false
cpus = 2
memory = 300

[[exclude]]
kernels = "debian-12-6.1"
artifacts = "b"
reason = "b is new"

[[exclude]]
llvms = "19"
kernels = "debian-13-6.12"
reason = "it is old"

[[exclude]]
kernels = ["@lts"]
arches = ["riscv64"]
artifacts = ["b*", "a+"]
reason = "b is not for riscv64"

[[expect]]
kernels = "@lts"
verdict = "fail"
code = "MISSING_BTF"
required = false
reason = "a group in a rule, and a rule after it for one of the group"

[[expect]]
kernels = "debian-12-6.1"
verdict = "fail"
code = "MISSING_KFUNC"
reason = "it lacks the kfunc"

[[expect]]
artifacts = "a"
verdict = "pass"
reason = "a has a fallback"

[[cells]]
kernels = ["debian-*-cloud", "*-6.1*"]
arches = "aarch64"
llvms = "21"

[[exclude]]
kernels = "debian-*-5.10-cloud"
arches = ["aarch64", "x86_64"]
llvms = ["2*"]
reason = "globs and lists"

[[exclude]]
kernel = "debian-sid-7.2-cloud"
arch = "aarch64"
reason = "the words of the release before"

[[expect]]
artifacts = "b"
kernels = ["@all", "debian-sid-7.2"]
verdict = "fail"
code = "VERIFIER_LIMIT"
required = true
reason = "the verifier gives up"
"#;

/// What both refuse.
const WRONG: &[&str] = &[
    "",
    "[[cells]]\nkernels = []\n",
    "[[cells]]\nkernels = [\"debian-9-4.19\"]\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\narches = [\"s390x\"]\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\nkernals = [\"debian-12-6.1\"]\n",
    "colour = \"red\"\n[[cells]]\nkernels = [\"debian-12-6.1\"]\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[cells]]\nkernels = [\"debian-12-6.1\"]\ncpus = 2\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[exclude]]\nreason = \"no axis\"\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[exclude]]\nkernels = \"debian-sid-7.2\"\nreason = \"none\"\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[exclude]]\nkernels = \"debian-12-6.1\"\nreason = \"\"\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[expect]]\nkernels = \"debian-12-6.1\"\nverdict = \"fail\"\nreason = \"no code\"\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[expect]]\nkernels = \"debian-12-6.1\"\nverdict = \"skip\"\nreason = \"neither\"\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[expect]]\nkernels = \"debian-12-6.1\"\nverdict = \"pass\"\ncode = \"MISSING_BTF\"\nreason = \"both\"\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\", \"debian-sid-7.2\"]\n[[exclude]]\nkernels = \"debian-12-6.1\"\nreason = \"gone\"\n[[expect]]\nkernels = \"debian-12-6.1\"\nverdict = \"pass\"\nreason = \"stale\"\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[exclude]]\nkernels = \"@ltss\"\nreason = \"no such group\"\n",
    "[[cells]]\nkernels = [\"debian-12-6.1\"]\n[[expect]]\nkernels = \"@next\"\nverdict = \"pass\"\nreason = \"none of it is run\"\n",
    "[[cells]]\nkernels = [\"@lts\"]\n[[exclude]]\nkernels = \"@lts\"\nreason = \"gone\"\n[[expect]]\nkernels = \"@lts\"\nverdict = \"pass\"\nreason = \"stale\"\n",
    "[[cells]]\nkernels = [\"@lts\"]\n[[exclude]]\nkernels = \"@lts\"\nreason = \" \"\n",
    "[[cells]]\nkernels = \"debian-9-*\"\n",
    "[[cells]]\nkernels = \"@lts\"\n[[exclude]]\nkernel = \"@lts\"\nkernels = \"@lts\"\nreason = \"both words\"\n",
    "[[cells]]\nkernels = \"debian-12-6.1\"\n[[exclude]]\nkernels = [\"debian-12-*\", \"debian-13-*\"]\nreason = \"one entry covers nothing\"\n",
    "[[cells]]\nkernels = \"debian-12-6.1\"\n[[exclude]]\nkernels = []\nreason = \"no entry\"\n",
    "[[cells]]\nkernels = \"debian-12-6.1\"\n[[exclude]]\nartifacts = []\nreason = \"no entry\"\n",
    "[[cells]]\nkernels = \"debian-12-6.1\"\n[[exclude]]\nartifacts = \"@lts\"\nreason = \"a group of artifacts\"\n",
    "[[cells]]\nkernels = \"debian-12-6.1\"\n[[exclude]]\nkernels = \"debian-12-6x1\"\nreason = \"a dot is a dot\"\n",
    "[[cells]]\nkernels = \"debian-12-6.1\"\n[[exclude]]\narches = [\"x86_64\", \"arm64\"]\nreason = \"no such architecture\"\n",
    "[[cells]]\nkernels = \"debian-12-6.1\"\n[[expect]]\nllvms = \"19\"\nverdict = \"pass\"\nreason = \"no cells have an LLVM\"\n",
    "[[cells]]\nkernels = [\"@lts\"]\n[[exclude]]\nkernels = \"@lts\"\nwritten = 1\nreason = \"an unknown key\"\n",
];

#[test]
fn every_matrix_expands_to_the_same_cells() {
    let mut texts = vec![RICH.to_owned()];
    let dir = root().join("matrices");
    for entry in std::fs::read_dir(dir).unwrap() {
        texts.push(std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    texts.push(std::fs::read_to_string(root().join("docs/examples/matrix.toml")).unwrap());
    assert!(texts.len() > 3, "there are matrices");
    for (form, name) in [(Form::Object, "object"), (Form::Source, "source")] {
        let Some(in_nix) = expand_in_nix(&texts, name) else {
            return;
        };
        for (text, nix) in texts.iter().zip(in_nix) {
            assert_eq!(nix, expand(text, form).unwrap(), "{name}\n{text}");
        }
    }
}

#[test]
fn what_rust_refuses_nix_refuses() {
    let texts: Vec<String> = WRONG.iter().map(|&text| text.to_owned()).collect();
    let Some(in_nix) = expand_in_nix(&texts, "object") else {
        return;
    };
    for (text, nix) in texts.iter().zip(in_nix) {
        assert!(expand(text, Form::Object).is_err(), "{text}");
        assert_eq!(nix, Value::Null, "{text}");
    }
}

/// Every file of the tree that a function of `nix/` keeps, named from the root.
const KEPT: &str = r#"
    let
      isSource = import (root + "/nix/isSource.nix");
      isGuestSource = import (root + "/nix/isGuestSource.nix") { inherit isSource; };
      walk = prefix:
        let entries = builtins.readDir (root + "/${prefix}"); in
        builtins.concatMap (name:
          let path = if prefix == "" then name else "${prefix}/${name}"; in
          if !isKept path then [ ]
          else if entries.${name} == "directory" then walk path
          else [ path ]
        ) (builtins.attrNames entries);
    in walk ""
"#;

/// Copies the files that a function of `nix/` keeps into an empty tree below `work`.
fn copy_kept(is_kept: &str, work: &Path) -> Option<(Vec<String>, PathBuf)> {
    let home = tempfile::tempdir().unwrap();
    let root = root().canonicalize().unwrap();
    let expression = KEPT.replace("isKept", is_kept);
    let expression = format!("let root = {}; in {expression}", root.display());
    let output = evaluate(home.path(), &expression)?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let files: Vec<String> = serde_json::from_slice(&output.stdout).unwrap();

    let tree = work.join("tree");
    let _ = std::fs::remove_dir_all(&tree);
    for file in &files {
        let copy = tree.join(file);
        std::fs::create_dir_all(copy.parent().unwrap()).unwrap();
        std::fs::copy(root.join(file), copy).unwrap();
    }
    Some((files, tree))
}

/// What cargo prints in a tree, with a directory of its own for what it builds.
fn cargo(tree: &Path, args: &[&str]) -> String {
    let output = Command::new(std::env::var_os("CARGO").unwrap())
        .args(args)
        .env("CARGO_TARGET_DIR", tree.with_file_name("target"))
        .current_dir(tree)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{args:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Fails if a source includes a file that is not in the tree; returns how many it found.
fn check_included(files: &[String], tree: &Path) -> usize {
    let mut count = 0;
    for file in files.iter().filter(|file| file.contains("/src/")) {
        let path = tree.join(file);
        let is_code = path.extension().is_some_and(|ending| ending == "rs");
        if !is_code || file.ends_with("/tests.rs") {
            continue;
        }
        for name in included(&std::fs::read_to_string(&path).unwrap()) {
            count += 1;
            let included = path.parent().unwrap().join(name);
            assert!(included.exists(), "{file} includes {name}");
        }
    }
    count
}

/// What a source file outside of its tests includes, as paths from the file.
fn included(text: &str) -> impl Iterator<Item = &str> {
    let (code, _) = text.split_once("\nmod tests {").unwrap_or((text, ""));
    ["include_str!(\"", "include_bytes!(\""]
        .into_iter()
        .flat_map(|opening| code.split(opening).skip(1))
        .filter_map(|rest| rest.split_once('"').map(|(path, _)| path))
}

/// Nothing else here builds the tool from what Nix would. Cargo refuses a workspace of which a
/// file is missing; one small crate has it look.
#[test]
fn cargo_reads_what_nix_takes_of_the_tree() {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nix-source");
    let Some((files, tree)) = copy_kept("isSource", &work) else {
        return;
    };
    assert!(files.contains(&"harness/src/nix.rs".to_owned()));
    // With a pin, Nix would build the tool anew, and every cell.
    let is_pin = |file: &String| file.contains("lock.json") || file.contains("CHANGES.md");
    assert!(!files.iter().any(is_pin));
    // As `nix/ukciUnwrapped.nix` does.
    let lock = json!({ "schema": ukci_schema::lock::SCHEMA, "kernels": [] }).to_string();
    std::fs::write(tree.join("kernels/lock.json"), &lock).unwrap();
    std::fs::create_dir_all(tree.join("kernels/lock")).unwrap();
    for file in std::fs::read_dir(root().join("kernels/lock")).unwrap() {
        let name = file.unwrap().file_name();
        std::fs::write(tree.join("kernels/lock").join(name), &lock).unwrap();
    }
    cargo(
        &tree,
        &[
            "check",
            "--quiet",
            "--offline",
            "--locked",
            "--package",
            "ukci-schema",
        ],
    );
    let count = check_included(&files, &tree);
    assert!(count > 5, "the matrices are included, and more");
}

/// A change of the judge or of the tool must not rebuild an agent, and an agent must find every crate
/// of the workspace that it depends on.
#[test]
fn an_agent_is_built_from_the_schema_and_itself() {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nix-guest-source");
    let Some((files, tree)) = copy_kept("isGuestSource", &work) else {
        return;
    };
    for file in &files {
        let is_own = file.starts_with("guest/") || file.starts_with("harness/schema/");
        let is_workspace = ["Cargo.lock", "Cargo.toml"].contains(&file.as_str());
        assert!(is_own || is_workspace, "{file}");
    }
    // As `nix/guest.nix` does.
    let sed = Command::new("sed")
        .args(["-i", "-f"])
        .arg(root().join("nix/guestWorkspace.sed"))
        .arg(tree.join("Cargo.toml"))
        .status();
    assert!(sed.unwrap().success());
    let listed = cargo(
        &tree,
        &[
            "tree",
            "--offline",
            "--package",
            "ukci-guest",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
        ],
    );
    // The path of a crate is shown if it is of the workspace.
    let own = listed.lines().filter(|line| line.contains("(/"));
    let own: BTreeSet<&str> = own.filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(own, BTreeSet::from(["ukci-guest", "ukci-schema"]));
    check_included(&files, &tree);
}

#[test]
fn store_paths_are_nix_s() {
    let home = tempfile::tempdir().unwrap();
    let lock: Lock = serde_json::from_str(LOCK).unwrap();
    let files: Vec<(String, String)> = (lock.kernels.iter().flat_map(|kernel| &kernel.packages))
        .map(|package| {
            let file = package.path.rsplit('/').next().unwrap();
            (file.to_owned(), package.sha256.clone())
        })
        .chain([("a~b:c^d%20(e).pkg.tar.zst".to_owned(), "0".repeat(64))])
        .collect();
    for (name, sha256) in &files {
        let expression = format!(
            "import {}/nix/storeName.nix {name:?}",
            root().canonicalize().unwrap().display()
        );
        let Some(output) = evaluate(home.path(), &expression) else {
            return;
        };
        let named: String = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(named, store_name(name));

        let Some(mut command) = nix("nix-store", home.path()) else {
            return;
        };
        command.args(["--print-fixed-path", "sha256", sha256, &named]);
        let output = command.output().unwrap();
        let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let ours = StorePath::of_file(&named, sha256).unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(ours.to_string(), path, "{said}");
        assert_eq!(StorePath::holding(Path::new(&path)), Some(ours));
    }
}

/// `nix/tests/check.sh` keeps the reports that derivations made, and says where.
#[test]
fn reports_of_derivations_are_valid() {
    let Some(dir) = std::env::var_os("UKCI_TEST_NIX_REPORTS") else {
        eprintln!("skipped: `make nix-check` names reports in `UKCI_TEST_NIX_REPORTS`");
        return;
    };
    let schema = std::fs::read_to_string(root().join("docs/report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let mut outcomes = std::collections::BTreeMap::<String, usize>::new();
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let report: Value = serde_json::from_str(&text).unwrap();
        let complaints: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| format!("{}: {}: {error}", path.display(), error.instance_path()))
            .collect();
        assert_eq!(complaints, Vec::<String>::new());
        for cell in report["cells"].as_array().unwrap() {
            let outcome = cell["outcome"].as_str().unwrap().to_owned();
            *outcomes.entry(outcome).or_default() += 1;
        }
    }
    for outcome in ["pass", "fail", "xfail"] {
        assert!(outcomes.contains_key(outcome), "{outcome}: {outcomes:?}");
    }
}
