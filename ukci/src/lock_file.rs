//! The lock that pins the kernels: read from a file or from the executable, and written back.

use std::path::Path;

use ukci_harness::catalogue::{self, Catalogue};
use ukci_harness::resolve;
use ukci_schema::lock::{Lock, SCHEMA};

use crate::atomic_file;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;

/// The file that `UKCI_LOCK` names, or the lock in the executable.
pub(crate) fn lock() -> Result<Lock, Failure> {
    match std::env::var_os("UKCI_LOCK") {
        None => parse(resolve::LOCK, Path::new("kernels/lock.json")),
        Some(path) => read(Path::new(&path)),
    }
}

/// The lock in a file.
pub(crate) fn read(path: &Path) -> Result<Lock, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let hint = "run this in a checkout of ukci, or name the lock with `--lock` or `UKCI_LOCK`";
        Failure::failed_to(Action::on("read", path), &error).with_hint(hint)
    })?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<Lock, Failure> {
    let lock: Lock = serde_json::from_str(text)
        .map_err(|error| Failure::failed_to(Action::on("read the lock", path), &error))?;
    if lock.schema == SCHEMA {
        return Ok(lock);
    }
    let message = format!(
        "the lock `{}` has the schema `{}`, and this ukci reads `{SCHEMA}`",
        path.display(),
        lock.schema
    );
    Err(Failure::says(Exit::NoVerdict, &message, None))
}

/// Writes a lock, whole or not at all.
pub(crate) fn write(path: &Path, lock: &Lock) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(lock)
        .map_err(|error| Failure::failed_to(Action::on("write", path), &error))?;
    text.push('\n');
    atomic_file::write(path, &text)
}

/// The catalogue of the lock's kernels over this user's store.
pub(crate) fn catalogue() -> Result<Catalogue, Failure> {
    Catalogue::open(lock()?, &catalogue::cache_dir())
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}
