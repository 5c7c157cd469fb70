//! The lock's entry of a stream, and the days of its metadata.

use std::time::SystemTime;

use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, Package, Provenance, Verified};

use crate::error::Error;
use crate::followed::{Signed, Stream};
use crate::listing::{self, Listing};
use crate::uname;

/// Refuses metadata of the future, and metadata that is older than what the lock was made from.
pub(crate) fn refuse_other_times(
    stream: &Stream,
    index: &str,
    date: &str,
    known: &[&LockedKernel],
) -> Result<(), Error> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let tomorrow = listing::day(now.map_or(0, |now| now.as_secs()) + 24 * 60 * 60);
    if *date > *tomorrow {
        return Err(Error::Future {
            suite: stream.name(),
            reason: format!("`{index}` is of {date}"),
        });
    }
    let of_index = |kernel: &&&LockedKernel| kernel.provenance.suite == index;
    let pinned = known
        .iter()
        .filter(of_index)
        .map(|kernel| &kernel.provenance.date)
        .max();
    match pinned {
        // Days as `YYYY-MM-DD` sort as text.
        Some(pinned) if date < pinned.as_str() => Err(Error::RolledBack {
            suite: stream.name(),
            found: date.to_owned(),
            pinned: pinned.clone(),
        }),
        _ => Ok(()),
    }
}

/// The entry of the lock.
pub(crate) fn locked(
    stream: &Stream,
    arch: Arch,
    uname: String,
    packages: Vec<Package>,
    index: &str,
    listing: &Listing,
) -> Option<LockedKernel> {
    let series = uname::series(&uname)?;
    let parts = [&stream.distro, &stream.release, &series, &stream.flavour];
    let parts = parts.into_iter().filter(|part| !part.is_empty());
    let source = match stream.signed {
        Signed::Index => crate::stream::SOURCE,
        Signed::Packages => "packages-signed",
    };
    Some(LockedKernel {
        name: parts.map(String::as_str).collect::<Vec<_>>().join("-"),
        distro: stream.distro.clone(),
        release: stream.release.clone(),
        series: series.clone(),
        flavour: stream.flavour.clone(),
        arch,
        uname,
        packages,
        provenance: Provenance {
            source: source.to_owned(),
            suite: index.to_owned(),
            date: listing.date.clone(),
            inrelease: [(index.to_owned(), listing.root.clone())].into(),
        },
        verified: Verified::Metadata,
        verified_on: Some(listing::today()),
    })
}
