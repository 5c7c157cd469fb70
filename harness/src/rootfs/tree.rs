//! A file system in memory: names, rights and links, and where the bytes of each file lie.
//!
//! Links are followed within the tree only, so that no entry of an archive leads out of it.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::error::Error;
use super::links;
use super::progress::Meter;
use crate::catalogue::digest::{self, Hasher};

/// Most entries of a tree. A desktop distribution has some 500,000.
const MAX_ENTRIES: usize = 2_000_000;

/// Longest path, and longest target of a link: the kernel's own limit.
const MAX_PATH: usize = 4096;

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// The permission bits, and those of `setuid`, `setgid` and `sticky`.
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds since the epoch.
    pub(super) modified: u32,
    /// The layer of a container image that has it.
    pub(super) layer: usize,
}

impl Node {
    fn directory() -> Self {
        Self {
            kind: Kind::Directory,
            mode: 0o755,
            uid: 0,
            gid: 0,
            modified: 0,
            layer: 0,
        }
    }
}

/// What an entry is. Devices come from the kernel, and sockets and pipes from whoever uses them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    Link(PathBuf),
    File(Content),
}

/// The bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// They lie in a spool.
    Spooled { offset: u64, length: u64 },
    /// They are those of a file of this host, which had so many.
    OfHost { path: PathBuf, length: u64 },
}

