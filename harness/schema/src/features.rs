//! The eBPF features of a kernel, probed in a guest of its own without any artifact.
//!
//! These are only facts, like [`evidence`](crate::evidence). [`KernelFeatures::date`] adds which
//! mainline release introduced each, from [`history`](crate::history).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::evidence::GuestFacts;
use crate::history;

/// Version of the shape.
pub const SCHEMA: &str = "ukci.features/1";

/// Everything that was probed of one kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelFeatures {
    /// [`SCHEMA`].
    pub schema: String,
    /// The kernel's name in the catalogue, or of the user's own file; the guest leaves it empty.
    #[serde(default)]
    pub kernel: String,
    /// The libbpf whose probes were used, e.g. `v1.7`.
    pub libbpf: String,
    /// The running kernel: release, active LSMs, JIT, configuration, loaded modules.
    pub guest: GuestFacts,
    /// By kind, then by number, then by name.
    pub features: Vec<Offered>,
}

/// What sort of thing an [`Offered`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `enum bpf_prog_type`.
    ProgramType,
    /// `enum bpf_map_type`.
    MapType,
    /// `enum bpf_func_id`.
    Helper,
    /// A kernel function that programs may call.
    Kfunc,
    /// A struct of callbacks that programs may implement.
    StructOps,
    /// `enum bpf_link_type`.
    LinkType,
    /// A command of `bpf(2)` that cannot be seen in any of the others.
    Command,
}

impl Kind {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::ProgramType,
        Self::MapType,
        Self::Helper,
        Self::Kfunc,
        Self::StructOps,
        Self::LinkType,
        Self::Command,
    ];

    /// The heading above them.
    pub fn heading(self) -> &'static str {
        match self {
            Self::ProgramType => "Program types",
            Self::MapType => "Map types",
            Self::Helper => "Helpers",
            Self::Kfunc => "Kfuncs",
            Self::StructOps => "Struct ops",
            Self::LinkType => "Link types",
            Self::Command => "Commands",
        }
    }

    /// The kind's word in the table of [`history`](crate::history).
    fn in_history(self) -> &'static str {
        match self {
            Self::ProgramType => "program-type",
            Self::MapType => "map-type",
            Self::Helper => "helper",
            Self::Kfunc => "kfunc",
            Self::StructOps => "struct-ops",
            Self::LinkType => "link-type",
            Self::Command => "command",
        }
    }
}

/// One thing that a kernel has, or has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offered {
    /// What sort of thing.
    pub kind: Kind,
    /// Its name in libbpf's words; helpers and kfuncs with their `bpf_`.
    pub name: String,
    /// Its number in the UAPI, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
    /// Whether the kernel has it; absent if nothing could tell.
    pub present: Option<bool>,
    /// Of helpers and kfuncs: the program types that may call it, as far as they could be tried.
    /// Tracing programs differ, so they stand by their section: `tp_btf`, `fentry`, `fexit`,
    /// `fmod_ret`, `iter`; `lsm.s` is a sleepable LSM program.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub program_types: Vec<String>,
    /// The loaded module that has it; none for the kernel itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// How it is known: `libbpf-probe`, `trial-load`, `btf`, `btf+config`, `bpf-syscall`.
    pub source: String,
    /// The mainline release that brought it, where that is known. Says nothing of this kernel:
    /// vendors backport.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mainline: Option<String>,
}

/// Something that two kernels do not have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What sort of thing.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The mainline release that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mainline: Option<String>,
    /// What each of the two kernels has of it.
    pub sides: [Side; 2],
}

/// One kernel's part of a [`Difference`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// Whether the kernel has it; absent if nothing could tell.
    pub present: Option<bool>,
    /// The program types that may call it here and not in the other kernel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_program_types: Vec<String>,
}

impl KernelFeatures {
    /// Adds what is known of mainline's history, and sorts.
    pub fn date(&mut self) {
        for feature in &mut self.features {
            feature.mainline = history::facts()
                .iter()
                .find(|fact| fact.kind == feature.kind.in_history() && fact.name == feature.name)
                .map(|fact| fact.release.to_owned());
        }
        self.features
            .sort_by(|a, b| (a.kind, a.id, &a.name).cmp(&(b.kind, b.id, &b.name)));
    }

