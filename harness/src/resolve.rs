//! Matrix, artifacts and catalogue make a plan: names become files by digest.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ukci_schema::artifact::{Artifact, Form, name_of};
use ukci_schema::authored::instead_of;
use ukci_schema::cell::{Arch, Cell, kernel_key};
use ukci_schema::matrix::{Expansion, KnownKernel, MEMORY, Matrix, MatrixError};
use ukci_schema::plan::{FileRef, Plan, PlannedArtifact, PlannedCell, PlannedKernel, SCHEMA};
use ukci_schema::verdict::Expectation;

use crate::catalogue::digest;
use crate::catalogue::{self, Catalogue, Progress};

/// The matrices that travel in the binary.
const MATRICES: &[(&str, &str)] = &[
    ("quick", include_str!("../../matrices/quick.toml")),
    ("full", include_str!("../../matrices/full.toml")),
];

/// The lock that travels in the binary.
pub const LOCK: &str = include_str!("../../kernels/lock.json");

/// Kernels fetched and unpacked at the same time: downloads wait for the network, unpacking does
/// not.
const AT_ONCE: usize = 3;

/// What to run, in the user's words.
#[derive(Clone, Debug)]
pub enum Selection {
    /// A matrix by name or path.
    Matrix(String),
    /// Kernels by name, or the user's own by path.
    Kernels {
        /// Names or paths.
        kernels: Vec<String>,
        /// Module directories of the user's own kernels.
        modules: Vec<PathBuf>,
    },
}

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
    /// C source where an object is needed.
    #[error("load `{0}`: it is C source, not an object")]
    Source(PathBuf),
    /// No matrix of this name.
    #[error("find matrix `{0}`")]
    UnknownMatrix(String),
    /// The matrix is wrong.
    #[error("use the matrix")]
    Matrix(#[from] MatrixError),
    /// No kernel of this name.
    #[error("find kernel `{name}`")]
    UnknownKernel {
        /// The name.
        name: String,
        /// Names that exist.
        known: Vec<String>,
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
    #[error("select a cell: none is left of the {excluded} that the matrix names")]
    NoCells {
        /// How many were excluded.
        excluded: usize,
    },
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
            Self::Source(path) => Some(format!(
                "`clang -g -O2 -target bpf -D__TARGET_ARCH_x86 -c {}` makes an object of it",
                path.display()
            )),
            Self::UnknownMatrix(name) => {
                let names: Vec<&str> = MATRICES.iter().map(|(name, _)| *name).collect();
                instead_of(name, &names)
            }
            Self::Matrix(error) => error.hint(),
            Self::UnknownKernel { name, known } => {
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                instead_of(name, &known)
                    .or_else(|| Some("`ukci kernels list` names them; a path needs a `/`".into()))
            }
            Self::Kernel { source, .. } => source.hint(),
            Self::NoAgent { .. } => Some("`make agent` builds it beside the executable".into()),
            Self::SameName { .. } => Some("give them different file names".into()),
            Self::Read { .. } | Self::NoCells { .. } => None,
        }
    }
}

/// Reads the artifacts. Nothing is fetched or booted before all of them are there.
pub fn artifacts(paths: &[PathBuf]) -> Result<Vec<PlannedArtifact>, Error> {
    let mut planned: Vec<PlannedArtifact> = Vec::new();
    for path in paths {
        let read = |source| Error::Read {
            path: path.clone(),
            source,
        };
        let file = path.canonicalize().map_err(read)?;
        let bytes = std::fs::read(&file).map_err(read)?;
        let file_name = path
            .file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy();
        let form = match path.extension() {
            Some(ending) if ending == "c" => return Err(Error::Source(path.clone())),
            _ => Form::Object,
        };
        let artifact = Artifact {
            name: name_of(&file_name).to_owned(),
            path: path.display().to_string(),
            sha256: digest::of(&bytes),
            size: bytes.len() as u64,
            form,
        };
        if let Some(other) = planned
            .iter()
            .find(|other| other.artifact.name == artifact.name)
        {
            return Err(Error::SameName {
                name: artifact.name,
                one: other.artifact.path.clone(),
                other: artifact.path,
            });
        }
        let sha256 = artifact.sha256.clone();
        planned.push(PlannedArtifact {
            artifact,
            file: FileRef { path: file, sha256 },
        });
    }
    Ok(planned)
}

/// A matrix by its name, or from a file: what has a `/` or ends in `.toml` is a path.
pub fn matrix(name: &str) -> Result<Matrix, Error> {
    if name.contains('/')
        || Path::new(name)
            .extension()
            .is_some_and(|ending| ending == "toml")
    {
        let path = PathBuf::from(name);
        let text = std::fs::read_to_string(&path).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        return Ok(Matrix::parse(&text, name)?);
    }
    let (name, text) = MATRICES
        .iter()
        .find(|(known, _)| *known == name)
        .ok_or_else(|| Error::UnknownMatrix(name.to_owned()))?;
    Ok(Matrix::parse(text, &format!("matrices/{name}.toml"))?)
}

