//! Writing today's failures down as expected, so that a project with forty of them can start.

use std::fmt::Write;

use super::{Matrix, MatrixError};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::{Outcome, VerdictKind};

/// A matrix with the failures of a run among its expectations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blessed {
    /// The file: what was there, and the new entries after it.
    pub text: String,
    /// Ids of the cells that are now expected to fail.
    pub cells: Vec<String>,
}

/// Adds an `[[expect]]` to the matrix for each cell that failed otherwise than expected, with its
/// code and its headline as the reason. Expectations that are met stay as they are; a cell without
/// a verdict, and one that passed unexpectedly, cannot be blessed.
pub fn bless(text: &str, file_name: &str, report: &Report) -> Result<Blessed, MatrixError> {
    let mut blessed = Blessed {
        text: text.to_owned(),
        cells: Vec::new(),
    };
    if !blessed.text.is_empty() && !blessed.text.ends_with('\n') {
        blessed.text.push('\n');
    }
    for cell in &report.cells {
        if let Some(entry) = entry(cell) {
            blessed.text.push_str(&entry);
            blessed.cells.push(cell.id.clone());
        }
    }
    // What is written must be read back.
    Matrix::parse(&blessed.text, file_name)?;
    Ok(blessed)
}

fn entry(cell: &CellReport) -> Option<String> {
    let diagnosis = cell.diagnosis.as_ref()?;
    if cell.outcome != Outcome::Fail || cell.verdict != VerdictKind::Fail {
        return None;
    }
    let mut text = String::from("\n[[expect]]\n");
    let mut say = |key: &str, value: &str| {
        // TOML's own quoting; writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {}", toml::Value::from(value));
    };
    say("artifacts", &cell.artifact);
    say("kernels", &cell.kernel);
    if let Some(llvm) = &cell.llvm {
        say("llvms", llvm);
    }
    say("arches", cell.arch.name());
    say("verdict", "fail");
    say("code", diagnosis.code.name());
    say("reason", &diagnosis.headline);
    Some(text)
}
