//! Sends the files that a command left for the host.
//!
//! Only regular files travel, in the order of their names, within limits. What is left out is said.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ukci_schema::command::{CHUNK, Command, CommandEvidence, OUT_FILES, OUT_LIMIT};
use ukci_schema::message::{FrameKind, FromGuest};

use crate::{HostChannel, lost};

/// Most refused files of which the reason is said.
const REASONS: usize = 100;

/// Sends what lies in the command's directory for such files.
pub(super) fn send(
    channel: &mut HostChannel,
    command: &Command,
    seen: &mut CommandEvidence,
) -> Result<(), String> {
    let base = Path::new(&command.out);
    let mut found = Vec::new();
    find(base, &mut found);
    found.sort();
    let mut refused = Refused::default();
    let mut room = OUT_LIMIT;
    for (path, other) in found {
        let relative = path.strip_prefix(base).unwrap_or(&path);
        let Some(name) = relative.to_str() else {
            refused.add(&relative.to_string_lossy(), "its name is not UTF-8");
            continue;
        };
        if let Some(kind) = other {
            refused.add(name, kind);
            continue;
        }
        let meta = fs::metadata(&path);
        let size = meta.as_ref().map_or(0, fs::Metadata::len);
        let executable = meta.is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0);
        if seen.out.len() == OUT_FILES {
            refused.add(name, &format!("at most {OUT_FILES} files come back"));
            continue;
        }
        if size > room {
            let limit = OUT_LIMIT >> 20;
            let why = format!("it has {size} bytes, and at most {limit} MiB come back in all");
            refused.add(name, &why);
            continue;
        }
        room -= size;
        let announced = FromGuest::File {
            name: name.to_owned(),
            size,
            executable,
        };
        send_file(channel, &path, &announced, size)?;
        seen.out.push(name.to_owned());
    }
    seen.out_refused = refused.said();
    Ok(())
}

/// What does not come back.
#[derive(Default)]
struct Refused {
    reasons: Vec<String>,
    others: usize,
}

impl Refused {
    fn add(&mut self, name: &str, why: &str) {
        if self.reasons.len() < REASONS {
            self.reasons.push(format!("{name}: {why}"));
        } else {
            self.others += 1;
        }
    }

    fn said(mut self) -> Vec<String> {
        if self.others > 0 {
            self.reasons.push(format!("and {} others", self.others));
        }
        self.reasons
    }
}

/// All that lies below a directory, and what each is that is no regular file. Links are not followed,
/// and directories are named only if they are empty.
fn find(dir: &Path, found: &mut Vec<(PathBuf, Option<&'static str>)>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if kind.is_file() {
            found.push((path, None));
        } else if kind.is_dir() {
            let before = found.len();
            find(&path, found);
            if found.len() == before {
                found.push((path, Some("it is an empty directory")));
            }
        } else {
            let other = match kind {
                kind if kind.is_symlink() => "it is a symbolic link",
                kind if kind.is_fifo() => "it is a pipe",
                kind if kind.is_socket() => "it is a socket",
                _ => "it is a device",
            };
            found.push((path, Some(other)));
        }
    }
}

fn send_file(
    channel: &mut HostChannel,
    path: &Path,
    announced: &FromGuest,
    size: u64,
) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("read {}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    channel.say(announced).map_err(lost)?;
    let mut left = size;
    while left > 0 {
        // Nothing can write to the file any more: all processes have ended.
        let length = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes).map_err(failed)?;
        channel.send(FrameKind::Bytes, &bytes).map_err(lost)?;
        left -= length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{REASONS, Refused, find};

    #[test]
    fn what_is_no_regular_file_is_named_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("a/empty")).unwrap();
        fs::write(dir.path().join("a/file"), "").unwrap();
        symlink("file", dir.path().join("a/link")).unwrap();
        let mut found = Vec::new();
        find(dir.path(), &mut found);
        found.sort();
        let found: Vec<_> = (found.iter())
            .map(|(path, other)| (path.strip_prefix(dir.path()).unwrap().to_str(), *other))
            .collect();
        assert_eq!(
            found,
            [
                (Some("a/empty"), Some("it is an empty directory")),
                (Some("a/file"), None),
                (Some("a/link"), Some("it is a symbolic link")),
            ]
        );
    }

    #[test]
    fn the_list_of_reasons_is_bounded_and_says_so() {
        let mut refused = Refused::default();
        for n in 0..REASONS + 3 {
            refused.add(&n.to_string(), "it is a pipe");
        }
        let said = refused.said();
        assert_eq!(said.len(), REASONS + 1);
        assert_eq!(said.last().unwrap(), "and 3 others");
    }
}
