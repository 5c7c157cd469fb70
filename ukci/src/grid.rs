//! Prints the matrix as a grid at the end of a run.

use std::fmt::Write;
use std::ops::Range;

use ukci_harness::render::{self, Grid, grids, needs_loader};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use crate::output::{BAD, GOOD, QUIET, STRONG, UNKNOWN, WARN, paint};

/// The widest column; longer names stand in several lines.
const COLUMN: usize = 10;

/// The matrix in lines of at most `width`: a table an architecture, rows and columns as they fit,
/// and only where neither way fits in several blocks below each other.
pub(crate) fn text(report: &Report, width: usize) -> String {
    let fits = |grid: &Grid<'_>| Layout::of(grid).width() <= width;
    let mut text = String::new();
    for grid in grids(report, fits) {
        if !text.is_empty() {
            text.push('\n');
        }
        if let Some(arch) = grid.arch {
            text.push_str(&format!("  {}\n", paint(STRONG, arch)));
        }
        // Writing to a string cannot fail.
        let _ = Layout::of(&grid).write(&mut text, &grid, width);
    }
    text
}

/// How wide everything is.
struct Layout {
    /// What stands above the names of the rows.
    corner: String,
    /// Lines of each column's head.
    heads: Vec<Vec<String>>,
    widths: Vec<usize>,
    /// Width of the rows' names.
    left: usize,
}

impl Layout {
    fn of(grid: &Grid<'_>) -> Self {
        // Rows that are kernels need no word for it.
        let corner = if grid.is_turned {
            grid.corner.clone()
        } else {
            String::new()
        };
        let heads: Vec<Vec<String>> = grid.columns.iter().map(|name| wrap(name)).collect();
        let widest = |lines: &Vec<String>| lines.iter().map(|line| line.chars().count()).max();
        let cells = |column: usize| grid.rows.iter().filter_map(move |(_, cells)| cells[column]);
        let words = |column| cells(column).map(|cell| render::word(cell).len()).max();
        let widths = heads.iter().enumerate().map(|(column, lines)| {
            let head = widest(lines).unwrap_or(0);
            head.max(words(column).unwrap_or(0)).max(4)
        });
        let names = grid.rows.iter().map(|(name, _)| name.chars().count());
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

    fn write(&self, text: &mut String, grid: &Grid<'_>, width: usize) -> std::fmt::Result {
        let mut start = 0;
        while start < self.heads.len() {
            let mut end = start + 1;
            let mut used = 2 + self.left + 2 + self.widths[start];
            while end < self.heads.len() && used + 2 + self.widths[end] <= width {
                used += 2 + self.widths[end];
                end += 1;
            }
            if start > 0 {
                writeln!(text)?;
            }
            self.head(text, start..end)?;
            for (name, cells) in &grid.rows {
                // Kernels end alike (`-cloud`), artifacts begin alike.
                if grid.is_turned {
                    write!(text, "  {name:<0$}", self.left)?;
                } else {
                    write!(text, "  {name:>0$}", self.left)?;
                }
                for (cell, width) in cells[start..end].iter().zip(&self.widths[start..end]) {
                    write!(text, "  {}", word(*cell, *width))?;
                }
                writeln!(text)?;
            }
            start = end;
        }
        Ok(())
    }

    fn head(&self, text: &mut String, columns: Range<usize>) -> std::fmt::Result {
        let left = self.left;
        let heads = &self.heads[columns.clone()];
        let height = heads.iter().map(Vec::len).max().unwrap_or(0);
        for line in 0..height {
            let corner = if line + 1 == height {
                self.corner.as_str()
            } else {
                ""
            };
            write!(text, "  {}", paint(QUIET, format_args!("{corner:left$}")))?;
            for (head, width) in heads.iter().zip(&self.widths[columns.clone()]) {
                // Names stand on the cells.
                let word = (line + head.len())
                    .checked_sub(height)
                    .map_or("", |n| head[n].as_str());
                write!(text, "  {word:>width$}")?;
            }
            text.truncate(text.trim_end().len());
            writeln!(text)?;
        }
        Ok(())
    }
}
/// A cell's word in its color.
fn word(cell: Option<&CellReport>, width: usize) -> String {
    let Some(cell) = cell else {
        return paint(QUIET, format_args!("{:>width$}", "-"));
    };
    let style = match cell.outcome {
        Outcome::Pass => GOOD,
        Outcome::Xfail | Outcome::Skip => WARN,
        Outcome::Error => UNKNOWN,
        Outcome::Fail if needs_loader(cell) => WARN,
        Outcome::Fail | Outcome::Xpass => BAD,
    };
    paint(style, format_args!("{:>width$}", render::word(cell)))
}

/// A name in lines of at most [`COLUMN`] characters, broken after `_`, `-`, `.` or a space.
fn wrap(name: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in name.split_inclusive(['_', '-', '.', ' ']) {
        let last = lines.len() - 1;
        if !lines[last].is_empty() && lines[last].chars().count() + part.chars().count() > COLUMN {
            lines.push(String::new());
        }
        let last = lines.len() - 1;
        lines[last].push_str(part);
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}
