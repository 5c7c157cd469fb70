//! The newest kernel of a stream in a suite of a `deb` archive.

use ukci_harness::catalogue::mirror::Mirrors;
use ukci_harness::package_version;
use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, Package};

use crate::entry::{locked, refuse_other_times};
use crate::error::Error;
use crate::followed::{Layout, Stream};
use crate::index::{self, Suite};
use crate::kernel::on_a_mirror;
use crate::keyring::Keyrings;
use crate::listing::Listing;
use crate::uname;

/// The newest kernel of a suite of a `deb` archive.
pub(crate) fn newest(
    stream: &Stream,
    layout: &Layout,
    arch: Arch,
    suite: &str,
    known: &[&LockedKernel],
    mirrors: &Mirrors,
    keyrings: &Keyrings,
) -> Result<Option<LockedKernel>, Error> {
    let index = index::open(
        Suite {
            archive: &stream.archive,
            name: suite,
            arch: arch.debian(),
            wanted: index::KERNELS,
        },
        mirrors,
        keyrings,
    )?;
    refuse_other_times(stream, suite, &index.date, known)?;
    let Some(first) = layout.packages.first() else {
        return Ok(None);
    };
    let prefix = first.name.replace("{uname}", "");
    let mut kernels: Vec<(&str, &index::Listed)> = index
        .packages
        .iter()
        .filter_map(|listed| Some((listed.name.strip_prefix(&prefix)?, listed)))
        .filter(|(uname, listed)| {
            // `6.8.0-45-generic` for `*-generic`, and not `6.8.0-45-aws-generic`.
            let abi = uname.strip_suffix(layout.uname.trim_start_matches('*'));
            let is_abi = |abi: &str| {
                abi.split('-')
                    .all(|part| part.starts_with(|c: char| c.is_ascii_digit()))
            };
            let series = uname::series(&listed.version);
            abi.is_some_and(is_abi)
                && (stream.series.is_empty() || series.as_ref() == Some(&stream.series))
        })
        .collect();
    kernels.sort_by(|a, b| package_version::compare(&a.1.version, &b.1.version));
    for (uname, image) in kernels.iter().rev() {
        let mut packages = Vec::new();
        let mut is_whole = true;
        for part in &layout.packages {
            let name = part.name.replace("{uname}", uname);
            let listed = index
                .packages
                .iter()
                .find(|p| p.name == name && p.version == image.version);
            let has = match listed {
                Some(listed) => on_a_mirror(&listed.path, &stream.archive, mirrors)?,
                None => false,
            };
            match listed.filter(|_| has) {
                Some(listed) => packages.push(Package {
                    roles: part.roles.clone(),
                    name: listed.name.clone(),
                    version: listed.version.clone(),
                    archive: stream.archive.clone(),
                    path: listed.path.clone(),
                    size: listed.size,
                    sha256: listed.sha256.clone(),
                }),
                None => is_whole &= part.optional,
            }
        }
        if is_whole {
            let listing = Listing {
                packages: Vec::new(),
                date: index.date.clone(),
                root: index.inrelease.clone(),
            };
            let uname = (*uname).to_owned();
            return Ok(locked(stream, arch, uname, packages, suite, &listing));
        }
    }
    Ok(None)
}
