//! Maps that the object leaves without a size.

use super::{Choice, quoted};
use crate::manifest::{MapShape, ObjectFacts};

/// Entries that are offered for a map without any.
const ENTRIES: u32 = 10_240;

/// Entries that are offered for a map of CPUs, devices or sockets without any. A cpumap may have no
/// more than `CONFIG_NR_CPUS`, which is 128 to 8192 in Debian's kernels.
const DEVICES: u32 = 64;

/// Bytes that are offered for a ring buffer without a size.
const RING: u32 = 256 * 1024;

/// `PERF_MAX_STACK_DEPTH` frames of eight bytes.
const STACK_BYTES: u32 = 127 * 8;

/// The smallest page.
const PAGE: u32 = 4096;

pub(super) fn choices(object: &ObjectFacts) -> Vec<Choice> {
    let maps = object.maps.iter();
    maps.filter(|(name, _)| object.names.maps.contains_key(*name))
        .filter_map(|(name, shape)| choice(name, shape))
        .collect()
}

fn choice(name: &str, shape: &MapShape) -> Option<Choice> {
    let mut keys: Vec<(&str, u32)> = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    let mut certain = true;
    let kind = shape.map_type?.name();
    match kind {
        "ringbuf" | "user_ringbuf" => {
            if shape.max_entries == 0 {
                keys.push(("max_entries", RING));
                reasons.push(format!("It is a ring buffer without a size, which its loader sets. {RING} bytes are a guess."));
            } else if !shape.max_entries.is_power_of_two() || shape.max_entries < PAGE {
                let next = shape.max_entries.max(PAGE).checked_next_power_of_two()?;
                keys.push(("max_entries", next));
                reasons.push(format!(
                    "It is a ring buffer of {} bytes. The kernel requires a power of two from {PAGE}, \
                     to which cilium/ebpf rounds up.",
                    shape.max_entries
                ));
            }
        }
        // libbpf gives it an entry for each CPU; cilium/ebpf gives it sizes, too.
        "perf_event_array" => {
            for (key, size) in [
                ("key_size", shape.key_size),
                ("value_size", shape.value_size),
            ] {
                if size == 0 {
                    keys.push((key, 4));
                }
            }
            if !keys.is_empty() {
                reasons.push("It is a perf event array without sizes, which cilium/ebpf sets to 4 bytes each.".to_owned());
            }
        }
        "stack_trace" => {
            if shape.key_size == 0 {
                keys.push(("key_size", 4));
            }
            if shape.value_size == 0 {
                keys.push(("value_size", STACK_BYTES));
                reasons.push(format!("Its loader sets how deep stacks are. {STACK_BYTES} bytes are 127 frames, the kernel's default."));
            }
            if shape.max_entries == 0 {
                keys.push(("max_entries", ENTRIES));
                reasons.push(format!(
                    "Its loader sets how many stacks it keeps. {ENTRIES} are a guess."
                ));
            }
        }
        "array_of_maps" | "hash_of_maps" => {
            if !shape.has_inner {
                let what = format!("say what the inner maps of `{name}` look like");
                let reason = format!(
                    "Map `{name}` holds maps, and its loader decides what they look like. Write \
                     what it creates, such as:"
                );
                let toml = format!(
                    "[[maps]]\nname = {}\nmax_entries = \"cpus\"\n\
                     inner_map = {{ type = \"hash\", key_size = 4, value_size = 8, max_entries = {ENTRIES} }}\n",
                    quoted(name)
                );
                return Some(Choice::new(what, reason, toml).uncertain());
            }
            without_entries(shape, ENTRIES, &mut keys, &mut reasons);
        }
        // Their entries must be 0, or are set by libbpf.
        "sk_storage"
        | "inode_storage"
        | "task_storage"
        | "cgrp_storage"
        | "cgroup_storage"
        | "percpu_cgroup_storage"
        | "arena"
        | "insn_array" => return None,
        _ => {
            let entries = match kind {
                "cpumap" | "devmap" | "devmap_hash" | "xskmap" => DEVICES,
                _ => ENTRIES,
            };
            without_entries(shape, entries, &mut keys, &mut reasons);
            // A queue has no key, and a bloom filter neither.
            let needs_key = !matches!(kind, "queue" | "stack" | "bloom_filter");
            if (needs_key && shape.key_size == 0) || shape.value_size == 0 {
                certain = false;
                if needs_key && shape.key_size == 0 {
                    keys.push(("key_size", 4));
                }
                if shape.value_size == 0 {
                    keys.push(("value_size", 8));
                }
                reasons.push("Its loader sets the size of its keys or values, which ukci cannot know. Write the size that the loader sets.".to_owned());
            }
        }
    }
    if keys.is_empty() {
        return None;
    }
    let mut toml = format!("[[maps]]\nname = {}\n", quoted(name));
    for (key, value) in &keys {
        toml.push_str(&format!("{key} = {value}\n"));
    }
    let what = format!("size map `{name}`");
    let reason = format!("Map `{name}` ({kind}): {}", reasons.join(" "));
    let choice = Choice::new(what, reason, toml);
    Some(if certain { choice } else { choice.uncertain() })
}

fn without_entries(
    shape: &MapShape,
    entries: u32,
    keys: &mut Vec<(&str, u32)>,
    reasons: &mut Vec<String>,
) {
    if shape.max_entries == 0 {
        keys.push(("max_entries", entries));
        reasons.push(format!(
            "The object gives it no `max_entries`, so its loader must. {entries} are a guess."
        ));
    }
}
