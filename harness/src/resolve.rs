//! Makes a plan from a matrix, artifacts and the catalogue: every name becomes a file with a
//! digest.

mod adhoc;
mod agent;
mod alias;
mod error;
mod external_btf;
mod kernels;
mod manifest;
mod object_file;
mod test_files;
#[cfg(test)]
mod tests;
mod toolchain;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ukci_matrix::matrix::{Groups, KnownKernel, Matrix, MatrixError};
use ukci_schema::artifact::{Artifact, Form, name_of};
use ukci_schema::budget::Budget;
use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel, Verified};
use ukci_schema::plan::{FileRef, Kept, PlannedArtifact, PlannedCell, Shard};

use crate::catalogue::{Catalogue, digest};
use crate::input_file;
pub use agent::{Agents, Carried, Origin};
pub use alias::full_name;
pub use error::Error;
pub use external_btf::external_btf;
pub use kernels::{resolve, resolve_as_kernels_come};
pub use manifest::{Read as ReadManifest, manifest};
pub use object_file::{Embedded, embedded, object};
pub use toolchain::Compilation;

/// The matrices that travel in the binary.
const MATRICES: &[(&str, &str)] = &[
    ("quick", include_str!("../../matrices/quick.toml")),
    ("full", include_str!("../../matrices/full.toml")),
    ("archs", include_str!("../../matrices/archs.toml")),
    ("lts", include_str!("../../matrices/lts.toml")),
    ("quirks", include_str!("../../matrices/quirks.toml")),
];

/// The lock that travels in the binary: its main file.
pub const LOCK: &str = include_str!("../../kernels/lock.json");

/// The other files of the lock, by their names beside the main one.
pub const FAMILIES: &[(&str, &str)] = &[
    (
        "lock/alpine.json",
        include_str!("../../kernels/lock/alpine.json"),
    ),
    (
        "lock/almalinux.json",
        include_str!("../../kernels/lock/almalinux.json"),
    ),
    (
        "lock/amazon.json",
        include_str!("../../kernels/lock/amazon.json"),
    ),
    (
        "lock/arch.json",
        include_str!("../../kernels/lock/arch.json"),
    ),
    (
        "lock/azurelinux.json",
        include_str!("../../kernels/lock/azurelinux.json"),
    ),
    (
        "lock/centos.json",
        include_str!("../../kernels/lock/centos.json"),
    ),
    (
        "lock/debian.json",
        include_str!("../../kernels/lock/debian.json"),
    ),
    (
        "lock/fedora.json",
        include_str!("../../kernels/lock/fedora.json"),
    ),
    (
        "lock/opensuse.json",
        include_str!("../../kernels/lock/opensuse.json"),
    ),
    (
        "lock/oracle.json",
        include_str!("../../kernels/lock/oracle.json"),
    ),
    (
        "lock/rocky.json",
        include_str!("../../kernels/lock/rocky.json"),
    ),
    (
        "lock/ubuntu.json",
        include_str!("../../kernels/lock/ubuntu.json"),
    ),
];

/// The groups of kernels that travel in the binary.
pub const GROUPS: &str = include_str!("../../kernels/groups.toml");

/// Manifests by the names of their artifacts.
pub type Manifests = BTreeMap<String, ReadManifest>;

/// What to run, in the user's words.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// A matrix by name or path; none for `kernels` alone.
    pub matrix: Option<String>,
    /// With a matrix: the only kernels of it to run on. Without: kernels by name, or the user's
    /// own by path.
    pub kernels: Vec<String>,
    /// The only architectures: with a matrix those of it to keep, without one those to run the
    /// named kernels on. None is `x86_64` for kernels by name, and what it is made for for a
    /// kernel of the user's own.
    pub arches: Vec<Arch>,
    /// The LLVM majors to compile sources with: of a matrix that names some, those to keep.
    pub llvms: Vec<String>,
    /// Directories with modules of the user's own kernels.
    pub modules: Vec<PathBuf>,
}

