//! Root file systems for commands: a directory, a tar archive or a container image goes in, and the
//! image of a read-only disk comes out, which is kept in the cache.
//!
//! Nothing is ever written to this host under a name that an archive chose. Files lie one after the
//! other in a file without a name until they are in the image, and paths and links are followed only
//! within a [tree](tree::Tree) in memory.

mod archive;
mod container;
mod directory;
mod error;
mod image;
mod links;
mod progress;
mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::userland::Root;

pub use self::error::Error;
pub use self::image::Image;
pub use self::progress::Progress;

use self::archive::Spool;
use self::progress::{Meter, Told};
use self::tree::Tree;
use crate::catalogue::{checked_file, digest};

/// Goes into every key: raised when the same source gives another image.
const RECIPE: &[u8] = b"ukci.rootfs/3";

/// The directory of the cache with the images.
pub(crate) const IMAGES: &str = "rootfs";

/// The path of an image in the cache, by the digest of what it was made from.
pub(crate) fn path_of(cache: &Path, sha256: &str) -> PathBuf {
    cache.join(IMAGES).join(format!("{sha256}.squashfs"))
}

/// The image of a directory, a tar archive or a container image for guests of `arch`, which is made
/// unless the cache has it. `told` is called at every step. Of several container images, `source` names
/// one: `PATH@NAME`. Blocking.
pub fn image(
    source: &Path,
    arch: Arch,
    cache: &Path,
    told: &(dyn Fn(Progress) + Send + Sync),
) -> Result<Image, Error> {
    let (whole, (source, name)) = (source, named(source));
    let found = fs::metadata(source).map_err(Error::on(source))?;
    let mut key = digest::Hasher::default();
    key.field(RECIPE);
    key.field(arch.name().as_bytes());
    let tree = if found.is_dir() {
        let tree = directory::read(source)?;
        key.field(b"directory");
        tree.hash(&mut key, &Meter::reading(tree.bytes(), told))?;
        Some(tree)
    } else {
        key.field(b"archive");
        let meter = Meter::reading(found.len(), told);
        let of = digest::of_metered(source, |file| meter.of(file)).map_err(Error::on(source))?;
        key.field(of.as_bytes());
        None
    };
    if let Some(name) = name {
        key.field(name.as_bytes());
    }
    let sha256 = key.finish();
    let path = path_of(cache, &sha256);
    if !checked_file::is_whole(&path) {
        make((source, name), tree, arch, &path, told)?;
    }
    let root = Root {
        sha256,
        source: whole.display().to_string(),
    };
    Image::open(root, path)
}

/// The path of a source, and the name of the image in it that is meant. A path that is there is no name.
fn named(source: &Path) -> (&Path, Option<&str>) {
    let split = source.to_str().and_then(|text| text.rsplit_once('@'));
    match split {
        Some((path, name)) if !name.is_empty() && !source.exists() && Path::new(path).exists() => {
            (Path::new(path), Some(name))
        }
        _ => (source, None),
    }
}

fn make(
    (source, name): (&Path, Option<&str>),
    tree: Option<Tree>,
    arch: Arch,
    path: &Path,
    told: Told<'_>,
) -> Result<(), Error> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir).map_err(Error::on(dir))?;
    let (tree, spool) = if let Some(tree) = tree {
        (tree, None)
    } else {
        told(Progress::Making { done: 0, total: 0 });
        let mut spool = Spool::create(dir)?;
        let mut tree = Tree::default();
        archive::read(source, &mut tree, &mut spool)?;
        (tree, Some(spool))
    };
    let (tree, spool) = match container::layers(source, name, &tree, spool.as_ref(), arch)? {
        None => (tree, spool),
        Some(layers) => {
            let mut made = Spool::create(dir)?;
            let mut whole = Tree::default();
            for layer in layers {
                whole.begin_layer();
                container::apply(source, &layer, spool.as_ref(), &mut whole, &mut made)?;
            }
            (whole, Some(made))
        }
    };
    if tree.is_empty() {
        return Err(Error::Empty(source.to_owned()));
    }
    image::write(
        &tree,
        spool.as_ref(),
        path,
        &Meter::making(tree.bytes(), told),
    )
}

#[cfg(test)]
mod tests;
