//! Finds QEMU's programs, and asks them for their version.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{Access, access};
use serde::{Deserialize, Serialize};

use super::cached_answer::CachedAnswer;
use super::device::SANDBOX;
use super::error::Error;
use crate::arch::{Platform, Version, qemu_version};
use crate::catalogue::digest;

/// A QEMU binary and what it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Emulator {
    /// The binary.
    pub(super) path: PathBuf,
    /// `QEMU emulator version …`.
    pub(super) banner: String,
    /// SHA-256 of the binary.
    pub(super) sha256: String,
    /// Whether it was built with seccomp, and so takes `-sandbox`.
    pub(super) sandbox: bool,
    /// The directories in which it looks for firmware.
    pub(super) data: Vec<PathBuf>,
    /// Modification time and length of the file that said so.
    file: (i64, i64, u64),
}

impl Emulator {
    /// Finds the QEMU of an architecture: where its variable says, else in `PATH`.
    pub(super) fn find(platform: &'static Platform, cache: &Path) -> Result<Self, Error> {
        let path = find_program(platform.variable, platform.qemu, None)?.ok_or(Error::NoQemu {
            program: platform.qemu,
            package: platform.package,
        })?;
        Self::ask(path, cache)
    }

    /// Asks a binary, unless it has answered before: two starts of QEMU take longer than reading
    /// a file. A wrapper script counts as the binary.
    fn ask(path: PathBuf, cache: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(&path).map_err(|source| Error::Run {
            program: path.clone(),
            source,
        })?;
        let file = (metadata.mtime(), metadata.mtime_nsec(), metadata.len());
        let cached = CachedAnswer::of(cache, "qemu", &[path.to_string_lossy().as_ref()]);
        if let Some(known) = cached.recall::<Self>()
            && (&known.path, known.file) == (&path, file)
        {
            return Ok(known);
        }
        let banner = output(&path, &["--version"])?;
        let banner = banner.lines().next().unwrap_or_default().to_owned();
        if qemu_version(&banner).is_none() {
            return Err(Error::NotQemu {
                program: path,
                said: banner,
            });
        }
        let data = output(&path, &["-L", "help"])?
            .lines()
            .map(PathBuf::from)
            .collect();
        // One without seccomp knows no such option, and says so before it tells its version.
        let sandbox = output(&path, &["-sandbox", SANDBOX, "--version"]).is_ok();
        let sha256 = digest::of_file(&path).map_err(|source| Error::Run {
            program: path.clone(),
            source,
        })?;
        let emulator = Self {
            path,
            banner,
            sha256,
            sandbox,
            data,
            file,
        };
        cached.remember(&emulator);
        Ok(emulator)
    }

    /// Its version.
    pub(super) fn version(&self) -> Version {
        // `ask` has refused a banner without one.
        qemu_version(&self.banner).unwrap_or(Version(0, 0))
    }

    /// The firmware, if it has it.
    pub(super) fn firmware(&self, name: Option<&'static str>) -> Option<&'static str> {
        name.filter(|name| {
            self.data
                .iter()
                .any(|directory| directory.join(name).is_file())
        })
    }
}

fn output(program: &Path, arguments: &[&str]) -> Result<String, Error> {
    let output = ask(program, arguments)?;
    if !output.status.success() {
        return Err(Error::NotQemu {
            program: program.to_owned(),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a program that says something of itself, and waits for its end.
pub(super) fn ask(program: &Path, arguments: &[&str]) -> Result<Output, Error> {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run {
            program: program.to_owned(),
            source,
        })
}

/// Finds a program: where `variable` says, else in `PATH`, else at `last`.
pub(super) fn find_program(
    variable: &'static str,
    name: &str,
    last: Option<PathBuf>,
) -> Result<Option<PathBuf>, Error> {
    search(
        variable,
        std::env::var_os(variable),
        name,
        std::env::var_os("PATH"),
        last,
    )
}

fn search(
    variable: &'static str,
    named: Option<OsString>,
    name: &str,
    path: Option<OsString>,
    last: Option<PathBuf>,
) -> Result<Option<PathBuf>, Error> {
    let runs = |path: &PathBuf| path.is_file() && access(path, Access::EXEC_OK).is_ok();
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        return if runs(&named) {
            Ok(Some(named))
        } else {
            Err(Error::NotAProgram {
                variable,
                path: named,
            })
        };
    }
    let path = path.unwrap_or_default();
    Ok(std::env::split_paths(&path)
        .map(|directory| directory.join(name))
        .chain(last)
        .find(runs))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn script(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("qemu-system-x86_64");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn the_variable_wins_then_path_then_the_last_resort() {
        let dir = tempfile::tempdir().unwrap();
        let tool = script(dir.path(), "");
        let found = |named: Option<&Path>, path: &str, last: Option<&Path>| {
            search(
                "UKCI_X",
                named.map(Into::into),
                "qemu-system-x86_64",
                Some(path.into()),
                last.map(Into::into),
            )
        };
        let directory = dir.path().to_str().unwrap();
        assert_eq!(found(Some(&tool), "", None).unwrap().as_ref(), Some(&tool));
        assert_eq!(found(None, directory, None).unwrap().as_ref(), Some(&tool));
        assert_eq!(
            found(None, "/nonexistent", Some(&tool)).unwrap().as_ref(),
            Some(&tool)
        );
        assert_eq!(found(None, "/nonexistent", None).unwrap(), None);
        let error = found(Some(dir.path()), directory, None).unwrap_err();
        assert!(error.to_string().contains("UKCI_X"), "{error}");
    }

    #[test]
    fn a_binary_is_asked_once_until_it_changes() {
        let dir = tempfile::tempdir().unwrap();
        let asked = dir.path().join("asked");
        let text = |version: &str| {
            format!(
                "#!/bin/sh\necho x >> {}\necho QEMU emulator version {version}\n",
                asked.display()
            )
        };
        let count = || {
            fs::read_to_string(&asked)
                .unwrap_or_default()
                .lines()
                .count()
        };
        let path = script(dir.path(), &text("7.2.22"));
        let first = Emulator::ask(path.clone(), dir.path()).unwrap();
        assert_eq!(first.version(), Version(7, 2));
        let before = count();
        assert_eq!(Emulator::ask(path.clone(), dir.path()).unwrap(), first);
        assert_eq!(count(), before, "the answer is remembered");
        script(dir.path(), &text("10.0.13"));
        assert_eq!(
            Emulator::ask(path, dir.path()).unwrap().version(),
            Version(10, 0)
        );
    }

    #[test]
    fn what_is_not_qemu_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = script(dir.path(), "#!/bin/sh\necho hello\n");
        let error = Emulator::ask(path, dir.path()).unwrap_err();
        assert!(matches!(error, Error::NotQemu { .. }), "{error}");
    }
}
