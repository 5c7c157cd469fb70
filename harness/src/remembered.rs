//! Remembers the evidence of cells between runs. A digest of everything that a guest's answer depends
//! on goes in as a key, and the evidence that a guest gave under the same key comes out. It is not
//! judged here.
//!
//! An entry is one file below `verdicts/` of the cache: an archive of the cell's evidence directory,
//! compressed by zstd with a checksum, so that a damaged one is noticed. Such an entry is removed.
//! The time of the last use is the file's modification time.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use ukci_schema::command::Ended;
use ukci_schema::evidence::{Evidence, ProgramAttach, ProgramLoad};
use ukci_schema::report::{CachedFrom, CellReport};
use ukci_schema::verdict::Stage;

use crate::atomic_file;
use crate::catalogue::digest;
use crate::conversation::{Answer, BootResult, Hello};
use crate::evidence_dir;
use crate::run_options::{Options, Remember};

/// The directory below the cache.
pub(crate) const DIR: &str = "verdicts";
/// How the names of entries end.
pub(crate) const SUFFIX: &str = ".tar.zst";

/// The first member of an archive: what is known of the run.
const RUN: &str = "run.json";
const EVIDENCE: &str = "evidence.json";
/// These are written anew for each run.
const OF_A_RUN: &[&str] = &["plan.json", "cell.json"];

/// Most bytes of an archive, packed and unpacked. The console is at most 16 MiB, a message 64.
const LONGEST: u64 = 256 << 20;
/// Most members of an archive.
const MOST_FILES: usize = 20_000;

/// Machine code compresses well at any level, and text, too.
const LEVEL: i32 = 3;

/// The remembered evidence of a cache.
#[derive(Debug)]
pub(crate) struct Verdicts {
    dir: PathBuf,
    mode: Remember,
    /// The run that keeps entries.
    started: String,
    ukci: String,
    host: String,
}

/// What tells one remembered cell from another: 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// The key of a cell whose evidence depends on `all`, and on nothing else.
    pub(crate) fn of(all: &impl Serialize) -> Option<Self> {
        Some(Self(digest::of(&serde_json::to_vec(all).ok()?)))
    }
}

/// What an entry says of the run that it comes from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ran {
    /// What the entry is kept under. A file that was given another one's name is not that one.
    key: String,
    /// The run.
    pub(crate) from: CachedFrom,
    /// Guest memory in MiB: more than planned if the cell was booted again with more.
    pub(crate) memory: u32,
    /// The transport that was used.
    pub(crate) transport: String,
    /// SHA-256 of the kernel image.
    pub(crate) image: String,
    /// `uname -r` as the guest said it.
    pub(crate) release: String,
    /// The libbpf of the agent.
    pub(crate) libbpf: String,
}

/// Evidence that was kept.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) ran: Ran,
    evidence: Evidence,
    /// The files of the cell's directory.
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Verdicts {
    /// Those in the cache of a run.
    pub(crate) fn of(options: &Options) -> Arc<Self> {
        let host = rustix::system::uname();
        Arc::new(Self {
            dir: options.cache.join(DIR),
            mode: options.remember,
            started: options.info.started.clone(),
            ukci: options.info.ukci.clone(),
            host: host.nodename().to_string_lossy().into_owned(),
        })
    }

    /// Whether this run uses and keeps nothing.
    pub(crate) fn is_off(&self) -> bool {
        self.mode == Remember::Nothing
    }

    /// What is kept under this key. An entry that cannot be read is removed, and its cell runs.
    pub(crate) fn recall(&self, key: &Key) -> Option<Remembered> {
        if self.mode != Remember::Reuse {
            return None;
        }
        let path = self.path(key);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return damaged(&path, &error),
        };
        match read(&mut file, &key.0) {
            Ok(kept) => {
                // In a cache that cannot be written, nothing is removed either.
                let _ = file.set_modified(SystemTime::now());
                Some(kept)
            }
            Err(error) => damaged(&path, &error),
        }
    }

    /// Keeps what lies in the directory of a cell that was booted. A cache that cannot be written
    /// only costs time.
    pub(crate) fn keep(&self, key: &Key, dir: &Path, image: &str, cell: &CellReport) {
        let ran = Ran {
            key: key.0.clone(),
            from: CachedFrom {
                started: self.started.clone(),
                ukci: self.ukci.clone(),
                host: self.host.clone(),
                seconds: cell.seconds,
                cpu_seconds: cell.cpu_seconds,
            },
            memory: cell.memory,
            transport: cell.transport.clone(),
            image: image.to_owned(),
            release: cell.release.clone(),
            libbpf: cell.libbpf.clone(),
        };
        let path = self.path(key);
        let kept = fs::create_dir_all(&self.dir)
            .and_then(|()| pack(&ran, dir))
            .and_then(|packed| atomic_file::write(&path, &[&packed]));
        if let Err(error) = kept {
            tracing::debug!(path = %path.display(), %error, "not remembered");
        }
    }

    fn path(&self, key: &Key) -> PathBuf {
        self.dir.join(format!("{}{SUFFIX}", key.0))
    }
}

/// Removes an entry that cannot be read.
fn damaged<T>(path: &Path, error: &io::Error) -> Option<T> {
    tracing::warn!(path = %path.display(), %error, "a remembered verdict is damaged");
    let _ = fs::remove_file(path);
    None
}

impl Remembered {
    /// As if the guest had answered just now.
    pub(crate) fn result(&mut self) -> BootResult {
        let evidence = std::mem::take(&mut self.evidence);
        BootResult {
            stage: Some(Stage::Behave),
            hello: Some(Hello {
                libbpf: self.ran.libbpf.clone(),
                facts: Box::new(evidence.guest.clone()),
            }),
            answer: Some(Answer::Evidence(Box::new(evidence))),
            spoke: true,
            ..BootResult::default()
        }
    }

