//! Turns an entry of the lock into boot files. It handles mirrors, downloads, packages, kernel
//! images and modules, and keeps everything in a content-addressed store.

mod apt_sources;
pub(crate) mod bootfiles;
pub(crate) mod checked_file;
pub mod digest;
mod error;
mod fetch;
pub mod http;
pub(crate) mod image;
mod known_mirror;
mod layout;
pub mod mirror;
pub(crate) mod module;
mod own;
mod own_packages;
mod own_place;
pub(crate) mod pack;
pub(crate) mod package;
mod remote;
pub(crate) mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tool;
mod transfer;
mod unpacked;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel, Package};
use ukci_schema::plan::PlannedKernel;

pub use error::Error;
use fetch::Fetcher;
use mirror::Mirrors;
use own_place::OwnPlace;
pub use package::rpm::{Signed as SignedRpm, signed as signed_rpm};
use store::{Entry, Store, StoredPackage};
pub use tool::Tool;
pub use unpacked::{open, unpack, unpack_own};

use crate::transport::Transport;

/// How a preparation goes on, for progress bars. Called from several threads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Bytes of a package arrived: so many of so many.
    Fetching {
        /// Package name.
        package: String,
        /// Root of the mirror that it comes from, without a password.
        from: String,
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
        /// Kernel name; with its version if it is not the present one of the lock.
        kernel: String,
    },
    /// Another process is making the same files.
    Waiting {
        /// Kernel name or package name.
        what: String,
    },
}

/// A kernel, ready to boot.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its boot files.
    pub kernel: PlannedKernel,
    /// What the user should know: a package came damaged once, a transport has no driver.
    pub warnings: Vec<String>,
}

/// The lock and the store together.
#[derive(Debug)]
pub struct Catalogue {
    cache: PathBuf,
    lock: Lock,
    store: Store,
    mirrors: Mirrors,
}

impl Catalogue {
    /// A catalogue over the store in `cache` (usually [`cache_dir`]), created when first written.
    ///
    /// Mirrors are those of this host: see [`Mirrors::of_host`].
    pub fn open(lock: Lock, cache: &Path) -> Result<Self, Error> {
        let cache = std::path::absolute(cache).map_err(Error::on("resolve", cache))?;
        Ok(Self {
            lock,
            store: Store::new(&cache),
            cache,
            mirrors: Mirrors::of_host(),
        })
    }

