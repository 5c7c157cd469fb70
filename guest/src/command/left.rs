//! Sends the files that a command left for the host.
//!
//! Only regular files travel, in the order of their names, within limits. What is left out is said.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use ukci_schema::command::{CHUNK, Command, CommandEvidence, OUT_FILES, OUT_LIMIT};
use ukci_schema::message::{FrameKind, FromGuest};

use crate::{HostChannel, lost};

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
    let mut room = OUT_LIMIT;
    for path in found {
        let relative = path.strip_prefix(base).unwrap_or(&path);
        let Some(name) = relative.to_str() else {
            let name = relative.display();
            seen.out_refused
                .push(format!("{name}: the name is not UTF-8"));
            continue;
        };
        let size = fs::metadata(&path).map_or(0, |meta| meta.len());
        if seen.out.len() == OUT_FILES || size > room {
            seen.out_refused
                .push(format!("{name}: {size} bytes are over the limit"));
            continue;
        }
        room -= size;
        send_file(channel, &path, name, size)?;
        seen.out.push(name.to_owned());
    }
    Ok(())
}

/// The regular files below a directory. Links are not followed.
fn find(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => find(&entry.path(), found),
            Ok(kind) if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
}

fn send_file(channel: &mut HostChannel, path: &Path, name: &str, size: u64) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("read {}: {error}", path.display());
    let mut file = File::open(path).map_err(failed)?;
    let announced = FromGuest::File {
        name: name.to_owned(),
        size,
    };
    channel.say(&announced).map_err(lost)?;
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
