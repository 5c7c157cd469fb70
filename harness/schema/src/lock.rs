//! `kernels/lock.json`: every kernel's packages by SHA-256.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::cell::Arch;

/// Version of the lock's shape.
pub const SCHEMA: &str = "ukci.lock/1";

/// The catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// [`SCHEMA`].
    pub schema: String,
    /// The entries, in the order of their names and then architectures.
    pub kernels: Vec<LockedKernel>,
    /// Programs that a guest is given beside the agent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<LockedTool>,
}

impl Lock {
    /// The entry of this name, for this architecture.
    pub fn kernel(&self, name: &str, arch: Arch) -> Option<&LockedKernel> {
        self.kernels
            .iter()
            .find(|kernel| kernel.name == name && kernel.arch == arch)
    }

    /// Puts an entry where its name and architecture belong, in place of the one that is there.
    pub fn put(&mut self, kernel: LockedKernel) {
        self.kernels
            .retain(|other| (&other.name, other.arch) != (&kernel.name, kernel.arch));
        let at = self
            .kernels
            .partition_point(|other| (&other.name, other.arch) < (&kernel.name, kernel.arch));
        self.kernels.insert(at, kernel);
    }

    /// The architectures that a kernel of this name is locked for, in the order of [`Arch::ALL`].
    pub fn arches(&self, name: &str) -> Vec<Arch> {
        let is_locked = |arch: &Arch| self.kernel(name, *arch).is_some();
        Arch::ALL.into_iter().filter(is_locked).collect()
    }

    /// The program of this name, for this architecture.
    pub fn tool(&self, name: &str, arch: Arch) -> Option<&LockedTool> {
        let mut tools = self.tools.iter();
        tools.find(|tool| tool.name == name && tool.arch == arch)
    }

    /// Every entry's name, in order; once for each architecture.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.kernels.iter().map(|kernel| kernel.name.as_str())
    }
}

/// One kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedKernel {
    /// `<distro>-<release>-<series>[-<flavour>]`, e.g. `debian-12-6.1-cloud`; not on amd64 the
    /// same name stands once more with another `arch`.
    pub name: String,
    /// `debian`.
    pub distro: String,
    /// `12`, `13`, `sid`, `experimental`.
    pub release: String,
    /// Upstream series, e.g. `6.1`.
    pub series: String,
    /// `cloud`, or empty for the flavour people run on metal.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub flavour: String,
    /// Architecture.
    pub arch: Arch,
    /// `uname -r`.
    pub uname: String,
    /// The packages, image first.
    pub packages: Vec<Package>,
    /// Where the pins come from.
    pub provenance: Provenance,
    /// What was seen of it.
    pub verified: Verified,
}

/// A program for guests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedTool {
    /// `busybox`: the name of its file, too.
    pub name: String,
    /// Architecture.
    pub arch: Arch,
    /// The package that has it, statically linked.
    pub package: Package,
    /// Where the pin comes from.
    pub provenance: Provenance,
}

/// One package file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// What it holds.
    pub roles: Vec<Role>,
    /// Binary package name.
    pub name: String,
    /// Version, as the distribution writes it.
    pub version: String,
    /// `debian` or `debian-security`: which archive's mirrors have it.
    pub archive: String,
    /// Path below the archive's root: `pool/…`.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256, hex. The identity; the rest says where to look.
    #[serde(deserialize_with = "crate::sha256::one")]
    pub sha256: String,
}

/// What a package holds of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// `vmlinuz`.
    Image,
    /// `lib/modules/<release>`.
    Modules,
    /// `config-<release>` and `System.map`.
    Config,
}

/// Where pins come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// How the digests were learnt: `apt-signed` for an index that apt verified.
    pub source: String,
    /// The suite whose index names the package, e.g. `bookworm-security`.
    pub suite: String,
    /// Day of the reading, `YYYY-MM-DD`.
    pub date: String,
    /// SHA-256 of the signed `InRelease` files, by suite.
    #[serde(default, deserialize_with = "crate::sha256::map")]
    pub inrelease: BTreeMap<String, String>,
}

/// What was seen of a locked kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verified {
    /// Only written down.
    Never,
    /// The signed index vouches for the digest.
    Metadata,
    /// Fetched, unpacked, booted to the agent.
    Booted,
}
