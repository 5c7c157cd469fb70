//! A directory for the sockets of a guest. Other users cannot enter it, its path is short, and it
//! is deleted with the guest.
//!
//! Its owner holds a lock on the directory itself. The kernel releases the lock when the owner
//! dies, however it dies. So a directory that can be locked is left over, and can be removed.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use ukci_schema::message::PORT;

/// How the directories' names begin.
const PREFIX: &str = "ukci-vm.";

/// Longest base directory: a Unix socket's path has 107 bytes, of which `/ukci-vm.XXXXXX/` and
/// the longest name below it take 32.
const LONGEST_BASE: usize = 72;

/// A directory that goes away when this is dropped.
#[derive(Debug)]
pub(super) struct PrivateDir {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
}

impl PrivateDir {
    /// Makes one below `base`, which this group may enter and write to, if there is one: it is the
    /// group of no user but the guest's.
    pub(super) fn create(base: &Path, group: Option<u32>) -> io::Result<Self> {
        loop {
            let path = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(base)?
                .keep();
            let lock = open_dir(&path).and_then(|lock| {
                flock(&lock, FlockOperation::LockExclusive)?;
                Ok(lock)
            });
            // Before it was locked, a sweep may have taken it for left over.
            match (lock, fs::symlink_metadata(&path)) {
                (Ok(lock), Ok(there)) if lock.metadata()?.ino() == there.ino() => {
                    let made = Self { path, _lock: lock };
                    if let Some(group) = group {
                        std::os::unix::fs::chown(&made.path, None, Some(group))?;
                        // What is made in it is of the same group.
                        fs::set_permissions(&made.path, Permissions::from_mode(0o2770))?;
                    }
                    return Ok(made);
                }
                (Err(error), Ok(_)) => return Err(error),
                (_, Err(error)) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }

    /// The directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where QEMU dials with QMP.
    pub(super) fn qmp(&self) -> PathBuf {
        self.path.join("qmp")
    }

    /// Where QEMU dials for the virtio-serial port.
    pub(super) fn agent(&self) -> PathBuf {
        self.path.join("agent")
    }

    /// Where vhost-device-vsock listens for QEMU.
    pub(super) fn vhost_user(&self) -> PathBuf {
        self.path.join("vhost-user")
    }

    /// Where QEMU connects to virtiofsd.
    pub(super) fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// Where vhost-device-vsock listens for hosts that dial the guest, which none does.
    pub(super) fn vsock(&self) -> PathBuf {
        self.path.join("vsock")
    }

    /// Where vhost-device-vsock dials when the guest dials the host's [`PORT`].
    pub(super) fn vsock_port(&self) -> PathBuf {
        self.path.join(format!("vsock_{PORT}"))
    }

    /// Lets the directory's group connect to the sockets that are in it by now.
    pub(super) fn admit(&self) -> io::Result<()> {
        for name in Self::names() {
            match fs::set_permissions(self.path.join(name), Permissions::from_mode(0o770)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Every name that is ever made in it.
    fn names() -> [String; 6] {
        [
            "qmp".into(),
            "agent".into(),
            "vhost-user".into(),
            "files".into(),
            "vsock".into(),
            format!("vsock_{PORT}"),
        ]
    }
}

impl Drop for PrivateDir {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove a guest's directory");
        }
    }
}

/// Removes the sockets and then the directory, which must be empty by then: whatever else a
/// directory of that name holds is not ours to delete.
fn remove(path: &Path) -> io::Result<()> {
    for name in PrivateDir::names() {
        match fs::remove_file(path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(path)
}

/// A descriptor of a directory, to lock it or to put it on the disk.
pub(super) fn open_dir(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

/// The directory for guests' directories: the user's runtime directory, else the temporary one,
/// the first that can be written and leaves room for a socket's path. Where guests run as other
/// users, these must be able to enter it.
pub(super) fn base(for_others: bool) -> PathBuf {
    // Neither a shell nor QEMU's options give these a meaning.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-".contains(byte);
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    [runtime, Some(std::env::temp_dir())]
        .into_iter()
        .flatten()
        .find(|path| {
            let bytes = path.as_os_str().as_bytes();
            path.is_absolute()
                && bytes.iter().all(plain)
                && bytes.len() <= LONGEST_BASE
                && path.is_dir()
                && (!for_others || is_open_to_others(path))
                && rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok()
        })
        .unwrap_or_else(|| PathBuf::from("/tmp"))
}

/// Whether everybody may enter this directory and those above it.
fn is_open_to_others(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| {
        let mut directories = path.ancestors();
        directories.all(|dir| fs::metadata(dir).is_ok_and(|there| there.mode() & 0o001 != 0))
    })
}

/// Removes what owners that were killed left below `base`; tells how many directories that were.
pub(super) fn sweep(base: &Path) -> usize {
    let me = rustix::process::geteuid().as_raw();
    let Ok(entries) = fs::read_dir(base) else {
        return 0;
    };
    let mut swept = 0;
    for entry in entries.flatten() {
        if !entry.file_name().as_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let path = entry.path();
        let Ok(lock) = open_dir(&path) else { continue };
        let mine = lock.metadata().is_ok_and(|metadata| metadata.uid() == me);
        if !mine || flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        match remove(&path) {
            Ok(()) => swept += 1,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "not swept");
            }
        }
    }
    swept
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn it_is_private_and_goes_away_with_its_sockets() {
        let base = tempfile::tempdir().unwrap();
        let dir = PrivateDir::create(base.path(), None).unwrap();
        let path = dir.path().to_owned();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        let _listener = UnixListener::bind(dir.vsock_port()).unwrap();
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn a_group_of_its_own_may_use_the_sockets() {
        if !rustix::process::geteuid().is_root() {
            #[expect(clippy::print_stderr, reason = "a skipped test says why")]
            return eprintln!("skipped: only root gives a directory to another group");
        }
        let base = tempfile::tempdir().unwrap();
        let dir = PrivateDir::create(base.path(), Some(61_200)).unwrap();
        let _listener = UnixListener::bind(dir.qmp()).unwrap();
        dir.admit().unwrap();
        for (path, mode) in [(dir.path().to_owned(), 0o2770), (dir.qmp(), 0o770)] {
            let there = fs::metadata(&path).unwrap();
            let found = (there.uid(), there.gid(), there.mode() & 0o7777);
            assert_eq!(found, (0, 61_200, mode), "{}", path.display());
        }
        fs::set_permissions(base.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(!is_open_to_others(base.path()) && is_open_to_others(Path::new("/")));
    }

    #[test]
    fn a_sweep_takes_what_is_left_over_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let living = PrivateDir::create(base.path(), None).unwrap();

        // As after `kill -9`: no destructor ran and the lock's descriptor is closed.
        let dead = base.path().join("ukci-vm.aaaaaa");
        fs::create_dir(&dead).unwrap();
        let _listener = UnixListener::bind(dead.join("qmp")).unwrap();

        let foreign = base.path().join("ukci-vm.images");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("disk"), "precious").unwrap();
        let other = base.path().join("other");
        fs::create_dir(&other).unwrap();

        assert_eq!(sweep(base.path()), 1);
        assert!(!dead.exists());
        assert!(living.path().exists());
        assert!(foreign.join("disk").exists());
        assert!(other.exists());
    }

    #[test]
    fn socket_paths_fit() {
        let longest = PrivateDir::names().iter().map(String::len).max().unwrap();
        assert!(LONGEST_BASE + 1 + PREFIX.len() + 6 + 1 + longest <= 107);
    }
}
