//! Keeps the lock: what `ukci kernels add` and `ukci kernels update` write.
//!
//! A kernel's name and the signed index of its suite come in; an entry of the lock with every
//! package's digest goes out. An index is trusted through its signature only, while it is valid,
//! and never when it is older than the one that the lock was made from. A package is fetched only
//! where its vendor signs nothing else, and nothing is written. Running cells needs none of this: what is pinned is fetched by digest.

mod apkindex;
mod deb_suite;
mod digests;
mod entry;
mod error;
mod followed;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod index;
mod kernel;
mod keyring;
mod listing;
mod pacman;
mod repomd;
mod rpm_signature;
mod stream;
#[cfg(test)]
mod tests;
mod tool;
mod uname;
mod vendor;
#[cfg(test)]
mod vendor_tests;

use ukci_harness::catalogue::mirror::Mirrors;
use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, LockedTool};

pub use error::Error;
pub use followed::{Stream, Streams};
use kernel::Wanted;
use keyring::Keyrings;

/// The mirrors and keys with which kernels are pinned.
#[derive(Clone, Debug)]
pub struct Archives {
    mirrors: Mirrors,
    keyrings: Keyrings,
}

impl Archives {
    /// The mirrors that this host knows (see [`Mirrors::of_host`]), and Debian's keys in the
    /// directories of apt and in those that the variable `UKCI_KEYRINGS` names.
    pub fn of_host() -> Self {
        Self {
            mirrors: Mirrors::of_host(),
            keyrings: Keyrings::of_host(),
        }
    }

    /// The entry of the lock for a kernel of this name: the newest that the signed indices of its
    /// suites list and a mirror has, or that of one `suite` of them. `known` is the lock's present
    /// entry: an index that is older than its own is refused. Blocking.
    pub fn pin_kernel(
        &self,
        name: &str,
        arch: Arch,
        suite: Option<&str>,
        known: Option<&LockedKernel>,
    ) -> Result<LockedKernel, Error> {
        let (mirrors, keyrings) = (&self.mirrors, &self.keyrings);
        let newest = kernel::pin(name, arch, suite, known, Wanted::Newest, mirrors, keyrings)?;
        newest
            .into_iter()
            .next_back()
            .ok_or_else(|| Error::NoKernel {
                kernel: name.to_owned(),
                arch,
                suites: Vec::new(),
            })
    }

    /// Every version of a kernel of this name that the signed indices of its suites list and a mirror
    /// has, oldest first. Of some, the mirrors have only the image: see
    /// [`LockedKernel::is_whole`]. Blocking.
    pub fn pin_versions(
        &self,
        name: &str,
        arch: Arch,
        known: Option<&LockedKernel>,
    ) -> Result<Vec<LockedKernel>, Error> {
        let (mirrors, keyrings) = (&self.mirrors, &self.keyrings);
        kernel::pin(name, arch, None, known, Wanted::All, mirrors, keyrings)
    }

    /// The newest kernel of a stream of another distribution. `known` are the lock's pins of the
    /// stream, old ones too: see [`ukci_schema::lock::Lock::pins`]. Blocking.
    pub fn pin_stream(
        &self,
        streams: &Streams,
        stream: &Stream,
        arch: Arch,
        known: &[&LockedKernel],
    ) -> Result<LockedKernel, Error> {
        vendor::pin(streams, stream, arch, known, &self.mirrors, &self.keyrings)
    }

    /// The program for guests as the signed index of its suite has it now. Blocking.
    pub fn pin_tool(&self, tool: &LockedTool) -> Result<LockedTool, Error> {
        tool::pin(tool, &self.mirrors, &self.keyrings)
    }
}
