//! Files of a cell's evidence directory that a machine writes. A path comes in, and an empty file
//! goes out. Links are never followed.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes an empty file in place of what is there. A link is replaced and not followed: another may
/// have put it into a directory that is shared.
pub(super) fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    File::options().write(true).create_new(true).open(path)
}
