//! `kernels/lock.json` and `kernels/lock/<distro>.json`: every kernel's packages by SHA-256.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::cell::Arch;

/// Version of the lock's shape.
pub const SCHEMA: &str = "ukci.lock/1";

/// The file of the lock that the others lie beside.
pub const MAIN_FILE: &str = "lock.json";

/// What separates the name of a kernel from the version of its package, as in
/// `debian-12-6.1@6.1.176-1`.
pub const VERSION_MARK: char = '@';

/// The directory beside [`MAIN_FILE`] with a file for each distribution.
pub const FAMILIES: &str = "lock";

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
    /// Pins that newer ones have replaced, in the order of their names, architectures and days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<LockedKernel>,
}

impl Lock {
    /// The entry of this name, for this architecture. `NAME@VERSION` is the pin of that version of
    /// the package, which may be one that a newer has replaced.
    pub fn kernel(&self, name: &str, arch: Arch) -> Option<&LockedKernel> {
        match name.split_once(VERSION_MARK) {
            None => (self.kernels.iter()).find(|kernel| kernel.name == name && kernel.arch == arch),
            Some((name, version)) => (self.versions(name).into_iter())
                .find(|kernel| kernel.arch == arch && kernel.version() == version),
        }
    }

    /// Every pin of a name, for all architectures: the present one first, and then those that newer
    /// ones have replaced. Of several pins of one version, the first is the one to use: pins that
    /// somebody has verified come before others, and pins with more packages before those with fewer.
    pub fn versions(&self, name: &str) -> Vec<&LockedKernel> {
        let named = |kernel: &&LockedKernel| kernel.name == name;
        let mut old: Vec<&LockedKernel> = self.history.iter().filter(named).collect();
        let rank = |kernel: &LockedKernel| {
            let seen = match kernel.verified {
                Verified::Booted => 0,
                Verified::Metadata => 1,
                Verified::Never => 2,
            };
            (!kernel.is_whole(), seen)
        };
        old.sort_by_key(|kernel| rank(kernel));
        self.kernels.iter().filter(named).chain(old).collect()
    }

    /// Puts an entry where its name and architecture belong. The one that is there goes into the
    /// history, unless its packages are the same.
    pub fn put(&mut self, kernel: LockedKernel) {
        let place = |other: &LockedKernel| (other.name.clone(), other.arch);
        let of_kernel = place(&kernel);
        let at = self
            .kernels
            .partition_point(|other| place(other) < of_kernel);
        match self
            .kernels
            .get_mut(at)
            .filter(|other| place(other) == of_kernel)
        {
            Some(other) => {
                let old = std::mem::replace(other, kernel);
                if !old.has_bytes_of(&self.kernels[at]) {
                    self.retire(old);
                }
            }
            None => self.kernels.insert(at, kernel),
        }
    }

    /// Puts a pin into the history, once. Returns whether that changed anything: a pin that nobody
    /// has verified is replaced by one of the same packages that somebody has.
    pub fn retire(&mut self, kernel: LockedKernel) -> bool {
        let is_same = |other: &LockedKernel| {
            (&other.name, other.arch) == (&kernel.name, kernel.arch) && other.has_bytes_of(&kernel)
        };
        if let Some(there) = self.history.iter_mut().find(|other| is_same(other)) {
            let is_news = there.verified == Verified::Never && kernel.verified != Verified::Never;
            if is_news {
                *there = kernel;
            }
            return is_news;
        }
        let at = self.history.partition_point(|other| {
            (&other.name, other.arch, &other.provenance.date)
                <= (&kernel.name, kernel.arch, &kernel.provenance.date)
        });
        self.history.insert(at, kernel);
        true
    }

    /// Every pin of a stream: those of its distribution, release and flavour, old ones too.
    pub fn pins<'a>(
        &'a self,
        (distro, release, flavour): (&'a str, &'a str, &'a str),
        arch: Arch,
    ) -> impl Iterator<Item = &'a LockedKernel> {
        self.kernels
            .iter()
            .chain(&self.history)
            .filter(move |kernel| {
                (
                    kernel.distro.as_str(),
                    kernel.release.as_str(),
                    kernel.flavour.as_str(),
                ) == (distro, release, flavour)
                    && kernel.arch == arch
            })
    }

    /// Takes the entries of another file of the same lock in.
    pub fn merge(&mut self, other: Self) {
        self.kernels.extend(other.kernels);
        self.kernels
            .sort_by(|a, b| (&a.name, a.arch).cmp(&(&b.name, b.arch)));
        self.tools.extend(other.tools);
        self.history.extend(other.history);
    }

    /// The files that the lock is kept in, by their names: `lock.json` with the current kernels of
    /// Debian and the programs, and `lock/<distro>.json` with the rest of each distribution.
    pub fn into_files(self) -> BTreeMap<String, Self> {
        let empty = || Self {
            schema: self.schema.clone(),
            kernels: Vec::new(),
            tools: Vec::new(),
            history: Vec::new(),
        };
        let first = Self {
            tools: self.tools,
            ..empty()
        };
        let mut files = BTreeMap::from([(MAIN_FILE.to_owned(), first)]);
        let name = |distro: &str| format!("{FAMILIES}/{distro}.json");
        for kernel in self.kernels {
            let name = match kernel.distro.as_str() {
                "debian" => MAIN_FILE.to_owned(),
                distro => name(distro),
            };
            files.entry(name).or_insert_with(empty).kernels.push(kernel);
        }
        for kernel in self.history {
            let name = name(&kernel.distro);
            files.entry(name).or_insert_with(empty).history.push(kernel);
        }
        files
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

/// Whether this can be the name of a distribution: small letters, digits and `-`.
pub fn is_distro(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 64 && text.bytes().all(plain)
}

fn distro<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_distro(&text) {
        return Ok(text);
    }
    let shown: String = text.chars().take(80).collect();
    Err(D::Error::custom(format_args!(
        "{shown:?} is not the name of a distribution, which has lower-case letters, digits and `-`"
    )))
}

