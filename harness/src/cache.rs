//! What lies in the cache directory: it lists the entries by kind, and removes those that were used
//! least recently. Files of the user are never touched: only the directories that are named here.
//!
//! An entry is renamed before it is deleted, so that nobody finds half of one.

mod archive;
mod kind;
mod verify;

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::atomic_file;
use crate::catalogue::checked_file;
use crate::machine::template;

pub use archive::{Error as ArchiveError, Exported, Imported, export, import};
pub use kind::Kind;
pub use verify::{Damage, discard, verify};

/// Bytes of what `st_blocks` counts.
const BLOCK: u64 = 512;

/// How the names begin of what is about to be deleted.
const DELETED: &str = ".deleted-";

/// Something in the cache that is used and removed as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Its file or directory.
    pub path: PathBuf,
    /// Its bytes on the disk, as far as file sizes say.
    pub size: u64,
    /// When it was last used, or made if its uses leave no trace.
    pub used: SystemTime,
}

/// Everything in the cache that has a kind. What cannot be read is left out: it may have gone
/// meanwhile.
pub fn entries(cache: &Path) -> Vec<Entry> {
    Kind::ALL
        .into_iter()
        .flat_map(|kind| entries_of(cache, kind))
        .collect()
}

/// The entries of one kind.
pub fn entries_of(cache: &Path, kind: Kind) -> Vec<Entry> {
    let mut entries = Vec::new();
    for dir in kind.directories() {
        for found in fs::read_dir(cache.join(dir))
            .into_iter()
            .flatten()
            .flatten()
        {
            let path = found.path();
            let is_record = path
                .extension()
                .is_some_and(|end| end == checked_file::SUFFIX);
            let name = found.file_name();
            // A record belongs to its file; and others delete, or write, what begins like this.
            if is_record || name.to_string_lossy().starts_with('.') {
                continue;
            }
            let Ok(size) = size_of(&path) else { continue };
            let record = kind.is_recorded().then(|| checked_file::record_of(&path));
            let of_record = record.and_then(|record| Some(fs::metadata(record).ok()?.len()));
            let of_record = of_record.unwrap_or(0);
            let Some(used) = kind.last_use(&path) else {
                continue;
            };
            entries.push(Entry {
                kind,
                path,
                size: size + of_record,
                used,
            });
        }
    }
    entries
}

/// The bytes of a file, or of all files below a directory. Links are not followed. The memory of a
/// saved guest has holes, which take no room.
fn size_of(path: &Path) -> io::Result<u64> {
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Ok(found.len().min(found.blocks() * BLOCK));
    }
    let mut size = 0;
    for entry in fs::read_dir(path)? {
        size += size_of(&entry?.path())?;
    }
    Ok(size)
}

/// The entries that have to go so that the others have at most `limit` bytes: those that were used
/// least recently.
pub fn over(mut entries: Vec<Entry>, limit: u64) -> Vec<Entry> {
    let mut total: u64 = entries.iter().map(|entry| entry.size).sum();
    entries.sort_by_key(|entry| entry.used);
    entries
        .into_iter()
        .take_while(|entry| {
            let is_over = total > limit;
            total -= entry.size;
            is_over
        })
        .collect()
}

