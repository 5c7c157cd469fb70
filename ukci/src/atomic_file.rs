//! Files that are there whole or not at all.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::diagnostic::{Action, Failure};

/// Writes a file beside its final place, and then renames it.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
    try_write(path, text).map_err(|error| Failure::failed_to(Action::on("write", path), &error))
}

fn try_write(path: &Path, text: &str) -> io::Result<()> {
    let parent: PathBuf = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => ".".into(),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".ukci-")
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(&parent)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
