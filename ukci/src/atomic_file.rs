//! Writes files atomically, and describes the error if a file cannot be written.

use std::fs;
use std::io::Write;
use std::path::Path;

use ukci_harness::atomic_file;

use crate::diagnostic::{Action, Failure};

/// Writes a file beside its final place, and then renames it. A device or a pipe is written to.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let is_file = |there: &fs::Metadata| there.is_file() || there.is_dir();
    let written = if fs::metadata(path).is_ok_and(|there| !is_file(&there)) {
        let device = fs::File::options().write(true).open(path);
        device.and_then(|mut device| device.write_all(text.as_bytes()))
    } else {
        atomic_file::write(path, &[text.as_bytes()])
    };
    written.map_err(|error| Failure::failed_to(Action::on("write", path), &error))
}
