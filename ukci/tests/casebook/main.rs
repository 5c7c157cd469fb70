//! The casebook (`guest/tests/casebook`): small objects, each with what every kernel series must
//! answer. `UKCI_CASEBOOK` names the kernels, comma separated, with `/ARCH` for one that is not
//! `x86_64`; `make casebook` names the five of `x86_64`. `UKCI_CASEBOOK_ONLY` has the beginnings of
//! the names of those that are run, comma separated. With `UKCI_UPDATE=1` the results are kept;
//! without it a result that changes fails. `UKCI_CASEBOOK_RECORD` names one case whose evidence is
//! recorded instead (`make evidence`).

#![expect(
    clippy::print_stderr,
    reason = "a skip and the count are told to people"
)]

mod case;
mod complete;
mod record;
mod results;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ukci_schema::report::Report;

use case::{Expect, answer, root};
use results::Results;

/// Runs these objects on this kernel, booted with these arguments.
fn run(
    objects: &[PathBuf],
    manifests: &[String],
    kernel: &str,
    cmdline: &[String],
    out: &Path,
) -> Report {
    let matrix = out.join("matrix.toml");
    std::fs::create_dir_all(out).unwrap();
    let (name, arch) = kernel.split_once('/').unwrap_or((kernel, "x86_64"));
    let cells = format!("[[cells]]\nkernels = [{name:?}]\narches = [{arch:?}]\n");
    std::fs::write(&matrix, format!("cmdline = {cmdline:?}\n{cells}")).unwrap();
    let agent = root().join(format!("target/release/ukci-guest-{arch}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_ukci"));
    command
        .env(format!("UKCI_AGENT_{}", arch.to_uppercase()), agent)
        .env("NO_COLOR", "1")
        // A test of what kernels answer asks them.
        .env("UKCI_NO_CACHE", "1")
        .stdin(Stdio::null())
        .args(["--quiet", "check"])
        .args(objects)
        .args(manifests)
        .arg("--matrix")
        .arg(&matrix)
        .arg("--out")
        .arg(out);
    if let Some(jobs) = std::env::var_os("UKCI_CASEBOOK_JOBS") {
        command.arg("--jobs").arg(jobs);
    }
    let output = command.output().unwrap();
    let text = std::fs::read(out.join("report.json"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_slice(&text).unwrap()
}

#[test]
fn every_case_gets_the_answer_it_must() {
    let Ok(kernels) = std::env::var("UKCI_CASEBOOK") else {
        eprintln!("skipped: `make casebook` names the kernels in UKCI_CASEBOOK");
        return;
    };
    if let Ok(name) = std::env::var("UKCI_CASEBOOK_RECORD") {
        record::record(&name, &kernels);
        return;
    }
    let mut cases = case::all();
    if let Ok(start) = std::env::var("UKCI_CASEBOOK_ONLY") {
        let starts: Vec<&str> = start.split(',').collect();
        cases.retain(|name, _| starts.iter().any(|start| name.starts_with(start)));
        assert!(!cases.is_empty(), "no case begins with `{start}`");
    }
    let (mut wrong, mut seen) = (Vec::new(), Results::new());
    for kernel in kernels.split(',') {
        let objects = case::objects(kernel);
        // Cases that boot alike share a run.
        let mut alike: BTreeMap<&[String], Vec<(&str, &Expect)>> = BTreeMap::new();
        for (name, case) in &cases {
            if let Some(expect) = case.on(kernel) {
                let of = alike.entry(&expect.cmdline).or_default();
                of.push((name, expect));
            }
        }
        for (n, (cmdline, of)) in alike.into_iter().enumerate() {
            let manifests: Vec<String> = of
                .iter()
                .filter_map(|(name, _)| cases[*name].manifest_option(name, &objects))
                .collect();
            let paths: Vec<PathBuf> = of
                .iter()
                .map(|(name, _)| objects.join(format!("{name}.bpf.o")))
                .collect();
            let out = kernel.replace('/', "-");
            let out = root().join(format!("target/casebook-out/{out}-{n}"));
            let report = run(&paths, &manifests, kernel, cmdline, &out);
            for (name, expect) in of {
                let cell = report.cells.iter().find(|cell| cell.artifact == name);
                let Some(cell) = cell else {
                    wrong.push(format!("{name} on {kernel}: did not run"));
                    continue;
                };
                let lines = expect.differences(cell);
                wrong.extend(
                    lines
                        .iter()
                        .map(|line| format!("{name} on {kernel}: {line}")),
                );
                let (verdict, code) = answer(cell);
                seen.insert(
                    (name.to_owned(), kernel.to_owned()),
                    (verdict.to_owned(), code.unwrap_or("-").to_owned()),
                );
            }
        }
    }
    let checked = seen.len();
    eprintln!("casebook: {checked} answers checked");
    if std::env::var_os("UKCI_UPDATE").is_some() {
        results::keep(seen);
    } else {
        wrong.extend(results::changes(&seen));
    }
    assert!(
        wrong.is_empty(),
        "{} of {checked} answers are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
