//! Applies a manifest to an object between open and load, instead of the object's own loader.
//!
//! The order is that of bpfcompat: switch programs on or off, pick variants, shape maps, give the
//! remaining maps a size if the manifest says so, and set types. Except for the first two, all of
//! this also applies to every copy that is loaded to find the refused programs.

mod inner_map;
mod program_arrays;
mod select;

use std::fs;
use std::path::{Path, PathBuf};

use ukci_schema::behavior::Test;
use ukci_schema::command::{CommandFile, Content};
use ukci_schema::contract::{AttachType, Contract, Entries, MapTerms, ProgramType, Site};
use ukci_schema::glob;

use crate::bpf::{self, Errno, LOG_STATS, Map, Object, Opening};
use crate::libbpf_log::note;
use crate::variable::{self, NotSet};

/// Where the host's files are kept. They are named by their index: a manifest's names never
/// become paths.
const FILES: &str = "/run/ukci";

/// Entries of a map that is sized because a manifest asks for it, as bpfcompat has it.
const AUTO_SIZE: u32 = 4096;

/// `libbpf_bpf_map_type_str` of the types that `auto_size` is for.
const AUTO_SIZED: &[&str] = &[
    "hash",
    "array",
    "prog_array",
    "percpu_hash",
    "percpu_array",
    "stack_trace",
    "lru_hash",
    "lru_percpu_hash",
    "lpm_trie",
];

/// A contract, and where its files lie here.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    contract: &'a Contract,
    files: Vec<PathBuf>,
    opening: Opening,
}

/// An object that cannot be shaped as the manifest says: nothing was asked of the kernel, so
/// there is no verdict.
pub type Broken = String;

impl<'a> Terms<'a> {
    /// Of an object that libbpf is to call `name`, with the files that the host sent.
    pub fn new(contract: &'a Contract, files: Vec<PathBuf>, name: &str) -> Self {
        let btf = contract.custom_btf.and_then(|n| files.get(n));
        let opening = Opening::new(name, btf.map(PathBuf::as_path), &contract.kconfig);
        Self {
            contract,
            files,
            opening,
        }
    }

    /// Where the manifest sends a program.
    pub(crate) fn site(&self, program: &str) -> Option<&ukci_schema::contract::Target> {
        self.contract.targets.get(program)
    }

    /// The same as a section would say it.
    pub(crate) fn section(&self, program: &str) -> Option<String> {
        let target = self.site(program)?;
        Some(target.section(&self.contract.files))
    }

    /// A file of the host's.
    pub(crate) fn file(&self, index: usize) -> Option<&Path> {
        self.files.get(index).map(PathBuf::as_path)
    }