/// The cells that a [`Selection`] names, before anything is fetched.
#[derive(Clone, Debug)]
pub struct Selected {
    /// Name of the matrix; `adhoc` without one.
    pub matrix: String,
    /// The cells, at least one, in the order reports show them.
    pub cells: Vec<PlannedCell>,
    /// How many cells the matrix excludes.
    pub excluded: usize,
    /// What may not be meant.
    pub warnings: Vec<String>,
    /// How sources are compiled.
    pub compilation: Compilation,
    /// Where the guests' agents come from.
    pub agents: Agents,
    /// Paths of the user's own kernels, by name.
    pub own: BTreeMap<String, PathBuf>,
    /// What a program may cost the verifier.
    pub budget: Budget,
    /// Which shard of the selection these cells are, if they are one.
    pub shard: Option<Shard>,
    /// What sources are held against once they are compiled.
    manifests: Manifests,
    modules: Vec<PathBuf>,
    cmdline: Vec<String>,
    sysctl: Vec<String>,
}

/// An artifact's file, and the name that it goes by.
#[derive(Clone, Debug)]
pub struct ArtifactFile {
    /// The file.
    pub path: PathBuf,
    /// The name; none is that of the file without its ending.
    pub name: Option<String>,
}

impl From<PathBuf> for ArtifactFile {
    fn from(path: PathBuf) -> Self {
        Self { path, name: None }
    }
}

/// Reads artifacts that go by the names of their files. See [`named_artifacts`].
pub fn artifacts(paths: &[PathBuf]) -> Result<Vec<PlannedArtifact>, Error> {
    let files: Vec<ArtifactFile> = paths.iter().cloned().map(ArtifactFile::from).collect();
    named_artifacts(&files)
}

/// Reads the artifacts, and refuses what is no object. Nothing is fetched or booted before.
pub fn named_artifacts(files: &[ArtifactFile]) -> Result<Vec<PlannedArtifact>, Error> {
    let mut planned: Vec<PlannedArtifact> = Vec::new();
    for ArtifactFile { path, name } in files {
        let read = |source| Error::Read {
            path: path.clone(),
            source,
        };
        let file = path.canonicalize().map_err(read)?;
        // Reports and plans are JSON, which has no other text.
        if path.to_str().is_none() || file.to_str().is_none() {
            return Err(Error::NotUtf8(file));
        }
        let bytes = object_file::read(&file)?;
        let file_name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy();
        let form = match path.extension() {
            Some(ending) if ending == "c" => Form::Source,
            _ => Form::Object,
        };
        if form == Form::Object {
            object_file::check(path, &bytes)?;
        }
        let artifact = Artifact {
            name: (name.clone()).unwrap_or_else(|| name_of(&file_name).to_owned()),
            path: path.display().to_string(),
            sha256: digest::of(&bytes),
            size: bytes.len() as u64,
            form,
            manifest: None,
        };
        if let Some(other) = planned
            .iter()
            .find(|other| other.artifact.name == artifact.name)
        {
            return Err(Error::SameName {
                name: artifact.name,
                one: other.artifact.path.clone(),
                other: artifact.path,
            });
        }
        let sha256 = artifact.sha256.clone();
        let mut kept = Kept::default();
        kept.put(&sha256, bytes);
        planned.push(PlannedArtifact {
            artifact,
            file: FileRef { path: file, sha256 },
            companions: BTreeMap::new(),
            kept,
        });
    }
    Ok(planned)
}

/// A matrix by its name, or from a file: what has a `/` or ends in `.toml` is a path.
pub fn matrix(name: &str) -> Result<Matrix, Error> {
    if name.contains('/')
        || Path::new(name)
            .extension()
            .is_some_and(|ending| ending == "toml")
    {
        let path = PathBuf::from(name);
        let read = input_file::read_text(&path, input_file::TEXT_LIMIT);
        let text = read.map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        return Ok(Matrix::parse(&text, name)?.with_groups(groups()?));
    }
    let (name, text) = MATRICES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| Error::UnknownMatrix(name.to_owned()))?;
    Ok(Matrix::parse(text, &format!("matrices/{name}.toml"))?.with_groups(groups()?))
}

fn groups() -> Result<Groups, Error> {
    let groups = Groups::parse(GROUPS, "kernels/groups.toml");
    Ok(groups.map_err(MatrixError::from)?)
}

