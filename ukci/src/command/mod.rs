//! One file a subcommand.

pub(crate) mod bless;
pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod features;
pub(crate) mod fetching;
pub(crate) mod kernels;
pub(crate) mod list;
pub(crate) mod lock;
mod pins;
pub(crate) mod plan;
pub(crate) mod rendered;
pub(crate) mod report;
pub(crate) mod rerun;
pub(crate) mod session;
pub(crate) mod shell;
pub(crate) mod unpack;

use std::path::Path;

use ukci_harness::catalogue::{self, Catalogue};
use ukci_harness::resolve::{self, Compilation, Manifests, Selected, Selection};
use ukci_schema::artifact::Form;
use ukci_schema::cell::Cell;
use ukci_schema::lock::Lock;
use ukci_schema::plan::PlannedArtifact;

use crate::args;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;

/// The lock: `UKCI_LOCK`, or the one that travels in the binary.
pub(crate) fn lock() -> Result<Lock, Failure> {
    match std::env::var_os("UKCI_LOCK") {
        None => parse_lock(resolve::LOCK, "kernels/lock.json"),
        Some(path) => lock_at(Path::new(&path)),
    }
}

/// The lock in a file.
pub(crate) fn lock_at(path: &Path) -> Result<Lock, Failure> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let hint =
            "run this in a checkout of ukci, or name the lock file with `--lock` or `UKCI_LOCK`";
        Failure::failed_to(Action::on("read", path), &error).with_hint(hint)
    })?;
    parse_lock(&text, &name)
}

fn parse_lock(text: &str, name: &str) -> Result<Lock, Failure> {
    let lock: Lock = serde_json::from_str(text).map_err(|error| {
        Failure::failed_to(Action::on("read the lock", Path::new(name)), &error)
    })?;
    if lock.schema != ukci_schema::lock::SCHEMA {
        let message = format!(
            "the lock `{name}` has the schema `{}`, and this ukci reads `{}`",
            lock.schema,
            ukci_schema::lock::SCHEMA
        );
        return Err(Failure::says(Exit::NoVerdict, &message, None));
    }
    Ok(lock)
}

/// The catalogue over this user's store.
pub(crate) fn catalogue() -> Result<Catalogue, Failure> {
    Catalogue::open(lock()?, &catalogue::cache_dir())
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}

/// A failed resolution: zero cells and wrong names have their own statuses.
pub(crate) fn unresolved(error: &resolve::Error) -> Failure {
    let exit = match error {
        resolve::Error::NoCells { .. } => Exit::NoCells,
        resolve::Error::UnknownMatrix(_)
        | resolve::Error::UnknownKernel { .. }
        | resolve::Error::NotInMatrix { .. }
        | resolve::Error::NotLockedFor { .. }
        | resolve::Error::ArchNotInMatrix { .. }
        | resolve::Error::SameKernel { .. }
        | resolve::Error::Matrix(_)
        | resolve::Error::Manifest(_)
        | resolve::Error::NoArtifact { .. }
        | resolve::Error::NoSource
        | resolve::Error::LlvmNotInMatrix { .. }
        | resolve::Error::SameName { .. } => Exit::Usage,
        _ => Exit::NoVerdict,
    };
    Failure::of(exit, error, error.hint())
}

/// The matrix that the command line selects; none where it names kernels alone.
pub(crate) fn matrix(args: &args::Selection) -> Option<&str> {
    let default = args.kernel.is_empty().then_some("quick");
    args.matrix.as_deref().or(default)
}

/// What the command line selects.
pub(crate) fn select(
    args: &args::Selection,
    artifacts: &[PlannedArtifact],
    manifests: &Manifests,
    catalogue: &Catalogue,
) -> Result<Selected, Failure> {
    let selection = Selection {
        matrix: matrix(args).map(str::to_owned),
        kernels: args.kernel.clone(),
        arches: args.arch.clone(),
        llvms: args.llvm.clone(),
        modules: args.modules.clone(),
    };
    let mut selected = resolve::select(&selection, artifacts, manifests, catalogue)
        .map_err(|error| unresolved(&error))?;
    if let Some(partition) = &args.partition {
        let mut place = 0..;
        let mine = |cell: &Cell| {
            place
                .next()
                .is_some_and(|place| partition.takes(place, cell))
        };
        retain(&mut selected, mine)?;
    }
    if !args.modules.is_empty() && selected.own.is_empty() {
        let hint = "name one by its path, e.g. `--kernel ./bzImage`".to_owned();
        let message = "`--modules` is for kernels of your own";
        return Err(Failure::says(Exit::Usage, message, Some(hint)));
    }
    Ok(selected)
}

/// Reads the manifests. One without an artifact's name is for the only artifact there is.
pub(crate) fn manifests(
    named: &[args::ManifestOf],
    artifacts: &mut [PlannedArtifact],
) -> Result<Manifests, Failure> {
    let mut manifests = Manifests::new();
    for manifest in named {
        let known: Vec<String> = artifacts.iter().map(|a| a.artifact.name.clone()).collect();
        let name = match (&manifest.artifact, known.as_slice()) {
            (Some(name), _) => name.clone(),
            (None, [only]) => only.clone(),
            (None, _) => {
                let message = format!(
                    "manifest `{}` could be for any of {} artifacts",
                    manifest.path.display(),
                    known.len()
                );
                let hint = format!(
                    "say which: `--manifest {}={}`",
                    known.first().map_or("NAME", String::as_str),
                    manifest.path.display()
                );
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

/// How the command line has sources compiled.
pub(crate) fn compilation(
    args: &args::Compilation,
    artifacts: &[PlannedArtifact],
) -> Result<Compilation, Failure> {
    let named = !args.include.is_empty() || !args.define.is_empty() || args.vmlinux_h.is_some();
    let sources = artifacts.iter().any(|a| a.artifact.form == Form::Source);
    if named && !sources {
        let hint = "give a `.bpf.c` file".to_owned();
        let message = "`-I`, `-D` and `--vmlinux-h` are for C sources";
        return Err(Failure::says(Exit::Usage, message, Some(hint)));
    }
    Ok(Compilation {
        include: args.include.clone(),
        define: args.define.clone(),
        vmlinux_h: args.vmlinux_h.clone(),
    })
}

/// Keeps only some of the cells; it is an error to be left without any.
pub(crate) fn retain(
    selected: &mut Selected,
    mut keep: impl FnMut(&Cell) -> bool,
) -> Result<(), Failure> {
    selected.cells.retain(|planned| keep(&planned.cell));
    if selected.cells.is_empty() {
        let message = format!("no cell of `{}` is left", selected.matrix);
        let hint = "`ukci list` shows what a selection comes to".to_owned();
        return Err(Failure::says(Exit::NoCells, &message, Some(hint)));
    }
    Ok(())
}
