//! Arch Linux's repositories: `core.db`, an archive of one directory per package. It is not signed;
//! the packages are.

use std::io::Read;

use ukci_harness::catalogue::digest;
use ukci_harness::compression::Compression;

use crate::listing::{self, Digest, Entry, Listing};

/// Largest database as it is compressed; that of `extra` has 9 MB.
pub(crate) const MAX_DATABASE: u64 = 64 << 20;
/// Largest description of a package.
const MAX_DESCRIPTION: u64 = 1 << 20;

/// The packages of these names in the database. `base` is its directory.
pub(crate) fn list(database: &[u8], base: &str, names: &[&str]) -> Result<Listing, String> {
    let damaged = |error: std::io::Error| format!("it is damaged: {error}");
    // Its compression is the repository's choice, and its name does not say which.
    let compression = Compression::of(database);
    let Some(ending) = compression.and_then(Compression::ending) else {
        return Err("it is not a database of pacman".to_owned());
    };
    let mut tar = tar::Archive::new(listing::unpacked(ending, database)?);
    let (mut packages, mut newest) = (Vec::new(), 0);
    for entry in tar.entries().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        if !entry.path_bytes().ends_with(b"/desc") {
            continue;
        }
        let mut text = Vec::new();
        let read = entry.take(MAX_DESCRIPTION + 1).read_to_end(&mut text);
        if read.map_err(damaged)? as u64 > MAX_DESCRIPTION {
            return Err("a description of a package is larger than 1 MiB".to_owned());
        }
        let text = String::from_utf8_lossy(&text);
        let field = |name: &str| {
            let mut lines = text.lines();
            lines.find(|line| *line == format!("%{name}%"))?;
            lines.next()
        };
        let built = field("BUILDDATE").and_then(|time| time.parse().ok());
        newest = newest.max(built.unwrap_or(0));
        let Some(name) = field("NAME").filter(|name| names.contains(name)) else {
            continue;
        };
        let missing = |what: &str| format!("`{name}` is listed without a {what}");
        let version = field("VERSION").ok_or_else(|| missing("version"))?;
        let sha256 = field("SHA256SUM").filter(|text| listing::is_hex(text, 64));
        let file = field("FILENAME").ok_or_else(|| missing("file"))?;
        let path = listing::resolve(base, file).filter(|_| !file.contains('/'));
        let (version, release) = version.rsplit_once('-').unwrap_or((version, ""));
        packages.push(Entry {
            name: name.to_owned(),
            version: version.to_owned(),
            release: release.to_owned(),
            path: path.ok_or_else(|| missing("sound path"))?,
            size: field("CSIZE")
                .and_then(|size| size.parse().ok())
                .unwrap_or(0),
            digest: Digest::Sha256(sha256.ok_or_else(|| missing("digest"))?.to_owned()),
        });
    }
    Ok(Listing {
        packages,
        date: listing::day(newest),
        root: digest::of(database),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn database(description: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_path("linux-6.18.7.arch1-1/desc").unwrap();
        header.set_size(description.len() as u64);
        header.set_cksum();
        tar.append(&header, description.as_bytes()).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&tar.into_inner().unwrap()).unwrap();
        gz.finish().unwrap()
    }

    #[test]
    fn a_database_is_read_and_a_path_out_of_it_is_refused() {
        let description = |file: &str| {
            let sha256 = "ab".repeat(32);
            format!(
                "%FILENAME%\n{file}\n\n%NAME%\nlinux\n\n%VERSION%\n6.18.7.arch1-1\n\n%CSIZE%\n9\n\n\
                 %SHA256SUM%\n{sha256}\n\n%BUILDDATE%\n1764000000\n\n"
            )
        };
        let file = "linux-6.18.7.arch1-1-x86_64.pkg.tar.zst";
        let list = |file: &str| list(&database(&description(file)), "core/os/x86_64", &["linux"]);
        let listing = list(file).unwrap();
        assert_eq!(listing.date, "2025-11-24");
        let [entry] = listing.packages.as_slice() else {
            panic!("{listing:?}")
        };
        assert_eq!(entry.path, format!("core/os/x86_64/{file}"));
        assert_eq!(entry.full_version(), "6.18.7.arch1-1");
        assert_eq!(
            list("../../x").unwrap_err(),
            "`linux` is listed without a sound path"
        );
        assert!(super::list(b"<html>", "", &["linux"]).is_err());
    }
}
