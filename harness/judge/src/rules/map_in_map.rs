//! Maps of maps that the kernel refuses although it created the inner map, or of whose inner map
//! nothing is known.

use super::map::shape;
use crate::errno::{self, EINVAL, ENOTSUPP};
use ukci_schema::evidence::MapEvidence;

/// Types that `bpf_map_meta_alloc` refuses with ENOTSUPP: they have no `map_meta_equal`.
const NEVER_INNER: &[&str] = &[
    "prog_array",
    "cgroup_storage",
    "percpu_cgroup_storage",
    "struct_ops",
    "array_of_maps",
    "hash_of_maps",
];

/// What is wrong with a map of maps as such, and what helps. `by_inner`: its inner map was refused.
pub(super) fn refused(
    map: &MapEvidence,
    errno: Option<i32>,
    by_inner: bool,
) -> Option<(String, String)> {
    let MapEvidence { name, map_type, .. } = map;
    let Some(inner) = map.inner.as_deref() else {
        // Evidence of older agents does not have the inner map.
        return by_inner.then(|| {
            (
                format!(
                    "the kernel refused to create the inner map of map `{name}` ({map_type}; {})",
                    errno::name(errno)
                ),
                "compare its type, sizes and flags with what this kernel allows".into(),
            )
        });
    };
    let of_maps = map_type.ends_with("_of_maps");
    if !of_maps || by_inner || !matches!(errno, Some(ENOTSUPP | EINVAL)) {
        return None;
    }
    let kind = &inner.map_type;
    let made = format!(
        "the kernel refused to create map `{name}` ({map_type}) with a `{kind}` as its inner map"
    );
    let about = format!("({}; {})", shape(inner), errno::name(errno));
    if NEVER_INNER.contains(&kind.as_str()) {
        return Some((
            format!("{made}: maps of this type cannot be inner maps {about}"),
            "use a map of another type as the inner map, such as `array` or `hash`".into(),
        ));
    }
    (errno == Some(ENOTSUPP)).then(|| {
        (
            format!("{made} {about}"),
            "use a map of another type as the inner map, or one whose values have no `bpf_spin_lock`, \
             `bpf_timer` or pointer to a kernel object: older kernels take no such values in inner maps"
                .into(),
        )
    })
}
