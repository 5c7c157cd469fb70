//! The content-addressed store: one directory per kernel, named by the digest of all that went into
//! it, populated once and never changed.
//!
//! ```text
//! store/<key>/       vmlinux segment.cpio modules.pack config [System.map] kernel.json
//! packages/          <sha256>.deb, its .part while it downloads, .corrupt-N if it was wrong
//! locks/             one file per key, which is locked while the entry is made
//! initramfs/         agent and segment in one file
//! ```
//!
//! An entry is made in a directory beside its place and renamed there, so nobody sees an
//! incomplete one. The files of an entry are checked against its manifest before they are used
//! ([`checked_file`]), and an entry with a damaged file is made again. A store that cannot be written
//! works, too.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use ukci_schema::cell::Arch;
use ukci_schema::plan::FileRef;

use super::checked_file;
use super::digest;
use super::error::Error;
use crate::atomic_file;

/// The manifest of an entry, and the last file written to it.
pub(crate) const MANIFEST: &str = "kernel.json";

/// The directories below the cache.
pub(crate) const DIR: &str = "store";
pub(crate) const PACKAGES: &str = "packages";
/// Agents, and other programs for guests.
const PROGRAMS: &str = "agents";

/// What QEMU boots.
pub(crate) const IMAGE: &str = "vmlinux";
/// The kernel's part of the initramfs.
pub(crate) const SEGMENT: &str = "segment.cpio";
/// The configuration that the kernel was built with.
pub(crate) const CONFIG: &str = "config";
/// All of its modules.
pub(crate) const MODULES: &str = "modules.pack";

/// Everything about an entry that a warm start needs. Private to this version of `ukci`: a
/// manifest of another shape counts as none, and its entry is made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    pub(crate) release: String,
    pub(crate) arch: Arch,
    /// Files of the entry by name.
    pub(crate) files: BTreeMap<String, Stored>,
    /// For each transport the modules that it needs, in load order; null where this kernel cannot.
    pub(crate) transports: BTreeMap<String, Option<Vec<String>>>,
    /// The packages it was made of, by name: what else is wanted of them can be unpacked later.
    pub(crate) packages: BTreeMap<String, StoredPackage>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredPackage {
    pub(crate) sha256: String,
    pub(crate) path: PathBuf,
}

/// A populated entry.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    dir: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Entry {
    /// The entry in `dir`, where it is there and has all files in their size. Their bytes are not
    /// checked: in a directory outside the cache that is for its owner to do.
    pub(crate) fn open(dir: PathBuf) -> Option<Self> {
        let manifest: Manifest =
            serde_json::from_slice(&fs::read(dir.join(MANIFEST)).ok()?).ok()?;
        let has = |name| manifest.files.contains_key(name);
        let whole = has(IMAGE)
            && has(SEGMENT)
            && manifest.files.iter().all(|(name, stored)| {
                fs::metadata(dir.join(name)).is_ok_and(|found| found.len() == stored.size)
            });
        whole.then_some(Self { dir, manifest })
    }

    /// Whether all of its files have the bytes that they were made with.
    fn is_whole(&self) -> bool {
        let manifest = self.dir.join(MANIFEST);
        // Entries of the first versions have no record of their manifest.
        (!checked_file::record_of(&manifest).exists() || checked_file::is_whole(&manifest))
            && self.manifest.files.iter().all(|(name, stored)| {
                checked_file::holds(&self.dir.join(name), stored.size, &stored.sha256)
            })
    }

    /// What QEMU boots.
    pub(crate) fn image(&self) -> FileRef {
        self.file(IMAGE)
    }

    /// The kernel's part of the initramfs.
    pub(crate) fn segment(&self) -> FileRef {
        self.file(SEGMENT)
    }

    /// All of the kernel's modules; `None` if it has not got any.
    pub(crate) fn modules(&self) -> Option<FileRef> {
        let there = self.manifest.files.contains_key(MODULES);
        there.then(|| self.file(MODULES))
    }

    /// The configuration of the kernel; `None` if it came without one.
    pub(crate) fn config(&self) -> Option<FileRef> {
        let there = self.manifest.files.contains_key(CONFIG);
        there.then(|| self.file(CONFIG))
    }

    /// All of its files, with the manifest.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let names = self.manifest.files.keys().map(String::as_str);
        let names = names.chain([MANIFEST]);
        names.map(|name| self.dir.join(name)).collect()
    }

    /// A file that the entry has: [`Store::get`] and [`Store::put`] see to those that all have.
    fn file(&self, name: &str) -> FileRef {
        FileRef {
            path: self.dir.join(name),
            sha256: self.manifest.files[name].sha256.clone(),
        }
    }
}

/// What an entry is filled with.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) release: String,
    pub(crate) arch: Arch,
    pub(crate) files: BTreeMap<&'static str, Vec<u8>>,
    pub(crate) transports: BTreeMap<String, Option<Vec<String>>>,
    pub(crate) packages: BTreeMap<String, StoredPackage>,
}

/// The store below a cache directory.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    cache: PathBuf,
}

impl Store {
    pub(crate) fn new(cache: &Path) -> Self {
        Self {
            cache: cache.to_owned(),
        }
    }

    pub(crate) fn packages(&self) -> PathBuf {
        self.cache.join(PACKAGES)
    }

