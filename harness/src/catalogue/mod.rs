//! From a lock entry to boot files: mirrors, downloads, packages, kernel images, modules, all
//! kept in a content-addressed store.

use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel};
use ukci_schema::plan::PlannedKernel;

/// Why a kernel's files could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Replaced by real variants.
    #[error("not yet")]
    NotYet,
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

/// How a preparation goes on, for progress bars. Called from several threads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Bytes of a package arrived: so many of so many.
    Fetching {
        /// Package name.
        package: String,
        /// Bytes on disk so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A package is verified and complete.
    Fetched {
        /// Package name.
        package: String,
    },
    /// The kernel's boot files are being made from its packages.
    Unpacking {
        /// Kernel name.
        kernel: String,
    },
}

/// A kernel, ready to boot.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its boot files.
    pub kernel: PlannedKernel,
    /// What went not quite as asked, e.g. a newer version than the locked one.
    pub warnings: Vec<String>,
}

/// The lock and the store together.
#[derive(Debug)]
pub struct Catalogue {
    lock: Lock,
    locked: bool,
}

impl Catalogue {
    /// A catalogue over the store in `cache` (usually [`cache_dir`]), created when first written.
    /// With `locked`, only the pinned bytes will do.
    pub fn open(lock: Lock, cache: &Path, locked: bool) -> Result<Self, Error> {
        let _ = cache;
        Ok(Self { lock, locked })
    }

    /// The entries.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Fetches what is missing and makes the boot files. Blocking; safe from several threads and
    /// processes at once.
    pub fn prepare(
        &self,
        kernel: &LockedKernel,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Prepared, Error> {
        let _ = (kernel, progress, self.locked);
        Err(Error::NotYet)
    }

    /// Whether every byte that [`Self::prepare`] needs is in the store already.
    pub fn is_prepared(&self, kernel: &LockedKernel) -> bool {
        let _ = kernel;
        false
    }

    /// Boot files of the user's own kernel: a `bzImage`, `vmlinux` or `Image`, and directories
    /// with its modules (`lib/modules/<release>` or any above it). `hermetic` is false.
    pub fn own_kernel(
        &self,
        image: &Path,
        modules: &[PathBuf],
        arch: Arch,
    ) -> Result<Prepared, Error> {
        let _ = (image, modules, arch);
        Err(Error::NotYet)
    }
}

/// `$XDG_CACHE_HOME/ukci`, or `~/.cache/ukci`.
pub fn cache_dir() -> PathBuf {
    PathBuf::new()
}
