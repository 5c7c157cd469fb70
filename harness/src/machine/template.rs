//! A guest that was saved at its ready point, and its place in the cache.
//!
//! Each template is a directory `templates/KEY` of the cache, whose name is the digest of all that
//! its guest depends on:
//!
//! | File | Holds |
//! |---|---|
//! | `ram` | the guest's memory, a sparse file; copies map it privately and never write to it |
//! | `state` | the state of its devices, as QEMU saves it |
//! | `console.log`, `qemu.log`, `command.txt` | how it booted |
//! | `template.json` | what it was made from, digests, and the agent's hello; written last, and touched whenever the template is used |
//!
//! `KEY.refused` says why a guest could not be saved, and is believed for ten minutes.
//!
//! A template is made in a directory `.making-KEY` and renamed when it is whole and on the disk.
//! The maker holds a lock on that directory, which the kernel releases when the maker dies, however
//! it dies: so a directory that can be locked is left over. A template may be renamed and removed at
//! any time. Copies that run have their memory mapped already.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use ukci_schema::message::FromGuest;

use super::private_dir::open_dir;
use crate::atomic_file;
use crate::catalogue::digest;
use crate::console::CONSOLE_LOG;

/// Version of a template's files. It is part of every key.
pub(super) const SCHEMA: &str = "ukci.template/2";

/// The directory of the cache with the templates.
pub const TEMPLATES: &str = "templates";

/// How the directory begins in which a template is made.
pub(crate) const MAKING: &str = ".making-";

/// How a file ends that says why a guest could not be saved.
const REFUSED: &str = "refused";
/// How long that is remembered: the reason may have been the host's.
const REFUSED_FOR: Duration = Duration::from_mins(10);

const RAM: &str = "ram";
const STATE: &str = "state";
/// Written last: where it lies, the template is whole.
pub const RECORD: &str = "template.json";

/// What `template.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    schema: String,
    /// Its key. A directory that was given another one's name is not that template.
    key: String,
    /// What the key is the digest of.
    inputs: Vec<String>,
    /// Bytes of `ram`, holes included.
    ram_bytes: u64,
    /// When `ram` was written last, in seconds and nanoseconds: another time means that somebody has
    /// written to it since it was saved. Where QEMU runs as a user of its own, that user may.
    ram_written: (i64, i64),
    /// SHA-256 of `state`.
    state_sha256: String,
    /// What the agent said before it was saved.
    hello: FromGuest,
}

/// A guest that was saved.
#[derive(Clone, Debug)]
pub struct Template(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    state: Vec<u8>,
    hello: FromGuest,
    ram_bytes: u64,
    ram_written: (i64, i64),
}

impl Template {
    /// The template in `dir`, if there is one and it is whole. From then on it counts as used.
    pub fn open(dir: &Path) -> Option<Self> {
        let text = fs::read(dir.join(RECORD)).ok()?;
        let opened = Self::opened(dir, &text);
        if let Err(why) = &opened {
            tracing::warn!(path = %dir.display(), %why, "a template cannot be used");
        }
        let template = opened.ok()?;
        let touched = File::options()
            .append(true)
            .open(dir.join(RECORD))
            .and_then(|record| record.set_modified(SystemTime::now()));
        if let Err(error) = touched {
            tracing::debug!(path = %dir.display(), %error, "not touched");
        }
        Some(template)
    }

    fn opened(dir: &Path, record: &[u8]) -> Result<Self, String> {
        let record: Record = serde_json::from_slice(record).map_err(|error| error.to_string())?;
        if record.schema != SCHEMA {
            return Err(format!("it is `{}`", record.schema));
        }
        if dir
            .file_name()
            .is_none_or(|name| name != record.key.as_str())
        {
            return Err(format!("it is the template `{}`", record.key));
        }
        let state = fs::read(dir.join(STATE)).map_err(|error| format!("{STATE}: {error}"))?;
        if digest::of(&state) != record.state_sha256 {
            return Err(format!("{STATE} is not what was saved"));
        }
        let template = Self(Arc::new(Inner {
            dir: dir.to_owned(),
            state,
            hello: record.hello,
            ram_bytes: record.ram_bytes,
            ram_written: record.ram_written,
        }));
        template.check()?;
        Ok(template)
    }

    /// Whether its memory is as it was saved. The error says what is not.
    pub(super) fn check(&self) -> Result<(), String> {
        let ram = self.ram();
        let there = fs::metadata(&ram).map_err(|error| format!("`{}`: {error}", ram.display()))?;
        if (there.len(), written(&there)) != (self.0.ram_bytes, self.0.ram_written) {
            return Err(format!("`{}` is not what was saved", ram.display()));
        }
        Ok(())
    }

    /// The file with its memory.
    pub(super) fn ram(&self) -> PathBuf {
        self.0.dir.join(RAM)
    }

    /// The state of its devices.
    pub(super) fn state(&self) -> &[u8] {
        &self.0.state
    }

    /// What its agent said before it was saved.
    pub(super) fn hello(&self) -> &FromGuest {
        &self.0.hello
    }

    /// What its console showed.
    pub(super) fn console(&self) -> PathBuf {
        self.0.dir.join(CONSOLE_LOG)
    }

    /// Its directory.
    pub(super) fn dir(&self) -> &Path {
        &self.0.dir
    }
}

/// When a file was written last.
fn written(file: &fs::Metadata) -> (i64, i64) {
    (file.mtime(), file.mtime_nsec())
}