    /// Writes the evidence and the logs into a cell's directory.
    pub(crate) fn restore(&self, dir: &Path) -> io::Result<()> {
        for (name, bytes) in &self.files {
            let path = dir.join(name);
            if let Some(parent) = path.parent().filter(|parent| *parent != dir) {
                fs::create_dir_all(parent)?;
            }
            // A link that lies there is replaced, and not followed.
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => fs::write(path, bytes)?,
            }
        }
        Ok(())
    }
}

/// The archive of a cell's directory.
fn pack(ran: &Ran, dir: &Path) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    let mut archive = tar::Builder::new(encoder);
    append(&mut archive, Path::new(RUN), &serde_json::to_vec(ran)?)?;
    let mut files = Vec::new();
    list(dir, Path::new(""), &mut files)?;
    files.sort();
    for name in files {
        append(&mut archive, &name, &fs::read(dir.join(&name))?)?;
    }
    archive.into_inner()?.finish()
}

fn append(archive: &mut tar::Builder<impl Write>, name: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, bytes)
}

/// The regular files below `dir`, but for those of one run.
fn list(dir: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir.join(below))? {
        let entry = entry?;
        let name = below.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() && is_kept(&name) {
            list(dir, &name, files)?;
        } else if kind.is_file() && is_kept(&name) {
            files.push(name);
        }
    }
    Ok(())
}

/// Whether a file or directory of a cell's directory has a place in an archive: any file but those of
/// one run, and the directories that are emptied before a cell begins.
fn is_kept(name: &Path) -> bool {
    let mut parts = name.components();
    let Some(Component::Normal(first)) = parts.next() else {
        return false;
    };
    match parts.next() {
        None => !OF_A_RUN.iter().any(|own| first == *own),
        Some(_) => {
            evidence_dir::DIRS.iter().any(|dir| first == *dir)
                && parts.all(|part| matches!(part, Component::Normal(_)))
        }
    }
}

/// Reads an entry, whose name is the key that it is kept under.
pub(crate) fn read_entry(path: &Path) -> io::Result<Remembered> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let key = name.strip_suffix(SUFFIX).unwrap_or_default();
    read(&mut File::open(path)?, key)
}

/// Reads the archive that is kept under `key`, as [`pack`] makes it. Nothing is written, and sizes are
/// limited: it may come from another host.
pub(crate) fn read(archive: &mut impl Read, key: &str) -> io::Result<Remembered> {
    let decoder = zstd::Decoder::new(archive.take(LONGEST))?;
    let mut archive = tar::Archive::new(decoder.take(LONGEST));
    let (mut ran, mut evidence, mut files) = (None, None, Vec::new());
    for member in archive.entries()? {
        let mut member = member?;
        let name = member.path()?.into_owned();
        let is_file = member.header().entry_type().is_file();
        if !is_file || !is_kept(&name) || files.len() == MOST_FILES {
            return Err(unexpected(&name));
        }
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes)?;
        if bytes.len() as u64 != member.size() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if name == Path::new(RUN) {
            let run: Ran = serde_json::from_slice(&bytes)?;
            if run.key != key {
                let what = "it is the evidence of another cell";
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            ran = Some(run);
            continue;
        }
        if name == Path::new(EVIDENCE) {
            evidence = Some(serde_json::from_slice(&bytes)?);
        }
        files.push((name, bytes));
    }
    // To the end, where the checksum is.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    match (ran, evidence) {
        (Some(ran), Some(evidence)) => Ok(Remembered {
            ran,
            evidence,
            files,
        }),
        _ => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it has no evidence",
        )),
    }
}

fn unexpected(name: &Path) -> io::Error {
    let what = format!("it has a member `{}`", name.display());
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Whether the evidence would be the same however busy the host was.
pub(crate) fn is_complete(evidence: &Evidence) -> bool {
    let says = |reason: &Option<String>, start| {
        let reason = reason.as_deref().unwrap_or_default();
        reason.starts_with(start)
    };
    let late = |attach: &ProgramAttach| says(&attach.reason, ProgramAttach::TIME_WAS_OVER);
    let programs = evidence.programs.iter();
    let maps = evidence.struct_ops.iter();
    let timed_out = |ended: &Option<Ended>| matches!(ended, Some(Ended::TimedOut { .. }));
    !evidence.tests.iter().map(|seen| &seen.ended).any(timed_out)
        && !programs
            .clone()
            .any(|program| says(&program.load.reason, ProgramLoad::TIME_WAS_OVER))
        && !programs
            .map(|program| &program.attach)
            .chain(maps.map(|map| &map.attach))
            .any(late)
}

#[cfg(test)]
mod tests {
    use ukci_schema::evidence::ProgramEvidence;

    use super::*;

    #[test]
    fn evidence_that_a_less_busy_host_might_complete_is_not() {
        let mut evidence = Evidence {
            programs: vec![ProgramEvidence::default()],
            ..Evidence::default()
        };
        assert!(is_complete(&evidence));
        let late = format!("{} of 8 s was over", ProgramLoad::TIME_WAS_OVER);
        evidence.programs[0].load.reason = Some(late);
        assert!(!is_complete(&evidence));
        evidence.programs[0].load.reason = None;
        evidence.programs[0].attach.reason = Some(ProgramAttach::TIME_WAS_OVER.into());
        assert!(!is_complete(&evidence));
        evidence.programs[0].attach.reason = Some(ProgramAttach::ATTACHES_ALONE.into());
        assert!(is_complete(&evidence));
    }
}
