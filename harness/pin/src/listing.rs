//! What the metadata of a repository lists, whatever its format, and how it is downloaded.

use std::io::Read;
use std::time::{Duration, SystemTime};

use ukci_harness::catalogue::http::{self, Answer, Client};

/// Largest list when unpacked; Fedora's `primary.xml` has 200 MB.
const MAX_LIST: u64 = 1 << 30;

/// A repository's list of packages.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The wanted packages.
    pub(crate) packages: Vec<Entry>,
    /// Day of the metadata, `YYYY-MM-DD`.
    pub(crate) date: String,
    /// SHA-256 of the file that was signed, or of the root of the list where packages are.
    pub(crate) root: String,
}

/// A package of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Empty where the format has none apart from the version.
    pub(crate) release: String,
    /// Below the root of the archive.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
}

impl Entry {
    /// Version and release, as the lock has them.
    pub(crate) fn full_version(&self) -> String {
        if self.release.is_empty() {
            self.version.clone()
        } else {
            format!("{}-{}", self.version, self.release)
        }
    }
}

/// What the list says of a package's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    /// SHA-256 of the file, hex.
    Sha256(String),
    /// SHA-512 of the file, hex: the file must be read to pin it.
    Sha512(String),
    /// SHA-1 of an apk's control segment, which has the SHA-256 of its data.
    ApkControl(Vec<u8>),
}

/// Whether `text` is a digest of so many hexadecimal digits.
pub(crate) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A file of at most `limit` bytes below a mirror's root.
pub(crate) fn get(client: &Client, root: &str, path: &str, limit: u64) -> Result<Vec<u8>, String> {
    let url = format!("{root}/{path}");
    match http::get_at_most(client, &url, limit) {
        Ok(Answer::Found(bytes)) => Ok(bytes),
        Ok(Answer::NotFound) => Err(format!("{url}: not found")),
        Err(reason) => Err(format!("{url}: {reason}")),
    }
}

/// The path of `href` as seen from the directory `base`; `None` if it leaves the archive.
pub(crate) fn resolve(base: &str, href: &str) -> Option<String> {
    if href.contains("://") || href.starts_with('/') || href.contains(['?', '#', '\\']) {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(href.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// A reader of a list by the ending of its name, which ends in an error where more comes than any
/// list has.
pub(crate) fn unpacked<'a>(name: &str, bytes: &'a [u8]) -> Result<Box<dyn Read + 'a>, String> {
    let damaged = |error: std::io::Error| format!("`{name}` is damaged: {error}");
    let reader: Box<dyn Read + 'a> = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(bytes)),
        Some("xz") => {
            let stream = liblzma::stream::Stream::new_stream_decoder(256 << 20, 0)
                .map_err(|error| damaged(error.into()))?;
            Box::new(liblzma::read::XzDecoder::new_stream(bytes, stream))
        }
        Some("zst") => Box::new(zstd::Decoder::new(bytes).map_err(damaged)?),
        _ => Box::new(bytes),
    };
    Ok(Box::new(Limited(reader, MAX_LIST)))
}

/// A reader of at most so many bytes.
struct Limited<R>(R, u64);

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.0.read(buffer)?;
        let left = self.1.checked_sub(read as u64);
        self.1 = left.ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::FileTooLarge,
                "it unpacks to more than 1 GiB",
            )
        })?;
        Ok(read)
    }
}

/// The day of a moment in seconds since 1970.
pub(crate) fn day(seconds: u64) -> String {
    let moment = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40));
    let text = humantime::format_rfc3339_seconds(moment).to_string();
    text.get(..10).unwrap_or_default().to_owned()
}

/// This day.
pub(crate) fn today() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    day(now.map_or(0, |now| now.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_below_the_root() {
        for (base, href, path) in [
            (
                "9/BaseOS/os",
                "Packages/k.rpm",
                Some("9/BaseOS/os/Packages/k.rpm"),
            ),
            (
                "al/core/guids/g/x",
                "../../../../blob/k.rpm",
                Some("al/blob/k.rpm"),
            ),
            ("a", "../../etc/passwd", None),
            ("a", "http://elsewhere/k.rpm", None),
            ("a", "/k.rpm", None),
            ("a", "./k.rpm", Some("a/k.rpm")),
        ] {
            assert_eq!(resolve(base, href).as_deref(), path, "{base} {href}");
        }
    }

    #[test]
    fn a_list_made_to_fill_the_memory_is_refused() {
        let zeros = std::io::repeat(0).take(MAX_LIST + 2);
        let bomb = zstd::encode_all(zeros, 1).unwrap();
        let mut reader = unpacked("primary.xml.zst", &bomb).unwrap();
        let error = std::io::copy(&mut reader, &mut std::io::sink()).unwrap_err();
        assert_eq!(error.to_string(), "it unpacks to more than 1 GiB");
    }
}