    /// The entries.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// The cache directory, absolute.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Fetches what is missing and makes the boot files. Blocking; safe from several threads and
    /// processes at once.
    pub fn prepare(
        &self,
        kernel: &LockedKernel,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Prepared, Error> {
        if let Some(prepared) = self.find(kernel) {
            return Ok(prepared);
        }
        let mut warnings = Vec::new();
        let entry = self.make(kernel, progress, &mut warnings)?;
        Ok(plan(&kernel.name, &entry, true, warnings))
    }

    /// Whether every byte that [`Self::prepare`] needs is in the store already.
    pub fn is_prepared(&self, kernel: &LockedKernel) -> bool {
        self.find(kernel).is_some()
    }

    /// The configuration of a kernel that was prepared, if its packages have one.
    pub fn config(&self, kernel: &LockedKernel) -> Option<String> {
        let (_, entry) = self.stored(kernel)?;
        let config = std::fs::read(entry.config()?.path).ok()?;
        Some(String::from_utf8_lossy(&config).into_owned())
    }

    /// The entry of a kernel that was prepared, and its key.
    pub(crate) fn stored(&self, kernel: &LockedKernel) -> Option<(String, Entry)> {
        let key = key(kernel);
        let entry = self.store.get(&key)?;
        Some((key, entry))
    }

    /// Where a package lies, if it was downloaded.
    pub(crate) fn package(&self, package: &Package) -> PathBuf {
        let name = format!("{}.deb", package.sha256);
        self.store.packages().join(name)
    }

    /// Boot files of the user's own kernel: a `bzImage`, `vmlinux` or `Image`, and directories
    /// with its modules (`lib/modules/<release>` or any above it), or a build tree, or the kernel's
    /// packages, or a directory with them. Files may also be [downloaded](Self::download) before.
    /// `hermetic` is false.
    pub fn own_kernel(
        &self,
        image: &Path,
        modules: &[PathBuf],
        arch: Arch,
    ) -> Result<Prepared, Error> {
        let name = Self::own_name(image)?;
        let mut warnings = Vec::new();
        let modules = self.all_local(modules)?;
        let entry = match OwnPlace::find(&self.local(image)?, &modules)? {
            OwnPlace::Image { image, modules } => {
                let mut own = own::read(&image, &modules, arch)?;
                warnings = std::mem::take(&mut own.warnings);
                let key = own.key.clone();
                self.stored_or(&key, || own.into_contents())?
            }
            OwnPlace::Packages(packages) => {
                let packages = own_packages::packages(&packages)?;
                let key = packages.key(arch);
                self.stored_or(&key, || packages.into_contents(arch))?
            }
        };
        let mut prepared = plan(&name, &entry, false, warnings);
        let lacking = &prepared.kernel.no_driver_for;
        if Transport::VhostVsock.served(lacking) == Transport::Serial {
            prepared.warnings.push(format!(
                "`{name}`: no driver for vsock or virtio-serial is known to be built in, and no module \
                 of one was given (`--modules DIR` gives them), so its cells talk over a serial line, \
                 which is slower"
            ));
        }
        Ok(prepared)
    }

    /// The architecture that a user kernel is made for, whatever its path leads to. Packages that were
    /// unpacked before are known by their digests, and are not unpacked again for that.
    pub fn arch_of(&self, kernel: &Path, modules: &[PathBuf]) -> Result<Arch, Error> {
        let place = OwnPlace::find(&self.local(kernel)?, &self.all_local(modules)?)?;
        if let OwnPlace::Packages(paths) = &place {
            let packages = own_packages::packages(paths)?;
            let is_stored = |arch: &Arch| self.store.get(&packages.key(*arch)).is_some();
            if let Some(arch) = Arch::ALL.into_iter().find(is_stored) {
                return Ok(arch);
            }
        }
        place.arch()
    }

    /// The entry of a user kernel, which is made unless it is there.
    fn stored_or(
        &self,
        key: &str,
        contents: impl FnOnce() -> Result<store::Contents, Error>,
    ) -> Result<Entry, Error> {
        if let Some(entry) = self.store.get(key) {
            return Ok(entry);
        }
        let _lock = self.store.lock(key, &|| {})?;
        match self.store.get(key) {
            Some(entry) => Ok(entry),
            None => self.store.put(key, contents()?),
        }
    }

    /// The pinned kernel, from the store alone.
    fn find(&self, kernel: &LockedKernel) -> Option<Prepared> {
        let entry = self.store.get(&key(kernel))?;
        Some(plan(&kernel.name, &entry, true, Vec::new()))
    }

    /// Fetches the packages of exactly this kernel and unpacks them.
    fn make(
        &self,
        kernel: &LockedKernel,
        progress: &(dyn Fn(Progress) + Sync),
        warnings: &mut Vec<String>,
    ) -> Result<Entry, Error> {
        let key = key(kernel);
        // An old version has the name of the present one in the lock.
        let name = match self.lock.kernel(&kernel.name, kernel.arch) {
            Some(present) if present != kernel => kernel.versioned_name(),
            _ => kernel.name.clone(),
        };
        let waiting = || progress(Progress::Waiting { what: name.clone() });
        let _lock = self.store.lock(&key, &waiting)?;
        if let Some(entry) = self.store.get(&key) {
            return Ok(entry);
        }
        let fetcher = Fetcher::new(&self.store, &self.mirrors);
        let packages = fetcher.fetch_all(kernel, progress, warnings)?;
        progress(Progress::Unpacking {
            kernel: name.clone(),
        });
        let mut found = bootfiles::unpack(&packages, &kernel.uname)?;
        let image = bootfiles::image(&mut found, kernel.arch, &kernel.uname, &packages)?;
        let stored = kernel
            .packages
            .iter()
            .zip(&packages)
            .map(|(package, path)| {
                let stored = StoredPackage {
                    sha256: package.sha256.clone(),
                    path: path.clone(),
                };
                (package.name.clone(), stored)
            })
            .collect();
        self.store
            .put(&key, found.contents(image, kernel.arch, stored))
    }
}

/// The digest of all that a locked kernel's boot files depend on.
fn key(kernel: &LockedKernel) -> String {
    let mut key = digest::Hasher::default();
    key.field(bootfiles::RECIPE);
    key.field(kernel.arch.name().as_bytes());
    key.field(kernel.uname.as_bytes());
    for package in &kernel.packages {
        key.field(package.sha256.as_bytes());
    }
    key.finish()
}

fn plan(name: &str, entry: &Entry, hermetic: bool, warnings: Vec<String>) -> Prepared {
    let manifest = &entry.manifest;
    let packages: BTreeMap<String, String> = manifest
        .packages
        .iter()
        .map(|(name, package)| (name.clone(), package.sha256.clone()))
        .collect();
    let kernel = PlannedKernel {
        name: name.to_owned(),
        release: manifest.release.clone(),
        arch: manifest.arch,
        image: entry.image(),
        segment: entry.segment(),
        modules: entry.modules(),
        cmdline: Vec::new(),
        sysctl: Vec::new(),
        no_driver_for: lacking(entry).map(str::to_owned).collect(),
        hermetic,
        packages,
    };
    Prepared { kernel, warnings }
}

/// The ways to the host for which a kernel has no driver.
fn lacking(entry: &Entry) -> impl Iterator<Item = &str> {
    let transports = entry.manifest.transports.iter();
    let absent = transports.filter(|(_, order)| order.is_none());
    absent.map(|(transport, _)| transport.as_str())
}

/// `$XDG_CACHE_HOME/ukci`, or `~/.cache/ukci`; `.cache/ukci` in the working directory of a user
/// without a home.
pub fn cache_dir() -> PathBuf {
    let absolute = |path: PathBuf| path.is_absolute().then_some(path);
    std::env::var_os("XDG_CACHE_HOME")
        .and_then(|dir| absolute(dir.into()))
        .or_else(|| {
            std::env::home_dir()
                .and_then(absolute)
                .map(|home| home.join(".cache"))
        })
        .unwrap_or_else(|| PathBuf::from(".cache"))
        .join("ukci")
}
