//! Errors and problems as people read them: what, why, and what to do.

use std::error::Error;
use std::fmt::{self, Write};
use std::path::Path;

use ukci_harness::render::{Problem, again};
use ukci_matrix::excerpt::excerpt as one_line;
use ukci_schema::diagnosis::{Excerpt, SourceLine};
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use crate::exit::Exit;
use crate::output::{BAD, GOOD, HINT, QUIET, UNKNOWN, WARN, paint};

/// Why a command ended early.
///
/// The three ways to make one keep "failed to" out of everybody's hands: [`Failure::failed_to`]
/// writes the words and takes only a verb and a path, and [`Failure::of`] and [`Failure::says`]
/// take whole sentences and add nothing to them.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    hint: Option<String>,
}

/// What was to be done, and with what. It is read after "failed to".
///
/// The verb is a literal, so the text of an error, which is a sentence of its own, cannot be put
/// here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Action<'a> {
    verb: &'static str,
    path: Option<&'a Path>,
}

impl<'a> Action<'a> {
    /// Something done with a file or directory, such as "read" or "write".
    pub(crate) const fn on(verb: &'static str, path: &'a Path) -> Self {
        Self {
            verb,
            path: Some(path),
        }
    }
}

impl From<&'static str> for Action<'_> {
    fn from(verb: &'static str) -> Self {
        Self { verb, path: None }
    }
}

impl fmt::Display for Action<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}", self.verb)?;
        match self.path {
            Some(path) => write!(f, " `{}`", path.display()),
            None => Ok(()),
        }
    }
}

impl Failure {
    /// Something that the system or a parser did not let us do.
    pub(crate) fn failed_to<'a>(action: impl Into<Action<'a>>, cause: &dyn Error) -> Self {
        let mut message = format!("{}\n", action.into());
        let _ = writeln!(message, "  Caused by: {}", indented(&cause.to_string()));
        push_causes(&mut message, cause);
        Self {
            exit: Exit::NoVerdict,
            message,
            hint: None,
        }
    }

    /// An error of the libraries, whose text is a sentence of its own, and its causes.
    pub(crate) fn of(exit: Exit, error: &dyn Error, hint: Option<String>) -> Self {
        let mut message = format!("{error}\n");
        push_causes(&mut message, error);
        Self {
            exit,
            message,
            hint,
        }
    }

    /// A sentence about what is wrong.
    pub(crate) fn says(exit: Exit, sentence: &str, hint: Option<String>) -> Self {
        Self {
            exit,
            message: format!("{sentence}\n"),
            hint,
        }
    }

    /// The same, with something that the reader can do.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened and its causes, without the word `error:`.
    pub(crate) fn message(&self) -> &str {
        self.message.trim_end()
    }

    /// What the reader can do.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// As printed.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{} {}", paint(BAD, "error:"), self.message);
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\n{} {hint}\n", paint(HINT, "hint:"));
        }
        text
    }
}

/// The sources of an error, a line each. A source that the line above it already ends with is left
/// out: some errors carry their cause in their own text, and transparent ones are their cause.
fn push_causes(message: &mut String, error: &dyn Error) {
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !last.ends_with(&text) {
            let _ = writeln!(message, "  Caused by: {}", indented(&text));
        }
        last = text;
        cause = error.source();
    }
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n    ")
}

/// The word of an outcome in its color, right-aligned in twelve columns.
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

/// The line alone: its indentation is not recorded, so that no caret would be in its place.
fn source(text: &mut String, at: &SourceLine) -> std::fmt::Result {
    let margin = " ".repeat(at.line.to_string().len());
    let column = if at.column > 0 {
        format!(":{}", at.column)
    } else {
        String::new()
    };
    writeln!(text, "   {margin}--> {}:{}{column}", at.file, at.line)?;
    let number = usize::try_from(at.line).unwrap_or_default();
    for line in one_line(number, &at.text, None).lines() {
        writeln!(text, "   {line}")?;
    }
    Ok(())
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
