//! The initramfs: newc archives written in process.
//!
//! The base segment holds the agent and is the same for every kernel; the kernel's segment holds
//! its modules and configuration. The kernel unpacks concatenated archives one over the other
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! No device node is needed, so no privilege is: the kernel's built-in archive has
//! `/dev/console`. Archives are not compressed, which costs the guest more time than it saves.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ukci_schema::plan::FileRef;

use crate::catalogue::digest;

/// Goes into every key below `initramfs/`: raised when the archives' layout changes.
const RECIPE: &[u8] = b"ukci.initramfs/1";

/// Directories that the agent mounts on.
const MOUNT_POINTS: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

/// An archive in the making. Entries are sorted and all times are 0: the same files give the same
/// bytes.
#[derive(Debug, Default)]
pub struct Archive {
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    Directory,
    File { executable: bool, bytes: Vec<u8> },
}

impl Archive {
    /// Adds a directory and those above it. Paths have no leading `/`.
    pub fn directory(&mut self, path: &str) {
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            self.entries.entry(path[..end].to_owned()).or_insert(Entry::Directory);
        }
    }

    /// Adds a file and the directories above it.
    pub fn file(&mut self, path: &str, bytes: Vec<u8>, executable: bool) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
        self.entries.insert(path.to_owned(), Entry::File { executable, bytes });
    }

    /// The archive, padded to 512 bytes.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Vec::new();
        for (inode, (path, entry)) in (1..).zip(&self.entries) {
            let (mode, bytes): (u32, &[u8]) = match entry {
                Entry::Directory => (0o040_755, &[]),
                Entry::File { executable: true, bytes } => (0o100_755, bytes),
                Entry::File { executable: false, bytes } => (0o100_644, bytes),
            };
            let links = if matches!(entry, Entry::Directory) { 2 } else { 1 };
            append(&mut out, inode, mode, links, path, bytes);
        }
        append(&mut out, 0, 0, 1, "TRAILER!!!", &[]);
        out.resize(out.len().next_multiple_of(512), 0);
        out
    }
}

/// One newc entry: magic, 13 numbers of eight hex digits, the name with its NUL, the data; name
/// and data each padded to four bytes.
fn append(out: &mut Vec<u8>, inode: u32, mode: u32, links: u32, path: &str, bytes: &[u8]) {
    let (size, name) = (bytes.len(), path.len() + 1);
    // ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
    let header = format!(
        "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{links:08x}{0:08x}{size:08x}\
         {0:08x}{0:08x}{0:08x}{0:08x}{name:08x}{0:08x}",
        0
    );
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(path.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// The base segment: the agent as `/init`, and the directories it mounts on.
pub fn base(agent: Vec<u8>) -> Vec<u8> {
    let mut archive = Archive::default();
    for directory in MOUNT_POINTS {
        archive.directory(directory);
    }
    archive.file("init", agent, true);
    archive.finish()
}

/// The agent's segment and the kernel's in one file below `cache`, made once and found again by
/// their digests. Errors name the path they are about.
pub fn assemble(cache: &Path, agent: &FileRef, segment: &FileRef) -> io::Result<PathBuf> {
    let mut key = digest::Hasher::default();
    for field in [RECIPE, agent.sha256.as_bytes(), segment.sha256.as_bytes()] {
        key.field(field);
    }
    let dir = cache.join("initramfs");
    let path = dir.join(format!("{}.cpio", key.finish()));
    // Renamed into place when complete, so whatever has the name and bytes is whole.
    if std::fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
        return Ok(path);
    }
    let agent_bytes = read(agent)?;
    let segment_bytes = read(segment)?;
    std::fs::create_dir_all(&dir).map_err(named(&dir))?;
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(&dir)
        .map_err(named(&dir))?;
    file.write_all(&base(agent_bytes))
        .and_then(|()| file.write_all(&segment_bytes))
        .map_err(named(&path))?;
    file.persist(&path).map_err(|error| named(&path)(error.error))?;
    Ok(path)
}

/// The file's bytes, if they still are what the digest says.
fn read(file: &FileRef) -> io::Result<Vec<u8>> {
    let bytes = std::fs::read(&file.path).map_err(named(&file.path))?;
    if digest::of(&bytes) != file.sha256 {
        let error = io::Error::new(io::ErrorKind::InvalidData, "it changed since it was planned");
        return Err(named(&file.path)(error));
    }
    Ok(bytes)
}

/// Puts the path before the system's words and keeps the kind of the error.
fn named(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}
