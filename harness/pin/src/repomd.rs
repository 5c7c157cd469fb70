//! RPM repositories: `repomd.xml` names `primary.xml`, which lists the packages.

use std::io::BufReader;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use ukci_harness::catalogue::digest;

use crate::listing::{self, Digest, Entry, Listing};

/// Largest `repomd.xml`; Fedora's has 5 kB.
pub(crate) const MAX_REPOMD: u64 = 1 << 20;
/// Largest `primary.xml` as it is compressed.
const MAX_PRIMARY: u64 = 256 << 20;

/// What `repomd.xml` says of `primary.xml`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Primary {
    href: String,
    sha256: String,
    sha512: String,
    seconds: u64,
}

/// Downloads a file of at most so many bytes.
pub(crate) type Get<'a> = dyn Fn(&str, u64) -> Result<Vec<u8>, String> + 'a;

/// The packages of these names that the repository at `base` below a mirror's root lists.
/// `repomd` has been verified, or the packages will be.
pub(crate) fn list(
    repomd: &[u8],
    base: &str,
    names: &[&str],
    arch: &str,
    get: &Get<'_>,
) -> Result<Listing, String> {
    let primary = primary(repomd)?;
    let path = listing::resolve(base, &primary.href)
        .ok_or_else(|| format!("`repomd.xml` points to `{}`", primary.href))?;
    let bytes = get(&path, MAX_PRIMARY)?;
    let is_signed = if primary.sha256.is_empty() {
        !primary.sha512.is_empty() && crate::digests::sha512(&bytes) == primary.sha512
    } else {
        digest::of(&bytes) == primary.sha256
    };
    if !is_signed {
        return Err(format!("`{path}` is not the file that `repomd.xml` names"));
    }
    let packages = packages(&path, &bytes, base, names, arch)?;
    Ok(Listing {
        packages,
        date: listing::day(primary.seconds),
        root: digest::of(repomd),
    })
}

fn broken(what: &str, error: &dyn std::fmt::Display) -> String {
    format!("`{what}` is not well-formed: {error}")
}

/// An attribute's value.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = tag.try_get_attribute(name).ok()??;
    let value = std::str::from_utf8(&found.value).ok()?;
    quick_xml::escape::unescape(value)
        .ok()
        .map(std::borrow::Cow::into_owned)
}

/// Finds the entry of `primary.xml`, which is the only one of its type.
fn primary(repomd: &[u8]) -> Result<Primary, String> {
    const NAME: &str = "repomd.xml";
    let mut reader = Reader::from_reader(repomd);
    let (mut found, mut revision) = (None::<Primary>, 0);
    let (mut within, mut field) = (None::<Primary>, String::new());
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Err(error) => return Err(broken(NAME, &error)),
            Ok(Event::Eof) => break,
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
                match (name.as_str(), &mut within) {
                    ("data", _) if attribute(&tag, "type").as_deref() == Some("primary") => {
                        within = Some(Primary::default());
                    }
                    ("location", Some(primary)) => {
                        primary.href = attribute(&tag, "href").unwrap_or_default();
                    }
                    ("checksum", Some(_)) => {
                        field = format!("checksum {}", attribute(&tag, "type").unwrap_or_default());
                        continue;
                    }
                    _ => {}
                }
                field = name;
            }
            Ok(Event::Text(text)) => {
                let text = text.decode().map_err(|error| broken(NAME, &error))?;
                let text = text.trim();
                match (field.as_str(), &mut within) {
                    ("revision", _) => revision = text.parse().unwrap_or(0),
                    ("checksum sha256", Some(primary)) => text.clone_into(&mut primary.sha256),
                    ("checksum sha512", Some(primary)) => text.clone_into(&mut primary.sha512),
                    ("timestamp", Some(primary)) => primary.seconds = text.parse().unwrap_or(0),
                    _ => {}
                }
            }
            Ok(Event::End(tag)) => {
                field.clear();
                if tag.local_name().as_ref() == b"data"
                    && let Some(primary) = within.take()
                    && found.replace(primary).is_some()
                {
                    return Err("`repomd.xml` names two lists".to_owned());
                }
            }
            Ok(_) => {}
        }
    }
    let mut primary = found.ok_or("`repomd.xml` names no list")?;
    // The revision is a moment unless the vendor chose a number of its own.
    if revision > 1_000_000_000 {
        primary.seconds = primary.seconds.max(revision);
    }
    Ok(primary)
}

