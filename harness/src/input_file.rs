//! Reads files that a user names, up to a size, and without being held up by a pipe or a device.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

/// Largest text that people write: a matrix or a manifest.
pub const TEXT_LIMIT: u64 = 16 << 20;

/// Largest report and lock. A cell takes some 10 kB.
pub const DOCUMENT_LIMIT: u64 = 1 << 30;

/// Largest object or source. The largest known objects are below 5 MB, and libbpf reads them into
/// the guest's memory.
pub const OBJECT_LIMIT: u64 = 64 << 20;

/// Largest file that a guest is given, such as a program or a library.
pub const FILE_LIMIT: u64 = 2 << 30;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The system refuses it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is a device, a pipe or a socket.
    #[error("it is a device, a pipe or a socket")]
    NotAFile,
    /// It is too large.
    #[error("it has {bytes} bytes, and at most {limit} are read")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// What is read at most.
        limit: u64,
    },
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        let kind = match refused {
            Refused::Io(error) => return error,
            Refused::NotAFile => io::ErrorKind::InvalidInput,
            Refused::TooLarge { .. } => io::ErrorKind::FileTooLarge,
        };
        Self::new(kind, refused.to_string())
    }
}

/// All of a regular file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    // It may grow meanwhile.
    open(path, limit)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a regular file of at most `limit` bytes.
pub fn open(path: &Path, limit: u64) -> Result<File, Refused> {
    // Opening a pipe would wait for its writer.
    check(&fs::metadata(path)?, limit)?;
    Ok(File::open(path)?)
}

fn check(metadata: &Metadata, limit: u64) -> Result<(), Refused> {
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory).into());
    }
    if !metadata.is_file() {
        return Err(Refused::NotAFile);
    }
    let bytes = metadata.len();
    if bytes > limit {
        return Err(Refused::TooLarge { bytes, limit });
    }
    Ok(())
}

/// All of a text of at most `limit` bytes. It may come through a pipe, such as a shell makes of
/// `<(command)`.
pub fn read_stream(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// The same from a file, in UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    read_text_stream(File::open(path)?, limit)
}

/// The same from a stream, such as standard input.
pub fn read_text_stream(from: impl Read, limit: u64) -> io::Result<String> {
    let bytes = read_stream(from, limit)?;
    let text = String::from_utf8(bytes);
    text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not text in UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_pipes_and_huge_files_are_refused_and_texts_end() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo").arg(&fifo).status();
        assert!(made.unwrap().success());
        for path in [Path::new("/dev/zero"), Path::new("/dev/null"), &fifo] {
            let refused = read(path, 100).unwrap_err();
            assert!(matches!(refused, Refused::NotAFile), "{refused}");
        }
        let huge = dir.path().join("huge");
        File::create(&huge).unwrap().set_len(10 << 30).unwrap();
        let refused = io::Error::from(read(&huge, 1 << 30).unwrap_err());
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        fs::write(&huge, "bytes").unwrap();
        assert_eq!(read(&huge, 5).unwrap(), b"bytes");
        assert!(read(dir.path(), 5).is_err());
        let endless = read_text(Path::new("/dev/zero"), 100).unwrap_err();
        assert_eq!(endless.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read_text(Path::new("/dev/null"), 0).unwrap(), "");
        fs::write(&huge, b"\xff").unwrap();
        let invalid = read_text(&huge, 5).unwrap_err();
        assert_eq!(invalid.kind(), io::ErrorKind::InvalidData);
    }
}
