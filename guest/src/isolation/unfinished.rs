//! Maps that are not whole until the object's own loader shapes them.

use ukci_schema::evidence::MapEvidence;

use super::{EBADF, EINVAL};

/// Whether a refused map lacks what its own loader gives it: a size, or an inner map that is whole.
pub(super) fn is_unfinished(map: &MapEvidence) -> bool {
    let no_inner = map.map_type.ends_with("_of_maps") && matches!(map.errno, Some(EBADF | EINVAL));
    map.is_unsized() || (map.inner.as_deref()).map_or(no_inner, MapEvidence::is_unsized)
}
