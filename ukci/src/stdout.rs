//! Prints data for programs and pipes.

use ukci_harness::render::plain_json;

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::output;
use crate::text::Text;

/// Writes to stdout, as the end of a command.
pub(crate) fn print(text: impl Into<Text>) -> Result<Exit, Failure> {
    ended(output::data(&text.into()))
}

/// Writes text for people to stdout, as the end of a command.
pub(crate) fn show(text: impl Into<Text>) -> Result<Exit, Failure> {
    ended(output::data_for_people(&text.into()))
}

fn ended(written: std::io::Result<()>) -> Result<Exit, Failure> {
    written.map_err(|error| Failure::failed_to("write to stdout", &error))?;
    Ok(Exit::Met)
}

/// A value as JSON for people. What is written here has string keys and finite numbers.
pub(crate) fn pretty(value: &impl serde::Serialize) -> Text {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    plain_json(&text).into()
}
