//! Tests of what an object does: what is done while its programs are attached, and what must then be
//! seen.
//!
//! A [`Test`] is what a manifest says. It travels to the guest, which does it and returns
//! [`TestEvidence`]: the test and everything that was seen. The judge compares the two.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::command::Ended;

/// Where the commands of tests start, and where their files are.
pub const DIRECTORY: &str = "/run/ukci-tests";

/// Most bytes of a stream, of a file or of a trace that evidence keeps of one test.
pub const TEXT_LIMIT: usize = 128 * 1024;

/// Most bytes of events of one buffer, and of entries of one map, that evidence keeps of one test.
pub const DATA_LIMIT: usize = 64 * 1024;

/// Most events of one buffer, and most entries of one map, that evidence keeps of one test.
pub const DATA_COUNT: usize = 1024;

/// A test: an action, and what must be seen after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Its name, which no other test of the manifest has.
    pub name: String,
    /// False if its failure is shown and does not fail the cell.
    pub required: bool,
    /// What is done.
    pub action: Action,
    /// How long the action may take, in milliseconds.
    pub timeout_ms: u64,
    /// How long the guest goes on watching after the action, in milliseconds.
    pub wait_ms: u64,
    /// What must be seen.
    pub expected: Expected,
}

/// What a test does while the programs are attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// What the agent does to make each attached program fire.
    Stimuli,
    /// A line for the guest's shell.
    Command {
        /// The line.
        line: String,
        /// The manifest's names of the files that the line uses.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<String>,
    },
    /// `BPF_PROG_TEST_RUN`.
    ProgRun(ProgRun),
}

/// A program that is run by the kernel on given data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgRun {
    /// Its C function.
    pub program: String,
    /// The data that it is run on, such as a packet, as hex digits; none: no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Its context: fields by name, or [`raw`] bytes; none: no context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// How often it is run.
    pub repeat: u32,
}

/// What must be seen after a test's action.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The exit status of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<u8>,
    /// Of the command's standard output.
    #[serde(default, skip_serializing_if = "TextExpected::is_empty")]
    pub stdout: TextExpected,
    /// Of the command's standard error.
    #[serde(default, skip_serializing_if = "TextExpected::is_empty")]
    pub stderr: TextExpected,
    /// Of the lines of `trace_pipe`.
    #[serde(default, skip_serializing_if = "TextExpected::is_empty")]
    pub trace: TextExpected,
    /// Of files in the guest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileExpected>,
    /// Of ring buffers and perf buffers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventsExpected>,
    /// Of maps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<MapExpected>,
    /// How often programs ran.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunsExpected>,
    /// What the program of a `prog_run` returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<u32>,
    /// The data after a `prog_run`, as hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// What a text must say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextExpected {
    /// Text that it must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A regular expression that a part of it must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
}

impl TextExpected {
    /// Whether nothing is expected of the text.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What must be in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileExpected {
    /// Its path in the guest; a relative one begins in the directory of the command.
    pub path: String,
    /// Whether there must be no such file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// What it must say.
    #[serde(default, skip_serializing_if = "TextExpected::is_empty")]
    pub text: TextExpected,
}

/// How many there must be; without a number, at least one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amount {
    /// At least so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

impl Amount {
    /// Whether a number is right.
    pub fn fits(self, number: u64) -> bool {
        let least = self
            .at_least
            .unwrap_or_else(|| u64::from(self.at_most.is_none()));
        number >= least && self.at_most.is_none_or(|most| number <= most)
    }
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.at_least, self.at_most) {
            (None, None) => write!(f, "at least 1"),
            (Some(least), None) => write!(f, "at least {least}"),
            (None, Some(most)) => write!(f, "at most {most}"),
            (Some(least), Some(most)) if least == most => write!(f, "exactly {least}"),
            (Some(least), Some(most)) => write!(f, "{least} to {most}"),
        }
    }
}

/// Which events a buffer must have been given since the test began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsExpected {
    /// The ring buffer or perf event array.
    pub map: String,
    /// The type of an event in the object's BTF; none: that of the map's values, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What an event must be to count: fields by name, a number, a text, or [`raw`] bytes; none:
    /// every event counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
    /// How many must count.
    pub amount: Amount,
}

/// Which entries a map must have after the test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapExpected {
    /// The map. `.bss`, `.data` and `.rodata` are those of the object.
    pub map: String,
    /// What a key must be for its entry to count; none: every key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// What a value must be for its entry to count; none: every value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Whether an entry counts only if its value, which is a number, is larger than before the test.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub grows: bool,
    /// The fields by which a number inside of a value is found that must grow, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field: Vec<String>,
    /// How many must count.
    pub amount: Amount,
}

