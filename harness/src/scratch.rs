//! A directory for the time of one command. What a command that was killed has left is swept when
//! the next one makes its own.
//!
//! Its owner holds a lock on the directory, which the kernel drops when the owner dies.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// How the directories' names begin.
const PREFIX: &str = "ukci-scratch.";

/// A directory that goes away with everything in it when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

impl Scratch {
    /// Sweeps what others left in the directory for temporary files, and makes a directory there.
    pub fn create() -> io::Result<Self> {
        Self::create_in(&std::env::temp_dir(), PREFIX)
    }

    /// The same in the directory `base`, under names that begin with `prefix`.
    pub(crate) fn create_in(base: &Path, prefix: &str) -> io::Result<Self> {
        sweep(base, prefix);
        loop {
            let path = tempfile::Builder::new()
                .prefix(prefix)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(base)?
                .keep();
            let lock = File::open(&path).and_then(|lock| {
                lock.lock()?;
                Ok(lock)
            });
            // Before it was locked, a sweep may have taken it for left over.
            match (lock, fs::symlink_metadata(&path)) {
                (Ok(lock), Ok(there)) if lock.metadata()?.ino() == there.ino() => {
                    return Ok(Self { path, _lock: lock });
                }
                (Err(error), Ok(_)) => return Err(error),
                (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a scratch directory");
        }
    }
}

/// Removes the directories of this user that nobody holds.
fn sweep(base: &Path, prefix: &str) {
    let me = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let path = entry.path();
        let mine = |there: &fs::Metadata| there.is_dir() && there.uid() == me;
        if !fs::symlink_metadata(&path).is_ok_and(|there| mine(&there)) {
            continue;
        }
        if File::open(&path).is_ok_and(|lock| lock.try_lock().is_ok())
            && let Err(error) = fs::remove_dir_all(&path)
        {
            tracing::debug!(path = %path.display(), %error, "not swept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_swept_and_what_is_held_is_not() {
        let base = tempfile::tempdir().unwrap();
        let living = Scratch::create_in(base.path(), PREFIX).unwrap();
        // As after `kill -9`: nothing was removed, and the lock is gone.
        let dead = base.path().join("ukci-scratch.aaaaaa");
        fs::create_dir_all(dead.join("deeper")).unwrap();
        fs::write(dead.join("deeper/initramfs.cpio"), "left").unwrap();
        let other = base.path().join("other");
        fs::create_dir(&other).unwrap();
        std::os::unix::fs::symlink(&other, base.path().join("ukci-scratch.link")).unwrap();

        let second = Scratch::create_in(base.path(), PREFIX).unwrap();
        assert!(!dead.exists());
        assert!(living.path().exists() && second.path().exists() && other.exists());
        let mode = fs::metadata(second.path()).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
        let path = second.path().to_owned();
        fs::write(path.join("file"), "").unwrap();
        drop(second);
        assert!(!path.exists() && living.path().exists());
    }
}
