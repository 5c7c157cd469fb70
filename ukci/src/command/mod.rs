//! One file a subcommand.

pub(crate) mod check;
pub(crate) mod doctor;
pub(crate) mod explain;
pub(crate) mod fetching;
pub(crate) mod kernels;
pub(crate) mod list;

use std::path::PathBuf;

use ukci_harness::catalogue::{self, Catalogue};
use ukci_harness::resolve::{self, Selection};
use ukci_schema::lock::Lock;

use crate::args;
use crate::diagnostic::Failure;
use crate::exit::Exit;

/// The lock: `UKCI_LOCK`, or the one that travels in the binary.
pub(crate) fn lock() -> Result<Lock, Failure> {
    let (text, name) = match std::env::var_os("UKCI_LOCK") {
        None => (resolve::LOCK.to_owned(), "kernels/lock.json".to_owned()),
        Some(path) => {
            let name = path.to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).map_err(|error| {
                Failure::plain(
                    Exit::NoVerdict,
                    &format!("failed to read `{name}`: {error}"),
                    None,
                )
            })?;
            (text, name)
        }
    };
    let lock: Lock = serde_json::from_str(&text).map_err(|error| {
        let message = format!("failed to read `{name}` as a lock: {error}");
        Failure::plain(Exit::NoVerdict, &message, None)
    })?;
    if lock.schema != ukci_schema::lock::SCHEMA {
        let message = format!(
            "`{name}` is `{}`, not `{}`",
            lock.schema,
            ukci_schema::lock::SCHEMA
        );
        return Err(Failure::plain(Exit::NoVerdict, &message, None));
    }
    Ok(lock)
}

/// The catalogue over this user's store.
pub(crate) fn catalogue(locked: bool) -> Result<Catalogue, Failure> {
    Catalogue::open(lock()?, &catalogue::cache_dir(), locked)
        .map_err(|error| Failure::new(Exit::NoVerdict, &error, error.hint()))
}

/// A failed resolution: zero cells and wrong names have their own statuses.
pub(crate) fn unresolved(error: &resolve::Error) -> Failure {
    let exit = match error {
        resolve::Error::NoCells { .. } => Exit::NoCells,
        resolve::Error::UnknownMatrix(_)
        | resolve::Error::UnknownKernel { .. }
        | resolve::Error::Matrix(_)
        | resolve::Error::Source(_)
        | resolve::Error::SameName { .. } => Exit::Usage,
        _ => Exit::NoVerdict,
    };
    Failure::new(exit, error, error.hint())
}

/// What the command line selects.
pub(crate) fn selection(args: &args::Selection) -> Selection {
    if args.kernel.is_empty() {
        return Selection::Matrix(args.matrix.clone());
    }
    let mut kernels: Vec<String> = Vec::new();
    for kernel in &args.kernel {
        if !kernels.contains(kernel) {
            kernels.push(kernel.clone());
        }
    }
    let modules: Vec<PathBuf> = args.modules.clone();
    Selection::Kernels { kernels, modules }
}
