//! The short names of kernels: `6.1`, `debian-12`, `bookworm`, `sid-cloud`.
//!
//! A short name has up to three parts: a release, a series, and a flavor. It means a kernel if
//! every part fits and no other kernel fits as well. If several kernels fit, the name means those of
//! the series that their releases install: `bookworm-cloud` is not the kernel that Debian 12 took
//! from a later release. If several are left, it means the kernel without a flavor.

use std::collections::BTreeSet;

use ukci_matrix::nearest::nearest;
use ukci_schema::lock::{Lock, LockedKernel, VERSION_MARK, Verified};

use super::Error;
use crate::arch::{Version, kernel_version};
use crate::package_version;

/// Debian's code names for the releases of the lock.
const CODE_NAMES: &[(&str, &str)] = &[
    ("bullseye", "11"),
    ("bookworm", "12"),
    ("trixie", "13"),
    ("unstable", "sid"),
];

/// The releases of Debian whose metapackage `linux-image-<arch>` stays with one series. Kernels of
/// other series come from backports, or were added for long-term support.
const OWN_SERIES: &[(&str, &str)] = &[("11", "5.10"), ("12", "6.1"), ("13", "6.12")];

/// The full name of the kernel that `text` means, among the kernels that `is_there` keeps.
pub fn full_name(
    text: &str,
    lock: &Lock,
    is_there: impl Fn(&str) -> bool,
) -> Result<String, Error> {
    match text.split_once(VERSION_MARK) {
        Some(("", _)) => Err(Error::SeveralKernels(text.to_owned())),
        _ if text.contains(['*', '?']) => Err(Error::SeveralKernels(text.to_owned())),
        None => present_name(text, lock, is_there).map(ToOwned::to_owned),
        Some((name, version)) => {
            // Of some series, only old versions are pinned.
            let name = match lock.versions(name).first() {
                Some(_) => name,
                None => present_name(name, lock, is_there)?,
            };
            version_name(name, version, lock)
        }
    }
}

/// The version of a kernel that is meant: the version of its package, `uname -r`, or the beginning
/// of its version up to a `.`, `-` or `~`.
fn version_name(name: &str, version: &str, lock: &Lock) -> Result<String, Error> {
    let begins = |kernel: &LockedKernel| {
        let rest = kernel.version().strip_prefix(version);
        rest.is_some_and(|rest| rest.starts_with(['.', '-', '~', '+']))
    };
    let is_it =
        |kernel: &LockedKernel| [kernel.version(), kernel.uname.as_str()].contains(&version);
    for fits in [&is_it as &dyn Fn(&LockedKernel) -> bool, &begins] {
        let found: BTreeSet<String> = (lock.versions(name).into_iter())
            .filter(|kernel| fits(kernel))
            .map(LockedKernel::versioned_name)
            .collect();
        match found.len() {
            0 => {}
            1 => return Ok(found.into_iter().collect()),
            _ => {
                return Err(Error::AmbiguousKernel {
                    name: format!("{name}{VERSION_MARK}{version}"),
                    known: quoted(found),
                });
            }
        }
    }
    let known: BTreeSet<&str> = (lock.versions(name).into_iter())
        .map(LockedKernel::version)
        .collect();
    let near = nearest(version, known.iter().copied());
    let near = if near.is_empty() {
        known.into_iter().rev().take(3).collect()
    } else {
        near
    };
    Err(Error::UnknownKernel {
        name: format!("{name}{VERSION_MARK}{version}"),
        near: quoted(
            near.into_iter()
                .map(|near| format!("{name}{VERSION_MARK}{near}")),
        ),
    })
}

fn quoted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    names.into_iter().map(|name| format!("`{name}`")).collect()
}

/// The full name of a kernel that the lock has at present.
fn present_name<'a>(
    text: &str,
    lock: &'a Lock,
    is_there: impl Fn(&str) -> bool,
) -> Result<&'a str, Error> {
    let there = || lock.kernels.iter().filter(|kernel| is_there(&kernel.name));
    if let Some(kernel) = there().find(|kernel| kernel.name == text) {
        return Ok(&kernel.name);
    }
    // A pin that nobody has verified must be named in full.
    let verified = || there().filter(|kernel| is_verified(kernel));
    let fitting: Vec<&LockedKernel> = match Short::parse(text, lock) {
        Some(short) => verified().filter(|kernel| short.fits(kernel)).collect(),
        None => Vec::new(),
    };
    let those = |kept: &dyn Fn(&LockedKernel) -> bool| -> BTreeSet<&str> {
        let kept = fitting.iter().filter(|kernel| kept(kernel));
        kept.map(|kernel| kernel.name.as_str()).collect()
    };
    let names = those(&|_| true);
    let own = those(&is_own);
    let plain = those(&|kernel| is_own(kernel) && kernel.flavour.is_empty());
    for set in [&names, &own, &plain] {
        if let (1, Some(name)) = (set.len(), set.first()) {
            return Ok(name);
        }
    }
    let described = |names: &mut dyn Iterator<Item = &str>| {
        let described = names.map(|name| described(name, lock));
        described.collect::<Vec<String>>()
    };
    if !names.is_empty() {
        return Err(Error::AmbiguousKernel {
            name: text.to_owned(),
            known: described(&mut names.into_iter()),
        });
    }
    let all: BTreeSet<&str> = there().map(|kernel| kernel.name.as_str()).collect();
    let pinned = match older_only(text, lock) {
        older if older.is_empty() => versions(text, lock, &is_there),
        older => older,
    };
    let near = match neighbors(text, verified()) {
        near if near.is_empty() => nearest(text, all.iter().copied()),
        near => near,
    };
    Err(Error::UnknownKernel {
        name: text.to_owned(),
        near: if pinned.is_empty() {
            described(&mut near.into_iter())
        } else {
            quoted(pinned)
        },
    })
}

