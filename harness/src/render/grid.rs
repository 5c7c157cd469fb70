//! The matrix as a table: kernels as rows; artifacts, architectures and LLVMs as columns.

use std::collections::HashMap;

use ukci_schema::report::{CellReport, Report};

/// A table of cells.
#[derive(Clone, Debug)]
pub struct Grid<'a> {
    /// A name above each column, with what they have in common left out.
    pub columns: Vec<String>,
    /// A kernel and its cells, one a column; none where the matrix has no such cell.
    pub rows: Vec<(&'a str, Vec<Option<&'a CellReport>>)>,
}

/// The report's cells.
pub fn grid(report: &Report) -> Grid<'_> {
    of(report.cells.iter())
}

/// These cells, in one pass: a report may hold ten thousand.
pub(super) fn of<'a>(cells: impl Iterator<Item = &'a CellReport>) -> Grid<'a> {
    let mut keys = Vec::new();
    let mut column_of = HashMap::new();
    let mut kernels: Vec<&str> = Vec::new();
    let mut row_of = HashMap::new();
    let mut found = HashMap::new();
    for cell in cells {
        let key = (cell.artifact.as_str(), cell.arch, cell.llvm.as_deref());
        let column = *column_of.entry(key).or_insert_with(|| {
            keys.push(key);
            keys.len() - 1
        });
        let row = *row_of.entry(cell.kernel.as_str()).or_insert_with(|| {
            kernels.push(&cell.kernel);
            kernels.len() - 1
        });
        found.insert((row, column), cell);
    }
    let artifacts = keys.iter().any(|key| key.0 != keys[0].0);
    let arches = keys.iter().any(|key| key.1 != keys[0].1);
    let columns = keys
        .iter()
        .map(|(artifact, arch, llvm)| {
            let mut parts = Vec::new();
            if artifacts || (!arches && llvm.is_none()) {
                parts.push((*artifact).to_owned());
            }
            if arches {
                parts.push(arch.to_string());
            }
            parts.extend(llvm.map(|llvm| format!("llvm-{llvm}")));
            parts.join(" ")
        })
        .collect();
    let rows = kernels.into_iter().enumerate().map(|(row, kernel)| {
        let cells = (0..keys.len()).map(|column| found.get(&(row, column)).copied());
        (kernel, cells.collect())
    });
    Grid {
        columns,
        rows: rows.collect(),
    }
}
