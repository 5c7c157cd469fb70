//! The matrix as tables: kernels against artifacts and LLVMs, one table per architecture.

use std::collections::{BTreeSet, HashMap};

use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};

/// A table of cells.
#[derive(Clone, Debug)]
pub struct Grid<'a> {
    /// The architecture of all its cells, where the report has several tables for that reason.
    pub arch: Option<Arch>,
    /// What stands above the rows' names: `kernel`, or what the names of kernels that are columns
    /// have in common (`debian-*-cloud`).
    pub corner: String,
    /// Whether the kernels are columns.
    pub is_turned: bool,
    /// A name above each column, with what they have in common left out.
    pub columns: Vec<String>,
    /// A name and its cells, one per column; `None` if the matrix has no such cell.
    pub rows: Vec<(String, Vec<Option<&'a CellReport>>)>,
}

/// The report's cells: one table, or one an architecture where an architecture has more than one
/// column. Rows are kernels; a table that `fits` does not take is turned (rows are artifacts and
/// LLVMs) if that fits or has fewer columns.
pub fn grids(report: &Report, fits: impl Fn(&Grid<'_>) -> bool) -> Vec<Grid<'_>> {
    let arches: BTreeSet<Arch> = report.cells.iter().map(|cell| cell.arch).collect();
    let whole = of(report.cells.iter(), None);
    let tables = if arches.len() > 1 && whole.columns.len() > arches.len() {
        let cells = |arch| report.cells.iter().filter(move |cell| cell.arch == arch);
        let arches = arches.into_iter();
        arches.map(|arch| of(cells(arch), Some(arch))).collect()
    } else {
        vec![whole]
    };
    let tables = tables.into_iter().map(|table| {
        if fits(&table) {
            return table;
        }
        let turned = table.turned();
        if fits(&turned) || turned.columns.len() < table.columns.len() {
            turned
        } else {
            table
        }
    });
    tables.collect()
}

/// These cells, in one pass: a report may hold ten thousand.
fn of<'a>(cells: impl Iterator<Item = &'a CellReport>, arch: Option<Arch>) -> Grid<'a> {
    let mut keys = Vec::new();
    let mut column_of = HashMap::new();
    let mut kernels: Vec<&str> = Vec::new();
    let mut row_of = HashMap::new();
    let mut found = HashMap::new();
    for cell in cells {
        let axes = (cell.llvm.as_deref(), cell.btf_name());
        let key = (cell.artifact.as_str(), cell.arch, axes);
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
    // The only LLVM tells no two columns apart.
    let llvms: BTreeSet<&str> = keys.iter().filter_map(|key| key.2.0).collect();
    let several_llvms = llvms.len() > 1;
    let columns = keys
        .iter()
        .map(|(artifact, arch, (llvm, btf))| {
            let mut parts = Vec::new();
            if artifacts || (!arches && (llvm.is_none() || !several_llvms)) {
                parts.push((*artifact).to_owned());
            }
            if arches {
                parts.push(arch.to_string());
            }
            parts.extend(
                llvm.filter(|_| several_llvms)
                    .map(|llvm| format!("llvm-{llvm}")),
            );
            parts.extend(btf.map(|btf| format!("btf-{btf}")));
            parts.join(" ")
        })
        .collect();
    let rows = kernels.into_iter().enumerate().map(|(row, kernel)| {
        let cells = (0..keys.len()).map(|column| found.get(&(row, column)).copied());
        (kernel.to_owned(), cells.collect())
    });
    Grid {
        arch,
        corner: "kernel".into(),
        is_turned: false,
        columns,
        rows: rows.collect(),
    }
}

impl<'a> Grid<'a> {
    /// Rows as columns: the kernels, by what tells their names apart.
    fn turned(&self) -> Grid<'a> {
        let kernels: Vec<&str> = self.rows.iter().map(|(name, _)| name.as_str()).collect();
        let (corner, columns) = short(&kernels);
        let rows = self.columns.iter().enumerate().map(|(n, name)| {
            let cells = self.rows.iter().map(|(_, cells)| cells[n]);
            (name.clone(), cells.collect())
        });
        Grid {
            arch: self.arch,
            corner,
            is_turned: true,
            columns,
            rows: rows.collect(),
        }
    }
}

/// Names without the parts that all begin or end with, and those parts with a `*` between them.
/// Every name keeps a part, so different names stay different.
fn short(names: &[&str]) -> (String, Vec<String>) {
    let parts: Vec<Vec<&str>> = names.iter().map(|name| name.split('-').collect()).collect();
    let room = parts.iter().map(Vec::len).min().unwrap_or(1) - 1;
    if names.len() < 2 || room == 0 {
        return (
            String::new(),
            names.iter().map(|&name| name.into()).collect(),
        );
    }
    let from_end = |name: &[&'_ str], n: usize| name[name.len() - 1 - n].to_owned();
    let before = (0..room)
        .take_while(|&n| parts.iter().all(|name| name[n] == parts[0][n]))
        .count();
    let after = (0..room - before)
        .take_while(|&n| {
            parts
                .iter()
                .all(|name| from_end(name, n) == from_end(&parts[0], n))
        })
        .count();
    let shown = parts
        .iter()
        .map(|name| name[before..name.len() - after].join("-"))
        .collect();
    let corner = if before + after == 0 {
        String::new()
    } else {
        let first = &parts[0];
        let ends = [&first[..before], &["*"], &first[first.len() - after..]];
        ends.concat().join("-")
    };
    (corner, shown)
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn short_names_differ_and_the_corner_has_what_is_left_out() {
        let of = |names: &[&str]| {
            let (corner, names) = short(names);
            format!("{corner}: {}", names.join(" "))
        };
        assert_eq!(
            of(&["debian-11-5.10-cloud", "debian-sid-7.2-cloud"]),
            "debian-*-cloud: 11-5.10 sid-7.2"
        );
        // One name is the beginning of the other: it keeps a part.
        assert_eq!(
            of(&["debian-12-6.1", "debian-12-6.1-cloud"]),
            "debian-12-*: 6.1 6.1-cloud"
        );
        assert_eq!(of(&["debian-12-6.1", "bzImage"]), ": debian-12-6.1 bzImage");
        assert_eq!(of(&["a-cloud", "b-cloud"]), "*-cloud: a b");
        assert_eq!(of(&["debian-12-6.1"]), ": debian-12-6.1");
        assert_eq!(of(&[]), ": ");
    }
}
