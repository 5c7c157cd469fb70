//! Why no kernel was built.

use std::io;
use std::path::{Path, PathBuf};

use crate::full_disk;

/// Why no kernel was built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The source is nothing that could be built.
    #[error("`{source_name}` is not the source of a kernel: {reason}")]
    Source {
        /// As it was given.
        source_name: String,
        /// Why not.
        reason: String,
        /// An action that helps.
        hint: String,
    },
    /// Somebody built in the source tree, and make then builds nowhere else.
    #[error("a kernel was built or configured in the source tree `{}`", _0.display())]
    Unclean(PathBuf),
    /// A program or a header that the build needs is missing.
    #[error("the kernel cannot be built without {what}")]
    Tool {
        /// The program or header, in backticks, and what for.
        what: String,
        /// Debian's package that has it.
        package: &'static str,
    },
    /// git could not do it.
    #[error("git {what}: {said}")]
    Git {
        /// What could not be done, behind the word "git".
        what: String,
        /// What it said.
        said: String,
    },
    /// The configuration has another value than was requested.
    #[error("the configuration has {option}={found}, and {option}={wanted} was requested")]
    Setting {
        /// The option with its prefix.
        option: String,
        /// The value that was requested.
        wanted: String,
        /// The value that it has.
        found: String,
    },
    /// make failed.
    #[error("make failed to build {target}: {said}")]
    Make {
        /// Its target.
        target: String,
        /// The first line that says what is wrong.
        said: String,
        /// All that was said.
        log: PathBuf,
    },
    /// A file could not be read or written.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// The verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The caller wanted no more of it.
    #[error("the build was stopped")]
    Stopped,
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Source { hint, .. } => Some(hint.clone()),
            Self::Unclean(tree) => Some(format!(
                "run `make -C {} mrproper`, which removes what was built there, or give the commit as `GITDIR@REF`",
                tree.display()
            )),
            Self::Tool { package, .. } => Some(format!(
                "install it, on Debian and Ubuntu with `apt-get install {package}`"
            )),
            Self::Setting { option, wanted, .. } if wanted != "n" => Some(match option.as_str() {
                "CONFIG_DEBUG_INFO_BTF" => {
                    "install a newer `pahole`, or build without BTF with `--set DEBUG_INFO_BTF=n`"
                        .into()
                }
                _ => format!(
                    "set the options that {option} depends on as well: see its entry in the kernel's Kconfig files"
                ),
            }),
            Self::Setting { option, .. } => Some(format!(
                "see its entry in the kernel's Kconfig files: turn off the options that select {option} as well, \
                 and if it can be changed only by experts, add `--set EXPERT=y`"
            )),
            Self::Make { said, log, .. } => Some(
                full_disk::advice_on_words(said, None)
                    .unwrap_or_else(|| format!("see all that make printed in `{}`", log.display())),
            ),
            Self::Git { said, .. } => full_disk::advice_on_words(said, None),
            Self::Io { source, .. } => full_disk::advice(source, None),
            Self::Stopped => None,
        }
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn on(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::io(action, &path, source)
    }
}
