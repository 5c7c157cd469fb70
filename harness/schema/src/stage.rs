//! The stages of a cell, and how far it got.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The steps of a cell, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum Stage {
    /// A `.bpf.c` becomes an object.
    Compile,
    /// QEMU starts, and the kernel starts the agent.
    Boot,
    /// The agent connects to the host and says hello.
    Connect,
    /// libbpf parses the object.
    Open,
    /// libbpf creates maps, relocates, and the verifier accepts the programs.
    Load,
    /// The programs are attached to their hooks.
    Attach,
    /// The programs do what they should, or a command runs.
    Behave,
}

impl Stage {
    /// The word reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Compile => "compile",
            Self::Boot => "boot",
            Self::Connect => "connect",
            Self::Open => "open",
            Self::Load => "load",
            Self::Attach => "attach",
            Self::Behave => "behave",
        }
    }
}

/// What one stage of a cell took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct StageTime {
    /// The stage.
    pub stage: Stage,
    /// Wall time from its beginning to the beginning of the next stage, in seconds. The last stage
    /// ends with the agent's last word, or with the fault.
    pub seconds: f64,
    /// CPU time of QEMU and its vsock device in that time, in seconds. Absent if the host does not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_seconds: Option<f64>,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
