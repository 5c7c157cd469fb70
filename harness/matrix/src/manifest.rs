//! The manifest: what an object's own loader does that a generic loader cannot know, and what is
//! expected of each kernel.
//!
//! [`Manifest::parse`] reads a [`Manifest`] from TOML. [`import`] reads a manifest of bpfcompat,
//! which is YAML with the same keys. [`Manifest::check_object`] checks what needs the object, and
//! [`Manifest::check_kernels`] checks what needs the catalogue. For one kernel, a manifest gives
//! three things: the [`Contract`] for the guest, [`Boot`] for the host, and [`Expected`] for the
//! judge. `docs/manifest.md` explains it to users.

mod attach;
mod check;
mod derive;
mod error;
mod expected_values;
mod functional_test;
mod import;
mod kernel;
mod object;
mod packet;
mod record;
mod section;
mod shape;
mod suggest;
mod test_rules;
mod validate;
mod values;

pub use error::{ManifestError, Problem};
pub use expected_values::{Grows, Returned};
pub use functional_test::{
    ExpectEvents, ExpectFile, ExpectMap, ExpectRuns, FunctionalTest, ProgRunOf, base_name,
};
pub use import::{Imported, import, is_yaml};
pub use object::{MapShape, ObjectFacts, ObjectNames, ProgramNames};
pub use packet::{Echo, Ethernet, Flag, Ipv4, Ipv6, Packet, Tcp, Udp};
pub use record::{RodataVariable, loaded_of, record};
pub use section::program_type_of;
pub use shape::{ValueShape, ValueTypes};
pub use suggest::{Choice, Suggestion, suggest};
pub use values::{KconfigValue, Timeout};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::authored;
use crate::groups::Groups;
use crate::pattern::Pattern;
use crate::scope::{OneOrMany, Scope};
use ukci_schema::cell::Arch;
use ukci_schema::contract::{
    AttachKind, AttachType, Constant, Entries, Helper, InnerMapType, MapType, ProgramType,
};
use ukci_schema::diagnosis::Code;
use ukci_schema::plan::PlannedCell;
use ukci_schema::verdict::Expectation;
use ukci_schema::verdict::VerdictKind;

/// What a manifest file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is said of single programs. Programs that are not named here are tested all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Program>,
    /// Maps whose shape the loader decides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<Map>,
    /// Programs whose type libbpf cannot tell from their section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub program_types: Vec<ProgramTypeRule>,
    /// Programs of which the loader picks one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub program_variants: Vec<VariantGroup>,
    /// Programs that stand in slots of a program array, and so stay on during a trial load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probe_companions: Vec<String>,
    /// Kernels without which a run is not started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required_profiles: Vec<String>,
    /// What must be seen while the programs are attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub functional_tests: Vec<FunctionalTest>,
    /// Anything, for whoever else reads the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// Whether maps that are still without entries get 4096, as some loaders do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_size: bool,
    /// A BTF file that CO-RE relocates against in place of the kernel's own. Paths are
    /// relative to the manifest's directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub btf_custom_path: Option<String>,
    /// Values of `CONFIG_` externs, in place of the kernel's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kconfig: BTreeMap<String, KconfigValue>,
    /// Values of `const volatile` variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rodata: BTreeMap<String, Constant>,
    /// Kernel modules that are loaded before the object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// Arguments added to the kernel's command line.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_arguments: Vec<String>,
    /// What else holds on some kernels; later rules win.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
    /// What is expected on which kernels; later rules win. Without one a cell must pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Expect>,
    /// What `@name` stands for.
    #[serde(skip)]
    groups: Groups,
}

/// What is said of one program, or of all that a pattern covers. Where several cover a program,
/// each key is that of the [closest](ukci_schema::glob::closest).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Its C function, or a pattern in which `*` stands for any text.
    pub name: String,
    /// The section it must be in, so that a manifest that lags behind its object is noticed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    /// The type it must have: a program type, or a kind of attachment of that type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub program_type: Option<String>,
    /// Whether it is loaded, where its loader decides otherwise than its section.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoload: Option<bool>,
    /// Where it is attached, and whether it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<Attach>,
}

/// How a program is attached. Which of the keys say where is [`AttachKind::shape`]'s to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// In which way. It must fit the program's type.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "kind"
    )]
    pub kind: Option<AttachKind>,
    /// The subsystem of a tracepoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// A tracepoint, a USDT probe, or the program that is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A function, of the kernel, of `binary` or of `object`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// Bytes after `symbol`, or into `binary` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The file on the host that a uprobe goes into; without it, the agent's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binary: Option<String>,
    /// The provider of a USDT probe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The file on the host that is the object whose program is replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// False where the product runs without this attachment: a refusal is shown and does not
    /// fail the cell. Without it, or true, it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
}

/// bpfcompat takes an empty kind for none.
fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<AttachKind>, D::Error> {
    let word = Option::<String>::deserialize(deserializer)?.filter(|word| !word.is_empty());
    word.map(|word| {
        AttachKind::named(&word)
            .ok_or_else(|| serde::de::Error::unknown_variant(&word, AttachKind::all()))
    })
    .transpose()
}

/// A map whose shape the loader decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Map {
    /// Its name in the object, or a pattern in which `*` stands for any text.
    pub name: String,
    /// Its type.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub map_type: Option<MapType>,
    /// Bytes of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_size: Option<u32>,
    /// Bytes of a value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_size: Option<u32>,
    /// Its flags (`BPF_F_*`), in place of those of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_flags: Option<u32>,
    /// Whether it is created, where its loader decides otherwise than the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autocreate: Option<bool>,
    /// Where the loader pins it. Nothing is pinned in a cell, and the cell says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<String>,
    /// Its number of entries; for a ring buffer, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<Entries>,
    /// For a map of maps: the bytes of the ring buffer that its inner maps look like.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nonzero"
    )]
    pub inner_ringbuf_bytes: Option<u32>,
    /// For a map of maps: what its inner maps look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner_map: Option<InnerMap>,
    /// For a program array: the programs that its loader puts into slots, by the slot's number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub programs: BTreeMap<String, String>,
}

