//! Files that are there whole or not at all, and how a command says that one could not be written.

use std::path::Path;

use ukci_harness::atomic_file;

use crate::diagnostic::{Action, Failure};

/// Writes a file beside its final place, and then renames it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    atomic_file::write(path, &[text.as_bytes()])
        .map_err(|error| Failure::failed_to(Action::on("write", path), &error))
}
