//! What became of one functional test of a cell.

use serde::{Deserialize, Serialize};

/// One functional test of a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct TestReport {
    /// Its name in the manifest.
    pub name: String,
    /// Whether its failure fails the cell.
    pub required: bool,
    /// How it ended.
    pub outcome: TestOutcome,
    /// Why it could not be run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was expected, in the order of the manifest's keys, and what was seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<CheckReport>,
    /// Wall time in seconds, in the guest.
    pub seconds: f64,
}

/// How a functional test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum TestOutcome {
    /// Everything was seen that was expected.
    Pass,
    /// Something else was seen.
    Fail,
    /// It could not be run, or its result could not be told. This is never a pass.
    NotRun,
}

/// One thing that a functional test expects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct CheckReport {
    /// What it is about, such as `events of ring buffer`.
    pub what: String,
    /// What must be seen.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// Whether that is as expected.
    pub met: bool,
}
