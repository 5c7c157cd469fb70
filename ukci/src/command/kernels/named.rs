//! Finds kernels of the catalogue by the names that people give them.

use ukci_harness::catalogue::{Catalogue, Prepared};
use ukci_harness::resolve;
use ukci_schema::cell::Arch;
use ukci_schema::lock::LockedKernel;

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::fetching::Fetching;

/// The kernels of a full or short name, one for each of its architectures.
pub(super) fn find<'a>(
    catalogue: &'a Catalogue,
    name: &str,
) -> Result<Vec<&'a LockedKernel>, Failure> {
    let lock = catalogue.lock();
    let full = resolve::full_name(name, lock, |_| true)
        .map_err(|error| Failure::of(Exit::Usage, &error, error.hint()))?;
    let named = Arch::ALL
        .into_iter()
        .filter_map(|arch| lock.kernel(&full, arch));
    Ok(named.collect())
}

/// The kernel of a name. `NAME/ARCH` says of which architecture; otherwise it is this host's, or
/// the only one that there is.
pub(super) fn find_one<'a>(
    catalogue: &'a Catalogue,
    name: &str,
) -> Result<&'a LockedKernel, Failure> {
    let (plain, arch) = match name.rsplit_once('/') {
        Some((plain, arch)) => (plain, Some(arch)),
        None => (name, None),
    };
    let found = find(catalogue, plain)?;
    let wanted = arch.unwrap_or(std::env::consts::ARCH);
    let of_arch = found.iter().find(|kernel| kernel.arch.name() == wanted);
    if let Some(kernel) = of_arch {
        return Ok(kernel);
    }
    let arches: Vec<&str> = found.iter().map(|kernel| kernel.arch.name()).collect();
    match (arch, found.as_slice()) {
        (None, [only]) => Ok(only),
        _ => Err(Failure::says(
            Exit::Usage,
            &format!(
                "kernel `{}` is not available for {wanted}, only for {}",
                found[0].name,
                arches.join(", ")
            ),
            Some(format!(
                "name its architecture: `{}/{}`",
                found[0].name, arches[0]
            )),
        )),
    }
}

/// Fetches and unpacks a kernel, unless that has been done.
pub(in crate::command) fn prepare(
    catalogue: &Catalogue,
    kernel: &LockedKernel,
    fetching: &Fetching,
) -> Result<Prepared, Failure> {
    let mut prepared = catalogue
        .prepare(kernel, &|progress| fetching.show(progress))
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))?;
    // An old version has the name of the present one in the lock.
    if catalogue.lock().kernel(&kernel.name, kernel.arch) != Some(kernel) {
        prepared.kernel.name = kernel.versioned_name();
    }
    Ok(prepared)
}
