//! Why cells ended otherwise than expected, as blocks for a terminal.
//!
//! The causes of a report come in, text of at most the terminal's width goes out. The causes at the
//! front get a block each; the others get a line each, and what exceeds that is counted.

use ukci_harness::render::{Axes, Cause, Mend, again, harmless, mend, notes, quoted};
use ukci_matrix::excerpt::excerpt as excerpt_of_line;
use ukci_schema::diagnosis::{Code, Diagnosis, Excerpt, SourceLine};
use ukci_schema::evidence::StepOutcome;
use ukci_schema::plural::first_of;
use ukci_schema::report::{CellReport, ProgramReport, Report};
use ukci_schema::verdict::{Fault, Outcome, Stage};

use super::wrap::{fit, hanging};
use crate::diagnostic::word;
use crate::output::{BAD, HINT, QUIET, STRONG, WARN, label, paint};
use crate::text::{Side, Text, count, text};

/// Most causes with a block of their own.
const BLOCKS: usize = 10;
/// Most causes with a line each below the blocks.
const LINES: usize = 20;
/// Most objects that the line of a cause names.
const OBJECTS: usize = 4;
/// Most characters of a source line: two lines of a terminal.
const SOURCE_LINE: usize = 150;
/// Most columns for an object's name in a table.
const OBJECT: usize = 24;
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
pub(super) fn text(report: &Report, out: &str, causes: &[Cause<'_>], width: usize) -> Text {
    let mut text = Text::default();
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
        block.write(&mut text);
    }
    let rest = &causes[blocks..];
    if rest.is_empty() {
        return text;
    }
    text.push(&text!("{}\n{}\n", RULE, paint(STRONG, "  Other causes")));
    for cause in rest.iter().take(LINES) {
        let line = match cause.artifacts().as_slice() {
            [one] => format!(
                "{one}: {} {}: {}",
                cause.code,
                cause.count(),
                cause.headline
            ),
            some => {
                let (names, count) = (first_of(some, OBJECTS), cause.count());
                format!("{} {count} ({names}): {}", cause.code, cause.headline)
            }
        };
        text.push(&hanging(5, &line, 2, width));
    }
    if rest.len() > LINES {
        text.push(&hanging(
            5,
            &format!("and {} more", rest.len() - LINES),
            2,
            width,
        ));
    }
    let out = quoted(out);
    text.push(&text!(
        "\n     All causes with their places, logs and hints:\n       {}\n",
        harmless(&format!("ukci report render {out} --format markdown"))
    ));
    text
}

