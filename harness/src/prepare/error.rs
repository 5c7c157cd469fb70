//! Why the files of a plan cannot be used.

use std::io;
use std::path::PathBuf;

/// A plan whose files cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the plan could not be read.
    #[error("failed to read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file has other bytes than the report would name.
    #[error("`{}` changed since it was planned", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// An initramfs could not be made.
    #[error("failed to make the initramfs of `{kernel}`")]
    Initramfs {
        /// The kernel's name.
        kernel: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The modules that an artifact needs could not be read.
    #[error("failed to read the modules of `{kernel}` that `{artifact}` needs")]
    Modules {
        /// The kernel's name.
        kernel: String,
        /// The artifact's name.
        artifact: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The plan names a kernel, artifact or agent that it does not hold.
    #[error("the plan has no {what} `{name}`, which cell `{cell}` needs")]
    Incomplete {
        /// `kernel`, `artifact`, `agent` or `file`.
        what: &'static str,
        /// Its name.
        name: String,
        /// The cell's id.
        cell: String,
    },
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Changed { .. } => Some("run it again".into()),
            _ => None,
        }
    }
}
