//! Moves kernels and remembered verdicts to another machine, which may have no network: one archive,
//! with the digest of every file.
//!
//! ```text
//! cache.json                   what follows: the size and SHA-256 of each file
//! packages/<sha256>.deb        the packages of the kernels
//! store/<key>/…                what was made of them
//! verdicts/<key>.tar.zst       evidence of cells on these kernels
//! ```
//!
//! Nothing of an archive is in the cache until all of it was read and compared. Its digests find
//! damage. They do not say who made it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};
use ukci_schema::lock::LockedKernel;

use crate::atomic_file;
use crate::catalogue::package::files::{Limited, MAX_BETWEEN};
use crate::catalogue::store::{self, MANIFEST, Store};
use crate::catalogue::{self, Catalogue, digest};
use crate::full_disk;
use crate::remembered;
use crate::scratch::Scratch;

/// Version of the archive's shape.
const SCHEMA: &str = "ukci.cache/1";
/// The first member.
const INDEX: &str = "cache.json";
/// How the directory begins in which an archive is unpacked.
pub(super) const SCRATCH: &str = ".import-";
/// How the directory begins in which an archive is written, beside its place.
const EXPORT: &str = ".ukci-export-";
/// Most bytes of the index.
const LONGEST_INDEX: u64 = 64 << 20;
/// Most bytes of one file. The largest kernel image with debug information has less than one.
const LONGEST_FILE: u64 = 4 << 30;
/// Higher levels save little on packages, which are compressed.
const LEVEL: i32 = 3;

/// An archive that could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The archive is not one that `export` makes.
    #[error("`{}` is refused: {reason}", path.display())]
    Refused {
        /// The archive.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The cache could not take an entry.
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { .. } => Some(
                "make it again with `ukci cache export`, and compare its SHA-256 on both machines"
                    .into(),
            ),
            Self::Io { source, .. } => {
                let prune = "have `ukci cache prune` remove what has not been used for long";
                full_disk::advice(source, Some(prune))
            }
            Self::Catalogue(error) => error.hint(),
        }
    }

    fn on<'p>(action: &'static str, path: &'p Path) -> impl FnOnce(io::Error) -> Self + 'p {
        move |source| Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// What the archive holds, by path.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    schema: String,
    files: BTreeMap<String, Described>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    size: u64,
    sha256: String,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many kernels.
    pub kernels: usize,
    /// How many verdicts.
    pub verdicts: usize,
    /// Bytes of the archive.
    pub size: u64,
    /// SHA-256 of the archive.
    pub sha256: String,
}

/// Writes these kernels, which have been prepared, and the verdicts on them if requested, to `to`.
pub fn export(
    catalogue: &Catalogue,
    kernels: &[&LockedKernel],
    with_verdicts: bool,
    to: &Path,
) -> Result<Exported, Error> {
    if fs::metadata(to).is_ok_and(|there| !there.is_file()) {
        // A rename would put a file in the place of a device, which root is allowed to do.
        let refused = io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
        return Err(Error::on("write", to)(refused));
    }
    let cache = catalogue.cache();
    let mut files: BTreeMap<String, (PathBuf, Described)> = BTreeMap::new();
    let mut images = Vec::new();
    for kernel in kernels {
        let Some((key, entry)) = catalogue.stored(kernel) else {
            continue;
        };
        images.push(entry.image().sha256);
        for path in entry.files() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{}/{key}/{name}", store::DIR);
            files.insert(name, described(path)?);
        }
        for package in &kernel.packages {
            let path = catalogue.package(package);
            // Without it the kernel boots all the same.
            if !path.exists() {
                continue;
            }
            let name = format!("{}/{}.deb", store::PACKAGES, package.sha256);
            files.insert(name, described(path)?);
        }
    }
    let mut exported = Exported {
        kernels: images.len(),
        ..Exported::default()
    };
    if with_verdicts {
        for entry in super::entries_of(cache, super::Kind::Verdicts) {
            if !remembered::read_entry(&entry.path)
                .is_ok_and(|kept| images.contains(&kept.ran.image))
            {
                continue;
            }
            let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
            files.insert(
                format!("{}/{name}", remembered::DIR),
                described(entry.path)?,
            );
            exported.verdicts += 1;
        }
    }
    (exported.size, exported.sha256) = write(files, to).map_err(Error::on("write", to))?;
    Ok(exported)
}

fn described(path: PathBuf) -> Result<(PathBuf, Described), Error> {
    let size = fs::metadata(&path).map_err(Error::on("read", &path))?.len();
    let sha256 = digest::of_file(&path).map_err(Error::on("read", &path))?;
    Ok((path, Described { size, sha256 }))
}