    /// Where a program for guests is kept that was unpacked from the package with this digest.
    pub(crate) fn program(&self, name: &str, package: &str) -> PathBuf {
        self.cache.join(PROGRAMS).join(format!("{name}-{package}"))
    }

    fn entry_dir(&self, key: &str) -> PathBuf {
        self.cache.join(DIR).join(key)
    }

    /// The entry, where it is there and whole.
    pub(crate) fn get(&self, key: &str) -> Option<Entry> {
        Entry::open(self.entry_dir(key)).filter(Entry::is_whole)
    }

    /// Makes the entry of `key` from what `make` returns. The caller holds the key's lock.
    pub(crate) fn put(&self, key: &str, contents: Contents) -> Result<Entry, Error> {
        let dir = self.entry_dir(key);
        let store = self.cache.join(DIR);
        fs::create_dir_all(&store).map_err(Error::on("create", &store))?;
        // What a killed process left, and an entry that is not whole. The lock keeps others away.
        let temporary = store.join(format!(".tmp-{key}"));
        remove(&temporary)?;
        remove(&dir)?;
        fs::create_dir(&temporary).map_err(Error::on("create", &temporary))?;
        let written = Self::fill(&temporary, contents).and_then(|manifest| {
            Self::record(&temporary, &manifest).map_err(Error::on("write", &temporary))?;
            atomic_file::rename(&temporary, &dir).map_err(Error::on("rename", &temporary))?;
            Ok(manifest)
        });
        match written {
            Ok(manifest) => Ok(Entry { dir, manifest }),
            Err(error) => {
                // Half an entry is of no use, and on a full disk its space is.
                let _ = fs::remove_dir_all(&temporary);
                Err(error)
            }
        }
    }

    /// Writes an entry's files, the manifest last.
    pub(crate) fn fill(dir: &Path, contents: Contents) -> Result<Manifest, Error> {
        let mut files = BTreeMap::new();
        for (name, bytes) in contents.files {
            // Named for its place: the directory goes away with the attempt.
            fs::write(dir.join(name), &bytes).map_err(Error::on("write", dir))?;
            let stored = Stored {
                size: bytes.len() as u64,
                sha256: digest::of(&bytes),
            };
            files.insert(name.to_owned(), stored);
        }
        let manifest = Manifest {
            release: contents.release,
            arch: contents.arch,
            files,
            transports: contents.transports,
            packages: contents.packages,
        };
        Self::write_manifest(dir, &manifest)?;
        Ok(manifest)
    }

    /// Moves an entry that another host made, and whose files were compared with its manifest, into its
    /// place. False if there is one.
    pub(crate) fn take(&self, key: &str, from: &Path) -> Result<bool, Error> {
        let _lock = self.lock(key, &|| {})?;
        if self.get(key).is_some() {
            return Ok(false);
        }
        let path = from.join(MANIFEST);
        let text = fs::read(&path).map_err(Error::on("read", &path))?;
        let mut manifest: Manifest = serde_json::from_slice(&text)
            .map_err(|error| Error::io("read", &path, error.into()))?;
        for package in manifest.packages.values_mut() {
            // The other host's cache was elsewhere. The digest comes from the manifest and may be none.
            let file = package.path.file_name().unwrap_or_default();
            package.path = self.packages().join(file);
        }
        Self::write_manifest(from, &manifest)?;
        Self::record(from, &manifest).map_err(Error::on("write", from))?;
        let dir = self.entry_dir(key);
        let store = self.cache.join(DIR);
        fs::create_dir_all(&store).map_err(Error::on("create", &store))?;
        remove(&dir)?;
        atomic_file::rename(from, &dir).map_err(Error::on("rename", from))?;
        Ok(true)
    }

    fn write_manifest(dir: &Path, manifest: &Manifest) -> Result<(), Error> {
        let path = dir.join(MANIFEST);
        let text = serde_json::to_vec_pretty(manifest)
            .map_err(|error| Error::io("write", &path, error.into()))?;
        fs::write(&path, text).map_err(Error::on("write", dir))
    }

    /// Makes sure that an entry's files are on the disk, and records what they hold.
    fn record(dir: &Path, manifest: &Manifest) -> std::io::Result<()> {
        for (name, stored) in &manifest.files {
            checked_file::record(&dir.join(name), &stored.sha256)?;
        }
        let path = dir.join(MANIFEST);
        checked_file::record(&path, &digest::of_file(&path)?)
    }

    /// Waits until no other process or thread makes `key`, then keeps others waiting until the
    /// guard is dropped. `waiting` is called once where there is a wait. The kernel drops the lock
    /// of a process that dies.
    pub(crate) fn lock(&self, key: &str, waiting: &dyn Fn()) -> Result<Lock, Error> {
        let dir = self.cache.join("locks");
        fs::create_dir_all(&dir).map_err(Error::on("create", &dir))?;
        let path = dir.join(key);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::on("create", &path))?;
        match file.try_lock() {
            Ok(()) => return Ok(Lock(file)),
            Err(fs::TryLockError::WouldBlock) => waiting(),
            Err(fs::TryLockError::Error(error)) => return Err(Error::io("lock", &path, error)),
        }
        loop {
            match file.lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("lock", &path, error)),
            }
        }
    }
}

/// Removes a directory that may be there.
fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", dir, error))
        }
        _ => Ok(()),
    }
}

/// Holds a key's lock while it lives.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "closing the file unlocks it")] File);
