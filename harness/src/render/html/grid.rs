//! The grid of the page: one table where every cell has the same architecture and LLVM, else one
//! for each artifact.

use std::collections::{BTreeSet, HashMap};

use maud::{Markup, PreEscaped, html};
use ukci_schema::cell::Arch;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use super::anchor;
use super::filter::Filters;

/// Architecture and LLVM.
type Column<'a> = (Arch, Option<&'a str>, Option<&'a str>);

fn column(cell: &CellReport) -> Column<'_> {
    (cell.arch, cell.llvm.as_deref(), cell.btf_name())
}

/// All grids.
pub(super) fn grids(report: &Report, filters: &Filters) -> Markup {
    let mut artifacts: Vec<(&str, Vec<&CellReport>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut columns: BTreeSet<Column<'_>> = BTreeSet::new();
    for cell in &report.cells {
        columns.insert(column(cell));
        let n = *places.entry(&cell.artifact).or_insert_with(|| {
            artifacts.push((&cell.artifact, Vec::new()));
            artifacts.len() - 1
        });
        artifacts[n].1.push(cell);
    }
    html! {
        h2 { "Matrix" }
        @if columns.len() == 1 {
            (by_kernel(report, &artifacts, filters))
        } @else {
            @for (artifact, cells) in &artifacts {
                h3.small data-f=(filters.artifact(artifact)) { (artifact) }
                (by_column(artifact, cells, filters))
            }
        }
    }
}

/// Artifacts as rows, kernels as columns.
fn by_kernel(report: &Report, artifacts: &[(&str, Vec<&CellReport>)], filters: &Filters) -> Markup {
    let kernels = in_order(report.cells.iter().map(|cell| cell.kernel.as_str()));
    html! {
        div.card.scroll { table.grid {
            thead { tr {
                th { "artifact" }
                @for kernel in &kernels { th data-k=(filters.kernel(kernel)) { (broken(kernel)) } }
            } }
            tbody { @for (artifact, cells) in artifacts {
                @let on: HashMap<&str, &CellReport> =
                    cells.iter().map(|cell| (cell.kernel.as_str(), *cell)).collect();
                tr data-f=(filters.artifact(artifact)) {
                    th scope="row" { (artifact) }
                    @for kernel in &kernels { (tile(on.get(kernel).copied(), filters, kernel)) }
                }
            } }
        } }
    }
}

/// Kernels as rows, architectures and LLVMs as columns.
fn by_column(artifact: &str, cells: &[&CellReport], filters: &Filters) -> Markup {
    let columns: BTreeSet<Column<'_>> = cells.iter().map(|cell| column(cell)).collect();
    let kernels = in_order(cells.iter().map(|cell| cell.kernel.as_str()));
    let at: HashMap<(&str, Column<'_>), &CellReport> = cells
        .iter()
        .map(|cell| ((cell.kernel.as_str(), column(cell)), *cell))
        .collect();
    // Any cell of a column stands for it.
    let any: HashMap<Column<'_>, &CellReport> =
        cells.iter().map(|cell| (column(cell), *cell)).collect();
    html! {
        div.card.scroll data-f=(filters.artifact(artifact)) { table.grid {
            thead { tr {
                th { "kernel" }
                @for column in &columns {
                    @let cell = any[column];
                    th data-a=(filters.arch(cell)) data-l=(filters.llvm(cell)) {
                        (column.0) @if let Some(llvm) = column.1 { br; "llvm-" (llvm) }
                        @if let Some(btf) = column.2 { br; "btf-" (btf) }
                    }
                }
            } }
            tbody { @for kernel in kernels {
                tr data-k=(filters.kernel(kernel)) {
                    th scope="row" { (kernel) }
                    @for column in &columns {
                        @let like = any[column];
                        (within(at.get(&(kernel, *column)).copied(), filters, like))
                    }
                }
            } }
        } }
    }
}

fn tile(cell: Option<&CellReport>, filters: &Filters, kernel: &str) -> Markup {
    html! {
        td class=(class(cell)) data-k=(filters.kernel(kernel)) title=[cell.and_then(why)] {
            (link(cell))
        }
    }
}

fn within(cell: Option<&CellReport>, filters: &Filters, like: &CellReport) -> Markup {
    html! {
        td class=(class(cell)) data-a=(filters.arch(like)) data-l=(filters.llvm(like))
            title=[cell.and_then(why)] { (link(cell)) }
    }
}

fn class(cell: Option<&CellReport>) -> &'static str {
    cell.map_or("none", |cell| cell.outcome.name())
}

fn link(cell: Option<&CellReport>) -> Markup {
    let Some(cell) = cell else {
        return html! { "-" };
    };
    html! {
        a href={ "#" (anchor(cell)) } {
            (cell.outcome)
            @if cell.outcome != Outcome::Pass {
                @if let Some(code) = cell.code() { small { (broken(code.name())) } }
            }
        }
    }
}

fn why(cell: &CellReport) -> Option<&str> {
    let diagnosis = cell.diagnosis.as_ref().map(|diagnosis| &diagnosis.headline);
    let fault = cell.fault.as_ref().map(|fault| &fault.headline);
    let why = diagnosis.or(fault).or(cell.reason.as_ref());
    why.map(String::as_str)
}

/// A long name that may be broken after `-` and `_`.
fn broken(name: &str) -> Markup {
    html! {
        @for part in name.split_inclusive(['-', '_']) { (part) (PreEscaped("<wbr>")) }
    }
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}
