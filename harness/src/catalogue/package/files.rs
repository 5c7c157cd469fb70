//! The two kinds of archives that packages hold their files in, tar and cpio, with limits on what
//! they may unpack to.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use super::{Visit, malformed, refused};
use crate::catalogue::Error;

/// Uncompressed size that no kernel package reaches (the largest seen, Debian's generic 6.1, has
/// 0.4 GiB); more is an archive made to fill the disk.
pub(crate) const MAX_TOTAL: u64 = 8 << 30;

/// Entries of one package. The largest seen, Ubuntu's modules, have some 7,000. Something is kept of
/// each, so many small ones fill the memory.
const MAX_ENTRIES: usize = 200_000;

/// What may stand between two files: headers, long names and extended attributes, which are read
/// into memory.
pub(crate) const MAX_BETWEEN: u64 = 1 << 20;

/// The type bits of a file's mode, and those of a regular file.
const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;

/// The name of a cpio archive's last entry.
const TRAILER: &str = "TRAILER!!!";

/// Whether an end of a tar archive is the end of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// The first one is.
    Once,
    /// Another archive may follow.
    Anywhere,
}

/// Calls `each` for the files of a tar archive.
pub(super) fn walk_tar(
    path: &Path,
    stream: impl Read,
    ends: Ends,
    each: &mut Visit<'_>,
) -> Result<(), Error> {
    let (stream, allowed) = Limited::new(stream, MAX_TOTAL);
    let mut tar = tar::Archive::new(stream);
    tar.set_ignore_zeros(ends == Ends::Anywhere);
    let entries = tar.entries().map_err(|error| malformed(path, &error))?;
    for (count, entry) in entries.enumerate() {
        check_count(count).map_err(|reason| refused(path, reason))?;
        let mut entry = entry.map_err(|error| malformed(path, &error))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let size = entry.size();
        check(&name, size).map_err(|reason| refused(path, reason))?;
        allowed.set(size.saturating_add(MAX_BETWEEN));
        if entry.header().entry_type().is_file() {
            each(name.trim_start_matches("./"), size, &mut entry)?;
        }
        io::copy(&mut entry, &mut io::sink()).map_err(|error| malformed(path, &error))?;
        allowed.set(MAX_BETWEEN);
    }
    // The archive ends before the compression's own checksum does.
    allowed.set(MAX_TOTAL);
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|error| malformed(path, &error))?;
    Ok(())
}

/// Calls `each` for the files of a cpio archive in the format `newc`.
pub(super) fn walk_cpio(path: &Path, stream: impl Read, each: &mut Visit<'_>) -> Result<(), Error> {
    let (mut rest, allowed) = Limited::new(stream, MAX_TOTAL);
    for count in 0.. {
        check_count(count).map_err(|reason| refused(path, reason))?;
        let mut reader = cpio::NewcReader::new(rest).map_err(|error| malformed(path, &error))?;
        let entry = reader.entry();
        let (name, mode) = (entry.name().to_owned(), entry.mode());
        let size = u64::from(entry.file_size());
        if name == TRAILER {
            allowed.set(MAX_TOTAL);
            let mut rest = reader.finish().map_err(|error| malformed(path, &error))?;
            io::copy(&mut rest, &mut io::sink()).map_err(|error| malformed(path, &error))?;
            return Ok(());
        }
        check(&name, size).map_err(|reason| refused(path, reason))?;
        allowed.set(size.saturating_add(MAX_BETWEEN));
        if mode & S_IFMT == S_IFREG {
            each(name.trim_start_matches("./"), size, &mut reader)?;
        }
        rest = reader.finish().map_err(|error| malformed(path, &error))?;
        allowed.set(MAX_BETWEEN);
    }
    Ok(())
}

/// Refuses one more entry than an archive may have. The error reads behind a colon.
pub(crate) fn check_count(before: usize) -> Result<(), String> {
    if before < MAX_ENTRIES {
        return Ok(());
    }
    Err(format!("it has more than {MAX_ENTRIES} entries"))
}

/// Refuses what no distribution makes. The error reads behind a colon.
pub(crate) fn check(name: &str, size: u64) -> Result<(), String> {
    if name.starts_with('/') || name.split('/').any(|part| part == "..") {
        return Err(format!("`{name}` points outside of the archive"));
    }
    if size > MAX_TOTAL {
        return Err(format!("`{name}` claims {size} bytes"));
    }
    Ok(())
}

/// Ends in an error, not in silence, where more comes than allowed.
pub(crate) struct Limited<R> {
    inner: R,
    /// Of the whole archive.
    left: u64,
    /// Until the next file.
    allowed: Rc<Cell<u64>>,
}

impl<R> Limited<R> {
    /// At most `total` bytes of `inner`, and at most as many as the cell says until it is set again:
    /// whoever knows the next file's size adds it there.
    pub(crate) fn new(inner: R, total: u64) -> (Self, Rc<Cell<u64>>) {
        let allowed = Rc::new(Cell::new(MAX_BETWEEN));
        let limited = Self {
            inner,
            left: total,
            allowed: Rc::clone(&allowed),
        };
        (limited, allowed)
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let too_large = |message| io::Error::new(io::ErrorKind::FileTooLarge, message);
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| too_large("it unpacks to more than 8 GiB"))?;
        let allowed = self.allowed.get().checked_sub(read as u64);
        self.allowed
            .set(allowed.ok_or_else(|| too_large("more than 1 MiB stands between two files"))?);
        Ok(read)
    }
}
