//! What an object asks for, and whether a kernel has it.

use serde::{Deserialize, Serialize};

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
