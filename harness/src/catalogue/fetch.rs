//! Downloads packages: each comes from the first mirror that has it, is resumed if it was
//! interrupted, is checked by SHA-256 while it streams, and is renamed into place if it is the
//! right one.
//!
//! The digest decides, so it does not matter which mirror answered or whether the connection used
//! TLS. A file that differs from the lock is kept aside and named in the error, and is fetched once
//! more from the next mirror. What Nix has fetched is not fetched again.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Instant;

use ukci_schema::lock::{LockedKernel, Package};

use super::Progress;
use super::error::Error;
use super::http;
use super::mirror::{self, Mirrors};
use super::remote::Remote;
use super::store::Store;
use super::transfer::{MAX_UNKNOWN, Transfer, is_intact, keep_aside, take_from_nix_store};
use crate::atomic_file;
use crate::threads;

/// Packages that come at once, over all kernels of this process.
const AT_ONCE: usize = 4;

/// How often a mirror that breaks off is asked for the rest.
const RESUMES: usize = 3;

static SLOTS: Slots = Slots {
    used: Mutex::new(0),
    freed: Condvar::new(),
};

/// Fetches the packages of kernels into a store.
#[derive(Debug)]
pub(crate) struct Fetcher<'a> {
    store: &'a Store,
    mirrors: &'a Mirrors,
    client: ureq::Agent,
    /// Largest file whose size is not known before.
    largest: u64,
}