/// The packages of `primary.xml` with these names, for this architecture.
pub(crate) fn packages(
    path: &str,
    bytes: &[u8],
    base: &str,
    names: &[&str],
    arch: &str,
) -> Result<Vec<Entry>, String> {
    let unpacked = listing::unpacked(path, bytes)?;
    let mut reader = Reader::from_reader(BufReader::new(unpacked));
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    let mut package = Package::default();
    let mut field = String::new();
    // Below `<format>` stand names of other packages and of files.
    let mut depth = 0_usize;
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer) {
            Err(error) => return Err(broken(path, &error)),
            Ok(Event::Eof) => break,
            Ok(Event::Start(tag)) => {
                depth += 1;
                if depth == 3 {
                    field = package.start(&tag);
                } else {
                    field.clear();
                }
            }
            Ok(Event::Empty(tag)) => {
                if depth == 2 {
                    package.start(&tag);
                }
            }
            Ok(Event::Text(text)) if !field.is_empty() => {
                let text = text.decode().map_err(|error| broken(path, &error))?;
                package.text(&field, text.trim());
            }
            Ok(Event::End(_)) => {
                field.clear();
                depth = depth.saturating_sub(1);
                if depth == 1 {
                    let package = std::mem::take(&mut package);
                    if names.contains(&package.name.as_str()) && package.arch == arch {
                        found.push(package.entry(base)?);
                    }
                }
            }
            Ok(_) => {}
        }
    }
    if depth > 0 {
        return Err(format!("`{path}` is cut short"));
    }
    Ok(found)
}

/// A `<package>` that is being read.
#[derive(Debug, Default)]
struct Package {
    name: String,
    arch: String,
    version: String,
    release: String,
    href: String,
    size: u64,
    sha256: String,
    sha512: String,
}

impl Package {
    /// Takes what an element's attributes say, and returns where its text belongs.
    fn start(&mut self, tag: &BytesStart<'_>) -> String {
        let of = |name: &str| attribute(tag, name).unwrap_or_default();
        match tag.local_name().as_ref() {
            b"name" => "name".to_owned(),
            b"arch" => "arch".to_owned(),
            b"checksum" => of("type"),
            b"version" => {
                (self.version, self.release) = (of("ver"), of("rel"));
                String::new()
            }
            b"size" => {
                self.size = of("package").parse().unwrap_or(0);
                String::new()
            }
            b"location" => {
                self.href = of("href");
                String::new()
            }
            _ => String::new(),
        }
    }

    fn text(&mut self, field: &str, text: &str) {
        let to = match field {
            "name" => &mut self.name,
            "arch" => &mut self.arch,
            "sha256" => &mut self.sha256,
            "sha512" => &mut self.sha512,
            _ => return,
        };
        text.clone_into(to);
    }

    fn entry(self, base: &str) -> Result<Entry, String> {
        let what = format!("{}-{}-{}", self.name, self.version, self.release);
        let path = listing::resolve(base, &self.href)
            .ok_or_else(|| format!("`{what}` is listed at `{}`", self.href))?;
        let digest = if listing::is_hex(&self.sha256, 64) {
            Digest::Sha256(self.sha256)
        } else if listing::is_hex(&self.sha512, 128) {
            Digest::Sha512(self.sha512)
        } else {
            return Err(format!("`{what}` is listed without a digest"));
        };
        Ok(Entry {
            name: self.name,
            version: self.version,
            release: self.release,
            path,
            size: self.size,
            digest,
        })
    }
}
