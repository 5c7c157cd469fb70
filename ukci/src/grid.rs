//! Prints the matrix as a grid at the end of a run.

use std::ops::Range;

use ukci_harness::render::{self, Grid, grids, harmless, needs_loader};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use crate::output::{BAD, GOOD, QUIET, STRONG, UNKNOWN, WARN, paint};
use crate::text::{Side, Text, text};

/// The widest column; longer names stand in several lines.
const COLUMN: usize = 10;

/// The matrix in lines of at most `width`: a table an architecture, rows and columns as they fit,
/// and only where neither way fits in several blocks below each other.
pub(crate) fn text(report: &Report, width: usize) -> Text {
    let fits = |grid: &Grid<'_>| Layout::of(grid).width() <= width;
    let mut text = Text::default();
    for grid in grids(report, fits) {
        if !text.is_empty() {
            text.push(&"\n".into());
        }
        if let Some(arch) = grid.arch {
            text.push(&text!("  {}\n", paint(STRONG, arch)));
        }
        Layout::of(&grid).write(&mut text, &grid, width);
    }
    text
}

/// How wide everything is.
struct Layout {
    /// What stands above the names of the rows.
    corner: Text,
    /// Lines of each column's head.
    heads: Vec<Vec<Text>>,
    widths: Vec<usize>,
    /// Width of the rows' names.
    left: usize,
}

impl Layout {
    fn of(grid: &Grid<'_>) -> Self {
        // Rows that are kernels need no word for it.
        let corner = if grid.is_turned {
            Text::from(harmless(&grid.corner))
        } else {
            Text::default()
        };
        let heads: Vec<Vec<Text>> = grid.columns.iter().map(|name| wrap(name)).collect();
        let widest = |lines: &Vec<Text>| lines.iter().map(|line| line.chars().count()).max();
        let cells = |column: usize| grid.rows.iter().filter_map(move |(_, cells)| cells[column]);
        let words = |column| cells(column).map(|cell| render::word(cell).len()).max();
        let widths = heads.iter().enumerate().map(|(column, lines)| {
            let head = widest(lines).unwrap_or(0);
            head.max(words(column).unwrap_or(0)).max(4)
        });
        let names = grid
            .rows
            .iter()
            .map(|(name, _)| harmless(name).chars().count());
        Self {
            widths: widths.collect(),
            left: names.max().unwrap_or(0).max(corner.chars().count()),
            corner,
            heads,
        }
    }

    /// Of a line with all columns.
    fn width(&self) -> usize {
        2 + self.left + self.widths.iter().map(|width| 2 + width).sum::<usize>()
    }

    fn write(&self, text: &mut Text, grid: &Grid<'_>, width: usize) {
        let mut start = 0;
        while start < self.heads.len() {
            let mut end = start + 1;
            let mut used = 2 + self.left + 2 + self.widths[start];
            while end < self.heads.len() && used + 2 + self.widths[end] <= width {
                used += 2 + self.widths[end];
                end += 1;
            }
            if start > 0 {
                text.push(&"\n".into());
            }
            self.head(text, start..end);
            for (name, cells) in &grid.rows {
                // Kernels end alike (`-cloud`), artifacts begin alike.
                let side = if grid.is_turned {
                    Side::Left
                } else {
                    Side::Right
                };
                let name = Text::from(harmless(name)).aligned(side, self.left);
                text.push(&text!("  {}", name));
                for (cell, width) in cells[start..end].iter().zip(&self.widths[start..end]) {
                    text.push(&text!("  {}", word(*cell, *width)));
                }
                text.push(&"\n".into());
            }
            start = end;
        }
    }

    fn head(&self, text: &mut Text, columns: Range<usize>) {
        let heads = &self.heads[columns.clone()];
        let height = heads.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let corner = if line + 1 == height {
                self.corner.clone()
            } else {
                Text::default()
            };
            let corner = corner.aligned(Side::Left, self.left);
            text.push(&text!("  {}", paint(QUIET, corner)));
            for (head, width) in heads.iter().zip(&self.widths[columns.clone()]) {
                // Names stand on the cells.
                let word = (line + head.len())
                    .checked_sub(height)
                    .map_or_else(Text::default, |n| head[n].clone());
                text.push(&text!("  {}", word.aligned(Side::Right, *width)));
            }
            text.trim_end();
            text.push(&"\n".into());
        }
    }
}
/// A cell's word in its color.
fn word(cell: Option<&CellReport>, width: usize) -> Text {
    let Some(cell) = cell else {
        return paint(QUIET, Text::from("-").aligned(Side::Right, width));
    };
    let style = match cell.outcome {
        Outcome::Pass => GOOD,
        Outcome::Xfail | Outcome::Skip => WARN,
        Outcome::Error => UNKNOWN,
        Outcome::Fail if needs_loader(cell) => WARN,
        Outcome::Fail | Outcome::Xpass => BAD,
    };
    paint(
        style,
        Text::from(render::word(cell)).aligned(Side::Right, width),
    )
}

/// A name in lines of at most [`COLUMN`] characters, broken after `_`, `-`, `.` or a space.
fn wrap(name: &str) -> Vec<Text> {
    let name = harmless(name);
    let mut lines = vec![String::new()];
    for part in name.split_inclusive(['_', '-', '.', ' ']) {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + part.chars().count() > COLUMN {
            lines.push(String::new());
        }
        let last = lines.len() - 1;
        lines[last].push_str(part);
    }
    let lines = lines.iter().map(|line| harmless(line.trim_end()).into());
    lines.collect()
}
