//! Errors and problems as people read them: what, why, and what to do.

use std::error::Error;
use std::fmt::Write;

use ukci_harness::render::{Problem, again};
use ukci_schema::diagnosis::{Excerpt, SourceLine};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use crate::exit::Exit;
use crate::output::{BAD, GOOD, HINT, QUIET, UNKNOWN, WARN, paint};

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// An error that reads after "failed to", and its causes.
    pub(crate) fn new(exit: Exit, error: &dyn Error, hint: Option<String>) -> Self {
        Self::with_causes(exit, &format!("failed to {error}"), error, hint)
    }

    /// An error of the catalogue, whose text is a whole sentence, and its causes.
    pub(crate) fn of_catalogue(exit: Exit, error: &ukci_harness::catalogue::Error) -> Self {
        Self::with_causes(exit, &error.to_string(), error, error.hint())
    }

    fn with_causes(exit: Exit, what: &str, error: &dyn Error, hint: Option<String>) -> Self {
        let mut message = format!("{} {what}\n", paint(BAD, "error:"));
        let mut cause = error.source();
        let mut last = error.to_string();
        while let Some(error) = cause {
            let text = error.to_string();
            // A transparent error says what its source says.
            if text != last {
                let text = text.replace('\n', "\n    ");
                let _ = writeln!(message, "  Caused by: {text}");
                last = text;
            }
            cause = error.source();
        }
        Self {
            exit,
            message,
            hint,
        }
    }

    /// A plain sentence.
    pub(crate) fn plain(exit: Exit, message: &str, hint: Option<String>) -> Self {
        Self {
            exit,
            message: format!("{} {message}\n", paint(BAD, "error:")),
            hint,
        }
    }

    /// As printed.
    pub(crate) fn text(&self) -> String {
        let mut text = self.message.clone();
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\n{} {hint}\n", paint(HINT, "hint:"));
        }
        text
    }
}

/// The word of an outcome in its colour, right-aligned in twelve columns.
pub(crate) fn word(outcome: Outcome) -> String {
    let style = match outcome {
        Outcome::Pass => GOOD,
        Outcome::Fail | Outcome::Xpass => BAD,
        Outcome::Xfail | Outcome::Skip => WARN,
        Outcome::Error => UNKNOWN,
    };
    paint(style, format_args!("{:>12}", outcome.name().to_uppercase()))
}

/// A line of twelve dashes.
const RULE: &str = "────────────";

/// One problem, as a block.
pub(crate) fn problem(report: &Report, out: &str, problem: &Problem<'_>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_problem(&mut text, report, out, problem);
    text
}

fn write_problem(
    text: &mut String,
    report: &Report,
    out: &str,
    problem: &Problem<'_>,
) -> std::fmt::Result {
    let artifact = problem.artifact;
    writeln!(text, "{RULE}")?;
    writeln!(
        text,
        "{} {artifact}: {} {}",
        word(problem.outcome),
        problem.code,
        problem.count()
    )?;
    writeln!(text, "{:13}{}\n", "", problem.place())?;
    let Some(cell) = problem.cells.first() else {
        return Ok(());
    };
    let error = if problem.outcome == Outcome::Skip {
        paint(WARN, "skipped:")
    } else {
        paint(BAD, "error:")
    };
    writeln!(text, "  {error} {}", problem.headline)?;
    let mut hints: &[String] = &[];
    if let Some(diagnosis) = &cell.diagnosis {
        if let Some(at) = &diagnosis.at {
            source(text, at)?;
        }
        if let Some(part) = &diagnosis.excerpt {
            excerpt(text, cell, part)?;
        }
        hints = &diagnosis.hints;
    }
    if let Some(fault) = &cell.fault {
        if !fault.console.is_empty() {
            let last = fault.console.len().min(12);
            writeln!(text, "\n  console, last {last} lines")?;
            for line in &fault.console[fault.console.len() - last..] {
                writeln!(text, "     {}", paint(QUIET, line))?;
            }
        }
        hints = &fault.hints;
    }
    if !hints.is_empty() {
        writeln!(text)?;
    }
    for hint in hints {
        writeln!(text, "  {} {hint}", paint(HINT, "hint:"))?;
    }
    if problem.outcome == Outcome::Skip {
        writeln!(
            text,
            "\n  {} `--mode load` asks only whether it loads",
            paint(HINT, "hint:")
        )?;
    }
    writeln!(text, "\n  log   {out}/{}/", cell.evidence)?;
    writeln!(text, "  again {}", again(report, cell))?;
    let report = if out == "ukci-out" {
        String::new()
    } else {
        format!(" --report {out}")
    };
    writeln!(text, "  look  ukci shell {}{report}", cell.id)
}

fn source(text: &mut String, at: &SourceLine) -> std::fmt::Result {
    let number = at.line.to_string();
    let margin = " ".repeat(number.len());
    let column = if at.column > 0 {
        format!(":{}", at.column)
    } else {
        String::new()
    };
    let line = at.text.replace('\t', "    ");
    writeln!(text, "   {margin} ╭─[{}:{}{column}]", at.file, at.line)?;
    writeln!(text, "   {number} │ {}", line.trim_end())?;
    writeln!(text, "   {margin} ╰─")
}

fn excerpt(text: &mut String, cell: &CellReport, part: &Excerpt) -> std::fmt::Result {
    let shown = part.lines.len();
    let of = if part.omitted > 0 {
        format!("last {shown} of {} lines", shown + part.omitted)
    } else {
        format!("{shown} lines")
    };
    let of = if shown == 1 && part.omitted == 0 {
        "1 line".into()
    } else {
        of
    };
    writeln!(text, "\n  {} log, {}: {of}", part.of, cell.kernel)?;
    for line in &part.lines {
        writeln!(text, "     {}", paint(QUIET, line))?;
    }
    Ok(())
}
