//! Markdown: the counts, the grid, each cause once with its log folded, the inputs by digest.

use std::fmt::Write;

use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use ukci_schema::plural::count;

use super::cause::{Axes, Cause, causes};
use super::grid::{Grid, grids};
use super::loader::{Mend, mend};
use super::notes::{notes, notes_elsewhere};
use super::{Shown, accels, again, cached_cells, external_btf, needs_loader, summary, word};

/// The report as Markdown.
pub fn markdown(report: &Shown<Report>) -> Shown<String> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, report);
    Shown::rendered(text)
}

/// The counts, the run in one line, and its warnings.
pub(super) fn head(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "## ukci: {}\n", summary(report))?;
    writeln!(
        text,
        "Matrix {}, {} in {:.1} s, {}{}{}{}.\n",
        code(&report.run.matrix),
        escape(&report.run.started),
        report.run.seconds,
        escape(&accels(report)),
        cached_cells(report).map_or_else(String::new, |cached| format!(", {cached}")),
        external_btf(report).map_or_else(String::new, |with| format!(", {}", escape(&with))),
        if report.run.hermetic {
            ""
        } else {
            ", **not hermetic** (a file came from outside of the lock, or the guest had a network)"
        }
    )?;
    for warning in &report.run.warnings {
        writeln!(text, "> **Warning:** {}\n", escape(warning))?;
    }
    Ok(())
}

fn write(text: &mut String, report: &Report) -> std::fmt::Result {
    head(text, report)?;
    for grid in tables(report) {
        text.push_str(&titled(&grid));
    }
    let causes = causes(report);
    text.push_str(&top_causes(&causes));
    let axes = Axes::of(report);
    for cause in &causes {
        section(text, report, &axes, cause)?;
    }
    noted(text, report, &axes)?;
    writeln!(text, "\n<details><summary>Inputs by SHA-256</summary>\n")?;
    for artifact in &report.artifacts {
        writeln!(
            text,
            "- {}: {}",
            code(&artifact.path),
            code(&artifact.sha256)
        )?;
    }
    for (name, kernel) in &report.kernels {
        writeln!(
            text,
            "- {} ({}): image {}",
            escape_line(name),
            escape(&kernel.release),
            code(&kernel.image)
        )?;
    }
    for (arch, agent) in &report.run.agents {
        writeln!(text, "- agent {arch}: {}", code(agent))?;
    }
    writeln!(text, "\n</details>")
}

/// Most columns of a table that is read without scrolling.
const COLUMNS: usize = 8;

/// The report's cells in tables as a page takes them.
pub(super) fn tables(report: &Report) -> Vec<Grid<'_>> {
    grids(report, |grid| grid.columns.len() <= COLUMNS)
}

/// A grid as a table, below its architecture if it has one.
pub(super) fn titled(grid: &Grid<'_>) -> String {
    let mut text = String::new();
    if let Some(arch) = grid.arch {
        text.push_str(&format!("\n#### {arch}\n\n"));
    }
    let corner = escape(&grid.corner);
    let columns: Vec<String> = grid.columns.iter().map(|name| escape(name)).collect();
    text.push_str(&format!("| {corner} | {} |\n", columns.join(" | ")));
    text.push_str(&format!("|---|{}\n", ":-:|".repeat(grid.columns.len())));
    for (name, cells) in &grid.rows {
        let cells: Vec<String> = (cells.iter())
            .map(|cell| cell.map_or_else(|| "-".to_owned(), picture))
            .collect();
        text.push_str(&format!("| {} | {} |\n", escape(name), cells.join(" | ")));
    }
    text
}

/// A cell of a grid.
pub(super) fn picture(cell: &CellReport) -> String {
    match cell.outcome {
        Outcome::Pass => "✅".to_owned(),
        Outcome::Fail if needs_loader(cell) => "🔧 loader".to_owned(),
        Outcome::Fail => format!("❌ **{}**", word(cell)),
        Outcome::Xfail => "🟡 xfail".to_owned(),
        Outcome::Xpass => "❌ **xpass**".to_owned(),
        Outcome::Error => "⚠️ **error**".to_owned(),
        Outcome::Skip => "⚪ skip".to_owned(),
    }
}

/// Causes from which on a list of them comes before the first.
const LISTED_FROM: usize = 4;

