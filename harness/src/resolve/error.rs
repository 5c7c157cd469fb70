//! Reasons why there is no plan.

use std::io;
use std::path::{Path, PathBuf};

use ukci_matrix::authored::instead_of;
use ukci_matrix::manifest::ManifestError;
use ukci_matrix::matrix::MatrixError;
use ukci_schema::cell::Arch;
use ukci_schema::plural::first_of;

use super::MATRICES;
use crate::{catalogue, compile};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A source has other bytes than the report would name.
    #[error("`{}` was edited while it was compiled", path.display())]
    Changed {
        /// The source.
        path: PathBuf,
    },
    /// A directory, a pipe or a device.
    #[error("`{}` is not a regular file", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// No object is as large.
    #[error("`{}` has {} MiB, over the limit of {} MiB", path.display(), bytes >> 20, limit >> 20)]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The largest length.
        limit: u64,
    },
    /// The file is something else.
    #[error("`{}` is not a BPF object: {what}", path.display())]
    NotBpf {
        /// Which.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The object has functions, and none of them is a program.
    #[error(
        "`{}` has no program: {} in `.text`, where libbpf loads nothing by itself",
        path.display(), in_text(functions)
    )]
    NoProgram {
        /// Which.
        path: PathBuf,
        /// Its functions.
        functions: Vec<String>,
    },
    /// A manifest's file of BTF is something else.
    #[error("`{}` has no BTF", path.display())]
    NotBtf {
        /// Which.
        path: PathBuf,
    },
    /// An external BTF is something else.
    #[error("`{}` is not the BTF of a kernel: {what}", path.display())]
    NoKernelBtf {
        /// Which.
        path: PathBuf,
        /// What it is.
        what: String,
        /// What to do instead.
        hint: Option<&'static str>,
    },
    /// An external BTF, and cells on several kernels.
    #[error("`{}` describes one kernel, and the run has {kernels} kernels", path.display())]
    BtfOfOneKernel {
        /// The file.
        path: PathBuf,
        /// How many kernels the cells are on; one name on two architectures is two.
        kernels: usize,
    },
    /// An external BTF of another architecture.
    #[error("`{}` describes a kernel for {arch}, and `{kernel}` runs on {runs_on}", path.display())]
    BtfForOtherArch {
        /// The file.
        path: PathBuf,
        /// What it is for.
        arch: Arch,
        /// The kernel of a cell.
        kernel: String,
        /// What that is for.
        runs_on: Arch,
    },
    /// A program without an object in it.
    #[error("`{}` contains no BPF object", path.display())]
    NothingEmbedded {
        /// The program.
        path: PathBuf,
    },
    /// Two artifacts would have one name.
    #[error("two artifacts are both named `{name}`: `{one}` and `{other}`")]
    SameName {
        /// The name.
        name: String,
        /// A path.
        one: String,
        /// Another.
        other: String,
    },
    /// A path that a report cannot have.
    #[error("the path `{}` is not UTF-8", .0.display())]
    NotUtf8(PathBuf),
    /// LLVMs, and nothing to compile.
    #[error("`--llvm` applies only to C sources, and no artifact is one")]
    NoSource,
    /// The matrix does not have this LLVM.
    #[error("the matrix has no LLVM {llvm}, only {}", known.join(", "))]
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
    #[error("there is no matrix `{0}`")]
    UnknownMatrix(String),
    /// The matrix is wrong.
    #[error("the matrix cannot be used")]
    Matrix(#[from] MatrixError),
    /// A manifest is wrong.
    #[error("the manifest cannot be used")]
    Manifest(#[from] ManifestError),
    /// A manifest for an artifact that is not of this run.
    #[error("the manifest `{}` is for `{name}`, and no artifact has that name", path.display())]
    NoArtifact {
        /// The manifest.
        path: PathBuf,
        /// The artifact's name that was given.
        name: String,
        /// Names that exist.
        known: Vec<String>,
    },
    /// No kernel of this name.
    #[error("there is no kernel `{name}`")]
    UnknownKernel {
        /// The name.
        name: String,
        /// The nearest kernels, with their architectures.
        near: Vec<String>,
    },
    /// A group of kernels, or a pattern, where one kernel is to be named.
    #[error("`{0}` names several kernels, and `--kernel` takes the name of one")]
    SeveralKernels(String),
    /// A short name fits several kernels.
    #[error("several kernels are called `{name}`")]
    AmbiguousKernel {
        /// The name.
        name: String,
        /// They, with their architectures.
        known: Vec<String>,
    },
    /// The kernel is of other architectures.
    #[error(
        "kernel `{name}` is not available for {arch}, only for {}",
        words(known)
    )]
    NotLockedFor {
        /// The name, or the path of the user's own.
        name: String,
        /// The architecture.
        arch: Arch,
        /// Those that it is for.
        known: Vec<Arch>,
    },
    /// The matrix has no cell of this architecture.
    #[error("matrix `{matrix}` has no cell for {arch}, only for {}", words(known))]
    ArchNotInMatrix {
        /// The architecture.
        arch: Arch,
        /// The matrix.
        matrix: String,
        /// Those that it has.
        known: Vec<Arch>,
    },
    /// The matrix does not have this kernel.
    #[error("matrix `{matrix}` has no kernel `{name}`")]
    NotInMatrix {
        /// The name, or the path of the user's own.
        name: String,
        /// The matrix.
        matrix: String,
        /// The nearest kernels that it has, with their architectures.
        near: Vec<String>,
    },
    /// Two kernels would have one name, and cells of one would be shown as the other's.
    #[error("two kernels are both named `{name}`: `{one}` and `{other}`")]
    SameKernel {
        /// The name.
        name: String,
        /// A path.
        one: String,
        /// Another, or the name in the catalogue.
        other: String,
    },
    /// A kernel's files could not be had.
    #[error("failed to prepare kernel `{kernel}`")]
    Kernel {
        /// The kernel.
        kernel: String,
        /// Why.
        source: Box<catalogue::Error>,
    },
    /// The agent that the executable carries could not be written.
    #[error("failed to unpack the agent for {arch} into `{}`", dir.display())]
    Agent {
        /// The architecture.
        arch: Arch,
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no agent for an architecture.
    #[error("no agent for {arch} was found: there is no {}", list(tried))]
    NoAgent {
        /// The architecture.
        arch: Arch,
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// The shell for the commands of functional tests could not be had.
    #[error("failed to prepare the shell for guests of {arch}")]
    Shell {
        /// The architecture.
        arch: Arch,
        /// Why.
        source: Box<catalogue::Error>,
    },
    /// The files of functional tests could not be put together.
    #[error("failed to prepare the files of the functional tests of `{artifact}`")]
    TestFiles {
        /// The artifact.
        artifact: String,
        /// Why.
        source: Box<crate::command::Error>,
    },
    /// Nothing is left to run.
    #[error("no cell was selected: matrix `{matrix}` excludes all {excluded}")]
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

/// `a`, `b` are; the first of many functions.
fn in_text(functions: &[String]) -> String {
    const SHOWN: usize = 3;
    let names = functions.iter().map(|name| format!("`{name}`"));
    let verb = if functions.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", first_of(names, SHOWN))
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
        match self {
            Self::NoSource => Some("leave `--llvm` out, or give a `.bpf.c` file".into()),
            Self::LlvmNotInMatrix { .. } => {
                Some("leave `--llvm` out, or add it to `llvms` in the matrix".into())
            }
            Self::Compile(error) => error.hint(),
            Self::Changed { .. } => Some("run it again".into()),
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
            Self::UnknownKernel { name, .. } if Path::new(name).exists() => Some(format!(
                "if you mean a file or a directory, write its path with a `/`: `./{name}`"
            )),
            Self::UnknownKernel { near, .. } => Some(match near.as_slice() {
                [] => "see `ukci kernels list` for all kernels; a path needs a `/`".into(),
                [one] => format!("the nearest kernel is {one}"),
                near => format!("the nearest kernels are {}", near.join(", ")),
            }),
            Self::SeveralKernels(name) => Some(match name.split_once('@') {
                Some(("", group)) if super::MATRICES.iter().any(|(known, _)| *known == group) => {
                    format!(
                        "use `--matrix {group}`; groups and patterns work only in a matrix file"
                    )
                }
                _ => format!(
                    "write `kernels = [\"{name}\"]` in a matrix file, and give it with `--matrix`"
                ),
            }),
            Self::AmbiguousKernel { known, .. } => {
                Some(format!("name one of {}", known.join(", ")))
            }
            Self::NotInMatrix { name, .. } if name.contains('/') => {
                Some("leave `--matrix` out to run on a user kernel".into())
            }
            Self::NotInMatrix { matrix, near, .. } => Some(match near.as_slice() {
                [] => format!("see `ukci list --matrix {matrix}` for its cells"),
                [one] => format!("the nearest kernel in it is {one}"),
                near => format!("the nearest kernels in it are {}", near.join(", ")),
            }),
            Self::Kernel { source, .. } | Self::Shell { source, .. } => source.hint(),
            Self::TestFiles { source, .. } => source.hint(),
            Self::NotLockedFor { known, .. } => known
                .first()
                .map(|arch| format!("run it with `--arch {arch}`")),
            Self::ArchNotInMatrix { .. } => Some(
                "use `--matrix archs`, which has every architecture, or leave `--matrix` out"
                    .into(),
            ),
            Self::Agent { .. } => {
                Some("set `XDG_CACHE_HOME` to a directory that can be written".into())
            }
            Self::NoAgent { arch, .. } => Some(format!(
                "run `make agent ARCHES={arch}`, which builds it, or set `UKCI_AGENT_{}` to its path",
                arch.name().to_uppercase()
            )),
            Self::SameName { .. } | Self::SameKernel { .. } => {
                Some("give them different file names".into())
            }
            Self::NotUtf8(_) => {
                Some("give the file, and the directories above it, names in UTF-8".into())
            }
            Self::NoCells { excluded: 1.., .. } => {
                Some("remove an `[[exclude]]` from the matrix".into())
            }
            Self::NotBpf { hint, .. } => hint.clone(),
            Self::NoProgram { .. } => Some(
                "give each program its section, as in `SEC(\"xdp\")`; link an object that has only \
                 functions for others with `bpftool gen object`, and give the result"
                    .into(),
            ),
            Self::NotBtf { .. } => Some(
                "give the bytes of the kernel's `/sys/kernel/btf/vmlinux`, or an ELF file with a \
                 section `.BTF`; unpack it if it is compressed"
                    .into(),
            ),
            Self::NoKernelBtf { hint, .. } => hint.map(str::to_owned),
            Self::BtfOfOneKernel { .. } => Some(
                "select one kernel with `--kernel`, or name a file for each kernel in a manifest, \
                 with `btf_custom_path` in its `[[overrides]]`"
                    .into(),
            ),
            Self::BtfForOtherArch { arch, .. } => Some(format!(
                "give the BTF of the kernel on which the object runs, or select a kernel for {arch}"
            )),
            Self::NothingEmbedded { .. } => Some(
                "give the `.bpf.o` that was built; objects that are packed or downloaded at run \
                 time cannot be found"
                    .into(),
            ),
            Self::NoCells { .. }
            | Self::Read { .. }
            | Self::NotAFile { .. }
            | Self::TooLarge { .. } => None,
        }
    }
}
