//! The door of the fuzz targets in `fuzz/`: readers of foreign bytes that are private to this crate.
//! It is there only with the feature `fuzzing` and promises nothing to anyone else.

use std::path::PathBuf;

use ukci_harness::package_version;

use crate::keyring::Keyrings;
use crate::listing::Listing;
use crate::{apkindex, index, pacman, repomd, rpm_signature, uname};

/// The paths below an archive's root and the versions of the packages that an index lists.
pub type Listed = Vec<(String, String)>;

/// The packages of `Packages`, of which a text with fields like those of `InRelease` comes first.
pub fn deb(release: &str, packages: &str, wanted: &str) -> Listed {
    let listed = index::listed_in(release, packages, wanted).into_iter();
    listed.map(|listed| (listed.path, listed.version)).collect()
}

/// The packages of a repository of RPMs. The list is found for every name.
pub fn rpm_md(repomd: &[u8], primary: &[u8], names: &[&str]) -> Result<Listed, String> {
    let get = |_: &str, _: u64| Ok(primary.to_vec());
    repomd::list(repomd, "os", names, "x86_64", &get).map(paths)
}

/// The packages of `primary.xml`, whose name ends as its compression says.
pub fn primary(name: &str, bytes: &[u8], names: &[&str]) -> Result<Listed, String> {
    let entries = repomd::packages(name, bytes, "os", names, "x86_64")?;
    let entries = entries.into_iter();
    Ok(entries.map(|entry| (entry.path, entry.version)).collect())
}

/// The packages of a database of pacman.
pub fn pacman(database: &[u8], names: &[&str]) -> Result<Listed, String> {
    pacman::list(database, "core/os", names).map(paths)
}

/// The packages of an index of Alpine, which nobody signed.
pub fn apk(bytes: &[u8], names: &[&str]) -> Result<Listed, String> {
    apkindex::list_unsigned(bytes, "main", names).map(paths)
}

/// Reads a package of Alpine, which no index names, and an index, which no key signed.
pub fn apk_signatures(bytes: &[u8]) -> [Result<(), String>; 2] {
    [
        apkindex::list(bytes, "main", &[], &[]).map(drop),
        apkindex::check(bytes, &[0; 20]),
    ]
}

/// The text of a message that the keys of a file signed.
pub fn signed_text(keys: PathBuf, message: &[u8]) -> Result<String, String> {
    Keyrings::only(vec![keys]).verified_text(message)
}

/// Whether the keys of a file made this signature of nothing.
pub fn detached(keys: PathBuf, signature: &[u8]) -> Result<(), String> {
    Keyrings::only(vec![keys]).verify(signature, b"")
}

/// Whether the keys of a file signed a package of RPM.
pub fn rpm(keys: PathBuf, package: &[u8]) -> Result<(), String> {
    rpm_signature::verify(package, &Keyrings::only(vec![keys]))
}

/// What is read of two versions: how they compare, their series, and `uname -r`.
pub fn versions(one: &str, other: &str) -> (std::cmp::Ordering, Option<String>, String) {
    let pattern = "{version}-{release}{build}{kernel}.{arch}";
    (
        package_version::compare(one, other),
        uname::series(one),
        uname::of(pattern, one, other, "x86_64"),
    )
}

fn paths(listing: Listing) -> Listed {
    let entries = listing.packages.into_iter();
    entries.map(|entry| (entry.path, entry.version)).collect()
}
