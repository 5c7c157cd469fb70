//! Files of the cache that are checked before they are used. The size and the digest of a file are
//! recorded beside it, in `NAME.check`.
//!
//! A power cut, a full disk or a bad copy can leave a file that has its name and not its bytes. Such
//! a file is noticed, and made again by whoever needs it. The bytes are not read on every use: a
//! file that has the size, the inode and the modification time that were recorded is the one that was
//! written or read back. [`verify`] reads it in any case. The record's own modification time is when
//! the file was last used.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::digest;
use crate::atomic_file;

/// How the name of a record ends.
pub(crate) const SUFFIX: &str = "check";

/// What a file must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    size: u64,
    sha256: String,
    /// The file that had these bytes when they were last read or written.
    inode: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

impl Record {
    fn of(found: &fs::Metadata, sha256: &str) -> Self {
        Self {
            size: found.len(),
            sha256: sha256.to_owned(),
            inode: found.ino(),
            modified: (found.mtime(), found.mtime_nsec()),
        }
    }

    fn read(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(record_of(path)).ok()?).ok()
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        atomic_file::write(&record_of(path), &[&serde_json::to_vec(self)?])
    }
}

/// The path of a file's record.
pub(crate) fn record_of(path: &Path) -> PathBuf {
    path.with_added_extension(SUFFIX)
}

/// Writes a file, and its record.
pub(crate) fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut hasher = digest::Hasher::default();
    for part in parts {
        hasher.update(part);
    }
    atomic_file::write(path, parts)?;
    Record::of(&fs::metadata(path)?, &hasher.finish()).write(path)
}

/// Records what a file holds that was just written, and makes sure that it is on the disk.
pub(crate) fn record(path: &Path, sha256: &str) -> io::Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    Record::of(&file.metadata()?, sha256).write(path)
}

/// Whether a file is the one that was written with its record. One without a record is not: nobody
/// can say what it should be.
pub(crate) fn is_whole(path: &Path) -> bool {
    Record::read(path).is_some_and(|record| holds(path, record.size, &record.sha256))
}

/// The digest of a file, which is read only if it is not the file that its record is of, and is then
/// recorded.
pub(crate) fn digest(path: &Path) -> io::Result<String> {
    let found = fs::metadata(path)?;
    if let Some(known) = Record::read(path)
        && known == Record::of(&found, &known.sha256)
    {
        return Ok(known.sha256);
    }
    let sha256 = digest::of_file(path)?;
    // Without a record, as in a cache that cannot be written, it is read on every use.
    let _ = Record::of(&found, &sha256).write(path);
    Ok(sha256)
}

/// Whether a file has this size and digest. It is read only if it is not the file that its record is
/// of, and is then recorded.
pub(crate) fn holds(path: &Path, size: u64, sha256: &str) -> bool {
    let Ok(found) = fs::metadata(path) else {
        return false;
    };
    let known = Record::read(path);
    let is = found.len() == size
        && (known.is_some_and(|known| known == Record::of(&found, sha256))
            || read_again(path, &found, sha256));
    if is {
        // The last use. Where nothing can be written, nothing is evicted either.
        let _ = File::open(record_of(path)).and_then(|file| file.set_modified(SystemTime::now()));
    } else {
        tracing::warn!(path = %path.display(), "a file of the cache is damaged");
    }
    is
}

fn read_again(path: &Path, found: &fs::Metadata, sha256: &str) -> bool {
    let is = digest::of_file(path).is_ok_and(|of| of == sha256);
    if is {
        // Without a record, as in a cache that cannot be written, it is read on every use.
        let _ = Record::of(found, sha256).write(path);
    }
    is
}

/// What a look at all bytes of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It has the digest that is recorded.
    Whole,
    /// It has not.
    Damaged,
    /// Nothing is recorded of it.
    Unknown,
}

/// Reads a file whole and compares it with its record.
pub(crate) fn verify(path: &Path) -> Verified {
    match Record::read(path) {
        None => Verified::Unknown,
        Some(record) if digest::of_file(path).is_ok_and(|of| of == record.sha256) => {
            Verified::Whole
        }
        Some(_) => Verified::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_whole_until_it_is_cut_or_altered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.cpio");
        assert!(!is_whole(&path));
        write(&path, &[b"some ", b"bytes"]).unwrap();
        assert!(is_whole(&path));
        assert_eq!(verify(&path), Verified::Whole);
        // As after a copy of the cache: another inode, the same bytes.
        let copy = dir.path().join("copy");
        fs::copy(&path, &copy).unwrap();
        fs::rename(&copy, &path).unwrap();
        let before = fs::read(record_of(&path)).unwrap();
        assert!(is_whole(&path));
        assert_ne!(
            fs::read(record_of(&path)).unwrap(),
            before,
            "recorded again"
        );

        fs::write(&path, "some byteS").unwrap();
        assert!(!is_whole(&path), "altered");
        fs::write(&path, "some byte").unwrap();
        assert!(!is_whole(&path), "cut");
        assert_eq!(verify(&path), Verified::Damaged);
        write(&path, &[b"made again"]).unwrap();
        assert!(is_whole(&path));
        // What a crash can leave: the file without its record.
        fs::remove_file(record_of(&path)).unwrap();
        assert!(!is_whole(&path));
        assert_eq!(verify(&path), Verified::Unknown);
    }

    #[test]
    fn bytes_that_rot_under_the_same_inode_and_time_are_found_by_reading_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        write(&path, &[b"bytes"]).unwrap();
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"B", 0).unwrap();
        file.set_modified(time).unwrap();
        assert!(is_whole(&path), "the shortcut");
        assert_eq!(verify(&path), Verified::Damaged);
    }
}
