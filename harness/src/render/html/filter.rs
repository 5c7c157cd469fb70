//! Filters without a script: a checkbox for each value of each axis, and a rule of CSS for each
//! checkbox that hides what has that value.

use std::collections::HashMap;
use std::fmt::Write;

use maud::{Markup, html};
use ukci_schema::report::{CellReport, Report};

use super::OUTCOMES;

/// The values that cells have on each axis.
pub(super) struct Filters {
    axes: Vec<Axis>,
}

struct Axis {
    /// One letter for the attribute: `data-k`.
    key: char,
    name: &'static str,
    values: Vec<String>,
    places: HashMap<String, usize>,
}

impl Axis {
    fn new(key: char, name: &'static str) -> Self {
        Self {
            key,
            name,
            values: Vec::new(),
            places: HashMap::new(),
        }
    }

    fn add(&mut self, value: &str) {
        if !self.places.contains_key(value) {
            self.places.insert(value.to_owned(), self.values.len());
            self.values.push(value.to_owned());
        }
    }
}

/// Axes with more values than this are folded: the bar stays on the screen, and must leave room.
const FOLDED: usize = 5;

fn boxes(axis: &Axis) -> Markup {
    html! {
        fieldset {
            legend { (axis.name) }
            @for (n, value) in axis.values.iter().enumerate() {
                label class=[(axis.key == 'o').then_some(value)] {
                    input type="checkbox" checked id={ "show-" (axis.key) (n) };
                    (value)
                }
            }
        }
    }
}

/// What stands for the LLVM of a prebuilt object.
fn llvm_of(cell: &CellReport) -> &str {
    cell.llvm.as_deref().unwrap_or("prebuilt")
}

impl Filters {
    pub(super) fn of(report: &Report) -> Self {
        let mut outcomes = Axis::new('o', "Cells");
        for outcome in OUTCOMES {
            if report.cells.iter().any(|cell| cell.outcome == outcome) {
                outcomes.add(outcome.name());
            }
        }
        let mut artifacts = Axis::new('f', "Artifacts");
        let mut kernels = Axis::new('k', "Kernels");
        let mut arches = Axis::new('a', "Architectures");
        let mut llvms = Axis::new('l', "LLVM");
        for cell in &report.cells {
            artifacts.add(&cell.artifact);
            kernels.add(&cell.kernel);
            arches.add(cell.arch.name());
            llvms.add(llvm_of(cell));
        }
        Self {
            axes: vec![outcomes, arches, llvms, kernels, artifacts],
        }
    }

    /// The place of a value: names may hold what an attribute selector cannot.
    fn place(&self, key: char, value: &str) -> usize {
        let axis = self.axes.iter().find(|axis| axis.key == key);
        axis.and_then(|axis| axis.places.get(value).copied())
            .unwrap_or(0)
    }

    pub(super) fn outcome(&self, cell: &CellReport) -> usize {
        self.place('o', cell.outcome.name())
    }

    pub(super) fn artifact(&self, name: &str) -> usize {
        self.place('f', name)
    }

    pub(super) fn kernel(&self, name: &str) -> usize {
        self.place('k', name)
    }

    pub(super) fn arch(&self, cell: &CellReport) -> usize {
        self.place('a', cell.arch.name())
    }

    pub(super) fn llvm(&self, cell: &CellReport) -> usize {
        self.place('l', llvm_of(cell))
    }

    /// The checkboxes, for axes on which there is a choice.
    pub(super) fn bar(&self) -> Markup {
        html! {
            div.filters { div.wide {
                @for axis in self.axes.iter().filter(|axis| axis.values.len() > 1) {
                    @if axis.values.len() > FOLDED {
                        details { summary { (axis.values.len()) " " (axis.name.to_lowercase()) }
                            (boxes(axis))
                        }
                    } @else { (boxes(axis)) }
                }
            } }
        }
    }

    /// What an unchecked box hides. A cell that a link leads to is shown all the same.
    pub(super) fn css(&self) -> String {
        let mut css = String::new();
        for axis in self.axes.iter().filter(|axis| axis.values.len() > 1) {
            let key = axis.key;
            for n in 0..axis.values.len() {
                let _ = writeln!(
                    css,
                    "body:has(#show-{key}{n}:not(:checked)) \
                     [data-{key}=\"{n}\"]:not(:has(:target)){{display:none}}"
                );
            }
        }
        css
    }
}
