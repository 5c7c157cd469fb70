//! Collects the files of a command: programs with what they need, files to share, links.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::command::{CommandFile, Content, Stdin};
use ukci_schema::plan::{FileRef, Kept};

use super::{Error, PATH, SharedFile};
use crate::catalogue::{Tool, digest};
use crate::command::script::{self, Interpreter};
use crate::command::{elf_closure, program_path, tool_files};
use crate::input_file::{self, FILE_LIMIT, Refused};

/// The files of a command, as they are collected.
pub(super) struct Files {
    arch: Arch,
    /// Whether programs come without what they need.
    pub(super) is_bare: bool,
    library_path: Vec<PathBuf>,
    pub(super) made: Vec<CommandFile>,
    paths: BTreeSet<String>,
    pub(super) companions: BTreeMap<String, FileRef>,
    pub(super) kept: Kept,
    pub(super) bytes: u64,
}

impl Files {
    pub(super) fn new(arch: Arch, library_path: Vec<PathBuf>) -> Self {
        Self {
            arch,
            is_bare: false,
            library_path,
            made: Vec::new(),
            paths: BTreeSet::new(),
            companions: BTreeMap::new(),
            kept: Kept::default(),
            bytes: 0,
        }
    }

    /// A program with everything that it needs.
    pub(super) fn program(&mut self, path: &Path) -> Result<(), Error> {
        let bytes = read(path)?;
        if let Some(what) = elf_closure::unfit(&bytes) {
            let path = path.to_owned();
            return Err(Error::NoWholeProgram { path, what });
        }
        if elf_closure::arch(path, &bytes)?.is_none() && script::interpreter(&bytes).is_none() {
            if std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains('\0')) {
                return Err(Error::NoShebang(path.to_owned()));
            }
            return Err(Error::NotRunnable {
                path: path.to_owned(),
                reason: "it is neither an ELF program nor a script with `#!`".into(),
            });
        }
        self.with_needs(path, text(path.as_os_str())?, bytes, 0o755)
    }

    /// Any file; with everything that it needs, if it is a program.
    pub(super) fn shared(&mut self, source: &Path, at: Option<&str>) -> Result<(), Error> {
        let bytes = read(source)?;
        let mode = std::fs::metadata(source).map_or(0o644, |meta| meta.permissions().mode());
        let at = match at {
            Some(at) => at,
            None => text(source.as_os_str())?,
        };
        self.with_needs(source, at, bytes, mode & 0o777)
    }

    /// The files that a person names, each at the path that was given, or at its own: that of a link
    /// and not of the file that it leads to.
    pub(super) fn all_shared(&mut self, files: &[SharedFile]) -> Result<(), Error> {
        for SharedFile { source, path } in files {
            let at = match path {
                Some(path) => path.clone(),
                None => {
                    text(std::path::absolute(source).unwrap_or_default().as_os_str())?.to_owned()
                }
            };
            self.shared(&canonical(source)?, Some(&at))?;
        }
        Ok(())
    }

    fn with_needs(
        &mut self,
        source: &Path,
        at: &str,
        bytes: Vec<u8>,
        mode: u32,
    ) -> Result<(), Error> {
        if self.is_bare {
            // Interpreters and libraries are those of the root file system.
        } else if let Some(interpreter) = script::interpreter(&bytes) {
            self.interpreter(source, interpreter)?;
        } else if let Some(other) = elf_closure::arch(source, &bytes)? {
            let arch = self.arch;
            if other != arch {
                let path = source.to_owned();
                return Err(Error::Mixed { path, other, arch });
            }
            let closure = elf_closure::of(source, &bytes, &self.library_path)?;
            for needed in closure.files {
                let path = text(needed.path.as_os_str())?.to_owned();
                self.bytes(&needed.path, &path, needed.bytes, 0o755)?;
            }
            for (link, target) in closure.links {
                self.link(&link, &target);
            }
        }
        self.bytes(source, at, bytes, mode)
    }

    fn interpreter(&mut self, script: &Path, interpreter: Interpreter) -> Result<(), Error> {
        let absent = |name: &str| Error::NoInterpreter {
            program: script.to_owned(),
            interpreter: name.to_owned(),
            arch: None,
        };
        let mut searched = None;
        let path = match interpreter {
            // The guest's shell.
            Interpreter::Sh => return Ok(()),
            Interpreter::Path(path) => path,
            Interpreter::Name(name) => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let found = program_path::find(&name, &path);
                let found = found.ok_or_else(|| absent(&name))?;
                searched = Some(name);
                found
            }
        };
        if !path.exists() {
            return Err(absent(&path.display().to_string()));
        }
        let real = canonical(&path)?;
        self.program(&real)?;
        self.link(&path, &real);
        if let Some(name) = searched
            && !PATH
                .split(':')
                .any(|dir| path.parent() == Some(Path::new(dir)))
        {
            // The guest's `env` does not look where this host's does.
            self.link(&Path::new("/usr/local/bin").join(name), &real);
        }
        Ok(())
    }

    pub(super) fn stdin(&mut self, file: &Path) -> Result<Stdin, Error> {
        let source = canonical(file)?;
        let bytes = read(&source)?;
        let sha256 = digest::of(&bytes);
        let path = text(source.as_os_str())?.to_owned();
        self.keep(&sha256, &source, bytes);
        Ok(Stdin::File {
            sha256,
            source: path,
        })
    }

    /// Programs of the lock, with their libraries.
    pub(super) fn tools(&mut self, tools: &[Tool]) -> Result<(), Error> {
        for tool in tools {
            for (at, bytes) in tool_files::files(tool) {
                self.own(&tool.name, &at, bytes)?;
            }
        }
        Ok(())
    }

    /// A file of a program of the lock.
    pub(super) fn own(&mut self, name: &str, at: &str, bytes: Vec<u8>) -> Result<(), Error> {
        self.bytes(Path::new(&tool_files::source_of(name)), at, bytes, 0o755)
    }

    fn bytes(&mut self, source: &Path, at: &str, bytes: Vec<u8>, mode: u32) -> Result<(), Error> {
        let at = plain(at);
        let sha256 = digest::of(&bytes);
        if self.paths.contains(&at) {
            return self.same(&at, source, &sha256);
        }
        self.below(&at)?;
        self.paths.insert(at.clone());
        let size = bytes.len() as u64;
        self.bytes += size;
        self.keep(&sha256, source, bytes);
        self.made.push(CommandFile {
            path: at,
            content: Content::Bytes {
                sha256,
                size,
                mode,
                source: source.display().to_string(),
            },
        });
        Ok(())
    }

    /// Refuses a second file for a path, unless it is the same. A link at the path stays.
    fn same(&self, at: &str, source: &Path, sha256: &str) -> Result<(), Error> {
        let there = self.made.iter().find(|file| file.path == at);
        match there.map(|file| &file.content) {
            Some(Content::Bytes {
                sha256: other,
                source: one,
                ..
            }) if other != sha256 => Err(Error::SamePath {
                path: at.to_owned(),
                one: one.clone(),
                other: source.display().to_string(),
            }),
            _ => Ok(()),
        }
    }

    /// Refuses a file where another one needs a directory.
    fn below(&self, at: &str) -> Result<(), Error> {
        let error = |path: &str, below: &str| Error::Below {
            path: path.to_owned(),
            below: below.to_owned(),
        };
        let is_file = |file: &&CommandFile| matches!(file.content, Content::Bytes { .. });
        for file in self.made.iter().filter(is_file) {
            if Path::new(at).starts_with(&file.path) {
                return Err(error(&file.path, at));
            }
            if Path::new(&file.path).starts_with(at) {
                return Err(error(at, &file.path));
            }
        }
        Ok(())
    }

    fn keep(&mut self, sha256: &str, source: &Path, bytes: Vec<u8>) {
        let file = FileRef {
            path: source.to_owned(),
            sha256: sha256.to_owned(),
        };
        self.companions.insert(sha256.to_owned(), file);
        self.kept.put(sha256, bytes);
    }

    pub(super) fn link(&mut self, at: &Path, target: &Path) {
        let at = plain(&at.display().to_string());
        let target = target.display().to_string();
        if at != target && self.paths.insert(at.clone()) {
            self.made.push(CommandFile {
                path: at,
                content: Content::Link { target },
            });
        }
    }
}

/// An absolute path without `.`, `..` and empty parts, which is what a guest takes.
fn plain(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

pub(super) fn canonical(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |reason: &str| Error::NotRunnable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    };
    let failed = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    input_file::read(path, FILE_LIMIT).map_err(|why| match why {
        Refused::NotAFile => refused("it is no regular file"),
        Refused::TooLarge { .. } => refused("it is larger than 2 GiB"),
        Refused::Io(source) => failed(source),
    })
}

pub(super) fn text(word: &std::ffi::OsStr) -> Result<&str, Error> {
    word.to_str()
        .ok_or_else(|| Error::NotText(word.to_string_lossy().into_owned()))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn paths_are_made_plain() {
        assert_eq!(plain("/a/./b//../c"), "/a/c");
        assert_eq!(plain("x"), "/x");
        assert_eq!(plain("/../x"), "/x");
    }
}
