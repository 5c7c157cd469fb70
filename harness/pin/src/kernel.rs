//! A kernel's first entry in the lock, from its name alone: `debian-12-6.1-cloud` says which
//! suites to look in, and for what.
//!
//! The newest kernel wins of which a mirror still has every package: an index can name files that
//! have left the pool (that of bullseye-security did, for arm64).

use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, Provenance, Role, Verified};

use ukci_harness::catalogue::http;
use ukci_harness::catalogue::mirror::Mirrors;
use ukci_harness::package_version;

use crate::error::Error;
use crate::index::{self, Index, Suite};
use crate::keyring::Keyrings;
use crate::stream::{PackageShape, SOURCE, is_of_series, of_stream};

/// Debian's releases by number, with their names.
const RELEASES: [(&str, &str); 3] = [("11", "bullseye"), ("12", "bookworm"), ("13", "trixie")];

/// Releases whose name is their suite's.
const SUITES: [&str; 2] = ["sid", "experimental"];

/// Releases whose backports have left the mirrors.
const WITHOUT_BACKPORTS: [&str; 1] = ["11"];

/// How Debian has packaged kernels, newest first: in halves since 6.19, where a `linux-image-` of
/// 2 kB only names them; as one package before.
const SHAPES: [&[PackageShape<'_>]; 2] = [
    &[
        ("linux-binary-", &[Role::Image]),
        ("linux-modules-", &[Role::Modules]),
        ("linux-base-", &[Role::Config]),
    ],
    &[("linux-image-", &[Role::Image, Role::Modules, Role::Config])],
];

/// How the package begins that was the whole kernel once.
const SHELL: &str = "linux-image-";

/// An entry without packages: what `name` says of a stream.
fn stream(name: &str, arch: Arch) -> Result<LockedKernel, Error> {
    let not_one = || Error::NotAStream(name.to_owned());
    let rest = name.strip_prefix("debian-").ok_or_else(not_one)?;
    let (release, rest) = rest.split_once('-').ok_or_else(not_one)?;
    let (series, flavour) = rest.split_once('-').unwrap_or((rest, ""));
    let is_series = series.split_once('.').is_some_and(|(major, minor)| {
        let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        number(major) && number(minor)
    });
    if !is_series || suites(release).is_empty() {
        return Err(not_one());
    }
    Ok(LockedKernel {
        name: name.to_owned(),
        distro: "debian".to_owned(),
        release: release.to_owned(),
        series: series.to_owned(),
        flavour: flavour.to_owned(),
        arch,
        uname: String::new(),
        packages: Vec::new(),
        provenance: Provenance {
            source: String::new(),
            suite: String::new(),
            date: String::new(),
            inrelease: std::collections::BTreeMap::new(),
        },
        verified: Verified::Never,
        verified_on: None,
    })
}

/// The suites of a release, each with its archive; none for a release that is not known.
fn suites(release: &str) -> Vec<(&'static str, String)> {
    if SUITES.contains(&release) {
        return vec![("debian", release.to_owned())];
    }
    let name = RELEASES.iter().find(|(number, _)| *number == release);
    name.map_or_else(Vec::new, |(_, name)| {
        let mut suites = vec![
            ("debian-security", format!("{name}-security")),
            ("debian", (*name).to_owned()),
        ];
        if !WITHOUT_BACKPORTS.contains(&release) {
            suites.push(("debian", format!("{name}-backports")));
        }
        suites
    })
}

/// The kernel's image alone: the mirrors keep it longer than the other halves.
const IMAGE_ONLY: &[PackageShape<'_>] = &[("linux-binary-", &[Role::Image])];

/// How many kernels of a name are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The newest of which a mirror has every package.
    Newest,
    /// Every version that an index lists and a mirror has, even if it has only the image.
    All,
}

/// The kernels that `name` stands for, oldest first, by the signed indices of its suites or of `only`
/// one.
///
/// A suite whose index cannot be read is an error: a shorter list must not pass for the whole. So
/// is an index that is older than the one from which `known`, the lock's entry, was pinned.
pub(crate) fn pin(
    name: &str,
    arch: Arch,
    only: Option<&str>,
    known: Option<&LockedKernel>,
    wanted: Wanted,
    mirrors: &Mirrors,
    keyrings: &Keyrings,
) -> Result<Vec<LockedKernel>, Error> {
    let stream = stream(name, arch)?;
    let (mut pins, mut looked): (Vec<LockedKernel>, Vec<String>) = (Vec::new(), Vec::new());
    let mut suites = suites(&stream.release);
    if let Some(only) = only {
        let all: Vec<String> = suites.iter().map(|(_, suite)| suite.clone()).collect();
        suites.retain(|(_, suite)| suite == only);
        if suites.is_empty() {
            return Err(Error::NoSuite {
                kernel: name.to_owned(),
                suite: only.to_owned(),
                suites: all,
            });
        }
    }
    for (archive, suite) in suites {
        let index = index::open(
            Suite {
                archive,
                name: &suite,
                arch: arch.debian(),
                wanted: index::KERNELS,
            },
            mirrors,
            keyrings,
        )?;
        refuse_rollback(&suite, &index, known)?;
        let has = |path: &str| on_a_mirror(path, archive, mirrors);
        let (found, gone) = at_hand(&stream, archive, &suite, &index, wanted, &has)?;
        looked.push(if gone.is_empty() {
            suite
        } else {
            format!("{suite} (no mirror has {} any more)", gone.join(", "))
        });
        pins.extend(found);
    }
    // Of suites that have the same kernel, the first one is named.
    pins.sort_by(package_version::of_kernels);
    pins.dedup_by(|other, first| other.has_bytes_of(first));
    if pins.is_empty() {
        return Err(Error::NoKernel {
            kernel: name.to_owned(),
            arch,
            suites: looked,
        });
    }
    if wanted == Wanted::Newest {
        pins.drain(..pins.len() - 1);
    }
    Ok(pins)
}

/// Refuses an index that is older than the one that `known` was pinned from.
fn refuse_rollback(suite: &str, index: &Index, known: Option<&LockedKernel>) -> Result<(), Error> {
    // The date of an entry that came another way is not that of an index.
    let pinned =
        known.filter(|known| known.provenance.suite == suite && known.provenance.source == SOURCE);
    match pinned.map(|known| known.provenance.date.clone()) {
        // Days as `YYYY-MM-DD` sort as text.
        Some(pinned) if index.date < pinned => Err(Error::RolledBack {
            suite: suite.to_owned(),
            found: index.date.clone(),
            pinned,
        }),
        _ => Ok(()),
    }
}

/// The kernels of an index of which every package is there, newest first, and the versions that are
/// not.
fn at_hand(
    stream: &LockedKernel,
    archive: &str,
    suite: &str,
    index: &Index,
    wanted: Wanted,
    has: &dyn Fn(&str) -> Result<bool, Error>,
) -> Result<(Vec<LockedKernel>, Vec<String>), Error> {
    let (mut found, mut gone): (Vec<LockedKernel>, Vec<String>) = (Vec::new(), Vec::new());
    let images = match wanted {
        Wanted::Newest => None,
        Wanted::All => Some(IMAGE_ONLY),
    };
    for shape in SHAPES.into_iter().chain(images) {
        // Where a series comes in halves, its `linux-image-` is an empty shell.
        if shape[0].0 == SHELL && is_halved(stream, index) {
            continue;
        }
        for candidate in of_stream(stream, shape, index).iter().rev() {
            if found
                .iter()
                .any(|whole| whole.version() == candidate.version())
            {
                continue;
            }
            let mut complete = true;
            for path in candidate.paths() {
                complete &= has(path)?;
            }
            if !complete {
                gone.push(candidate.version().to_owned());
                continue;
            }
            found.push(candidate.locked(stream, shape, archive, index, suite));
            if wanted == Wanted::Newest {
                return Ok((found, gone));
            }
        }
    }
    Ok((found, gone))
}

/// Whether a series comes in halves.
fn is_halved(stream: &LockedKernel, index: &Index) -> bool {
    let is_half = |package: &index::Listed| {
        package.name.starts_with(SHAPES[0][0].0) && is_of_series(&package.version, &stream.series)
    };
    index.packages.iter().any(is_half)
}

/// Whether a mirror still has the file.
pub(crate) fn on_a_mirror(path: &str, archive: &str, mirrors: &Mirrors) -> Result<bool, Error> {
    let client = http::client();
    let mut tried = Vec::new();
    for root in mirrors.current(archive)? {
        let url = format!("{root}/{path}");
        match http::exists(&client, &url) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(reason) => tried.push(format!("{url}: {reason}")),
        }
    }
    if tried.is_empty() {
        return Ok(false);
    }
    Err(Error::Fetch {
        what: format!("`{path}`"),
        tried,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::Listed;

    fn index(names: &[(&str, &str)]) -> Index {
        let listed = |(name, version): &(&str, &str)| Listed {
            name: (*name).into(),
            version: (*version).into(),
            path: format!("pool/{name}_{version}.deb"),
            size: 1,
            sha256: ukci_harness::catalogue::digest::of(name.as_bytes()),
        };
        Index {
            packages: names.iter().map(listed).collect(),
            date: "2026-12-01".into(),
            inrelease: "digest".into(),
        }
    }

    fn found(name: &str, arch: Arch, index: &Index, gone: &str) -> (Option<String>, Vec<String>) {
        let stream = stream(name, arch).unwrap();
        let has = |path: &str| Ok(gone.is_empty() || !path.contains(gone));
        let (kernels, gone) =
            at_hand(&stream, "debian", "suite", index, Wanted::Newest, &has).unwrap();
        let kernel = kernels.into_iter().next();
        let words = |kernel: LockedKernel| {
            let names: Vec<&str> = kernel.packages.iter().map(|p| p.name.as_str()).collect();
            format!("{}: {}", kernel.uname, names.join(" "))
        };
        (kernel.map(words), gone)
    }

    #[test]
    fn names_say_where_to_look_and_for_what() {
        let kernel = stream("debian-12-6.1-cloud", Arch::Aarch64).unwrap();
        assert_eq!((&*kernel.series, &*kernel.flavour), ("6.1", "cloud"));
        assert_eq!(stream("debian-sid-7.2", Arch::Riscv64).unwrap().flavour, "");
        assert_eq!(
            suites("13"),
            [
                ("debian-security", "trixie-security".to_owned()),
                ("debian", "trixie".to_owned()),
                ("debian", "trixie-backports".to_owned())
            ]
        );
        for wrong in [
            "debian-12",
            "debian-12-cloud",
            "debian-9-4.9",
            "ubuntu-24-6.8",
            "x",
        ] {
            assert!(stream(wrong, Arch::X86_64).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_left_the_pool_is_passed_over() {
        let index = index(&[
            ("linux-image-5.10.0-32-cloud-arm64", "5.10.223-1"),
            ("linux-image-5.10.0-46-cloud-arm64", "5.10.262-1"),
            ("linux-image-5.10.0-46-arm64", "5.10.262-1"),
            ("linux-image-5.10.0-46-cloud-arm64-dbg", "5.10.262-1"),
        ]);
        let name = "debian-11-5.10-cloud";
        let whole = found(name, Arch::Aarch64, &index, "");
        let newest = "5.10.0-46-cloud-arm64: linux-image-5.10.0-46-cloud-arm64";
        assert_eq!(whole, (Some(newest.into()), Vec::new()));
        let older = "5.10.0-32-cloud-arm64: linux-image-5.10.0-32-cloud-arm64";
        assert_eq!(
            found(name, Arch::Aarch64, &index, "5.10.262"),
            (Some(older.into()), vec!["5.10.262-1".into()])
        );
        assert_eq!(found(name, Arch::X86_64, &index, ""), (None, Vec::new()));
    }

    #[test]
    fn a_kernel_in_halves_is_never_its_empty_shell() {
        let mut names = vec![
            ("linux-image-7.2.13+deb14-riscv64", "7.2.13-1"),
            ("linux-binary-7.2.13+deb14-riscv64", "7.2.13-1"),
            ("linux-modules-7.2.13+deb14-riscv64", "7.2.13-1"),
            ("linux-base-7.2.13+deb14-riscv64", "7.2.13-1"),
        ];
        let (kernel, _) = found("debian-sid-7.2", Arch::Riscv64, &index(&names), "");
        insta::assert_snapshot!(kernel.unwrap(), @"7.2.13+deb14-riscv64: linux-binary-7.2.13+deb14-riscv64 linux-modules-7.2.13+deb14-riscv64 linux-base-7.2.13+deb14-riscv64");
        // Its modules have left.
        names.remove(2);
        let (kernel, _) = found("debian-sid-7.2", Arch::Riscv64, &index(&names), "");
        assert_eq!(kernel, None);
    }

    #[test]
    fn every_version_that_is_there_is_pinned_and_an_image_alone_is_better_than_nothing() {
        let names = |release: &str, prefixes: &[&str]| -> Vec<(String, String)> {
            let name = |prefix: &&str| format!("{prefix}{release}+deb13-cloud-amd64");
            let version = format!("{release}-1~bpo13+1");
            prefixes
                .iter()
                .map(name)
                .map(|name| (name, version.clone()))
                .collect()
        };
        let halves = ["linux-binary-", "linux-modules-", "linux-base-", SHELL];
        let listed: Vec<(String, String)> = [
            names("7.2.9", &halves),
            names("7.2.6", &["linux-binary-", SHELL]),
            names("7.2.12", &halves),
            names("7.1.8", &halves),
        ]
        .concat();
        let listed: Vec<(&str, &str)> = (listed.iter())
            .map(|(name, version)| (name.as_str(), version.as_str()))
            .collect();
        let stream = stream("debian-13-7.2-cloud", Arch::X86_64).unwrap();
        let has = |path: &str| Ok(!path.contains("linux-base-7.2.12"));
        let all = at_hand(&stream, "debian", "s", &index(&listed), Wanted::All, &has);
        let (found, gone) = all.unwrap();
        let found: Vec<(&str, bool)> = (found.iter())
            .map(|kernel| (kernel.version(), kernel.is_whole()))
            .collect();
        // The base of the newest has left the pool.
        assert_eq!(
            found,
            [
                ("7.2.9-1~bpo13+1", true),
                ("7.2.12-1~bpo13+1", false),
                ("7.2.6-1~bpo13+1", false)
            ]
        );
        assert_eq!(gone, ["7.2.12-1~bpo13+1"]);
    }
}