    /// What the kernel booted with: JIT, LSMs, lockdown, configuration; in words, by name.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let guest = &self.guest;
        let unknown = || "unknown".to_owned();
        let known = |value: &Option<String>| value.clone().unwrap_or_else(unknown);
        let mut settings: BTreeMap<String, String> = guest
            .config
            .iter()
            .map(|(name, value)| (format!("CONFIG_{name}"), value.clone()))
            .collect();
        let lsm = guest.lsm.as_ref().map(|lsm| lsm.join(","));
        let btf = guest
            .btf_bytes
            .map_or("none".into(), |n| format!("{n} bytes"));
        settings.insert("btf".into(), btf);
        settings.insert("jit".into(), known(&guest.jit));
        settings.insert("lockdown".into(), known(&guest.lockdown));
        settings.insert("lsm".into(), known(&lsm));
        settings.insert(
            "unprivileged_bpf_disabled".into(),
            known(&guest.unprivileged_bpf_disabled),
        );
        settings
    }

    /// Keeps the features, and of the configuration the options, that `keep` wants by kind and
    /// name.
    pub fn retain(&mut self, keep: impl Fn(Kind, &str) -> bool) {
        self.features.retain(|f| keep(f.kind, &f.name));
    }

    /// What differs between this kernel and `other`.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let [ours, theirs] = [self, other].map(|of| {
            of.features
                .iter()
                .map(|f| ((f.kind, f.id, f.name.as_str()), f))
                .collect::<BTreeMap<_, _>>()
        });
        let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
        keys.into_iter()
            .filter_map(|key| difference(ours.get(key).copied(), theirs.get(key).copied()))
            .collect()
    }
}

fn difference(ours: Option<&Offered>, theirs: Option<&Offered>) -> Option<Difference> {
    let either = ours.or(theirs)?;
    let types = |of: Option<&Offered>| -> BTreeSet<String> {
        of.map(|f| f.program_types.iter().cloned().collect())
            .unwrap_or_default()
    };
    let side = |of: Option<&Offered>, other: Option<&Offered>| Side {
        // What a kernel's list does not name, the kernel does not have.
        present: of.map_or(Some(false), |f| f.present),
        only_program_types: types(of).difference(&types(other)).cloned().collect(),
    };
    let sides = [side(ours, theirs), side(theirs, ours)];
    (sides[0] != sides[1]).then(|| Difference {
        kind: either.kind,
        name: either.name.clone(),
        mainline: either.mainline.clone(),
        sides,
    })
}

#[cfg(test)]
mod tests {
    use super::{KernelFeatures, Kind, Offered};

    fn helper(name: &str, id: u32, types: &[&str]) -> Offered {
        Offered {
            kind: Kind::Helper,
            name: name.into(),
            id: Some(id),
            present: Some(!types.is_empty()),
            program_types: types.iter().map(|&name| name.into()).collect(),
            module: None,
            source: "libbpf-probe".into(),
            mainline: None,
        }
    }

    fn kernel(features: Vec<Offered>) -> KernelFeatures {
        let mut kernel = KernelFeatures {
            features,
            ..KernelFeatures::default()
        };
        kernel.date();
        kernel
    }

    #[test]
    fn only_what_differs_is_told_and_with_the_release_that_brought_it() {
        let old = kernel(vec![
            helper("bpf_loop", 181, &[]),
            helper("bpf_map_lookup_elem", 1, &["xdp"]),
            helper("bpf_get_current_task", 35, &["kprobe"]),
        ]);
        let new = kernel(vec![
            helper("bpf_map_lookup_elem", 1, &["xdp"]),
            helper("bpf_get_current_task", 35, &["kprobe", "xdp"]),
            helper("bpf_loop", 181, &["xdp"]),
        ]);
        assert_eq!(new.features[0].name, "bpf_map_lookup_elem");
        let told = old.differences(&new);
        let names: Vec<_> = told.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["bpf_get_current_task", "bpf_loop"]);
        assert_eq!(told[0].sides[1].only_program_types, ["xdp"]);
        assert_eq!(told[1].mainline.as_deref(), Some("5.17"));
        assert_eq!(
            told[1].sides.clone().map(|side| side.present),
            [Some(false), Some(true)]
        );
        assert_eq!(old.differences(&old), []);
    }

    #[test]
    fn what_a_list_does_not_name_is_absent() {
        let told = kernel(vec![]).differences(&kernel(vec![helper("bpf_loop", 181, &["xdp"])]));
        assert_eq!(told[0].sides[0].present, Some(false));
    }
}
