//! A suite's index of packages, trusted through its signature: the keyring vouches for
//! `InRelease`, which names the digest of `Packages.xz`, which names those of the packages.

use std::collections::BTreeMap;
use std::io::Read;
use std::time::{Duration, SystemTime};

use ukci_harness::catalogue::digest;
use ukci_harness::catalogue::http::{self, Answer};
use ukci_harness::catalogue::mirror::Mirrors;

use crate::error::Error;
use crate::keyring::Keyrings;

/// Largest index when unpacked; sid's `Packages` has 58 MB.
const MAX_PACKAGES: u64 = 512 << 20;

/// A suite's index, and where it comes from.
#[derive(Debug)]
pub(crate) struct Index {
    /// The wanted packages among those of the suite.
    pub(crate) packages: Vec<Listed>,
    /// Day of the signature, `YYYY-MM-DD`.
    pub(crate) date: String,
    /// SHA-256 of the `InRelease` file.
    pub(crate) inrelease: String,
}

/// One package of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

/// Which index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suite<'a> {
    pub(crate) archive: &'a str,
    pub(crate) name: &'a str,
    /// As Debian calls it: `amd64`.
    pub(crate) arch: &'a str,
    /// How the names of the wanted packages begin.
    pub(crate) wanted: &'a str,
}

/// The suite's index from the first mirror that has one that can be trusted.
pub(crate) fn open(
    suite: Suite<'_>,
    mirrors: &Mirrors,
    keyrings: &Keyrings,
) -> Result<Index, Error> {
    let client = http::client();
    let (mut unreachable, mut inconsistent) = (Vec::new(), Vec::new());
    let mut distrusted: Vec<(Distrust, String)> = Vec::new();
    for root in mirrors.current(suite.archive)? {
        let get = |path: &str| {
            let url = format!("{root}/dists/{}/{path}", suite.name);
            match http::get(&client, &url) {
                Ok(Answer::Found(bytes)) => Ok(bytes),
                Ok(Answer::NotFound) => Err(format!("{url}: not found")),
                Err(reason) => Err(format!("{url}: {reason}")),
            }
        };
        let inrelease = match get("InRelease") {
            Ok(inrelease) => inrelease,
            Err(reason) => {
                unreachable.push(reason);
                continue;
            }
        };
        let text = match trust(suite, &inrelease, keyrings, SystemTime::now()) {
            Ok(text) => text,
            Err((kind, reason)) => {
                distrusted.push((kind, format!("{root}: {reason}")));
                continue;
            }
        };
        match read(suite, &Release::parse(&text), digest::of(&inrelease), &get) {
            Ok(index) => return Ok(index),
            Err(reason) => inconsistent.push(format!("{root}: {reason}")),
        }
    }
    let name = suite.name.to_owned();
    if !inconsistent.is_empty() {
        // The mirror whose signature held came nearest.
        return Err(Error::Inconsistent {
            suite: name,
            reason: inconsistent.join("; "),
        });
    }
    // Of several kinds of distrust, the one that came nearest to trust.
    let Some(kind) = distrusted.iter().map(|(kind, _)| *kind).max() else {
        return Err(Error::Fetch {
            what: format!("the index of {name}"),
            tried: unreachable,
        });
    };
    let reasons: Vec<String> = (distrusted.into_iter())
        .filter(|(other, _)| *other == kind)
        .map(|(_, reason)| reason)
        .collect();
    let (suite, reason) = (name, reasons.join("; "));
    Err(match kind {
        Distrust::Signature => Error::Index { suite, reason },
        Distrust::Future => Error::Future { suite, reason },
        Distrust::Expired => Error::Expired { suite, reason },
    })
}

/// Why a `Release` file is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Distrust {
    /// No key of Debian's signed it, or it is another suite's.
    Signature,
    /// It was signed later than now.
    Future,
    /// Its `Valid-Until` has passed.
    Expired,
}

/// How far the clocks of this host and of the archive may differ.
const CLOCK_SKEW: Duration = Duration::from_hours(1);

/// The text of a signed `Release` file of this suite that holds `now`.
fn trust(
    suite: Suite<'_>,
    inrelease: &[u8],
    keyrings: &Keyrings,
    now: SystemTime,
) -> Result<String, (Distrust, String)> {
    let distrusted = |reason| (Distrust::Signature, reason);
    let text = keyrings.verified_text(inrelease).map_err(distrusted)?;
    let release = Release::parse(&text);
    // A signed index of another suite, put in this one's place, is still signed.
    let (called, codename) = (release.field("Suite"), release.field("Codename"));
    if suite.name != called && suite.name != codename {
        return Err(distrusted(format!(
            "it is the index of {codename} ({called})"
        )));
    }
    let (signed, until) = (release.field("Date"), release.field("Valid-Until"));
    let unreadable = |field: &str, date: &str| distrusted(format!("its {field} is `{date}`"));
    let date = moment(signed).ok_or_else(|| unreadable("Date", signed))?;
    if date > now + CLOCK_SKEW {
        return Err((Distrust::Future, format!("it was signed on {signed}")));
    }
    // Suites that seldom change, such as a stable release, have no such field.
    if !until.is_empty() {
        let until_date = moment(until).ok_or_else(|| unreadable("Valid-Until", until))?;
        if until_date + CLOCK_SKEW < now {
            return Err((Distrust::Expired, format!("it was valid until {until}")));
        }
    }
    Ok(text)
}

