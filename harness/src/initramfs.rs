//! Builds the initramfs of a boot: the archive of the agent and that of the kernel, in one file of
//! the cache.
//!
//! The base segment holds the agent and is the same for every kernel. The kernel's segment holds
//! its modules and configuration. The kernel unpacks concatenated archives one over the other
//! (`Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! No device nodes are needed, and so no privilege, because the kernel's built-in archive has
//! `/dev/console`. Archives are not compressed: decompression would cost the guest more time than
//! it saves.

use std::io;
use std::path::{Path, PathBuf};

use ukci_schema::plan::FileRef;

use crate::catalogue::checked_file;
use crate::catalogue::digest;
use crate::cpio::Archive;

/// Goes into every key below `initramfs/`: raised when the archives' layout changes.
const RECIPE: &[u8] = b"ukci.initramfs/1";

/// Directories that the agent mounts on.
const MOUNT_POINTS: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

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
    std::fs::create_dir_all(&dir).map_err(named(&dir))?;
    let path = dir.join(format!("{}.cpio", key.finish()));
    if checked_file::is_whole(&path) {
        return Ok(path);
    }
    let agent_bytes = read(agent)?;
    let segment_bytes = read(segment)?;
    write(&path, &[&base(agent_bytes), &segment_bytes])?;
    Ok(path)
}

fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    checked_file::write(path, parts).map_err(named(path))
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
mod tests {
    use super::*;
    use crate::cpio::tests::parse;

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
        // One file and one record each, nothing half-made beside them.
        let made = std::fs::read_dir(cache.path().join("initramfs")).unwrap();
        assert_eq!(made.count(), 4);
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