/// The templates of a cache.
#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn of(cache: &Path) -> Self {
        Self(cache.join(TEMPLATES))
    }

    /// Where the template of this key lies, if there is one.
    pub(super) fn dir(&self, key: &str) -> PathBuf {
        self.0.join(key)
    }

    /// Begins to make a template, unless there is one. Waits until no other process makes the same
    /// one, which blocks.
    pub(super) fn begin(&self, key: &str) -> io::Result<Begun> {
        fs::create_dir_all(&self.0)?;
        let path = self.0.join(format!("{MAKING}{key}"));
        loop {
            // No other user may reach the memory in it by its path.
            match DirBuilder::new().mode(0o700).create(&path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            let lock = match open_dir(&path) {
                // Its maker renamed it a moment ago.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            flock(&lock, FlockOperation::LockExclusive)?;
            let ours = is(&path, &lock);
            if let Some(template) = Template::open(&self.dir(key)) {
                if ours {
                    fs::remove_dir_all(&path)?;
                }
                return Ok(Begun::Made(template));
            }
            if ours {
                // What a maker left that was killed.
                empty(&path)?;
                return Ok(Begun::Making(Making {
                    path,
                    to: self.dir(key),
                    lock,
                }));
            }
        }
    }

    /// Why the guest of this key could not be saved, if that was tried a short time ago.
    pub(super) fn refusal(&self, key: &str) -> Option<String> {
        let path = self.refusal_file(key);
        let age = fs::metadata(&path).ok()?.modified().ok()?.elapsed().ok()?;
        if age > REFUSED_FOR {
            let _ = fs::remove_file(&path);
            return None;
        }
        fs::read_to_string(path).ok()
    }

    /// Remembers why the guest of this key could not be saved: it would boot again, for nothing, for
    /// each run.
    pub(super) fn refuse(&self, key: &str, why: &str) {
        if let Err(error) = atomic_file::write(&self.refusal_file(key), &[why.as_bytes()]) {
            tracing::debug!(key, %error, "not remembered that it cannot be saved");
        }
    }

    fn refusal_file(&self, key: &str) -> PathBuf {
        self.0.join(format!("{key}.{REFUSED}"))
    }

    /// Removes what makers left that were killed; tells how many directories that were.
    pub(super) fn sweep(&self) -> usize {
        let mut swept = 0;
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().starts_with(MAKING) {
                continue;
            }
            let path = entry.path();
            let Ok(lock) = open_dir(&path) else { continue };
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && is(&path, &lock) {
                swept += usize::from(fs::remove_dir_all(&path).is_ok());
            }
        }
        swept
    }
}

/// Whether the directory that was opened is still at `path`.
fn is(path: &Path, opened: &File) -> bool {
    let ino = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (fs::symlink_metadata(path), opened.metadata()) {
        (Ok(there), Ok(opened)) => ino(there) == ino(opened),
        _ => false,
    }
}

fn empty(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// What came of beginning.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is there: another process made it meanwhile.
    Made(Template),
    /// It is ours to make.
    Making(Making),
}

/// A template in the making. Dropping it removes what there is.
#[derive(Debug)]
pub(super) struct Making {
    path: PathBuf,
    to: PathBuf,
    /// Locked for as long as it is open.
    lock: File,
}

impl Making {
    /// Where its guest's logs go.
    pub(super) fn dir(&self) -> &Path {
        &self.path
    }

    /// Makes the file for its guest's memory, of so many MiB. Where QEMU runs as a user of its own,
    /// that user opens it by a descriptor, for which it needs the right to write: the processes of
    /// such a guest get the file's `group`, which nobody else has.
    pub(super) fn ram(&self, memory: u32, group: Option<u32>) -> io::Result<PathBuf> {
        let path = self.path.join(RAM);
        let mut options = File::options();
        let file = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.set_len(u64::from(memory) << 20)?;
        if let Some(group) = group {
            fchown(&file, None, Some(group))?;
            file.set_permissions(Permissions::from_mode(0o660))?;
        }
        Ok(path)
    }

    /// Puts the whole on the disk and in its place. QEMU must be gone.
    pub(super) fn finish(
        self,
        inputs: Vec<String>,
        state: &[u8],
        hello: FromGuest,
    ) -> io::Result<Template> {
        let ram = File::open(self.path.join(RAM))?;
        // A power cut must not leave a record of memory that was never written.
        ram.sync_all()?;
        atomic_file::write(&self.path.join(STATE), &[state])?;
        let record = Record {
            schema: SCHEMA.into(),
            key: (self.to.file_name().unwrap_or_default().to_string_lossy()).into_owned(),
            inputs,
            ram_bytes: ram.metadata()?.len(),
            ram_written: written(&ram.metadata()?),
            state_sha256: digest::of(state),
            hello,
        };
        atomic_file::write(
            &self.path.join(RECORD),
            &[&serde_json::to_vec_pretty(&record)?],
        )?;
        self.lock.sync_all()?;
        if self.to.exists() {
            // What is there has been found to be damaged.
            fs::remove_dir_all(&self.to)?;
        }
        fs::rename(&self.path, &self.to)?;
        if let Some(parent) = self.to.parent() {
            open_dir(parent)?.sync_all()?;
        }
        Template::open(&self.to).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // After `finish` there is nothing at this path, or what another process makes.
        if is(&self.path, &self.lock)
            && let Err(error) = fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove half a template");
        }
    }
}

#[cfg(test)]
mod tests;