/// How many pins an answer names.
const SHOWN: usize = 6;

/// The pins of a kernel that the lock has no present one of, newest first: its series has left the
/// mirrors.
fn older_only(name: &str, lock: &Lock) -> Vec<String> {
    if lock.kernels.iter().any(|kernel| kernel.name == name) {
        return Vec::new();
    }
    let older = package_version::newest_first(lock.versions(name));
    let names = older.into_iter().map(LockedKernel::versioned_name);
    names.take(SHOWN).collect()
}

/// The pins of a version that was named without its kernel, such as `6.1.187`.
fn versions(text: &str, lock: &Lock, is_there: impl Fn(&str) -> bool) -> Vec<String> {
    let pins = lock.kernels.iter().chain(&lock.history);
    let of_text = |value: &str| {
        let rest = value.strip_prefix(text);
        // The text may end at a part: a version has digits in it.
        let is_version = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains('.');
        is_version
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '~', '+']))
    };
    let fits = |kernel: &&LockedKernel| {
        is_there(&kernel.name) && (of_text(kernel.version()) || of_text(&kernel.uname))
    };
    let names: BTreeSet<(usize, String)> = (pins.filter(fits))
        .map(|kernel| (kernel.flavour.len(), kernel.versioned_name()))
        .collect();
    names
        .into_iter()
        .map(|(_, name)| name)
        .take(SHOWN)
        .collect()
}

fn is_verified(kernel: &LockedKernel) -> bool {
    kernel.verified != Verified::Never
}

/// Whether the kernel has the series that its release installs, or the release has no such series.
fn is_own(kernel: &LockedKernel) -> bool {
    let own = OWN_SERIES
        .iter()
        .find(|(release, _)| kernel.distro == "debian" && *release == kernel.release);
    own.is_none_or(|(_, series)| *series == kernel.series)
}

/// A kernel's name and what it runs on, for a person.
fn described(name: &str, lock: &Lock) -> String {
    let arches: Vec<&str> = lock.arches(name).iter().map(|arch| arch.name()).collect();
    format!("`{name}` ({})", arches.join(", "))
}

/// The series just below and just above a version that no kernel has, without their flavours.
fn neighbors<'a>(text: &str, there: impl Iterator<Item = &'a LockedKernel>) -> Vec<&'a str> {
    let Some(wanted) = kernel_version(text) else {
        return Vec::new();
    };
    let plain = there.filter(|kernel| kernel.flavour.is_empty());
    let known: BTreeSet<(Version, &str)> = plain
        .filter_map(|kernel| Some((kernel_version(&kernel.series)?, kernel.name.as_str())))
        .collect();
    let below = known.iter().rev().find(|(version, _)| *version < wanted);
    let same = known.iter().find(|(version, _)| *version == wanted);
    let above = known.iter().find(|(version, _)| *version > wanted);
    let around = match same {
        Some(_) => same.into_iter().chain(None),
        None => below.into_iter().chain(above),
    };
    around.map(|(_, name)| *name).collect()
}

/// The parts of a short name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Short<'a> {
    release: Option<&'a str>,
    series: Option<&'a str>,
    flavour: Option<&'a str>,
}

impl<'a> Short<'a> {
    /// None if a part is neither a release, nor a series, nor a flavour of the lock.
    fn parse(text: &'a str, lock: &'a Lock) -> Option<Self> {
        let mut short = Self::default();
        let mut parts = text.split('-').peekable();
        if lock
            .kernels
            .iter()
            .any(|k| Some(&k.distro.as_str()) == parts.peek())
        {
            parts.next();
            // A distribution alone means no kernel in particular.
            parts.peek()?;
        }
        for part in parts {
            let release = CODE_NAMES.iter().find(|(code, _)| *code == part);
            let release = release.map_or(part, |(_, release)| release);
            let has = |value: fn(&LockedKernel) -> &str, part: &str| {
                lock.kernels.iter().any(|kernel| value(kernel) == part)
            };
            let place = if has(|k| &k.release, release) {
                (&mut short.release, release)
            } else if has(|k| &k.series, part) {
                (&mut short.series, part)
            } else if !part.is_empty() && has(|k| &k.flavour, part) {
                (&mut short.flavour, part)
            } else {
                return None;
            };
            if place.0.replace(place.1).is_some() {
                return None;
            }
        }
        Some(short)
    }

