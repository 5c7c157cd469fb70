//! Writes the failures of a run into a matrix as expected, so that a project with many failures can
//! start.
//!
//! A matrix and a report come in, and the matrix with more `[[expect]]` rules goes out. Kernels
//! that fail in the same way share a rule. A rule names only axes that the matrix names, because a
//! rule about an LLVM that this host happens to have would cover nothing on the next host.

use std::collections::{BTreeMap, BTreeSet};

use super::{Matrix, MatrixError};
use crate::pattern::Pattern;
use crate::scope::Scope;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::diagnosis::Code;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::{Outcome, VerdictKind};

/// Diagnoses that say nothing of a kernel: a compiler refused the source, or the object needs what
/// its own loader does. Expecting them hides that nothing was learned.
pub const NOT_OF_A_KERNEL: [Code; 2] = [Code::CompileError, Code::LoaderContract];

/// A matrix with the failures of a run among its expectations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blessed {
    /// The file: what was there, and the new entries after it.
    pub text: String,
    /// Ids of the cells that are now expected to fail.
    pub cells: Vec<String>,
    /// Cells that failed and are not expected to.
    pub refused: Vec<Refused>,
}

/// A failure that is not blessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The cell's id.
    pub cell: String,
    /// Its diagnosis.
    pub code: Code,
    /// Why it is not blessed.
    pub why: Why,
}

/// Why a failure is not blessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Its code is one of [`NOT_OF_A_KERNEL`].
    NotOfAKernel,
    /// A rule with the axes that the matrix names would cover cells that ended otherwise.
    NeedsAnAxis,
}

/// A rule that is to be written.
struct Rule<'r> {
    artifact: &'r str,
    code: Code,
    headline: &'r str,
    kernels: Vec<&'r str>,
    llvms: Option<Vec<&'r str>>,
    arches: Option<Vec<Arch>>,
    cells: Vec<&'r CellReport>,
}

/// Adds an `[[expect]]` to the matrix for the cells that failed otherwise than expected, with their
/// code and their headline as the reason. Expectations that are met stay as they are; a cell without
/// a verdict, and one that passed unexpectedly, cannot be blessed. `told` are the codes of
/// [`NOT_OF_A_KERNEL`] that are to be blessed all the same.
pub fn bless(
    text: &str,
    file_name: &str,
    report: &Report,
    told: &[Code],
) -> Result<Blessed, MatrixError> {
    let matrix = Matrix::parse(text, file_name)?;
    let mut blessed = Blessed {
        text: text.to_owned(),
        cells: Vec::new(),
        refused: Vec::new(),
    };
    if !blessed.text.is_empty() && !blessed.text.ends_with('\n') {
        blessed.text.push('\n');
    }
    for rule in matrix.rules_for(report) {
        let why = if NOT_OF_A_KERNEL.contains(&rule.code) && !told.contains(&rule.code) {
            Some(Why::NotOfAKernel)
        } else if rule.covers_more(report) {
            Some(Why::NeedsAnAxis)
        } else {
            None
        };
        let ids = rule.cells.iter().map(|cell| cell.id.clone());
        match why {
            None => {
                blessed.text.push_str(&rule.text());
                blessed.cells.extend(ids);
            }
            Some(why) => blessed.refused.extend(ids.map(|cell| Refused {
                cell,
                code: rule.code,
                why,
            })),
        }
    }
    // What is written must be read back.
    Matrix::parse(&blessed.text, file_name)?;
    Ok(blessed)
}

/// Values by key, in the order in which each key came first.
fn grouped<'c, K: PartialEq>(
    cells: impl IntoIterator<Item = &'c CellReport>,
    key: impl Fn(&'c CellReport) -> K,
) -> Vec<(K, Vec<&'c CellReport>)> {
    let mut groups: Vec<(K, Vec<&CellReport>)> = Vec::new();
    for cell in cells {
        let key = key(cell);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, cells)) => cells.push(cell),
            None => groups.push((key, vec![cell])),
        }
    }
    groups
}

/// The LLVMs with which a kernel failed, by architecture.
type With<'c> = BTreeMap<Arch, BTreeSet<Option<&'c str>>>;

