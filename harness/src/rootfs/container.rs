//! Container images: an OCI image layout (`index.json`, `blobs/`), or what `docker save` and `podman
//! save` write (`manifest.json`). Layers come out, in the order in which they lie over one another.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ukci_schema::cell::Arch;

use super::archive::{self, Spool};
use super::error::Error;
use super::tree::{Content, Kind, Tree};
use crate::catalogue::digest;

/// Largest index, manifest or configuration that is read.
const MAX_JSON: u64 = 16 << 20;

/// Most layers of an image. Docker allows 127.
const MAX_LAYERS: usize = 1024;

/// Indexes that lead to others: `docker buildx` writes two.
const MAX_INDEXES: usize = 4;

/// `index.json`, and the blobs of the same form.
#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

/// A blob of the layout.
#[derive(Deserialize)]
struct Descriptor {
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

/// What an index leads to: another index, or a manifest.
#[derive(Deserialize)]
struct IndexOrManifest {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
}

/// An entry of `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    layers: Vec<PathBuf>,
}

/// Where the bytes of a layer lie.
pub(super) type Layer = Content;

/// The layers of the container image that the tree is, if it is one.
pub(super) fn layers(
    source: &Path,
    tree: &Tree,
    spool: Option<&Spool>,
    arch: Arch,
) -> Result<Option<Vec<Layer>>, Error> {
    let image = Container {
        source,
        tree,
        spool,
    };
    // `docker save` writes both since Docker 25, and the layout has digests.
    let layers = if image.has("oci-layout") && image.has("index.json") {
        image.of_layout(arch)?
    } else if image.has("manifest.json") && !image.has("etc") {
        image.of_save()?
    } else {
        return Ok(None);
    };
    if layers.len() > MAX_LAYERS {
        return Err(Error::refused(
            source,
            format!("it has more than {MAX_LAYERS} layers"),
        ));
    }
    Ok(Some(layers))
}

/// Puts a layer over what is in the tree.
pub(super) fn apply(
    source: &Path,
    layer: &Layer,
    spool: Option<&Spool>,
    tree: &mut Tree,
    made: &mut Spool,
) -> Result<(), Error> {
    let bytes = archive::open(layer, spool);
    archive::entries(source, bytes, true, tree, made)
}

struct Container<'a> {
    source: &'a Path,
    tree: &'a Tree,
    spool: Option<&'a Spool>,
}

impl Container<'_> {
    fn has(&self, name: &str) -> bool {
        self.tree.find(Path::new(name)).is_some()
    }

    fn file(&self, name: &Path) -> Result<&Content, Error> {
        match self.tree.find(name).map(|(_, node)| &node.kind) {
            Some(Kind::File(content)) => Ok(content),
            _ => Err(self.refused(format!("it lacks `{}`", name.display()))),
        }
    }

    fn refused(&self, reason: impl std::fmt::Display) -> Error {
        Error::refused(self.source, reason)
    }

    fn json<T: DeserializeOwned>(&self, name: &Path) -> Result<T, Error> {
        let content = self.file(name)?;
        let bytes = archive::open(content, self.spool);
        let mut text = Vec::new();
        bytes
            .take(MAX_JSON)
            .read_to_end(&mut text)
            .map_err(Error::on(self.source))?;
        serde_json::from_slice(&text)
            .map_err(|error| self.refused(format!("`{}`: {error}", name.display())))
    }

    /// The path of a blob, whose bytes must have the digest that is its name.
    fn blob(&self, digest: &str) -> Result<PathBuf, Error> {
        let hex = digest.strip_prefix("sha256:");
        let hex =
            hex.filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let hex = hex.ok_or_else(|| self.refused(format!("`{digest}` is not a SHA-256 digest")))?;
        let path = Path::new("blobs/sha256").join(hex);
        let mut bytes = archive::open(self.file(&path)?, self.spool);
        let mut hasher = digest::Hasher::default();
        digest::absorb(&mut hasher, &mut bytes).map_err(Error::on(self.source))?;
        if hasher.finish() != hex {
            return Err(self.refused(format!("the blob `{digest}` has another digest")));
        }
        Ok(path)
    }

    fn of_layout(&self, arch: Arch) -> Result<Vec<Layer>, Error> {
        let index: Index = self.json(Path::new("index.json"))?;
        let mut manifests = index.manifests;
        for _ in 0..MAX_INDEXES {
            let manifest = self.chosen(&manifests, arch)?;
            let path = self.blob(&manifest.digest)?;
            let IndexOrManifest {
                manifests: more,
                layers,
            } = self.json(&path)?;
            if let Some(layers) = layers {
                let blobs = layers.iter().map(|layer| {
                    let path = self.blob(&layer.digest)?;
                    self.file(&path).cloned()
                });
                return blobs.collect();
            }
            manifests = more.ok_or_else(|| self.refused("its manifest has no layers"))?;
        }
        Err(self.refused("its indexes lead to one another"))
    }

    /// The manifest for guests of this architecture. One alone need not say what it is for.
    fn chosen<'d>(&self, manifests: &'d [Descriptor], arch: Arch) -> Result<&'d Descriptor, Error> {
        let is_for =
            |platform: &Platform| platform.os == "linux" && platform.architecture == arch.debian();
        let named = (manifests.iter()).find(|one| one.platform.as_ref().is_some_and(is_for));
        match (named, manifests) {
            (Some(manifest), _) => Ok(manifest),
            (None, [one]) if one.platform.is_none() => Ok(one),
            _ => Err(self.refused(format!("it has no image for linux/{}", arch.debian()))),
        }
    }

    fn of_save(&self) -> Result<Vec<Layer>, Error> {
        let saved: Vec<Saved> = self.json(Path::new("manifest.json"))?;
        let [image] = saved.as_slice() else {
            return Err(self.refused(format!(
                "it has {} images, and one is expected",
                saved.len()
            )));
        };
        (image.layers.iter())
            .map(|layer| self.file(layer).cloned())
            .collect()
    }
}
