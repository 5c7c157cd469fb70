//! Reads a directory of this host as a tree. Links are kept, and not followed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::Error;
use super::tree::{Content, Kind, Node, Tree};
use crate::catalogue::package::files::MAX_TOTAL;

/// Everything below a directory. The bytes of files stay where they are.
pub(super) fn read(dir: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    let mut left = vec![dir.to_owned()];
    let mut bytes = 0_u64;
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(&at).map_err(Error::on(&at))? {
            let path = entry.map_err(Error::on(&at))?.path();
            let found = fs::symlink_metadata(&path).map_err(Error::on(&path))?;
            let kind = if found.is_dir() {
                left.push(path.clone());
                Kind::Directory
            } else if found.is_symlink() {
                Kind::Link(fs::read_link(&path).map_err(Error::on(&path))?)
            } else if found.is_file() {
                bytes = bytes.saturating_add(found.len());
                if bytes > MAX_TOTAL {
                    return Err(Error::TooLarge(dir.to_owned()));
                }
                let length = found.len();
                Kind::File(Content::OfHost {
                    path: path.clone(),
                    length,
                })
            } else {
                continue;
            };
            let node = Node {
                kind,
                mode: u16::try_from(found.mode() & 0o7777).unwrap_or(0),
                uid: found.uid(),
                gid: found.gid(),
                modified: u32::try_from(found.mtime()).unwrap_or(0),
                layer: 0,
            };
            let name = path.strip_prefix(dir).unwrap_or(&path);
            tree.put(name, node)
                .map_err(|reason| Error::refused(dir, reason))?;
        }
    }
    Ok(tree)
}
