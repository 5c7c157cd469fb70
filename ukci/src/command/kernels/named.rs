//! Kernels of the catalogue by the names that people give them.

use ukci_harness::catalogue::{Catalogue, Prepared};
use ukci_matrix::authored::instead_of;
use ukci_schema::lock::{Lock, LockedKernel};

use crate::diagnostic::Failure;
use crate::exit::Exit;
use crate::fetching::Fetching;

/// The kernels of a name, one for each of its architectures.
pub(super) fn find<'a>(
    catalogue: &'a Catalogue,
    name: &str,
) -> Result<Vec<&'a LockedKernel>, Failure> {
    let lock = catalogue.lock();
    let found: Vec<&LockedKernel> = lock.kernels.iter().filter(|k| k.name == name).collect();
    if found.is_empty() {
        return Err(unknown(name, lock));
    }
    Ok(found)
}

/// No kernel of this name is locked.
pub(super) fn unknown(name: &str, lock: &Lock) -> Failure {
    let mut names: Vec<&str> = lock.names().collect();
    names.dedup();
    let hint = instead_of(name, &names).or_else(|| Some("see `ukci kernels list`".into()));
    Failure::says(Exit::Usage, &format!("there is no kernel `{name}`"), hint)
}

/// Fetches and unpacks a kernel, unless that has been done.
pub(super) fn prepare(
    catalogue: &Catalogue,
    kernel: &LockedKernel,
    fetching: &Fetching,
) -> Result<Prepared, Failure> {
    catalogue
        .prepare(kernel, &|progress| fetching.show(progress))
        .map_err(|error| Failure::of(Exit::NoVerdict, &error, error.hint()))
}
