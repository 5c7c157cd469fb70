//! Lists the eBPF features of the running kernel for `ukci kernels features`.
//!
//! The output is every helper, kfunc, type and link that libbpf or BTF names, with whether this
//! kernel has it and how that is known. No object is involved. The features that a refused object
//! needs are probed by `feature_probe`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;

use ukci_schema::evidence::GuestFacts;
use ukci_schema::features::{KernelFeatures, Kind, Offered, SCHEMA};
use ukci_schema::history;

use crate::bpf;
use crate::kernel::{self, Btf};
use crate::probe_program::{self, Function, Host};

/// The tag that marks kfuncs in BTF, where the kernel was built by pahole 1.26 (from 6.10 on).
const KFUNC_TAG: &str = "bpf_kfunc";

/// A function of every kernel that is no kfunc.
const NO_KFUNC: &str = "schedule";

/// Probes everything.
pub fn probe(guest: GuestFacts) -> KernelFeatures {
    let btf = Btf::vmlinux();
    let btf = btf.as_ref();
    let mut features = program_types();
    let types: Vec<u32> = features
        .iter()
        .filter(|f| f.present == Some(true))
        .filter_map(|f| f.id)
        .collect();
    features.extend(map_types(btf));
    features.extend(helpers(&types, btf));
    if let Some(btf) = btf {
        features.extend(kfuncs(btf));
        features.extend(struct_ops(btf));
        features.extend(link_types(btf, &guest.config));
    }
    features.push(Offered {
        id: Some(libbpf_sys::BPF_TOKEN_CREATE),
        ..offered(
            Kind::Command,
            "token_create",
            probe_program::has_token(),
            "bpf-syscall",
        )
    });
    KernelFeatures {
        schema: SCHEMA.into(),
        kernel: String::new(),
        libbpf: bpf::libbpf_version(),
        guest,
        features,
    }
}

fn offered(kind: Kind, name: &str, present: Option<bool>, source: &str) -> Offered {
    Offered {
        kind,
        name: name.to_owned(),
        id: None,
        present,
        program_types: Vec::new(),
        module: None,
        source: source.to_owned(),
        mainline: None,
    }
}

fn program_types() -> Vec<Offered> {
    (1..bpf::program_types())
        .map(|kind| Offered {
            id: Some(kind),
            ..offered(
                Kind::ProgramType,
                &bpf::program_type_name(kind),
                bpf::probe_program_type(kind),
                "libbpf-probe",
            )
        })
        .collect()
}

fn map_types(btf: Option<&Btf>) -> Vec<Offered> {
    let known = btf.and_then(|btf| btf.enumerators("bpf_map_type"));
    (1..bpf::map_types())
        .map(|kind| {
            let probed = bpf::probe_map_type(kind);
            let (present, source) = match (&known, probed) {
                (Some(known), None) => (Some(is_real(known.get(&kind))), "btf"),
                _ => (probed, "libbpf-probe"),
            };
            Offered {
                id: Some(kind),
                ..offered(Kind::MapType, &bpf::map_type_name(kind), present, source)
            }
        })
        .collect()
}

/// The last of an enum is its count, `__MAX_…`, or `MAX_BPF_LINK_TYPE` on older kernels.
fn is_real(name: Option<&String>) -> bool {
    name.is_some_and(|name| name.starts_with("BPF_"))
}

/// libbpf's probe takes a program type that the kernel lacks for one in which the helper works, so
/// only types that the kernel has are asked for. Absent is what nobody may call, if everybody gave
/// an answer or the kernel has no such number.
fn helpers(types: &[u32], btf: Option<&Btf>) -> Vec<Offered> {
    let hosts = btf.map(probe_program::targeted).unwrap_or_default();
    let known = btf.and_then(|btf| btf.enumerators("bpf_func_id"));
    let helper = |fact: &&history::Fact| fact.kind == "helper";
    (history::facts().iter().filter(helper))
        .filter_map(|fact| Some((fact.number?, fact.name)))
        .map(|(id, name)| {
            let mut callers: Vec<String> = types
                .iter()
                .filter(|kind| bpf::probe_helper(**kind, id) == Some(true))
                .map(|kind| bpf::program_type_name(*kind))
                .collect();
            let mut untold = hosts.is_empty();
            for host in &hosts {
                match probe_program::may_call_helper(host, id) {
                    Some(true) => callers.push(host.name.to_owned()),
                    Some(false) => {}
                    None => untold = true,
                }
            }
            let unknown = known.as_ref().is_some_and(|known| !is_real(known.get(&id)));
            let present = match (callers.is_empty(), untold && !unknown) {
                (false, _) => Some(true),
                (true, false) => Some(false),
                (true, true) => None,
            };
            Offered {
                id: Some(id),
                program_types: callers,
                ..offered(Kind::Helper, name, present, "libbpf-probe")
            }
        })
        .collect()
}

