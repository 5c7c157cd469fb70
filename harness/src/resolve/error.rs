//! Why there is no plan.

use std::io;
use std::path::PathBuf;

use ukci_matrix::authored::instead_of;
use ukci_matrix::manifest::ManifestError;
use ukci_matrix::matrix::MatrixError;
use ukci_schema::cell::Arch;

use super::MATRICES;
use crate::{catalogue, compile};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("read `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Two artifacts would have one name.
    #[error("tell `{one}` and `{other}` apart: both are named `{name}`")]
    SameName {
        /// The name.
        name: String,
        /// A path.
        one: String,
        /// Another.
        other: String,
    },
    /// LLVMs, and nothing to compile.
    #[error("use an LLVM: no artifact is C source")]
    NoSource,
    /// The matrix does not have this LLVM.
    #[error("find LLVM {llvm} in the matrix: it has {}", known.join(", "))]
    LlvmNotInMatrix {
        /// The major.
        llvm: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A source could not be compiled for a reason that is not its own.
    #[error(transparent)]
    Compile(#[from] compile::Error),
    /// No matrix of this name.
    #[error("find matrix `{0}`")]
    UnknownMatrix(String),
    /// The matrix is wrong.
    #[error("use the matrix")]
    Matrix(#[from] MatrixError),
    /// A manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A manifest for an artifact that is not of this run.
    #[error("use manifest `{path}`: no artifact is named `{name}`")]
    NoArtifact {
        /// The manifest.
        path: PathBuf,
        /// The artifact's name that was given.
        name: String,
        /// Names that exist.
        known: Vec<String>,
    },
    /// No kernel of this name.
    #[error("find kernel `{name}`")]
    UnknownKernel {
        /// The name.
        name: String,
        /// Names that exist.
        known: Vec<String>,
    },
    /// The kernel is of other architectures.
    #[error("find kernel `{name}` for {arch}: it is for {}", words(known))]
    NotLockedFor {
        /// The name, or the path of the user's own.
        name: String,
        /// The architecture.
        arch: Arch,
        /// Those that it is for.
        known: Vec<Arch>,
    },
    /// The matrix has no cell of this architecture.
    #[error("find a cell for {arch} in matrix `{matrix}`: it has {}", words(known))]
    ArchNotInMatrix {
        /// The architecture.
        arch: Arch,
        /// The matrix.
        matrix: String,
        /// Those that it has.
        known: Vec<Arch>,
    },
    /// The matrix does not have this kernel.
    #[error("find kernel `{name}` in matrix `{matrix}`")]
    NotInMatrix {
        /// The name, or the path of the user's own.
        name: String,
        /// The matrix.
        matrix: String,
        /// The kernels that it has.
        known: Vec<String>,
    },
    /// Two kernels would have one name, and cells of one would be shown as the other's.
    #[error("tell kernels `{one}` and `{other}` apart: both are named `{name}`")]
    SameKernel {
        /// The name.
        name: String,
        /// A path.
        one: String,
        /// Another, or the name in the catalogue.
        other: String,
    },
    /// A kernel's files could not be had.
    #[error("prepare kernel `{kernel}`")]
    Kernel {
        /// The kernel.
        kernel: String,
        /// Why.
        source: Box<catalogue::Error>,
    },
    /// There is no agent for an architecture.
    #[error("find the agent for {arch}: none of {} exists", list(tried))]
    NoAgent {
        /// The architecture.
        arch: Arch,
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// Nothing is left to run.
    #[error("select a cell: none is left of the {excluded} that `{matrix}` names")]
    NoCells {
        /// The matrix.
        matrix: String,
        /// How many were excluded.
        excluded: usize,
    },
}

fn words(arches: &[Arch]) -> String {
    let names: Vec<&str> = arches.iter().map(|arch| arch.name()).collect();
    names.join(", ")
}

fn list(paths: &[PathBuf]) -> String {
    let quoted: Vec<String> = paths
        .iter()
        .map(|path| format!("`{}`", path.display()))
        .collect();
    quoted.join(", ")
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        let names = |names: &[String], wrong: &str| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            instead_of(wrong, &names)
        };
        match self {
            Self::NoSource => Some("`--llvm` is for `.bpf.c` files".into()),
            Self::LlvmNotInMatrix { .. } => {
                Some("leave `--llvm` out, or add it to `llvms` of the matrix".into())
            }
            Self::Compile(error) => error.hint(),
            Self::UnknownMatrix(name) => {
                let names: Vec<&str> = MATRICES.iter().map(|(name, _)| *name).collect();
                instead_of(name, &names)
            }
            Self::Matrix(error) => error.hint(),
            Self::Manifest(error) => error.hint(),
            Self::NoArtifact { name, known, .. } => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                instead_of(name, &known)
            }
            Self::UnknownKernel { name, known } => names(known, name)
                .or_else(|| Some("`ukci kernels list` names them; a path needs a `/`".into())),
            Self::NotInMatrix { name, .. } if name.contains('/') => {
                Some("leave the matrix out to run on a kernel of your own".into())
            }
            Self::NotInMatrix {
                name,
                matrix,
                known,
            } => names(known, name)
                .or_else(|| Some(format!("`ukci list --matrix {matrix}` shows its cells"))),
            Self::Kernel { source, .. } => source.hint(),
            Self::NotLockedFor { known, .. } => known
                .first()
                .map(|arch| format!("run it with `--arch {arch}`")),
            Self::ArchNotInMatrix { .. } => {
                Some("the matrix `archs` has every architecture, or leave the matrix out".into())
            }
            Self::NoAgent { arch, .. } => Some(format!(
                "`make agent ARCHES={arch}` builds it beside the executable, or name one by \
                 `UKCI_AGENT_{}`",
                arch.name().to_uppercase()
            )),
            Self::SameName { .. } | Self::SameKernel { .. } => {
                Some("give them different file names".into())
            }
            Self::NoCells { excluded: 1.., .. } => {
                Some("its `[[exclude]]` cover all of them".into())
            }
            Self::NoCells { .. } | Self::Read { .. } => None,
        }
    }
}
