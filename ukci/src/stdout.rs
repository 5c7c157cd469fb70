//! Prints data for programs and pipes.

use ukci_harness::render::plain_json;

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output;

/// Writes to stdout, as the end of a command.
pub(crate) fn print(text: &str) -> Result<Exit, Failure> {
    output::data(text).map_err(|error| Failure::failed_to("write to stdout", &error))?;
    Ok(Exit::Met)
}

/// Writes text for people to stdout, as the end of a command.
pub(crate) fn show(text: &str) -> Result<Exit, Failure> {
    print(&output::for_people(text))
}

/// A value as JSON for people. What is written here has string keys and finite numbers.
pub(crate) fn pretty(value: &impl serde::Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    plain_json(&text)
}
