//! Downloads files into the cache: they are resumed, hashed while they arrive, and kept aside if
//! they are wrong.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use ukci_schema::lock::Package;

use super::digest::{self, Hasher};
use super::error::Error;
use crate::atomic_file;
use crate::nix::{StorePath, store_name};

/// A file that is coming, with the digest of what has come.
pub(crate) struct Transfer<'a> {
    path: &'a Path,
    pub(crate) file: File,
    pub(crate) hasher: Hasher,
    pub(crate) have: u64,
}

impl<'a> Transfer<'a> {
    /// Takes up what an earlier attempt, of this process or another, left: at most so many bytes.
    pub(crate) fn resume(path: &'a Path, most: u64) -> Result<Self, Error> {
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(Error::on("create", path))?;
        let mut hasher = Hasher::default();
        let left = file.metadata().map_err(Error::on("read", path))?.len();
        let have = digest::absorb(&mut hasher, &mut (&mut file).take(left))
            .map_err(Error::on("read", path))?;
        let mut transfer = Self {
            path,
            file,
            hasher,
            have,
        };
        if have > most {
            transfer.restart()?;
        }
        Ok(transfer)
    }

    /// Forgets what has come.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        if self.have > 0 {
            self.file
                .set_len(0)
                .map_err(Error::on("truncate", self.path))?;
            self.file
                .seek(SeekFrom::Start(0))
                .map_err(Error::on("truncate", self.path))?;
            (self.hasher, self.have) = (Hasher::default(), 0);
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_all(bytes)
            .map_err(Error::on("write", self.path))?;
        self.hasher.update(bytes);
        self.have += bytes.len() as u64;
        Ok(())
    }
}

/// Largest package of which the lock does not say the size. Those of kernels have some 150 MB.
pub(crate) const MAX_UNKNOWN: u64 = 4 << 30;

/// Whether `path` is the package; false where it is not there.
pub(crate) fn is_intact(path: &Path, package: &Package) -> Result<bool, Error> {
    match fs::metadata(path) {
        Ok(found) if package.size == 0 || found.len() == package.size => {
            let found = digest::of_file(path).map_err(Error::on("read", path))?;
            Ok(found == package.sha256)
        }
        Ok(_) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

/// Whether the package lay in the Nix store, where its digest says, and is at `path` now. Copied,
/// since Nix collects what none of its own roots needs.
pub(crate) fn take_from_nix_store(package: &Package, path: &Path) -> Result<bool, Error> {
    let file_name = package.path.rsplit('/').next().unwrap_or_default();
    let Some(kept) = StorePath::of_file(&store_name(file_name), &package.sha256) else {
        return Ok(false);
    };
    // A mirror has it too, so what is missing or unreadable there is no error.
    if !is_intact(&kept.path(), package).unwrap_or(false) {
        return Ok(false);
    }
    let copy = path.with_extension("copy");
    // Not `fs::copy`, which would make it read-only, as the store's files are.
    File::open(kept.path())
        .and_then(|mut kept| {
            let mut file = File::create(&copy)?;
            io::copy(&mut kept, &mut file)?;
            file.sync_all()
        })
        .map_err(Error::on("write", &copy))?;
    atomic_file::rename(&copy, path).map_err(Error::on("rename", &copy))?;
    Ok(true)
}

/// Moves `file` to the first free `<sha256>.corrupt-N` beside `path`.
pub(crate) fn keep_aside(file: &Path, path: &Path) -> Result<PathBuf, Error> {
    let mut number = 1_u32;
    let kept = loop {
        let kept = path.with_extension(format!("corrupt-{number}"));
        if !kept.exists() {
            break kept;
        }
        number += 1;
    };
    fs::rename(file, &kept).map_err(Error::on("rename", file))?;
    Ok(kept)
}
