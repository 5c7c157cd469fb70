//! Files that are there whole or not at all, with the error that a command reports.

use std::path::Path;

use crate::diagnostic::{Action, Failure};

/// Writes a file beside its final place, and then renames it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    ukci_harness::atomic_file::write(path, &[text.as_bytes()])
        .map_err(|error| Failure::failed_to(Action::on("write", path), &error))
}
