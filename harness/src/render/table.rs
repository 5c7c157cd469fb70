//! Rows and columns as text and as Markdown.

use std::fmt::Write;

/// A table; every row has as many fields as the head.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    head: Vec<(&'static str, Side)>,
    rows: Vec<Vec<String>>,
}

/// Where a column's fields are aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Table {
    /// A table without rows.
    pub(super) fn new(head: &[(&'static str, Side)]) -> Self {
        Self {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.head.len());
        let row = row
            .into_iter()
            .map(|field| super::harmless(&field).into_string());
        self.rows.push(row.collect());
    }

    /// Whether it has no rows.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Columns two spaces apart, indented by two.
    pub(super) fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.head.len())
            .map(|n| {
                let fields = self.rows.iter().map(|row| row[n].chars().count());
                let widest = fields.max().unwrap_or(0).max(self.head[n].0.len());
                // Rust pads to less than 65,536 columns and panics beyond.
                widest.min(1000)
            })
            .collect();
        let mut text = String::new();
        let head: Vec<String> = self.head.iter().map(|(name, _)| (*name).into()).collect();
        for row in std::iter::once(&head).chain(&self.rows) {
            let mut line = String::new();
            for ((field, width), (_, side)) in row.iter().zip(&widths).zip(&self.head) {
                // Writing to a string cannot fail.
                let _ = match side {
                    Side::Left => write!(line, "  {field:<width$}"),
                    Side::Right => write!(line, "  {field:>width$}"),
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// As GitHub reads it.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from("|");
        for (name, _) in &self.head {
            text.push_str(&format!(" {name} |"));
        }
        text.push_str("\n|");
        for (_, side) in &self.head {
            text.push_str(match side {
                Side::Left => "---|",
                Side::Right => "--:|",
            });
        }
        text.push('\n');
        for row in &self.rows {
            text.push('|');
            for field in row {
                text.push_str(&format!(" {} |", super::markdown::escape(field)));
            }
            text.push('\n');
        }
        text
    }
}

/// A part of a whole: `81.2 %`, `< 0.1 %`.
#[expect(
    clippy::cast_precision_loss,
    reason = "instruction counts are far below 2^52"
)]
pub(super) fn share(part: u64, whole: u64) -> String {
    let percent = part as f64 / whole.max(1) as f64 * 100.0;
    if percent < 0.1 && part > 0 {
        "< 0.1 %".to_owned()
    } else {
        format!("{percent:.1} %")
    }
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Side, Table, grouped};

    #[test]
    fn columns_are_aligned_and_a_bar_in_a_field_is_no_column() {
        let mut table = Table::new(&[("name", Side::Left), ("insns", Side::Right)]);
        table.push(vec!["a|b".into(), grouped(1_234_567)]);
        table.push(vec!["long".into(), grouped(12)]);
        assert_eq!(
            table.text(),
            "  name      insns\n  a|b   1,234,567\n  long         12\n"
        );
        assert!(table.markdown().contains("| a\\|b | 1,234,567 |"));
        assert_eq!(
            (grouped(999), grouped(1000)),
            ("999".into(), "1,000".into())
        );
    }
}
