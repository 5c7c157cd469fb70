//! Writes files atomically, so that a file is complete or does not exist.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Writes the parts, one after the other, beside `path`, and renames the whole into its place. Whoever
/// reads meanwhile sees the old file or the whole new one. The directory must exist.
pub fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".ukci-")
        // As a file that is written plainly; a temporary file is closed to others.
        .permissions(std::fs::Permissions::from_mode(0o644))
        .tempfile_in(directory)?;
    for part in parts {
        file.write_all(part)?;
    }
    // Else a power cut could leave the name with a part of the bytes.
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "a longer text of before").unwrap();
        write(&path, &[b"one ", b"two"]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        // What cannot be renamed leaves nothing either.
        let taken = dir.path().join("directory");
        std::fs::create_dir(&taken).unwrap();
        write(&taken, &[b"x"]).unwrap_err();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
