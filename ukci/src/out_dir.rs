//! The directory of a report: one command at a time writes into it, and no report lies there that
//! is not of the last one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

use crate::args::Format;
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::report_formats;
use ukci_harness::render::harmless;

/// The file that is locked. It stays, because a file that is removed cannot be locked by others.
const LOCK: &str = ".ukci-lock";

/// Most bytes that are read of who holds the lock.
const LONGEST_HOLDER: u64 = 1024;

/// A directory that no other run writes into while this lives. The kernel drops the lock of a
/// process that dies.
#[derive(Debug)]
pub(crate) struct OutDir {
    _lock: File,
}

impl OutDir {
    /// Makes the directory if it is not there, locks it, and removes the report of the run before
    /// and its renderings: until this run has its own, there is none.
    pub(crate) fn take(out: &Path, formats: &[Format]) -> Result<Self, Failure> {
        let locked = Self::lock(out)?;
        remove_reports(out, formats)?;
        Ok(locked)
    }

    /// Makes the directory if it is not there, and locks it.
    pub(crate) fn lock(out: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(out).map_err(|error| {
            let action = Action::on("create", out);
            Failure::failed_to(action, &error).with_hint("choose another directory with `--out`")
        })?;
        let path = out.join(LOCK);
        let failed = |verb| {
            let path = &path;
            move |error: io::Error| {
                Failure::failed_to(Action::on(verb, path), &error)
                    .with_hint("choose another directory with `--out`")
            }
        };
        let mut lock = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            // In a directory that others can write to, a link could lead to any file of ours.
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(failed("open"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(out, &lock)),
            // Some network file systems have no locks at all.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed("lock")(error)),
        }
        let words: Vec<String> = (std::env::args_os())
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        let holder = format!("process {}: {}\n", std::process::id(), words.join(" "));
        (lock.set_len(0))
            .and_then(|()| lock.write_all(holder.as_bytes()))
            .map_err(failed("write"))?;
        Ok(Self { _lock: lock })
    }
}

/// Removes the report and its renderings, of which those in these formats may lie elsewhere.
pub(crate) fn remove_reports(out: &Path, formats: &[Format]) -> Result<(), Failure> {
    for path in report_formats::files(out, formats) {
        // A device or a pipe that a report is written to is not the report.
        if !fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            continue;
        }
        fs::remove_file(&path).map_err(|error| {
            Failure::failed_to(Action::on("remove", &path), &error)
                .with_hint("choose another directory with `--out`")
        })?;
    }
    Ok(())
}

/// Another run has the directory.
fn held(out: &Path, lock: &File) -> Failure {
    let mut holder = Vec::new();
    // It may be about to write it.
    let _ = lock.take(LONGEST_HOLDER).read_to_end(&mut holder);
    let holder = harmless(String::from_utf8_lossy(&holder).trim());
    let holder = if holder.is_empty() {
        String::new()
    } else {
        format!(" ({holder})")
    };
    let message = format!("another ukci is writing to `{}`{holder}", out.display());
    let hint = "wait until it has ended, or choose another directory with `--out`".to_owned();
    Failure::says(Exit::NoVerdict, &message, Some(hint))
}