/// One kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedKernel {
    /// `<distro>-<release>-<series>[-<flavour>]`, e.g. `debian-12-6.1-cloud`; not on amd64 the
    /// same name stands once more with another `arch`.
    pub name: String,
    /// `debian`, `fedora`: small letters, digits and `-`, because it becomes the name of a file.
    #[serde(deserialize_with = "distro")]
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
    /// Day on which that was seen, `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_on: Option<String>,
}

impl LockedKernel {
    /// The version of the package with the image, as the distribution writes it.
    pub fn version(&self) -> &str {
        let mut packages = self.packages.iter();
        let image = packages.find(|package| package.roles.contains(&Role::Image));
        image
            .or(self.packages.first())
            .map_or("", |package| &package.version)
    }

    /// The name of exactly this pin, such as `debian-12-6.1@6.1.176-1`.
    pub fn versioned_name(&self) -> String {
        format!("{}{VERSION_MARK}{}", self.name, self.version())
    }

    /// Whether the pin has all parts of the kernel. The mirrors keep the image of some kernels
    /// longer than their modules and their configuration.
    pub fn is_whole(&self) -> bool {
        [Role::Image, Role::Modules, Role::Config]
            .iter()
            .all(|role| (self.packages.iter()).any(|package| package.roles.contains(role)))
    }

    /// Whether another pin is of the same packages, wherever they can be downloaded.
    pub fn has_bytes_of(&self, other: &Self) -> bool {
        let digests = |kernel: &Self| -> BTreeSet<String> {
            let packages = kernel.packages.iter();
            packages.map(|package| package.sha256.clone()).collect()
        };
        digests(self) == digests(other)
    }
}

/// A program for guests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedTool {
    /// Such as `busybox`: the name of its file, too.
    pub name: String,
    /// Architecture.
    pub arch: Arch,
    /// The package that has it. Without libraries, it is statically linked.
    pub package: Package,
    /// The packages that have the libraries that it needs, from the same suite.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub libraries: Vec<Package>,
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
    /// Which archive has it: `debian`, `debian-security`, or one of `kernels/archives.toml`. `none`
    /// for a digest without a place, which only the Nix store or the cache can have.
    pub archive: String,
    /// Path below the archive's root: `pool/…`.
    pub path: String,
    /// Bytes; 0 where the source of the pin does not say.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub size: u64,
    /// SHA-256, hex. The identity; the rest says where to look.
    #[serde(deserialize_with = "crate::sha256::one")]
    pub sha256: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(size: &u64) -> bool {
    *size == 0
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
    /// How the digests were learnt: `apt-signed` for an index that apt verified, `index-signed`
    /// for one that ukci did, `packages-signed` for packages that were, and `lockfile` for a public
    /// file that nobody verified.
    pub source: String,
    /// The suite or repository whose index names the package, e.g. `bookworm-security`, or the
    /// public file.
    pub suite: String,
    /// Day of the reading, `YYYY-MM-DD`.
    pub date: String,
    /// SHA-256 of the signed `InRelease`, `repomd.xml` or index, by suite.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// It names a file beside the lock.
    #[test]
    fn a_distribution_whose_name_is_a_path_is_refused_where_it_is_read() {
        let kernel = |distro: &str| {
            serde_json::from_value::<LockedKernel>(serde_json::json!({
                "name": "x-1-6.1", "distro": distro, "release": "1", "series": "6.1",
                "arch": "x86_64", "uname": "6.1", "packages": [], "verified": "never",
                "provenance": { "source": "lockfile", "suite": "", "date": "2026-01-01" },
            }))
        };
        for name in ["debian", "arch", "opensuse-leap", "rhel9"] {
            assert!(kernel(name).is_ok(), "{name}");
        }
        for name in ["", "../../etc/x", "/etc/x", "a/b", "..", "A", "a\0", "a\nb"] {
            let error = kernel(name).unwrap_err().to_string();
            assert!(error.contains("not the name of a distribution"), "{error}");
        }
    }
}
