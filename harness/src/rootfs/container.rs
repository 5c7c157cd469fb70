//! Container images: an OCI image layout (`index.json`, `blobs/`), or what `docker save` and `podman
//! save` write (`manifest.json`). Layers come out, in the order in which they lie over one another.

use std::collections::BTreeSet;
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
    #[serde(default)]
    annotations: Option<Annotations>,
}

/// What an index says of an image.
#[derive(Deserialize)]
struct Annotations {
    /// Its tag, or its whole name.
    #[serde(rename = "org.opencontainers.image.ref.name")]
    reference: Option<String>,
    /// Its whole name, as `docker` writes it.
    #[serde(rename = "io.containerd.image.name")]
    image: Option<String>,
}

impl Descriptor {
    /// The names of the image.
    fn names(&self) -> Vec<&str> {
        let annotations = self.annotations.iter();
        annotations
            .flat_map(|said| [&said.image, &said.reference])
            .filter_map(|name| name.as_deref())
            .collect()
    }
}

/// What an image is for. The configuration of an image has the same two fields.
#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

impl Platform {
    fn is_for(&self, arch: Arch) -> bool {
        self.os == "linux" && self.architecture == arch.debian()
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)
    }
}

/// The manifest of an image.
struct Manifest {
    layers: Vec<Descriptor>,
}

/// What an index leads to: another index, or a manifest.
#[derive(Deserialize)]
struct IndexOrManifest {
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    config: Option<Descriptor>,
}

/// An entry of `manifest.json` of `docker save`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    layers: Vec<PathBuf>,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    config: Option<PathBuf>,
}

/// Where the bytes of a layer lie.
pub(super) type Layer = Content;

