//! Why this host cannot run machines, or not as it was asked to.

use std::io;
use std::path::PathBuf;

use ukci_schema::cell::Arch;

use crate::arch::{KVM_DEVICE, platform};
use crate::transport;

/// This host cannot run machines, or not as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no QEMU for an architecture.
    #[error("find the program `{program}`")]
    NoQemu {
        /// Its name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// An environment variable names what cannot be run.
    #[error("run `{path}`, which `{variable}` names: it is not an executable file")]
    NotAProgram {
        /// The variable.
        variable: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// A program could not be started.
    #[error("run `{program}`")]
    Run {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program is not the QEMU that it should be.
    #[error("learn the version of `{program}`: it said `{said}`")]
    NotQemu {
        /// Which.
        program: PathBuf,
        /// What it said instead.
        said: String,
    },
    /// KVM was asked for and its device does not open.
    #[error("open `{}` for the accelerator kvm", KVM_DEVICE)]
    OpenKvm {
        /// Why.
        source: io::Error,
    },
    /// KVM was asked for and no kernel boots on it.
    #[error("boot a kernel under the accelerator kvm: {attempts}")]
    Kvm {
        /// What each attempt came to.
        attempts: String,
    },
    /// KVM was asked for and can run no cell.
    #[error("use the accelerator kvm: no cell is of this host's architecture")]
    KvmArch,
    /// The transport that was asked for is not to be had.
    #[error(transparent)]
    Transport(#[from] transport::Unusable),
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoQemu { package, .. } => Some(format!("`apt-get install {package}`")),
            Self::OpenKvm { source } if source.kind() == io::ErrorKind::PermissionDenied => Some(
                format!("join the group that owns `{}`, often kvm", KVM_DEVICE),
            ),
            Self::OpenKvm { .. } | Self::Kvm { .. } | Self::KvmArch => {
                Some("`--accel auto` falls back to tcg, which runs everywhere".to_owned())
            }
            Self::Transport(unusable) => Some(unusable.hint()),
            Self::NotAProgram { variable, .. } => {
                Some(format!("name another one by `{variable}`, or unset it"))
            }
            Self::NotQemu { program, .. } | Self::Run { program, .. } => {
                let of = |arch: &Arch| program.ends_with(platform(*arch).qemu);
                let arch = Arch::ALL.into_iter().find(of).unwrap_or(Arch::X86_64);
                let variable = platform(arch).variable;
                Some(format!("name another one, e.g. by `{variable}`"))
            }
        }
    }
}
