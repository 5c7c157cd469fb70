//! A directory in which a script of the tree runs, with replacements for the programs that it calls.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::root;

/// Held while a program is written, and while a process starts. A process that starts in another
/// thread would have the file open for a moment, and nobody could execute it ("Text file busy").
static STARTS_AND_WRITES: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    STARTS_AND_WRITES
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Runs a command to its end, and keeps what it prints.
pub(crate) fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = {
        let _alone = alone();
        command.spawn().unwrap()
    };
    child.wait_with_output().unwrap()
}

/// An empty directory. Programs in its `bin` replace others, because `bin` comes first in `PATH`.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(place.path("bin")).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _alone = alone();
        std::fs::write(path, text).unwrap();
    }

    /// Copies a script of the tree, which can be executed like the original.
    pub(crate) fn copy(&self, script: &Path, name: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _alone = alone();
        std::fs::copy(script, path).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Writes a shell script, to `bin/NAME` or to another path in the directory.
    pub(crate) fn program(&self, name: &str, script: &str) {
        self.write(name, &format!("#!/bin/sh\n{script}\n"));
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a script of the tree in this directory. What it writes for GitHub is in the files
    /// `output`, `summary` and `env`.
    pub(crate) fn run(&self, script: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(script);
        command
            .current_dir(self.0.path())
            .args(args)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", self.path("home"))
            .env_remove("XDG_CACHE_HOME")
            // `make test` hands its options to every `make` below it.
            .env_remove("MAKEFLAGS")
            .env("GITHUB_OUTPUT", self.path("output"))
            .env("GITHUB_STEP_SUMMARY", self.path("summary"))
            .env("GITHUB_ENV", self.path("env"))
            .envs(env.iter().copied());
        output(&mut command)
    }
}

/// The path of a script in `.github`.
pub(crate) fn script(name: &str) -> PathBuf {
    root().canonicalize().unwrap().join(".github").join(name)
}

/// What a program printed on both streams.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}
