//! Why cells ended otherwise than expected, as blocks for a terminal.
//!
//! The causes of a report come in, text of at most the terminal's width goes out. The causes at the
//! front get a block each; the others get a line each, and what exceeds that is counted.

use std::fmt::Write;

use ukci_harness::plural::count;
use ukci_harness::render::{Axes, Cause, Mend, again, harmless, mend, notes};
use ukci_matrix::excerpt::excerpt as excerpt_of_line;
use ukci_schema::diagnosis::{Diagnosis, Excerpt, SourceLine};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::{Fault, Outcome, Stage};

use super::wrap::{fit, hanging};
use crate::diagnostic::word;
use crate::output::{BAD, HINT, QUIET, STRONG, WARN, paint};

/// Most causes with a block of their own.
const BLOCKS: usize = 10;
/// Most causes with a line each below the blocks.
const LINES: usize = 20;
/// Most names in a list before the rest is counted.
const NAMES: usize = 12;
/// Most notes below a cause.
const NOTES: usize = 4;
/// Most lines of a guest's console.
const CONSOLE: usize = 12;
/// A line between blocks.
pub(super) const RULE: &str = "────────────";
/// Columns of the word at the front of a line, and the space behind it.
const LEFT: usize = 13;

/// The causes as blocks and lines.
pub(super) fn text(report: &Report, out: &str, causes: &[Cause<'_>], width: usize) -> String {
    let mut text = String::new();
    let axes = Axes::of(report);
    let blocks = causes.len().min(BLOCKS);
    for cause in &causes[..blocks] {
        let block = Block {
            report,
            axes: &axes,
            out,
            cause,
            width,
        };
        // Writing to a string cannot fail.
        let _ = block.write(&mut text);
    }
    let rest = &causes[blocks..];
    if rest.is_empty() {
        return text;
    }
    let _ = writeln!(text, "{RULE}\n{}", paint(STRONG, "  Other causes"));
    for cause in rest.iter().take(LINES) {
        let line = format!(
            "{} {}: {}",
            cause.code,
            cause.count(),
            harmless(&cause.headline)
        );
        text.push_str(&hanging("     ", &line, 2, width));
    }
    if rest.len() > LINES {
        let line = format!("and {} more, in {out}/report.json", rest.len() - LINES);
        text.push_str(&hanging("     ", &line, 2, width));
    }
    text
}

/// The most frequent causes, below the grid of a run that has many.
pub(super) fn top(causes: &[Cause<'_>], width: usize) -> String {
    const SHOWN: usize = 10;
    let mut text = String::new();
    if causes.len() <= 3 {
        return text;
    }
    let mut sorted: Vec<&Cause<'_>> = causes.iter().collect();
    sorted.sort_by_key(|cause| std::cmp::Reverse(cause.seen.len()));
    text.push_str(&format!("  {}\n", paint(STRONG, "Top causes")));
    let shown = &sorted[..sorted.len().min(SHOWN)];
    let codes = shown.iter().map(|cause| cause.code.len()).max();
    let codes = codes.unwrap_or_default();
    for cause in shown {
        let cells = count(cause.seen.len(), "cell");
        let objects = count(cause.artifacts().len(), "object");
        let line = format!(
            "  {cells:>9}  {objects:>10}  {:<codes$}  {}",
            cause.code,
            harmless(&cause.headline)
        );
        text.push_str(&fit(&line, width));
        text.push('\n');
    }
    if sorted.len() > SHOWN {
        text.push_str(&format!("  and {} more\n", sorted.len() - SHOWN));
    }
    text
}

/// One cause as a block.
struct Block<'a> {
    report: &'a Report,
    axes: &'a Axes<'a>,
    out: &'a str,
    cause: &'a Cause<'a>,
    width: usize,
}

impl Block<'_> {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        let (cause, cell) = (self.cause, self.cause.first().cell);
        writeln!(text, "{RULE}")?;
        let artifact = match cause.artifacts().as_slice() {
            [one] => format!("{}: ", harmless(one)),
            _ => String::new(),
        };
        writeln!(
            text,
            "{} {artifact}{} {}",
            self.word(),
            cause.code,
            cause.count()
        )?;
        for place in cause.places(self.axes) {
            text.push_str(&hanging(
                &" ".repeat(LEFT),
                &harmless(&place),
                2,
                self.width,
            ));
        }
        writeln!(text)?;
        let (style, word) = match cause.outcome {
            Outcome::Skip => (WARN, "skipped:"),
            _ if cause.is_loader() => (WARN, "loader:"),
            _ => (BAD, "error:"),
        };
        self.labeled(text, &paint(style, word), word.len(), &cause.headline);
        let names = backticked(&cause.other_names());
        if !names.is_empty() {
            self.listed(text, "The same holds for", &names);
        }
        let programs = backticked(&cause.programs());
        if programs.len() > 1 {
            self.listed(
                text,
                &format!("It stops {} programs:", programs.len()),
                &programs,
            );
        }
        if let Some(diagnosis) = cause.first().diagnosis {
            self.diagnosis(text, cell, diagnosis)?;
        } else if let Some(fault) = &cell.fault {
            self.fault(text, fault)?;
        }
        self.next_steps(text, cell)
    }

    /// The outcome, in the color of its kind.
    fn word(&self) -> String {
        if self.cause.is_loader() {
            return paint(WARN, format_args!("{:>12}", "LOADER"));
        }
        word(self.cause.outcome)
    }

    fn diagnosis(
        &self,
        text: &mut String,
        cell: &CellReport,
        diagnosis: &Diagnosis,
    ) -> std::fmt::Result {
        if let Some(at) = &diagnosis.at {
            source(text, at)?;
        }
        if let Some(part) = &diagnosis.excerpt {
            // A compiler does not know of kernels.
            let kernel = (diagnosis.stage != Stage::Compile).then_some(cell.kernel.as_str());
            excerpt(text, kernel, part)?;
        }
        self.hints(text, &diagnosis.hints);
        Ok(())
    }

    fn fault(&self, text: &mut String, fault: &Fault) -> std::fmt::Result {
        if !fault.console.is_empty() {
            let last = fault.console.len().min(CONSOLE);
            writeln!(text, "\n  console, last {}", count(last, "line"))?;
            for line in &fault.console[fault.console.len() - last..] {
                writeln!(text, "     {}", paint(QUIET, harmless(line)))?;
            }
        }
        self.hints(text, &fault.hints);
        Ok(())
    }

    fn hints(&self, text: &mut String, hints: &[String]) {
        if !hints.is_empty() {
            text.push('\n');
        }
        for hint in hints {
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), hint);
        }
    }

    /// Where the evidence is, and the commands that take it further.
    fn next_steps(&self, text: &mut String, cell: &CellReport) -> std::fmt::Result {
        if self.cause.outcome == Outcome::Skip {
            text.push('\n');
            let hint = "`--mode load` asks only whether the object loads";
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), hint);
        }
        let report = if self.out == "ukci-out" {
            String::new()
        } else {
            format!(" --report {}", ukci_harness::render::quoted(self.out))
        };
        self.notes(text);
        let mend = mend(self.report, self.axes, self.cause, Some(self.out));
        if let Some(mend) = &mend {
            self.mend(text, mend);
        }
        writeln!(text, "\n  logs   {}/{}/", self.out, cell.evidence)?;
        writeln!(text, "  rerun  {}", again(self.report, cell))?;
        let id = ukci_harness::render::quoted(&cell.id);
        writeln!(text, "  shell  ukci shell {id}{report}")
    }

    /// What was noticed beside the cause.
    fn notes(&self, text: &mut String) {
        let notes = notes(self.report, self.cause);
        if !notes.is_empty() {
            text.push('\n');
        }
        for note in notes.iter().take(NOTES) {
            self.labeled(text, &paint(HINT, "note:"), "note:".len(), note);
        }
        if notes.len() > NOTES {
            let line = format!(
                "and {} more, in {}/report.json",
                notes.len() - NOTES,
                self.out
            );
            text.push_str(&hanging("  ", &line, 2, self.width));
        }
    }

    /// Whose business the cause is, and the lines of a manifest that say what the loader does.
    fn mend(&self, text: &mut String, mend: &Mend) {
        text.push('\n');
        self.labeled(text, &paint(HINT, "note:"), "note:".len(), &mend.note);
        if !mend.lines.is_empty() {
            let of = mend.artifact.as_ref();
            let of = of.map_or(String::new(), |name| format!(" of `{name}`"));
            let hint = format!("say in the manifest{of} what the loader does:");
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), &hint);
            for line in &mend.lines {
                text.push_str(&format!("     {}\n", harmless(line)));
            }
            if !mend.omitted.is_empty() {
                let more = count(mend.omitted.len(), "more choice");
                let line = harmless(&format!("… and {more}: {}", mend.omitted.join(", ")));
                text.push_str(&hanging("     ", &line, 2, self.width));
            }
        }
        if let Some(command) = &mend.command {
            let hint = "write a whole manifest with this command, and compare it with the loader:";
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), hint);
            // Whole, so that it can be copied.
            text.push_str(&format!("     {}\n", harmless(command)));
        }
    }

    /// A word and a sentence that hangs behind it.
    fn labeled(&self, text: &mut String, painted: &str, label: usize, sentence: &str) {
        let sentence = harmless(sentence);
        let wrapped = hanging(&" ".repeat(2 + label + 1), &sentence, 0, self.width);
        // The label takes the place of the first line's indent.
        text.push_str(&format!("  {painted} {}", wrapped.trim_start()));
    }

    fn listed(&self, text: &mut String, what: &str, names: &[String]) {
        let mut line = format!("{what} {}", names[..names.len().min(NAMES)].join(", "));
        if names.len() > NAMES {
            line.push_str(&format!(" and {} more", names.len() - NAMES));
        }
        text.push_str(&hanging("  ", &harmless(&line), 2, self.width));
    }
}

