//! Suggests a manifest for an object, from the object and from a report.
//!
//! What the object declares and a report come in, and choices go out, each with its reason. Many
//! objects are refused everywhere as they are, because their own loader sizes maps, picks programs
//! and sets targets. A suggestion never hides a refusal that the object's own loader would meet
//! too.

mod maps;
mod programs;
mod refused;
mod stem;
#[cfg(test)]
mod tests;

use super::ObjectFacts;
use ukci_schema::report::CellReport;

/// A manifest that is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestion {
    /// Its choices, in the order in which they are printed.
    pub choices: Vec<Choice>,
}

/// One choice that a loader seems to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What it does, in a few words: "size map `stacks`".
    pub what: String,
    /// Why, in sentences.
    pub reason: String,
    /// Its lines of the manifest; none if only the author can write them.
    pub toml: String,
    /// Whether the lines hold without a look at the loader. Others are printed as comments.
    pub is_certain: bool,
}

impl Choice {
    pub(super) fn new(what: impl Into<String>, reason: impl Into<String>, toml: String) -> Self {
        Self {
            what: what.into(),
            reason: reason.into(),
            toml,
            is_certain: true,
        }
    }

    /// Its lines, as comments where only the author can tell.
    pub fn lines(&self) -> Vec<String> {
        let mark = if self.is_certain { "" } else { "# " };
        let lines = self.toml.lines();
        lines.map(|line| format!("{mark}{line}")).collect()
    }

    /// Whether it is about a map or program of one of these names.
    pub fn names_any(&self, names: &[&str]) -> bool {
        (names.iter()).any(|name| self.toml.contains(&format!("name = {}", quoted(name))))
    }

    pub(super) fn uncertain(self) -> Self {
        Self {
            is_certain: false,
            ..self
        }
    }
}

/// What an object's own loader seems to do. `cells` are those of the object in a report.
pub fn suggest(object: &ObjectFacts, cells: &[&CellReport]) -> Suggestion {
    let mut choices = maps::choices(object);
    let (of_programs, decided) = programs::choices(object, cells);
    choices.extend(of_programs);
    choices.extend(refused::choices(cells, &decided));
    Suggestion { choices }
}

impl Suggestion {
    /// Whether nothing is to be said.
    pub fn is_empty(&self) -> bool {
        self.choices.is_empty()
    }

    /// The manifest, with each reason as a comment above its lines.
    pub fn to_toml(&self, artifact: &str) -> String {
        let about = format!(
            "# What the loader of `{}` seems to do. Each choice is a guess: compare it with the\n\
             # loader, change what differs, and remove what the loader does not do.\n",
            one_line(artifact)
        );
        self.under(
            about,
            "Nothing in the object shows that it needs its own loader.",
        )
    }

    /// The choices of a recorded run, with what was run above them.
    pub fn to_recorded_toml(&self, about: &str) -> String {
        let mut lines = wrapped(about).join("\n# ");
        lines.insert_str(0, "# ");
        lines.push('\n');
        self.under(
            lines,
            "The tool did what the object says, which needs no manifest.",
        )
    }

    fn under(&self, mut text: String, nothing: &str) -> String {
        for choice in &self.choices {
            text.push('\n');
            for line in wrapped(&choice.reason) {
                text.push_str(&format!("# {line}\n"));
            }
            for line in choice.lines() {
                text.push_str(&format!("{line}\n"));
            }
        }
        if self.is_empty() {
            text.push_str(&format!("\n# {nothing}\n"));
        }
        text
    }
}

/// Columns of a comment without its mark.
const WIDTH: usize = 94;

/// A text in lines of at most [`WIDTH`] columns, broken at words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in one_line(text).split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A text that may hold names of an object, without what would end a comment.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    crate::authored::harmless_words(&text.chars().map(plain).collect::<String>())
}

/// A name as TOML quotes it.
pub(super) fn quoted(name: &str) -> String {
    toml::Value::from(name).to_string()
}
