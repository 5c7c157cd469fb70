//! Writes files atomically, and describes the error if a file cannot be written.

use std::path::Path;

use ukci_harness::atomic_file;

use crate::diagnostic::{Action, Failure};

/// Writes a file beside its final place, and then renames it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    atomic_file::write(path, &[text.as_bytes()])
        .map_err(|error| Failure::failed_to(Action::on("write", path), &error))
}