/// The layers of the container image that the tree is, if it is one. `name` selects one of several.
pub(super) fn layers(
    source: &Path,
    name: Option<&str>,
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
        image.of_layout(name, arch)?
    } else if image.has("manifest.json") && !image.has("etc") {
        image.of_save(name, arch)?
    } else if let Some(name) = name {
        return Err(image.refused(format!(
            "it is no container image, so it has no image `{name}`"
        )));
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

    /// The layers of the image of a layout that this name, or else the architecture alone, selects.
    fn of_layout(&self, name: Option<&str>, arch: Arch) -> Result<Vec<Layer>, Error> {
        let index: Index = self.json(Path::new("index.json"))?;
        let mut looked = Looked::default();
        let mut found: Vec<(Vec<&str>, Manifest)> = Vec::new();
        for one in &index.manifests {
            let names = one.names();
            looked
                .names
                .extend(names.iter().map(|name| (*name).to_owned()));
            if name.is_none_or(|name| is_named(&names, name))
                && let Some(manifest) = self.leading(one, arch, 0, &mut looked)?
            {
                found.push((names, manifest));
            }
        }
        if let Some(name) = name.filter(|name| !looked.has(name)) {
            return Err(self.unknown(name, &looked.names));
        }
        let different: BTreeSet<&str> = found
            .iter()
            .filter_map(|(names, _)| names.first())
            .copied()
            .collect();
        if name.is_none() && different.len() > 1 {
            return Err(self.several(&looked.names));
        }
        let Some((_, manifest)) = found.into_iter().next() else {
            return Err(self.without(arch, &looked.others));
        };
        let blobs = manifest.layers.iter().map(|layer| {
            let path = self.blob(&layer.digest)?;
            self.file(&path).cloned()
        });
        blobs.collect()
    }

    /// The manifest for guests of this architecture that a descriptor leads to: the first one. What it is for
    /// is what the index says of it, and what its own configuration says.
    fn leading(
        &self,
        of: &Descriptor,
        arch: Arch,
        depth: usize,
        looked: &mut Looked,
    ) -> Result<Option<Manifest>, Error> {
        if depth == MAX_INDEXES {
            return Err(self.refused("its indexes lead to one another"));
        }
        if let Some(platform) = &of.platform
            && !platform.is_for(arch)
        {
            looked.others.insert(platform.to_string());
            return Ok(None);
        }
        // Indexes that lead to the same one many times over take no time.
        if !looked.read.insert(of.digest.clone()) {
            return Ok(None);
        }
        let path = self.blob(&of.digest)?;
        match self.json(&path)? {
            IndexOrManifest {
                layers: Some(layers),
                config,
                ..
            } => {
                if let Some(config) = config {
                    let platform: Option<Platform> = self.json(&self.blob(&config.digest)?).ok();
                    if let Some(platform) = platform.filter(|platform| !platform.is_for(arch)) {
                        looked.others.insert(platform.to_string());
                        return Ok(None);
                    }
                }
                Ok(Some(Manifest { layers }))
            }
            IndexOrManifest {
                manifests: Some(more),
                ..
            } => {
                for one in &more {
                    if let Some(manifest) = self.leading(one, arch, depth + 1, looked)? {
                        return Ok(Some(manifest));
                    }
                }
                Ok(None)
            }
            IndexOrManifest { .. } => Err(self.refused("its manifest has no layers")),
        }
    }

    fn of_save(&self, name: Option<&str>, arch: Arch) -> Result<Vec<Layer>, Error> {
        let saved: Vec<Saved> = self.json(Path::new("manifest.json"))?;
        let names = |image: &Saved| image.repo_tags.clone().unwrap_or_default();
        let all: BTreeSet<String> = saved.iter().flat_map(names).collect();
        let image = match (name, saved.as_slice()) {
            (None, [image]) => image,
            (None, _) => return Err(self.several(&all)),
            (Some(name), images) => {
                let is_meant = |image: &&Saved| {
                    let names = names(image);
                    is_named(&names.iter().map(String::as_str).collect::<Vec<_>>(), name)
                };
                let image = images.iter().find(is_meant);
                image.ok_or_else(|| self.unknown(name, &all))?
            }
        };
        // A very old image has no such file.
        let config = image
            .config
            .as_ref()
            .filter(|path| self.tree.find(path).is_some());
        let platform: Option<Platform> = config.and_then(|path| self.json(path).ok());
        if let Some(platform) = platform.filter(|platform| !platform.is_for(arch)) {
            return Err(self.without(arch, &BTreeSet::from([platform.to_string()])));
        }
        (image.layers.iter())
            .map(|layer| self.file(layer).cloned())
            .collect()
    }

    fn without(&self, arch: Arch, others: &BTreeSet<String>) -> Error {
        let arch = arch.debian();
        if others.is_empty() {
            return self.refused(format!("it has no image for linux/{arch}"));
        }
        let others = listed(others);
        self.refused(format!(
            "it has no image for linux/{arch}, only for {others}"
        ))
    }

    fn several(&self, names: &BTreeSet<String>) -> Error {
        Error::Several {
            path: self.source.to_owned(),
            names: names.iter().cloned().collect(),
        }
    }

    fn unknown(&self, name: &str, names: &BTreeSet<String>) -> Error {
        let names = if names.is_empty() {
            "none with a name".to_owned()
        } else {
            listed(names)
        };
        self.refused(format!("it has no image `{name}`, but {names}"))
    }
}

/// What was seen on the way to an image.
#[derive(Default)]
struct Looked {
    /// The names of the images.
    names: BTreeSet<String>,
    /// The platforms that were passed over.
    others: BTreeSet<String>,
    /// The digests of the blobs that were read.
    read: BTreeSet<String>,
}

impl Looked {
    fn has(&self, name: &str) -> bool {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        is_named(&names, name)
    }
}

/// Whether one of the names is the one given, or ends with it as its tag.
fn is_named(names: &[&str], name: &str) -> bool {
    let is = |of: &&str| *of == name || of.rsplit_once(':').is_some_and(|(_, tag)| tag == name);
    names.iter().any(is)
}

fn listed(names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    names.join(", ")
}
