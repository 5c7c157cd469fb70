//! User kernels on a server: an address with the digest of the file there. The file is downloaded once,
//! is checked by its digest, and then lies in the cache as any other file.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER_PERMISSIVE;
use ukci_schema::lock::Package;

use super::fetch::Fetcher;
use super::own_place::PACKAGES;
use super::package::MAX_FILE;
use super::{Catalogue, Error, Progress};

/// What stands between an address and its digest, as pip and others write it.
const DIGEST: &str = "#sha256=";

/// A file on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// The address up to its last `/`, which is left out.
    pub(super) root: String,
    /// The rest of the address.
    pub(super) path: String,
    /// The last part of the address, without a query.
    pub(super) name: String,
    /// SHA-256, in lower case.
    pub(super) sha256: String,
}

impl Remote {
    /// What `text` means if it is an address; none for a path of this host.
    pub(super) fn parse(text: &Path) -> Option<Result<Self, Error>> {
        let text = text.to_str()?;
        let is_address = text.starts_with("https://") || text.starts_with("http://");
        is_address.then(|| Self::of_address(text))
    }

    fn of_address(text: &str) -> Result<Self, Error> {
        let refused = |reason: &str| Error::Address {
            address: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (address, sha256) = text
            .split_once(DIGEST)
            .ok_or_else(|| refused("it has no SHA-256"))?;
        let bytes = HEXLOWER_PERMISSIVE.decode(sha256.as_bytes());
        if !bytes.is_ok_and(|bytes| bytes.len() == 32) {
            return Err(refused("its SHA-256 does not have 64 hexadecimal digits"));
        }
        let no_file = || refused("it does not name a file");
        let (root, path) = address.rsplit_once('/').ok_or_else(no_file)?;
        let name = path.split(['?', '#']).next().unwrap_or_default();
        // `https:/` is what is left of an address that has only a host.
        if name.is_empty() || root.ends_with('/') {
            return Err(no_file());
        }
        Ok(Self {
            root: root.to_owned(),
            path: path.to_owned(),
            name: name.to_owned(),
            sha256: sha256.to_ascii_lowercase(),
        })
    }

    /// It as a package of unknown size.
    pub(super) fn package(&self) -> Package {
        Package {
            roles: Vec::new(),
            name: self.name.clone(),
            version: String::new(),
            archive: String::new(),
            path: self.path.clone(),
            size: 0,
            sha256: self.sha256.clone(),
        }
    }

    /// Its file name in the cache. What it is, is told by its ending.
    pub(super) fn file_name(&self) -> String {
        let mut endings = PACKAGES.iter();
        let ending = endings.find(|ending| self.name.ends_with(**ending));
        format!("{}{}", self.sha256, ending.unwrap_or(&".kernel"))
    }

    /// The address, without its digest.
    pub(super) fn address(&self) -> String {
        format!("{}/{}", self.root, self.path)
    }
}

impl Catalogue {
    /// Downloads the file of a user kernel, if it is an address such as
    /// `https://HOST/linux-image.deb#sha256=…` and the cache lacks it. Blocking.
    pub fn download(&self, file: &Path, progress: &(dyn Fn(Progress) + Sync)) -> Result<(), Error> {
        let Some(remote) = Remote::parse(file) else {
            return Ok(());
        };
        let fetcher = Fetcher::new(&self.store, &self.mirrors).at_most(MAX_FILE);
        fetcher.fetch_remote(&remote?, progress)
    }

    /// The name of a user kernel in reports.
    pub(crate) fn own_name(file: &Path) -> Result<String, Error> {
        if let Some(remote) = Remote::parse(file) {
            return Ok(remote?.name);
        }
        // `.` and `..` have no name of their own.
        let absolute = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let name = file.file_name().or_else(|| absolute.file_name());
        let name = name.unwrap_or(file.as_os_str());
        Ok(name.to_string_lossy().into_owned())
    }

    /// Where a file of a user kernel lies on this host.
    pub(crate) fn local<'p>(&self, file: &'p Path) -> Result<Cow<'p, Path>, Error> {
        match Remote::parse(file) {
            None => Ok(Cow::Borrowed(file)),
            Some(remote) => {
                let name = remote?.file_name();
                Ok(Cow::Owned(self.store.packages().join(name)))
            }
        }
    }

    /// The same for several files.
    pub(super) fn all_local(&self, files: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
        let local = |file: &PathBuf| Ok(self.local(file)?.into_owned());
        files.iter().map(local).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_a_file_and_its_digest() {
        let digest = "ab".repeat(32);
        let parse = |text: &str| Remote::parse(Path::new(text));
        assert!(parse("./bzImage").is_none());
        assert!(parse("/https://x/y").is_none());
        let text = format!(
            "https://h/a/linux.deb?token=1#sha256={}",
            digest.to_uppercase()
        );
        let remote = parse(&text).unwrap().unwrap();
        assert_eq!(remote.name, "linux.deb");
        assert_eq!(remote.address(), "https://h/a/linux.deb?token=1");
        assert_eq!(remote.file_name(), format!("{digest}.deb"));
        for (text, reason) in [
            ("https://h/bzImage".to_owned(), "has no SHA-256"),
            ("https://h/bzImage#sha256=".to_owned(), "64 hexadecimal"),
            (
                format!("https://h/bzImage#sha256={}", &digest[1..]),
                "64 hexadecimal",
            ),
            (
                format!("https://h/bzImage#sha256=x{}", &digest[1..]),
                "64 hexadecimal",
            ),
            (format!("https://h/#sha256={digest}"), "not name a file"),
            (format!("https://h#sha256={digest}"), "not name a file"),
        ] {
            let error = parse(&text).unwrap().unwrap_err();
            assert!(error.to_string().contains(reason), "{text}: {error}");
            assert!(error.hint().is_some());
        }
    }
}
