//! Reads tar archives into a tree. The bytes of their files go one after the other into a file that
//! has no name.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use tar::EntryType;

use super::error::Error;
use super::tree::{Content, Kind, Node, Tree};
use crate::catalogue::package::decompressor;
use crate::catalogue::package::files::{Limited, MAX_BETWEEN, MAX_TOTAL};
use crate::compression::Compression;
use crate::full_disk;

/// Bytes of files without a name, in the directory of the cache.
pub(super) struct Spool {
    file: Arc<File>,
    length: u64,
}

impl Spool {
    pub(super) fn create(dir: &Path) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(dir).map_err(Error::on(dir))?;
        Ok(Self {
            file: Arc::new(file),
            length: 0,
        })
    }

    fn put(&mut self, from: &mut impl Read) -> io::Result<Content> {
        let offset = self.length;
        let mut file = &*self.file;
        file.seek(SeekFrom::Start(offset))?;
        // A sparse file claims more than the archive has.
        let room = MAX_TOTAL - offset;
        let length = io::copy(&mut from.take(room + 1), &mut file)?;
        if length > room {
            let what = "its files have more than 8 GiB";
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
        }
        self.length += length;
        Ok(Content::Spooled { offset, length })
    }
}

/// A reader of the bytes of a file of the tree.
pub(super) fn open(content: &Content, spool: Option<&Spool>) -> Lazy {
    Lazy {
        content: content.clone(),
        spool: spool.map(|spool| Arc::clone(&spool.file)),
        reader: None,
    }
}

/// A file of the tree that is opened when its first byte is read: an image has more files than a
/// process may open.
pub(super) struct Lazy {
    content: Content,
    spool: Option<Arc<File>>,
    reader: Option<Box<dyn Read + Send>>,
}

impl Read for Lazy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => {
                let opened: Box<dyn Read + Send> = match (&self.content, &self.spool) {
                    (Content::OfHost { path, .. }, _) => Box::new(File::open(path)?),
                    (Content::Spooled { offset, length }, Some(spool)) => Box::new(Range {
                        file: Arc::clone(spool),
                        offset: *offset,
                        left: *length,
                    }),
                    (Content::Spooled { .. }, None) => return Err(io::ErrorKind::NotFound.into()),
                };
                none.insert(opened)
            }
        };
        let read = reader.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            // The descriptor of a file of this host is not kept.
            *reader = Box::new(io::empty());
        }
        Ok(read)
    }
}

/// A part of a file.
struct Range {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Read for Range {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.offset)?;
        if read == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Reads an archive of this host.
pub(super) fn read(path: &Path, tree: &mut Tree, spool: &mut Spool) -> Result<(), Error> {
    let file = crate::input_file::open(path, u64::MAX).map_err(io::Error::from);
    let file = file.map_err(Error::on(path))?;
    entries(path, file, false, tree, spool)
}

/// Reads an archive, compressed or not, into the tree. In a layer of a container image, names that
/// begin with `.wh.` remove what lower layers have.
pub(super) fn entries(
    path: &Path,
    stream: impl Read,
    is_layer: bool,
    tree: &mut Tree,
    spool: &mut Spool,
) -> Result<(), Error> {
    let refused = |error: &dyn std::fmt::Display| Error::refused(path, error);
    let mut stream = BufReader::with_capacity(256 * 1024, stream);
    let mut start = [0; 6];
    let got = fill(&mut stream, &mut start).map_err(|error| refused(&error))?;
    let compression = Compression::of(&start[..got]);
    let ending = compression.and_then(Compression::ending).unwrap_or("");
    let stream = (&start[..got]).chain(stream);
    let stream = decompressor(ending, stream).map_err(|error| refused(&error))?;
    let stream = stream.ok_or_else(|| refused(&"its compression is unknown"))?;
    let (limited, allowed) = Limited::new(stream, MAX_TOTAL);
    let mut tar = tar::Archive::new(limited);
    for (number, entry) in tar.entries().map_err(|error| refused(&error))?.enumerate() {
        let mut entry = entry.map_err(|error| match number {
            // The words of the crate quote what it found.
            0 => refused(&"it is not a tar archive"),
            _ => refused(&error),
        })?;
        allowed.set(entry.size().saturating_add(MAX_BETWEEN));
        one(&mut entry, is_layer, tree, spool).map_err(|failed| match failed {
            Failed::Reason(reason) => refused(&reason),
            Failed::Unwritten(source) => Error::Spool {
                path: path.to_owned(),
                source,
            },
        })?;
        io::copy(&mut entry, &mut io::sink()).map_err(|error| refused(&error))?;
        allowed.set(MAX_BETWEEN);
    }
    Ok(())
}

fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        match from.read(&mut buffer[got..])? {
            0 => break,
            read => got += read,
        }
    }
    Ok(got)
}

/// Why a file of an archive is not in the tree.
enum Failed {
    /// What is wrong with the archive.
    Reason(String),
    /// There is no room for the file.
    Unwritten(io::Error),
}

impl From<String> for Failed {
    fn from(reason: String) -> Self {
        Self::Reason(reason)
    }
}

impl Failed {
    fn spooling(error: io::Error) -> Self {
        // No archive is read with such an error.
        if full_disk::is_full(error.kind()) {
            Self::Unwritten(error)
        } else {
            Self::Reason(error.to_string())
        }
    }
}

/// Puts one entry into the tree.
fn one(
    entry: &mut tar::Entry<'_, impl Read>,
    is_layer: bool,
    tree: &mut Tree,
    spool: &mut Spool,
) -> Result<(), Failed> {
    let words = |error: io::Error| error.to_string();
    let name = entry.path().map_err(words)?.into_owned();
    if is_layer && let Some(last) = name.file_name().and_then(|last| last.to_str()) {
        let parent = name.parent().unwrap_or(Path::new(""));
        if last == ".wh..wh..opq" {
            return Ok(tree.clear(parent)?);
        }
        if let Some(gone) = last.strip_prefix(".wh.") {
            return Ok(tree.remove(&parent.join(gone))?);
        }
    }
    let kind = match entry.header().entry_type() {
        EntryType::Directory => Kind::Directory,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            Kind::File(spool.put(entry).map_err(Failed::spooling)?)
        }
        kind @ (EntryType::Symlink | EntryType::Link) => {
            let target = entry.link_name().map_err(words)?;
            let target =
                target.ok_or_else(|| format!("the link `{}` has no target", name.display()))?;
            if kind == EntryType::Link {
                let of = tree.find(&target).map(|(_, node)| node.clone());
                let of = of.filter(|node| node.kind != Kind::Directory);
                let of = of.ok_or_else(|| {
                    format!(
                        "`{}` is a link to `{}`, which is not there",
                        name.display(),
                        target.display()
                    )
                })?;
                return Ok(tree.put(&name, of)?);
            }
            Kind::Link(target.into_owned())
        }
        // Devices come from the kernel, and pipes from whoever uses them.
        _ => return Ok(()),
    };
    let header = entry.header();
    let number = |number: io::Result<u64>| u32::try_from(number.unwrap_or(0)).unwrap_or(0);
    let node = Node {
        kind,
        mode: u16::try_from(header.mode().map_err(words)? & 0o7777).unwrap_or(0),
        uid: number(header.uid()),
        gid: number(header.gid()),
        modified: number(header.mtime()),
        layer: 0,
    };
    Ok(tree.put(&name, node)?)
}
