//! The matrix file: which kernels, LLVMs and architectures are tested, and what is expected of
//! them.
//!
//! The cells are the union of the `[[cells]]` products (kernels × LLVMs × architectures), minus
//! every cell that an `[[exclude]]` covers. `[[expect]]` says what is expected of the cells that it
//! covers, and the last rule counts. What a rule covers is a [`Scope`](crate::scope::Scope). A rule
//! that names no axis or covers no cell is an error, and so is an entry of an axis that covers no
//! cell, because a stale expectation is misleading.

mod bless;
mod expand;
mod old_words;
mod rule;

use serde::Deserialize;

use crate::authored::{self, AuthoredError, Node, Path, Place};
use crate::pattern::Pattern;
use crate::scope::{OneOrMany, Scope};
use ukci_schema::budget::Budget;
use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::Code;
use ukci_schema::plan::PlannedCell;
use ukci_schema::verdict::VerdictKind;

pub use crate::groups::{Groups, KnownKernel};
pub use bless::{Blessed, NOT_OF_A_KERNEL, Refused, Why, bless};

/// Least guest memory that a matrix may ask for, in MiB: the kernels of the catalogue do not
/// reach their init in less.
pub const LEAST_MEMORY: u32 = 64;

/// Most virtual CPUs that a matrix may ask for.
pub const MOST_CPUS: u32 = 64;

/// What a file says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Authored {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    memory: Option<u32>,
    #[serde(default)]
    cpus: Option<u32>,
    #[serde(default)]
    cmdline: Vec<String>,
    #[serde(default)]
    sysctl: Vec<String>,
    #[serde(default)]
    max_insns: Option<u64>,
    #[serde(default)]
    max_growth_percent: Option<u32>,
    #[serde(default)]
    cells: Vec<Product>,
    #[serde(default)]
    exclude: Vec<Exclude>,
    #[serde(default)]
    expect: Vec<Expect>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Product {
    kernels: OneOrMany<Pattern>,
    #[serde(default)]
    llvms: OneOrMany<String>,
    #[serde(default)]
    arches: OneOrMany<Arch>,
    #[serde(default)]
    memory: Option<u32>,
    #[serde(default)]
    cpus: Option<u32>,
    #[serde(default)]
    required: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exclude {
    #[serde(default)]
    artifacts: Option<OneOrMany<Pattern>>,
    #[serde(default)]
    kernels: Option<OneOrMany<Pattern>>,
    #[serde(default)]
    llvms: Option<OneOrMany<Pattern>>,
    #[serde(default)]
    arches: Option<OneOrMany<Arch>>,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    #[serde(default)]
    artifacts: Option<OneOrMany<Pattern>>,
    #[serde(default)]
    kernels: Option<OneOrMany<Pattern>>,
    #[serde(default)]
    llvms: Option<OneOrMany<Pattern>>,
    #[serde(default)]
    arches: Option<OneOrMany<Arch>>,
    verdict: VerdictKind,
    #[serde(default)]
    code: Option<Code>,
    #[serde(default)]
    required: Option<bool>,
    reason: String,
}

impl Exclude {
    fn scope(&self) -> Scope<'_> {
        Scope {
            artifacts: self.artifacts.as_deref(),
            kernels: self.kernels.as_deref(),
            llvms: self.llvms.as_deref(),
            arches: self.arches.as_deref(),
        }
    }
}

impl Expect {
    fn scope(&self) -> Scope<'_> {
        Scope {
            artifacts: self.artifacts.as_deref(),
            kernels: self.kernels.as_deref(),
            llvms: self.llvms.as_deref(),
            arches: self.arches.as_deref(),
        }
    }
}

/// A matrix that was read; its names are not yet looked up.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// Its name: the key `name`, or the file's without `.toml`.
    pub name: String,
    file: String,
    text: String,
    tree: Node,
    authored: Authored,
    groups: Groups,
    /// A sentence about words that the next release refuses.
    old_words: Option<String>,
}

/// A matrix with artifacts: cells in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The cells.
    pub cells: Vec<PlannedCell>,
    /// How many were excluded.
    pub excluded: usize,
    /// One sentence for each thing that may not be meant, and for each that the next release will
    /// refuse.
    pub warnings: Vec<String>,
}

/// What is wrong with a matrix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MatrixError {
    /// It could not be read.
    #[error(transparent)]
    Authored(#[from] AuthoredError),
    /// It was read, and does not make sense.
    #[error("{at}: {message}{}", at.excerpt())]
    Meaning {
        /// Where.
        at: Box<Place>,
        /// What is wrong.
        message: String,
        /// An action that may help.
        hint: Option<String>,
    },
}

impl MatrixError {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Authored(error) => error.hint().or_else(|| version_hint(error)),
            Self::Meaning { hint, .. } => hint.clone(),
        }
    }
}

