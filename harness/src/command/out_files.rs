//! Keeps what a command wrote beside the evidence: its output, and the files that it left.
//!
//! The names of such files come from a guest: each part of a path is made a plain file name, so
//! that none leads anywhere else.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::output::{Chunk, StreamName};
use crate::file_name;

/// Most bytes kept of each output.
const OUTPUT_LIMIT: u64 = 64 * 1024 * 1024;

/// Directory of the files that came back, below the cell's.
pub(super) const OUT: &str = "out";

/// The files of one command.
#[derive(Debug)]
pub(super) struct OutFiles {
    dir: PathBuf,
    /// By stream: the file, and the bytes that it has.
    logs: BTreeMap<StreamName, (File, u64)>,
}

impl OutFiles {
    pub(super) fn below(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            logs: BTreeMap::new(),
        }
    }

    /// Adds to the file of an output, up to its limit.
    pub(super) fn log(&mut self, chunk: &Chunk) -> io::Result<()> {
        if !self.logs.contains_key(&chunk.stream) {
            let path = self.dir.join(chunk.stream.file());
            let file = File::create(&path).map_err(|error| of(&path, &error))?;
            self.logs.insert(chunk.stream, (file, 0));
        }
        let Some((file, written)) = self.logs.get_mut(&chunk.stream) else {
            return Ok(());
        };
        let room = usize::try_from(OUTPUT_LIMIT - *written).unwrap_or(0);
        let part = &chunk.bytes[..chunk.bytes.len().min(room)];
        *written += part.len() as u64;
        file.write_all(part)
            .map_err(|error| of(&self.dir.join(chunk.stream.file()), &error))
    }

    /// Makes the file that a guest calls `name`, and that may be executable.
    pub(super) fn create(&self, name: &str, executable: bool) -> io::Result<(PathBuf, File)> {
        let path = self.dir.join(OUT).join(relative(name));
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(|error| of(dir, &error))?;
        }
        // The rest is up to the umask.
        let mode = if executable { 0o777 } else { 0o666 };
        let file = (File::options().write(true).create(true).truncate(true))
            .mode(mode)
            .open(&path)
            .map_err(|error| of(&path, &error))?;
        Ok((path, file))
    }
}

/// The error, with the path that it is about.
pub(super) fn of(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("write `{}`: {error}", path.display()))
}

/// A path that leads down only.
pub(crate) fn relative(name: &str) -> PathBuf {
    let parts = name.split('/').filter(|part| !part.is_empty());
    let parts = parts.map(file_name::of).collect::<PathBuf>();
    if parts.as_os_str().is_empty() {
        return file_name::of(name).into();
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_guest_lead_nowhere_else() {
        assert_eq!(relative("a/b.txt"), Path::new("a/b.txt"));
        for name in [
            "../../etc/passwd",
            "/etc/passwd",
            "a/../../b",
            ".",
            "..",
            "",
        ] {
            let path = relative(name);
            assert!(
                path.components()
                    .all(|part| matches!(part, std::path::Component::Normal(_))),
                "{name}: {path:?}"
            );
        }
    }

    #[test]
    fn a_flood_is_kept_up_to_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let mut files = OutFiles::below(dir.path());
        let chunk = Chunk {
            stream: StreamName::Stdout,
            bytes: vec![b'x'; 8 << 20],
        };
        for _ in 0..9 {
            files.log(&chunk).unwrap();
        }
        let length = fs::metadata(dir.path().join("stdout.log")).unwrap().len();
        assert_eq!(length, OUTPUT_LIMIT);
    }
}
