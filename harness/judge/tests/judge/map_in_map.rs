//! Maps of maps: what is said of an inner map is what would be said of a map of its own.

use crate::hand::{fails, feature, map, refused, told, untold};
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Evidence, FeatureKind, MapEvidence, StepOutcome};

/// A map of maps that was refused with this errno, by its inner map or of itself.
fn outer(inner: Option<MapEvidence>, of_inner: bool, errno: i32) -> MapEvidence {
    let mut outer = map("outer", "array_of_maps", 2, errno);
    outer.value_size = 4;
    outer.inner = inner.map(|mut inner| {
        inner.created = if of_inner {
            StepOutcome::Refused
        } else {
            StepOutcome::NotAttempted
        };
        inner.errno = of_inner.then_some(errno);
        Box::new(inner)
    });
    outer
}

fn inner(kind: &str, max_entries: u32) -> MapEvidence {
    map("outer.inner", kind, max_entries, 0)
}

fn with(maps: Vec<MapEvidence>, errno: i32) -> Evidence {
    let mut evidence = refused(errno, "libbpf: failed to load object 'x'\n");
    evidence.maps = maps;
    evidence
}

#[test]
fn a_rule_of_its_type_is_named_for_an_inner_map() {
    let evidence = with(vec![outer(Some(inner("lpm_trie", 4)), true, 22)], 22);
    let found = fails(&evidence, Code::MapRefused);
    told(
        &found,
        &[
            "the inner map (lpm_trie) of map `outer` (array_of_maps)",
            "lacks BPF_F_NO_PREALLOC",
            "4 entries",
        ],
    );
    // The same rule is not broken where the inner map was created.
    let evidence = with(vec![outer(Some(inner("lpm_trie", 4)), false, 22)], 22);
    untold(
        &fails(&evidence, Code::MapRefused),
        &["NO_PREALLOC", "the inner map (lpm_trie)"],
    );
}

#[test]
fn a_limit_of_an_inner_map_is_named() {
    let large = MapEvidence {
        value_size: 5 << 20,
        ..inner("hash", 2)
    };
    let mut evidence = with(vec![outer(Some(large), true, 7)], 7);
    evidence.guest.machine = "x86_64".into();
    let found = fails(&evidence, Code::MapRefused);
    told(&found, &["the inner map (hash)", "KMALLOC_MAX_SIZE"]);
    let small = with(vec![outer(Some(inner("hash", 2)), true, 7)], 7);
    untold(&fails(&small, Code::MapRefused), &["KMALLOC_MAX_SIZE"]);
}

#[test]
fn a_type_that_the_kernel_lacks_is_that_of_the_inner_map() {
    let mut evidence = with(vec![outer(Some(inner("bloom_filter", 4)), true, 22)], 22);
    evidence.features = vec![feature(FeatureKind::MapType, "bloom_filter", None, false)];
    let found = fails(&evidence, Code::UnsupportedMapType);
    told(
        &found,
        &[
            "map type `bloom_filter`",
            "which the inner map of `outer` needs",
            "bpf_map__set_autocreate(outer, false)",
        ],
    );
    // The kernel has the type, and refuses the shape.
    evidence.features = vec![feature(FeatureKind::MapType, "bloom_filter", None, true)];
    fails(&evidence, Code::MapRefused);
}

#[test]
fn an_inner_map_without_a_size_waits_for_its_loader() {
    let evidence = with(vec![outer(Some(inner("hash", 0)), true, 22)], 22);
    let found = fails(&evidence, Code::LoaderContract);
    told(
        &found,
        &[
            "the inner map (hash) of map `outer` (array_of_maps) has no size",
            "give the inner map of `outer` a size",
        ],
    );
    untold(&found, &["has no inner map"]);
    // Without a declared inner map it is that which its loader has to give.
    let evidence = with(vec![outer(None, false, 22)], 22);
    told(
        &fails(&evidence, Code::LoaderContract),
        &["has no inner map"],
    );
}

#[test]
fn a_declared_inner_map_is_not_missing() {
    let evidence = with(vec![outer(Some(inner("hash", 4)), false, 22)], 22);
    let found = fails(&evidence, Code::MapRefused);
    untold(&found, &["has no inner map"]);
}

#[test]
fn types_that_cannot_be_inner_maps_are_named() {
    let evidence = with(vec![outer(Some(inner("prog_array", 4)), false, 524)], 524);
    let found = fails(&evidence, Code::MapRefused);
    told(
        &found,
        &[
            "with a `prog_array` as its inner map",
            "cannot be inner maps",
        ],
    );
    let evidence = with(vec![outer(Some(inner("hash", 4)), false, 524)], 524);
    let found = fails(&evidence, Code::MapRefused);
    told(&found, &["`bpf_spin_lock`"]);
    untold(&found, &["cannot be inner maps"]);
}

#[test]
fn evidence_without_the_inner_map_blames_it_where_libbpf_does() {
    let words = "libbpf: map 'outer': failed to create inner map: -EINVAL\n";
    let mut evidence = refused(22, words);
    evidence.maps = vec![outer(None, false, 22)];
    told(
        &fails(&evidence, Code::MapRefused),
        &["refused to create the inner map of map `outer`"],
    );
}

#[test]
fn all_refused_maps_are_told() {
    let lpm = MapEvidence {
        name: "routes".into(),
        ..map("routes", "lpm_trie", 4, 22)
    };
    let wide = MapEvidence {
        key_size: 8,
        ..map("slots", "array", 4, 22)
    };
    let evidence = with(vec![lpm.clone(), wide], 22);
    told(
        &fails(&evidence, Code::MapRefused),
        &["map `routes`", "other maps as well: map `slots` (array)"],
    );
    let alone = with(vec![lpm], 22);
    untold(&fails(&alone, Code::MapRefused), &["other maps"]);
}