    /// The tests of what the object does.
    pub(crate) fn tests(&self) -> &'a [Test] {
        &self.contract.tests
    }

    /// What the commands of tests find, each with the file here that has its bytes; none of a link.
    pub(crate) fn placed(&self) -> Vec<(&'a CommandFile, Option<&Path>)> {
        let source = |placed: &CommandFile| {
            let Content::Bytes { sha256, .. } = &placed.content else {
                return None;
            };
            let names = &self.contract.files;
            self.file(names.iter().position(|name| name == sha256)?)
        };
        let placed = self.contract.placed.iter();
        placed.map(|placed| (placed, source(placed))).collect()
    }

    /// The modules that must be there before the load.
    pub(crate) fn modules(&self) -> &[String] {
        &self.contract.modules
    }

    /// Opens the object, as it is.
    pub(crate) fn open(&self, bytes: &[u8], log_level: u32) -> Result<Object, Errno> {
        Object::open(bytes, &self.opening, log_level)
    }

    /// Opens the object and shapes those of its programs and maps that are switched on after
    /// `select`. What the kernel refuses of that is the load's refusal.
    pub(crate) fn open_shaped(
        &self,
        bytes: &[u8],
        log_level: u32,
        select: impl FnOnce(&Object),
    ) -> Result<Object, Errno> {
        let mut object = self.open(bytes, log_level)?;
        select(&object);
        self.shape(&mut object)?;
        Ok(object)
    }

    /// What cannot be done whatever the kernel: values that do not fit their variables.
    pub(crate) fn check(&self, object: &Object) -> Result<(), Broken> {
        for (name, value) in &self.contract.rodata {
            match variable::set(object, name, value) {
                Ok(()) => {}
                Err(NotSet::Unknown) => {
                    return Err(format!(
                        "the manifest sets `{name}`, which is not a read-only variable of the object"
                    ));
                }
                Err(NotSet::Misfit(why)) => {
                    return Err(format!("the manifest's value of `{name}`: {why}"));
                }
            }
        }
        Ok(())
    }

    /// Says what the contract changes, one sentence each.
    pub(crate) fn edits(&self) -> Vec<String> {
        let contract = self.contract;
        let mut edits = Vec::new();
        if let Some(file) = contract.custom_btf.and_then(|n| contract.files.get(n)) {
            edits.push(format!("relocated against `{file}`"));
        }
        edits.extend(
            contract
                .kconfig
                .lines()
                .map(|line| format!("kconfig {line}")),
        );
        for (name, value) in &contract.rodata {
            edits.push(format!("read-only variable `{name}` = {value}"));
        }
        for map in &contract.maps {
            edits.extend(map_edits(map));
        }
        for rule in &contract.program_types {
            let attach = rule.attach_type.map(|kind| format!(", {kind}"));
            edits.push(format!(
                "program `{}`: type {}{}",
                rule.program,
                rule.program_type,
                attach.unwrap_or_default()
            ));
        }
        for (program, target) in &contract.targets {
            let section = target.section(&contract.files);
            edits.push(format!("program `{program}`: attached to `{section}`"));
        }
        edits
    }

    /// Shapes what is switched on.
    pub(crate) fn shape(&self, object: &mut Object) -> Result<(), Errno> {
        for (name, value) in &self.contract.rodata {
            // Checked before: it fits.
            let _ = variable::set(object, name, value);
        }
        self.maps(object)?;
        self.program_types(object)?;
        self.targets(object)
    }

    fn maps(&self, object: &mut Object) -> Result<(), Errno> {
        for index in 0..object.maps().len() {
            let maps = object.maps();
            let map = maps[index];
            let name = map.name();
            for terms in self.terms_of(&name) {
                if terms.autocreate == Some(false) {
                    map.set_autocreate(false);
                }
                // What was switched off in search of the refused programs stays off.
                if !map.autocreate() {
                    break;
                }
                if let Some(named) = terms.map_type {
                    map.set_kind(map_type(named.name()).ok_or(libc::EINVAL)?)?;
                }
                if let Some(size) = terms.key_size {
                    map.set_key_size(size)?;
                }
                if let Some(size) = terms.value_size {
                    map.set_value_size(size)?;
                }
                if let Some(flags) = terms.map_flags {
                    map.set_flags(flags)?;
                }
                if let Some(entries) = terms.max_entries {
                    let entries = match entries {
                        Entries::Count(count) => count.get(),
                        Entries::Cpus => bpf::possible_cpus()?,
                    };
                    map.set_max_entries(entries)?;
                }
            }
            self.give_inner_map(object, index, &name)?;
        }
        for map in self.without_size(object) {
            map.set_max_entries(AUTO_SIZE)?;
        }
        Ok(())
    }

    /// What is said of a map, the closest last.
    fn terms_of(&self, name: &str) -> Vec<&'a MapTerms> {
        let maps = self.contract.maps.iter();
        let mut terms: Vec<&MapTerms> = maps.filter(|t| glob::covers(&t.name, name)).collect();
        terms.sort_by_key(|terms| glob::closeness(&terms.name));
        terms
    }

    /// Maps without entries that the manifest wants sized.
    fn without_size<'o>(&self, object: &'o Object) -> Vec<Map<'o>> {
        let said = |map: &Map<'_>| {
            let terms = self.terms_of(&map.name());
            terms.iter().any(|terms| terms.max_entries.is_some())
        };
        let mut maps = object.maps();
        maps.retain(|map| {
            self.contract.auto_size
                && map.shape().2 == 0
                && AUTO_SIZED.contains(&map.kind_name().as_str())
                && !said(map)
        });
        maps
    }

    fn program_types(&self, object: &Object) -> Result<(), Errno> {
        let rules = &self.contract.program_types;
        for program in object.programs() {
            let (name, section) = (program.name(), program.section());
            // A name wins over a section; the last rule wins.
            let by_name = rules.iter().rev().find(|rule| rule.program == name);
            let rule = by_name.or_else(|| rules.iter().rev().find(|rule| rule.program == section));
            let Some(rule) = rule else { continue };
            let kind = program_type(rule.program_type).ok_or(libc::EINVAL)?;
            let attach = rule.attach_type.map(attach_type);
            let attach = attach.map(|kind| kind.ok_or(libc::EINVAL)).transpose()?;
            program.set_type(kind, attach)?;
        }
        Ok(())
    }

    /// Where programs that are attached by BTF go must be known before they are loaded.
    fn targets(&self, object: &mut Object) -> Result<(), Errno> {
        let mut bases = Vec::new();
        for program in object.programs() {
            let name = program.name();
            let Some(target) = self.site(&name).filter(|_| program.autoload()) else {
                continue;
            };
            let set = match (&target.site, target.kind.name()) {
                (Site::Function { symbol, .. }, "fentry" | "fexit" | "fmod_ret" | "lsm") => {
                    program.set_attach_target(0, symbol)
                }
                (Site::RawTracepoint { name }, "tp_btf") => program.set_attach_target(0, name),
                (
                    Site::Program {
                        file,
                        program: base,
                        function,
                    },
                    _,
                ) => self.base(*file, base).and_then(|(loaded, fd)| {
                    bases.push(loaded);
                    program.set_attach_target(fd, function)
                }),
                _ => Ok(()),
            };
            if let Err(errno) = set {
                // As libbpf says it of a target that the section names.
                let target = target.place();
                note(&format!(
                    "libbpf: prog '{name}': failed to find kernel BTF type ID of '{target}': \
                     -{errno}"
                ));
                return Err(errno);
            }
        }
        for base in bases {
            object.keep(base);
        }
        Ok(())
    }

    /// Loads the object whose program is replaced.
    fn base(&self, file: usize, program: &str) -> Result<(Object, i32), Errno> {
        let bytes = self.file(file).and_then(|path| fs::read(path).ok());
        let bytes = bytes.ok_or(libc::ENOENT)?;
        let opening = Opening::new("base", None, "");
        let mut object = Object::open(&bytes, &opening, LOG_STATS)?;
        object.load().inspect_err(|errno| {
            note(&format!(
                "ukci: the object with program '{program}', which is replaced, was refused: \
                 errno {errno}"
            ));
        })?;
        let programs = object.programs();
        let found = programs.iter().find(|found| found.name() == program);
        let fd = found.and_then(bpf::Program::fd).ok_or(libc::ENOENT)?;
        Ok((object, fd))
    }
}