/// bpfcompat takes zero for none.
fn nonzero<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(Option::<u32>::deserialize(deserializer)?.filter(|number| *number != 0))
}

/// What the inner maps of a map of maps look like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InnerMap {
    /// The type.
    #[serde(rename = "type")]
    pub map_type: InnerMapType,
    /// Bytes of a key; an array's are four and need not be said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_size: Option<u32>,
    /// Bytes of a value.
    pub value_size: u32,
    /// Most entries.
    pub max_entries: u32,
}

/// The type of a program that libbpf cannot tell from its section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramTypeRule {
    /// The program's name, or the section of one or more programs.
    pub program: String,
    /// The type to set.
    #[serde(rename = "type")]
    pub program_type: ProgramType,
    /// The expected attach type to set, for the types that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_type: Option<AttachType>,
}

/// Programs of which the loader picks the first that the kernel can take; the others stay off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantGroup {
    /// A name for reports.
    pub group: String,
    /// The programs, best first.
    pub programs: Vec<Variant>,
}

/// One program of a group. One without conditions is the fallback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its C function.
    pub name: String,
    /// A helper that the kernel must have (probed for raw tracepoints, as Falco's loader does).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires_helper: Option<Helper>,
    /// A trial that it must stand.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "trial"
    )]
    pub probe: Option<Trial>,
}

/// bpfcompat takes an empty probe for none.
fn trial<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Trial>, D::Error> {
    match Option::<String>::deserialize(deserializer)?.as_deref() {
        None | Some("") => Ok(None),
        Some("trial_load") => Ok(Some(Trial::TrialLoad)),
        Some(word) => Err(serde::de::Error::unknown_variant(word, &["trial_load"])),
    }
}

/// See [`Variant::probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trial {
    /// The program loads in a copy of the object in which only it and the companions are on.
    TrialLoad,
}

/// What else holds on some kernels. A key replaces the manifest's; a table's entries replace those
/// of the same name; `modules` and `kernel_arguments` are added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// For which artifacts; without it, all that the manifest is given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<OneOrMany<Pattern>>,
    /// On which kernels; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernels: Option<OneOrMany<Pattern>>,
    /// Compiled by which LLVMs; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llvms: Option<OneOrMany<Pattern>>,
    /// On which architectures; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arches: Option<OneOrMany<Arch>>,
    /// What is said of single programs there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<ProgramOverride>,
    /// See [`Manifest::btf_custom_path`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub btf_custom_path: Option<String>,
    /// See [`Manifest::kconfig`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kconfig: BTreeMap<String, KconfigValue>,
    /// See [`Manifest::rodata`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rodata: BTreeMap<String, Constant>,
    /// See [`Manifest::modules`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// See [`Manifest::kernel_arguments`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_arguments: Vec<String>,
}

/// What is said of one program on some kernels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramOverride {
    /// Its C function, or a pattern.
    pub name: String,
    /// See [`Program::autoload`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoload: Option<bool>,
    /// See [`Program::attach`]; it replaces the whole of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach: Option<Attach>,
}

/// What is expected of a cell, or of one program in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// For which artifacts; without it, all that the manifest is given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<OneOrMany<Pattern>>,
    /// On which kernels; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernels: Option<OneOrMany<Pattern>>,
    /// Compiled by which LLVMs; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llvms: Option<OneOrMany<Pattern>>,
    /// On which architectures; without it, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arches: Option<OneOrMany<Arch>>,
    /// The program; without it, the object as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// `pass` or `fail`.
    pub verdict: VerdictKind,
    /// With `fail`: the diagnosis that meets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Why.
    pub reason: String,
}

impl Override {
    /// What it covers.
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            artifacts: self.artifacts.as_deref(),
            kernels: self.kernels.as_deref(),
            llvms: self.llvms.as_deref(),
            arches: self.arches.as_deref(),
        }
    }
}

impl Expect {
    /// What it covers.
    pub fn scope(&self) -> Scope<'_> {
        Scope {
            artifacts: self.artifacts.as_deref(),
            kernels: self.kernels.as_deref(),
            llvms: self.llvms.as_deref(),
            arches: self.arches.as_deref(),
        }
    }
}

impl Manifest {
    /// Reads a manifest. `file_name` is what errors call it; nothing is opened.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, ManifestError> {
        let tree = authored::tree(text, file_name)?;
        let manifest: Self = authored::value(&tree, text, file_name)?;
        validate::validate(&manifest).map_err(|problem| problem.in_tree(&tree, text, file_name))?;
        Ok(manifest)
    }

    /// The manifest with names for several kernels; without them only `@all` is known.
    #[must_use]
    pub fn with_groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// Adds what the manifest says of a cell. What the matrix expects is the stronger.
    #[must_use]
    pub fn planned(&self, mut cell: PlannedCell) -> PlannedCell {
        let expected = self.expected(&cell.cell);
        if cell.expected == Expectation::default() {
            cell.expected = expected.object.unwrap_or_default();
        }
        cell.contract = self.contract(&cell.cell);
        cell.cmdline = self.boot(&cell.cell).kernel_arguments;
        cell.programs = expected.programs;
        cell.attach_optional = expected.attach_optional;
        cell
    }
}
