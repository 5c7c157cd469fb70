//! Pins the newest kernel of a stream of `kernels/streams.toml`.
//!
//! The chain of trust is the vendor's: a signature on the metadata, or one on each package. What
//! breaks it is an error, and so is metadata that is older, or shorter, than what the lock was made
//! from. Nothing is ever taken out of the lock.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use ukci_harness::catalogue::digest;
use ukci_harness::catalogue::http::{self, Client};
use ukci_harness::catalogue::mirror::Mirrors;
use ukci_harness::package_version;
use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, Package};

use crate::entry::{locked, refuse_other_times};
use crate::error::Error;
use crate::followed::{Format, Layout, Part, Signed, Stream, Streams};
use crate::keyring::Keyrings;
use crate::listing::{self, Digest, Entry, Listing};
use crate::rpm_signature;
use crate::{apkindex, deb_suite, pacman, repomd, uname};

/// Largest package that is read to be checked; Arch Linux's has 150 MB.
const MAX_PACKAGE: u64 = 1 << 30;
/// Largest signature.
const MAX_SIGNATURE: u64 = 64 << 10;
/// Longest `mirror.list`.
const MAX_MIRROR_LIST: u64 = 64 << 10;

/// What one mirror has of a stream.
struct Source<'a> {
    stream: &'a Stream,
    layout: &'a Layout,
    arch: Arch,
    keyrings: &'a Keyrings,
    fingerprints: &'a [String],
    client: &'a Client,
    root: &'a str,
}

/// A kernel of which every package is listed.
#[derive(Debug)]
struct Candidate<'a> {
    uname: String,
    parts: Vec<(&'a Part, &'a Entry)>,
}

impl Candidate<'_> {
    fn version(&self) -> String {
        self.parts
            .first()
            .map_or_else(String::new, |(_, entry)| entry.full_version())
    }
}

/// The newest kernel of a stream. `known` are the lock's pins of it, older ones too.
pub(crate) fn pin(
    streams: &Streams,
    stream: &Stream,
    arch: Arch,
    known: &[&LockedKernel],
    mirrors: &Mirrors,
    keyrings: &Keyrings,
) -> Result<LockedKernel, Error> {
    let (layout, fingerprints) = (streams.layout(stream), streams.fingerprints(stream));
    let keyrings = keyrings.with_fingerprints(fingerprints);
    let client = http::client();
    let mut best: Option<LockedKernel> = None;
    for index in &stream.indices {
        let index = index.replace("{arch}", arch.name());
        let newest = if layout.format == Format::Deb {
            deb_suite::newest(stream, layout, arch, &index, known, mirrors, &keyrings)?
        } else {
            let mut tried = Vec::new();
            let mut found = None;
            for root in mirrors.current(&stream.archive)? {
                let source = Source {
                    stream,
                    layout,
                    arch,
                    keyrings: &keyrings,
                    fingerprints,
                    client: &client,
                    root: &root,
                };
                match source.newest(&index, known) {
                    Ok(kernel) => {
                        found = Some(kernel);
                        break;
                    }
                    Err(Failure::Unreachable(reason)) => tried.push(reason),
                    Err(Failure::Fatal(error)) => return Err(error),
                }
            }
            found.ok_or(Error::Fetch {
                what: format!("the metadata of `{}`", stream.name()),
                tried,
            })?
        };
        if let Some(kernel) = newest
            && best
                .as_ref()
                .is_none_or(|best| package_version::is_older(best, &kernel))
        {
            best = Some(kernel);
        }
    }
    best.ok_or_else(|| Error::NoKernel {
        kernel: stream.name(),
        arch,
        suites: stream.indices.clone(),
    })
}

/// Why one mirror did not do.
enum Failure {
    /// It could not be reached or has not got the files: another one may.
    Unreachable(String),
    /// What it has must not be trusted.
    Fatal(Error),
}