/// Why one mirror did not do.
enum Failure {
    /// It has not got the file.
    NotFound,
    /// It could not be reached, or broke off.
    Mirror(String),
    /// All bytes came, and they are not those of the lock.
    Wrong { kept: PathBuf, found: String },
    /// This host's fault: no other mirror will do better.
    Local(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

impl<'a> Fetcher<'a> {
    pub(crate) fn new(store: &'a Store, mirrors: &'a Mirrors) -> Self {
        Self {
            store,
            mirrors,
            client: http::client(),
            largest: MAX_UNKNOWN,
        }
    }

    /// The same for files of at most so many bytes, unless their size is known.
    pub(super) fn at_most(self, largest: u64) -> Self {
        Self { largest, ..self }
    }

    /// As many bytes as a package can have.
    fn most(&self, package: &Package) -> u64 {
        match package.size {
            0 => self.largest,
            size => size,
        }
    }

    /// Fetches a file that has one address, unless the cache has it.
    pub(super) fn fetch_remote(
        &self,
        remote: &Remote,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), Error> {
        let package = remote.package();
        let dir = self.store.packages();
        let path = dir.join(remote.file_name());
        if is_intact(&path, &package)? {
            return Ok(());
        }
        let waiting = || {
            progress(Progress::Waiting {
                what: remote.name.clone(),
            });
        };
        let _lock = self.store.lock(&remote.sha256, &waiting)?;
        if is_intact(&path, &package)? {
            return Ok(());
        }
        fs::create_dir_all(&dir).map_err(Error::on("create", &dir))?;
        let address = mirror::without_password(&remote.address());
        let failed = |reason: String| Error::Download {
            address: address.clone(),
            reason,
        };
        match self.transfer(&remote.root, &package, &path, progress) {
            Ok(()) => {
                progress(Progress::Fetched {
                    package: package.name,
                });
                Ok(())
            }
            Err(Failure::NotFound) => Err(failed("not found".to_owned())),
            Err(Failure::Mirror(reason)) => Err(failed(reason)),
            Err(Failure::Wrong { kept, found }) => Err(Error::OtherFile {
                address: address.clone(),
                expected: remote.sha256.clone(),
                found,
                kept,
            }),
            Err(Failure::Local(error)) => Err(error),
        }
    }

    /// The kernel's packages as verified files, in the order of the lock.
    pub(crate) fn fetch_all(
        &self,
        kernel: &LockedKernel,
        progress: &(dyn Fn(Progress) + Sync),
        warnings: &mut Vec<String>,
    ) -> Result<Vec<PathBuf>, Error> {
        let packages = &kernel.packages;
        let fetched = threads::for_each(packages.len(), packages, |package| {
            let _slot = SLOTS.take();
            self.fetch(package, &kernel.provenance.date, progress)
        });
        let mut paths = Vec::new();
        for one in fetched {
            let (path, said) = one?;
            paths.push(path);
            warnings.extend(said);
        }
        Ok(paths)
    }

    /// One package and what is to be said about it.
    pub(crate) fn fetch(
        &self,
        package: &Package,
        date: &str,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(PathBuf, Vec<String>), Error> {
        let dir = self.store.packages();
        let path = dir.join(format!("{}.{}", package.sha256, ending(&package.path)));
        let mut warnings = Vec::new();
        // A package in a store that cannot be written is as good as any.
        if is_intact(&path, package)? {
            progress(Progress::Fetched {
                package: package.name.clone(),
            });
            return Ok((path, warnings));
        }
        let waiting = || {
            progress(Progress::Waiting {
                what: package.name.clone(),
            });
        };
        let _lock = self.store.lock(&package.sha256, &waiting)?;
        fs::create_dir_all(&dir).map_err(Error::on("create", &dir))?;
        if path.exists() {
            if is_intact(&path, package)? {
                progress(Progress::Fetched {
                    package: package.name.clone(),
                });
                return Ok((path, warnings));
            }
            let kept = keep_aside(&path, &path)?;
            warnings.push(format!(
                "`{}` in the cache was damaged: kept as `{}`, fetched again",
                package.name,
                kept.display()
            ));
        }
        if take_from_nix_store(package, &path)? {
            progress(Progress::Fetched {
                package: package.name.clone(),
            });
            return Ok((path, warnings));
        }
        let mut tried = Vec::new();
        let mut wrong: Vec<(PathBuf, String)> = Vec::new();
        let mut gone = false;
        let mut roots = VecDeque::from(self.mirrors.roots(&package.archive, date)?);
        while let Some(root) = roots.pop_front() {
            let url = format!("{root}/{}", package.path);
            match self.transfer(&root, package, &path, progress) {
                Ok(()) => {
                    for (kept, found) in &wrong {
                        warnings.push(format!(
                            "`{}` arrived damaged ({found}): kept as `{}`, fetched again",
                            package.name,
                            kept.display()
                        ));
                    }
                    progress(Progress::Fetched {
                        package: package.name.clone(),
                    });
                    return Ok((path, warnings));
                }
                Err(Failure::NotFound) => {
                    gone = true;
                    tried.push(format!("{url}: not found"));
                }
                Err(Failure::Mirror(reason)) => tried.push(format!("{url}: {reason}")),
                Err(Failure::Wrong { kept, found }) => {
                    wrong.push((kept, found));
                    if wrong.len() == 2 {
                        break;
                    }
                    // It may have been the way here: once more, if no other mirror has it.
                    roots.push_back(root);
                }
                Err(Failure::Local(error)) => return Err(error),
            }
        }
        if let Some((_, found)) = wrong.last().cloned() {
            return Err(Error::Corrupt {
                package: package.name.clone(),
                archive: package.archive.clone(),
                expected: package.sha256.clone(),
                found,
                kept: wrong.into_iter().map(|(kept, _)| kept).collect(),
            });
        }
        if gone {
            return Err(Error::Gone {
                package: package.name.clone(),
                archive: package.archive.clone(),
                version: package.version.clone(),
                tried,
            });
        }
        Err(Error::Fetch {
            what: format!("`{}`", package.name),
            archive: package.archive.clone(),
            tried,
        })
    }

    /// The package from one mirror, into place.
    fn transfer(
        &self,
        root: &str,
        package: &Package,
        path: &Path,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<(), Failure> {
        let part = path.with_extension(format!("{}.part", ending(&package.path)));
        let mut broke_off = String::new();
        for _ in 0..=RESUMES {
            let mut transfer = Transfer::resume(&part, self.most(package))?;
            match self.receive(root, &mut transfer, package, progress)? {
                End::Complete => {
                    let found = transfer.hasher.finish();
                    if found == package.sha256 {
                        transfer
                            .file
                            .sync_all()
                            .map_err(Error::on("write", &part))?;
                        atomic_file::rename(&part, path).map_err(Error::on("rename", &part))?;
                        return Ok(());
                    }
                    let kept = keep_aside(&part, path)?;
                    return Err(Failure::Wrong {
                        kept,
                        found: format!("SHA-256 {found}"),
                    });
                }
                // Nothing is kept of what may have no end.
                End::TooLarge(_) if package.size == 0 => {
                    transfer.restart()?;
                    let reason = format!("it has more than {} bytes", self.largest);
                    return Err(Failure::Mirror(reason));
                }
                End::WrongSize(size) | End::TooLarge(size) => {
                    let kept = keep_aside(&part, path)?;
                    let found = format!("{size} bytes instead of {}", package.size);
                    return Err(Failure::Wrong { kept, found });
                }
                End::BrokeOff(reason) => broke_off = reason,
            }
        }
        Err(Failure::Mirror(format!("broke off: {broke_off}")))
    }

    /// One request: the rest of the file, or all of it where the mirror knows no ranges.
    fn receive(
        &self,
        root: &str,
        transfer: &mut Transfer<'_>,
        package: &Package,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<End, Failure> {
        let have = transfer.have;
        if package.size > 0 && have == package.size {
            return Ok(End::Complete);
        }
        let mut request = self.client.get(format!("{root}/{}", package.path));
        if have > 0 {
            request = request.header("Range", format!("bytes={have}-"));
        }
        let response = request
            .call()
            .map_err(|error| Failure::Mirror(error.to_string()))?;
        let length = response.body().content_length();
        let total = match response.status().as_u16() {
            200 => {
                transfer.restart()?;
                length
            }
            206 if http::is_from(response.headers(), have) => length.map(|length| have + length),
            // The mirror's file ends before ours, or it counts otherwise: from the beginning.
            206 | 416 => {
                transfer.restart()?;
                return Ok(End::BrokeOff("it does not resume".to_owned()));
            }
            404 | 410 => return Err(Failure::NotFound),
            status => return Err(Failure::Mirror(format!("HTTP status {status}"))),
        };
        let mut body = http::Paced::new(response.into_body().into_reader(), Instant::now);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    transfer.write(&buffer[..read])?;
                    if transfer.have > self.most(package) {
                        return Ok(End::TooLarge(total.unwrap_or(transfer.have)));
                    }
                    progress(Progress::Fetching {
                        package: package.name.clone(),
                        from: mirror::without_password(root),
                        done: transfer.have,
                        total: total.unwrap_or(package.size),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Ok(End::BrokeOff(error.to_string())),
            }
        }
        Ok(match total {
            _ if transfer.have == package.size => End::Complete,
            Some(total) if transfer.have < total => {
                End::BrokeOff(format!("after {} of {total} bytes", transfer.have))
            }
            Some(total) if package.size == 0 && transfer.have == total => End::Complete,
            // All that the mirror has, and too little.
            _ => End::WrongSize(transfer.have),
        })
    }
}

/// What the package's file ends in, of those that a lock can name.
fn ending(path: &str) -> &'static str {
    let endings = ["rpm", "apk", "zst", "xz"];
    let found = path.rsplit_once('.').and_then(|(_, found)| {
        let mut endings = endings.into_iter();
        endings.find(|ending| *ending == found)
    });
    found.unwrap_or("deb")
}

enum End {
    /// As many bytes as the lock says.
    Complete,
    /// The mirror's file is of another size.
    WrongSize(u64),
    /// More came than the file can have: so many bytes, or as many as the mirror says.
    TooLarge(u64),
    /// More is to come.
    BrokeOff(String),
}

/// A counting semaphore.
struct Slots {
    used: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    fn take(&self) -> Slot<'_> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let mut used = self
            .freed
            .wait_while(used, |used| *used >= AT_ONCE)
            .unwrap_or_else(PoisonError::into_inner);
        *used += 1;
        Slot(self)
    }
}

struct Slot<'a>(&'a Slots);

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.used.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.freed.notify_one();
    }
}