/// The codes with their counts and what is wrong, where there are many causes.
pub(super) fn top_causes(causes: &[Cause<'_>]) -> String {
    let mut text = String::new();
    if causes.len() < LISTED_FROM {
        return text;
    }
    text.push_str("\n| cells | objects | cause | |\n|--:|--:|---|---|\n");
    for cause in causes {
        text.push_str(&format!(
            "| {} | {} | `{}` | {} |\n",
            cause.seen.len(),
            cause.artifacts().len(),
            cause.code,
            escape(&cause.headline)
        ));
    }
    text
}

/// A cause: what, where, the log folded, hints, and how to run a cell of it again.
pub(super) fn section(
    text: &mut String,
    report: &Report,
    axes: &Axes<'_>,
    cause: &Cause<'_>,
) -> std::fmt::Result {
    let sign = match cause.outcome {
        Outcome::Error => "⚠️",
        Outcome::Skip => "⚪",
        Outcome::Fail if cause.is_loader() => "🔧",
        _ => "❌",
    };
    let artifacts = cause.artifacts();
    let title = match artifacts.as_slice() {
        [one] => format!("{}: ", escape(one)),
        _ => String::new(),
    };
    writeln!(
        text,
        "\n### {sign} {title}`{}` {}\n",
        cause.code,
        cause.count()
    )?;
    writeln!(text, "{}\n", escape_line(&cause.headline))?;
    for place in cause.places(axes) {
        writeln!(text, "- {}", escape_line(&place))?;
    }
    writeln!(text)?;
    for (what, names) in [
        ("The same holds for", quoted(&cause.other_names())),
        ("Programs:", quoted(&cause.programs())),
    ] {
        if names.len() > 1 || (what.starts_with("The") && !names.is_empty()) {
            writeln!(text, "{what} {}.\n", names.join(", "))?;
        }
    }
    for note in notes(report, cause) {
        writeln!(text, "**Note:** {}\n", escape(&note))?;
    }
    if let Some(mend) = mend(report, axes, cause, None) {
        lines_of_manifest(text, &mend)?;
    }
    let seen = cause.first();
    let cell = seen.cell;
    if let Some(diagnosis) = seen.diagnosis {
        if let Some(at) = &diagnosis.at {
            writeln!(
                text,
                "{}: {}\n",
                code(&format!("{}:{}", at.file, at.line)),
                code(at.text.trim())
            )?;
        }
        if let Some(excerpt) = &diagnosis.excerpt {
            let shown = excerpt.lines.len();
            let title = match excerpt.omitted {
                0 => format!("{} log, {}", excerpt.of, count(shown, "line")),
                omitted => format!(
                    "{} log, last {shown} of {}",
                    excerpt.of,
                    count(shown + omitted, "line")
                ),
            };
            folded(text, &title, &excerpt.lines)?;
        }
        for hint in &diagnosis.hints {
            writeln!(text, "**Hint:** {}\n", escape(hint))?;
        }
    }
    if let Some(fault) = &cell.fault {
        if !fault.console.is_empty() {
            folded(text, "Console", &fault.console)?;
        }
        for hint in &fault.hints {
            writeln!(text, "**Hint:** {}\n", escape(hint))?;
        }
    }
    writeln!(text, "Run it again: {}", code(&again(report, cell)))
}

/// Whose business a cause is, and what a manifest can say of it.
fn lines_of_manifest(text: &mut String, mend: &Mend) -> std::fmt::Result {
    writeln!(text, "**Note:** {}\n", escape(&mend.note))?;
    if !mend.lines.is_empty() {
        let of = mend.artifact.as_ref();
        let of = of.map_or(String::new(), |name| format!(" of {}", code(name)));
        writeln!(text, "Say in the manifest{of} what the loader does:\n")?;
        fenced(text, "toml", &mend.lines)?;
        if !mend.omitted.is_empty() {
            let more = count(mend.omitted.len(), "more choice");
            let omitted = escape(&mend.omitted.join(", "));
            writeln!(text, "These are not all. There are {more}: {omitted}.\n")?;
        }
    }
    if let Some(command) = &mend.command {
        writeln!(text, "This command writes a manifest: {}\n", code(command))?;
    }
    Ok(())
}

/// What cells noted that ended as expected.
pub(super) fn noted(text: &mut String, report: &Report, axes: &Axes<'_>) -> std::fmt::Result {
    const SHOWN: usize = 20;
    let notes = notes_elsewhere(report);
    if notes.is_empty() {
        return Ok(());
    }
    writeln!(text, "\n### Notes of cells that ended as expected\n")?;
    for (note, cells) in notes.iter().take(SHOWN) {
        writeln!(text, "- {}: {}", axes.places(cells), escape(note))?;
    }
    if notes.len() > SHOWN {
        writeln!(text, "- and {} more, in `report.json`", notes.len() - SHOWN)?;
    }
    Ok(())
}

fn quoted<T: AsRef<str>>(names: &[T]) -> Vec<String> {
    (names.iter().map(|name| code(name.as_ref()))).collect()
}

fn folded(text: &mut String, title: &str, lines: &[String]) -> std::fmt::Result {
    writeln!(text, "<details><summary>{}</summary>\n", in_html(title))?;
    fenced(text, "text", lines)?;
    writeln!(text, "</details>\n")
}

/// Text inside of a block of HTML, where nothing is Markdown: a backtick there makes no code, and
/// what stands behind it would be an element.
fn in_html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Lines as a block of code. A line that holds a fence does not end it.
fn fenced(text: &mut String, language: &str, lines: &[String]) -> std::fmt::Result {
    let longest = lines.iter().map(|line| longest_run(line)).max();
    let fence = "`".repeat(longest.unwrap_or(0).max(2) + 1);
    writeln!(text, "{fence}{language}\n{}\n{fence}\n", lines.join("\n"))
}

/// Text of a kernel, a file or a user, as text: nothing in it is markup. It is harmless already, and
/// so on one line.
///
/// What is between backticks in a sentence of ours is code, as it is meant to be. A name may hold a
/// backtick itself: then the text between is shown as code or not, but never as anything else.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut parts = text.split('`').peekable();
    let mut is_code = false;
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        match (is_code, is_last) {
            (true, false) => escaped.push_str(&code(part)),
            // A backtick that nothing closes.
            (true, true) => {
                escaped.push_str("&#96;");
                push_escaped(&mut escaped, part);
            }
            (false, _) => push_escaped(&mut escaped, part),
        }
        is_code = !is_code;
    }
    escaped
}

