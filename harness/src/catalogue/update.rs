//! The newest kernel of a stream: what stands in for a pinned one that is gone.
//!
//! A stream is what an entry of the lock follows: one suite, one upstream series, one flavour, and
//! the same kinds of packages.

use std::io::Write;
use std::path::Path;

use ukci_schema::lock::{LockedKernel, Package, Provenance, Verified};

use super::error::Error;
use super::index::{self, Index, Listed, Suite};
use super::keyring::Keyrings;
use super::mirror::Mirrors;
use super::version;

/// The newest kernel of the stream of `kernel`, by its suite's signed index.
pub(crate) fn newest(
    kernel: &LockedKernel,
    mirrors: &Mirrors,
    keyrings: &Keyrings,
) -> Result<LockedKernel, Error> {
    let archive = kernel
        .packages
        .first()
        .map_or("debian", |package| &package.archive);
    let suite = Suite {
        archive,
        name: &kernel.provenance.suite,
        arch: kernel.arch.debian(),
    };
    let index = index::open(suite, mirrors, keyrings)?;
    newest_in(kernel, &index).ok_or_else(|| Error::Index {
        suite: kernel.provenance.suite.clone(),
        reason: format!("it has no {} kernel for `{}`", kernel.series, kernel.name),
    })
}

fn newest_in(kernel: &LockedKernel, index: &Index) -> Option<LockedKernel> {
    // `linux-image-`, or `linux-binary-`, `linux-modules-`, `linux-base-`.
    let prefixes: Vec<&str> = kernel
        .packages
        .iter()
        .map(|package| package.name.strip_suffix(&kernel.uname))
        .collect::<Option<_>>()?;
    let first = prefixes.first()?;
    let candidate = |image: &Listed| {
        let uname = image.name.strip_prefix(first)?;
        let belongs = is_of_flavour(uname, &kernel.flavour, kernel.arch.debian())
            && is_of_series(&image.version, &kernel.series);
        if !belongs {
            return None;
        }
        // An index can list a kernel whose other halves have left already.
        let listed: Vec<&Listed> = prefixes
            .iter()
            .map(|prefix| {
                let name = format!("{prefix}{uname}");
                index
                    .packages
                    .iter()
                    .find(|p| p.name == name && p.version == image.version)
            })
            .collect::<Option<_>>()?;
        Some((uname.to_owned(), listed))
    };
    let (uname, listed) = index
        .packages
        .iter()
        .filter_map(candidate)
        .max_by(|(_, a), (_, b)| version::compare(&a[0].version, &b[0].version))?;
    let packages = kernel
        .packages
        .iter()
        .zip(listed)
        .map(|(pinned, listed)| Package {
            roles: pinned.roles.clone(),
            name: listed.name.clone(),
            version: listed.version.clone(),
            archive: pinned.archive.clone(),
            path: listed.path.clone(),
            size: listed.size,
            sha256: listed.sha256.clone(),
        })
        .collect();
    let suite = kernel.provenance.suite.clone();
    Some(LockedKernel {
        uname,
        packages,
        provenance: Provenance {
            source: "index-signed".to_owned(),
            date: index.date.clone(),
            inrelease: [(suite.clone(), index.inrelease.clone())].into(),
            suite,
        },
        verified: Verified::Metadata,
        ..kernel.clone()
    })
}

/// Whether a release is `<abi>[-<flavour>]-<arch>`, e.g. `6.1.0-56-cloud-amd64`. An ABI name has
/// no word of its own: `6.1.0-56`, `6.12.117+deb13`, `7.3`.
fn is_of_flavour(uname: &str, flavour: &str, arch: &str) -> bool {
    let abi = uname
        .strip_suffix(arch)
        .and_then(|rest| rest.strip_suffix('-'));
    let abi = match (abi, flavour) {
        (Some(abi), "") => Some(abi),
        (Some(abi), flavour) => abi
            .strip_suffix(flavour)
            .and_then(|rest| rest.strip_suffix('-')),
        (None, _) => None,
    };
    abi.is_some_and(|abi| {
        abi.split('-')
            .all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
    })
}

/// Whether `6.1.192-2` or `7.3~rc7-1~exp1` is of the series `6.1` or `7.3`.
fn is_of_series(version: &str, series: &str) -> bool {
    version
        .strip_prefix(series)
        .is_some_and(|rest| rest.starts_with(['.', '-', '~', '+']))
}

