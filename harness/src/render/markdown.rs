//! Markdown: the counts, the grid, each problem once with its log folded, the inputs by digest.

use std::fmt::Write;

use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use super::grid::{Grid, grids};
use super::problem::{Problem, again, problems};
use super::{accels, summary};

/// The report as Markdown.
pub fn markdown(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, report);
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
    for problem in problems(report) {
        section(text, report, &problem)?;
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
        let cells: Vec<&str> = cells.iter().map(|cell| cell.map_or("-", picture)).collect();
        text.push_str(&format!("| {} | {} |\n", escape(name), cells.join(" | ")));
    }
    text
}

/// A cell of a grid.
pub(super) fn picture(cell: &CellReport) -> &'static str {
    match cell.outcome {
        Outcome::Pass => "✅",
        Outcome::Fail => "❌ **fail**",
        Outcome::Xfail => "🟡 xfail",
        Outcome::Xpass => "❌ **xpass**",
        Outcome::Error => "⚠️ **error**",
        Outcome::Skip => "⚪ skip",
    }
}

/// A problem: what, where, the log folded, hints, and how to run it again.
pub(super) fn section(
    text: &mut String,
    report: &Report,
    problem: &Problem<'_>,
) -> std::fmt::Result {
    let sign = match problem.outcome {
        Outcome::Error => "⚠️",
        Outcome::Skip => "⚪",
        _ => "❌",
    };
    writeln!(
        text,
        "\n### {sign} {}: `{}` {}\n",
        problem.artifact,
        problem.code,
        problem.count()
    )?;
    writeln!(text, "{}\n", escape(&problem.headline))?;
    writeln!(text, "On {}.\n", problem.place())?;
    let Some(cell) = problem.cells.first() else {
        return Ok(());
    };
    if let Some(diagnosis) = &cell.diagnosis {
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
            let title = format!("{} log, {} lines before it", excerpt.of, excerpt.omitted);
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
    writeln!(text, "Again: `{}`", again(report, cell))
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
