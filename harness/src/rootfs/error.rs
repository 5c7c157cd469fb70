//! Why there is no image of a root file system.

use std::io;
use std::path::{Path, PathBuf};

use crate::catalogue::package::files::MAX_TOTAL;
use crate::full_disk;

/// Why there is no image of a root file system.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("failed to read `{}`", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The archive or the container image cannot be used.
    #[error("`{}` cannot be a root file system: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There is more than one image, and nothing says which is meant.
    #[error("`{}` has several images: {}", path.display(), names.join(", "))]
    Several {
        /// The layout or archive.
        path: PathBuf,
        /// Their names.
        names: Vec<String>,
    },
    /// A file of the archive could not be written to the cache.
    #[error("failed to unpack `{}`", path.display())]
    Spool {
        /// The archive.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The files of a directory are too many bytes for an image.
    #[error("the files of `{}` have more than {} GiB", .0.display(), MAX_TOTAL >> 30)]
    TooLarge(PathBuf),
    /// There is nothing in it.
    #[error("`{}` has no files", .0.display())]
    Empty(PathBuf),
    /// The image could not be written.
    #[error("failed to write the image of the root file system `{}`", path.display())]
    Write {
        /// The image.
        path: PathBuf,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What an earlier run used is gone.
    #[error("`{source}` changed since the earlier run", source = .0.display())]
    Changed(PathBuf),
}

impl Error {
    pub(super) fn on(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        |source| Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn refused(path: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Refused {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        let elsewhere = "set XDG_CACHE_HOME to a directory on another file system";
        if let Some(advice) = full_disk::advice(self, Some(elsewhere)) {
            return Some(advice);
        }
        Some(match self {
            Self::Io { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "make a tar archive of the directory as a user who may read all of it".into()
            }
            Self::TooLarge(_) => {
                "give a directory with only what the command needs, or use the files of this host with \
                 `--host-root`"
                    .into()
            }
            Self::Refused { .. } | Self::Empty(_) => {
                "give a directory, a tar archive, an OCI image layout, or what `docker save` or \
                 `podman save` writes"
                    .into()
            }
            Self::Several { path, names } => {
                let name = names.first().map_or("NAME", String::as_str);
                format!(
                    "name one of them, for example `--rootfs {}@{name}`",
                    path.display()
                )
            }
            Self::Changed(_) => "run `ukci exec` again with the changed root file system".into(),
            _ => return None,
        })
    }
}
