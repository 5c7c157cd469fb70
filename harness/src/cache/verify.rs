//! Reads every file of the cache whose digest is known, and says which are damaged.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Entry, Kind, entries};
use crate::catalogue::checked_file::{self, Verified};
use crate::catalogue::digest;
use crate::remembered;

/// A file that does not hold what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// What it is a part of.
    pub entry: Entry,
    /// The file.
    pub file: PathBuf,
}

/// Reads all files of the cache and returns those that are damaged, and how many were compared.
/// `progress` is called with the bytes that were read and those that there are.
pub fn verify(cache: &Path, progress: &mut dyn FnMut(u64, u64)) -> (Vec<Damage>, usize) {
    let entries = entries(cache);
    let total = entries.iter().map(|entry| entry.size).sum();
    let (mut damaged, mut compared, mut done) = (Vec::new(), 0, 0);
    for entry in entries {
        for file in files(&entry.path) {
            match look(entry.kind, &file) {
                Verified::Unknown => {}
                Verified::Whole => compared += 1,
                Verified::Damaged => {
                    compared += 1;
                    let entry = entry.clone();
                    damaged.push(Damage { entry, file });
                }
            }
        }
        done += entry.size;
        progress(done, total);
    }
    (damaged, compared)
}

/// Removes a damaged file, so that what it is a part of is made again.
pub fn discard(damage: &Damage) -> io::Result<()> {
    fs::remove_file(&damage.file)?;
    let _ = fs::remove_file(checked_file::record_of(&damage.file));
    Ok(())
}

/// The regular files at or below a path, without records.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Vec::new();
    };
    if found.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        return entries.flat_map(|entry| files(&entry.path())).collect();
    }
    let is_record = path
        .extension()
        .is_some_and(|end| end == checked_file::SUFFIX);
    if found.is_file() && !is_record {
        vec![path.to_owned()]
    } else {
        Vec::new()
    }
}

fn look(kind: Kind, file: &Path) -> Verified {
    let has_digest = |digest: &str| match digest::of_file(file) {
        Ok(found) if found == digest => Verified::Whole,
        _ => Verified::Damaged,
    };
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    match kind {
        // Their names are their digests. Parts of packages and damaged ones have other endings.
        Kind::Packages => match name.strip_suffix(".deb") {
            Some(digest) => has_digest(digest),
            None => Verified::Unknown,
        },
        Kind::Agents => match name.rsplit_once('-') {
            Some((_, digest)) => has_digest(digest),
            None => Verified::Unknown,
        },
        Kind::Tools => match fs::read_to_string(file.with_added_extension("sha256")) {
            Ok(recorded) => has_digest(recorded.trim()),
            Err(_) => Verified::Unknown,
        },
        Kind::Verdicts => match remembered::read_entry(file) {
            Ok(_) => Verified::Whole,
            Err(_) => Verified::Damaged,
        },
        _ => checked_file::verify(file),
    }
}
