//! Reads a manifest, checks it against its object, and finds the files that it names.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ukci_matrix::manifest::{Manifest, Problem, import, is_yaml};
use ukci_schema::artifact::ManifestRef;
use ukci_schema::plan::{FileRef, Kept, PlannedArtifact};

use super::Error;
use crate::catalogue::digest;
use crate::input_file;
use crate::object_file;

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

    /// Refuses what the object does not have, and values that cannot be. A source is no object yet.
    pub(super) fn check_object(&self, object: &[u8]) -> Result<(), Error> {
        let Some(names) = object_file::names(object) else {
            return Ok(());
        };
        self.refuse(self.manifest.check_object(&names))?;
        let types = object_file::value_types(object, &self.manifest.event_types());
        self.refuse(self.manifest.check_values(&types))
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
    let read =
        File::open(path).and_then(|file| input_file::read_stream(file, input_file::TEXT_LIMIT));
    let bytes = read.map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let name = path.display().to_string();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let found = parse(text, &name)?;
    let object = match artifact.kept.get(&artifact.file.sha256) {
        Some(kept) => Arc::clone(kept),
        None => super::object_file::read(&artifact.file.path)?.into(),
    };
    found.check_object(&object)?;
    artifact.artifact.manifest = Some(ManifestRef {
        path: name,
        sha256: digest::of(&bytes),
    });
    let directory = path.parent().unwrap_or(Path::new("."));
    artifact.companions = companions(&found.manifest, directory, &mut artifact.kept)?;
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
    kept: &mut Kept,
) -> Result<BTreeMap<String, FileRef>, Error> {
    let mut found = BTreeMap::new();
    for name in manifest.files() {
        let path: PathBuf = directory.join(name);
        let bytes = super::object_file::read(&path)?;
        if manifest.btf_files().any(|file| file == name) && !object_file::has_btf(&bytes) {
            return Err(Error::NotBtf { path });
        }
        let sha256 = digest::of(&bytes);
        kept.put(&sha256, bytes);
        let path = path
            .canonicalize()
            .map_err(|source| Error::Read { path, source })?;
        found.insert(name.to_owned(), FileRef { path, sha256 });
    }
    Ok(found)
}