/// The index that a trusted `Release` file names; `inrelease` is its digest.
fn read(
    suite: Suite<'_>,
    release: &Release<'_>,
    inrelease: String,
    get: &dyn Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Index, String> {
    let name = format!("main/binary-{}/Packages.xz", suite.arch);
    let (sha256, size) = release
        .digests
        .get(&name)
        .ok_or_else(|| format!("it names no `{name}`"))?;
    let path = if release.field("Acquire-By-Hash") == "yes" {
        // Under this name it stays for a while when the suite changes beneath us.
        format!("main/binary-{}/by-hash/SHA256/{sha256}", suite.arch)
    } else {
        name.clone()
    };
    // Not every mirror keeps what it is asked for by digest; the digest decides in either case.
    let compressed = get(&path).or_else(|_| get(&name))?;
    if compressed.len() as u64 != *size || digest::of(&compressed) != *sha256 {
        return Err(format!("`{name}` is not the file that was signed"));
    }
    let mut packages = String::new();
    liblzma::read::XzDecoder::new(compressed.as_slice())
        .take(MAX_PACKAGES)
        .read_to_string(&mut packages)
        .map_err(|error| format!("`{name}` is damaged: {error}"))?;
    Ok(Index {
        packages: (packages.split("\n\n"))
            .filter_map(|paragraph| listed(paragraph, suite.wanted))
            .collect(),
        date: day(release.field("Date")).ok_or("it has no date")?,
        inrelease,
    })
}

/// The fields of a `Release` file.
struct Release<'a> {
    fields: BTreeMap<&'a str, &'a str>,
    /// SHA-256 and size by name.
    digests: BTreeMap<String, (String, u64)>,
}

impl<'a> Release<'a> {
    fn parse(text: &'a str) -> Self {
        let (mut fields, mut digests) = (BTreeMap::new(), BTreeMap::new());
        let mut current = "";
        for line in text.lines() {
            if line.starts_with(' ') {
                let mut words = line.split_ascii_whitespace();
                if let ("SHA256", Some(sha256), Some(size), Some(name)) =
                    (current, words.next(), words.next(), words.next())
                {
                    let size = size.parse().unwrap_or(u64::MAX);
                    digests.insert(name.to_owned(), (sha256.to_owned(), size));
                }
            } else if let Some((name, value)) = line.split_once(':') {
                current = name;
                fields.insert(name, value.trim());
            }
        }
        Self { fields, digests }
    }

    fn field(&self, name: &str) -> &'a str {
        self.fields.get(name).copied().unwrap_or_default()
    }
}

/// How the names of the packages begin that kernels are made of.
pub(crate) const KERNELS: &str = "linux-";

/// A paragraph of `Packages`, if it is a package whose name begins as wanted.
fn listed(paragraph: &str, wanted: &str) -> Option<Listed> {
    let name = paragraph.trim_start().strip_prefix("Package: ")?;
    if !name.starts_with(wanted) {
        return None;
    }
    let field = |name: &str| {
        paragraph
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let path = field("Filename")?;
    let sha256 = field("SHA256")?;
    let sound = path.starts_with("pool/")
        && !path.split('/').any(|part| part == "..")
        && sha256.len() == 64
        && sha256
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    sound.then_some(Listed {
        name: field("Package")?.to_owned(),
        version: field("Version")?.to_owned(),
        path: path.to_owned(),
        size: field("Size")?.parse().ok()?,
        sha256: sha256.to_owned(),
    })
}

/// The packages that a text of each kind lists: `Release`, for this architecture, and `Packages`.
#[cfg(feature = "fuzzing")]
pub(crate) fn listed_in(release: &str, packages: &str, wanted: &str) -> Vec<Listed> {
    let parsed = Release::parse(release);
    for field in ["Date", "Valid-Until"] {
        let _ = day(parsed.field(field));
    }
    packages
        .split("\n\n")
        .filter_map(|paragraph| listed(paragraph, wanted))
        .collect()
}

/// The moment of a date like `Sat, 21 Nov 2026 02:18:21 UTC`.
fn moment(date: &str) -> Option<SystemTime> {
    // The same format as HTTP's but for the name of the zone.
    httpdate::parse_http_date(&date.replace("UTC", "GMT")).ok()
}

/// The day of such a date, `YYYY-MM-DD`.
fn day(date: &str) -> Option<String> {
    let moment = humantime::format_rfc3339_seconds(moment(date)?).to_string();
    moment.get(..10).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_file_is_read() {
        let text = "Suite: oldstable-security\r\nCodename: bookworm-security\r\n\
                    Date: Sat, 07 Nov 2026 02:18:21 UTC\r\nMD5Sum:\r\n ab 7 main/x\r\n\
                    SHA256:\r\n cd 8 main/x\r\n";
        let release = Release::parse(text);
        assert_eq!(release.field("Codename"), "bookworm-security");
        assert_eq!(release.digests["main/x"], ("cd".to_owned(), 8));
        assert_eq!(day(release.field("Date")).unwrap(), "2026-11-07");
        assert_eq!(day("Sat, 07 Foo 2026"), None);
        assert_eq!(day("Sat, 07 Nov 2026 02:18:21 +0100"), None);
    }

    #[test]
    fn paragraphs_that_point_elsewhere_are_left_out() {
        let paragraph = |path: &str, sha256: &str| {
            format!(
                "Package: linux-image-1\nVersion: 1-1\nFilename: {path}\nSize: 5\nSHA256: {sha256}"
            )
        };
        let sha256 = "0123456789abcdef".repeat(4);
        assert_eq!(
            listed(&paragraph("pool/a.deb", &sha256), KERNELS)
                .unwrap()
                .size,
            5
        );
        assert_eq!(
            listed(&paragraph("pool/../../a.deb", &sha256), KERNELS),
            None
        );
        assert_eq!(listed(&paragraph("/etc/passwd", &sha256), KERNELS), None);
        assert_eq!(listed(&paragraph("pool/a.deb", "../../x"), KERNELS), None);
        assert_eq!(listed("Package: bash\nVersion: 1", KERNELS), None);
    }
}
