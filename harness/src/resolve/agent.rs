//! The agents that boot inside the guests: files beside the executable, or bytes that the
//! executable carries.

use std::io;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::plan::FileRef;

use super::Error;
use crate::catalogue::{checked_file, digest};

/// An agent inside the executable.
#[derive(Clone, Copy, Debug)]
pub struct Carried {
    /// What it runs on.
    pub arch: Arch,
    /// The program.
    pub bytes: &'static [u8],
}

/// Where agents come from.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    carried: &'static [Carried],
    cache: PathBuf,
}

/// Where an agent was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A variable names it.
    Variable,
    /// The executable carries it.
    Carried,
    /// It lies beside the executable.
    Beside,
}

impl Agents {
    /// Those that the executable carries, which are unpacked below `cache`, and those beside it.
    pub fn new(carried: &'static [Carried], cache: PathBuf) -> Self {
        Self { carried, cache }
    }

    /// The agent of an architecture: `UKCI_AGENT_<ARCH>`, or the one that the executable carries,
    /// or `ukci-guest-<arch>` beside the executable, or in `libexec/ukci` beside its directory.
    pub fn of(&self, arch: Arch) -> Result<FileRef, Error> {
        self.find(arch).map(|(file, _)| file)
    }

    /// The same, and where it was found.
    pub fn find(&self, arch: Arch) -> Result<(FileRef, Origin), Error> {
        let file = format!("ukci-guest-{arch}");
        let variable = format!("UKCI_AGENT_{}", arch.name().to_uppercase());
        if let Some(path) = std::env::var_os(variable) {
            return first(arch, vec![path.into()]).map(|file| (file, Origin::Variable));
        }
        if let Some(carried) = self.carried.iter().find(|carried| carried.arch == arch) {
            let dir = self.cache.join("agents");
            let unpacked = unpack(carried, &dir, &file).map_err(|source| Error::Agent {
                arch,
                dir: dir.clone(),
                source,
            })?;
            return Ok((unpacked, Origin::Carried));
        }
        let executable = std::env::current_exe().ok();
        let dir = executable.as_deref().and_then(Path::parent);
        let tried = dir.map_or(Vec::new(), |dir| {
            vec![dir.join(&file), dir.join("../libexec/ukci").join(&file)]
        });
        first(arch, tried).map(|file| (file, Origin::Beside))
    }
}

/// The first of these files that exists.
fn first(arch: Arch, tried: Vec<PathBuf>) -> Result<FileRef, Error> {
    for path in &tried {
        match digest::of_file(path) {
            Ok(sha256) => {
                return Ok(FileRef {
                    path: path.clone(),
                    sha256,
                });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => {
                return Err(Error::Read {
                    path: path.clone(),
                    source,
                });
            }
        }
    }
    Err(Error::NoAgent { arch, tried })
}

/// Writes a carried agent to a file named by its digest, unless that file is there and whole.
fn unpack(carried: &Carried, dir: &Path, name: &str) -> io::Result<FileRef> {
    let sha256 = digest::of(carried.bytes);
    let path = dir.join(format!("{name}-{sha256}"));
    let size = carried.bytes.len() as u64;
    if !path.exists() || !checked_file::holds(&path, size, &sha256) {
        std::fs::create_dir_all(dir)?;
        checked_file::write(&path, &[carried.bytes])?;
    }
    Ok(FileRef { path, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carrying(bytes: &[u8]) -> &'static [Carried] {
        let carried = Carried {
            arch: Arch::Riscv64,
            bytes: Vec::leak(bytes.to_vec()),
        };
        Vec::leak(vec![carried])
    }

    #[test]
    fn a_carried_agent_is_unpacked_once_and_again_if_it_was_damaged() {
        let cache = tempfile::tempdir().unwrap();
        let agents = Agents::new(carrying(b"an agent"), cache.path().to_owned());
        let (file, origin) = agents.find(Arch::Riscv64).unwrap();
        assert_eq!(origin, Origin::Carried);
        assert_eq!(std::fs::read(&file.path).unwrap(), b"an agent");
        assert_eq!(file.sha256, digest::of(b"an agent"));
        std::fs::write(&file.path, "damaged").unwrap();
        let again = agents.of(Arch::Riscv64).unwrap();
        assert_eq!((&again.path, &again.sha256), (&file.path, &file.sha256));
        assert_eq!(std::fs::read(&again.path).unwrap(), b"an agent");
        let error = agents.of(Arch::Aarch64).unwrap_err();
        assert!(matches!(error, Error::NoAgent { .. }), "{error}");
    }

    #[test]
    fn a_cache_that_cannot_be_written_is_named() {
        let cache = tempfile::tempdir().unwrap();
        let file = cache.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Agents::new(carrying(b"x"), file)
            .of(Arch::Riscv64)
            .unwrap_err();
        assert!(error.to_string().contains("file/agents`"), "{error}");
        assert!(error.hint().unwrap().contains("XDG_CACHE_HOME"));
    }
}
