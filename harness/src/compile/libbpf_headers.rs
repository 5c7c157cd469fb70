//! Unpacks the headers of libbpf, which are built into the executable, once into the cache.

use std::io;
use std::path::{Path, PathBuf};

use crate::catalogue::digest;

/// A directory with `bpf/bpf_helpers.h` and its neighbors, from a `tar` compressed with zstd. Its
/// name has the digest of the archive, so that it never changes.
pub fn unpack(packed: &[u8], cache: &Path) -> io::Result<PathBuf> {
    let all = cache.join("libbpf-headers");
    let dir = all.join(digest::of(packed));
    if dir.is_dir() {
        return Ok(dir);
    }
    std::fs::create_dir_all(&all)?;
    let scratch = tempfile::tempdir_in(&all)?;
    let archive = zstd::decode_all(packed)?;
    tar::Archive::new(archive.as_slice()).unpack(scratch.path())?;
    match std::fs::rename(scratch.path(), &dir) {
        // Another ukci was quicker.
        Err(_) if dir.is_dir() => Ok(dir),
        renamed => renamed.map(|()| dir),
    }
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
        let packed = zstd::encode_all(archive.into_inner().unwrap().as_slice(), 3).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let dir = unpack(&packed, cache.path()).unwrap();
        assert_eq!(std::fs::read(dir.join(name)).unwrap(), b"one");
        assert_eq!(unpack(&packed, cache.path()).unwrap(), dir);
        let there = std::fs::read_dir(cache.path().join("libbpf-headers")).unwrap();
        assert_eq!(there.count(), 1, "nothing is left behind");
        assert!(unpack(b"damaged", cache.path()).is_err());
    }
}
