//! What an object leaves to its own loader.
//!
//! libbpf passes such an object to the kernel unchanged, and every kernel refuses it. So the result
//! says nothing about the kernel.

use super::map::{Refused, is_of_inner};
use crate::case::Whole;
use crate::errno::{EBADF, EINVAL};
use crate::finding::{diagnosis, list};
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::MapEvidence;
use ukci_schema::verdict::Stage;

/// What of a refused map is its loader's part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// The map that is the shape of its inner maps.
    InnerMap,
    /// `max_entries`.
    Size,
    /// Key and value sizes of a buffer. cilium/ebpf replaces them before the load, so that its
    /// objects may name the type of an event there.
    Buffer,
}

/// The loader's part of a map that was refused with this errno.
pub(super) fn share(whole: &Whole<'_>, map: &MapEvidence, errno: Option<i32>) -> Option<Share> {
    let of_inner = is_of_inner(whole, map);
    if map.map_type.ends_with("_of_maps")
        && map.inner.is_none()
        && !of_inner
        && matches!(errno, Some(EBADF | EINVAL))
        && map.max_entries > 0
    {
        return Some(Share::InnerMap);
    }
    if of_inner && map.inner.is_none() {
        return None;
    }
    let map = Refused::of(whole, map).map;
    let kind = map.map_type.as_str();
    if map.is_unsized() {
        return Some(Share::Size);
    }
    let sizes = match kind {
        "ringbuf" | "user_ringbuf" => (0, 0),
        "perf_event_array" => (4, 4),
        _ => return None,
    };
    let buffer = errno == Some(EINVAL) && (map.key_size, map.value_size) != sizes;
    buffer.then_some(Share::Buffer)
}

/// All refused maps that wait for their loader, told at once: who mends one alone meets the next.
pub(crate) fn maps<'a>(
    whole: &Whole<'_>,
    refused: impl Iterator<Item = (&'a MapEvidence, Option<i32>)>,
) -> Diagnosis {
    let waiting: Vec<(Refused<'_>, Share)> = refused
        .filter_map(|(map, errno)| Some((Refused::of(whole, map), share(whole, map, errno)?)))
        .collect();
    let needs = waiting.iter().take(4).map(|(map, of)| need(*map, *of));
    let needs: Vec<String> = needs.collect();
    let headline = match (needs.as_slice(), waiting.len()) {
        ([one], 1) => one.clone(),
        (several, count) => {
            let more = match count.saturating_sub(several.len()) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            format!(
                "{count} maps wait for the object's own loader: {}{more}",
                several.join("; ")
            )
        }
    };
    let mut hints = Vec::new();
    for (wanted, inner) in [
        (Share::Size, false),
        (Share::Size, true),
        (Share::Buffer, false),
        (Share::InnerMap, false),
    ] {
        let of = waiting.iter().filter(|(map, of)| {
            *of == wanted && (wanted != Share::Size || map.outer.is_some() == inner)
        });
        let names: Vec<&str> = of
            .map(|(map, _)| map.outer.unwrap_or(map.map).name.as_str())
            .collect();
        if !names.is_empty() {
            hints.push(remedy(wanted, inner, &list(&names)));
        }
    }
    Diagnosis {
        excerpt: text::libbpf_excerpt(&whole.evidence.log),
        ..diagnosis(Code::LoaderContract, Stage::Load, headline, hints)
    }
}

fn need(of: Refused<'_>, share: Share) -> String {
    let map = of.called();
    match share {
        Share::InnerMap => format!("{map} has no inner map: its loader must give it one"),
        Share::Size => format!("{map} has no size: its loader must set max_entries"),
        Share::Buffer => {
            let size = if of.map.map_type == "perf_event_array" {
                4
            } else {
                0
            };
            format!(
                "{map} has a key of {} and a value of {} bytes: its loader must set both to {size}, as \
                 cilium/ebpf does",
                of.map.key_size, of.map.value_size,
            )
        }
    }
}

fn remedy(of: Share, inner: bool, names: &str) -> String {
    match of {
        Share::Size if inner => format!(
            "give the inner map of {names} a size: `__uint(max_entries, N)` in the struct that \
             `__array(values, …)` names, `bpf_map__set_inner_map_fd()` before the load, or `inner_map` in a \
             manifest"
        ),
        Share::Size => format!(
            "give {names} a size: `__uint(max_entries, N)`, `bpf_map__set_max_entries()` before the \
             load, or `max_entries` in a manifest"
        ),
        Share::Buffer => format!(
            "for libbpf, leave out `key` and `value` of {names} (a perf event array takes `__u32` for \
             both); a program for cilium/ebpf alone may stay as it is"
        ),
        Share::InnerMap => format!(
            "give {names} an inner map: `__array(values, …)`, `bpf_map__set_inner_map_fd()` before the \
             load, or an inner map in a manifest"
        ),
    }
}
