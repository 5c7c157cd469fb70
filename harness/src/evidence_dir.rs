//! What is kept of a cell, and under which names. Nothing is deleted after a failed run.
//!
//! | File | Holds |
//! |---|---|
//! | `command.txt` | the QEMU command, written before it starts |
//! | `console.log` | the serial console |
//! | `template-console.log` | the serial console of the saved guest, if this one is a copy |
//! | `qemu.log` | what QEMU and its vsock device printed |
//! | `plan.json` | the cell, its kernel and its inputs by digest |
//! | `cell.json` | the cell's entry of the report and the digest of its plan, written last |
//! | `evidence.json` | what the guest observed |
//! | `libbpf.log` | what libbpf printed about the whole object |
//! | `kmsg.log` | the kernel's warnings during the cell, if there were any |
//! | `verifier/<program>.log` | the verifier's log of each program that has one |
//! | `compiler.log` | what the compiler printed about a source that it refused |
//! | `stdout.log`, `stderr.log` | what a command wrote, up to 64 MiB of each |
//! | `out/` | the files that a command left for the host |
//! | `first-boot/` | the same, of the boot before a retry |

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use ukci_schema::artifact::Form;
use ukci_schema::cell::Cell;
use ukci_schema::evidence::Evidence;

use crate::console::TEMPLATE_CONSOLE_LOG;
use crate::file_name;
use crate::full_disk;

/// An I/O error and the path it is about.
#[derive(Debug, thiserror::Error)]
#[error("failed to write `{}`", path.display())]
pub struct Error {
    /// The file or directory.
    pub path: PathBuf,
    /// The system's answer.
    pub source: io::Error,
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> String {
        let other = "put the evidence elsewhere with `--out`";
        // JSON has no other text.
        if self.source.kind() == io::ErrorKind::InvalidData {
            return "give the files of the run, and the directories above them, names in UTF-8"
                .into();
        }
        if self.source.kind() == io::ErrorKind::AlreadyExists {
            return format!("remove what is there, or {other}");
        }
        full_disk::advice(&self.source, Some(other)).unwrap_or_else(|| other.to_owned())
    }

    /// The same error, for another cell of it.
    pub(crate) fn again(&self) -> Self {
        Self {
            path: self.path.clone(),
            source: io::Error::new(self.source.kind(), self.source.to_string()),
        }
    }
}

/// The directory of the cells' directories, below the run's.
pub const CELLS: &str = "cells";

/// The directory of the artifacts, below the run's.
pub const ARTIFACTS: &str = "artifacts";

/// Makes a directory of a run, unless it is there. Its parent is. A link is refused: in a directory
/// that others can write to, it could lead what we write anywhere.
pub fn make_directory(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let there = fs::symlink_metadata(path)?;
            if there.is_symlink() {
                let text = "it is a symbolic link, which ukci does not follow here";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
            if there.is_dir() { Ok(()) } else { Err(error) }
        }
        made => made,
    }
}

/// The path of a cell's directory below the run's.
pub(crate) fn relative(cell: &Cell) -> String {
    format!("{CELLS}/{}", file_name::of_cell(cell))
}

/// The directory of one cell.
#[derive(Clone, Debug)]
pub struct EvidenceDir {
    path: PathBuf,
    relative: String,
}

const FILES: &[&str] = &[
    "command.txt",
    "console.log",
    TEMPLATE_CONSOLE_LOG,
    "qemu.log",
    "vhost-device-vsock.log",
    "plan.json",
    "cell.json",
    "evidence.json",
    "libbpf.log",
    "kmsg.log",
    "compiler.log",
    "stdout.log",
    "stderr.log",
];
/// The directories of a cell, which are emptied before it begins.
pub(crate) const DIRS: &[&str] = &["verifier", "out", "first-boot"];

