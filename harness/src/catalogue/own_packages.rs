//! User kernels in packages: those of one kernel, which say themselves which one it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ukci_schema::cell::Arch;

use super::bootfiles;
use super::digest::{self, Hasher};
use super::error::Error;
use super::layout::{ImageForm, Place, place};
use super::package;
use super::store::{Contents, StoredPackage};

/// The packages of a kernel that are the user's own.
#[derive(Debug)]
pub(crate) struct OwnPackages {
    paths: Vec<PathBuf>,
    /// By the name of its file, which is what reports call it.
    stored: BTreeMap<String, StoredPackage>,
}

/// Reads the packages of one kernel, to know whether they are those that were unpacked before.
pub(crate) fn packages(paths: &[PathBuf]) -> Result<OwnPackages, Error> {
    let mut stored = BTreeMap::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default();
        let sha256 = digest::of_file(path).map_err(Error::on("read", path))?;
        let path = path.clone();
        stored.insert(
            name.to_string_lossy().into_owned(),
            StoredPackage { sha256, path },
        );
    }
    Ok(OwnPackages {
        paths: paths.to_vec(),
        stored,
    })
}

impl OwnPackages {
    /// The store key.
    pub(crate) fn key(&self, arch: Arch) -> String {
        let mut key = Hasher::default();
        key.field(bootfiles::RECIPE);
        key.field(b"own packages");
        key.field(arch.name().as_bytes());
        for package in self.stored.values() {
            key.field(package.sha256.as_bytes());
        }
        key.finish()
    }

    /// What its store entry is filled with.
    pub(crate) fn into_contents(self, arch: Arch) -> Result<Contents, Error> {
        let release = release(&self.paths)?;
        let mut found = bootfiles::unpack(&self.paths, &release)?;
        let image = bootfiles::image(&mut found, arch, &release, &self.paths)?;
        Ok(found.contents(image, arch, self.stored))
    }
}

/// What `uname -r` says of the kernel in these packages.
pub(super) fn release(packages: &[PathBuf]) -> Result<String, Error> {
    let mut releases = BTreeSet::new();
    for package in packages {
        package::walk(package, &mut |path, _, _| {
            let path = path.strip_prefix("usr/").unwrap_or(path);
            let rest = path.strip_prefix("lib/modules/");
            let release = rest
                .and_then(|rest| rest.split_once('/'))
                .map(|(release, _)| release);
            let release = release.or_else(|| path.strip_prefix("boot/vmlinuz-"));
            // Alpine's image is named for its flavor.
            let is_release = |release: &&str| release.starts_with(|c: char| c.is_ascii_digit());
            releases.extend(release.filter(is_release).map(str::to_owned));
            Ok(())
        })?;
    }
    match releases.pop_first() {
        Some(only) if releases.is_empty() => Ok(only),
        first => Err(Error::NoOneKernel {
            packages: packages.to_vec(),
            releases: first.into_iter().chain(releases).collect(),
        }),
    }
}

/// The image of the kernel in these packages, and the package that has it.
pub(super) fn image(packages: &[PathBuf]) -> Result<(PathBuf, Vec<u8>), Error> {
    let release = release(packages)?;
    let mut found: Option<(ImageForm, PathBuf, Vec<u8>)> = None;
    for package in packages {
        package::walk(package, &mut |path, size, from| {
            if let Some(Place::Image(form)) = place(path, &release)
                && found.as_ref().is_none_or(|(best, ..)| form < *best)
            {
                let bytes = package::read_file(package, path, size, from)?;
                found = Some((form, package.clone(), bytes));
            }
            Ok(())
        })?;
    }
    match found {
        Some((_, path, bytes)) => Ok((path, bytes)),
        None => Err(Error::Missing {
            release,
            what: "kernel image".to_owned(),
            within: packages.to_vec(),
        }),
    }
}
