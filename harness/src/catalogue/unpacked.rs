//! Makes boot files in a directory of the caller from local files, without network, store or lock.
//! Nix derivations use this. The files are the same as those of a store entry.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, Package};
use ukci_schema::plan::PlannedKernel;

use super::store::{Contents, Entry, Store, StoredPackage};
use super::{bootfiles, digest, own};
use crate::catalogue::Error;

/// Makes the boot files of a locked kernel in `out`, which is created. `files` are its packages,
/// in any order and under any name: the lock's digests tell which is which.
pub fn unpack(kernel: &LockedKernel, files: &[PathBuf], out: &Path) -> Result<(), Error> {
    let mut digests = BTreeMap::new();
    for path in files {
        let found = digest::of_file(path).map_err(Error::on("read", path))?;
        digests.insert(found, path.clone());
    }
    let packages: Vec<PathBuf> = (kernel.packages.iter())
        .map(|package| find(package, &kernel.uname, &digests, files))
        .collect::<Result<_, Error>>()?;
    let mut found = bootfiles::unpack(&packages, &kernel.uname)?;
    let image = bootfiles::image(&mut found, kernel.arch, &kernel.uname, &packages)?;
    let stored = kernel.packages.iter().map(|package| {
        let stored = StoredPackage {
            sha256: package.sha256.clone(),
            // Not where it lay: the result must not depend on that.
            path: package.path.clone().into(),
        };
        (package.name.clone(), stored)
    });
    fill(out, found.contents(image, kernel.arch, stored.collect()))
}

/// The file with the digest that the lock pins.
fn find(
    package: &Package,
    release: &str,
    digests: &BTreeMap<String, PathBuf>,
    files: &[PathBuf],
) -> Result<PathBuf, Error> {
    digests
        .get(&package.sha256)
        .cloned()
        .ok_or_else(|| Error::Missing {
            release: release.to_owned(),
            what: format!("`{}` with SHA-256 {}", package.name, package.sha256),
            within: files.to_vec(),
        })
}

/// Makes the boot files of a kernel image and directories with its modules in `out`, which is
/// created. Returns what may not be meant.
pub fn unpack_own(
    image: &Path,
    modules: &[PathBuf],
    arch: Arch,
    out: &Path,
) -> Result<Vec<String>, Error> {
    let mut own = own::read(image, modules, arch)?;
    let warnings = std::mem::take(&mut own.warnings);
    fill(out, own.into_contents()?)?;
    Ok(warnings)
}

fn fill(out: &Path, contents: Contents) -> Result<(), Error> {
    fs::create_dir(out).map_err(Error::on("create", out))?;
    Store::fill(out, contents)?;
    Ok(())
}

/// The kernel in a directory that [`unpack`] or [`unpack_own`] filled.
pub fn open(name: &str, dir: &Path, hermetic: bool) -> Result<PlannedKernel, Error> {
    let entry = Entry::open(dir.to_owned()).ok_or_else(|| Error::Io {
        action: "read the boot files in",
        path: dir.to_owned(),
        source: std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            "they are not all there, or another version of ukci made them",
        ),
    })?;
    Ok(super::plan(name, &entry, hermetic, Vec::new()).kernel)
}