/// The most frequent causes, below the grid of a run that has many.
pub(super) fn top(causes: &[Cause<'_>], width: usize) -> Text {
    const SHOWN: usize = 10;
    let mut text = Text::default();
    if causes.len() <= 3 {
        return text;
    }
    let mut sorted: Vec<&Cause<'_>> = causes.iter().collect();
    sorted.sort_by_key(|cause| std::cmp::Reverse(cause.seen.len()));
    text.push(&text!("  {}\n", paint(STRONG, "Top causes")));
    let shown = &sorted[..sorted.len().min(SHOWN)];
    let codes = shown.iter().map(|cause| cause.code.len()).max();
    let codes = codes.unwrap_or_default();
    // Causes of different objects may have the same headline.
    let objects = |cause: &Cause<'_>| match cause.artifacts().as_slice() {
        [one] => fit(one, OBJECT),
        some => count(some.len(), "object"),
    };
    let columns = shown
        .iter()
        .map(|cause| objects(cause).chars().count())
        .max();
    let columns = columns.unwrap_or_default();
    for cause in shown {
        let cells = count(cause.seen.len(), "cell");
        let objects = objects(cause);
        let line = format!(
            "  {:>9}  {:<columns$}  {:<codes$}  {}",
            &*cells, &*objects, cause.code, cause.headline
        );
        text.push_line(&fit(&line, width));
    }
    if sorted.len() > SHOWN {
        text.push(&text!("  and {} more\n", sorted.len() - SHOWN));
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
    fn write(&self, text: &mut Text) {
        let (cause, cell) = (self.cause, self.cause.first().cell);
        text.push_line(&RULE.into());
        let artifact = match cause.artifacts().as_slice() {
            [one] => text!("{}: ", harmless(one)),
            _ => Text::default(),
        };
        let required = if cause.is_required() {
            ""
        } else {
            ", not required"
        };
        text.push(&text!(
            "{} {}{} {}{}\n",
            self.word(),
            artifact,
            cause.code,
            harmless(&cause.count()),
            required
        ));
        for place in cause.places(self.axes) {
            text.push(&hanging(LEFT, &place, 2, self.width));
        }
        text.push(&"\n".into());
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
            self.diagnosis(text, cell, diagnosis);
        } else if let Some(fault) = &cell.fault {
            self.fault(text, fault);
        }
        self.next_steps(text, cell);
    }

    /// The outcome, in the color of its kind.
    fn word(&self) -> Text {
        if self.cause.is_loader() {
            return label(WARN, "LOADER");
        }
        word(self.cause.outcome)
    }

    fn diagnosis(&self, text: &mut Text, cell: &CellReport, diagnosis: &Diagnosis) {
        if let Some(at) = &diagnosis.at {
            source(text, at);
        }
        if let Some(part) = &diagnosis.excerpt {
            // A compiler does not know of kernels.
            let kernel = (diagnosis.stage != Stage::Compile).then_some(cell.kernel.as_str());
            excerpt(text, kernel, part);
        }
        self.hints(text, &diagnosis.hints);
    }

    fn fault(&self, text: &mut Text, fault: &Fault) {
        if !fault.console.is_empty() {
            let last = fault.console.len().min(CONSOLE);
            text.push(&text!("\n  console, last {}\n", count(last, "line")));
            for line in &fault.console[fault.console.len() - last..] {
                text.push(&text!("     {}\n", paint(QUIET, harmless(line))));
            }
        }
        self.hints(text, &fault.hints);
    }

    fn hints(&self, text: &mut Text, hints: &[String]) {
        if !hints.is_empty() {
            text.push(&"\n".into());
        }
        for hint in hints {
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), hint);
        }
    }

    /// Where the evidence is, and the commands that take it further.
    fn next_steps(&self, text: &mut Text, cell: &CellReport) {
        if self.cause.outcome == Outcome::Skip {
            text.push(&"\n".into());
            let loaded = |program: &ProgramReport| program.load == StepOutcome::Ok;
            let hint = if cell.programs.iter().any(loaded) {
                "`--mode load` asks only whether the object loads"
            } else {
                "if the object's own loader switches programs on, say so in a manifest: \
                 `autoload = true` in the `[[programs]]` of its name, or of `name = \"*\"` for all"
            };
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), hint);
        }
        if self.cause.outcome == Outcome::Xpass {
            text.push(&"\n".into());
            let hint = self.stale(cell);
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), &hint);
        }
        let report = if self.out == "ukci-out" {
            String::new()
        } else {
            format!(" --report {}", quoted(self.out))
        };
        self.notes(text);
        let mend = mend(self.report, self.axes, self.cause, Some(self.out));
        if let Some(mend) = &mend {
            self.mend(text, mend);
        }
        let logs = harmless(&format!("{}/{}/", self.out, cell.evidence));
        text.push(&text!("\n  logs   {}\n", logs));
        let again = harmless(&again(self.report, cell));
        text.push(&text!("  rerun  {}\n", again));
        // There is no object to take into a guest if its source did not compile.
        let is_compiled = self.cause.code != Code::CompileError.name();
        if !self.report.run.asked.command.is_empty() || !is_compiled {
            return;
        }
        let id = quoted(&cell.id);
        let shell = harmless(&format!("ukci shell {id}{report}"));
        text.push(&text!("  shell  {}\n", shell));
    }

    /// What to do about an expectation that no longer holds.
    fn stale(&self, cell: &CellReport) -> String {
        let asked = &self.report.run.asked.options;
        let matrix = asked.iter().position(|word| word == "--matrix");
        let matrix = matrix.and_then(|place| asked.get(place + 1));
        let mut artifacts = self.report.artifacts.iter();
        let artifact = artifacts.find(|artifact| artifact.name == cell.artifact);
        let manifest = artifact.and_then(|artifact| artifact.manifest.as_ref());
        let files = [matrix, manifest.map(|manifest| &manifest.path)];
        let files: Vec<String> = files
            .into_iter()
            .flatten()
            .map(|file| format!("`{file}`"))
            .collect();
        let place = match files.as_slice() {
            [] => String::new(),
            some => format!(" in {}", some.join(" or ")),
        };
        format!("if it is to stay so, delete the rule that expects this failure{place}")
    }

    /// What was noticed beside the cause.
    fn notes(&self, text: &mut Text) {
        let notes = notes(self.report, self.cause);
        if !notes.is_empty() {
            text.push(&"\n".into());
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
            text.push(&hanging(2, &line, 2, self.width));
        }
    }

    /// Whose business the cause is, and the lines of a manifest that say what the loader does.
    fn mend(&self, text: &mut Text, mend: &Mend) {
        text.push(&"\n".into());
        self.labeled(text, &paint(HINT, "note:"), "note:".len(), &mend.note);
        if !mend.lines.is_empty() {
            let of = mend.artifact.as_ref();
            let of = of.map_or(String::new(), |name| format!(" of `{name}`"));
            let hint = format!("say in the manifest{of} what the loader does:");
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), &hint);
            for line in &mend.lines {
                text.push(&text!("     {}\n", harmless(line)));
            }
            if !mend.omitted.is_empty() {
                let more = count(mend.omitted.len(), "more choice");
                let line = format!("… and {}: {}", &*more, mend.omitted.join(", "));
                text.push(&hanging(5, &line, 2, self.width));
            }
        }
        if let Some(command) = &mend.command {
            let hint = "write a whole manifest with this command, and compare it with the loader:";
            self.labeled(text, &paint(HINT, "hint:"), "hint:".len(), hint);
            // Whole, so that it can be copied.
            text.push(&text!("     {}\n", harmless(command)));
        }
    }

    /// A word and a sentence that hangs behind it.
    fn labeled(&self, text: &mut Text, painted: &Text, label: usize, sentence: &str) {
        let wrapped = hanging(2 + label + 1, sentence, 0, self.width);
        // The label takes the place of the first line's indent.
        text.push(&text!("  {} {}", painted, wrapped.without_indent()));
    }

    fn listed(&self, text: &mut Text, what: &str, names: &[String]) {
        let mut line = format!("{what} {}", names[..names.len().min(NAMES)].join(", "));
        if names.len() > NAMES {
            line.push_str(&format!(" and {} more", names.len() - NAMES));
        }
        text.push(&hanging(2, &line, 2, self.width));
    }
}

