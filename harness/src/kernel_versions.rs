//! Finds the versions of a stream's kernels that the lock pins, in the order of their age.
//!
//! The name of a stream has the parts of a kernel's name, and may leave out the release and the series:
//! `debian-13-6.12-cloud` is one series of one release, `debian-13-cloud` all series of a release, and
//! `debian-cloud` everything that the distribution has shipped for clouds. Without a flavor it is the
//! kernel for physical machines.

use std::collections::BTreeSet;

use ukci_matrix::nearest::nearest;
use ukci_schema::cell::Arch;
use ukci_schema::lock::{Lock, LockedKernel, Verified};

use crate::package_version;

/// The versions of a stream, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions<'a> {
    /// Each version once.
    pub pins: Vec<&'a LockedKernel>,
    /// How many versions were left out because only their image is pinned.
    pub images_only: usize,
}

/// Why there are no such versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No kernel fits the name.
    #[error("the lock has no kernel of a stream `{name}` for {arch}")]
    UnknownStream {
        /// As it was given.
        name: String,
        /// For which architecture.
        arch: Arch,
        /// Names that are similar.
        near: Vec<String>,
    },
    /// No version of the stream fits.
    #[error("the stream has no version `{version}`; it has {known}")]
    UnknownVersion {
        /// As it was given.
        version: String,
        /// The versions of the stream.
        known: String,
    },
    /// Several versions of the stream fit.
    #[error("version `{version}` could be {known}")]
    AmbiguousVersion {
        /// As it was given.
        version: String,
        /// Those that fit.
        known: String,
    },
}

impl Error {
    /// What the reader can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownStream { near, .. } if near.is_empty() => {
                Some("run `ukci kernels list` to see the names of kernels".to_owned())
            }
            Self::UnknownStream { near, .. } => {
                Some(format!("did you mean `{}`?", near.join("` or `")))
            }
            Self::UnknownVersion { .. } => None,
            Self::AmbiguousVersion { .. } => Some("write the whole version".to_owned()),
        }
    }
}

/// Which kernels a stream's name means.
#[derive(Debug, Default)]
struct Name<'a> {
    distro: &'a str,
    release: Option<&'a str>,
    series: Option<&'a str>,
    flavour: &'a str,
}

impl<'a> Name<'a> {
    /// None if the text names no distribution of the lock first, or has a part that no kernel of the
    /// distribution has.
    fn parse(text: &'a str, lock: &Lock) -> Option<Self> {
        let (distro, rest) = text.split_once('-').unwrap_or((text, ""));
        let of_distro = || pins(lock).filter(move |kernel| kernel.distro == distro);
        of_distro().next()?;
        let mut name = Name {
            distro,
            ..Name::default()
        };
        let mut parts = rest.split('-').filter(|part| !part.is_empty()).peekable();
        if let Some(part) = parts.next_if(|part| of_distro().any(|k| k.release == **part)) {
            name.release = Some(part);
        }
        if let Some(part) = parts.next_if(|part| of_distro().any(|k| k.series == **part)) {
            name.series = Some(part);
        }
        if let Some(part) = parts.next() {
            // A flavor may have a `-` of its own.
            let at = rest.len() - part.len() - parts.map(|part| part.len() + 1).sum::<usize>();
            name.flavour = rest.get(at..)?;
            of_distro().find(|kernel| kernel.flavour == name.flavour)?;
        }
        Some(name)
    }

    fn fits(&self, kernel: &LockedKernel) -> bool {
        self.distro == kernel.distro
            && self.release.is_none_or(|release| release == kernel.release)
            && self.series.is_none_or(|series| series == kernel.series)
            && self.flavour == kernel.flavour
    }
}

fn pins(lock: &Lock) -> impl Iterator<Item = &LockedKernel> {
    lock.kernels.iter().chain(&lock.history)
}

