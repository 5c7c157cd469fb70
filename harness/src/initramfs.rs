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
        let ends = path
            .match_indices('/')
            .map(|(at, _)| at)
            .chain([path.len()]);
        for end in ends {
            self.entries
                .entry(path[..end].to_owned())
                .or_insert(Entry::Directory);
        }
    }

    /// Adds a file and the directories above it.
    pub fn file(&mut self, path: &str, bytes: Vec<u8>, executable: bool) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.directory(parent);
        }
        self.entries
            .insert(path.to_owned(), Entry::File { executable, bytes });
    }

    /// The archive, padded to 512 bytes.
    pub fn finish(self) -> Vec<u8> {
        let mut out = Vec::new();
        for (inode, (path, entry)) in (1..).zip(&self.entries) {
            let (mode, bytes): (u32, &[u8]) = match entry {
                Entry::Directory => (0o040_755, &[]),
                Entry::File {
                    executable: true,
                    bytes,
                } => (0o100_755, bytes),
                Entry::File {
                    executable: false,
                    bytes,
                } => (0o100_644, bytes),
            };
            let links = if matches!(entry, Entry::Directory) {
                2
            } else {
                1
            };
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
    write(&dir, &path, &[&base(agent_bytes), &segment_bytes])?;
    Ok(path)
}

/// Writes the parts beside `path` and renames the whole into place.
fn write(dir: &Path, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    std::fs::create_dir_all(dir).map_err(named(dir))?;
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(dir)
        .map_err(named(dir))?;
    for part in parts {
        file.write_all(part).map_err(named(path))?;
    }
    file.persist(path)
        .map_err(|error| named(path)(error.error))?;
    Ok(())
}

/// An initramfs that [`assemble`] made and a segment more in one file below `cache`, found again by
/// `key`, the digest of what the segment is made of. `make` is called where it is not there yet.
pub(crate) fn extend(
    cache: &Path,
    base: &Path,
    key: &str,
    make: impl FnOnce() -> io::Result<Vec<u8>>,
) -> io::Result<PathBuf> {
    let mut digest = digest::Hasher::default();
    digest.field(RECIPE);
    // Its name is the digest of its parts.
    digest.field(base.as_os_str().as_encoded_bytes());
    digest.field(key.as_bytes());
    let dir = cache.join("initramfs");
    let path = dir.join(format!("{}.cpio", digest.finish()));
    if std::fs::metadata(&path).is_ok_and(|found| found.len() > 0) {
        return Ok(path);
    }
    let first = std::fs::read(base).map_err(named(base))?;
    write(&dir, &path, &[&first, &make()?])?;
    Ok(path)
}

/// The file's bytes, if they still are what the digest says.
fn read(file: &FileRef) -> io::Result<Vec<u8>> {
    let bytes = std::fs::read(&file.path).map_err(named(&file.path))?;
    if digest::of(&bytes) != file.sha256 {
        let error = io::Error::new(
            io::ErrorKind::InvalidData,
            "it changed since it was planned",
        );
        return Err(named(&file.path)(error));
    }
    Ok(bytes)
}

/// Puts the path before the system's words and keeps the kind of the error.
fn named(path: &Path) -> impl FnOnce(io::Error) -> io::Error + '_ {
    move |error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    pub(crate) struct Parsed {
        pub(crate) name: String,
        mode: u32,
        data: Vec<u8>,
    }

    /// The entries of concatenated archives, as the kernel reads them: headers lie on four bytes,
    /// zeros between archives are skipped.
    pub(crate) fn parse(mut bytes: &[u8]) -> Vec<Parsed> {
        let mut entries = Vec::new();
        while !bytes.is_empty() {
            if bytes[0] == 0 {
                bytes = &bytes[4..];
                continue;
            }
            assert_eq!(&bytes[..6], b"070701");
            let field = |number: usize| {
                let hex = std::str::from_utf8(&bytes[6 + number * 8..14 + number * 8]).unwrap();
                usize::from_str_radix(hex, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6), field(11));
            let data_at = (110 + name_size).next_multiple_of(4);
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            assert_eq!(field(5), 0, "{name} has a time");
            let data = bytes[data_at..data_at + size].to_vec();
            if name != "TRAILER!!!" {
                entries.push(Parsed {
                    name,
                    mode: u32::try_from(mode).unwrap(),
                    data,
                });
            }
            bytes = &bytes[(data_at + size).next_multiple_of(4)..];
        }
        entries
    }

    #[test]
    fn parents_come_before_their_children_and_order_of_adding_does_not_matter() {
        let mut one = Archive::default();
        one.file("lib/ukci/x.ko", b"abc".to_vec(), false);
        one.file("init", b"#!".to_vec(), true);
        let mut two = Archive::default();
        two.file("init", b"#!".to_vec(), true);
        two.directory("lib/ukci");
        two.file("lib/ukci/x.ko", b"abc".to_vec(), false);
        let bytes = one.finish();
        assert_eq!(bytes, two.finish());
        assert_eq!(bytes.len() % 512, 0);
        let entry = |name: &str, mode, data: &[u8]| Parsed {
            name: name.into(),
            mode,
            data: data.to_vec(),
        };
        assert_eq!(
            parse(&bytes),
            [
                entry("init", 0o100_755, b"#!"),
                entry("lib", 0o040_755, b""),
                entry("lib/ukci", 0o040_755, b""),
                entry("lib/ukci/x.ko", 0o100_644, b"abc"),
            ]
        );
    }

    fn file(dir: &Path, name: &str, bytes: &[u8]) -> FileRef {
        let path = dir.join(name);
        std::fs::write(&path, bytes).unwrap();
        FileRef {
            path,
            sha256: digest::of(bytes),
        }
    }

    #[test]
    fn agent_and_segment_are_joined_once() {
        let cache = tempfile::tempdir().unwrap();
        let mut segment = Archive::default();
        segment.file("boot/config-1", b"CONFIG_BPF=y".to_vec(), false);
        let segment = file(cache.path(), "segment", &segment.finish());
        let agent = file(cache.path(), "agent", b"agent");
        let path = assemble(cache.path(), &agent, &segment).unwrap();
        let entries = parse(&std::fs::read(&path).unwrap());
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "dev",
                "init",
                "proc",
                "run",
                "sys",
                "tmp",
                "boot",
                "boot/config-1"
            ]
        );
        assert_eq!(
            (entries[1].mode, entries[1].data.as_slice()),
            (0o100_755, b"agent".as_slice())
        );

        // Found again by the digests alone.
        std::fs::remove_file(&agent.path).unwrap();
        assert_eq!(assemble(cache.path(), &agent, &segment).unwrap(), path);
        let other = file(cache.path(), "agent", b"another agent");
        assert_ne!(assemble(cache.path(), &other, &segment).unwrap(), path);
        // One file each, nothing half-made beside them.
        assert_eq!(
            std::fs::read_dir(cache.path().join("initramfs"))
                .unwrap()
                .count(),
            2
        );
    }

    #[test]
    fn a_file_that_changed_since_it_was_planned_is_refused() {
        let cache = tempfile::tempdir().unwrap();
        let agent = file(cache.path(), "agent", b"agent");
        let segment = file(cache.path(), "segment", b"");
        std::fs::write(&agent.path, "changed").unwrap();
        let error = assemble(cache.path(), &agent, &segment).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(
            error
                .to_string()
                .ends_with("agent`: it changed since it was planned"),
            "{error}"
        );
    }
}