/// The cells of a selection, before anything is fetched.
pub fn expand(
    selection: &Selection,
    artifacts: &[PlannedArtifact],
    catalogue: &Catalogue,
) -> Result<(String, Expansion), Error> {
    let artifacts: Vec<Artifact> = artifacts.iter().map(|a| a.artifact.clone()).collect();
    let lock = catalogue.lock();
    let known: Vec<KnownKernel<'_>> = lock
        .kernels
        .iter()
        .map(|k| KnownKernel {
            name: &k.name,
            arch: k.arch,
        })
        .collect();
    let (name, expansion) = match selection {
        Selection::Matrix(name) => {
            let matrix = matrix(name)?;
            let expansion = matrix.expand(&artifacts, &known)?;
            (matrix.name, expansion)
        }
        Selection::Kernels { kernels, .. } => {
            let mut cells = Vec::new();
            for artifact in &artifacts {
                for kernel in kernels {
                    let name = if is_path(kernel) {
                        own_name(kernel)
                    } else if lock.names().any(|name| name == kernel) {
                        kernel.clone()
                    } else {
                        return Err(Error::UnknownKernel {
                            name: kernel.clone(),
                            known: lock.names().map(str::to_owned).collect(),
                        });
                    };
                    cells.push(PlannedCell {
                        cell: Cell {
                            artifact: artifact.name.clone(),
                            kernel: name,
                            llvm: None,
                            arch: Arch::X86_64,
                        },
                        expected: Expectation::default(),
                        required: true,
                        memory: MEMORY,
                        cpus: 1,
                    });
                }
            }
            ("adhoc".to_owned(), Expansion { cells, excluded: 0 })
        }
    };
    if expansion.cells.is_empty() {
        return Err(Error::NoCells {
            excluded: expansion.excluded,
        });
    }
    Ok((name, expansion))
}

fn is_path(kernel: &str) -> bool {
    kernel.contains('/')
}

/// The user's own kernel is named by its file.
fn own_name(path: &str) -> String {
    Path::new(path)
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Resolves a selection to files. Blocking: kernels that the store lacks are fetched and unpacked,
/// a few at a time. Returns the plan and what went not quite as asked.
pub fn resolve(
    selection: &Selection,
    artifacts: Vec<PlannedArtifact>,
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<(Plan, Vec<String>), Error> {
    let (name, expansion) = expand(selection, &artifacts, catalogue)?;
    let arches: BTreeSet<Arch> = expansion.cells.iter().map(|p| p.cell.arch).collect();
    let agents = arches.into_iter().map(|arch| Ok((arch, agent(arch)?)));
    let agents: BTreeMap<Arch, FileRef> = agents.collect::<Result<_, Error>>()?;

    let wanted: BTreeSet<(String, Arch)> = expansion
        .cells
        .iter()
        .map(|p| (p.cell.kernel.clone(), p.cell.arch))
        .collect();
    let queue = Mutex::new(wanted.into_iter());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let next = lock(&queue).next();
                    let Some((kernel, arch)) = next else { break };
                    let prepared = prepare(selection, &kernel, arch, catalogue, progress);
                    lock(&done).push((kernel_key(&kernel, arch), kernel, prepared));
                }
            });
        }
    });
    let (mut kernels, mut warnings) = (BTreeMap::new(), Vec::new());
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    // Threads finish in any order; which error is told should not depend on it.
    done.sort_by(|a, b| a.0.cmp(&b.0));
    let (cmdline, sysctl) = match selection {
        Selection::Matrix(name) => {
            let matrix = matrix(name)?;
            (matrix.cmdline().to_vec(), matrix.sysctl().to_vec())
        }
        Selection::Kernels { .. } => (Vec::new(), Vec::new()),
    };
    for (key, kernel, prepared) in done {
        let prepared = prepared.map_err(|source| Error::Kernel {
            kernel,
            source: Box::new(source),
        })?;
        warnings.extend(prepared.warnings);
        let kernel = PlannedKernel {
            cmdline: [prepared.kernel.cmdline, cmdline.clone()].concat(),
            sysctl: sysctl.clone(),
            ..prepared.kernel
        };
        kernels.insert(key, kernel);
    }
    let plan = Plan {
        schema: SCHEMA.into(),
        matrix: name,
        artifacts: artifacts
            .into_iter()
            .map(|a| (a.artifact.name.clone(), a))
            .collect(),
        kernels,
        agents,
        cells: expansion.cells,
        excluded: expansion.excluded,
    };
    Ok((plan, warnings))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn prepare(
    selection: &Selection,
    name: &str,
    arch: Arch,
    catalogue: &Catalogue,
    progress: &(dyn Fn(Progress) + Sync),
) -> Result<catalogue::Prepared, catalogue::Error> {
    if let Some(kernel) = catalogue.lock().kernel(name, arch) {
        return catalogue.prepare(kernel, progress);
    }
    // Not locked, so one of the user's own, by `expand`.
    let Selection::Kernels { kernels, modules } = selection else {
        unreachable!("a matrix expands to locked kernels only")
    };
    let path = kernels
        .iter()
        .find(|path| is_path(path) && own_name(path) == name);
    let mut own = catalogue.own_kernel(Path::new(path.map_or(name, |p| p)), modules, arch)?;
    name.clone_into(&mut own.kernel.name);
    Ok(own)
}

/// The agent of an architecture: `UKCI_AGENT_<ARCH>`, or `ukci-guest-<arch>` beside the
/// executable, or in `libexec/ukci` beside its directory.
pub fn agent(arch: Arch) -> Result<FileRef, Error> {
    let file = format!("ukci-guest-{arch}");
    let variable = format!("UKCI_AGENT_{}", arch.name().to_uppercase());
    let mut tried = Vec::new();
    if let Some(path) = std::env::var_os(variable) {
        tried.push(PathBuf::from(path));
    } else if let Some(dir) = std::env::current_exe()
        .ok()
        .as_deref()
        .and_then(Path::parent)
    {
        tried.push(dir.join(&file));
        tried.push(dir.join("../libexec/ukci").join(&file));
    }
    for path in &tried {
        match std::fs::read(path) {
            Ok(bytes) => {
                return Ok(FileRef {
                    path: path.clone(),
                    sha256: digest::of(&bytes),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Read {
                    path: path.clone(),
                    source,
                });
            }
        }
    }
    Err(Error::NoAgent { arch, tried })
}
