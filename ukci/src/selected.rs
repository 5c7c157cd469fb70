//! Finds the cells that a selection names, in matrices, manifests and the catalogue, before
//! anything is downloaded.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ukci_harness::arch::{Version, kernel_version};
use ukci_harness::catalogue::{self, Catalogue};
use ukci_harness::resolve::{self, Compilation, Manifests, Selected, Selection};
use ukci_matrix::partition::Partition;
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::cell::Cell;
use ukci_schema::plan::{FileRef, Kept, PlannedArtifact};

use crate::args::ManifestOf;
use crate::carried;
use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::fetching::Fetching;
use crate::output::Output;

/// A failed resolution: zero cells and wrong names have statuses of their own.
pub(crate) fn unresolved(error: &resolve::Error) -> Failure {
    let exit = match error {
        resolve::Error::NoCells { .. } => Exit::NoCells,
        resolve::Error::UnknownMatrix(_)
        | resolve::Error::UnknownKernel { .. }
        | resolve::Error::AmbiguousKernel { .. }
        | resolve::Error::SeveralKernels(_)
        | resolve::Error::NotUtf8(_)
        | resolve::Error::NotInMatrix { .. }
        | resolve::Error::NotLockedFor { .. }
        | resolve::Error::ArchNotInMatrix { .. }
        | resolve::Error::SameKernel { .. }
        | resolve::Error::Matrix(_)
        | resolve::Error::Manifest(_)
        | resolve::Error::NoArtifact { .. }
        | resolve::Error::NoSource
        | resolve::Error::LlvmNotInMatrix { .. }
        | resolve::Error::NotAFile { .. }
        | resolve::Error::TooLarge { .. }
        | resolve::Error::NotBpf { .. }
        | resolve::Error::NoProgram { .. }
        | resolve::Error::NothingEmbedded { .. }
        | resolve::Error::NoKernelBtf { .. }
        | resolve::Error::BtfOfOneKernel { .. }
        | resolve::Error::BtfForOtherArch { .. }
        | resolve::Error::SameName { .. }
        | resolve::Error::NotBtf { .. } => Exit::Usage,
        // Others come of the host, such as want of descriptors.
        resolve::Error::Read { source, .. } if is_of_path(source.kind()) => Exit::Usage,
        resolve::Error::Kernel { source, .. } => exit_of(source),
        _ => Exit::NoVerdict,
    };
    Failure::of(exit, error, error.hint())
}

/// Whether a file cannot be read because of what its path leads to.
fn is_of_path(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotFound
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::PermissionDenied
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidData
    )
}

/// A kernel's files: what is wrong with those of a user kernel is wrong with the command line.
pub(crate) fn exit_of(error: &catalogue::Error) -> Exit {
    match error {
        catalogue::Error::Image { .. } | catalogue::Error::NoKernel { .. } => Exit::Usage,
        catalogue::Error::Io { action, source, .. }
            if action.starts_with("read") && is_of_path(source.kind()) =>
        {
            Exit::Usage
        }
        _ => Exit::NoVerdict,
    }
}

/// The cells of a selection: those on kernels since a version, and of these one shard.
pub(crate) fn select(
    selection: &Selection,
    (since, shard): (Option<Version>, Option<Partition>),
    artifacts: &[PlannedArtifact],
    manifests: &Manifests,
    catalogue: &Catalogue,
    output: Output,
) -> Result<Selected, Failure> {
    download(selection, catalogue, output)?;
    let mut selected = resolve::select(selection, artifacts, manifests, catalogue)
        .map_err(|error| unresolved(&error))?;
    selected.agents = carried::agents();
    if let Some(since) = since {
        // A user kernel has no entry in the lock, and was named by its path.
        let version = |cell: &Cell| {
            let locked = catalogue.lock().kernel(&cell.kernel, cell.arch)?;
            kernel_version(&locked.series)
        };
        let recent = |cell: &Cell| version(cell).is_none_or(|version| version >= since);
        retain(&mut selected, recent)?;
    }
    if let Some(shard) = shard {
        selected.shard = Some(shard.keep(&mut selected.cells, selected.shard.take()));
        retain(&mut selected, |_| true)?;
    }
    if !selection.modules.is_empty() && selected.own.is_empty() {
        return Err(modules_without_kernel("`--kernel ./bzImage`"));
    }
    Ok(selected)
}