/// The kernels of a lock, as a matrix may name them: every present pin by its name, and every pin by
/// its name and version.
pub fn known(lock: &Lock) -> Vec<KnownKernel<'_>> {
    let present = lock.kernels.iter().map(|kernel| known_as(kernel, None));
    let all = lock.kernels.iter().chain(&lock.history);
    let versions = all.map(|kernel| known_as(kernel, Some(kernel.version())));
    present.chain(versions).collect()
}

fn known_as<'a>(kernel: &'a LockedKernel, version: Option<&'a str>) -> KnownKernel<'a> {
    KnownKernel {
        name: &kernel.name,
        version,
        arch: kernel.arch,
        is_verified: kernel.verified != Verified::Never,
    }
}

/// Looks the names of a selection up. Nothing is fetched or booted before this.
pub fn select(
    selection: &Selection,
    artifacts: &[PlannedArtifact],
    manifests: &Manifests,
    catalogue: &Catalogue,
) -> Result<Selected, Error> {
    let artifacts: Vec<Artifact> = artifacts.iter().map(|a| a.artifact.clone()).collect();
    let mut selected = match &selection.matrix {
        Some(name) => of_matrix(name, selection, &artifacts, catalogue)?,
        None => adhoc::select(selection, &artifacts, catalogue)?,
    };
    toolchain::spread(&mut selected.cells, &artifacts, &selection.llvms)?;
    if selected.cells.is_empty() {
        return Err(Error::NoCells {
            matrix: selected.matrix,
            excluded: selected.excluded,
        });
    }
    for read in manifests.values() {
        let own = selected.own.keys().map(String::as_str);
        let known = catalogue.lock().names().chain(own);
        let cells = selected.cells.iter().map(|p| p.cell.kernel.as_str());
        read.check_kernels(known, cells)?;
        selected.warnings.extend(read.warning.clone());
    }
    let with_manifest = |planned: PlannedCell| match manifests.get(&planned.cell.artifact) {
        Some(read) => read.manifest.planned(planned),
        None => planned,
    };
    selected.cells = selected.cells.into_iter().map(with_manifest).collect();
    selected.manifests.clone_from(manifests);
    Ok(selected)
}

/// The cells of a matrix; those on the selection's kernels and architectures, where it names any.
fn of_matrix(
    name: &str,
    selection: &Selection,
    artifacts: &[Artifact],
    catalogue: &Catalogue,
) -> Result<Selected, Error> {
    let matrix = matrix(name)?;
    let known = known(catalogue.lock());
    let mut expansion = matrix.expand(artifacts, &known)?;
    let kernels = matrix.kernels(&known);
    let mut only = Vec::new();
    for kernel in &selection.kernels {
        let found = alias::full_name(kernel, catalogue.lock(), |name| kernels.contains(&name));
        let not_there = |error| match error {
            Error::UnknownKernel { near, .. } => Error::NotInMatrix {
                name: kernel.clone(),
                matrix: name.to_owned(),
                near,
            },
            other => other,
        };
        only.push(found.map_err(not_there)?);
    }
    if !only.is_empty() {
        expansion.cells.retain(|p| only.contains(&p.cell.kernel));
    }
    if !selection.arches.is_empty() {
        let arches: BTreeSet<Arch> = expansion.cells.iter().map(|p| p.cell.arch).collect();
        if let Some(other) = selection.arches.iter().find(|arch| !arches.contains(arch)) {
            return Err(Error::ArchNotInMatrix {
                arch: *other,
                matrix: name.to_owned(),
                known: arches.into_iter().collect(),
            });
        }
        let kept = |p: &PlannedCell| selection.arches.contains(&p.cell.arch);
        expansion.cells.retain(kept);
    }
    Ok(Selected {
        cells: expansion.cells,
        excluded: expansion.excluded,
        warnings: expansion.warnings,
        compilation: Compilation::default(),
        agents: Agents::default(),
        own: BTreeMap::new(),
        budget: matrix.budget(),
        shard: None,
        manifests: Manifests::new(),
        modules: Vec::new(),
        cmdline: matrix.cmdline().to_vec(),
        sysctl: matrix.sysctl().to_vec(),
        matrix: matrix.name,
    })
}
