//! `ukci init`: writes a matrix, manifests and a workflow for the objects of a project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ukci_harness::input_file::{self, OBJECT_LIMIT};
use ukci_harness::render::{harmless, quoted};
use ukci_harness::{object_file, resolve};
use ukci_matrix::manifest;
use ukci_schema::artifact::name_of;
use ukci_schema::lock::Lock;

use crate::args::init::Init;
use crate::atomic_file;
use crate::command::manifest::with_programs;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::lock_file;
use crate::output::{GOOD, Output, label};
use crate::selected::unresolved;
use crate::text::text;

/// Where the matrix and the manifests go.
const DIR: &str = "ukci";

/// Where GitHub finds workflows.
const WORKFLOW: &str = ".github/workflows/ukci.yml";

/// How deep directories are searched.
const DEPTH: u32 = 6;

/// Runs the command.
pub(crate) fn run(init: &Init, output: Output) -> Result<Exit, Failure> {
    let found = artifacts(&init.paths)?;
    let mut manifests: BTreeMap<&str, String> = BTreeMap::new();
    for (name, path) in &found {
        let facts = input_file::read(path, OBJECT_LIMIT)
            .ok()
            .and_then(|bytes| object_file::facts(&bytes));
        let suggestion = facts.map(|facts| manifest::suggest(&facts, &[]));
        if let Some(suggestion) = suggestion.filter(|suggestion| !suggestion.is_empty()) {
            manifests.insert(name, suggestion.to_toml(name));
        }
    }
    let manifest_path = |name: &str| format!("{DIR}/{name}.toml");
    let matrix_path = format!("{DIR}/matrix.toml");
    let mut files = vec![(PathBuf::from(&matrix_path), matrix(&lock_file::lock()?)?)];
    for (name, text) in &manifests {
        files.push((manifest_path(name).into(), text.clone()));
    }
    let paths: Vec<String> = found
        .values()
        .map(|path| path.display().to_string())
        .collect();
    let given: Vec<String> = manifests
        .keys()
        .map(|name| format!("{name}={}", manifest_path(name)))
        .collect();
    files.push((WORKFLOW.into(), workflow(&paths, &matrix_path, &given)));

    let there: Vec<String> = files
        .iter()
        .filter(|(path, _)| path.exists())
        .map(|(path, _)| format!("`{}`", path.display()))
        .collect();
    if !there.is_empty() && !init.force {
        let message = format!("{} already there, and nothing was written", are(&there));
        let hint = "move them away, or add `--force` to overwrite them".to_owned();
        return Err(Failure::says(Exit::Usage, &message, Some(hint)));
    }
    for (path, text) in &files {
        write(path, text)?;
        let path = harmless(&path.to_string_lossy());
        output.say(&text!("{} {}", label(GOOD, "Wrote"), path));
    }
    let mut words: Vec<String> = paths.iter().map(|path| quoted(path)).collect();
    words.push(format!("--matrix ./{matrix_path}"));
    words.extend(
        given
            .iter()
            .map(|given| format!("--manifest {}", quoted(given))),
    );
    // As the workflow has it.
    if has_sources(&paths) {
        words.push("--vmlinux-h auto".to_owned());
    }
    output.say(&text!(
        "\nNext, see what the kernels say:\n  ukci check {}",
        harmless(&words.join(" "))
    ));
    Ok(Exit::Met)
}

fn are(names: &[String]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)
        .map_err(|error| Failure::failed_to(Action::on("make", dir), &error))?;
    atomic_file::write(path, text)
}

