//! Completes a draft, which knows where files are, to a plan, which knows their digests.

use std::collections::BTreeMap;
use std::path::Path;

use ukci_schema::artifact::Artifact;
use ukci_schema::cell::Arch;
use ukci_schema::draft::{self, Draft, DraftArtifact, DraftKernel, DraftManifest, DraftObject};
use ukci_schema::plan::{
    FileRef, Kept, Plan, PlannedArtifact, PlannedCell, PlannedKernel, PlannedObject, SCHEMA,
};

use super::read::{Error, check, parse};
use crate::catalogue::{self, digest};
use crate::compile;
use crate::input_file::{self, FILE_LIMIT, TEXT_LIMIT};
use crate::nix::StorePath;
use crate::resolve::{self, ReadManifest};

/// Reads a draft and completes it with the digests of its files and what its manifests say.
pub fn complete(path: &Path) -> Result<Plan, Error> {
    let draft: Draft = parse(path, draft::SCHEMA)?;
    let mut cells = draft.cells;
    let mut artifacts = BTreeMap::new();
    for (name, drafted) in draft.artifacts {
        let manifest = drafted.manifest.clone();
        let mut planned = artifact(&name, drafted)?;
        if let Some(manifest) = manifest {
            let unusable = |source| Error::Manifest {
                artifact: name.clone(),
                source: Box::new(source),
            };
            let read = keep(&manifest, &mut planned, &mut cells).map_err(unusable)?;
            if let Some(known) = &draft.catalogue {
                let selected = cells.iter().map(|planned| planned.cell.kernel.as_str());
                read.check_kernels(known.iter().map(String::as_str), selected)
                    .map_err(unusable)?;
            }
        }
        artifacts.insert(name, planned);
    }
    let mut objects = BTreeMap::new();
    for (key, drafted) in draft.objects {
        let planned = object(&key, drafted, &cells)?;
        objects.insert(key, planned);
    }
    let mut kernels = BTreeMap::new();
    for (key, drafted) in draft.kernels {
        let planned = kernel(&key, drafted)?;
        kernels.insert(key, planned);
    }
    let mut agents = BTreeMap::new();
    for (arch, path) in draft.agents {
        let sha256 = digest_of(&path)?;
        agents.insert(arch, FileRef { path, sha256 });
    }
    let plan = Plan {
        schema: SCHEMA.into(),
        matrix: draft.matrix,
        artifacts,
        objects,
        kernels,
        agents,
        cells,
        excluded: draft.excluded,
        budget: draft.budget,
        shard: None,
    };
    check(&plan)?;
    Ok(plan)
}

fn artifact(name: &str, drafted: DraftArtifact) -> Result<PlannedArtifact, Error> {
    let file = drafted.file;
    let bytes = read(&file, FILE_LIMIT)?;
    let sha256 = digest::of(&bytes);
    let size = bytes.len() as u64;
    let mut kept = Kept::default();
    kept.put(&sha256, bytes);
    Ok(PlannedArtifact {
        artifact: Artifact {
            name: name.to_owned(),
            path: drafted.path,
            sha256: sha256.clone(),
            size,
            form: drafted.form,
            manifest: None,
        },
        file: FileRef { path: file, sha256 },
        companions: BTreeMap::new(),
        kept,
    })
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    input_file::read(path, limit).map_err(|refused| Error::Read {
        path: path.to_owned(),
        source: refused.into(),
    })
}

/// Adds what a manifest says to its artifact and the artifact's cells.
fn keep(
    drafted: &DraftManifest,
    artifact: &mut PlannedArtifact,
    cells: &mut [PlannedCell],
) -> Result<ReadManifest, resolve::Error> {
    let read = resolve::manifest(&drafted.file, artifact)?;
    if let Some(manifest) = &mut artifact.artifact.manifest {
        manifest.path.clone_from(&drafted.path);
    }
    for planned in cells {
        if planned.cell.artifact == artifact.artifact.name {
            *planned = read.manifest.planned(planned.clone());
        }
    }
    Ok(read)
}

fn object(key: &str, drafted: DraftObject, cells: &[PlannedCell]) -> Result<PlannedObject, Error> {
    let (clang, path) = (drafted.clang, drafted.dir.join(draft::OBJECT));
    let refusal = drafted.dir.join(draft::REFUSAL);
    if !refusal.exists() {
        let sha256 = digest_of(&path)?;
        let file = FileRef { path, sha256 };
        return Ok(PlannedObject::Object { clang, file });
    }
    let said = read(&refusal, TEXT_LIMIT)?;
    let (llvm, arch) = compiled_by(key, cells).ok_or_else(|| {
        Error::Inconsistent(format!("object `{key}` belongs to none of its cells"))
    })?;
    let log = String::from_utf8_lossy(&said).into_owned();
    Ok(PlannedObject::Refused {
        clang,
        diagnosis: compile::refused(llvm, arch, &log),
        log,
    })
}

/// The LLVM and the architecture of the cells that have this object.
fn compiled_by<'a>(key: &str, cells: &'a [PlannedCell]) -> Option<(&'a str, Arch)> {
    let mut cells = cells.iter().map(|planned| &planned.cell);
    let cell = cells.find(|cell| cell.object_key().as_deref() == Some(key))?;
    Some((cell.llvm.as_deref()?, cell.arch))
}

fn kernel(key: &str, drafted: DraftKernel) -> Result<PlannedKernel, Error> {
    let name = key.split_once('/').map_or(key, |(name, _)| name);
    // What Nix keeps was built from what its lock pins.
    let hermetic = StorePath::holding(&drafted.dir).is_some();
    let opened = catalogue::open(name, &drafted.dir, hermetic);
    let opened = opened.map_err(|source| Error::Kernel {
        kernel: name.to_owned(),
        source: Box::new(source),
    })?;
    Ok(PlannedKernel {
        cmdline: drafted.cmdline,
        sysctl: drafted.sysctl,
        ..opened
    })
}

fn digest_of(path: &Path) -> Result<String, Error> {
    digest::of_file(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}
