//! What a guest observed, verbatim. Evidence contains only facts. The crate `ukci-judge` interprets
//! them.
//!
//! Evidence comes from a guest and is untrusted: lengths are bounded by the frame limits of
//! [`message`](crate::message), and names never become paths.

mod core_access;
mod kmsg_mark;
mod log;
mod struct_ops;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::behavior::TestEvidence;
use crate::command::CommandEvidence;
use crate::diagnosis::SourceLine;

pub use core_access::{CoreAccess, CoreFault, Declared, NewPlace};
pub use kmsg_mark::KmsgMark;
pub use log::Log;
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

/// Facts about the running kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestFacts {
    /// `uname -r`.
    pub release: String,
    /// `uname -v`.
    pub version: String,
    /// `uname -m`.
    pub machine: String,
    /// `/proc/cmdline`.
    pub cmdline: String,
    /// Size of `/sys/kernel/btf/vmlinux` in bytes; absent if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub btf_bytes: Option<u64>,
    /// `/sys/kernel/security/lsm`, split at commas; absent if securityfs is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lsm: Option<Vec<String>>,
    /// The bracketed word of `/sys/kernel/security/lockdown`: `none`, `integrity`, `confidentiality`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lockdown: Option<String>,
    /// `net.core.bpf_jit_enable` as the kernel booted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jit: Option<String>,
    /// `kernel.unprivileged_bpf_disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unprivileged_bpf_disabled: Option<String>,
    /// The kernel's configuration options that matter to BPF, without `CONFIG_`; `n` where unset.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    /// Optional mounts that failed: target and reason.
    #[serde(default)]
    pub mounts_missing: BTreeMap<String, String>,
    /// Modules that the agent loaded, in order, with the reason a load failed.
    #[serde(default)]
    pub modules: Vec<Module>,
    /// `MemTotal` in KiB.
    #[serde(default)]
    pub memory_kib: u64,
    /// Online CPUs.
    #[serde(default)]
    pub cpus: u32,
    /// The capabilities that loading and attaching may ask for and the agent lacks, as
    /// `CAP_BPF`. None in ukci's guests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities_missing: Vec<String>,
    /// What the agent needs of any kernel and this one lacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmet: Vec<UnmetNeed>,
    /// `/proc/sys/kernel/random/boot_id`, which no two guests share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_id: Option<String>,
    /// The guest's wall clock when the cell began, in seconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<u64>,
}

/// Something that the agent or libbpf needs of any kernel, and that this one lacks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnmetNeed {
    /// The call or file system: `memfd_create(2)`, `procfs`.
    pub what: String,
    /// The option that brings it, without `CONFIG_`.
    pub option: String,
    /// What the kernel answered.
    pub error: String,
}

/// A kernel module that the agent loaded, or tried to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Its name.
    pub name: String,
    /// Why it could not be loaded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The targets and kfuncs of the object that it was loaded for, because it defines them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted_for: Vec<String>,
    /// Other available modules that define one of those names too, and were not loaded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_in: Vec<String>,
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

/// Something an object asks for, and whether this kernel has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// What kind of thing.
    pub kind: FeatureKind,
    /// Its name without prefix, as bpftool prints it: `bpf_loop`, `bloom_filter`, `kprobe`.
    pub name: String,
    /// Its number in the UAPI, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// For a helper: the program type it was probed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program_type: Option<String>,
    /// The answer; absent if the probe could not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
    /// How it is known: `libbpf-probe`, `vmlinux-btf`, `module-btf:NAME`, `kallsyms`.
    pub source: String,
    /// What else was seen: an errno, the nearest names, the kernel's prototype.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Feature {
    /// How the [`detail`](Self::detail) of a function ends that is there: `8 arguments`.
    pub const ARGUMENTS: &str = " arguments";

    /// How the [`detail`](Self::detail) of a [`FeatureKind::KprobeSite`] ends whose name is that of
    /// more than one symbol: `3 symbols of this name`.
    pub const OF_THIS_NAME: &str = " symbols of this name";

    /// How the [`detail`](Self::detail) of a target begins of which the compiler kept only copies
    /// with a suffix, which follow: `prepare_reply.isra.0, prepare_reply.part.0`.
    pub const CLONES: &str = "clones: ";

    /// The [`detail`](Self::detail) of a target or variable that is a symbol of the kernel or of a
    /// module, where BTF is asked for and has none of the name.
    pub const SYMBOL_WITHOUT_BTF: &str = "the kernel has a symbol of this name, and no BTF of it";

    /// In the [`detail`](Self::detail) of a kfunc that the kernel has, which is its declaration there:
    /// what stands between that and the structs of the declaration that the object gives no body.
    pub const WITHOUT_BODY: &str = "; without a body in the object: ";
}

/// See [`Feature::kind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeatureKind {
    /// A BPF helper. Two entries can stand for one: whether the kernel knows it at all
    /// (`enum bpf_func_id` of its BTF), and whether a program type may call it (a probe).
    Helper,
    /// A kernel function callable from BPF.
    Kfunc,
    /// A map type.
    MapType,
    /// A program type.
    ProgramType,
    /// An attach type, by libbpf's word for it: `enum bpf_attach_type` of the kernel's BTF.
    AttachType,
    /// An attach target: a function or tracepoint.
    Target,
    /// A place in a function that ftrace can patch: `available_filter_functions`. Without it
    /// neither a trampoline nor a kprobe at the function's entry can be attached.
    FtraceSite,
    /// Leave to put a kprobe there: `kprobes/blacklist`.
    KprobeSite,
    /// A variable of the kernel (`__ksym`): whether its BTF has one.
    Variable,
}