fn backticked<T: AsRef<str>>(names: &[T]) -> Vec<String> {
    (names.iter().map(|name| format!("`{}`", name.as_ref()))).collect()
}

/// The line alone: its indentation is not recorded, so that no caret would be in its place.
fn source(text: &mut Text, at: &SourceLine) {
    let margin = Text::default().aligned(Side::Left, at.line.to_string().len());
    let column = if at.column > 0 {
        text!(":{}", at.column)
    } else {
        Text::default()
    };
    let file = harmless(&at.file);
    text.push(&text!("   {}--> {}:{}{}\n", margin, file, at.line, column));
    let number = usize::try_from(at.line).unwrap_or_default();
    let around = around(&at.text, usize::try_from(at.column).unwrap_or_default());
    for line in excerpt_of_line(number, &around, None).lines() {
        text.push(&text!("   {}\n", harmless(line)));
    }
}

/// A source line, or the part of a long one that is around this column, counted from 1.
fn around(line: &str, column: usize) -> String {
    let length = line.chars().count();
    if length <= SOURCE_LINE {
        return line.to_owned();
    }
    let start = column.saturating_sub(1 + SOURCE_LINE / 2);
    let start = start.min(length - SOURCE_LINE);
    let part: String = line.chars().skip(start).take(SOURCE_LINE).collect();
    let before = if start > 0 { "… " } else { "" };
    let after = if start + SOURCE_LINE < length {
        " …"
    } else {
        ""
    };
    format!("{before}{part}{after}")
}

fn excerpt(text: &mut Text, kernel: Option<&str>, part: &Excerpt) {
    let shown = part.lines.len();
    let of = match part.omitted {
        0 => count(shown, "line"),
        omitted => text!("last {} of {} lines", shown, shown + omitted),
    };
    let on = harmless(&kernel.map_or(String::new(), |kernel| format!(", {kernel}")));
    text.push(&text!("\n  {} log{}: {}\n", harmless(&part.of), on, of));
    for line in &part.lines {
        text.push(&text!("     {}\n", paint(QUIET, harmless(line))));
    }
}

#[cfg(test)]
mod tests {
    use super::{SOURCE_LINE, around};

    #[test]
    fn a_long_source_line_is_cut_around_its_column() {
        let short = "return 0;";
        assert_eq!(around(short, 900), short);
        let line = format!("{}needle{}", "é".repeat(500), "é".repeat(500));
        for (column, has_needle) in [(0, false), (1, false), (501, true), (9000, false)] {
            let part = around(&line, column);
            assert_eq!(part.contains("needle"), has_needle, "{part}");
            assert!(part.chars().count() <= SOURCE_LINE + 4, "{part}");
            assert_eq!(part.starts_with("… "), column > 500, "{part}");
            assert_eq!(part.ends_with(" …"), column < 9000, "{part}");
        }
    }
}
