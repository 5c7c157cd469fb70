//! Maps that are not whole until the object's own loader shapes them.

use ukci_schema::evidence::MapEvidence;

use super::{EBADF, EINVAL, STRUCT_OPS};

/// Map types for which no entries is right; of the others it is their loader that says how many.
const SIZELESS: &[&str] = &[
    "sk_storage",
    "inode_storage",
    "task_storage",
    "cgrp_storage",
    "cgroup_storage",
    "percpu_cgroup_storage",
    STRUCT_OPS,
    "perf_event_array",
];

/// Whether a refused map lacks what its own loader gives it: a size, or an inner map that is whole.
pub(super) fn is_unfinished(map: &MapEvidence) -> bool {
    let is_sizeless =
        |map: &MapEvidence| map.max_entries == 0 && !SIZELESS.contains(&map.map_type.as_str());
    let no_inner = map.map_type.ends_with("_of_maps") && matches!(map.errno, Some(EBADF | EINVAL));
    is_sizeless(map) || map.inner.as_deref().map_or(no_inner, is_sizeless)
}