fn backticked<T: AsRef<str>>(names: &[T]) -> Vec<String> {
    (names.iter().map(|name| format!("`{}`", name.as_ref()))).collect()
}

/// The line alone: its indentation is not recorded, so that no caret would be in its place.
fn source(text: &mut String, at: &SourceLine) -> std::fmt::Result {
    let margin = " ".repeat(at.line.to_string().len());
    let column = if at.column > 0 {
        format!(":{}", at.column)
    } else {
        String::new()
    };
    let file = harmless(&at.file);
    writeln!(text, "   {margin}--> {file}:{}{column}", at.line)?;
    let number = usize::try_from(at.line).unwrap_or_default();
    for line in excerpt_of_line(number, &at.text, None).lines() {
        writeln!(text, "   {line}")?;
    }
    Ok(())
}

fn excerpt(text: &mut String, kernel: Option<&str>, part: &Excerpt) -> std::fmt::Result {
    let shown = part.lines.len();
    let of = match part.omitted {
        0 => count(shown, "line"),
        omitted => format!("last {shown} of {} lines", shown + omitted),
    };
    let on = kernel.map_or(String::new(), |kernel| format!(", {kernel}"));
    writeln!(text, "\n  {} log{on}: {of}", part.of)?;
    for line in &part.lines {
        writeln!(text, "     {}", paint(QUIET, harmless(line)))?;
    }
    Ok(())
}