/// Removes an entry and its record.
pub fn remove(entry: &Entry) -> io::Result<()> {
    let name = entry.path.file_name().unwrap_or_default().to_string_lossy();
    let aside = entry
        .path
        .with_file_name(format!("{DELETED}{}-{name}", std::process::id()));
    let _ = fs::remove_file(checked_file::record_of(&entry.path));
    match fs::rename(&entry.path, &aside) {
        // Another process was quicker.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    delete(&aside)
}

fn delete(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Deletes what processes that were killed had renamed to delete it.
pub fn sweep(cache: &Path) {
    sweep_directories(cache);
}

/// Also deletes what imports that were killed had unpacked, files that were not written to their end,
/// and guests that were not saved to their end. Nobody else uses the cache.
pub fn sweep_alone(cache: &Path, _alone: &InUse) {
    sweep_directories(cache);
    for dir in directories(cache) {
        delete_begun_with(&dir, atomic_file::PREFIX);
        delete_begun_with(&dir, template::MAKING);
    }
    delete_begun_with(cache, archive::SCRATCH);
}

fn sweep_directories(cache: &Path) {
    for dir in directories(cache) {
        delete_begun_with(&dir, DELETED);
    }
}

/// The directories of everything that is kept.
fn directories(cache: &Path) -> impl Iterator<Item = PathBuf> {
    let directories = Kind::ALL.iter().flat_map(|kind| kind.directories());
    directories.map(|dir| cache.join(dir))
}

/// Deletes what a directory has under names with this beginning. What cannot be deleted stays.
fn delete_begun_with(dir: &Path, prefix: &str) {
    for found in fs::read_dir(dir).into_iter().flatten().flatten() {
        if found.file_name().to_string_lossy().starts_with(prefix) {
            let _ = delete(&found.path());
        }
    }
}

/// After a run: removes templates and remembered verdicts that were used least recently, until those
/// that are left have at most `limit` bytes. They are what runs leave behind without being asked.
pub fn evict(cache: &Path, limit: u64) {
    sweep(cache);
    let kinds = [Kind::Templates, Kind::Verdicts];
    let entries = kinds.into_iter().flat_map(|kind| entries_of(cache, kind));
    for entry in over(entries.collect(), limit) {
        tracing::debug!(path = %entry.path.display(), "evicted");
        if let Err(error) = remove(&entry) {
            tracing::debug!(path = %entry.path.display(), %error, "not evicted");
        }
    }
}

/// Held while files of the cache are in use, by any number of processes, or while some are removed,
/// by one. The kernel drops the lock of a process that dies.
#[derive(Debug)]
pub struct InUse(#[expect(dead_code, reason = "closing the file unlocks it")] Option<File>);

impl InUse {
    /// Says that files of the cache are in use, and waits while some are removed. In a cache that
    /// cannot be written, nothing is removed, and nothing has to be said.
    pub fn shared(cache: &Path) -> Self {
        let file = lock_file(cache).ok();
        Self(file.filter(|file| file.lock_shared().is_ok()))
    }

    /// Waits for nothing: there is no lock if files of the cache are in use.
    pub fn alone(cache: &Path) -> io::Result<Option<Self>> {
        let file = lock_file(cache)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(Some(file)))),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

fn lock_file(cache: &Path) -> io::Result<File> {
    let dir = cache.join("locks");
    fs::create_dir_all(&dir)?;
    let path = dir.join("in-use");
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn fill(cache: &Path, path: &str, size: usize, age: u64) -> PathBuf {
        let path = cache.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![7; size]).unwrap();
        let used = SystemTime::now() - Duration::from_secs(age);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(used)
            .unwrap();
        path
    }

    #[test]
    fn what_was_used_least_recently_goes_first_and_whole() {
        let cache = tempfile::tempdir().unwrap();
        let cache = cache.path();
        fill(cache, "store/aa/vmlinux", 1000, 10);
        fill(cache, "store/aa/kernel.json", 10, 10);
        fill(cache, "store/aa/kernel.json.check", 10, 400);
        fill(cache, "store/bb/vmlinux", 500, 10);
        fill(cache, "store/bb/kernel.json", 10, 300);
        fill(cache, "packages/cc.deb", 100, 350);
        fill(cache, "initramfs/dd.cpio", 200, 900);
        fill(cache, "initramfs/dd.cpio.check", 20, 100);
        fill(cache, "templates/ee/ram", 700, 900);
        fill(cache, "templates/ee/template.json", 10, 50);
        fill(cache, "verdicts/ff.tar.zst", 30, 60);
        fill(cache, "tools/bin/x", 5000, 9000);
        fill(cache, "initramfs/.ukci-half", 5000, 9000);
        fill(cache, "own file", 5000, 9000);

        let all = entries(cache);
        let of = |kind: Kind| {
            let entries = all.iter().filter(|entry| entry.kind == kind);
            entries.map(|entry| entry.size).sum::<u64>()
        };
        assert_eq!(of(Kind::BootFiles), 1020 + 510);
        assert_eq!(of(Kind::Initramfs), 220);
        assert_eq!(of(Kind::Templates), 710);
        let evictable: Vec<Entry> = all
            .into_iter()
            .filter(|entry| entry.kind != Kind::Tools)
            .collect();
        let order = |limit: u64| {
            let names = over(evictable.clone(), limit).into_iter().map(|entry| {
                let name = entry.path.file_name().unwrap();
                name.to_string_lossy().into_owned()
            });
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(order(u64::MAX), "");
        assert_eq!(order(2589), "aa");
        assert_eq!(order(0), "aa cc.deb bb dd.cpio ff.tar.zst ee");
        for entry in over(evictable, 0) {
            remove(&entry).unwrap();
            remove(&entry).unwrap();
        }
        let left = entries(cache);
        assert_eq!(
            left.iter().map(|entry| entry.kind).collect::<Vec<_>>(),
            [Kind::Tools]
        );
        assert!(!cache.join("initramfs/dd.cpio.check").exists());
        assert!(cache.join("own file").exists() && cache.join("initramfs/.ukci-half").exists());
    }

    #[test]
    fn a_run_evicts_verdicts_and_templates_and_finishes_what_was_begun() {
        let cache = tempfile::tempdir().unwrap();
        let cache = cache.path();
        let old = fill(cache, "verdicts/aa.tar.zst", 100, 20);
        let new = fill(cache, "verdicts/bb.tar.zst", 100, 10);
        let template = fill(cache, "templates/cc/template.json", 100, 30);
        let package = fill(cache, "packages/dd.deb", 100, 90);
        let half = fill(cache, "templates/.deleted-1-ee/ram", 100, 10);
        let import = fill(cache, ".import-abc/store/kernel.json", 100, 10);
        let cut_short = fill(cache, "verdicts/.ukci-abc", 100, 10);
        let unsaved = fill(cache, "templates/.making-ff/ram", 100, 10);
        evict(cache, 200);
        assert!(!template.exists() && !template.parent().unwrap().exists() && !half.exists());
        assert!(old.exists() && new.exists() && package.exists());
        assert!(import.exists() && cut_short.exists(), "it may be under way");
        assert!(unsaved.exists(), "it may be under way");
        sweep_alone(cache, &InUse::alone(cache).unwrap().unwrap());
        assert!(!import.exists() && !cut_short.exists() && !unsaved.exists());
        evict(cache, 100);
        assert!(!old.exists() && new.exists() && package.exists());
    }

    #[test]
    fn nothing_is_removed_from_under_a_run() {
        let cache = tempfile::tempdir().unwrap();
        let run = InUse::shared(cache.path());
        let other = InUse::shared(cache.path());
        assert!(InUse::alone(cache.path()).unwrap().is_none());
        drop((run, other));
        let alone = InUse::alone(cache.path()).unwrap();
        assert!(alone.is_some() && InUse::alone(cache.path()).unwrap().is_none());
        // A cache that cannot be written is only read.
        let _ = InUse::shared(Path::new("/proc"));
    }

    #[test]
    fn the_holes_of_a_saved_guests_memory_take_no_room() {
        let cache = tempfile::tempdir().unwrap();
        let template = cache.path().join("templates/aa");
        fs::create_dir_all(&template).unwrap();
        let ram = File::create(template.join("ram")).unwrap();
        ram.set_len(256 << 20).unwrap();
        let sizes: Vec<u64> = entries_of(cache.path(), Kind::Templates)
            .iter()
            .map(|entry| entry.size)
            .collect();
        assert!(matches!(sizes[..], [size] if size < 1 << 20), "{sizes:?}");
    }
}
