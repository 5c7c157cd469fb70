//! `kernels/streams.toml`: the kernels of other distributions than Debian that the lock follows.
//!
//! A stream says where its signed metadata is, whose signature counts, and of which packages a
//! kernel is made. It is data: no distribution is named in the code.

use std::collections::BTreeMap;

use serde::Deserialize;
use ukci_schema::cell::Arch;
use ukci_schema::lock::{Role, is_distro};

/// The streams that travel in the binary.
const BUILT_IN: &str = include_str!("../../../kernels/streams.toml");

/// The streams that can be updated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    keys: BTreeMap<String, Vec<String>>,
    layouts: BTreeMap<String, Layout>,
    #[serde(rename = "stream")]
    all: Vec<Stream>,
}

/// How a family packages its kernels.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    /// The metadata.
    pub(crate) format: Format,
    /// `uname -r`, made of `{version}`, `{release}`, `{arch}` and more, see [`crate::uname`].
    pub(crate) uname: String,
    /// The packages, the one with the image first.
    pub(crate) packages: Vec<Part>,
}

/// One package of a kernel.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Part {
    /// Its name. For `deb` it holds `{uname}`.
    pub(crate) name: String,
    /// What it holds.
    pub(crate) roles: Vec<Role>,
    /// Whether some kernels of the family do not have it.
    #[serde(default)]
    pub(crate) optional: bool,
}

/// The kinds of metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// `InRelease` and `Packages.xz`.
    Deb,
    /// `repomd.xml` and `primary.xml`.
    RpmMd,
    /// pacman's `core.db`.
    Pacman,
    /// `APKINDEX.tar.gz`.
    Apk,
}

/// What the vendor signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Signed {
    /// The metadata, which has the digests of the packages.
    Index,
    /// Each package: it must be downloaded before it can be pinned.
    Packages,
}

/// One stream.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    pub(crate) distro: String,
    pub(crate) release: String,
    /// Only kernels of this upstream series.
    #[serde(default)]
    pub(crate) series: String,
    #[serde(default)]
    pub(crate) flavour: String,
    pub(crate) arches: Vec<Arch>,
    /// The archive of `kernels/archives.toml`.
    pub(crate) archive: String,
    /// Where the metadata is below the archive's root, with `{arch}`; for `deb` the suites.
    pub(crate) indices: Vec<String>,
    layout: String,
    pub(crate) signed: Signed,
    /// The set of keys that may sign.
    keys: String,
    /// What the releases of its packages contain, e.g. `.el9`. Metadata of another release of the
    /// distribution, put in this one's place, is signed by the same key at times.
    #[serde(default)]
    pub(crate) mark: String,
    /// Whether the metadata lists every kernel that it ever listed.
    #[serde(default)]
    pub(crate) keeps_all: bool,
}

impl Stream {
    /// `<distro>-<release>[-<series>][-<flavour>]`.
    pub fn name(&self) -> String {
        let parts = [&self.distro, &self.release, &self.series, &self.flavour];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        parts.map(String::as_str).collect::<Vec<_>>().join("-")
    }

    /// The distribution, the release and the flavour that its kernels have in the lock.
    pub fn key(&self) -> (&str, &str, &str) {
        (&self.distro, &self.release, &self.flavour)
    }

    /// The architectures that it is followed for.
    pub fn arches(&self) -> &[Arch] {
        &self.arches
    }

    /// The archive that has it.
    pub fn archive(&self) -> &str {
        &self.archive
    }

    /// The distribution.
    pub fn distro(&self) -> &str {
        &self.distro
    }
}

impl Streams {
    /// Those of the binary.
    pub fn built_in() -> Result<Self, String> {
        Self::parse(BUILT_IN)
    }

