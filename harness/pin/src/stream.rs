//! The kernels of a stream that an index lists.
//!
//! A stream is what an entry of the lock follows: one suite, one upstream series, one flavor, and
//! the same kinds of packages.

use ukci_harness::package_version;
use ukci_schema::lock::{LockedKernel, Package, Provenance, Role, Verified};

use crate::index::{Index, Listed};

/// The source of an entry that was pinned from a signed index, as the lock names it.
pub(crate) const SOURCE: &str = "index-signed";

/// A package of a kernel: its name before `uname -r`, and what it holds.
pub(crate) type PackageShape<'a> = (&'a str, &'a [Role]);

/// A kernel of which every package is in an index.
pub(crate) struct Candidate<'a> {
    uname: String,
    listed: Vec<&'a Listed>,
}

impl Candidate<'_> {
    /// The version of the package with the image.
    pub(crate) fn version(&self) -> &str {
        self.listed.first().map_or("", |listed| &listed.version)
    }

    /// Where its packages lie below the archive's root.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(|listed| listed.path.as_str())
    }

    /// The entry of the lock that pins it, like `stream` for the rest.
    pub(crate) fn locked(
        &self,
        stream: &LockedKernel,
        shape: &[PackageShape<'_>],
        archive: &str,
        index: &Index,
        suite: &str,
    ) -> LockedKernel {
        let packages = shape.iter().zip(&self.listed);
        let packages = packages.map(|((_, roles), listed)| Package {
            roles: roles.to_vec(),
            name: listed.name.clone(),
            version: listed.version.clone(),
            archive: archive.to_owned(),
            path: listed.path.clone(),
            size: listed.size,
            sha256: listed.sha256.clone(),
        });
        LockedKernel {
            uname: self.uname.clone(),
            packages: packages.collect(),
            provenance: Provenance {
                source: SOURCE.to_owned(),
                date: index.date.clone(),
                inrelease: [(suite.to_owned(), index.inrelease.clone())].into(),
                suite: suite.to_owned(),
            },
            verified: Verified::Metadata,
            verified_on: Some(crate::listing::today()),
            ..stream.clone()
        }
    }
}

/// The kernels of a stream's series, flavour and architecture that an index has whole, oldest
/// first.
pub(crate) fn of_stream<'a>(
    stream: &LockedKernel,
    shape: &[PackageShape<'_>],
    index: &'a Index,
) -> Vec<Candidate<'a>> {
    let Some((first, _)) = shape.first() else {
        return Vec::new();
    };
    let candidate = |image: &Listed| {
        let uname = image.name.strip_prefix(first)?;
        let belongs = is_of_flavour(uname, &stream.flavour, stream.arch.debian())
            && is_of_series(&image.version, &stream.series);
        if !belongs {
            return None;
        }
        // An index can list a kernel whose other halves have left already.
        let listed: Vec<&Listed> = shape
            .iter()
            .map(|(prefix, _)| {
                let name = format!("{prefix}{uname}");
                index
                    .packages
                    .iter()
                    .find(|p| p.name == name && p.version == image.version)
            })
            .collect::<Option<_>>()?;
        let uname = uname.to_owned();
        Some(Candidate { uname, listed })
    };
    let mut all: Vec<Candidate<'_>> = index.packages.iter().filter_map(candidate).collect();
    all.sort_by(|a, b| package_version::compare(a.version(), b.version()));
    all
}

/// The flavours that Debian writes behind the architecture: `6.12.117+deb13-arm64-16k`.
const BEHIND: [&str; 1] = ["16k"];

/// Whether a release is `<abi>[-<flavour>]-<arch>`, e.g. `6.1.0-56-cloud-amd64`. An ABI name has
/// no word of its own: `6.1.0-56`, `6.12.117+deb13`, `7.3`.
fn is_of_flavour(uname: &str, flavour: &str, arch: &str) -> bool {
    let (uname, flavour) = if BEHIND.contains(&flavour) {
        let rest = uname.strip_suffix(flavour);
        match rest.and_then(|rest| rest.strip_suffix('-')) {
            Some(rest) => (rest, ""),
            None => return false,
        }
    } else {
        (uname, flavour)
    };
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
pub(crate) fn is_of_series(version: &str, series: &str) -> bool {
    version
        .strip_prefix(series)
        .is_some_and(|rest| rest.starts_with(['.', '-', '~', '+']))
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
            ("6.12.117+deb13-rt-amd64", "rt", true),
            ("6.12.117+deb13-amd64", "16k", false),
            ("6.12.117+deb13-amd64-16k", "16k", true),
            ("6.12.117+deb13-amd64-16k", "", false),
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
            sha256: ukci_harness::catalogue::digest::of(name.as_bytes()),
        }
    }

    fn newest_in(kernel: &LockedKernel, index: &Index) -> Option<LockedKernel> {
        let shape: Vec<PackageShape<'_>> = kernel
            .packages
            .iter()
            .map(|package| Some((package.name.strip_suffix(&kernel.uname)?, &*package.roles)))
            .collect::<Option<_>>()?;
        let newest = of_stream(kernel, &shape, index).pop()?;
        let archive = &kernel.packages.first()?.archive;
        Some(newest.locked(kernel, &shape, archive, index, &kernel.provenance.suite))
    }

    #[test]
    fn the_newest_complete_kernel_of_the_stream_is_found() {
        let lock: LockedKernel = serde_json::from_value(serde_json::json!({
            "name": "debian-sid-7.2", "distro": "debian", "release": "sid", "series": "7.2",
            "arch": "x86_64", "uname": "7.2.13+deb14-amd64", "verified": "metadata",
            "provenance": {"source": "apt-signed", "suite": "sid", "date": "2026-11-21"},
            "packages": [
                {"roles": ["image"], "name": "linux-binary-7.2.13+deb14-amd64", "version": "7.2.13-1",
                 "archive": "debian", "path": "pool/a", "size": 1, "sha256": "a".repeat(64)},
                {"roles": ["modules"], "name": "linux-modules-7.2.13+deb14-amd64", "version": "7.2.13-1",
                 "archive": "debian", "path": "pool/b", "size": 1, "sha256": "b".repeat(64)},
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