impl EvidenceDir {
    /// Makes `<out>/cells/<cell>`, and empties it of what an older run left there.
    pub fn create(out: &Path, cell: &Cell) -> Result<Self, Error> {
        let relative = relative(cell);
        let path = out.join(&relative);
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| Error { path, source }
        };
        fs::create_dir_all(out).map_err(error(out))?;
        for dir in [&out.join(CELLS), &path] {
            make_directory(dir).map_err(error(dir))?;
        }
        for name in FILES {
            ignore_missing(&path.join(name), |p| fs::remove_file(p))?;
        }
        for name in DIRS {
            ignore_missing(&path.join(name), |p| fs::remove_dir_all(p))?;
        }
        Ok(Self { path, relative })
    }

    /// The directory itself, which exists.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its path below the run's directory.
    pub fn relative(&self) -> &str {
        &self.relative
    }

    /// Moves what the first boot left into `first-boot/`, before a retry.
    pub fn set_first_boot_aside(&self) -> Result<(), Error> {
        let aside = self.path.join("first-boot");
        fs::create_dir_all(&aside).map_err(|source| Error {
            path: aside.clone(),
            source,
        })?;
        for name in FILES
            .iter()
            .chain(["verifier", "out"].iter())
            .filter(|name| **name != "plan.json")
        {
            ignore_missing(&self.path.join(name), |p| fs::rename(p, aside.join(name)))?;
        }
        Ok(())
    }

    /// The error of a file that could not be written.
    pub(crate) fn unwritten(&self, name: &str, source: io::Error) -> Error {
        let path = self.path.join(name);
        Error { path, source }
    }

    /// Writes `name` as pretty JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let path = self.path.join(name);
        let mut text =
            serde_json::to_vec_pretty(value).map_err(|error| self.unwritten(name, error.into()))?;
        text.push(b'\n');
        fs::write(&path, text).map_err(|source| Error { path, source })
    }

    /// Writes what a guest observed: the whole, and its logs as files of their own.
    pub fn write_evidence(&self, evidence: &Evidence) -> Result<(), Error> {
        self.write_json("evidence.json", evidence)?;
        if !evidence.log.is_empty() {
            self.write_text(Path::new("libbpf.log"), &evidence.log.text())?;
        }
        if !evidence.kmsg.is_empty() {
            self.write_text(Path::new("kmsg.log"), &evidence.kmsg.join("\n"))?;
        }
        let mut names = BTreeSet::new();
        for program in evidence
            .programs
            .iter()
            .filter(|program| !program.load.log.is_empty())
        {
            let mut name = file_name::of(&program.name);
            // An object has no two programs of one name, but a guest may say anything.
            while !names.insert(name.clone()) {
                name.push('~');
            }
            let relative = Path::new("verifier").join(format!("{name}.log"));
            self.write_text(&relative, &program.load.log.text())?;
        }
        Ok(())
    }

    /// Writes what the compiler printed about a source that it refused.
    pub(crate) fn write_compiler_log(&self, log: &str) -> Result<(), Error> {
        self.write_text(Path::new("compiler.log"), log)
    }

    fn write_text(&self, relative: &Path, text: &str) -> Result<(), Error> {
        let path = self.path.join(relative);
        let error = |source| Error {
            path: path.clone(),
            source,
        };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(error)?;
        }
        fs::write(&path, text).map_err(error)
    }
}

/// Where a run keeps an artifact's bytes, below its directory: they are what `rerun` takes. The
/// report says which artifact that is: the file's name need not be the artifact's.
pub fn artifact_path(name: &str) -> String {
    format!("{ARTIFACTS}/{}.bpf.o", file_name::of(name))
}

/// The same of a command, which is written down as JSON.
pub fn command_path(name: &str) -> String {
    format!("artifacts/{}.command.json", file_name::of(name))
}