/// One program of the object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramEvidence {
    /// The C function.
    pub name: String,
    /// The ELF section, e.g. `kprobe/do_unlinkat`.
    pub section: String,
    /// libbpf's word for its type, e.g. `kprobe`.
    #[serde(rename = "type")]
    pub program_type: String,
    /// libbpf's word for its expected attach type, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_type: Option<String>,
    /// The function, tracepoint or hook that the section names, or the manifest in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Where the manifest sends it, as a section would say it: `kprobe/do_unlinkat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attach_to: Option<String>,
    /// False where the section or the manifest switches it off (`?` prefix, `autoload`).
    pub autoload: bool,
    /// Instructions in its own function, before any subprogram is added.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub insns: u64,
    /// Names of the helpers it calls, its subprograms' included, as the object has them.
    #[serde(default)]
    pub helpers: Vec<String>,
    /// Names of the kfuncs it calls.
    #[serde(default)]
    pub kfuncs: Vec<String>,
    /// Names of the maps it refers to.
    #[serde(default)]
    pub maps: Vec<String>,
    /// How its load ended.
    pub load: ProgramLoad,
    /// How its attachment ended.
    pub attach: ProgramAttach,
}

impl ProgramLoad {
    /// How the reason begins of a program that was not tried alone because the time for that was over.
    /// A host that is less busy may have got to it.
    pub const TIME_WAS_OVER: &str = "not tried alone: the time limit";

    /// The reason of a load that a process of a command was refused, and that the kernel accepted
    /// from the agent, which has all rights and no limits.
    pub const ACCEPTED_FROM_AGENT: &str =
        "the kernel accepted the same load from the agent, which has all rights and no limits";
}

/// How a program's load ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramLoad {
    /// In the whole object if that loaded, else alone in a copy of the object.
    pub outcome: StepOutcome,
    /// True where `outcome` is of the program alone. It never counts towards a pass.
    #[serde(default)]
    pub isolated: bool,
    /// The positive errno.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Why it was not attempted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the verifier counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<VerifierStats>,
    /// The source line of the last instruction the verifier looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<SourceLine>,
    /// The verifier's log: statistics of a success, the trace of a refusal.
    #[serde(default, skip_serializing_if = "Log::is_empty")]
    pub log: Log,
    /// What libbpf printed while it loaded the program alone.
    #[serde(default, skip_serializing_if = "Log::is_empty")]
    pub libbpf: Log,
}

/// The verifier's figures for one program. Figures that the kernel does not report are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct VerifierStats {
    /// Instructions processed.
    pub insns: u64,
    /// The limit for the program: 1,000,000 with privileges since 5.2.
    pub limit: u64,
    /// Most states kept for one instruction.
    pub max_states_per_insn: u64,
    /// States in all.
    pub total_states: u64,
    /// Most states at one time.
    pub peak_states: u64,
    /// Bytes of stack on the deepest path.
    pub stack_depth: u64,
    /// Verification time in microseconds, in the guest.
    pub micros: u64,
    /// Bytes of BPF instructions after the verifier's rewrites.
    pub xlated_bytes: u64,
    /// Bytes of machine code, or 0 if the JIT is off.
    pub jited_bytes: u64,
}

impl ProgramAttach {
    /// The reason of a program that was attached in a copy of an object that was refused as a whole.
    pub const ATTACHES_ALONE: &str = "it attaches alone; the object as a whole was refused";
    /// The reason of a program that was not attached alone because the time for that was over. A host
    /// that is less busy may have got to it.
    pub const TIME_WAS_OVER: &str = "there was no time left to try it";
}

/// How a program's attachment ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramAttach {
    /// Attached, refused, or not attempted.
    pub outcome: AttachOutcome,
    /// True where it was tried in a copy of an object that was refused as a whole. It never counts
    /// towards a pass.
    #[serde(default, skip_serializing_if = "is_false")]
    pub isolated: bool,
    /// What was attached to, and how: `kprobe do_unlinkat`, `xdp generic on lo`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The positive errno of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// Why it was not attempted, or what else there is to say of the outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often the kernel ran it while it was attached (`run_cnt`), where it was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<u64>,
    /// What was done to make it fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stimulus: Option<String>,
    /// What libbpf printed.
    #[serde(default, skip_serializing_if = "Log::is_empty")]
    pub libbpf: Log,
}

/// See [`ProgramAttach::outcome`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum AttachOutcome {
    /// Never a pass.
    // Reports and evidence of the first protocols spell it with an underscore.
    #[default]
    #[serde(alias = "not_attempted")]
    NotAttempted,
    /// The program was attached, and has been detached.
    Attached,
    /// The kernel or libbpf refused it.
    Refused,
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

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(flag: &bool) -> bool {
    !*flag
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
    use super::{AttachOutcome, ProgramAttach};

    #[test]
    fn the_old_spelling_of_an_outcome_is_read_and_the_new_one_written() {
        let old: ProgramAttach = serde_json::from_str(r#"{"outcome":"not_attempted"}"#).unwrap();
        assert_eq!(old.outcome, AttachOutcome::NotAttempted);
        let text = serde_json::to_string(&old).unwrap();
        assert_eq!(text, r#"{"outcome":"not-attempted"}"#);
    }
}
