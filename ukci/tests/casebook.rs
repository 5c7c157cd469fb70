//! The casebook (`guest/tests/casebook`): small objects, each with what every kernel series must
//! answer. `UKCI_CASEBOOK` names the kernels, comma separated, with `/ARCH` for one that is not
//! `x86_64`; `make casebook` names the five of `x86_64`.

#![expect(
    clippy::print_stderr,
    reason = "a skip and the count are told to people"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use ukci_schema::evidence::{AttachOutcome, StepOutcome};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::VerdictKind;

/// What stands beside an object.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "title")]
    _title: String,
    #[serde(default, rename = "types")]
    _types: Vec<String>,
    #[serde(default, rename = "covers")]
    _covers: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    /// Its manifest, beside it.
    #[serde(default)]
    manifest: Option<String>,
    expect: Vec<Expect>,
}

/// What is expected of the kernels it is for; the first that fits wins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    /// Upstream series; none is every other.
    #[serde(default)]
    series: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    #[serde(default)]
    flavour: Option<String>,
    verdict: String,
    #[serde(default)]
    code: Option<String>,
    /// What the headline or a hint must name.
    #[serde(default)]
    names: Vec<String>,
    /// Attach outcomes by program; load outcomes by `load.<program>`.
    #[serde(default)]
    programs: BTreeMap<String, String>,
    /// Kernel arguments to boot with.
    #[serde(default)]
    cmdline: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
}

