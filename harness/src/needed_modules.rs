//! Lists the modules that an object may need in the guest: those that its program types need to
//! attach, and those that define what it names.
//!
//! The guest loads a module only if its kernel turns out to lack something. So a module too many
//! here does no harm, but none may be missing.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::io;
use std::sync::Arc;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol};
use ukci_schema::message::MESSAGE_LIMIT;
use ukci_schema::plan::FileRef;

use crate::catalogue::pack::Pack;

/// Modules that the agent attaches programs with, by how their sections begin.
const KINDS: &[(&str, &[&str])] = &[
    ("tc", &["sch_ingress", "cls_bpf"]),
    ("classifier", &["sch_ingress", "cls_bpf"]),
    ("action", &["act_bpf"]),
    ("netkit", &["netkit"]),
];

/// Sections that name a function or a tracepoint of the kernel, by how they begin.
const TARGETS: &[&str] = &[
    "kprobe",
    "kretprobe",
    "fentry",
    "fexit",
    "fmod_ret",
    "fsession",
    "tp",
    "tracepoint",
    "raw_tp",
    "raw_tracepoint",
];

/// What an object names: modules outright, and symbols that a module may define.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    modules: BTreeSet<String>,
    symbols: BTreeSet<String>,
}

impl Needs {
    /// Reads what the sections and the undefined symbols of an object name. What is no ELF file
    /// names nothing.
    pub(crate) fn by(object: &[u8]) -> Self {
        let mut named = Self::default();
        let Ok(elf) = ElfFile64::<Endianness>::parse(object) else {
            return named;
        };
        for section in elf.sections() {
            named.section(section.name().unwrap_or_default());
        }
        let undefined = elf.symbols().filter(ObjectSymbol::is_undefined);
        for name in undefined.filter_map(|symbol| symbol.name().ok()) {
            if !name.is_empty() && !name.starts_with("CONFIG_") && !name.starts_with("LINUX_") {
                named.symbols.insert(name.to_owned());
            }
        }
        named
    }

    /// Takes in what a section, or a manifest in its place, says: `kprobe/nf_conntrack_in+0x8`.
    pub(crate) fn section(&mut self, section: &str) {
        let section = section.trim_start_matches('?');
        let kinds = KINDS.iter().filter(|(start, _)| section.starts_with(start));
        self.modules
            .extend(kinds.flat_map(|(_, modules)| modules.iter().map(|&name| name.to_owned())));
        let Some((kind, target)) = section.split_once('/') else {
            return;
        };
        if !TARGETS.iter().any(|start| kind.starts_with(start)) {
            return;
        }
        // category/event, function+offset
        let target = target.rsplit('/').next().unwrap_or(target);
        let target = target.split('+').next().unwrap_or(target);
        // module:function, where libbpf looks into BTF
        let target = match target.split_once(':') {
            Some((module, target)) => {
                self.module(module);
                target
            }
            None => target,
        };
        self.symbols.insert(target.to_owned());
        self.symbols.insert(format!("__tracepoint_{target}"));
    }

    /// Takes in a module by its name.
    pub(crate) fn module(&mut self, name: &str) {
        self.modules.insert(name.replace('-', "_"));
    }

    /// The modules of `pack` that are needed, with their dependencies.
    pub(crate) fn within(&self, pack: &Pack) -> BTreeSet<String> {
        let owners = self.symbols.iter().flat_map(|symbol| pack.owners(symbol));
        pack.closure(
            self.modules
                .iter()
                .cloned()
                .chain(owners.map(str::to_owned)),
        )
    }
}

/// The modules of one kernel, for the objects of a run.
#[derive(Debug)]
pub(crate) struct Modules {
    pack: Pack,
    /// Those that were read.
    read: BTreeMap<String, Arc<[u8]>>,
}

/// A module's name, and its bytes.
pub(crate) type NamedModule = (String, Arc<[u8]>);

impl Modules {
    /// Opens a kernel's modules.
    pub(crate) fn open(file: &FileRef) -> io::Result<Self> {
        Ok(Self {
            pack: Pack::open(&file.path)?,
            read: BTreeMap::new(),
        })
    }