fn push_escaped(escaped: &mut String, text: &str) {
    let mut before = ' ';
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied().unwrap_or(' ');
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '*' | '[' | ']' | '|' | '~' | '!' | '#' | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // Inside of a word it is text, as in most names.
            '_' if !(before.is_alphanumeric() && next.is_alphanumeric()) => escaped.push_str("\\_"),
            // What GitHub turns into links, mentions and emoji.
            '@' => escaped.push_str("&#64;"),
            ':' if next == '/' => escaped.push_str("&#58;"),
            ':' if !before.is_alphanumeric() && !next.is_whitespace() => escaped.push_str("&#58;"),
            'w' | 'W' if next == 'w' || next == 'W' => {
                escaped.push_str(if c == 'w' { "&#119;" } else { "&#87;" });
            }
            _ => escaped.push(c),
        }
        before = c;
    }
}

/// Text as [`escape`] has it, at the start of a line: it begins no list, rule or underline.
pub(super) fn escape_line(text: &str) -> String {
    let escaped = escape(text);
    let digits = escaped.len()
        - escaped
            .trim_start_matches(|c: char| c.is_ascii_digit())
            .len();
    let after = &escaped[digits..];
    let begins = if digits > 0 {
        after.starts_with(['.', ')'])
    } else {
        after.starts_with(['-', '+', '='])
    };
    if begins {
        format!("{}\\{after}", &escaped[..digits])
    } else {
        escaped.trim_start().to_owned()
    }
}

/// Text as a span of code, whatever backticks it has. A bar, which would end a field of a table even
/// there, is written with a backslash, which GitHub takes away in tables only: so it becomes a
/// character that looks alike.
pub(super) fn code(text: &str) -> String {
    let text = text.replace('|', "\u{2502}");
    let fence = "`".repeat(longest_run(&text) + 1);
    // A span has at least a character, and its fence needs a space beside a backtick.
    let space = if text.is_empty()
        || text.starts_with('`')
        || text.ends_with('`')
        || (text.starts_with(' ') && text.ends_with(' '))
    {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{text}{space}{fence}")
}

/// The length of the longest run of backticks.
fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{code, escape, escape_line};

    #[test]
    fn text_is_no_markup_and_code_is_code() {
        assert_eq!(
            escape("`a_b`: x_y <b> *c* [d](http://e) ![f] @g www.h _i_ | #"),
            "`a_b`: x_y &lt;b&gt; \\*c\\* \\[d\\](http&#58;//e) \\!\\[f\\] &#64;g &#119;&#119;w.h \
             \\_i\\_ \\| \\#"
        );
        assert_eq!(escape("a`b<"), "a&#96;b&lt;");
        assert_eq!(escape_line("1. a"), "1\\. a");
        assert_eq!(escape_line("- a"), "\\- a");
        assert_eq!(escape_line("12 a"), "12 a");
    }

    #[test]
    fn a_span_is_longer_than_any_run_in_it() {
        assert_eq!(code("a"), "`a`");
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(code("a|b"), "`a\u{2502}b`");
        assert_eq!(code(""), "`  `");
    }
}