/// `6.10` without quotes is the number 6.1 to TOML.
fn version_hint(error: &AuthoredError) -> Option<String> {
    let AuthoredError::Value { message, .. } = error else {
        return None;
    };
    let of_text = message.contains("string") || message.contains("text");
    (of_text && message.contains("the number")).then(|| {
        "versions are strings, since TOML reads 6.10 as 6.1: put them in quotes".to_owned()
    })
}

impl Matrix {
    /// Reads a matrix. `file_name` is for messages, and names the matrix.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, MatrixError> {
        let mut tree = authored::tree(text, file_name)?;
        let old_words = old_words::replace(&mut tree, text, file_name)?;
        let authored: Authored = authored::value(&tree, text, file_name)?;
        let stem = file_name.rsplit('/').next().unwrap_or(file_name);
        let stem = stem.strip_suffix(".toml").unwrap_or(stem);
        let matrix = Self {
            name: authored.name.clone().unwrap_or_else(|| stem.to_owned()),
            file: file_name.to_owned(),
            text: text.to_owned(),
            tree,
            authored,
            groups: Groups::default(),
            old_words,
        };
        matrix.check()?;
        Ok(matrix)
    }

    /// The matrix with names for several kernels; without them only `@all` is known.
    #[must_use]
    pub fn with_groups(mut self, groups: Groups) -> Self {
        self.groups = groups;
        self
    }

    /// What a program may cost the verifier.
    pub fn budget(&self) -> Budget {
        Budget {
            max_insns: self.authored.max_insns,
            max_growth_percent: self.authored.max_growth_percent,
        }
    }

    /// Values that are wrong whatever the catalogue and the artifacts are.
    fn check(&self) -> Result<(), MatrixError> {
        let authored = &self.authored;
        if authored
            .name
            .as_ref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Err(self.wrong(&Path::from("name"), "the name is empty", None));
        }
        if authored.cells.is_empty() {
            let hint = "add `[[cells]]` with `kernels = […]`".to_owned();
            return Err(self.wrong(&Path::default(), "the matrix has no cells", Some(hint)));
        }
        self.check_size(&Path::default(), authored.memory, authored.cpus)?;
        for (n, product) in authored.cells.iter().enumerate() {
            let path = Path::from("cells").then(n);
            if product.kernels.is_empty() {
                return Err(self.wrong(&path, "these cells name no kernel", None));
            }
            self.check_size(&path, product.memory, product.cpus)?;
        }
        for (n, setting) in authored.sysctl.iter().enumerate() {
            if setting
                .split_once('=')
                .is_none_or(|(key, _)| key.trim().is_empty())
            {
                let path = Path::from("sysctl").then(n);
                let message = format!("sysctl `{setting}` is not `key=value`");
                return Err(self.wrong(&path, &message, None));
            }
        }
        Ok(())
    }

    fn check_size(
        &self,
        path: &Path,
        memory: Option<u32>,
        cpus: Option<u32>,
    ) -> Result<(), MatrixError> {
        if memory.is_some_and(|memory| memory < LEAST_MEMORY) {
            let message = format!("a guest needs at least {LEAST_MEMORY} MiB");
            return Err(self.wrong(&path.then("memory"), &message, None));
        }
        if cpus.is_some_and(|cpus| !(1..=MOST_CPUS).contains(&cpus)) {
            let message = format!("a guest has 1 to {MOST_CPUS} CPUs");
            return Err(self.wrong(&path.then("cpus"), &message, None));
        }
        Ok(())
    }

    /// Kernel arguments that it adds to those of the devices.
    pub fn cmdline(&self) -> &[String] {
        &self.authored.cmdline
    }

    /// Settings that the agent applies, `key=value`.
    pub fn sysctl(&self) -> &[String] {
        &self.authored.sysctl
    }

    /// Every kernel that it names, by itself or in a group, once, in the order of the file.
    pub fn kernels<'a>(&'a self, known: &[KnownKernel<'a>]) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        let authored = self.authored.cells.iter();
        for name in authored.flat_map(|product| product.kernels.iter()) {
            for arch in Arch::ALL {
                let kernels = self.groups.expand(name, arch, known).unwrap_or_default();
                for kernel in kernels {
                    if !names.contains(&kernel) {
                        names.push(kernel);
                    }
                }
            }
        }
        names
    }

    fn place(&self, path: &Path) -> Place {
        Place::new(&self.file, &self.text, self.tree.span_of(path))
    }

    fn wrong(&self, path: &Path, message: &str, hint: Option<String>) -> MatrixError {
        MatrixError::Meaning {
            at: self.place(path).into(),
            message: message.to_owned(),
            hint,
        }
    }
}

#[cfg(test)]
mod tests;