/// All entries but the root, by their paths without a leading `/`.
#[derive(Clone, Debug, Default)]
pub(super) struct Tree {
    nodes: BTreeMap<PathBuf, Node>,
    /// The layer whose entries are put into it.
    layer: usize,
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        let lengths = self.nodes.values().map(|node| match node.kind {
            Kind::File(Content::Spooled { length, .. } | Content::OfHost { length, .. }) => length,
            Kind::Directory | Kind::Link(_) => 0,
        });
        lengths.fold(0, u64::saturating_add)
    }

    /// In the order of the paths: a directory stands before what is in it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Path, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_path(), node))
    }

    /// Puts an entry at the path of an archive. What was there is replaced, unless both are
    /// directories.
    pub(super) fn put(&mut self, name: &Path, node: Node) -> Result<(), String> {
        let Some(path) = self.place(name)? else {
            // The root itself.
            return Ok(());
        };
        if self.nodes.len() >= MAX_ENTRIES {
            return Err(format!("it has more than {MAX_ENTRIES} files"));
        }
        if let Kind::Link(target) = &node.kind
            && target.as_os_str().len() > MAX_PATH
        {
            return Err(format!(
                "the target of the link `{}` is too long",
                name.display()
            ));
        }
        if node.kind != Kind::Directory {
            self.remove_at(&path);
        } else if self
            .nodes
            .get(&path)
            .is_some_and(|there| there.kind != Kind::Directory)
        {
            // As tar and overlays have it: a directory takes the place of a link.
            self.nodes.remove(&path);
        }
        let layer = self.layer;
        self.nodes.insert(path, Node { layer, ..node });
        Ok(())
    }

    /// Begins a layer of a container image, which lies over what the tree has by now.
    pub(super) fn begin_layer(&mut self) {
        self.layer += 1;
    }

    /// Removes an entry of lower layers, and all that is below it. What this layer has stays, wherever
    /// the archive names it.
    pub(super) fn remove(&mut self, name: &Path) -> Result<(), String> {
        if let Some(path) = self.place(name)? {
            self.remove_lower(&path);
        }
        Ok(())
    }

    /// Removes all that lower layers have below a directory.
    pub(super) fn clear(&mut self, name: &Path) -> Result<(), String> {
        let path = self.place(name)?.unwrap_or_default();
        let directory = self.nodes.get(&path).cloned();
        self.remove_lower(&path);
        if let Some(directory) = directory {
            self.nodes.entry(path).or_insert(directory);
        }
        Ok(())
    }

    /// Removes what lower layers have at a path and below it, but for the directories of what stays.
    fn remove_lower(&mut self, path: &Path) {
        let below = self.nodes.range(path.to_owned()..);
        let below = below.take_while(|(below, _)| below.starts_with(path));
        let mut kept: Option<&Path> = None;
        let mut gone = Vec::new();
        // Backwards, what is in a directory comes before it.
        for (below, node) in below.collect::<Vec<_>>().into_iter().rev() {
            if node.layer == self.layer {
                kept = Some(below);
            } else if kept.is_none_or(|kept| !kept.starts_with(below)) {
                gone.push(below.clone());
            }
        }
        for path in gone {
            self.nodes.remove(&path);
        }
    }

    fn remove_at(&mut self, path: &Path) {
        self.remove_below(path);
        self.nodes.remove(path);
    }

    fn remove_below(&mut self, path: &Path) {
        let below = self.nodes.range(path.to_owned()..).skip(1);
        let below: Vec<PathBuf> = below
            .map(|(path, _)| path)
            .take_while(|below| below.starts_with(path))
            .cloned()
            .collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }

    /// The entry at a path, with all links followed.
    pub(super) fn find(&self, name: &Path) -> Option<(&Path, &Node)> {
        let path = self.follow(name, true).ok()?;
        self.nodes
            .get_key_value(&path)
            .map(|(path, node)| (path.as_path(), node))
    }

    /// Where an entry of this name belongs, with the links of its parents followed, and the
    /// directories that it is in made. None for the root.
    fn place(&mut self, name: &Path) -> Result<Option<PathBuf>, String> {
        if name.as_os_str().len() > MAX_PATH {
            return Err("a path is longer than 4096 bytes".to_owned());
        }
        if name.components().any(|part| part == Component::ParentDir) {
            return Err(format!("`{}` points outside of it", name.display()));
        }
        if name.as_os_str().as_bytes().contains(&0) {
            return Err(format!(
                "`{}` has a zero byte",
                name.display().to_string().escape_debug()
            ));
        }
        let path = self.follow(name, false)?;
        if path.as_os_str().is_empty() {
            return Ok(None);
        }
        let parents: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
        for parent in parents
            .into_iter()
            .filter(|parent| !parent.as_os_str().is_empty())
        {
            match self.nodes.get(&parent).map(|node| &node.kind) {
                Some(Kind::Directory) => {}
                Some(_) => return Err(format!("`{}` is in no directory", name.display())),
                None => {
                    let layer = self.layer;
                    let directory = Node::directory();
                    self.nodes.insert(parent, Node { layer, ..directory });
                }
            }
        }
        Ok(Some(path))
    }

    /// A path without links, except for the last part unless `wholly`.
    fn follow(&self, name: &Path, wholly: bool) -> Result<PathBuf, String> {
        let link = |path: &Path| match self.nodes.get(path).map(|node| &node.kind) {
            Some(Kind::Link(target)) => Some(target.clone()),
            _ => None,
        };
        links::follow(name, wholly, link)
            .ok_or_else(|| format!("too many links lead to `{}`", name.display()))
    }

    /// Takes everything in: names, rights, and the bytes of files on this host.
    pub(super) fn hash(&self, key: &mut Hasher, meter: &Meter<'_>) -> Result<(), Error> {
        for (path, node) in self.iter() {
            key.field(path.as_os_str().as_bytes());
            let Node {
                mode,
                uid,
                gid,
                modified,
                ..
            } = node;
            key.field(format!("{mode} {uid} {gid} {modified}").as_bytes());
            match &node.kind {
                Kind::Directory => key.field(b"directory"),
                Kind::Link(target) => key.field(target.as_os_str().as_bytes()),
                Kind::File(Content::OfHost { path: of, .. }) => {
                    let digest = digest::of_metered(of, |file| meter.of(file));
                    key.field(digest.map_err(Error::on(of))?.as_bytes());
                }
                Kind::File(Content::Spooled { offset, length }) => {
                    key.field(format!("{offset} {length}").as_bytes());
                }
            }
        }
        Ok(())
    }
}