/// Keeps an artifact's bytes.
pub(crate) fn keep_artifact(out: &Path, name: &str, form: Form, bytes: &[u8]) -> Result<(), Error> {
    let path = out.join(match form {
        Form::Command => command_path(name),
        Form::Object | Form::Source => artifact_path(name),
    });
    let error = |source| Error {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(out)
        .and_then(|()| make_directory(&out.join(ARTIFACTS)))
        .map_err(error)?;
    // Replaces a link, and the copy of a file that may not be written to.
    ignore_missing(&path, |p| fs::remove_file(p))?;
    let file = fs::File::create_new(&path);
    file.and_then(|mut file| file.write_all(bytes))
        .map_err(error)
}

/// What an earlier run left of a cell.
#[derive(Clone, Debug)]
pub(crate) struct EarlierRun(PathBuf);

impl EarlierRun {
    pub(crate) fn of(out: &Path, cell: &Cell) -> Self {
        Self(out.join(relative(cell)))
    }

    /// A file of it, unless it is missing or was not written whole.
    pub(crate) fn json(&self, name: &str) -> Option<serde_json::Value> {
        serde_json::from_slice(&fs::read(self.0.join(name)).ok()?).ok()
    }
}

fn ignore_missing(path: &Path, act: impl FnOnce(&Path) -> io::Result<()>) -> Result<(), Error> {
    match act(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error {
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use ukci_schema::cell::{Arch, Cell};
    use ukci_schema::evidence::{Evidence, Log, ProgramEvidence, ProgramLoad};

    use super::{EvidenceDir, artifact_path, keep_artifact, relative};

    #[test]
    fn a_guests_names_stay_inside_the_cells_directory() {
        let out = tempfile::tempdir().unwrap();
        let cell = Cell {
            artifact: "../../x".into(),
            kernel: "k".into(),
            llvm: None,
            arch: Arch::X86_64,
            btf: None,
        };
        let dir = EvidenceDir::create(out.path(), &cell).unwrap();
        let program = |name: &str| ProgramEvidence {
            name: name.into(),
            load: ProgramLoad {
                log: Log::bounded("log"),
                ..ProgramLoad::default()
            },
            ..ProgramEvidence::default()
        };
        let evidence = Evidence {
            programs: vec![
                program("../../../etc/passwd"),
                program("a/b"),
                program("a_b"),
            ],
            ..Evidence::default()
        };
        dir.write_evidence(&evidence).unwrap();
        let mut logs: Vec<_> = std::fs::read_dir(dir.path().join("verifier"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        logs.sort();
        assert_eq!(
            logs,
            ["a_b.log", "a~2Fb.log", "~2E.~2F..~2F..~2Fetc~2Fpasswd.log"]
        );
        assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);

        dir.set_first_boot_aside().unwrap();
        assert!(dir.path().join("first-boot/evidence.json").exists());
        assert!(!dir.path().join("evidence.json").exists());
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (out, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let cell = Cell {
            artifact: "x".into(),
            kernel: "k".into(),
            llvm: None,
            arch: Arch::X86_64,
            btf: None,
        };
        let link = |name: &str| symlink(outside.path(), out.path().join(name)).unwrap();
        link("cells");
        let error = EvidenceDir::create(out.path(), &cell).unwrap_err();
        assert!(
            error.source.to_string().contains("symbolic link"),
            "{error:?}"
        );
        assert!(error.hint().starts_with("remove what is there"));
        std::fs::remove_file(out.path().join("cells")).unwrap();
        EvidenceDir::create(out.path(), &cell).unwrap();
        std::fs::remove_dir(out.path().join(relative(&cell))).unwrap();
        link(&relative(&cell));
        EvidenceDir::create(out.path(), &cell).unwrap_err();

        link("artifacts");
        keep_artifact(
            out.path(),
            "x",
            ukci_schema::artifact::Form::Object,
            b"object",
        )
        .unwrap_err();
        std::fs::remove_file(out.path().join("artifacts")).unwrap();
        std::fs::create_dir(out.path().join("artifacts")).unwrap();
        std::fs::write(outside.path().join("target"), "kept").unwrap();
        symlink(
            outside.path().join("target"),
            out.path().join(artifact_path("x")),
        )
        .unwrap();
        keep_artifact(
            out.path(),
            "x",
            ukci_schema::artifact::Form::Object,
            b"object",
        )
        .unwrap();
        assert_eq!(
            std::fs::read(out.path().join(artifact_path("x"))).unwrap(),
            b"object"
        );
        assert_eq!(
            std::fs::read(outside.path().join("target")).unwrap(),
            b"kept"
        );
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_kept_artifact_has_its_name_and_stays_in_its_directory() {
        assert_eq!(artifact_path("my-tool-2"), "artifacts/my-tool-2.bpf.o");
        assert_ne!(artifact_path("foo-bar"), artifact_path("foo_bar"));
        assert_eq!(artifact_path("../x"), "artifacts/~2E.~2Fx.bpf.o");
        assert_eq!(artifact_path(""), "artifacts/~.bpf.o");
    }
}