/// The kfuncs of the kernel and of every loaded module. A function of a kfunc's name need not be
/// one (`tcp_slow_start` on 5.10), so each is called by a program that is loaded for it.
fn kfuncs(btf: &Btf) -> Vec<Offered> {
    let Some(control) = btf.find(NO_KFUNC, libbpf_sys::BTF_KIND_FUNC) else {
        return Vec::new();
    };
    let control = Function {
        id: control,
        module: None,
    };
    let mut hosts = probe_program::of_kfuncs(btf);
    hosts.retain(|host| probe_program::may_call_kfunc(host, control) == Some(false));
    let mut found = kfuncs_of(btf, None, &hosts);
    for name in kernel::modules_with_btf() {
        if let Some(module) = Btf::module(&name, btf) {
            found.extend(kfuncs_of(&module, Some(&name), &hosts));
        }
    }
    found
}

fn kfuncs_of(btf: &Btf, module: Option<&str>, hosts: &[Host]) -> Vec<Offered> {
    let tagged = btf.tagged(KFUNC_TAG);
    let known: BTreeSet<&str> = history::facts()
        .iter()
        .filter(|fact| fact.kind == "kfunc")
        .map(|fact| fact.name)
        .collect();
    let candidates: BTreeMap<String, u32> = btf
        .types()
        .into_iter()
        .filter(|(_, kind, _)| *kind == libbpf_sys::BTF_KIND_FUNC)
        .filter(|(_, _, name)| tagged.contains(name) || known.contains(name.as_str()))
        .map(|(id, _, name)| (name, id))
        .collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    let descriptor: Option<OwnedFd> = module.and_then(probe_program::module_btf);
    let mut found = Vec::new();
    for (name, id) in candidates {
        let function = Function {
            id,
            module: descriptor.as_ref(),
        };
        let callers: Vec<String> = if module.is_some() && descriptor.is_none() {
            Vec::new()
        } else {
            hosts
                .iter()
                .filter(|host| probe_program::may_call_kfunc(host, function) == Some(true))
                .map(|host| host.name.to_owned())
                .collect()
        };
        let is_tagged = tagged.contains(&name);
        if is_tagged || !callers.is_empty() {
            let source = if callers.is_empty() {
                "btf"
            } else {
                "trial-load"
            };
            found.push(Offered {
                program_types: callers,
                module: module.map(str::to_owned),
                ..offered(Kind::Kfunc, &name, Some(true), source)
            });
        }
    }
    found
}

/// For each type that can be registered there is a struct `bpf_struct_ops_<name>` around it.
fn struct_ops(btf: &Btf) -> Vec<Offered> {
    let mut found = struct_ops_of(btf, None);
    for name in kernel::modules_with_btf() {
        if let Some(module) = Btf::module(&name, btf) {
            found.extend(struct_ops_of(&module, Some(&name)));
        }
    }
    found
}

fn struct_ops_of(btf: &Btf, module: Option<&str>) -> Vec<Offered> {
    let around = |(id, kind, name): (u32, u32, String)| {
        let inner = name.strip_prefix("bpf_struct_ops_")?;
        let members = btf.members(id);
        let (_, data) = members.iter().find(|(name, _)| name == "data")?;
        (kind == libbpf_sys::BTF_KIND_STRUCT && btf.name(*data) == inner).then(|| inner.to_owned())
    };
    btf.types()
        .into_iter()
        .filter_map(around)
        .map(|name| Offered {
            module: module.map(str::to_owned),
            ..offered(Kind::StructOps, &name, Some(true), "btf")
        })
        .collect()
}

/// What a type of link needs beside its number in the UAPI; without it creating one is refused.
const LINK_CONFIG: &[(&str, &str)] = &[
    ("cgroup", "CGROUP_BPF"),
    ("kprobe_multi", "FPROBE"),
    ("netfilter", "NETFILTER_BPF_LINK"),
    ("netkit", "NETKIT"),
    ("sockmap", "NET_SOCK_MSG"),
    ("tcx", "NET_CLS_ACT"),
    ("uprobe_multi", "UPROBE_EVENTS"),
];

fn link_types(btf: &Btf, config: &BTreeMap<String, String>) -> Vec<Offered> {
    let known = btf.enumerators("bpf_link_type").unwrap_or_default();
    (1..bpf::link_types())
        .map(|kind| {
            let name = bpf::link_type_name(kind);
            let option = LINK_CONFIG.iter().find(|(link, _)| *link == name);
            let configured = option.and_then(|(_, option)| config.get(*option));
            // Named from 5.19 on for the kernel's own use; this function makes those of programs.
            let made = name != "struct_ops" || btf.has_function("bpf_struct_ops_link_create");
            let named = is_real(known.get(&kind)) && made;
            let present = match (named, option, configured) {
                (false, ..) => Some(false),
                (true, Some(_), None) => None,
                (true, Some(_), Some(value)) => Some(value == "y" || value == "m"),
                (true, None, _) => Some(true),
            };
            Offered {
                id: Some(kind),
                ..offered(
                    Kind::LinkType,
                    &name,
                    present,
                    if option.is_some() {
                        "btf+config"
                    } else {
                        "btf"
                    },
                )
            }
        })
        .collect()
}