/// Downloads user kernels, and shows how that goes on.
fn download(selection: &Selection, catalogue: &Catalogue, output: Output) -> Result<(), Failure> {
    let fetching = Fetching::new(output);
    let kernels = selection.kernels.iter().map(Path::new);
    for file in kernels.chain(selection.modules.iter().map(PathBuf::as_path)) {
        let downloaded = catalogue.download(file, &|progress| fetching.show(progress));
        downloaded.map_err(|error| not_downloaded(&error))?;
    }
    Ok(())
}

/// A user kernel that could not be downloaded. An address that is none is the command line's fault.
pub(crate) fn not_downloaded(error: &catalogue::Error) -> Failure {
    let exit = match error {
        catalogue::Error::Address { .. } => Exit::Usage,
        _ => Exit::NoVerdict,
    };
    Failure::of(exit, error, error.hint())
}

/// `--modules`, and no user kernel that they could be of.
pub(crate) fn modules_without_kernel(example: &str) -> Failure {
    let message = "`--modules` was given, and no user kernel";
    let hint = format!("name the kernel by its path, for example {example}");
    Failure::says(Exit::Usage, message, Some(hint))
}

/// Reads the manifests. One without an artifact's name is for the only artifact there is.
pub(crate) fn manifests(
    named: &[ManifestOf],
    artifacts: &mut [PlannedArtifact],
) -> Result<Manifests, Failure> {
    let mut manifests = Manifests::new();
    for manifest in named {
        let known: Vec<String> = artifacts.iter().map(|a| a.artifact.name.clone()).collect();
        let name = match (&manifest.artifact, known.as_slice()) {
            (Some(name), _) => name.clone(),
            (None, [only]) => only.clone(),
            (None, _) => {
                let path = manifest.path.display();
                let message = format!(
                    "manifest `{path}` could be for any of {} artifacts",
                    known.len()
                );
                let first = known.first().map_or("NAME", String::as_str);
                let hint = format!("name its artifact, for example `--manifest {first}={path}`");
                return Err(Failure::says(Exit::Usage, &message, Some(hint)));
            }
        };
        let artifact = artifacts.iter_mut().find(|a| a.artifact.name == name);
        let read = match artifact {
            Some(artifact) => resolve::manifest(&manifest.path, artifact),
            None => Err(resolve::Error::NoArtifact {
                path: manifest.path.clone(),
                name: name.clone(),
                known,
            }),
        };
        let read = read.map_err(|error| unresolved(&error))?;
        if manifests.insert(name.clone(), read).is_some() {
            let message = format!("artifact `{name}` has two manifests");
            return Err(Failure::says(Exit::Usage, &message, None));
        }
    }
    Ok(manifests)
}

/// Refuses options for sources if there is no source.
pub(crate) fn check_compilation(
    compilation: &Compilation,
    artifacts: &[PlannedArtifact],
) -> Result<(), Failure> {
    let named = !compilation.include.is_empty()
        || !compilation.define.is_empty()
        || compilation.vmlinux_h.is_some();
    let sources = artifacts.iter().any(|a| a.artifact.form == Form::Source);
    if named && !sources {
        let hint = "give a `.bpf.c` file".to_owned();
        let message = "`-I`, `-D` and `--vmlinux-h` are only for C sources, and there is none";
        return Err(Failure::says(Exit::Usage, message, Some(hint)));
    }
    Ok(())
}

/// Keeps only some of the cells. It is an error if none is left.
pub(crate) fn retain(
    selected: &mut Selected,
    mut keep: impl FnMut(&Cell) -> bool,
) -> Result<(), Failure> {
    selected.cells.retain(|planned| keep(&planned.cell));
    if selected.cells.is_empty() {
        let message = format!("no cell of `{}` is left", selected.matrix);
        let hint = "run `ukci list` to see the cells of a selection".to_owned();
        return Err(Failure::says(Exit::NoCells, &message, Some(hint)));
    }
    Ok(())
}

/// Stands for whatever object will be checked.
pub(crate) fn any_artifact() -> PlannedArtifact {
    PlannedArtifact {
        artifact: Artifact {
            name: "*".into(),
            path: String::new(),
            sha256: String::new(),
            size: 0,
            form: Form::Object,
            manifest: None,
        },
        file: FileRef {
            path: String::new().into(),
            sha256: String::new(),
        },
        companions: std::collections::BTreeMap::new(),
        kept: Kept::default(),
    }
}