impl Matrix {
    /// The fewest rules that cover the unexpected failures of a run, and no other cell of it.
    fn rules_for<'r>(&self, report: &'r Report) -> Vec<Rule<'r>> {
        let names_llvms = self.authored.cells.iter().any(|p| !p.llvms.is_empty());
        let names_arches = self.authored.cells.iter().any(|p| !p.arches.is_empty());
        let failed = report.cells.iter().filter(|cell| {
            cell.outcome == Outcome::Fail
                && cell.verdict == VerdictKind::Fail
                && cell.diagnosis.is_some()
        });
        let alike = grouped(failed, |cell| {
            let diagnosis = cell.diagnosis.as_ref();
            let said = diagnosis.map(|d| (d.code, d.headline.as_str()));
            (cell.artifact.as_str(), said)
        });
        let mut rules = Vec::new();
        for ((artifact, said), cells) in alike {
            let Some((code, headline)) = said else {
                continue;
            };
            // Kernels that fail with the same LLVMs on the same architectures share a rule; a rule
            // is a product, so that each architecture with LLVMs of its own has one more.
            let by_kernel = grouped(cells, |cell| cell.kernel.as_str());
            let mut shapes: Vec<(With<'_>, Vec<&CellReport>)> = Vec::new();
            for (_, cells) in by_kernel {
                let mut with = With::new();
                for cell in &cells {
                    with.entry(cell.arch)
                        .or_default()
                        .insert(cell.llvm.as_deref());
                }
                match shapes.iter_mut().find(|(known, _)| *known == with) {
                    Some((_, same)) => same.extend(cells),
                    None => shapes.push((with, cells)),
                }
            }
            for (with, cells) in shapes {
                let by_llvms = grouped(cells, |cell| &with[&cell.arch]);
                for (llvms, cells) in by_llvms {
                    let llvms: Vec<&str> = llvms.iter().copied().flatten().collect();
                    let mut kernels: Vec<&str> = Vec::new();
                    for cell in &cells {
                        if !kernels.contains(&cell.kernel.as_str()) {
                            kernels.push(&cell.kernel);
                        }
                    }
                    let arches: BTreeSet<Arch> = cells.iter().map(|cell| cell.arch).collect();
                    rules.push(Rule {
                        artifact,
                        code,
                        headline,
                        kernels,
                        llvms: (names_llvms && !llvms.is_empty()).then_some(llvms),
                        arches: names_arches.then(|| arches.into_iter().collect()),
                        cells,
                    });
                }
            }
        }
        rules
    }
}

impl Rule<'_> {
    /// Whether it covers a cell of this run that ended otherwise.
    fn covers_more(&self, report: &Report) -> bool {
        let patterns = |names: &[&str]| -> Vec<Pattern> {
            names.iter().map(|name| Pattern::of(name)).collect()
        };
        let (artifacts, kernels) = (patterns(&[self.artifact]), patterns(&self.kernels));
        let llvms = self.llvms.as_deref().map(patterns);
        let scope = Scope {
            artifacts: Some(&artifacts),
            kernels: Some(&kernels),
            llvms: llvms.as_deref(),
            arches: self.arches.as_deref(),
        };
        report.cells.iter().any(|cell| {
            let covered = scope.covers(&cell_of(cell), &super::Groups::default());
            let ended = matches!(cell.verdict, VerdictKind::Pass | VerdictKind::Fail);
            covered && ended && cell.code() != Some(self.code)
        })
    }

    /// It as it is written.
    fn text(&self) -> String {
        let mut text = String::from("\n[[expect]]\n");
        let mut say = |key: &str, value: toml::Value| {
            text.push_str(&format!("{key} = {value}\n"));
        };
        say("artifacts", self.artifact.into());
        say("kernels", list(&self.kernels));
        if let Some(llvms) = &self.llvms {
            say("llvms", list(llvms));
        }
        if let Some(arches) = &self.arches {
            let names: Vec<&str> = arches.iter().map(|arch| arch.name()).collect();
            say("arches", list(&names));
        }
        say("verdict", "fail".into());
        say("code", self.code.name().into());
        say("reason", self.headline.into());
        text
    }
}

/// One name as itself, several as a list.
fn list(names: &[&str]) -> toml::Value {
    match names {
        [one] => toml::Value::from(*one),
        several => several.to_vec().into(),
    }
}

fn cell_of(cell: &CellReport) -> Cell {
    Cell {
        artifact: cell.artifact.clone(),
        kernel: cell.kernel.clone(),
        llvm: cell.llvm.clone(),
        arch: cell.arch,
        btf: None,
    }
}

#[cfg(test)]
mod tests;
