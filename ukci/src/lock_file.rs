//! The lock that pins the kernels: read from a file or from the executable, and written back.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ukci_harness::catalogue::{self, Catalogue};
use ukci_harness::input_file;
use ukci_harness::resolve;
use ukci_schema::lock::{FAMILIES, Lock, MAIN_FILE, SCHEMA};

use crate::atomic_file;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;

/// The file that `UKCI_LOCK` names with the files beside it, or the lock in the executable.
pub(crate) fn lock() -> Result<Lock, Failure> {
    if let Some(path) = std::env::var_os("UKCI_LOCK") {
        return read(Path::new(&path));
    }
    let directory = Path::new("kernels");
    let mut lock = parse(resolve::LOCK, &directory.join(MAIN_FILE))?;
    for (name, text) in resolve::FAMILIES {
        lock.merge(parse(text, &directory.join(name))?);
    }
    Ok(lock)
}

/// The lock in a file, and in those of the directory `lock` beside it if there is one.
pub(crate) fn read(path: &Path) -> Result<Lock, Failure> {
    let read = |path: &Path| input_file::read_text(path, input_file::DOCUMENT_LIMIT);
    let text = read(path).map_err(|error| {
        let hint = "run this in a checkout of ukci, or name the lock with `--lock` or `UKCI_LOCK`";
        Failure::unread(path, &error).with_hint(hint)
    })?;
    let mut lock = parse(&text, path)?;
    for path in families(path)? {
        let text = read(&path).map_err(|error| Failure::unread(&path, &error))?;
        lock.merge(parse(&text, &path)?);
    }
    Ok(lock)
}

/// The files of the distributions beside the lock, in the order of their names.
fn families(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let directory = path.with_file_name(FAMILIES);
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::failed_to(Action::on("read", &directory), &error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry =
            entry.map_err(|error| Failure::failed_to(Action::on("read", &directory), &error))?;
        let path = entry.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn parse(text: &str, path: &Path) -> Result<Lock, Failure> {
    let lock: Lock = serde_json::from_str(text)
        .map_err(|error| Failure::failed_to(Action::on("read the lock", path), &error))?;
    if lock.schema == SCHEMA {
        return Ok(lock);
    }
    let message = format!(
        "the lock `{}` has the schema `{}`, and this ukci reads `{SCHEMA}`",
        path.display(),
        lock.schema
    );
    Err(Failure::says(Exit::NoVerdict, &message, None))
}

/// Writes the lock's files, each whole or not at all, and only those that change.
pub(crate) fn write(path: &Path, lock: &Lock) -> Result<(), Failure> {
    for (name, lock) in lock.clone().into_files() {
        let path = match name.strip_prefix(FAMILIES) {
            None => path.to_owned(),
            Some(_) => path.with_file_name(&name),
        };
        let mut text = serde_json::to_string_pretty(&lock)
            .map_err(|error| Failure::failed_to(Action::on("write", &path), &error))?;
        text.push('\n');
        if std::fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|error| Failure::failed_to(Action::on("create", directory), &error))?;
        }
        atomic_file::write(&path, &text)?;
    }
    Ok(())
}

/// The catalogue of the lock's kernels over this user's store.
pub(crate) fn catalogue() -> Result<Catalogue, Failure> {
    Catalogue::open(lock()?, &catalogue::cache_dir())
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}

/// This day, `YYYY-MM-DD`.
pub(crate) fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.get(..10).unwrap_or_default().to_owned()
}
