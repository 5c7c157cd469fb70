//! Writes a tree as a squashfs image, and looks into images.
//!
//! All kernels of the catalogue have squashfs with zstd. It is read-only and compressed, and a kernel
//! reads it from a disk as far as it needs it.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use backhand::compression::Compressor;
use backhand::{FilesystemCompressor, FilesystemReader, FilesystemWriter, InnerNode, NodeHeader};
use ukci_schema::userland::Root;

use super::archive::{self, Spool};
use super::error::Error;
use super::links;
use super::progress::Meter;
use super::tree::{Kind, Tree};
use crate::atomic_file;
use crate::catalogue::{checked_file, digest};

/// Bytes that are compressed together. A larger block has a guest read more than it needs.
const BLOCK: u32 = 128 << 10;

/// The image of a root file system.
pub struct Image {
    /// What it was made from.
    pub root: Root,
    /// The file.
    path: PathBuf,
    files: FilesystemReader<'static>,
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Image").field(&self.path).finish()
    }
}

impl Image {
    pub(super) fn open(root: Root, path: PathBuf) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::on(&path))?;
        let files = FilesystemReader::from_reader(BufReader::new(file));
        let files = files.map_err(|error| Error::refused(&path, error))?;
        Ok(Self { root, path, files })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The first bytes of a file of the image, at most as many as `most`, with all links followed. None
    /// if it has no such file.
    pub fn start_of(&self, name: &Path, most: u64) -> Option<Vec<u8>> {
        let path = links::follow(name, true, |path| self.link(path))?;
        let path = Path::new("/").join(path);
        let node = self.files.files().find(|node| node.fullpath == path)?;
        let InnerNode::File(file) = &node.inner else {
            return None;
        };
        let mut bytes = Vec::new();
        let reader = self.files.file(file).reader();
        reader.take(most).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    /// Where a link of the image points. None if the path is no link.
    fn link(&self, path: &Path) -> Option<PathBuf> {
        let path = Path::new("/").join(path);
        let node = self.files.files().find(|node| node.fullpath == path)?;
        match &node.inner {
            InnerNode::Symlink(link) => Some(link.link.clone()),
            _ => None,
        }
    }
}

/// Writes the image of a tree, and records its digest.
pub(super) fn write(
    tree: &Tree,
    spool: Option<&Spool>,
    path: &Path,
    meter: &Meter<'_>,
) -> Result<(), Error> {
    let unwritten = |source: Box<dyn std::error::Error + Send + Sync>| Error::Write {
        path: path.to_owned(),
        source,
    };
    let mut writer = FilesystemWriter::default();
    writer.set_block_size(BLOCK);
    let compressor = FilesystemCompressor::new(Compressor::Zstd, None);
    writer.set_compressor(compressor.map_err(|error| unwritten(error.into()))?);
    writer.set_root_mode(0o755);
    for (name, node) in tree.iter() {
        let header = NodeHeader::new(node.mode, node.uid, node.gid, node.modified);
        let put = match &node.kind {
            Kind::Directory => writer.push_dir(name, header),
            Kind::Link(target) => writer.push_symlink(target, name, header),
            Kind::File(content) => {
                let bytes = meter.of(archive::open(content, spool));
                writer.push_file(bytes, name, header)
            }
        };
        put.map_err(|error| unwritten(error.into()))?;
    }
    let dir = path.parent().unwrap_or(path);
    let made = tempfile::NamedTempFile::new_in(dir).map_err(|error| unwritten(error.into()))?;
    let mut buffered = BufWriter::new(made.as_file());
    writer
        .write(&mut buffered)
        .map_err(|error| unwritten(error.into()))?;
    buffered.flush().map_err(|error| unwritten(error.into()))?;
    drop(buffered);
    let keep = || -> std::io::Result<()> {
        // QEMU may run as another user.
        fs::set_permissions(made.path(), Permissions::from_mode(0o644))?;
        let sha256 = digest::of_file(made.path())?;
        made.as_file().sync_all()?;
        atomic_file::rename(made.path(), path)?;
        checked_file::record(path, &sha256)
    };
    keep().map_err(|error| unwritten(error.into()))
}