    /// The modules that are needed, by name. Each is read once.
    pub(crate) fn needed(&mut self, needs: &Needs) -> io::Result<Vec<NamedModule>> {
        let wanted = needs.within(&self.pack).into_iter();
        let modules = wanted.map(|name| {
            let bytes = match self.read.entry(name.clone()) {
                Entry::Occupied(entry) => Arc::clone(entry.get()),
                Entry::Vacant(entry) => {
                    let bytes = self.pack.read(entry.key())?;
                    if bytes.len() > MESSAGE_LIMIT {
                        return Err(io::Error::other(format!(
                            "the module `{name}` is larger than the {} MiB that a guest is sent",
                            MESSAGE_LIMIT >> 20
                        )));
                    }
                    Arc::clone(entry.insert(bytes.into()))
                }
            };
            Ok((name, bytes))
        });
        modules.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ukci_schema::message::MESSAGE_LIMIT;
    use ukci_schema::plan::FileRef;

    use super::{Modules, Needs};
    use crate::catalogue::module::Module;
    use crate::catalogue::pack::Writer;

    fn named(sections: &[&str]) -> (Vec<String>, Vec<String>) {
        let mut named = Needs::default();
        for section in sections {
            named.section(section);
        }
        (
            named.modules.into_iter().collect(),
            named.symbols.into_iter().collect(),
        )
    }

    #[test]
    fn sections_name_modules_and_symbols() {
        let (modules, symbols) = named(&["tc", "?classifier/x", "action", "xdp"]);
        assert_eq!(modules, ["act_bpf", "cls_bpf", "sch_ingress"]);
        assert!(symbols.is_empty());
        let (modules, symbols) = named(&["fentry/nf_conntrack:nf_ct_delete"]);
        assert_eq!(modules, ["nf_conntrack"]);
        assert_eq!(symbols, ["__tracepoint_nf_ct_delete", "nf_ct_delete"]);
        let (modules, symbols) = named(&[
            "?kprobe/nf_conntrack_in+0x8",
            "tp/kvm/kvm_entry",
            "uprobe//bin/bash:readline",
            "lsm/file_open",
        ]);
        assert!(modules.is_empty());
        assert_eq!(
            symbols,
            [
                "__tracepoint_kvm_entry",
                "__tracepoint_nf_conntrack_in",
                "kvm_entry",
                "nf_conntrack_in"
            ]
        );
    }

    #[test]
    fn a_module_comes_with_what_it_depends_on_and_is_read_once() {
        let module = |bytes: &[u8], depends: &[&str]| Module {
            bytes: bytes.to_vec(),
            depends: depends.iter().map(|&name| name.to_owned()).collect(),
            ..Module::default()
        };
        let mut pack = Writer::default();
        pack.add("cls_bpf", &module(b"cls", &["base"])).unwrap();
        pack.add("base", &module(b"base", &[])).unwrap();
        pack.add("other", &module(b"other", &[])).unwrap();
        let large = vec![0; MESSAGE_LIMIT + 1];
        pack.add("large", &module(&large, &[])).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), pack.finish().unwrap()).unwrap();
        let mut modules = Modules::open(&FileRef {
            path: file.path().to_owned(),
            sha256: String::new(),
        })
        .unwrap();
        let mut needs = Needs::default();
        needs.section("tc");
        let needed = modules.needed(&needs).unwrap();
        let names: Vec<_> = (needed.iter())
            .map(|(name, bytes)| (name.as_str(), &bytes[..]))
            .collect();
        assert_eq!(names, [("base", &b"base"[..]), ("cls_bpf", b"cls")]);
        let again = modules.needed(&needs).unwrap();
        assert!(Arc::ptr_eq(&needed[0].1, &again[0].1));
        needs.module("large");
        let error = modules.needed(&needs).unwrap_err().to_string();
        assert!(
            error.contains("`large` is larger than the 64 MiB"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_object_names_nothing() {
        assert_eq!(Needs::by(b"not an object"), Needs::default());
        assert_eq!(Needs::by(&[]), Needs::default());
    }
}
