//! Why a command could not be put together, and what to do about it.

use std::path::PathBuf;

use ukci_schema::cell::Arch;

/// Why a command could not be put together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// No file of this host is the program.
    #[error("this host has no program `{0}`")]
    NoProgram(String),
    /// A file is none that a guest could run.
    #[error("`{}` cannot be run in a guest: {reason}", path.display())]
    NotRunnable {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// A library is missing.
    #[error("`{}` needs the library `{name}`, which this host does not have", program.display())]
    NoLibrary {
        /// The program or library.
        program: PathBuf,
        /// The name under which it is needed.
        name: String,
    },
    /// Two of the files are for different architectures.
    #[error("`{}` is for {other}, and the command is for {arch}", path.display())]
    Mixed {
        /// The file.
        path: PathBuf,
        /// Its architecture.
        other: Arch,
        /// That of the command.
        arch: Arch,
    },
    /// This host's programs are for another architecture than the guest.
    #[error("the programs of this host do not run in a guest of {0}")]
    OtherHost(Arch),
    /// A path or an argument is not UTF-8.
    #[error("`{0}` is not UTF-8")]
    NotText(String),
    /// There are neither words nor a text for a shell.
    #[error("there is no command")]
    Nothing,
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoProgram(name) if name.contains('/') => "check the path of the program".into(),
            Self::NoProgram(name) => format!(
                "programs are looked up on this host and sent to the guest: install `{name}`, or give \
                 its path"
            ),
            Self::NoLibrary { .. } => {
                "install the library, name its directory in `LD_LIBRARY_PATH`, or link the program \
                 statically"
                    .into()
            }
            Self::OtherHost(_) => {
                "use `--host-root` only with this host's architecture, or give the guest a root file \
                 system with `--rootfs`"
                    .into()
            }
            Self::Mixed { .. } => "run one command for each architecture".into(),
            Self::NotRunnable { .. } => "give a program that was built for 64-bit Linux".into(),
            _ => return None,
        })
    }
}
