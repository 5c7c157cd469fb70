//! The matrix as a table: kernels as rows; artifacts, architectures and LLVMs as columns.

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
    let mut keys = Vec::new();
    let mut kernels: Vec<&str> = Vec::new();
    for cell in &report.cells {
        let key = (cell.artifact.as_str(), cell.arch, cell.llvm.as_deref());
        if !keys.contains(&key) {
            keys.push(key);
        }
        if !kernels.contains(&cell.kernel.as_str()) {
            kernels.push(&cell.kernel);
        }
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
    let rows = kernels
        .into_iter()
        .map(|kernel| {
            let of = |key: &(&str, _, Option<&str>)| {
                report.cells.iter().find(|cell| {
                    cell.kernel == kernel
                        && (cell.artifact.as_str(), cell.arch, cell.llvm.as_deref()) == *key
                })
            };
            (kernel, keys.iter().map(of).collect())
        })
        .collect();
    Grid { columns, rows }
}
