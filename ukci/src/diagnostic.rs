//! Errors as people read them: what happened, why, and what to do.

use std::error::Error;
use std::fmt;
use std::path::Path;

use ukci_harness::render::harmless;
use ukci_harness::{causes, full_disk};
use ukci_schema::verdict::Outcome;

use crate::exit::Exit;
use crate::output::{BAD, GOOD, HINT, UNKNOWN, WARN, label, paint};
use crate::text::{Show, Side, Text, text};

/// Why a command ended early.
///
/// The three ways to make one keep "failed to" out of everybody's hands: [`Failure::failed_to`]
/// writes the words and takes only a verb and a path, and [`Failure::of`] and [`Failure::says`]
/// take whole sentences and add nothing to them.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: Text,
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

impl Show for Action<'_> {
    fn show(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to {}", self.verb)?;
        match self.path {
            Some(path) => write!(f, " `{}`", harmless(&path.to_string_lossy())),
            None => Ok(()),
        }
    }
}

impl Failure {
    /// Something that the system or a parser did not let us do.
    pub(crate) fn failed_to<'a>(
        action: impl Into<Action<'a>>,
        cause: &(dyn Error + 'static),
    ) -> Self {
        let mut message = text!("{}\n", action.into());
        message.push(&text!("  Caused by: {}\n", in_lines(&cause.to_string(), 4)));
        push_causes(&mut message, cause);
        Self {
            exit: Exit::NoVerdict,
            message,
            hint: full_disk::advice(cause, None),
        }
    }

    /// A file that the command line names, and that cannot be read.
    pub(crate) fn unread(path: &Path, cause: &(dyn Error + 'static)) -> Self {
        Self::failed_to(Action::on("read", path), cause).ending_with(Exit::Usage)
    }

    /// The same with another exit status.
    #[must_use]
    pub(crate) fn ending_with(self, exit: Exit) -> Self {
        Self { exit, ..self }
    }

    /// An error of the libraries, whose text is a sentence of its own, and its causes.
    pub(crate) fn of(exit: Exit, error: &(dyn Error + 'static), hint: Option<String>) -> Self {
        let mut message = text!("{}\n", in_lines(&error.to_string(), 0));
        push_causes(&mut message, error);
        Self {
            exit,
            message,
            // Every error may have this cause, whether it knows or not.
            hint: hint.or_else(|| full_disk::advice(error, None)),
        }
    }

    /// A sentence about what is wrong.
    pub(crate) fn says(exit: Exit, sentence: &str, hint: Option<String>) -> Self {
        Self {
            exit,
            message: text!("{}\n", in_lines(sentence, 0)),
            hint,
        }
    }

    /// The same, with something that the reader can do.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened and its causes, without the word `error:`.
    pub(crate) fn message(&self) -> Text {
        let mut message = self.message.clone();
        message.trim_end();
        message
    }

    /// What the reader can do.
    pub(crate) fn hint(&self) -> Option<Text> {
        self.hint.as_deref().map(|hint| in_lines(hint, 0))
    }

    /// As printed.
    pub(crate) fn text(&self) -> Text {
        let mut text = text!("{} {}", paint(BAD, "error:"), self.message);
        if let Some(hint) = self.hint() {
            text.push(&text!("\n{} {}\n", paint(HINT, "hint:"), hint));
        }
        text
    }
}

/// The causes of an error, a line each.
fn push_causes(message: &mut Text, error: &dyn Error) {
    for cause in causes::of(error) {
        message.push(&text!("  Caused by: {}\n", in_lines(&cause, 4)));
    }
}

/// Text that may hold names of others, in lines that cannot be taken for ours: but for an excerpt
/// of a file, whose lines have a bar and are indented, each further line gets a bar in front.
fn in_lines(text: &str, indent: usize) -> Text {
    let mut lines = text.lines();
    let mut whole = Text::from(harmless(lines.next().unwrap_or_default()));
    for line in lines {
        let is_excerpt = line
            .trim_start_matches(|c: char| c == ' ' || c.is_ascii_digit())
            .starts_with('|');
        let line = harmless(line);
        whole.push(&if is_excerpt {
            text!("\n{}{}", Text::default().aligned(Side::Left, indent), line)
        } else {
            text!("\n    | {}", line)
        });
    }
    whole
}

/// The word of an outcome in its color, right-aligned in twelve columns.
pub(crate) fn word(outcome: Outcome) -> Text {
    let style = match outcome {
        Outcome::Pass => GOOD,
        Outcome::Fail | Outcome::Xpass => BAD,
        Outcome::Xfail | Outcome::Skip => WARN,
        Outcome::Error => UNKNOWN,
    };
    label(style, capitals(outcome))
}

const fn capitals(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Fail => "FAIL",
        Outcome::Xfail => "XFAIL",
        Outcome::Xpass => "XPASS",
        Outcome::Error => "ERROR",
        Outcome::Skip => "SKIP",
    }
}
