//! Marks which step caused which lines of the kernel's log.

use serde::{Deserialize, Serialize};

use crate::stage::Stage;

/// What the agent was doing when a run of lines of [`Evidence::kmsg`](super::Evidence::kmsg) appeared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsgMark {
    /// Index of the run's first line; the run ends where the next mark's begins.
    pub line: usize,
    /// The stage.
    pub stage: Stage,
    /// What was worked on: a program's or a map's name, or the object's.
    pub doing: String,
}

impl KmsgMark {
    /// What is done while the agent asks the kernel what it has, which is no doing of the object's.
    pub const OWN_QUESTIONS: &str = "what the kernel has";

    /// How what is done begins where it is done to an edited copy of a refused object.
    pub const IN_A_COPY: &str = "in a copy: ";
}
