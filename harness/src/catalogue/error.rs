//! Reasons why the files of a kernel are not available, and what to do about them.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;

use crate::full_disk;

/// The archive of security updates.
pub(crate) const SECURITY: &str = "debian-security";

/// The variable that overrides the mirrors of `archive`: addresses of roots, separated by commas.
pub(crate) fn variable(archive: &str) -> String {
    format!("UKCI_MIRROR_{}", archive.to_uppercase().replace('-', "_"))
}

/// Why a kernel's files could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading or writing a file failed for a reason without a variant of its own.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file system that holds the cache is full.
    #[error("failed to write below `{}`: the file system is full", dir.display())]
    DiskFull {
        /// The directory that was written to.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The cache cannot be written and does not hold what is needed.
    #[error("failed to write below `{}`: the cache is read-only", dir.display())]
    ReadOnly {
        /// The directory that was written to.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing says where the archive's mirrors are.
    #[error("no mirror of the `{archive}` archive is known; looked at {}", looked.join(", "))]
    NoMirror {
        /// Its name in the lock, e.g. `debian-security`.
        archive: String,
        /// The places where a mirror could have been configured.
        looked: Vec<String>,
    },
    /// No mirror answered with the file.
    #[error("failed to fetch {what}{}", listed(tried))]
    Fetch {
        /// Package, in backticks, or index.
        what: String,
        /// Name of the archive in the lock, such as `fedora`.
        archive: String,
        /// One entry a mirror: its address and what went wrong.
        tried: Vec<String>,
    },
    /// Every mirror that answered says that the pinned file is not there any more.
    #[error(
        "`{package}` {version} is gone from every mirror that answered{}",
        listed(tried)
    )]
    Gone {
        /// Package name.
        package: String,
        /// Name of its archive in the lock.
        archive: String,
        /// The pinned version.
        version: String,
        /// One entry a mirror.
        tried: Vec<String>,
    },
    /// Twice, the bytes were not those of the lock.
    #[error(
        "`{package}` is not what the lock pins: expected SHA-256 {expected}, got {found}; \
             kept {}",
        paths(kept)
    )]
    Corrupt {
        /// Package name.
        package: String,
        /// Name of its archive in the lock.
        archive: String,
        /// SHA-256 of the lock.
        expected: String,
        /// SHA-256 of the last file that came, or what its size was.
        found: String,
        /// The files, kept aside.
        kept: Vec<PathBuf>,
    },
    /// The address of a user kernel is not one.
    #[error("`{address}` cannot be downloaded: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A user kernel could not be downloaded.
    #[error("failed to download `{address}`: {reason}")]
    Download {
        /// Where from.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// A server has another file than the user kernel that was named.
    #[error(
        "`{address}` is not the file with SHA-256 {expected}: got {found}; kept `{}`",
        kept.display()
    )]
    OtherFile {
        /// Where from.
        address: String,
        /// SHA-256 that was given.
        expected: String,
        /// That of the file.
        found: String,
        /// The file, kept aside.
        kept: PathBuf,
    },
    /// The lock has no such program for guests.
    #[error("the lock has no `{name}` for {arch}")]
    NoTool {
        /// The program.
        name: String,
        /// Architecture.
        arch: Arch,
        /// Those that it has for this architecture.
        known: Vec<String>,
    },
    /// The packages of a program lack one of its libraries.
    #[error("the packages of `{name}` lack the library `{missing}`")]
    NoLibrary {
        /// The program.
        name: String,
        /// The library.
        missing: String,
    },
    /// A package file is not one, or holds what no kernel package holds.
    #[error("failed to unpack `{}`: {reason}", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The packages lack something that booting needs.
    #[error("`{release}`: no {what} in {}", paths(within))]
    Missing {
        /// `uname -r` of the kernel.
        release: String,
        /// What was looked for.
        what: String,
        /// Where.
        within: Vec<PathBuf>,
    },
    /// A kernel image that cannot be booted.
    #[error("failed to read `{}` as a kernel image: {reason}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A module that cannot be used.
    #[error("failed to read the module `{}`: {reason}", path.display())]
    Module {
        /// The file, in its package or on this host.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A directory that is given as a kernel and has none.
    #[error("`{}` is neither a kernel's build tree nor a directory with packages", dir.display())]
    NoKernel {
        /// The directory.
        dir: PathBuf,
    },
    /// Packages that are not those of one kernel.
    #[error("{} {}", paths(packages), kernels(releases))]
    NoOneKernel {
        /// The packages.
        packages: Vec<PathBuf>,
        /// The releases that they have files of.
        releases: Vec<String>,
    },
    /// A directory without modules for the kernel.
    #[error("no modules for `{release}` below `{}`{}", dir.display(), found_releases(found))]
    NoModules {
        /// The directory.
        dir: PathBuf,
        /// `uname -r` of the kernel.
        release: String,
        /// The releases it has modules for.
        found: Vec<String>,
    },
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Io { .. } | Self::Module { .. } | Self::Missing { .. } => None,
            Self::DiskFull { dir, source } => {
                let elsewhere = format!(
                    "set XDG_CACHE_HOME to a directory on another file system than that of \
                     `{}`; what was fetched so far is kept",
                    dir.display()
                );
                full_disk::advice(source, Some(&elsewhere))
            }
            Self::ReadOnly { .. } => Some(
                "run `ukci kernels fetch` where the cache can be written, or set XDG_CACHE_HOME \
                 to a writable directory"
                    .to_owned(),
            ),
            Self::NoMirror { archive, .. } => Some(format!(
                "set {}=http://HOST/PATH to a mirror's root, the directory that holds `pool`",
                variable(archive)
            )),
            Self::Fetch { archive, .. } => Some(format!(
                "check the network, or set {} to a mirror that this host can reach",
                variable(archive)
            )),
            Self::Gone { archive, .. } => Some(format!(
                "pin a newer kernel with `ukci kernels update`, or set {} to a mirror that keeps \
                 old packages",
                variable(archive)
            )),
            Self::Corrupt { archive, .. } => Some(format!(
                "a mirror or a proxy serves other bytes under this name: try another mirror with {}",
                variable(archive)
            )),
            Self::Address { .. } => Some(
                "write `https://HOST/FILE#sha256=DIGEST`; the distributor publishes the digest, or \
                 `sha256sum FILE` prints it for a file that you trust"
                    .to_owned(),
            ),
            Self::Download { .. } => Some("check the address and the network".to_owned()),
            Self::OtherFile { .. } => Some(
                "check the digest, and look at the file: it may be a page that says why there is no \
                 kernel"
                    .to_owned(),
            ),
            Self::NoLibrary { name, .. } => Some(format!(
                "pin all of its packages again with `ukci kernels update {name}`"
            )),
            Self::NoTool { known, .. } if known.is_empty() => {
                Some("the lock in use is an older one: unset UKCI_LOCK, or add it there".to_owned())
            }
            Self::NoTool { known, .. } => Some(format!(
                "it has {}; send another program of this host with `--file`",
                known.join(", ")
            )),
            Self::Package { path, .. } => Some(format!(
                "remove `{}` to have it fetched again",
                path.display()
            )),
            Self::Image { .. } => Some(
                "give a `bzImage`, or an uncompressed `vmlinux` of a kernel with CONFIG_PVH=y; on \
                 arm64 and riscv64 an `Image`"
                    .to_owned(),
            ),
            Self::NoKernel { .. } => Some(
                "give an image, a build tree with `arch/*/boot/bzImage` or `Image`, or the \
                 kernel's `.deb` or `.rpm` files"
                    .to_owned(),
            ),
            Self::NoOneKernel { releases, .. } if releases.is_empty() => Some(
                "give the package with the image as `--kernel`, and those with the modules and the \
                 configuration as `--modules`"
                    .to_owned(),
            ),
            Self::NoOneKernel { .. } => Some("give the packages of one kernel only".to_owned()),
            Self::NoModules { release, .. } => Some(format!(
                "give the directory that holds `lib/modules/{release}`, or the kernel's build tree"
            )),
        }
    }

    /// An error about `path`, sorted by what the system said.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let dir = || path.parent().unwrap_or(path).to_owned();
        match source.kind() {
            kind if full_disk::is_full(kind) => Self::DiskFull { dir: dir(), source },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { dir: dir(), source },
            io::ErrorKind::PermissionDenied if !matches!(action, "read" | "open") => {
                Self::ReadOnly { dir: dir(), source }
            }
            _ => Self::Io {
                action,
                path: path.to_owned(),
                source,
            },
        }
    }

    /// [`Self::io`] as a closure for `map_err`.
    pub(crate) fn on<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::io(action, path, source)
    }
}

fn listed(tried: &[String]) -> String {
    tried.iter().fold(String::new(), |mut text, one| {
        // Writing to a `String` cannot fail.
        let _ = write!(text, "{} {one}", if text.is_empty() { ":" } else { ";" });
        text
    })
}

fn paths(paths: &[PathBuf]) -> String {
    let quoted: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    quoted.join(", ")
}

fn kernels(releases: &[String]) -> String {
    match releases {
        [] => "have no kernel".to_owned(),
        some => format!("do not belong together: they are of {}", some.join(" and ")),
    }
}

fn found_releases(found: &[String]) -> String {
    if found.is_empty() {
        String::new()
    } else {
        format!("; it has {}", found.join(", "))
    }
}