impl<'a> Versions<'a> {
    /// The versions of the stream `name`. A pin of which only the image is left counts if
    /// `images_only` says so.
    pub fn of(name: &str, arch: Arch, images_only: bool, lock: &'a Lock) -> Result<Self, Error> {
        let parsed = Name::parse(name, lock);
        let fits = |kernel: &LockedKernel| {
            kernel.arch == arch && parsed.as_ref().is_some_and(|name| name.fits(kernel))
        };
        let names: BTreeSet<&str> = pins(lock)
            .filter(|kernel| fits(kernel))
            .map(|kernel| kernel.name.as_str())
            .collect();
        let mut found: Vec<&LockedKernel> = Vec::new();
        for name in &names {
            // The first pin of a version is the one to use.
            for pin in lock.versions(name) {
                let is_new = found
                    .iter()
                    .all(|other| (&other.name, other.version()) != (&pin.name, pin.version()));
                if pin.arch == arch && is_new {
                    found.push(pin);
                }
            }
        }
        if found.is_empty() {
            let names: BTreeSet<&str> = pins(lock)
                .filter(|kernel| kernel.arch == arch)
                .map(|kernel| kernel.name.as_str())
                .collect();
            let near = nearest(name, names);
            return Err(Error::UnknownStream {
                name: name.to_owned(),
                arch,
                near: near.into_iter().map(ToOwned::to_owned).collect(),
            });
        }
        let all = found.len();
        found.retain(|kernel| images_only || kernel.is_whole());
        found.sort_by(|a, b| package_version::of_kernels(a, b).then(a.name.cmp(&b.name)));
        Ok(Self {
            images_only: all - found.len(),
            pins: found,
        })
    }

    /// The place of a version: its package's version, its `uname -r`, its name with `NAME@VERSION`, or
    /// the beginning of its version up to a `.`, `-` or `~` if it fits one only.
    pub fn place(&self, version: &str) -> Result<usize, Error> {
        let places = |fits: &dyn Fn(&LockedKernel) -> bool| -> Vec<usize> {
            let fitting = self
                .pins
                .iter()
                .enumerate()
                .filter(|(_, kernel)| fits(kernel));
            fitting.map(|(place, _)| place).collect()
        };
        let exactly = |kernel: &LockedKernel| {
            [kernel.version(), &kernel.uname, &kernel.versioned_name()].contains(&version)
        };
        let begins = |kernel: &LockedKernel| {
            let rest = kernel.version().strip_prefix(version);
            rest.is_some_and(|rest| rest.starts_with(['.', '-', '~', '+']))
        };
        for found in [places(&exactly), places(&begins)] {
            match found.as_slice() {
                [] => {}
                [one] => return Ok(*one),
                several => {
                    return Err(Error::AmbiguousVersion {
                        version: version.to_owned(),
                        known: self.named(several.iter().copied()),
                    });
                }
            }
        }
        Err(Error::UnknownVersion {
            version: version.to_owned(),
            known: self.named(0..self.pins.len()),
        })
    }

    /// Keeps those between two versions, both included, whichever is the older one.
    pub fn between(&mut self, one: &str, other: &str) -> Result<(), Error> {
        let (one, other) = (self.place(one)?, self.place(other)?);
        self.pins.truncate(one.max(other) + 1);
        self.pins.drain(..one.min(other));
        Ok(())
    }

    /// Keeps the present pins that somebody has verified.
    pub fn keep_present(&mut self, lock: &Lock) {
        self.pins.retain(|pin| {
            pin.verified != Verified::Never && lock.kernel(&pin.name, pin.arch) == Some(*pin)
        });
    }

    /// Keeps the newest ones.
    pub fn keep_last(&mut self, number: usize) {
        let older = self.pins.len().saturating_sub(number);
        self.pins.drain(..older);
    }

    fn named(&self, places: impl Iterator<Item = usize>) -> String {
        let names = places.map(|place| {
            let pin = self.pins[place];
            let is_other =
                |other: &&LockedKernel| other.version() == pin.version() && other.name != pin.name;
            if self.pins.iter().any(is_other) {
                format!("`{}`", pin.versioned_name())
            } else {
                format!("`{}`", pin.version())
            }
        });
        names.collect::<Vec<String>>().join(", ")
    }
}

#[cfg(test)]
mod tests;