    fn fits(&self, kernel: &LockedKernel) -> bool {
        let fits = |wanted: Option<&str>, value: &str| wanted.is_none_or(|wanted| wanted == value);
        fits(self.release, &kernel.release)
            && fits(self.series, &kernel.series)
            && fits(self.flavour, &kernel.flavour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> String {
        let lock: Lock = serde_json::from_str(super::super::LOCK).unwrap();
        match full_name(text, &lock, |_| true) {
            Ok(name) => name,
            Err(error) => format!("{error}; {}", error.hint().unwrap_or_default()),
        }
    }

    #[test]
    fn a_short_name_means_the_only_kernel_that_fits() {
        for (text, name) in [
            ("debian-12-6.1", "debian-12-6.1"),
            ("6.1", "debian-12-6.1"),
            ("6.1-cloud", "debian-12-6.1-cloud"),
            ("debian-12", "debian-12-6.1"),
            ("bookworm", "debian-12-6.1"),
            ("bookworm-cloud", "debian-12-6.1-cloud"),
            ("trixie-6.12", "debian-13-6.12"),
            ("trixie", "debian-13-6.12"),
            ("trixie-cloud", "debian-13-6.12-cloud"),
            ("trixie-rt", "debian-13-6.12-rt"),
            ("trixie-16k", "debian-13-6.12-16k"),
            ("6.12", "debian-13-6.12"),
            ("6.12-cloud", "debian-13-6.12-cloud"),
            ("bookworm-6.12", "debian-12-6.12-cloud"),
            ("6.18", "debian-13-6.18-cloud"),
            ("sid", "debian-sid-7.2"),
            ("debian-unstable", "debian-sid-7.2"),
        ] {
            assert_eq!(found(text), name, "{text}");
        }
    }

    #[test]
    fn what_fits_several_or_none_is_refused_with_the_nearest() {
        insta::assert_snapshot!(
            [
                "cloud",
                "rt",
                "5.15",
                "4.19",
                "debian-12-6.2",
                "debian",
                "bookworm-12",
                "ubuntu",
                // A version is of a kernel; a group and a pattern are for a matrix.
                "6.1.187",
                "6.1.999",
                "@lts",
                "debian-*-cloud"
            ]
            .map(found)
            .join("\n")
        );
    }

    #[test]
    fn a_version_without_its_kernel_is_answered_with_its_pins() {
        let lock: Lock = serde_json::from_str(super::super::LOCK).unwrap();
        let pin = (lock.kernels.iter())
            .find(|kernel| kernel.name == "debian-12-6.1")
            .unwrap();
        let version = pin.version().split('-').next().unwrap();
        let said = found(version);
        assert!(
            said.contains(&format!("`{}`", pin.versioned_name())),
            "{said}"
        );
        // A part of a number is another version.
        let cut = &version[..version.len() - 1];
        assert!(!found(cut).contains(VERSION_MARK), "{}", found(cut));
    }

    #[test]
    fn a_series_with_older_versions_only_is_answered_with_these() {
        let mut lock: Lock = serde_json::from_str(super::super::LOCK).unwrap();
        let name = "debian-12-6.1-cloud";
        let gone: Vec<LockedKernel> = lock
            .kernels
            .extract_if(.., |kernel| kernel.name == name)
            .collect();
        lock.history = gone;
        let said = full_name(name, &lock, |_| true).unwrap_err();
        let Error::UnknownKernel { near, .. } = said else {
            panic!("{said:?}");
        };
        assert_eq!(near.len(), 1, "{near:?}");
        assert_eq!(near[0], format!("`{}`", lock.history[0].versioned_name()));
    }

    #[test]
    fn only_kernels_that_are_there_count() {
        let lock: Lock = serde_json::from_str(super::super::LOCK).unwrap();
        let cloud = |name: &str| name.ends_with("-cloud");
        assert_eq!(
            full_name("6.1", &lock, cloud).unwrap(),
            "debian-12-6.1-cloud"
        );
        // Of several kernels that no release installs, none is better than the others.
        let backports = |name: &str| ["6.16", "6.17"].iter().any(|series| name.contains(series));
        full_name("trixie", &lock, backports).unwrap_err();
        let backport = |name: &str| name.contains("6.16");
        assert_eq!(
            full_name("trixie", &lock, backport).unwrap(),
            "debian-13-6.16-cloud"
        );
    }

    #[test]
    fn every_series_that_a_release_installs_is_pinned() {
        let lock: Lock = serde_json::from_str(super::super::LOCK).unwrap();
        for (release, series) in OWN_SERIES {
            let name = format!("debian-{release}-{series}");
            assert!(lock.kernels.iter().any(|kernel| kernel.name == name));
        }
    }
}
