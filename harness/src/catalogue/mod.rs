//! From a lock entry to boot files: mirrors, downloads, packages, kernel images, modules, all
//! kept in a content-addressed store.

mod bootfiles;
pub mod digest;
mod error;
mod fetch;
mod http;
mod image;
mod index;
mod keyring;
mod mirror;
mod module;
mod own;
pub(crate) mod pack;
mod package;
mod pin;
mod store;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod tool;
mod transfer;
mod unpacked;
mod update;
mod version;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel, Role};
use ukci_schema::plan::PlannedKernel;

pub use error::Error;
use fetch::Fetcher;
use keyring::Keyrings;
use mirror::Mirrors;
use store::{Entry, Store, StoredPackage};
pub use unpacked::{open, unpack, unpack_own};

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
    /// What went not quite as asked, e.g. a newer version than the locked one.
    pub warnings: Vec<String>,
}

/// The lock and the store together.
#[derive(Debug)]
pub struct Catalogue {
    cache: PathBuf,
    lock: Lock,
    locked: bool,
    store: Store,
    mirrors: Mirrors,
    keyrings: Keyrings,
}

impl Catalogue {
    /// A catalogue over the store in `cache` (usually [`cache_dir`]), created when first written.
    /// With `locked`, only the pinned bytes will do.
    ///
    /// Mirrors are those of this host: the variables `UKCI_MIRROR_DEBIAN` and
    /// `UKCI_MIRROR_DEBIAN_SECURITY`, else apt's sources, and last the snapshot archive.
    pub fn open(lock: Lock, cache: &Path, locked: bool) -> Result<Self, Error> {
        let cache = std::path::absolute(cache).map_err(Error::on("resolve", cache))?;
        Ok(Self {
            lock,
            locked,
            store: Store::new(&cache),
            cache,
            mirrors: Mirrors::of_host(),
            keyrings: Keyrings::of_host(),
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
        match self.make(kernel, progress, &mut warnings) {
            Ok(entry) => Ok(planned(kernel, &entry, true, warnings)),
            Err(Error::Gone {
                package,
                version,
                tried,
                ..
            }) => {
                let gone = |newer| Error::Gone {
                    package,
                    version,
                    tried,
                    newer,
                };
                let newest = match update::newest(kernel, &self.mirrors, &self.keyrings) {
                    // The index still names what the mirrors have not got.
                    Ok(newest) if newest.packages == kernel.packages => return Err(gone(None)),
                    Ok(newest) if self.locked => {
                        return Err(gone(Some(version_of(&newest).to_owned())));
                    }
                    Ok(newest) => newest,
                    Err(_) if self.locked => return Err(gone(None)),
                    Err(source) => {
                        let gone = Box::new(gone(None));
                        return Err(Error::NoSuccessor {
                            gone,
                            source: Box::new(source),
                        });
                    }
                };
                let entry = self.make(&newest, progress, &mut warnings)?;
                update::remember(&self.store.superseded(), &key(kernel), &newest)?;
                warnings.push(superseded(kernel, &newest));
                Ok(planned(&named_as(kernel, &newest), &entry, false, warnings))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether every byte that [`Self::prepare`] needs is in the store already.
    pub fn is_prepared(&self, kernel: &LockedKernel) -> bool {
        self.find(kernel).is_some()
    }

    /// The entry of the lock for a kernel of this name: the newest that the signed indices of its
    /// suites name and a mirror has, or of one `suite` of them. Nothing of it is fetched. Blocking.
    pub fn pin(&self, name: &str, arch: Arch, suite: Option<&str>) -> Result<LockedKernel, Error> {
        pin::pin(name, arch, suite, &self.mirrors, &self.keyrings)
    }

    /// Boot files of the user's own kernel: a `bzImage`, `vmlinux` or `Image`, and directories
    /// with its modules (`lib/modules/<release>` or any above it). `hermetic` is false.
    pub fn own_kernel(
        &self,
        image: &Path,
        modules: &[PathBuf],
        arch: Arch,
    ) -> Result<Prepared, Error> {
        let name = image.file_name().map_or_else(
            || image.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        let mut own = own::read(image, modules, arch)?;
        let (key, warnings) = (own.key.clone(), std::mem::take(&mut own.warnings));
        let entry = if let Some(entry) = self.store.get(&key) {
            entry
        } else {
            let _lock = self.store.lock(&key, &|| {})?;
            match self.store.get(&key) {
                Some(entry) => entry,
                None => self.store.put(&key, own.into_contents()?)?,
            }
        };
        let mut prepared = plan(&name, &entry, false, warnings);
        prepared.warnings.extend(lacking(&name, &entry));
        Ok(prepared)
    }

    /// The pinned kernel or the one that stands in for it, from the store alone.
    fn find(&self, kernel: &LockedKernel) -> Option<Prepared> {
        let pinned = key(kernel);
        if let Some(entry) = self.store.get(&pinned) {
            return Some(planned(kernel, &entry, true, Vec::new()));
        }
        if self.locked {
            return None;
        }
        let newest = update::recall(&self.store.superseded(), &pinned)?;
        let entry = self.store.get(&key(&newest))?;
        let warnings = vec![superseded(kernel, &newest)];
        Some(planned(&named_as(kernel, &newest), &entry, false, warnings))
    }

    /// Fetches the packages of exactly this kernel and unpacks them.
    fn make(
        &self,
        kernel: &LockedKernel,
        progress: &(dyn Fn(Progress) + Sync),
        warnings: &mut Vec<String>,
    ) -> Result<Entry, Error> {
        let key = key(kernel);
        let waiting = || {
            progress(Progress::Waiting {
                what: kernel.name.clone(),
            });
        };
        let _lock = self.store.lock(&key, &waiting)?;
        if let Some(entry) = self.store.get(&key) {
            return Ok(entry);
        }
        let fetcher = Fetcher::new(&self.store, &self.mirrors);
        let packages = fetcher.fetch_all(kernel, progress, warnings)?;
        progress(Progress::Unpacking {
            kernel: kernel.name.clone(),
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

/// The architecture that a kernel image of the user's own is made for.
pub fn arch_of(image: &Path) -> Result<Arch, Error> {
    let bytes = std::fs::read(image).map_err(Error::on("read", image))?;
    image::raw::arch_of(&bytes).ok_or_else(|| Error::Image {
        path: image.to_owned(),
        reason: "it is neither a `bzImage`, a `vmlinux` nor an `Image`".to_owned(),
    })
}

/// Whether a kernel is of an older version than another of its stream.
pub fn is_older(kernel: &LockedKernel, than: &LockedKernel) -> bool {
    version::compare(version_of(kernel), version_of(than)).is_lt()
}

/// The version of the package with the image.
fn version_of(kernel: &LockedKernel) -> &str {
    let image = kernel
        .packages
        .iter()
        .find(|package| package.roles.contains(&Role::Image));
    image
        .or(kernel.packages.first())
        .map_or("", |package| &package.version)
}

/// `newest` under the name of the kernel it stands in for.
fn named_as(kernel: &LockedKernel, newest: &LockedKernel) -> LockedKernel {
    LockedKernel {
        name: kernel.name.clone(),
        ..newest.clone()
    }
}

fn superseded(kernel: &LockedKernel, newest: &LockedKernel) -> String {
    format!(
        "`{}`: the pinned {} is gone from every mirror; using {}, the newest that the signed \
         index of {} names",
        kernel.name,
        version_of(kernel),
        version_of(newest),
        newest.provenance.suite,
    )
}

fn planned(
    kernel: &LockedKernel,
    entry: &Entry,
    hermetic: bool,
    warnings: Vec<String>,
) -> Prepared {
    plan(&kernel.name, entry, hermetic, warnings)
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
        hermetic,
        packages,
    };
    Prepared { kernel, warnings }
}

/// The transports that a kernel cannot serve.
fn lacking<'a>(name: &'a str, entry: &'a Entry) -> impl Iterator<Item = String> + 'a {
    entry.manifest.transports.iter().filter(|(_, order)| order.is_none()).map(move |(transport, _)| {
        format!("`{name}`: no driver for {transport} is known to be built in, and no module of it was given (`--modules DIR` gives them)")
    })
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