    /// Those of a file. The error is the reason.
    pub fn parse(text: &str) -> Result<Self, String> {
        let streams: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for stream in &streams.all {
            let name = stream.name();
            if !is_distro(&stream.distro) {
                return Err(format!(
                    "stream `{name}`: `{}` is not the name of a distribution, which has lower-case \
                     letters, digits and `-`",
                    stream.distro
                ));
            }
            if streams.keys.get(&stream.keys).is_none_or(Vec::is_empty) {
                return Err(format!("stream `{name}`: no keys `{}`", stream.keys));
            }
            let Some(layout) = streams.layouts.get(&stream.layout) else {
                return Err(format!("stream `{name}`: no layout `{}`", stream.layout));
            };
            if layout.packages.first().is_none_or(|part| part.optional) {
                return Err(format!("layout `{}` has no image", stream.layout));
            }
        }
        Ok(streams)
    }

    /// All of them, in the order of the file.
    pub fn all(&self) -> &[Stream] {
        &self.all
    }

    /// Those of this name, which may differ in their architectures.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Stream> {
        self.all.iter().filter(move |stream| stream.name() == name)
    }

    /// Fingerprints of the only keys that may sign, in capitals: of OpenPGP keys, or SHA-256 of RSA
    /// keys in DER.
    pub(crate) fn fingerprints(&self, stream: &Stream) -> &[String] {
        &self.keys[&stream.keys]
    }

    /// How a stream of these packages its kernels.
    pub(crate) fn layout(&self, stream: &Stream) -> &Layout {
        &self.layouts[&stream.layout]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use ukci_harness::catalogue::mirror::Mirrors;

    #[test]
    fn the_streams_are_many_and_each_says_whom_it_trusts() {
        let streams = Streams::built_in().unwrap();
        let names: BTreeSet<String> = streams.all().iter().map(Stream::name).collect();
        assert!(names.len() >= 60, "{}", names.len());
        let families: BTreeSet<&str> = streams.all().iter().map(Stream::distro).collect();
        assert!(families.len() >= 9, "{families:?}");
        let mirrors = Mirrors::of_host();
        let mut seen = BTreeSet::new();
        for stream in streams.all() {
            let name = stream.name();
            assert!(mirrors.current(&stream.archive).is_ok(), "{name}");
            for key in streams.fingerprints(stream) {
                let is_hex = key
                    .bytes()
                    .all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b));
                assert!(is_hex && matches!(key.len(), 40 | 64), "{name}: {key}");
            }
            for arch in &stream.arches {
                assert!(seen.insert((name.clone(), *arch)), "{name} on {arch} twice");
            }
            let layout = streams.layout(stream);
            let by_index = matches!(layout.format, Format::Deb);
            assert!(!by_index || stream.signed == Signed::Index, "{name}");
        }
    }

    #[test]
    fn a_stream_without_a_key_or_an_image_is_refused() {
        let named = |distro: &str, keys: &str, layout: &str| {
            format!(
                "[keys]\nk = [{keys}]\n[layouts.x]\nformat = \"apk\"\nuname = \"\"\npackages = []\n\n[[stream]]\n\
                 distro = \"{distro}\"\nrelease = \"1\"\narches = [\"x86_64\"]\narchive = \"a\"\n\
                 indices = []\nlayout = \"{layout}\"\nsigned = \"index\"\nkeys = \"k\"\n"
            )
        };
        let text = |keys: &str, layout: &str| named("a", keys, layout);
        let refused = |text: &str| Streams::parse(text).unwrap_err();
        assert_eq!(refused(&text("", "x")), "stream `a-1`: no keys `k`");
        assert_eq!(refused(&text("\"AB\"", "y")), "stream `a-1`: no layout `y`");
        assert_eq!(refused(&text("\"AB\"", "x")), "layout `x` has no image");
        let climbs = refused(&named("../../a", "\"AB\"", "x"));
        assert!(
            climbs.contains("not the name of a distribution"),
            "{climbs}"
        );
        assert!(refused("colour = 1").contains("colour"));
    }
}