/// Writes the archive beside its place and renames it. Returns its size and digest.
fn write(files: BTreeMap<String, (PathBuf, Described)>, to: &Path) -> io::Result<(u64, String)> {
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    let scratch = Scratch::create_in(parent.unwrap_or(Path::new(".")), EXPORT)?;
    let part = scratch.path().join("part");
    let file = File::create_new(&part)?;
    let mut archive = tar::Builder::new(zstd::Encoder::new(&file, LEVEL)?);
    let (paths, described): (Vec<_>, BTreeMap<_, _>) = files
        .into_iter()
        .map(|(name, (path, described))| ((name.clone(), path), (name, described)))
        .unzip();
    let index = serde_json::to_vec_pretty(&Index {
        schema: SCHEMA.into(),
        files: described,
    })?;
    let mut append = |name: &str, size: u64, from: &mut dyn Read| {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, from)
    };
    append(INDEX, index.len() as u64, &mut index.as_slice())?;
    for (name, path) in paths {
        let mut file = File::open(path)?;
        append(&name, file.metadata()?.len(), &mut file)?;
    }
    archive.into_inner()?.finish()?;
    let size = file.metadata()?.len();
    let sha256 = digest::of_file(&part)?;
    file.sync_all()?;
    atomic_file::rename(&part, to)?;
    Ok((size, sha256))
}

/// What an archive brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Packages.
    pub packages: usize,
    /// Kernels.
    pub kernels: usize,
    /// Verdicts.
    pub verdicts: usize,
    /// Of all of these, how many the cache had already.
    pub known: usize,
}

/// Takes everything of an archive into the cache, or nothing if it is damaged, or if it has anything
/// else than what [`export`] writes.
pub fn import(from: &Path, cache: &Path) -> Result<Imported, Error> {
    fs::create_dir_all(cache).map_err(Error::on("create", cache))?;
    let scratch = Scratch::create_in(cache, SCRATCH).map_err(Error::on("create", cache))?;
    let index = unpack(from, scratch.path())?;
    place(from, &index, scratch.path(), cache)
}

fn refused(archive: &Path, reason: impl Into<String>) -> Error {
    Error::Refused {
        path: archive.to_owned(),
        reason: reason.into(),
    }
}

/// The kind of a file, and its place below the cache if it may lie there.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Package,
    Stored,
    Verdict,
}

/// Where a file of an archive belongs; none if it has no business there.
fn place_of(name: &str) -> Option<Place> {
    let parts: Vec<&str> = name.split('/').collect();
    let is_digest = |text: &str| {
        text.len() == 64
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_plain = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        !text.starts_with('.') && text.len() <= 64 && text.bytes().all(plain) && !text.is_empty()
    };
    match *parts.as_slice() {
        [store::PACKAGES, file] => file
            .strip_suffix(".deb")
            .filter(|name| is_digest(name))
            .map(|_| Place::Package),
        [store::DIR, key, file] => (is_digest(key) && is_plain(file)).then_some(Place::Stored),
        [remembered::DIR, file] => file
            .strip_suffix(remembered::SUFFIX)
            .filter(|name| is_digest(name))
            .map(|_| Place::Verdict),
        _ => None,
    }
}

/// Unpacks an archive below `scratch`, and compares every file with the index.
fn unpack(from: &Path, scratch: &Path) -> Result<Index, Error> {
    let file = File::open(from).map_err(Error::on("read", from))?;
    let damaged = |error: io::Error| refused(from, format!("it is damaged: {error}"));
    let decoder = zstd::Decoder::new(file).map_err(damaged)?;
    // A long name is read into memory before anybody is asked.
    let (decoder, allowed) = Limited::new(decoder, u64::MAX);
    let mut archive = tar::Archive::new(decoder);
    let mut members = archive.entries().map_err(damaged)?;
    let first = members.next().ok_or_else(|| refused(from, "it is empty"))?;
    allowed.set(LONGEST_INDEX + MAX_BETWEEN);
    let index = index(from, first.map_err(damaged)?)?;
    allowed.set(MAX_BETWEEN);
    let total: u64 = index.files.values().map(|file| file.size).sum();
    let free = rustix::fs::statvfs(scratch).map_or(u64::MAX, |found| {
        found.f_bavail.saturating_mul(found.f_frsize)
    });
    if total > free {
        let reason = format!("it holds {total} bytes, and the cache has room for {free}");
        return Err(refused(from, reason));
    }
    let mut missing: BTreeSet<&String> = index.files.keys().collect();
    for member in members {
        let mut member = member.map_err(damaged)?;
        let path = member.path().map_err(damaged)?.into_owned();
        let name = path.to_string_lossy().into_owned();
        let Some(described) = index.files.get(&name) else {
            return Err(refused(from, format!("its index does not have `{name}`")));
        };
        if !member.header().entry_type().is_file() {
            return Err(refused(from, format!("`{name}` is not a file")));
        }
        if !missing.remove(&name) {
            return Err(refused(from, format!("it has `{name}` twice")));
        }
        if member.size() != described.size {
            return Err(refused(
                from,
                format!("`{name}` has another size than its index says"),
            ));
        }
        allowed.set(described.size + MAX_BETWEEN);
        let to = scratch.join(&path);
        let found = save(&mut member, described.size, &to).map_err(Error::on("write", &to))?;
        if found != described.sha256 {
            return Err(refused(from, format!("`{name}` has the SHA-256 {found}")));
        }
        allowed.set(MAX_BETWEEN);
    }
    match missing.first() {
        Some(name) => Err(refused(from, format!("it ends before `{name}`"))),
        None => Ok(index),
    }
}