/// How often a program must have run during the test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunsExpected {
    /// Its C function.
    pub program: String,
    /// How often.
    pub amount: Amount,
}

impl Test {
    /// The manifest's names of the files that its command uses; none if it has no command.
    pub fn command_files(&self) -> Option<&[String]> {
        match &self.action {
            Action::Command { files, .. } => Some(files),
            Action::Stimuli | Action::ProgRun(_) => None,
        }
    }
}

/// The hex digits of a value that is written as raw bytes, `{ bytes = "0a00" }`.
pub fn raw(value: &Value) -> Option<&str> {
    let table = value.as_object().filter(|table| table.len() == 1)?;
    let digits = table.get("bytes")?.as_str()?;
    is_hex(digits).then_some(digits)
}

/// Whether a text is whole bytes in hex digits.
pub fn is_hex(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The bytes that hex digits stand for; none if they are not whole bytes.
pub fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    if !is_hex(hex) {
        return None;
    }
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok())
        .collect()
}

/// Bytes as hex digits.
pub fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        use std::fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// What a guest saw of one test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestEvidence {
    /// The test.
    pub test: Test,
    /// Why its action could not be done, or not be watched; nothing of what follows says anything
    /// then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_run: Option<String>,
    /// How the command ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// What the command wrote to its standard output.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub stdout: Text,
    /// What the command wrote to its standard error.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub stderr: Text,
    /// The lines of `trace_pipe`, if the test expects any.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub trace: Text,
    /// What the files say that the test names; none of a file that does not exist.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, Option<Text>>,
    /// What came out of buffers, in the order of the test's expectations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventsSeen>,
    /// What was in maps, in the order of the test's expectations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<MapSeen>,
    /// How often each loaded program ran during the test, where it is counted.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub runs: BTreeMap<String, u64>,
    /// What the program of a `prog_run` returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<u32>,
    /// The data after a `prog_run`, as hex digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Wall time in microseconds, in the guest.
    #[serde(default)]
    pub micros: u64,
}

impl TestEvidence {
    /// Of a test of which nothing was seen yet.
    pub fn of(test: Test) -> Self {
        Self {
            test,
            not_run: None,
            ended: None,
            stdout: Text::default(),
            stderr: Text::default(),
            trace: Text::default(),
            files: BTreeMap::new(),
            events: Vec::new(),
            maps: Vec::new(),
            runs: BTreeMap::new(),
            returned: None,
            output: None,
            micros: 0,
        }
    }
}

/// A text that was seen, from its beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// The text.
    pub text: String,
    /// How many bytes followed that were not kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cut_bytes: u64,
}

impl Text {
    /// Whether there was nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Events that came out of a buffer during a test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsSeen {
    /// The map.
    pub map: String,
    /// How many there were.
    pub count: u64,
    /// How many the kernel dropped because the buffer was full, as far as it says so.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// The first of them.
    pub events: Vec<Datum>,
}

/// What a map contained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapSeen {
    /// The map.
    pub map: String,
    /// Its entries before the action, if a number in them must grow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Entry>,
    /// Its entries after the action.
    pub after: Vec<Entry>,
    /// Whether there are more entries than these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// An entry of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The key.
    pub key: Datum,
    /// The value; one for each CPU of a per-CPU map.
    pub values: Vec<Datum>,
}

/// Bytes, and what they mean by their type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Datum {
    /// The bytes as hex digits.
    pub hex: String,
    /// Their value with the names of the type's fields; absent if the type is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::{Amount, bytes_of, hex_of, raw};

    #[test]
    fn without_a_number_one_is_enough() {
        let amount = |at_least, at_most| Amount { at_least, at_most };
        assert!(amount(None, None).fits(1) && !amount(None, None).fits(0));
        assert!(amount(Some(2), None).fits(3) && !amount(Some(2), None).fits(1));
        assert!(amount(None, Some(2)).fits(0) && !amount(None, Some(2)).fits(3));
        assert!(amount(Some(0), Some(0)).fits(0) && !amount(Some(0), Some(0)).fits(1));
        assert_eq!(amount(Some(2), Some(2)).to_string(), "exactly 2");
        assert_eq!(amount(Some(1), Some(2)).to_string(), "1 to 2");
    }

    #[test]
    fn bytes_are_hex_digits() {
        assert_eq!(bytes_of("0aFF"), Some(vec![10, 255]));
        assert_eq!(bytes_of("0"), None);
        assert_eq!(bytes_of("é0"), None);
        assert_eq!(hex_of(&[10, 255]), "0aff");
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(raw(&value(r#"{"bytes":"0a"}"#)), Some("0a"));
        assert_eq!(raw(&value(r#"{"bytes":7}"#)), None);
        assert_eq!(raw(&value(r#"{"bytes":"0a","packets":1}"#)), None);
    }
}