/// The artifacts by name. An object is taken rather than the source of the same name.
fn artifacts(paths: &[PathBuf]) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut files = Vec::new();
    let here = [PathBuf::from(".")];
    for path in if paths.is_empty() { &here[..] } else { paths } {
        if path.is_dir() {
            search(path, DEPTH, &mut files);
        } else if path.is_file() {
            let is_source = path.extension().is_some_and(|ending| ending == "c");
            if !is_source {
                let bytes = input_file::read(path, OBJECT_LIMIT).unwrap_or_default();
                with_programs(path, &bytes)?;
            }
            files.push(path.clone());
        } else {
            let message = format!("there is no file or directory `{}`", path.display());
            return Err(Failure::says(Exit::Usage, &message, None));
        }
    }
    // Objects first: the first of a name is taken.
    files.sort_by_key(|path| {
        (
            path.extension().is_some_and(|ending| ending == "c"),
            path.clone(),
        )
    });
    let mut found: BTreeMap<String, PathBuf> = BTreeMap::new();
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let path = path.strip_prefix(".").unwrap_or(&path).to_owned();
        found.entry(name_of(&name).to_owned()).or_insert(path);
    }
    if found.is_empty() {
        let message = "no `.bpf.o` or `.bpf.c` was found";
        let hint = "build the objects first, or name them: `ukci init build/x.bpf.o`".to_owned();
        return Err(Failure::says(Exit::Usage, message, Some(hint)));
    }
    Ok(found)
}

/// Adds the objects and sources below a directory. What cannot be read has none.
fn search(dir: &Path, depth: u32, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let kind = entry.file_type();
        if kind.as_ref().is_ok_and(std::fs::FileType::is_dir) {
            let skipped = name.starts_with('.')
                || matches!(name.as_str(), "target" | "node_modules" | "ukci-out");
            if depth > 0 && !skipped {
                search(&path, depth - 1, files);
            }
        } else if name.ends_with(".bpf.o") || name.ends_with(".bpf.c") {
            files.push(path);
        }
    }
}

/// A matrix with the kernels of `quick`, for people to change.
fn matrix(lock: &Lock) -> Result<String, Failure> {
    let quick = resolve::matrix("quick").map_err(|error| unresolved(&error))?;
    let kernels = quick.kernels(&resolve::known(lock));
    let lines = kernels.iter().map(|name| format!("  \"{name}\",\n"));
    Ok(format!(
        "# The kernels that our objects must work on. `ukci kernels list` shows every kernel.\n\
         # `ukci check ... --bless` adds what fails today as an expected failure.\n\
         [[cells]]\nkernels = [\n{}]\n",
        lines.collect::<String>()
    ))
}

fn has_sources(artifacts: &[String]) -> bool {
    let mut paths = artifacts.iter().map(Path::new);
    paths.any(|path| path.extension().is_some_and(|ending| ending == "c"))
}

/// The workflow. Paths are quoted as YAML wants them.
fn workflow(artifacts: &[String], matrix: &str, manifests: &[String]) -> String {
    let sources = has_sources(artifacts);
    let objects = artifacts
        .iter()
        .any(|path| Path::new(path).extension().is_some_and(|e| e == "o"));
    let in_yaml = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let mut text = String::from(
        "name: ukci\non: [push, pull_request]\npermissions:\n  contents: read\njobs:\n  \
         kernels:\n    runs-on: ubuntu-24.04\n    timeout-minutes: 45\n    steps:\n      \
         - uses: actions/checkout@v4\n        with:\n          persist-credentials: false\n",
    );
    if objects {
        text.push_str("      # Build the objects here, unless they are in the repository.\n");
    }
    // The action is in the repository that ukci comes from.
    text.push_str("      - uses: ukci/ukci@main\n        with:\n");
    text.push_str(&format!(
        "          artifact: {}\n",
        in_yaml(&artifacts.join(" "))
    ));
    text.push_str(&format!("          matrix: {}\n", in_yaml(matrix)));
    if !manifests.is_empty() {
        text.push_str("          manifest: |\n");
        for manifest in manifests {
            text.push_str(&format!("            {manifest}\n"));
        }
    }
    if sources {
        text.push_str("          # Remove this line if no source has `#include \"vmlinux.h\"`.\n");
        text.push_str("          vmlinux-h: auto\n");
    }
    text
}
