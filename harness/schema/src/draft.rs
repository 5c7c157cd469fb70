//! A plan before the digests of its files are known, which Nix can write without building anything.
//! Reading the files completes it to a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::artifact::Form;
use crate::budget::Budget;
use crate::cell::Arch;
use crate::plan::PlannedCell;

/// Version of the draft's shape.
pub const SCHEMA: &str = "ukci.draft/1";

/// Everything a run needs, by path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Draft {
    /// [`SCHEMA`].
    pub schema: String,
    /// Name of the matrix.
    pub matrix: String,
    /// The artifacts, by name.
    pub artifacts: BTreeMap<String, DraftArtifact>,
    /// The kernels, by [`kernel_key`](crate::cell::kernel_key).
    pub kernels: BTreeMap<String, DraftKernel>,
    /// What sources were compiled to, by artifact, LLVM and architecture:
    /// `execsnoop/llvm-22/x86_64`.
    #[serde(default)]
    pub objects: BTreeMap<String, DraftObject>,
    /// The agent for each architecture that a cell uses.
    pub agents: BTreeMap<Arch, PathBuf>,
    /// The cells, in the order reports show them.
    pub cells: Vec<PlannedCell>,
    /// How many cells the matrix excluded.
    #[serde(default)]
    pub excluded: usize,
    /// What the matrix allows a program to cost the verifier.
    #[serde(default)]
    pub budget: Budget,
    /// The names of all kernels there are, where `cells` are all cells of the matrix: then a
    /// manifest's rule that covers none of them is refused, and so is a matrix without a kernel
    /// that a manifest requires. A draft of one cell cannot tell.
    #[serde(default)]
    pub catalogue: Option<BTreeSet<String>>,
}

/// An artifact's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftArtifact {
    /// The object, or the source.
    pub file: PathBuf,
    /// What people call it: a path in their tree.
    pub path: String,
    /// Which of the two `file` is.
    pub form: Form,
    /// Its manifest.
    #[serde(default)]
    pub manifest: Option<DraftManifest>,
}

/// An artifact's manifest. The files that it names lie beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftManifest {
    /// The file.
    pub file: PathBuf,
    /// What people call it.
    pub path: String,
}

/// What a source came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftObject {
    /// The compiler, e.g. `clang-21.1.8`.
    pub clang: String,
    /// A directory with [`OBJECT`], or with [`REFUSAL`] where the compiler refused the source.
    pub dir: PathBuf,
}

/// The file of a [`DraftObject`] that is the object.
pub const OBJECT: &str = "object.bpf.o";

/// The file of a [`DraftObject`] that has what the compiler said of a source that it refused.
pub const REFUSAL: &str = "refusal.txt";

/// A kernel's directory, as `ukci kernels unpack` fills it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DraftKernel {
    /// The directory.
    pub dir: PathBuf,
    /// Kernel arguments beyond those of the devices.
    #[serde(default)]
    pub cmdline: Vec<String>,
    /// `sysctl` settings the agent applies, `key=value`.
    #[serde(default)]
    pub sysctl: Vec<String>,
}
