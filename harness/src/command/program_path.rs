//! Finds programs on this host by the name that a person typed.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file of a program: a path with a `/` is taken as it is, a name is looked up in `path`, which
/// is what `PATH` says.
pub(crate) fn find(name: &str, path: &OsStr) -> Option<PathBuf> {
    if name.contains('/') {
        return Path::new(name).is_file().then(|| name.into());
    }
    std::env::split_paths(path)
        .map(|dir| dir.join(name))
        .find(|path| is_executable(path))
}

/// Whether it is a file that somebody may execute.
pub(crate) fn is_executable(path: &Path) -> bool {
    let meta = std::fs::metadata(path);
    meta.is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::find;

    #[test]
    fn names_are_looked_up_and_paths_are_not() {
        let path = std::ffi::OsStr::new("/nowhere:/bin");
        assert_eq!(find("sh", path).as_deref(), Some(Path::new("/bin/sh")));
        assert_eq!(find("/bin/sh", path).as_deref(), Some(Path::new("/bin/sh")));
        assert_eq!(find("./sh", path), None);
        assert_eq!(find("no-such-program", path), None);
    }
}
