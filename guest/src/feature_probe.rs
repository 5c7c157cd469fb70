//! Probes which of the features that a refused object needs this kernel has.
//!
//! The input is the helpers, kfuncs and targets of the refused programs, and the types of the
//! refused maps. The output is a `Feature` for each. An object that loads is never probed.

use std::collections::BTreeSet;

use ukci_schema::evidence::{Feature, FeatureKind};
use ukci_schema::history;

use crate::bpf::{self, Object};
use crate::c_types::Types;
use crate::kernel::{self, Btf, Kernel};
use crate::nearest_names::nearest;
use crate::target::{Functions, Target};

/// The name of a helper, `helper#N` where nobody knows one.
pub fn helper_name(id: u32) -> String {
    history::helper_name(id).map_or_else(|| format!("helper#{id}"), str::to_owned)
}

/// A program that was refused, and what it asks for.
#[derive(Debug)]
pub struct RefusedProgram<'a> {
    /// `enum bpf_prog_type`.
    pub kind: u32,
    /// `enum bpf_attach_type`, where the section says one.
    pub attach_type: Option<u32>,
    /// The ELF section, which names the target.
    pub section: &'a str,
    /// Helper ids.
    pub helpers: &'a BTreeSet<u32>,
    /// Kernel functions.
    pub kfuncs: &'a BTreeSet<String>,
}

/// Asks the kernel about everything that these programs, map types and `struct_ops` types need.
pub fn ask(
    programs: &[RefusedProgram<'_>],
    map_types: &BTreeSet<u32>,
    struct_ops: &BTreeSet<String>,
    object: Option<&Object>,
    kernel: &Kernel,
) -> Vec<Feature> {
    let btf = kernel.btf();
    let mut features = Vec::new();
    let known = btf.and_then(|btf| btf.enumerators("bpf_func_id"));
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
            present: map_type_present(*kind, btf),
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
    let known = btf.and_then(|btf| btf.enumerators("bpf_attach_type"));
    let kinds: BTreeSet<u32> = programs.iter().filter_map(|p| p.attach_type).collect();
    for kind in kinds {
        let Some(name) = bpf::attach_type_name(kind) else {
            continue;
        };
        features.push(Feature {
            kind: FeatureKind::AttachType,
            name,
            id: Some(kind),
            program_type: None,
            present: known
                .as_ref()
                .map(|known| known.get(&kind).is_some_and(|name| !name.starts_with("__"))),
            source: "vmlinux-btf".into(),
            detail: None,
        });
    }
    let kfuncs: BTreeSet<&String> = programs.iter().flat_map(|p| p.kfuncs).collect();
    features.extend(kfuncs.into_iter().map(|name| Feature {
        detail: declaration(name, kernel, object),
        ..kfunc(name, btf)
    }));
    let functions = Functions::of(kernel);
    for program in programs {
        if let Some(target) = Target::of(program.section)
            && !features
                .iter()
                .any(|f| f.kind == FeatureKind::Target && f.name == target.name())
        {
            features.push(target.ask(&functions));
            features.extend(target.sites(&functions));
        }
    }
    for name in struct_ops {
        features.push(Feature {
            kind: FeatureKind::Target,
            name: name.clone(),
            id: None,
            program_type: Some("struct_ops".into()),
            // The kernel's BTF has such a struct for every type that can be registered.
            present: btf.map(|btf| btf.has_struct(&format!("bpf_struct_ops_{name}"))),
            source: "vmlinux-btf".into(),
            detail: None,
        });
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

/// Whether the kernel, or a module that is loaded, has a kfunc.
pub(crate) fn kfunc(name: &str, btf: Option<&Btf>) -> Feature {
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

/// How the kernel, or the module that has the kfunc, declares it, and which structs of the
/// declaration the object only names; the nearest kfuncs where there is none.
fn declaration(name: &str, kernel: &Kernel, object: Option<&Object>) -> Option<String> {
    let btf = kernel.btf()?;
    let declared = if btf.has_function(name) {
        Types::of_kernel(btf).declaration(name)
    } else if let Some(module) = kernel::module_with_function(btf, name) {
        let module = Btf::module(&module, btf)?;
        Types::of_kernel(&module).declaration(name)
    } else {
        let kfuncs = btf.tagged("bpf_kfunc");
        let near = nearest(name, kfuncs.iter().map(String::as_str), |_| true);
        return (!near.is_empty()).then(|| format!("near: {}", near.join(", ")));
    };
    let without = object.and_then(Types::of_object);
    let without = without.map(|types| types.without_body(name));
    let without = without.filter(|without| !without.is_empty());
    let without = without.map(|without| format!("{}{}", Feature::WITHOUT_BODY, without.join(", ")));
    Some(declared? + &without.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::helper_name;

    #[test]
    fn helpers_have_their_names() {
        assert_eq!(helper_name(1), "bpf_map_lookup_elem");
        assert_eq!(helper_name(181), "bpf_loop");
        assert_eq!(helper_name(99_999), "helper#99999");
    }
}