/// What a map's terms change, one sentence each.
fn map_edits(map: &MapTerms) -> Vec<String> {
    let entries = map.max_entries.map(|entries| match entries {
        Entries::Count(count) => count.to_string(),
        Entries::Cpus => "one for each CPU".into(),
    });
    let created = map
        .autocreate
        .map(|on| if on { "created" } else { "not created" });
    let changes = [
        map.map_type.map(|named| format!("type {named}")),
        map.key_size.map(|bytes| format!("key_size {bytes}")),
        map.value_size.map(|bytes| format!("value_size {bytes}")),
        map.map_flags.map(|flags| format!("map_flags {flags:#x}")),
        entries.map(|entries| format!("max_entries {entries}")),
        created.map(str::to_owned),
        map.inner.as_ref().map(|_| "inner map given".to_owned()),
        map.pinned
            .then(|| "not pinned, though its loader pins it".to_owned()),
    ];
    let changes = changes.into_iter().flatten();
    let slots = map.programs.iter();
    let slots = slots.map(|slot| format!("slot {} is program `{}`", slot.index, slot.program));
    changes
        .chain(slots)
        .map(|change| format!("map `{}`: {change}", map.name))
        .collect()
}

/// Writes the host's files where the probe finds them.
pub fn keep_files(files: &[Vec<u8>]) -> Result<Vec<PathBuf>, String> {
    let failed = |path: &Path, error: std::io::Error| format!("write {}: {error}", path.display());
    let dir = Path::new(FILES);
    if files.is_empty() {
        return Ok(Vec::new());
    }
    fs::create_dir_all(dir).map_err(|error| failed(dir, error))?;
    let mut kept = Vec::new();
    for (index, bytes) in files.iter().enumerate() {
        let path = dir.join(format!("file-{index}"));
        fs::write(&path, bytes).map_err(|error| failed(&path, error))?;
        kept.push(path);
    }
    Ok(kept)
}

/// The number of a program type.
fn program_type(named: ProgramType) -> Option<u32> {
    (0..256).find(|kind| bpf::program_type_name(*kind) == named.name())
}

/// The number of an attach type.
fn attach_type(named: AttachType) -> Option<u32> {
    (0..256).find(|kind| bpf::attach_type_name(*kind).as_deref() == Some(named.name()))
}

/// The number of a map type.
fn map_type(name: &str) -> Option<u32> {
    (1..256).find(|kind| bpf::map_type_name(*kind) == name)
}

#[cfg(test)]
mod tests {
    use ukci_schema::contract::{AttachType, InnerMapType, MapType, ProgramType};

    #[test]
    fn every_word_of_a_manifest_has_its_number_in_libbpf() {
        for word in ProgramType::all() {
            assert!(
                super::program_type(ProgramType::named(word).unwrap()).is_some(),
                "{word}"
            );
        }
        for word in AttachType::all() {
            assert!(
                super::attach_type(AttachType::named(word).unwrap()).is_some(),
                "{word}"
            );
        }
        for word in InnerMapType::all().iter().chain(super::AUTO_SIZED) {
            assert!(super::map_type(word).is_some(), "{word}");
        }
        for word in MapType::all() {
            let named = MapType::named(word).unwrap();
            assert_eq!(super::map_type(word), named.number(), "{word}");
            assert_eq!(MapType::numbered(named.number().unwrap()), Some(named));
        }
    }
}
