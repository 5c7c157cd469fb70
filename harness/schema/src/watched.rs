//! What the processes of a command asked the kernel's BPF subsystem, as the agent saw it.
//!
//! The programs and maps themselves are in [`Evidence::programs`](crate::evidence::Evidence) and
//! [`Evidence::maps`](crate::evidence::Evidence), where those of an object are too.

use serde::{Deserialize, Serialize};

/// What else was seen of the calls of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// Calls that were seen: loads, creations of maps, attachments.
    pub calls: u64,
    /// Programs and maps with which a library only asked what the kernel has. They are not among the
    /// command's programs and maps.
    #[serde(default)]
    pub probes: u64,
    /// Programs, maps and attachments beyond the limits, which were counted and not described.
    #[serde(default)]
    pub left_out: u64,
    /// Why nothing was seen, or not everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<String>,
    /// Every attachment, in the order of the calls.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// The contents of maps at the time when their loader made them read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub frozen: Vec<FrozenMap>,
    /// The last refusal that was not followed by a program, map or attachment that the kernel
    /// accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_refused: Option<LastRefused>,
}

/// One attachment of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The program, where the call names one. `perf_event_open` does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The kind as a section names it: `kprobe`, `tp_btf`, `xdp`.
    pub kind: String,
    /// To what: `do_unlinkat`, `syscalls/sys_enter_execve`, `/lib/libc.so.6:0x1234`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The positive errno, if it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

impl Attachment {
    /// As a section says it: `kprobe/do_unlinkat`.
    pub fn section(&self) -> String {
        match &self.place {
            Some(place) => format!("{}/{place}", self.kind),
            None => self.kind.clone(),
        }
    }
}

/// A map that its loader made read-only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenMap {
    /// Its name, as in the evidence of maps.
    pub name: String,
    /// The bytes of its only value, hex, without the zeros at their end.
    pub value: String,
}

/// A refusal after which nothing was accepted any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LastRefused {
    /// Of a program's load, by its name.
    Program(String),
    /// Of a map's creation, by its name.
    Map(String),
    /// Of the attachment of this program, or without a program of this place in the list.
    Attachment(usize),
}