impl Source<'_> {
    fn untrusted(&self, reason: &str) -> Failure {
        Failure::Fatal(Error::Untrusted {
            stream: self.stream.name(),
            reason: format!("{}: {reason}", self.root),
            keys: self.fingerprints.to_vec(),
        })
    }

    fn get(&self, path: &str, limit: u64) -> Result<Vec<u8>, Failure> {
        listing::get(self.client, self.root, path, limit).map_err(Failure::Unreachable)
    }

    fn newest(
        &self,
        index: &str,
        known: &[&LockedKernel],
    ) -> Result<Option<LockedKernel>, Failure> {
        let listing = self.list(index)?;
        let stream = self.stream;
        refuse_other_times(stream, index, &listing.date, known).map_err(Failure::Fatal)?;
        let candidates = candidates(stream, self.layout, self.arch, &listing.packages);
        refuse_shrunken(stream, index, &candidates, known).map_err(Failure::Fatal)?;
        for candidate in candidates.iter().rev() {
            let is_known = known.iter().any(|kernel| kernel.uname == candidate.uname);
            let mut packages = Vec::new();
            for (part, entry) in &candidate.parts {
                match self.package(entry, is_known)? {
                    Some((sha256, size)) => packages.push(Package {
                        roles: part.roles.clone(),
                        name: entry.name.clone(),
                        version: entry.full_version(),
                        archive: stream.archive.clone(),
                        path: entry.path.clone(),
                        size,
                        sha256,
                    }),
                    None => break,
                }
            }
            // A list can name files that have left the archive.
            if packages.len() == candidate.parts.len() {
                let uname = candidate.uname.clone();
                return Ok(locked(stream, self.arch, uname, packages, index, &listing));
            }
        }
        Ok(None)
    }

    /// The list of packages below `index`, its signature checked if it has one.
    fn list(&self, index: &str) -> Result<Listing, Failure> {
        let names: Vec<&str> = self
            .layout
            .packages
            .iter()
            .map(|part| part.name.as_str())
            .collect();
        let arch = self.arch.name();
        match self.layout.format {
            Format::RpmMd => {
                let base = self.base(index)?;
                let path = format!("{base}/repodata/repomd.xml");
                let repomd = self.get(&path, repomd::MAX_REPOMD)?;
                if self.stream.signed == Signed::Index {
                    let signature = self.get(&format!("{path}.asc"), MAX_SIGNATURE)?;
                    (self.keyrings.verify(&signature, &repomd))
                        .map_err(|reason| self.untrusted(&format!("{path}: {reason}")))?;
                }
                let get = |path: &str, limit| listing::get(self.client, self.root, path, limit);
                repomd::list(&repomd, &base, &names, arch, &get)
            }
            Format::Pacman => {
                let database = self.get(index, pacman::MAX_DATABASE)?;
                let base = index.rsplit_once('/').map_or("", |(base, _)| base);
                if self.stream.signed == Signed::Index {
                    let signature = self.get(&format!("{index}.sig"), MAX_SIGNATURE)?;
                    (self.keyrings.verify(&signature, &database))
                        .map_err(|reason| self.untrusted(&format!("{index}: {reason}")))?;
                }
                pacman::list(&database, base, &names)
            }
            Format::Apk => {
                let path = format!("{index}/APKINDEX.tar.gz");
                let bytes = self.get(&path, apkindex::MAX_INDEX)?;
                apkindex::list(&bytes, index, &names, &self.keyrings.rsa())
            }
            Format::Deb => Err("it is read elsewhere".to_owned()),
        }
        .map_err(|reason| self.untrusted(&reason))
    }

    /// The directory of the repository: `index`, or where the one line of its `mirror.list` leads.
    fn base(&self, index: &str) -> Result<String, Failure> {
        if !index.ends_with("/mirror.list") {
            return Ok(index.to_owned());
        }
        let text = self.get(index, MAX_MIRROR_LIST)?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().next().unwrap_or_default().trim();
        let base = line
            .strip_prefix(self.root)
            .and_then(|rest| listing::resolve("", rest.trim_matches('/')));
        base.ok_or_else(|| Failure::Unreachable(format!("{}/{index} leads to `{line}`", self.root)))
    }

    /// SHA-256 and size of a package that the vendor signed for; `None` if it is gone. A package
    /// of a kernel that is pinned already is not downloaded once more.
    fn package(&self, entry: &Entry, is_known: bool) -> Result<Option<(String, u64)>, Failure> {
        let by_index = self.stream.signed == Signed::Index || is_known;
        if let (Digest::Sha256(sha256), true) = (&entry.digest, by_index) {
            let url = format!("{}/{}", self.root, entry.path);
            let exists = http::exists(self.client, &url);
            let exists =
                exists.map_err(|reason| Failure::Unreachable(format!("{url}: {reason}")))?;
            return Ok(exists.then(|| (sha256.clone(), entry.size)));
        }
        let url = format!("{}/{}", self.root, entry.path);
        let bytes = match http::get_at_most(self.client, &url, MAX_PACKAGE) {
            Ok(http::Answer::Found(bytes)) => bytes,
            Ok(http::Answer::NotFound) => return Ok(None),
            Err(reason) => return Err(Failure::Unreachable(format!("{url}: {reason}"))),
        };
        let sha256 = digest::of(&bytes);
        let refuse = |reason: String| self.untrusted(&format!("{}: {reason}", entry.path));
        let is_listed = match &entry.digest {
            Digest::Sha256(listed) => *listed == sha256,
            Digest::Sha512(listed) => *listed == crate::digests::sha512(&bytes),
            Digest::ApkControl(sha1) => {
                apkindex::check(&bytes, sha1).map_err(refuse)?;
                true
            }
        };
        if !is_listed {
            return Err(refuse("it is not the file that is listed".to_owned()));
        }
        if self.stream.signed == Signed::Packages {
            if self.layout.format == Format::RpmMd {
                rpm_signature::verify(&bytes, self.keyrings).map_err(refuse)?;
            } else {
                let signature = self.get(&format!("{}.sig", entry.path), MAX_SIGNATURE)?;
                self.keyrings.verify(&signature, &bytes).map_err(refuse)?;
            }
        }
        Ok(Some((sha256, bytes.len() as u64)))
    }
}

