//! Why a kernel could not be pinned, and what to do about it.

use ukci_harness::catalogue;
use ukci_schema::cell::Arch;

/// Why a kernel could not be pinned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No mirror is known.
    #[error(transparent)]
    Mirror(#[from] catalogue::Error),
    /// No mirror answered with the file.
    #[error("failed to fetch {what}: {}", tried.join("; "))]
    Fetch {
        /// The file in backticks, or the index.
        what: String,
        /// One entry for each mirror: its address and what went wrong.
        tried: Vec<String>,
    },
    /// The archive's index cannot be trusted or read.
    #[error("the index of `{suite}` cannot be trusted: {reason}")]
    Index {
        /// Suite, e.g. `bookworm-security`.
        suite: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What the archive's signed index names is not what its mirrors serve: a mirror is half
    /// updated, or the archive itself is.
    #[error("the index of `{suite}` does not match its files: {reason}")]
    Inconsistent {
        /// Suite.
        suite: String,
        /// What does not fit.
        reason: String,
    },
    /// The index's signature is good and its `Valid-Until` has passed.
    #[error("the index of `{suite}` has expired: {reason}")]
    Expired {
        /// Suite.
        suite: String,
        /// The mirror and the date.
        reason: String,
    },
    /// The index was signed later than this host's clock says it is.
    #[error("the index of `{suite}` is dated in the future: {reason}")]
    Future {
        /// Suite.
        suite: String,
        /// The mirror and the date.
        reason: String,
    },
    /// The index is older than the one that the lock's entry was pinned from: a mirror that lags
    /// behind, or one that replays an old index.
    #[error(
        "the index of `{suite}` is of {found}, older than the one of {pinned} that the lock was \
         made from"
    )]
    RolledBack {
        /// Suite.
        suite: String,
        /// Day of the index that the mirror serves.
        found: String,
        /// Day of the index in the lock.
        pinned: String,
    },
    /// A stream's metadata or packages are not what the vendor signed, or cannot be read.
    #[error("the metadata of `{stream}` cannot be trusted: {reason}")]
    Untrusted {
        /// Name of the stream.
        stream: String,
        /// The mirror, the file and what is wrong with it.
        reason: String,
        /// Fingerprints of the keys that may sign.
        keys: Vec<String>,
    },
    /// A stream's metadata lacks kernels that it must still have.
    #[error("the metadata of `{stream}` has lost kernels that are pinned: {}", missing.join(", "))]
    Shrunken {
        /// Name of the stream.
        stream: String,
        /// `uname -r` of each.
        missing: Vec<String>,
    },
    /// A name that no stream of kernels has.
    #[error("`{0}` is not a name of the form `debian-<release>-<series>[-<flavor>]`")]
    NotAStream(String),
    /// No suite has a kernel of a stream, or none that a mirror still has.
    #[error("no kernel for `{kernel}` on {arch} was found in {}", suites.join(", "))]
    NoKernel {
        /// Name in the catalogue.
        kernel: String,
        /// Architecture.
        arch: Arch,
        /// The suites whose indices were read, each with why it did not do.
        suites: Vec<String>,
    },
    /// A suite that a kernel does not come from.
    #[error("`{kernel}` does not come from `{suite}`")]
    NoSuite {
        /// Name in the catalogue.
        kernel: String,
        /// The suite.
        suite: String,
        /// Those it comes from.
        suites: Vec<String>,
    },
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Mirror(error) => error.hint(),
            Self::Fetch { .. } => Some(
                "check the network, or set UKCI_MIRROR_<ARCHIVE>, such as UKCI_MIRROR_DEBIAN, to a \
                 mirror that this host can reach"
                    .to_owned(),
            ),
            Self::NotAStream(_) => Some(
                "write a name such as `debian-12-6.1-cloud`; the release is 11, 12, 13, sid or \
                 experimental"
                    .to_owned(),
            ),
            Self::NoSuite { suites, .. } => Some(format!("it comes from {}", suites.join(", "))),
            Self::NoKernel { .. } => Some(
                "a distribution does not build every series and flavor for every architecture"
                    .to_owned(),
            ),
            Self::Index { .. } => Some(
                "install `debian-archive-keyring`, or name a directory that holds Debian's keys in \
                 UKCI_KEYRINGS"
                    .to_owned(),
            ),
            Self::Untrusted { keys, .. } => Some(format!(
                "install `distribution-gpg-keys`, or put the vendor's public key into a directory \
                 that UKCI_KEYRINGS names; the fingerprints that count are {}",
                keys.join(", ")
            )),
            Self::Shrunken { .. } => Some(
                "the mirror lags behind or is broken, and nothing was changed: try again later"
                    .to_owned(),
            ),
            Self::Expired { .. } => Some(
                "the mirror has stopped being updated, or the release has reached its end of life: \
                 set UKCI_MIRROR_DEBIAN to another mirror, or keep the pinned kernel"
                    .to_owned(),
            ),
            Self::RolledBack { .. } => Some(
                "the mirror lags behind: try again later, or set UKCI_MIRROR_DEBIAN to another \
                 mirror"
                    .to_owned(),
            ),
            Self::Future { .. } => Some("check the clock of this host".to_owned()),
            Self::Inconsistent { .. } => Some(
                "a mirror that is being updated can serve files of two states for a while: try \
                 again later, or set UKCI_MIRROR_DEBIAN to another mirror"
                    .to_owned(),
            ),
        }
    }
}
