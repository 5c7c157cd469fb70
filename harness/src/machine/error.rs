//! Reasons why this host cannot run machines, or not in the requested way.

use std::io;
use std::path::PathBuf;

use ukci_schema::cell::Arch;

use crate::arch::{KVM_DEVICE, platform};
use crate::transport;

/// This host cannot run machines, or not as requested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no QEMU for an architecture.
    #[error("the program `{program}` was not found")]
    NoQemu {
        /// QEMU's program for the architecture.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// An environment variable names what cannot be run.
    #[error("`{}`, which `{variable}` names, is not an executable file", path.display())]
    NotAProgram {
        /// The variable.
        variable: &'static str,
        /// Its value.
        path: PathBuf,
    },
    /// No program shares this host's files with a guest.
    #[error("the program `virtiofsd` was not found, which shares this host's files with a guest")]
    NoVirtiofsd,
    /// This host's files cannot be shared with a guest.
    #[error("{0}")]
    Share(String),
    /// A tool of the cache is not the file that was built.
    #[error("`{}` is not the file that was built: its SHA-256 is {found}", path.display())]
    ToolChanged {
        /// The tool.
        path: PathBuf,
        /// Its digest.
        found: String,
    },
    /// A program could not be started.
    #[error("failed to run `{}`", program.display())]
    Run {
        /// The program.
        program: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A program is not the QEMU that it should be.
    #[error("`{}` is not QEMU: for `--version`, it printed `{said}`", program.display())]
    NotQemu {
        /// The program.
        program: PathBuf,
        /// What it said instead.
        said: String,
    },
    /// KVM was requested and its device does not open.
    #[error("failed to open `{KVM_DEVICE}` for the accelerator kvm")]
    OpenKvm {
        /// The system's answer.
        source: io::Error,
    },
    /// KVM was requested and no kernel boots on it.
    #[error("no kernel boots under the accelerator kvm: {attempts}")]
    Kvm {
        /// How each attempt failed.
        attempts: String,
    },
    /// KVM was requested and can run no cell.
    #[error("the accelerator kvm needs a cell of this host's architecture, and no cell has it")]
    KvmArch,
    /// This host does not have the transport that was requested.
    #[error(transparent)]
    Transport(#[from] transport::Unusable),
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoQemu { package, .. } => Some(format!(
                "install it, for example with `apt-get install {package}`"
            )),
            Self::Share(_) => None,
            Self::NoVirtiofsd => Some(
                "install `virtiofsd` (on Debian 12, `qemu-system-common` has it), name it in \
                 `UKCI_VIRTIOFSD`, or give the guest a root file system with `--rootfs`"
                    .to_owned(),
            ),
            Self::OpenKvm { source } if source.kind() == io::ErrorKind::PermissionDenied => Some(
                format!("join the group that owns `{KVM_DEVICE}`, which is often named kvm"),
            ),
            Self::OpenKvm { .. } | Self::Kvm { .. } | Self::KvmArch => {
                Some("use `--accel auto`, which falls back to tcg on such a host".to_owned())
            }
            Self::Transport(unusable) => Some(unusable.hint()),
            Self::ToolChanged { path, .. } => Some(format!(
                "remove `{}`, and build it again with `make tools`",
                path.display()
            )),
            Self::NotAProgram { variable, .. } => Some(format!(
                "set `{variable}` to the path of a program, or unset it"
            )),
            Self::NotQemu { program, .. } | Self::Run { program, .. } => {
                let of = |arch: &Arch| program.ends_with(platform(*arch).qemu);
                let arch = Arch::ALL.into_iter().find(of).unwrap_or(Arch::X86_64);
                let variable = platform(arch).variable;
                Some(format!("set `{variable}` to the path of a working QEMU"))
            }
        }
    }
}
