//! The tests of a manifest: what is done while the programs are attached, and what must be seen.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use ukci_schema::behavior::hex_of;
use ukci_schema::behavior::{
    Action, Amount, EventsExpected, Expected, FileExpected, MapExpected, ProgRun, RunsExpected,
    Test, TextExpected,
};

use super::expected_values::{Grows, Returned};
use super::packet::Packet;
use super::values::Timeout;

/// A test.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionalTest {
    /// A name for reports.
    pub name: String,
    /// What `/bin/sh -c` is given. Without it and without `prog_run`, the guest does what makes the
    /// attached programs fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Files on the host that the command uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// A program that the kernel runs on given data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prog_run: Option<ProgRunOf>,
    /// False where its failure is shown and does not fail the cell.
    #[serde(default = "yes")]
    pub required: bool,
    /// How long the command may take.
    #[serde(default)]
    pub timeout: Timeout,
    /// How long the guest goes on watching after the command has ended: a tenth of a second unless
    /// something is known to come later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Timeout>,
    /// The exit status that the command must end with; without it, 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_exit_code: Option<u8>,
    /// Text that the command's standard output must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_stdout_contains: Option<String>,
    /// A regular expression that the command's standard output must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_stdout_matches: Option<String>,
    /// Text that the command's standard error must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_stderr_contains: Option<String>,
    /// A regular expression that the command's standard error must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_stderr_matches: Option<String>,
    /// Text that the lines of `trace_pipe` must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_trace_contains: Option<String>,
    /// A regular expression that the lines of `trace_pipe` must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_trace_matches: Option<String>,
    /// What files in the guest must say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_files: Vec<ExpectFile>,
    /// Events that must come out of ring buffers and perf buffers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_events: Vec<ExpectEvents>,
    /// Entries that maps must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_maps: Vec<ExpectMap>,
    /// How often programs must run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect_runs: Vec<ExpectRuns>,
    /// What the program of `prog_run` must return.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_return: Option<Returned>,
    /// The data that there must be after `prog_run`, as hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect_output: Option<String>,
}

const fn yes() -> bool {
    true
}

/// A program that is run with `BPF_PROG_TEST_RUN`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgRunOf {
    /// Its C function.
    pub program: String,
    /// The packet that it is run on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packet: Option<Packet>,
    /// The data that it is run on, as hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Fields of its context, such as `mark` of `struct __sk_buff`, or `{ bytes = "…" }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// How often it is run.
    #[serde(default = "once")]
    pub repeat: u32,
}

const fn once() -> u32 {
    1
}

/// What a file must say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectFile {
    /// Its path in the guest; a relative one begins in the directory of the command.
    pub path: String,
    /// Text that it must contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// A regular expression that it must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// Whether there must be no such file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// Events of a buffer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectEvents {
    /// The ring buffer or perf event array.
    pub map: String,
    /// The type of its events, such as `event` of `struct event`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// What an event must be to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
    /// How many must count, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How many must count at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// How many may count at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

/// Entries of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectMap {
    /// The map; `.bss`, `.data` and `.rodata` are the object's variables.
    pub map: String,
    /// What a key must be for its entry to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// What a value must be for its entry to count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// The number that must be larger than before: `true` for the value itself, or the path of a
    /// field in it, such as `rx.packets`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grows: Option<Grows>,
    /// How many must count, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How many must count at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// How many may count at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

/// How often a program runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectRuns {
    /// Its C function.
    pub program: String,
    /// How often, exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// How often at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// How often at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
}

/// What the guest goes on watching for, if nobody says otherwise, in milliseconds.
const WAIT_MS: u64 = 100;

fn millis(time: Timeout) -> u64 {
    u64::try_from(time.duration().as_millis())
        .unwrap_or(u64::MAX)
        .max(1)
}

fn amount(count: Option<u64>, at_least: Option<u64>, at_most: Option<u64>) -> Amount {
    Amount {
        at_least: count.or(at_least),
        at_most: count.or(at_most),
    }
}

impl FunctionalTest {
    /// The test as the guest does it.
    pub(super) fn terms(&self) -> Test {
        let action = match (&self.command, &self.prog_run) {
            (Some(line), _) => Action::Command {
                line: line.clone(),
                files: self.files.clone(),
            },
            (None, Some(run)) => Action::ProgRun(run.terms()),
            (None, None) => Action::Stimuli,
        };
        let is_command = self.command.is_some();
        Test {
            name: self.name.clone(),
            required: self.required,
            action,
            timeout_ms: millis(self.timeout),
            wait_ms: self.wait.map_or(WAIT_MS, millis),
            expected: Expected {
                exit_status: is_command.then(|| self.expect_exit_code.unwrap_or(0)),
                stdout: text(
                    self.expect_stdout_contains.as_ref(),
                    self.expect_stdout_matches.as_ref(),
                ),
                stderr: text(
                    self.expect_stderr_contains.as_ref(),
                    self.expect_stderr_matches.as_ref(),
                ),
                trace: text(
                    self.expect_trace_contains.as_ref(),
                    self.expect_trace_matches.as_ref(),
                ),
                files: self.expect_files.iter().map(ExpectFile::terms).collect(),
                events: self.expect_events.iter().map(ExpectEvents::terms).collect(),
                maps: self.expect_maps.iter().map(ExpectMap::terms).collect(),
                runs: (self.expect_runs.iter())
                    .map(|runs| RunsExpected {
                        program: runs.program.clone(),
                        amount: amount(runs.count, runs.at_least, runs.at_most),
                    })
                    .collect(),
                returned: self.expect_return.map(Returned::number),
                output: self.expect_output.as_deref().map(str::to_ascii_lowercase),
            },
        }
    }
}

/// The last part of a path.
pub fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn text(contains: Option<&String>, matches: Option<&String>) -> TextExpected {
    TextExpected {
        contains: contains.cloned(),
        matches: matches.cloned(),
    }
}

impl ProgRunOf {
    fn terms(&self) -> ProgRun {
        // A packet that cannot be built was refused when the manifest was read.
        let packet = self.packet.as_ref().and_then(|packet| packet.bytes().ok());
        ProgRun {
            program: self.program.clone(),
            data: self.data.clone().or(packet.map(|bytes| hex_of(&bytes))),
            context: self.context.clone(),
            repeat: self.repeat,
        }
    }
}

impl ExpectFile {
    fn terms(&self) -> FileExpected {
        FileExpected {
            path: self.path.clone(),
            absent: self.absent,
            text: text(self.contains.as_ref(), self.matches.as_ref()),
        }
    }
}

impl ExpectEvents {
    fn terms(&self) -> EventsExpected {
        EventsExpected {
            map: self.map.clone(),
            event_type: self.event_type.clone(),
            event: self.event.clone(),
            amount: amount(self.count, self.at_least, self.at_most),
        }
    }
}

impl ExpectMap {
    fn terms(&self) -> MapExpected {
        MapExpected {
            map: self.map.clone(),
            key: self.key.clone(),
            value: self.value.clone(),
            grows: self.grows.as_ref().is_some_and(Grows::is_wanted),
            field: self.grows.as_ref().map_or_else(Vec::new, Grows::path),
            amount: amount(self.count, self.at_least, self.at_most),
        }
    }
}
