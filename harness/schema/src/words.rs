//! The words a manifest may use for program types, attach types, map types and attach kinds.
//!
//! The names of program types and attach types are those of the table in
//! [`history`](crate::history), which has one row for each.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::history;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal, $known:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(&'static str);

        impl $name {
            /// Every word there is.
            pub fn all() -> &'static [&'static str] {
                $known
            }

            /// The word.
            pub const fn name(self) -> &'static str {
                self.0
            }

            /// The word of this name.
            pub fn named(name: &str) -> Option<Self> {
                Self::all().iter().find(|known| **known == name).map(|known| Self(known))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Word;
                impl Visitor<'_> for Word {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }

                    fn visit_str<E: Error>(self, word: &str) -> Result<$name, E> {
                        $name::named(word).ok_or_else(|| E::unknown_variant(word, $name::all()))
                    }
                }
                deserializer.deserialize_str(Word)
            }
        }
    };
}

words!(
    /// A program type, in libbpf 1.7's word for it (`libbpf_bpf_prog_type_str`).
    ProgramType,
    "a program type",
    history::names("program-type")
);

words!(
    /// An expected attach type, in libbpf 1.7's word for it (`libbpf_bpf_attach_type_str`).
    AttachType,
    "an attach type",
    history::names("attach-type")
);

words!(
    /// The type of an inner map that replaces the loader's: those that any kernel makes from
    /// a key size, a value size and a number of entries.
    InnerMapType,
    "a type of inner map",
    &["hash", "array", "lru_hash", "percpu_hash", "percpu_array", "lru_percpu_hash"]
);

impl InnerMapType {
    /// Whether its keys are indices, which the kernel wants four bytes long.
    pub fn is_array(self) -> bool {
        self.0.ends_with("array")
    }
}

words!(
    /// A map type, in libbpf 1.7's word for it (`libbpf_bpf_map_type_str`).
    MapType,
    "a map type",
    history::names("map-type")
);

impl MapType {
    /// Its number in `enum bpf_map_type`. The table has them in order, from 1.
    pub fn number(self) -> Option<u32> {
        let place = Self::all().iter().position(|known| *known == self.0)?;
        u32::try_from(place + 1).ok()
    }

    /// The word for a number in `enum bpf_map_type`.
    pub fn numbered(number: u32) -> Option<Self> {
        let place = usize::try_from(number).ok()?.checked_sub(1)?;
        Self::all().get(place).map(|known| Self(known))
    }
}

words!(
    /// How a program is attached, as a manifest says it.
    AttachKind,
    "a kind of attachment",
    &[
        "tracepoint",
        "raw_tracepoint",
        "tp_btf",
        "kprobe",
        "kretprobe",
        "kprobe_multi",
        "kretprobe_multi",
        "ksyscall",
        "kretsyscall",
        "fentry",
        "fexit",
        "fmod_ret",
        "lsm",
        "uprobe",
        "uretprobe",
        "uprobe_multi",
        "uretprobe_multi",
        "usdt",
        "freplace",
        "xdp",
        "tc",
        "tcx",
        "netkit",
        "cgroup",
        "iter",
        "perf_event",
        "struct_ops",
        "socket_filter",
        "sk_skb",
        "sk_msg",
        "sk_lookup",
        "sk_reuseport",
        "flow_dissector",
        "netfilter",
        "syscall",
    ]
);

/// Which keys of `attach` say where a kind of program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetShape {
    /// `symbol`, and `offset` for a kprobe: a kernel function, a pattern of them, a system call,
    /// an LSM hook.
    Function,
    /// `category` and `name`.
    Tracepoint,
    /// `name`.
    RawTracepoint,
    /// `binary`, and `symbol` or `offset` or both.
    User,
    /// `binary`, `provider` and `name`.
    Usdt,
    /// `object`, `name` of a program in it, and `symbol` where a function of that is meant.
    Program,
    /// None: the guest makes the interface, cgroup or socket that it needs.
    Made,
}

impl AttachKind {
    /// Which keys say where.
    pub fn shape(self) -> TargetShape {
        match self.0 {
            "tracepoint" => TargetShape::Tracepoint,
            "raw_tracepoint" | "tp_btf" => TargetShape::RawTracepoint,
            "kprobe" | "kretprobe" | "kprobe_multi" | "kretprobe_multi" | "ksyscall"
            | "kretsyscall" | "fentry" | "fexit" | "fmod_ret" | "lsm" => TargetShape::Function,
            "uprobe" | "uretprobe" | "uprobe_multi" | "uretprobe_multi" => TargetShape::User,
            "usdt" => TargetShape::Usdt,
            "freplace" => TargetShape::Program,
            _ => TargetShape::Made,
        }
    }

    /// The program types that are attached so.
    pub fn program_types(self) -> &'static [&'static str] {
        match self.0 {
            "tracepoint" => &["tracepoint"],
            "raw_tracepoint" => &["raw_tracepoint", "raw_tracepoint_writable"],
            "tp_btf" | "fentry" | "fexit" | "fmod_ret" | "iter" => &["tracing"],
            "lsm" => &["lsm"],
            "freplace" => &["ext"],
            "xdp" => &["xdp"],
            "tc" => &["sched_cls", "sched_act"],
            "tcx" | "netkit" => &["sched_cls"],
            "cgroup" => &[
                "cgroup_skb",
                "cgroup_sock",
                "cgroup_device",
                "cgroup_sock_addr",
                "cgroup_sysctl",
                "cgroup_sockopt",
                "sock_ops",
                "lsm",
            ],
            "perf_event" => &["perf_event"],
            "struct_ops" => &["struct_ops"],
            "socket_filter" => &["socket_filter"],
            "sk_skb" => &["sk_skb"],
            "sk_msg" => &["sk_msg"],
            "sk_lookup" => &["sk_lookup"],
            "sk_reuseport" => &["sk_reuseport"],
            "flow_dissector" => &["flow_dissector"],
            "netfilter" => &["netfilter"],
            "syscall" => &["syscall"],
            // Every sort of kprobe and uprobe.
            _ => &["kprobe"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AttachKind, ProgramType};

    #[test]
    fn every_kind_attaches_a_program_type_that_there_is() {
        for kind in AttachKind::all() {
            let kind = AttachKind::named(kind).unwrap();
            for program_type in kind.program_types() {
                assert!(
                    ProgramType::named(program_type).is_some(),
                    "{kind}: {program_type}"
                );
            }
            if kind.program_types() == ["kprobe"] {
                assert!(
                    kind.name().contains("probe")
                        || kind.name().ends_with("syscall")
                        || kind.name() == "usdt",
                    "{kind}"
                );
            }
        }
    }
}
