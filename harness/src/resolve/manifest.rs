//! A manifest and its object: read, held against each other, and the files it names found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};
use ukci_matrix::manifest::{
    Manifest, ObjectNames, Problem, ProgramNames, import, is_yaml, program_type_of,
};
use ukci_schema::artifact::ManifestRef;
use ukci_schema::plan::{FileRef, PlannedArtifact};

use super::Error;
use crate::catalogue::digest;

/// A manifest that was read and fits its object.
#[derive(Clone, Debug)]
pub struct Read {
    /// It.
    pub manifest: Manifest,
    /// A sentence about a notation that the next release refuses.
    pub warning: Option<String>,
    text: String,
    name: String,
}

impl Read {
    /// The first of these problems, with its place.
    fn refuse(&self, problems: Vec<Problem>) -> Result<(), Error> {
        match problems.into_iter().next() {
            Some(problem) => Err(problem.locate(&self.text, &self.name).into()),
            None => Ok(()),
        }
    }

    /// Refuses rules that cover no kernel, and runs without a kernel that is required.
    pub(crate) fn check_kernels<'a>(
        &self,
        known: impl IntoIterator<Item = &'a str>,
        selected: impl IntoIterator<Item = &'a str>,
    ) -> Result<(), Error> {
        self.refuse(self.manifest.check_kernels(known))?;
        self.refuse(self.manifest.check_required(selected))
    }
}

/// Reads the manifest at `path` for `artifact`, and adds to the artifact what it names.
pub fn manifest(path: &Path, artifact: &mut PlannedArtifact) -> Result<Read, Error> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })
    };
    let bytes = read(path)?;
    let name = path.display().to_string();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let found = parse(text, &name)?;
    if let Some(names) = names_of(&read(&artifact.file.path)?) {
        found.refuse(found.manifest.check_object(&names))?;
    }
    artifact.artifact.manifest = Some(ManifestRef {
        path: name,
        sha256: digest::of(&bytes),
    });
    let directory = path.parent().unwrap_or(Path::new("."));
    artifact.companions = companions(&found.manifest, directory, read)?;
    Ok(found)
}

/// Reads the text of a manifest. bpfcompat's notation is imported, and what is wrong in it is shown
/// as the TOML that it becomes.
fn parse(text: String, name: &str) -> Result<Read, Error> {
    let groups = super::groups()?;
    if !is_yaml(name) {
        return Ok(Read {
            manifest: Manifest::parse(&text, name)?.with_groups(groups),
            warning: None,
            text,
            name: name.to_owned(),
        });
    }
    let imported = import(&text, name)?;
    let new = Path::new(name).with_extension("toml");
    let warning = format!(
        "`{name}` is YAML, which the next release refuses: run `ukci manifest import {name} > {}`",
        new.display()
    );
    Ok(Read {
        manifest: imported.manifest.with_groups(groups),
        warning: Some(warning),
        text: imported.toml,
        name: format!("{name} as TOML"),
    })
}

/// The files that a manifest names, by its names for them.
fn companions(
    manifest: &Manifest,
    directory: &Path,
    read: impl Fn(&Path) -> Result<Vec<u8>, Error>,
) -> Result<BTreeMap<String, FileRef>, Error> {
    let mut found = BTreeMap::new();
    for name in manifest.files() {
        let path: PathBuf = directory.join(name);
        let sha256 = digest::of(&read(&path)?);
        let path = path
            .canonicalize()
            .map_err(|source| Error::Read { path, source })?;
        found.insert(name.to_owned(), FileRef { path, sha256 });
    }
    Ok(found)
}

/// The names in an object; none where it is no ELF, which is the guest's to say.
fn names_of(bytes: &[u8]) -> Option<ObjectNames> {
    let elf = ElfFile64::<Endianness>::parse(bytes).ok()?;
    let mut names = ObjectNames::default();
    for symbol in elf.symbols() {
        let Ok(name) = symbol.name() else { continue };
        if name.is_empty() {
            continue;
        }
        if symbol.is_undefined() {
            if name.starts_with("CONFIG_") {
                names.kconfig.insert(name.to_owned());
            }
            continue;
        }
        let section = symbol.section_index();
        let section = section.and_then(|index| elf.section_by_index(index).ok());
        let Some(section) = section else { continue };
        let Ok(section_name) = section.name() else {
            continue;
        };
        if symbol.kind() == SymbolKind::Text && section.kind() == SectionKind::Text {
            // Functions in `.text` are called by programs.
            if section_name != ".text" {
                let program = ProgramNames {
                    section: section_name.to_owned(),
                    program_type: program_type_of(section_name).map(|kind| kind.name().to_owned()),
                };
                names.programs.insert(name.to_owned(), program);
            }
        } else if section_name == ".maps" || section_name == "maps" {
            if symbol.kind() == SymbolKind::Data {
                names.maps.insert(name.to_owned(), None);
            }
        } else if section_name.starts_with(".rodata") && symbol.kind() == SymbolKind::Data {
            names.rodata.insert(name.to_owned());
        }
    }
    Some(names)
}
