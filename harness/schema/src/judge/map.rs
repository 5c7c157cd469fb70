//! A map that the kernel refused to create.

use super::{diagnosis, features, text};
use crate::diagnosis::{Code, Diagnosis};
use crate::evidence::{Evidence, FeatureKind, MapEvidence};
use crate::history;
use crate::verdict::Stage;

const EPERM: i32 = 1;
const E2BIG: i32 = 7;
const ENOMEM: i32 = 12;

/// Map types whose `max_entries` is 0 or the kernel's business.
const SIZELESS: &[&str] = &[
    "sk_storage",
    "inode_storage",
    "task_storage",
    "cgrp_storage",
    "cgroup_storage",
    "percpu_cgroup_storage",
    "struct_ops",
    "perf_event_array",
];

pub(super) fn diagnose(map: &MapEvidence, evidence: &Evidence) -> Diagnosis {
    let name = &map.name;
    let kind = &map.map_type;
    let present = features(evidence, FeatureKind::MapType, kind).find_map(|f| f.present);
    let errno = map.errno.unwrap_or(0);
    let log = &[&evidence.log];
    let (code, headline, hints) = if present == Some(false) {
        let since = history::map_type(kind)
            .map(|r| format!(" (mainline {r})"))
            .unwrap_or_default();
        let hints = vec![
            unsupported_hint(kind),
            format!(
                "make it optional: `bpf_map__set_autocreate(map, false)` where the kernel lacks \
                 `{kind}`, and programs that do not use it"
            ),
        ];
        let headline =
            format!("the kernel has no map type `{kind}`{since}, which map `{name}` needs");
        (Code::UnsupportedMapType, headline, hints)
    } else if text::line_with(log, &format!("map '{name}': inner map def")).is_some() {
        let headline = format!("map `{name}` needs an inner map that its loader must set");
        let hints = vec![
            "declare it with `__array(values, …)`, or set it with \
                          `bpf_map__set_inner_map_fd` before the load"
                .into(),
        ];
        (Code::LoaderContract, headline, hints)
    } else if map.max_entries == 0 && !SIZELESS.contains(&kind.as_str()) {
        let headline =
            format!("map `{name}` ({kind}) has no size: its loader must set max_entries");
        let hints = vec![
            "give it `__uint(max_entries, N)`, or set it with \
                          `bpf_map__set_max_entries` before the load"
                .into(),
        ];
        (Code::LoaderContract, headline, hints)
    } else if errno == ENOMEM {
        let headline = format!(
            "the guest has too little memory for map `{name}` ({kind}, {} entries)",
            map.max_entries
        );
        let hints = vec!["give the guest more memory (`memory` in the matrix)".into()];
        (Code::GuestResources, headline, hints)
    } else if errno == EPERM {
        (
            Code::CapabilityFailure,
            format!("the kernel did not permit map `{name}` ({kind})"),
            vec![],
        )
    } else {
        let shape = format!(
            "key {}, value {}, {} entries, flags {:#x}",
            map.key_size, map.value_size, map.max_entries, map.flags
        );
        let reason = if errno == E2BIG {
            "is too large"
        } else {
            "is not accepted"
        };
        let headline = format!(
            "the kernel knows map type `{kind}`, and map `{name}` {reason} ({shape}): errno {errno}"
        );
        let hints = vec!["compare sizes and flags with what this kernel's type allows".into()];
        (Code::MapRefused, headline, hints)
    };
    Diagnosis {
        excerpt: text::libbpf_excerpt(&evidence.log),
        hints,
        ..diagnosis(code, Stage::Load, headline)
    }
}

fn unsupported_hint(kind: &str) -> String {
    match kind {
        "ringbuf" => "fall back to `perf_event_array` where the kernel has no ring buffer".into(),
        "bloom_filter" => "fall back to a `hash` map where the kernel has no bloom filter".into(),
        "cgrp_storage" | "task_storage" => {
            "fall back to a `hash` map keyed by the id where the kernel has no such storage".into()
        }
        _ => format!("use another map type where the kernel has no `{kind}`"),
    }
}
