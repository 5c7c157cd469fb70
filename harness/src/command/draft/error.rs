//! Why a command could not be put together, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;

use crate::render::quoted as word;

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
    /// The program is a directory.
    #[error("`{0}` is a directory, not a program")]
    Directory(String),
    /// The file of the program may not be executed.
    #[error("`{}` is not executable", .0.display())]
    NotExecutable(PathBuf),
    /// A text without a first line that says what runs it.
    #[error("`{}` is text, and its first line does not name an interpreter with `#!`", .0.display())]
    NoShebang(PathBuf),
    /// What runs a script, or loads a dynamically linked program, is not on this host.
    #[error("`{}` needs `{interpreter}` to run, which this host does not have", program.display())]
    NoInterpreter {
        /// The script or program.
        program: PathBuf,
        /// The path or the name of its interpreter.
        interpreter: String,
        /// The architecture of a dynamically linked program.
        arch: Option<Arch>,
    },
    /// Two files would have one path in the guest.
    #[error("two files are for the path `{path}` of the guest: `{one}` and `{other}`")]
    SamePath {
        /// The path.
        path: String,
        /// One of them.
        one: String,
        /// The other one.
        other: String,
    },
    /// One file would be a directory for another one.
    #[error("`{path}` is a file of the guest, and `{below}` is below it")]
    Below {
        /// The path of the file.
        path: String,
        /// That of the other one.
        below: String,
    },
    /// A file is none that a guest could run.
    #[error("`{}` cannot be run in a guest: {reason}", path.display())]
    NotRunnable {
        /// The file.
        path: PathBuf,
        /// What it is.
        reason: String,
    },
    /// An ELF file that is no program, or not all of one.
    #[error("`{}` {what}", path.display())]
    NoWholeProgram {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// The program is for another architecture than a guest that was selected.
    #[error("the program `{program}` is for {arch}, and the guest is {guest}")]
    OtherGuest {
        /// The program, as the command line names it.
        program: String,
        /// Its architecture.
        arch: Arch,
        /// That of the guest.
        guest: Arch,
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
            Self::Read { source, .. } if source.kind() == io::ErrorKind::IsADirectory => {
                "name each file of the directory with an option of its own, or give the guest the files \
                 of this host with `--host-root`"
                    .into()
            }
            Self::Directory(_) => "give the path of a program".into(),
            Self::NotExecutable(path) => format!("run `chmod +x {}`", quoted(path)),
            Self::NoShebang(_) => "begin the script with the line `#!/bin/sh`".into(),
            Self::NoInterpreter { arch: Some(arch), .. } => format!(
                "the program is for {arch}: link it statically, install the C library of {arch}, or \
                 give the guest a root file system with `--rootfs`"
            ),
            Self::NoInterpreter { .. } => {
                "install it, or give the guest a root file system that has it with `--rootfs`".into()
            }
            Self::SamePath { .. } | Self::Below { .. } => {
                "give each file a path of its own, for example `--file SRC:/DST`".into()
            }
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
            Self::NoWholeProgram { .. } => {
                "give the path of a whole program that is linked, or check an eBPF object with `ukci check`"
                    .into()
            }
            Self::OtherGuest { arch, guest, .. } => format!(
                "select kernels for {arch} only, or give a program that was built for {guest}"
            ),
            Self::Mixed { .. } => "run one command for each architecture".into(),
            Self::NotRunnable { .. } => "give a program that was built for 64-bit Linux".into(),
            _ => return None,
        })
    }
}

/// A path as a shell reads it back.
fn quoted(path: &Path) -> String {
    word(&path.display().to_string())
}
