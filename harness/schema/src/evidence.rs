//! What a guest observed, verbatim. Evidence contains only facts. The crate `ukci-judge` interprets
//! them.
//!
//! Evidence comes from a guest and is untrusted: lengths are bounded by the frame limits of
//! [`message`](crate::message), and names never become paths.

mod core_access;
mod feature;
mod guest;
mod kmsg_mark;
mod log;
mod program;
mod struct_ops;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::behavior::TestEvidence;
use crate::command::CommandEvidence;

pub use core_access::{CoreAccess, CoreFault, Declared, NewPlace};
pub use feature::{Feature, FeatureKind};
pub use guest::{GuestFacts, Module, UnmetNeed};
pub use kmsg_mark::KmsgMark;
pub use log::Log;
pub use program::{AttachOutcome, ProgramAttach, ProgramEvidence, ProgramLoad, VerifierStats};
pub use struct_ops::StructOpsEvidence;

/// Version of the evidence's shape.
pub const SCHEMA: &str = "ukci.evidence/1";

/// Everything a guest saw of one artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// [`SCHEMA`].
    pub schema: String,
    /// `load`, `attach` or `behave`: how far the guest was asked to go.
    pub mode: Mode,
    /// The libbpf that did it, e.g. `v1.7`.
    pub libbpf: String,
    /// The running kernel.
    pub guest: GuestFacts,
    /// What the object is, read from its ELF and BTF before anything was loaded.
    pub object: ObjectFacts,
    /// What this kernel was probed to have, of the things that the object asks for.
    pub features: Vec<Feature>,
    /// The CO-RE accesses of refused programs that libbpf could not resolve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub core: Vec<CoreAccess>,
    /// `bpf_object__open`.
    pub open: Step,
    /// `bpf_object__load` of the whole, unedited object (but for `edits`).
    pub load: Step,
    /// One entry a program, in the object's order.
    pub programs: Vec<ProgramEvidence>,
    /// One entry a map, in the object's order.
    pub maps: Vec<MapEvidence>,
    /// One entry for each `struct_ops` map that libbpf created, in the object's order: how its
    /// registration ended, whether or not it has programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub struct_ops: Vec<StructOpsEvidence>,
    /// What was seen of a command. Nothing is opened, loaded or attached then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandEvidence>,
    /// What was seen of each test of the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestEvidence>,
    /// Programs that were attached before and were not while the tests ran, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unattached_in_tests: BTreeMap<String, String>,
    /// Changes made to the object or the guest before the load that decides the verdict.
    pub edits: Vec<String>,
    /// What libbpf printed while it opened, loaded and attached the whole object.
    pub log: Log,
    /// Lines of `/dev/kmsg` at level warning or worse that appeared during the cell, none of the
    /// boot's.
    pub kmsg: Vec<String>,
    /// What the agent was doing when lines of `kmsg` appeared, in the order of the lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kmsg_marks: Vec<KmsgMark>,
}

/// How far an artifact is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Open and load.
    Load,
    /// Open, load and attach.
    #[default]
    Attach,
    /// Open, load, attach, and test what the programs do.
    Behave,
}

impl Mode {
    /// Whether programs are attached.
    pub fn attaches(self) -> bool {
        self != Self::Load
    }
}

/// How one step ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Whether it was tried, and worked.
    pub outcome: StepOutcome,
    /// The positive errno that libbpf returned, where it failed. libbpf has its own from 4000 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Wall time in microseconds, in the guest.
    #[serde(default)]
    pub micros: u64,
}

/// See [`Step::outcome`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum StepOutcome {
    /// An earlier step failed, or it was not requested.
    #[default]
    NotAttempted,
    /// It worked.
    Ok,
    /// It was refused.
    Refused,
}

/// What an object says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectFacts {
    /// The `license` section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Whether it has a `.BTF` section.
    pub has_btf: bool,
    /// Whether it has a `.BTF.ext` section (line information, CO-RE relocations).
    pub has_btf_ext: bool,
    /// `EM_BPF` and little-endian, or what else the ELF header says; why it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub malformed: Option<String>,
    /// Functions of program sections that are `static`, which libbpf does not load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub static_programs: Vec<String>,
    /// Maps of sections `maps` and `maps/…`, which libbpf reads no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub legacy_maps: Vec<String>,
    /// Typed externs: `LINUX_KERNEL_VERSION`, `CONFIG_HZ`, ksyms that are variables.
    #[serde(default)]
    pub externs: Vec<Extern>,
}

/// A symbol that the kernel or its configuration must provide.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extern {
    /// Its name.
    pub name: String,
    /// `kconfig`, `ksym` (a variable) or `kfunc`.
    pub kind: String,
    /// Whether its absence is allowed (`__weak`).
    pub weak: bool,
}

/// One map of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct MapEvidence {
    /// Its name in the object.
    pub name: String,
    /// libbpf's word for its type, e.g. `ringbuf`.
    #[serde(rename = "type")]
    pub map_type: String,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Most entries; for a ring buffer, bytes.
    pub max_entries: u32,
    /// `BPF_F_*`.
    pub flags: u32,
    /// `map_extra`, whose meaning is the type's: hash functions of a bloom filter.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub extra: u64,
    /// False if libbpf does not create the map by itself.
    pub autocreate: bool,
    /// Created with the whole object, or alone if that failed.
    pub created: StepOutcome,
    /// The positive errno.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// For a map of maps, the map that its inner maps must be like, from the object or its manifest.
    /// libbpf creates it first. If the kernel refuses it, it has the outcome and errno of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<Box<MapEvidence>>,
}

impl MapEvidence {
    /// Whether it lacks a size, which is its own loader's to give. For some types, no entries is right.
    pub fn is_unsized(&self) -> bool {
        const SIZELESS: &[&str] = &[
            "sk_storage",
            "inode_storage",
            "task_storage",
            "cgrp_storage",
            "cgroup_storage",
            "percpu_cgroup_storage",
            "struct_ops",
            "perf_event_array",
        ];
        self.max_entries == 0 && !SIZELESS.contains(&self.map_type.as_str())
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