/// Notes that `newest` stands in for the pinned kernel of this key, so that the next run finds it
/// without asking a mirror.
pub(crate) fn remember(dir: &Path, key: &str, newest: &LockedKernel) -> Result<(), Error> {
    let path = dir.join(format!("{key}.json"));
    std::fs::create_dir_all(dir).map_err(Error::on("create", dir))?;
    let text = serde_json::to_vec_pretty(newest)
        .map_err(|error| Error::io("write", &path, error.into()))?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(Error::on("create", dir))?;
    file.write_all(&text).map_err(Error::on("write", &path))?;
    file.persist(&path)
        .map_err(|error| Error::io("rename", &path, error.error))?;
    Ok(())
}

/// What [`remember`] noted.
pub(crate) fn recall(dir: &Path, key: &str) -> Option<LockedKernel> {
    serde_json::from_slice(&std::fs::read(dir.join(format!("{key}.json"))).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flavours_are_told_apart() {
        for (uname, flavour, is) in [
            ("6.1.0-56-amd64", "", true),
            ("6.1.0-56-cloud-amd64", "", false),
            ("6.1.0-56-cloud-amd64", "cloud", true),
            ("6.1.0-56-rt-amd64", "", false),
            ("6.1.0-56-amd64-dbg", "", false),
            ("6.1.0-0.deb11.48-amd64", "", true),
            ("6.12.117+deb13-amd64", "", true),
            ("7.3-cloud-amd64", "cloud", true),
            ("cloud-amd64", "cloud", false),
            ("amd64", "", false),
            ("6.12-amd64-unsigned", "", false),
        ] {
            assert_eq!(
                is_of_flavour(uname, flavour, "amd64"),
                is,
                "{uname} {flavour}"
            );
        }
    }

    #[test]
    fn a_series_ends_where_its_number_ends() {
        assert!(is_of_series("6.1.192-2", "6.1"));
        assert!(is_of_series("7.3~rc7-1~exp1", "7.3"));
        assert!(!is_of_series("6.12.117-1", "6.1"));
        assert!(!is_of_series("16.1-1", "6.1"));
    }

    fn listed(name: &str, version: &str) -> Listed {
        Listed {
            name: name.into(),
            version: version.into(),
            path: format!("pool/{name}_{version}.deb"),
            size: 1,
            sha256: super::super::digest::of(name.as_bytes()),
        }
    }

    #[test]
    fn the_newest_complete_kernel_of_the_stream_is_found() {
        let lock: LockedKernel = serde_json::from_value(serde_json::json!({
            "name": "debian-sid-7.2", "distro": "debian", "release": "sid", "series": "7.2",
            "arch": "x86_64", "uname": "7.2.13+deb14-amd64", "verified": "metadata",
            "provenance": {"source": "apt-signed", "suite": "sid", "date": "2026-11-21"},
            "packages": [
                {"roles": ["image"], "name": "linux-binary-7.2.13+deb14-amd64", "version": "7.2.13-1",
                 "archive": "debian", "path": "pool/a", "size": 1, "sha256": "a"},
                {"roles": ["modules"], "name": "linux-modules-7.2.13+deb14-amd64", "version": "7.2.13-1",
                 "archive": "debian", "path": "pool/b", "size": 1, "sha256": "b"},
            ],
        }))
        .unwrap();
        let mut packages = vec![
            listed("linux-binary-7.2.9+deb14-amd64", "7.2.9-1"),
            listed("linux-modules-7.2.9+deb14-amd64", "7.2.9-1"),
            listed("linux-binary-7.2.14+deb14-amd64", "7.2.14-1"),
            listed("linux-modules-7.2.14+deb14-amd64", "7.2.14-1"),
            listed("linux-binary-7.2.15+deb14-cloud-amd64", "7.2.15-1"),
            listed("linux-modules-7.2.15+deb14-cloud-amd64", "7.2.15-1"),
            // Its modules are not there yet.
            listed("linux-binary-7.2.16+deb14-amd64", "7.2.16-1"),
            listed("linux-modules-7.2.16+deb14-amd64", "7.2.16-2"),
            listed("linux-binary-7.3.1+deb14-amd64", "7.3.1-1"),
            listed("linux-modules-7.3.1+deb14-amd64", "7.3.1-1"),
        ];
        let index = |packages| Index {
            packages,
            date: "2026-12-01".into(),
            inrelease: "digest".into(),
        };
        let newest = newest_in(&lock, &index(packages.clone())).unwrap();
        assert_eq!(newest.uname, "7.2.14+deb14-amd64");
        assert_eq!(newest.name, lock.name);
        let names: Vec<_> = newest
            .packages
            .iter()
            .map(|p| (p.name.as_str(), &p.roles))
            .collect();
        assert_eq!(
            names,
            [
                ("linux-binary-7.2.14+deb14-amd64", &lock.packages[0].roles),
                ("linux-modules-7.2.14+deb14-amd64", &lock.packages[1].roles),
            ]
        );
        packages.truncate(0);
        assert_eq!(newest_in(&lock, &index(packages)), None);
    }
}