/// The kernels that a list has whole, oldest first.
fn candidates<'a>(
    stream: &Stream,
    layout: &'a Layout,
    arch: Arch,
    packages: &'a [Entry],
) -> Vec<Candidate<'a>> {
    let Some(first) = layout.packages.first() else {
        return Vec::new();
    };
    let is_wanted = |entry: &&Entry| {
        let is_marked = stream.mark.is_empty() || entry.release.contains(&stream.mark);
        let series = uname::series(&entry.version);
        let is_of_series = stream.series.is_empty() || series.as_ref() == Some(&stream.series);
        entry.name == first.name && is_marked && is_of_series && series.is_some()
    };
    let mut found = Vec::new();
    for image in packages.iter().filter(is_wanted) {
        let same = |part: &Part| {
            packages.iter().find(|entry| {
                (&entry.name, &entry.version, &entry.release)
                    == (&part.name, &image.version, &image.release)
            })
        };
        let mut parts = Vec::new();
        for part in &layout.packages {
            match same(part) {
                Some(entry) => parts.push((part, entry)),
                None if part.optional => {}
                None => break,
            }
        }
        let needed = layout.packages.iter().filter(|part| !part.optional).count();
        if parts.iter().filter(|(part, _)| !part.optional).count() == needed {
            let uname = uname::of(&layout.uname, &image.version, &image.release, arch.name());
            found.push(Candidate { uname, parts });
        }
    }
    found.sort_by(|a, b| compare(&a.version(), &b.version()));
    found
}

fn compare(a: &str, b: &str) -> Ordering {
    rpm_version::rpm_evr_compare(a, b)
}

/// Refuses a list that lacks what it must still have: the newest pinned kernel or a newer one, and
/// every pinned kernel if the vendor keeps all.
fn refuse_shrunken(
    stream: &Stream,
    index: &str,
    candidates: &[Candidate<'_>],
    known: &[&LockedKernel],
) -> Result<(), Error> {
    let pinned = known
        .iter()
        .filter(|kernel| kernel.provenance.suite == index);
    let pinned: BTreeSet<&str> = pinned.map(|kernel| kernel.uname.as_str()).collect();
    let listed: BTreeSet<&str> = candidates
        .iter()
        .map(|kernel| kernel.uname.as_str())
        .collect();
    let newest = candidates.last();
    let is_newer = |uname: &str| newest.is_some_and(|newest| compare(&newest.uname, uname).is_gt());
    let missing: Vec<String> = pinned
        .difference(&listed)
        .filter(|uname| stream.keeps_all || !is_newer(uname))
        .map(|uname| (*uname).to_owned())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Error::Shrunken {
        stream: stream.name(),
        missing,
    })
}
