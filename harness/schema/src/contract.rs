//! What a manifest says for one kernel: to the guest, to the host that boots it, and to the judge.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::behavior::Test;
use crate::command::CommandFile;
pub use crate::constant::{Constant, Misfit, Shape};
pub use crate::values::{Entries, Helper};
use crate::verdict::Expectation;
pub use crate::words::{AttachKind, AttachType, InnerMapType, MapType, ProgramType, TargetShape};

/// What the guest does between `bpf_object__open` and `bpf_object__load`, and where it attaches.
/// It does nothing to an object that is not named here, and each thing that it does is an edit in
/// the evidence.
///
/// The order is bpfcompat's: variants are picked first, then maps are set, the rest is sized if
/// asked for, and types are set. All of it but the variants holds for isolated loads too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Files that the host sends after the artifact, each a message of plain bytes, in this order:
    /// the manifest's names for them, which say what an index means and never become paths.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// Which of `files` is the BTF to relocate against (`btf_custom_path` of libbpf's options).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom_btf: Option<usize>,
    /// Lines of `CONFIG_X=value` for libbpf's `kconfig` option; they win over the kernel's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kconfig: String,
    /// Values of variables in the object's read-only data.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rodata: BTreeMap<String, Constant>,
    /// Programs to switch on or off before anything else is decided, by name or pattern. The
    /// [closest](crate::glob::closest) decides.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub autoload: BTreeMap<String, bool>,
    /// Groups of which the first fitting program is on and the others are off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<VariantTerms>,
    /// Programs that stay on in a variant's trial load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<String>,
    /// Maps to shape.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub maps: Vec<MapTerms>,
    /// Whether maps of hash, array, program array, stack trace and LPM trie types that still have
    /// no entries get 4096.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_size: bool,
    /// Types to set, by name or section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub program_types: Vec<ProgramTypeTerms>,
    /// Where programs go, by name, in place of what their sections say.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub targets: BTreeMap<String, Target>,
    /// Modules that must be there before the load.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// What is tested while the programs are attached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<Test>,
    /// What the commands of tests find in the guest: the shell, their files, and the libraries of
    /// those. Their bytes are those of `files` that are named by their digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placed: Vec<CommandFile>,
}

impl Contract {
    /// Whether it leaves an object as it is.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A group of variants, best first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantTerms {
    /// Its name.
    pub group: String,
    /// Its programs and their conditions, all of which must hold.
    pub programs: Vec<VariantProgram>,
}

/// One program of a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantProgram {
    /// Its C function.
    pub name: String,
    /// A helper that the kernel must have for raw tracepoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub helper: Option<Helper>,
    /// Whether it must load alone, with the companions on and the maps shaped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub trial_load: bool,
}

/// How a map is shaped. Where several cover it, each key is that of the
/// [closest](crate::glob::closest).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapTerms {
    /// Its name, or a pattern.
    pub name: String,
    /// Its type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// Whether it is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autocreate: Option<bool>,
    /// Whether the loader pins it, which nothing does here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Its entries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<Entries>,
    /// The prototype of its inner maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inner: Option<InnerMapTerms>,
    /// Of a program array: what its loader puts into slots.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<Slot>,
}

/// A slot of a program array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slot {
    /// Its number.
    pub index: u32,
    /// The program in it, by its C function.
    pub program: String,
}

/// What `bpf_map_create` makes for `bpf_map__set_inner_map_fd`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum InnerMapTerms {
    /// A ring buffer.
    Ringbuf {
        /// Its size.
        bytes: u32,
    },
    /// Another map.
    Map {
        /// Its type.
        map_type: InnerMapType,
        /// Bytes of a key.
        key_size: u32,
        /// Bytes of a value.
        value_size: u32,
        /// Most entries.
        max_entries: u32,
    },
}

/// A type to set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramTypeTerms {
    /// A program's name, or a section; a name wins over a section.
    pub program: String,
    /// The type.
    pub program_type: ProgramType,
    /// The expected attach type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_type: Option<AttachType>,
}

/// Where a program is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// In which way.
    pub kind: AttachKind,
    /// To what.
    pub site: Site,
}

impl Target {
    /// To what, as a section says it after the `/`: `do_unlinkat+0x4`.
    pub fn place(&self) -> String {
        let plus = |offset: u64| match offset {
            0 => String::new(),
            offset => format!("+{offset:#x}"),
        };
        match &self.site {
            Site::Function { symbol, offset } => format!("{symbol}{}", plus(*offset)),
            Site::Tracepoint { category, name } => format!("{category}/{name}"),
            Site::RawTracepoint { name } => name.clone(),
            Site::User { symbol, offset, .. } => match symbol {
                Some(symbol) => format!("{symbol}{}", plus(*offset)),
                None => format!("{offset:#x}"),
            },
            Site::Usdt { provider, name, .. } => format!("{provider}:{name}"),
            Site::Program { function, .. } => function.clone(),
        }
    }

    /// The same as a whole section: `kprobe/do_unlinkat`. `files` are [`Contract::files`].
    pub fn section(&self, files: &[String]) -> String {
        // libbpf writes these with a dot, and this one short.
        let kind = match self.kind.name() {
            "raw_tracepoint" => "raw_tp".to_owned(),
            kind => kind.replace("_multi", ".multi"),
        };
        let place = self.place();
        match &self.site {
            Site::User { file, .. } | Site::Usdt { file, .. } => {
                let file = file.and_then(|n| files.get(n));
                format!("{kind}/{}:{place}", file.map_or("agent", |name| name))
            }
            _ => format!("{kind}/{place}"),
        }
    }
}

/// What a program is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Site {
    /// A kernel function, a pattern of them, a system call's name, an LSM hook.
    Function {
        /// Its name.
        symbol: String,
        /// Bytes into it.
        #[serde(default)]
        offset: u64,
    },
    /// A tracepoint.
    Tracepoint {
        /// Its subsystem.
        category: String,
        /// Its name.
        name: String,
    },
    /// A tracepoint without its format.
    RawTracepoint {
        /// Its name.
        name: String,
    },
    /// A place in a program file.
    User {
        /// Which of [`Contract::files`]; none for the agent's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<usize>,
        /// A function of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        symbol: Option<String>,
        /// Bytes into the function, or into the file where there is none.
        #[serde(default)]
        offset: u64,
    },
    /// A static probe in a program file.
    Usdt {
        /// Which of [`Contract::files`]; none for the agent's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<usize>,
        /// Its provider.
        provider: String,
        /// Its name.
        name: String,
    },
    /// A function of a BPF program.
    Program {
        /// Which of [`Contract::files`] is the object that has it.
        file: usize,
        /// The program.
        program: String,
        /// The function that is replaced.
        function: String,
    },
}

/// What the host does before it boots a kernel for this object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// Modules that the initramfs segment must have, with what they depend on.
    pub modules: Vec<String>,
    /// Arguments added to the kernel's command line.
    pub kernel_arguments: Vec<String>,
}

/// What the judge expects of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Of the object as a whole; absent if the manifest says nothing, which is a pass.
    pub object: Option<Expectation>,
    /// Of single programs, whatever becomes of the rest.
    pub programs: BTreeMap<String, Expectation>,
    /// Programs whose attachment may be refused, by name or pattern.
    pub attach_optional: BTreeSet<String>,
}
