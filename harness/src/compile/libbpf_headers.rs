//! Unpacks the headers of libbpf, which are built into the executable, once into the cache.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::catalogue::digest;

/// A directory with `bpf/bpf_helpers.h` and its neighbors, from a `tar`. Its name has the digest of
/// the archive, so that it never changes.
pub fn unpack(archive: &[u8], cache: &Path) -> io::Result<PathBuf> {
    let all = cache.join("libbpf-headers");
    let dir = all.join(digest::of(archive));
    if is_unpacked(archive, &dir)? {
        return Ok(dir);
    }
    std::fs::create_dir_all(&all)?;
    let scratch = tempfile::tempdir_in(&all)?;
    tar::Archive::new(archive).unpack(scratch.path())?;
    // One that is damaged makes room.
    let aside = tempfile::tempdir_in(&all)?;
    let _ = std::fs::rename(&dir, aside.path().join("damaged"));
    match std::fs::rename(scratch.path(), &dir) {
        // Another ukci was quicker.
        Err(_) if dir.is_dir() => Ok(dir),
        renamed => renamed.map(|()| dir),
    }
}

/// Whether a directory has what is in the archive. They are a few small files.
fn is_unpacked(archive: &[u8], dir: &Path) -> io::Result<bool> {
    for header in tar::Archive::new(archive).entries()? {
        let mut header = header?;
        let mut text = Vec::new();
        header.read_to_end(&mut text)?;
        let path = dir.join(header.path()?);
        if header.header().entry_type().is_file()
            && !std::fs::read(path).is_ok_and(|there| there == text)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unpacked_once() {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        header.set_mode(0o644);
        let name = "bpf/bpf_helpers.h";
        archive
            .append_data(&mut header, name, b"one".as_slice())
            .unwrap();
        let packed = archive.into_inner().unwrap();
        let cache = tempfile::tempdir().unwrap();
        let dir = unpack(&packed, cache.path()).unwrap();
        assert_eq!(std::fs::read(dir.join(name)).unwrap(), b"one");
        assert_eq!(unpack(&packed, cache.path()).unwrap(), dir);
        std::fs::write(dir.join(name), "o").unwrap();
        assert_eq!(unpack(&packed, cache.path()).unwrap(), dir);
        assert_eq!(std::fs::read(dir.join(name)).unwrap(), b"one", "healed");
        let there = std::fs::read_dir(cache.path().join("libbpf-headers")).unwrap();
        assert_eq!(there.count(), 1, "nothing is left behind");
        assert!(unpack(b"damaged", cache.path()).is_err());
    }
}
