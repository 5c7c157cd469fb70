//! What stands beside an object of the casebook: `guest/tests/casebook/README.md`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use ukci_schema::evidence::{AttachOutcome, StepOutcome};
use ukci_schema::report::CellReport;
use ukci_schema::verdict::VerdictKind;

/// One case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    #[serde(rename = "title")]
    _title: String,
    // Held against libbpf and the objects by the guest's own test.
    #[serde(default, rename = "types")]
    _types: Vec<String>,
    #[serde(default, rename = "attach_types")]
    _attach_types: Vec<String>,
    #[serde(default, rename = "covers")]
    _covers: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    /// Its manifest, beside it.
    #[serde(default)]
    manifest: Option<String>,
    pub(crate) expect: Vec<Expect>,
}

impl Case {
    /// What is expected of it on a kernel; `None` if it is not for that.
    pub(crate) fn on(&self, kernel: &str) -> Option<&Expect> {
        let (name, arch) = kernel.split_once('/').unwrap_or((kernel, "x86_64"));
        // Without a word, a case is for x86-64 alone; an expectation for whatever its case is for.
        let here = match self.arches.as_slice() {
            [] => arch == "x86_64",
            arches => arches.iter().any(|of| of == arch),
        };
        let mut expect = self.expect.iter().filter(|_| here);
        expect.find(|expect| expect.is_for(name, arch))
    }

    /// The option of `ukci check` for its manifest, which is copied beside the objects.
    pub(crate) fn manifest_option(&self, name: &str, objects: &Path) -> Option<String> {
        let file = objects.join(self.manifest.as_ref()?);
        Some(format!("--manifest={name}={}", file.display()))
    }
}

/// What is expected of the kernels it is for; the first that fits wins.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Upstream series; none is every other.
    #[serde(default)]
    series: Vec<String>,
    #[serde(default)]
    arches: Vec<String>,
    #[serde(default)]
    flavour: Option<String>,
    verdict: String,
    #[serde(default)]
    pub(crate) code: Option<String>,
    /// What the headline or a hint must name.
    #[serde(default)]
    names: Vec<String>,
    /// Attach outcomes by program; load outcomes by `load.<program>`.
    #[serde(default)]
    programs: BTreeMap<String, String>,
    /// Kernel arguments to boot with.
    #[serde(default)]
    pub(crate) cmdline: Vec<String>,
    #[serde(rename = "reason")]
    _reason: String,
}

impl Expect {
    /// Whether it holds on a kernel of the catalogue, `debian-12-6.1-cloud`.
    fn is_for(&self, kernel: &str, arch: &str) -> bool {
        let mut parts = kernel.split('-').skip(2);
        let series = parts.next().unwrap_or_default();
        let flavour = parts.next().unwrap_or("generic");
        (self.series.is_empty() || self.series.iter().any(|s| s == series))
            && (self.arches.is_empty() || self.arches.iter().any(|of| of == arch))
            && self
                .flavour
                .as_deref()
                .is_none_or(|wanted| wanted == flavour)
    }

    /// What is not as expected, a line each.
    pub(crate) fn differences(&self, cell: &CellReport) -> Vec<String> {
        let said = said(cell);
        let (verdict, code) = answer(cell);
        if verdict != self.verdict || (self.code.is_some() && code != self.code.as_deref()) {
            let expected = self.code.as_deref().unwrap_or_default();
            let got = code.unwrap_or_default();
            return vec![format!(
                "{verdict} {got}, expected {} {expected}: {said}",
                self.verdict
            )];
        }
        let mut wrong = Vec::new();
        for name in self.names.iter().filter(|name| !said.contains(*name)) {
            wrong.push(format!("does not name `{name}`: {said}"));
        }
        for (key, wanted) in &self.programs {
            let name = key.strip_prefix("load.").unwrap_or(key);
            let Some(program) = cell.programs.iter().find(|program| program.name == name) else {
                wrong.push(format!("has no program `{name}`"));
                continue;
            };
            let got = if key.starts_with("load.") {
                match program.load {
                    StepOutcome::Ok => "ok",
                    StepOutcome::Refused => "refused",
                    StepOutcome::NotAttempted => "not-attempted",
                }
            } else {
                match program.attach {
                    AttachOutcome::Attached => "attached",
                    AttachOutcome::Refused => "refused",
                    AttachOutcome::NotAttempted => "not-attempted",
                }
            };
            if got != wanted {
                let why = program.diagnosis.as_ref().map(|d| d.headline.clone());
                let why = why.or_else(|| program.reason.clone()).unwrap_or_default();
                wrong.push(format!("`{key}` is {got}, expected {wanted}: {why}"));
            }
        }
        wrong
    }
}

/// The verdict of a cell, and the code behind it.
pub(crate) fn answer(cell: &CellReport) -> (&'static str, Option<&'static str>) {
    let verdict = match cell.verdict {
        VerdictKind::Pass => "pass",
        VerdictKind::Fail => "fail",
        VerdictKind::Error => "error",
        VerdictKind::Skip => "skip",
    };
    let code = cell.diagnosis.as_ref().map(|found| found.code);
    let code = code.or_else(|| cell.fault.as_ref()?.code);
    (verdict, code.map(ukci_schema::diagnosis::Code::name))
}

/// All words of a cell's answer.
fn said(cell: &CellReport) -> String {
    let mut said = cell.reason.clone().unwrap_or_default();
    if let Some(found) = &cell.diagnosis {
        let _ = write!(said, "{} {}", found.headline, found.hints.join(" "));
        if let Some(at) = &found.at {
            let _ = write!(said, " {}:{} {}", at.file, at.line, at.text);
        }
    }
    if let Some(fault) = &cell.fault {
        let _ = write!(said, "{} {}", fault.headline, fault.hints.join(" "));
    }
    said
}

/// The workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap()
}

/// Where the objects of the casebook are that were compiled for a kernel's architecture.
pub(crate) fn objects(kernel: &str) -> PathBuf {
    let arch = kernel.split_once('/').map_or("x86_64", |(_, arch)| arch);
    root().join(format!("target/casebook-{arch}"))
}

/// Every case, by its name.
pub(crate) fn all() -> BTreeMap<String, Case> {
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