impl Expect {
    fn is_for(&self, kernel: &str, arch: &str) -> bool {
        let mut parts = kernel.split('-').skip(2);
        let series = parts.next().unwrap_or_default();
        let flavour = parts.next().unwrap_or("generic");
        (self.series.is_empty() || self.series.iter().any(|s| s == series))
            && (self.arches.is_empty() || self.arches.iter().any(|a| a == arch))
            && self
                .flavour
                .as_deref()
                .is_none_or(|wanted| wanted == flavour)
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

fn cases() -> BTreeMap<String, Case> {
    let dir = root().join("guest/tests/casebook");
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let file = entry.file_name().into_string().unwrap();
        let Some(name) = file.strip_suffix(".toml") else {
            continue;
        };
        if name.ends_with(".manifest") {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        let case = toml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        cases.insert(name.to_owned(), case);
    }
    cases
}

/// Runs these objects on this kernel, booted with these arguments.
fn run(
    objects: &[PathBuf],
    manifests: &[String],
    kernel: &str,
    arch: &str,
    cmdline: &[String],
    out: &Path,
) -> Report {
    let matrix = out.join("matrix.toml");
    std::fs::create_dir_all(out).unwrap();
    let cells = format!("[[cells]]\nkernels = [{kernel:?}]\narches = [{arch:?}]\n");
    let text = format!("cmdline = {cmdline:?}\n{cells}");
    std::fs::write(&matrix, text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .env(
            format!("UKCI_AGENT_{}", arch.to_uppercase()),
            root().join(format!("target/release/ukci-guest-{arch}")),
        )
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .args(["--quiet", "check", "--jobs", "2"])
        .args(objects)
        .args(manifests)
        .arg("--matrix")
        .arg(&matrix)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap();
    let text = std::fs::read(out.join("report.json"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_slice(&text).unwrap()
}

/// What is not as expected, a line each.
fn differences(expect: &Expect, cell: &CellReport) -> Vec<String> {
    let mut wrong = Vec::new();
    let verdict = match cell.verdict {
        VerdictKind::Pass => "pass",
        VerdictKind::Fail => "fail",
        VerdictKind::Error => "error",
        VerdictKind::Skip => "skip",
    };
    let code = cell
        .diagnosis
        .as_ref()
        .map(|diagnosis| diagnosis.code.name());
    let code = code.or_else(|| Some(cell.fault.as_ref()?.code?.name()));
    let mut said = cell.reason.clone().unwrap_or_default();
    if let Some(diagnosis) = &cell.diagnosis {
        let _ = write!(said, "{} {}", diagnosis.headline, diagnosis.hints.join(" "));
    }
    if let Some(fault) = &cell.fault {
        let _ = write!(said, "{} {}", fault.headline, fault.hints.join(" "));
    }
    if verdict != expect.verdict || (expect.code.is_some() && code != expect.code.as_deref()) {
        let expected = expect.code.as_deref().unwrap_or_default();
        let got = code.unwrap_or_default();
        wrong.push(format!(
            "{verdict} {got}, expected {} {expected}: {said}",
            expect.verdict
        ));
        return wrong;
    }
    for name in &expect.names {
        if !said.contains(name.as_str()) {
            wrong.push(format!("does not name `{name}`: {said}"));
        }
    }
    for (key, wanted) in &expect.programs {
        let name = key.strip_prefix("load.").unwrap_or(key);
        let Some(program) = cell.programs.iter().find(|program| program.name == name) else {
            wrong.push(format!("has no program `{name}`"));
            continue;
        };
        let got = if key.starts_with("load.") {
            match program.load {
                StepOutcome::Ok => "ok",
                StepOutcome::Refused => "refused",
                StepOutcome::NotAttempted => "not_attempted",
            }
        } else {
            match program.attach {
                AttachOutcome::Attached => "attached",
                AttachOutcome::Refused => "refused",
                AttachOutcome::NotAttempted => "not_attempted",
            }
        };
        let same = got == wanted || (got == "ok" && wanted == "loaded");
        if !same {
            let why = program.diagnosis.as_ref().map(|d| d.headline.clone());
            let why = why.or_else(|| program.reason.clone()).unwrap_or_default();
            wrong.push(format!("`{key}` is {got}, expected {wanted}: {why}"));
        }
    }
    wrong
}

#[test]
fn every_case_gets_the_answer_it_must() {
    let Ok(kernels) = std::env::var("UKCI_CASEBOOK") else {
        eprintln!("skipped: `make casebook` names the kernels in UKCI_CASEBOOK");
        return;
    };
    let all = cases();
    let mut wrong = Vec::new();
    let (mut checked, mut skipped) = (0, BTreeSet::new());
    for kernel in kernels.split(',') {
        let (kernel, arch) = kernel.split_once('/').unwrap_or((kernel, "x86_64"));
        let objects = root().join(format!("target/casebook-{arch}"));
        // Cases that boot alike share a run.
        let mut runs: BTreeMap<&[String], Vec<(&str, &Expect)>> = BTreeMap::new();
        for (name, case) in &all {
            let x86_64 = ["x86_64".to_owned()];
            let arches = match case.arches.as_slice() {
                [] => &x86_64,
                some => some,
            };
            let here = arches.iter().any(|a| a == arch);
            if !here {
                skipped.insert(name.as_str());
                continue;
            }
            let Some(expect) = case
                .expect
                .iter()
                .find(|expect| expect.is_for(kernel, arch))
            else {
                continue;
            };
            runs.entry(&expect.cmdline)
                .or_default()
                .push((name, expect));
        }
        for (n, (cmdline, cases)) in runs.into_iter().enumerate() {
            let paths: Vec<PathBuf> = cases
                .iter()
                .map(|(name, _)| objects.join(format!("{name}.bpf.o")))
                .collect();
            let manifests: Vec<String> = cases
                .iter()
                .filter_map(|(name, _)| Some((name, all[*name].manifest.as_ref()?)))
                .map(|(name, file)| format!("--manifest={name}={}", objects.join(file).display()))
                .collect();
            let out = root().join(format!("target/casebook-out/{kernel}-{arch}-{n}"));
            let report = run(&paths, &manifests, kernel, arch, cmdline, &out);
            for (name, expect) in cases {
                checked += 1;
                let cell = report.cells.iter().find(|cell| cell.artifact == name);
                let Some(cell) = cell else {
                    wrong.push(format!("{name} on {kernel}/{arch}: did not run"));
                    continue;
                };
                let lines = differences(expect, cell);
                wrong.extend(
                    lines
                        .into_iter()
                        .map(|line| format!("{name} on {kernel}/{arch}: {line}")),
                );
            }
        }
    }
    eprintln!(
        "casebook: {checked} answers checked, {} cases skipped: {skipped:?}",
        skipped.len()
    );
    assert!(
        wrong.is_empty(),
        "{} of {checked} answers are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
