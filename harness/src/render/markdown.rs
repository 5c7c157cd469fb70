//! Markdown: the counts, the grid, each cause once with its log folded, the inputs by digest.

use std::fmt::Write;

use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use crate::plural::count;

use super::cause::{Axes, Cause, causes};
use super::grid::{Grid, grids};
use super::{accels, again, needs_loader, shown, summary, word};

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, &shown(report));
    text
}

/// The counts, the run in one line, and its warnings.
pub(super) fn head(text: &mut String, report: &Report) -> std::fmt::Result {
    writeln!(text, "## ukci: {}\n", summary(report))?;
    writeln!(
        text,
        "Matrix `{}`, {} in {:.1} s, {}{}.\n",
        report.run.matrix,
        report.run.started,
        report.run.seconds,
        accels(report),
        if report.run.hermetic {
            ""
        } else {
            ", **not hermetic**"
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
    writeln!(text, "\n<details><summary>Inputs by SHA-256</summary>\n")?;
    for artifact in &report.artifacts {
        writeln!(text, "- `{}`: `{}`", artifact.path, artifact.sha256)?;
    }
    for (name, kernel) in &report.kernels {
        writeln!(
            text,
            "- {name} ({}): image `{}`",
            kernel.release, kernel.image
        )?;
    }
    for (arch, agent) in &report.run.agents {
        writeln!(text, "- agent {arch}: `{agent}`")?;
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
    let corner = escape(&grid.corner).replace('*', "\\*");
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
        [one] => format!("{one}: "),
        _ => String::new(),
    };
    writeln!(
        text,
        "\n### {sign} {title}`{}` {}\n",
        cause.code,
        cause.count()
    )?;
    writeln!(text, "{}\n", escape(&cause.headline))?;
    for place in cause.places(axes) {
        writeln!(text, "- {place}")?;
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
    if cause.is_loader() {
        writeln!(text, "Nothing was learned of the kernel.\n")?;
    }
    let seen = cause.first();
    let cell = seen.cell;
    if let Some(diagnosis) = seen.diagnosis {
        if let Some(at) = &diagnosis.at {
            writeln!(
                text,
                "`{}:{}`: `{}`\n",
                at.file,
                at.line,
                at.text.trim().replace('`', "'")
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
    writeln!(text, "Run it again: `{}`", again(report, cell))
}

fn quoted<T: AsRef<str>>(names: &[T]) -> Vec<String> {
    (names.iter().map(|name| format!("`{}`", name.as_ref()))).collect()
}

fn folded(text: &mut String, title: &str, lines: &[String]) -> std::fmt::Result {
    // A log that holds a fence must not end ours.
    let fence = if lines.iter().any(|line| line.contains("```")) {
        "~~~~"
    } else {
        "```"
    };
    writeln!(
        text,
        "<details><summary>{title}</summary>\n\n{fence}text\n{}\n{fence}\n\n</details>\n",
        lines.join("\n")
    )
}

/// Text of a kernel, a file or a user, as text.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('|', "\\|")
}
