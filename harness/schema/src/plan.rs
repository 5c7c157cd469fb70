//! A matrix in which every name is resolved to files with digests. A plan does not depend on who
//! resolved it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::artifact::Artifact;
use crate::budget::Budget;
use crate::cell::{Arch, Cell};
use crate::contract::Contract;
use crate::diagnosis::Diagnosis;
use crate::verdict::Expectation;

/// Guest memory where nobody says otherwise, in MiB.
pub const MEMORY: u32 = 256;

/// Virtual CPUs where nobody says otherwise.
pub const CPUS: u32 = 1;

/// Version of the plan's shape.
pub const SCHEMA: &str = "ukci.plan/1";

/// A file and the digest it must have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Where it lies on this host.
    pub path: PathBuf,
    /// SHA-256, hex.
    #[serde(deserialize_with = "crate::sha256::one")]
    pub sha256: String,
}

/// Everything a run needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: String,
    /// Name of the matrix, or `adhoc` when kernels were named on the command line.
    pub matrix: String,
    /// The artifacts, by name.
    pub artifacts: BTreeMap<String, PlannedArtifact>,
    /// The kernels, by [`kernel_key`](crate::cell::kernel_key).
    pub kernels: BTreeMap<String, PlannedKernel>,
    /// What sources were compiled to, by [`Cell::object_key`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub objects: BTreeMap<String, PlannedObject>,
    /// The agent for each architecture that a cell uses.
    pub agents: BTreeMap<Arch, FileRef>,
    /// The cells, in the order reports show them.
    pub cells: Vec<PlannedCell>,
    /// How many cells the matrix excluded.
    #[serde(default)]
    pub excluded: usize,
    /// What the matrix allows a program to cost the verifier.
    #[serde(default, skip_serializing_if = "Budget::is_empty")]
    pub budget: Budget,
    /// Which shard of a larger plan this is, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<Shard>,
}

/// A shard, and the whole plan that it was taken from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Shard {
    /// As it was selected: `count:1/4`. A merged report names all of its shards.
    pub names: Vec<String>,
    /// Ids of the cells of all shards, in the order of the plan.
    pub planned: Vec<String>,
}

/// An artifact and its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedArtifact {
    /// What it is.
    pub artifact: Artifact,
    /// The file; its bytes are copied into a run's evidence directory.
    pub file: FileRef,
    /// The files that its manifest names, by the manifest's names for them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub companions: BTreeMap<String, FileRef>,
    /// The bytes of these files, as far as they were read to take their digests.
    #[serde(skip)]
    pub kept: Kept,
}

/// Bytes that were read once, by their digest: whatever becomes of the file, the guest is given
/// these. They travel in memory, and a plan that is written down has none.
#[derive(Clone, Default)]
pub struct Kept(BTreeMap<String, Arc<[u8]>>);

impl Kept {
    /// Keeps the bytes that have this digest.
    pub fn put(&mut self, sha256: &str, bytes: Vec<u8>) {
        self.0.insert(sha256.to_owned(), bytes.into());
    }

    /// The bytes of this digest.
    pub fn get(&self, sha256: &str) -> Option<&Arc<[u8]>> {
        self.0.get(sha256)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// A plan is the same plan with and without the bytes of its files, which it has by digest.
impl PartialEq for Kept {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Kept {}

/// What a source came to, by one clang for one architecture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PlannedObject {
    /// An object.
    Object {
        /// The first line of the compiler's `--version`.
        clang: String,
        /// The file.
        file: FileRef,
    },
    /// The compiler refused the source: its cells have their verdict.
    Refused {
        /// The first line of the compiler's `--version`.
        clang: String,
        /// Why.
        diagnosis: Diagnosis,
        /// Everything that the compiler printed.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        log: String,
    },
}

/// A kernel's boot files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedKernel {
    /// Name in the catalogue, or a path's file name for the user's own kernel.
    pub name: String,
    /// `uname -r` as the lock or the image says; evidence has what the guest said.
    pub release: String,
    /// Architecture.
    pub arch: Arch,
    /// What QEMU's `-kernel` takes: an uncompressed PVH `vmlinux` on `x86_64`, `Image` elsewhere.
    pub image: FileRef,
    /// The kernel's initramfs segment: modules, their load order, `/boot/config-<release>`.
    pub segment: FileRef,
    /// All of the kernel's modules, with an index of what each defines: what an object names
    /// travels with it in a segment of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modules: Option<FileRef>,
    /// Kernel arguments beyond those of the devices.
    #[serde(default)]
    pub cmdline: Vec<String>,
    /// `sysctl` settings the agent applies, `key=value`; listed as edits in the evidence.
    #[serde(default)]
    pub sysctl: Vec<String>,
    /// The ways to the host for which no driver is known to be built in or among the modules: `vsock`,
    /// and `serial` for a virtio-serial port. Its guests take another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub no_driver_for: Vec<String>,
    /// False if a file did not come from the lock, such as a user kernel.
    pub hermetic: bool,
    /// SHA-256 of each package the files came from, by package name; empty for the user's own.
    #[serde(default, deserialize_with = "crate::sha256::map")]
    pub packages: BTreeMap<String, String>,
}

/// A cell and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedCell {
    /// Which one.
    pub cell: Cell,
    /// What the matrix says of it, or else the manifest.
    pub expected: Expectation,
    /// What the manifest says of single programs, whatever becomes of the rest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub programs: BTreeMap<String, Expectation>,
    /// Programs whose attachment may be refused.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub attach_optional: BTreeSet<String>,
    /// What the artifact's own loader would do to it on this kernel.
    #[serde(default, skip_serializing_if = "Contract::is_empty")]
    pub contract: Contract,
    /// Kernel arguments for this cell alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cmdline: Vec<String>,
    /// Whether it decides the exit status.
    pub required: bool,
    /// Guest memory in MiB.
    pub memory: u32,
    /// Virtual CPUs.
    pub cpus: u32,
}

impl PlannedCell {
    /// A cell of which nothing is said: it must pass, in a guest of the usual size.
    pub fn new(cell: Cell) -> Self {
        Self {
            cell,
            expected: Expectation::default(),
            programs: BTreeMap::new(),
            attach_optional: BTreeSet::new(),
            contract: Contract::default(),
            cmdline: Vec::new(),
            required: true,
            memory: MEMORY,
            cpus: CPUS,
        }
    }
}
