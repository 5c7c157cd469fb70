//! What this kernel has, of the things that a refused object asks for.
//!
//! Only asked after a refusal: a load that works needs no probe.

use std::collections::BTreeSet;

use ukci_schema::evidence::{Feature, FeatureKind};
use ukci_schema::nearest::nearest;

use crate::bpf;
use crate::kernel::{self, Btf};

/// Helper ids and names of the libbpf that is linked.
const HELPERS: &[(u32, &str)] = include!(concat!(env!("OUT_DIR"), "/helpers.rs"));

/// The name of a helper, `helper#N` where nobody knows one.
pub fn helper_name(id: u32) -> String {
    HELPERS
        .iter()
        .find(|(number, _)| *number == id)
        .map_or_else(|| format!("helper#{id}"), |(_, name)| (*name).to_owned())
}

/// A program that was refused, and what it asks for.
#[derive(Debug)]
pub struct Wanting<'a> {
    /// `enum bpf_prog_type`.
    pub kind: u32,
    /// The ELF section, which names the target.
    pub section: &'a str,
    /// Helper ids.
    pub helpers: &'a BTreeSet<u32>,
    /// Kernel functions.
    pub kfuncs: &'a BTreeSet<String>,
}

/// Asks the kernel about everything that these programs and map types need.
pub fn ask(programs: &[Wanting<'_>], map_types: &BTreeSet<u32>) -> Vec<Feature> {
    let btf = Btf::vmlinux();
    let mut features = Vec::new();
    let known = btf.as_ref().and_then(|btf| btf.enumerators("bpf_func_id"));
    let ids: BTreeSet<u32> = programs.iter().flat_map(|p| p.helpers).copied().collect();
    for id in ids {
        features.push(Feature {
            kind: FeatureKind::Helper,
            name: helper_name(id),
            id: Some(id),
            program_type: None,
            present: known
                .as_ref()
                .map(|known| known.get(&id).is_some_and(|name| !name.starts_with("__"))),
            source: "vmlinux-btf".into(),
            detail: None,
        });
        let kinds: BTreeSet<u32> = programs
            .iter()
            .filter(|p| p.helpers.contains(&id))
            .map(|p| p.kind)
            .collect();
        for kind in kinds {
            features.push(Feature {
                kind: FeatureKind::Helper,
                name: helper_name(id),
                id: Some(id),
                program_type: Some(bpf::program_type_name(kind)),
                present: bpf::probe_helper(kind, id),
                source: "libbpf-probe".into(),
                detail: None,
            });
        }
    }
    for kind in map_types {
        features.push(Feature {
            kind: FeatureKind::MapType,
            name: bpf::map_type_name(*kind),
            id: Some(*kind),
            program_type: None,
            present: map_type_present(*kind, btf.as_ref()),
            source: "libbpf-probe".into(),
            detail: None,
        });
    }
    let kinds: BTreeSet<u32> = programs.iter().map(|p| p.kind).collect();
    for kind in kinds {
        features.push(Feature {
            kind: FeatureKind::ProgramType,
            name: bpf::program_type_name(kind),
            id: Some(kind),
            program_type: None,
            present: bpf::probe_program_type(kind),
            source: "libbpf-probe".into(),
            detail: None,
        });
    }
    let kfuncs: BTreeSet<&String> = programs.iter().flat_map(|p| p.kfuncs).collect();
    features.extend(kfuncs.into_iter().map(|name| kfunc(name, btf.as_ref())));
    let mut symbols = None;
    for program in programs {
        if let Some(target) = Target::of(program.section) {
            if !features
                .iter()
                .any(|f| f.kind == FeatureKind::Target && f.name == target.name)
            {
                features.push(target.ask(btf.as_ref(), &mut symbols));
            }
        }
    }
    features
}

/// libbpf's probe, and where it cannot tell, whether the kernel's own enum has the number.
fn map_type_present(kind: u32, btf: Option<&Btf>) -> Option<bool> {
    bpf::probe_map_type(kind).or_else(|| {
        let known = btf?.enumerators("bpf_map_type")?;
        Some(known.get(&kind).is_some_and(|name| !name.starts_with("__")))
    })
}

fn kfunc(name: &str, btf: Option<&Btf>) -> Feature {
    let (present, source) = match btf {
        Some(btf) if btf.has_function(name) => (Some(true), "vmlinux-btf".to_owned()),
        Some(btf) => match kernel::module_with_function(btf, name) {
            Some(module) => (Some(true), format!("module-btf:{module}")),
            None => (Some(false), "vmlinux-btf".to_owned()),
        },
        None => (None, "vmlinux-btf".to_owned()),
    };
    Feature {
        kind: FeatureKind::Kfunc,
        name: name.to_owned(),
        id: None,
        program_type: None,
        present,
        source,
        detail: None,
    }
}

/// What a section name asks to attach to.
struct Target {
    name: String,
    kind: TargetKind,
}

#[derive(Clone, Copy, PartialEq)]
enum TargetKind {
    /// A function to probe: any text symbol.
    Symbol,
    /// A function to trace through BTF.
    BtfFunction,
    /// `category/name` in tracefs.
    Tracepoint,
    /// A raw tracepoint: `btf_trace_NAME`.
    RawTracepoint,
    /// An LSM hook: `bpf_lsm_NAME`.
    LsmHook,
}

impl Target {
    /// The target that a section names, if it names one that can be looked up.
    fn of(section: &str) -> Option<Self> {
        let (kind, name) = section.trim_start_matches('?').split_once('/')?;
        let kind = match kind {
            "kprobe" | "kretprobe" => TargetKind::Symbol,
            "fentry" | "fexit" | "fmod_ret" | "fentry.s" | "fexit.s" | "fmod_ret.s" => {
                TargetKind::BtfFunction
            }
            "tracepoint" | "tp" => TargetKind::Tracepoint,
            "raw_tp" | "raw_tracepoint" | "tp_btf" | "raw_tp.w" | "raw_tracepoint.w" => {
                TargetKind::RawTracepoint
            }
            "lsm" | "lsm.s" | "lsm_cgroup" => TargetKind::LsmHook,
            _ => return None,
        };
        // kprobe/name+offset
        let name = name.split('+').next().unwrap_or(name);
        Some(Self {
            name: name.to_owned(),
            kind,
        })
    }

    fn ask(&self, btf: Option<&Btf>, symbols: &mut Option<Vec<String>>) -> Feature {
        let (present, source) = match self.kind {
            TargetKind::Symbol => {
                let symbols = symbols.get_or_insert_with(kernel::text_symbols);
                let any = !symbols.is_empty();
                (any.then(|| symbols.contains(&self.name)), "kallsyms")
            }
            TargetKind::BtfFunction => {
                let found = btf.map(|btf| {
                    btf.has_function(&self.name)
                        || kernel::module_with_function(btf, &self.name).is_some()
                });
                (found, "vmlinux-btf")
            }
            TargetKind::Tracepoint => (Some(kernel::has_tracepoint(&self.name)), "tracefs"),
            TargetKind::RawTracepoint => (
                btf.map(|btf| btf.has_typedef(&format!("btf_trace_{}", self.name))),
                "vmlinux-btf",
            ),
            TargetKind::LsmHook => (
                btf.map(|btf| btf.has_function(&format!("bpf_lsm_{}", self.name))),
                "vmlinux-btf",
            ),
        };
        let detail = (present == Some(false))
            .then(|| self.near(symbols))
            .flatten();
        Feature {
            kind: FeatureKind::Target,
            name: self.name.clone(),
            id: None,
            program_type: None,
            present,
            source: source.into(),
            detail,
        }
    }

    /// `near: a, b, c`.
    fn near(&self, symbols: &mut Option<Vec<String>>) -> Option<String> {
        let names: Vec<String> = match self.kind {
            TargetKind::Tracepoint => kernel::tracepoints(),
            TargetKind::RawTracepoint => kernel::tracepoints()
                .into_iter()
                .filter_map(|event| event.split_once('/').map(|(_, name)| name.to_owned()))
                .collect(),
            TargetKind::LsmHook => symbols
                .get_or_insert_with(kernel::text_symbols)
                .iter()
                .filter_map(|name| name.strip_prefix("bpf_lsm_").map(str::to_owned))
                .collect(),
            TargetKind::Symbol | TargetKind::BtfFunction => {
                symbols.get_or_insert_with(kernel::text_symbols).clone()
            }
        };
        let near = nearest(&self.name, names.iter().map(String::as_str));
        (!near.is_empty()).then(|| format!("near: {}", near.join(", ")))
    }
}

/// The target that a section names.
pub fn target_of(section: &str) -> Option<String> {
    Target::of(section).map(|target| target.name)
}

#[cfg(test)]
mod tests {
    use super::{helper_name, target_of};

    #[test]
    fn helpers_have_their_names() {
        assert_eq!(helper_name(1), "bpf_map_lookup_elem");
        assert_eq!(helper_name(181), "bpf_loop");
        assert_eq!(helper_name(99_999), "helper#99999");
    }

    #[test]
    fn sections_name_targets() {
        assert_eq!(
            target_of("kprobe/do_unlinkat+0x8").as_deref(),
            Some("do_unlinkat")
        );
        assert_eq!(
            target_of("tp/sched/sched_switch").as_deref(),
            Some("sched/sched_switch")
        );
        assert_eq!(target_of("?lsm.s/file_open").as_deref(), Some("file_open"));
        assert_eq!(target_of("xdp"), None);
    }
}