/// Reads the first member, and refuses an index with a file that has no business in a cache.
fn index(from: &Path, mut member: tar::Entry<'_, impl Read>) -> Result<Index, Error> {
    let is_index = member.path().is_ok_and(|path| path == Path::new(INDEX));
    if !is_index || !member.header().entry_type().is_file() || member.size() > LONGEST_INDEX {
        return Err(refused(from, format!("it does not begin with `{INDEX}`")));
    }
    let mut text = Vec::new();
    member
        .read_to_end(&mut text)
        .map_err(Error::on("read", from))?;
    let index: Index = serde_json::from_slice(&text)
        .map_err(|error| refused(from, format!("its `{INDEX}` cannot be read: {error}")))?;
    if index.schema != SCHEMA {
        let reason = format!(
            "it has the schema `{}`, and this ukci reads `{SCHEMA}`",
            index.schema
        );
        return Err(refused(from, reason));
    }
    for (name, file) in &index.files {
        if place_of(name).is_none() {
            return Err(refused(from, format!("`{name}` has no place in a cache")));
        }
        if file.size > LONGEST_FILE {
            return Err(refused(from, format!("`{name}` has more than 4 GiB")));
        }
    }
    Ok(index)
}

/// Writes a member's bytes and returns their digest.
fn save(member: &mut impl Read, size: u64, to: &Path) -> io::Result<String> {
    debug_assert!(
        to.components().all(|part| part != Component::ParentDir),
        "checked by its place"
    );
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = File::create_new(to)?;
    let mut hasher = digest::Hasher::default();
    let mut buffer = vec![0; 256 * 1024];
    let mut left = size;
    while left > 0 {
        let most = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = member.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hasher.update(&buffer[..read]);
        file.write_all(&buffer[..read])?;
        left -= read as u64;
    }
    file.sync_all()?;
    Ok(hasher.finish())
}

/// Moves what was unpacked and compared into its places.
fn place(from: &Path, index: &Index, scratch: &Path, cache: &Path) -> Result<Imported, Error> {
    let mut imported = Imported::default();
    let mut keys: Vec<&str> = Vec::new();
    // Everything is looked at before anything is moved.
    for (name, file) in &index.files {
        match place_of(name) {
            Some(Place::Package) if *name != format!("{}/{}.deb", store::PACKAGES, file.sha256) => {
                return Err(refused(from, format!("`{name}` is another package")));
            }
            Some(Place::Stored) => {
                let key = name.split('/').nth(1).unwrap_or_default();
                if keys.last() != Some(&key) {
                    keys.push(key);
                    check_entry(from, index, scratch, key)?;
                }
            }
            Some(Place::Verdict) => {
                let path = scratch.join(name);
                remembered::read_entry(&path).map_err(|error| {
                    refused(from, format!("`{name}` holds no evidence: {error}"))
                })?;
            }
            Some(Place::Package) | None => {}
        }
    }
    let store = Store::new(cache);
    for key in keys {
        imported.kernels += 1;
        imported.known += usize::from(!store.take(key, &scratch.join(store::DIR).join(key))?);
    }
    for name in index.files.keys() {
        let count = match place_of(name) {
            Some(Place::Package) => &mut imported.packages,
            Some(Place::Verdict) => &mut imported.verdicts,
            _ => continue,
        };
        *count += 1;
        let to = cache.join(name);
        if to.exists() {
            imported.known += 1;
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(Error::on("create", parent))?;
        }
        atomic_file::rename(&scratch.join(name), &to).map_err(Error::on("write", &to))?;
    }
    Ok(imported)
}

/// Whether an entry of the store has its manifest, and all that the manifest names, and no more.
fn check_entry(from: &Path, index: &Index, scratch: &Path, key: &str) -> Result<(), Error> {
    let dir = format!("{}/{key}/", store::DIR);
    let path = scratch.join(&dir).join(MANIFEST);
    let manifest = fs::read(&path)
        .ok()
        .and_then(|text| serde_json::from_slice::<store::Manifest>(&text).ok());
    let manifest = manifest.ok_or_else(|| {
        refused(
            from,
            format!("`{dir}{MANIFEST}` is not of this version of ukci"),
        )
    })?;
    for (name, stored) in &manifest.files {
        let file = index.files.get(&format!("{dir}{name}"));
        if !file.is_some_and(|file| file.sha256 == stored.sha256 && file.size == stored.size) {
            return Err(refused(
                from,
                format!("`{dir}{name}` is not what its manifest says"),
            ));
        }
    }
    let there = index.files.keys().filter(|name| name.starts_with(&dir));
    if there.count() == manifest.files.len() + 1 {
        Ok(())
    } else {
        Err(refused(
            from,
            format!("`{dir}` has files that its manifest does not name"),
        ))
    }
}
