//! Rules that every map of a type must keep, on every kernel. The kernel answers EINVAL or ENOTSUPP
//! and does not say which rule was broken.
//!
//! The input is the map's declaration. The output is the rule that it breaks, with the values, and
//! what helps. Each rule names the function of the kernel that checks it.

use ukci_schema::evidence::MapEvidence;

/// `BPF_F_NO_PREALLOC`.
const NO_PREALLOC: u32 = 1;
/// `BPF_F_STACK_BUILD_ID`.
const STACK_BUILD_ID: u32 = 1 << 5;

/// `BPF_F_NUMA_NODE` and `BPF_F_RB_OVERWRITE`.
const RING_BUFFER_FLAGS: u32 = 1 << 2 | 1 << 19;

/// Flags that maps of some types take and all others refuse: bit, name, those types, and in words what they
/// are.
const FLAGS_OF_TYPES: &[(u32, &str, &[&str], &str)] = &[
    // `htab_map_alloc_check`
    (
        1 << 1,
        "BPF_F_NO_COMMON_LRU",
        &["lru_hash", "lru_percpu_hash"],
        "LRU hashes",
    ),
    // `stack_map_alloc`
    (
        STACK_BUILD_ID,
        "BPF_F_STACK_BUILD_ID",
        &["stack_trace"],
        "maps of stack traces",
    ),
    // `bpf_local_storage_map_alloc_check`
    (
        1 << 9,
        "BPF_F_CLONE",
        &[
            "sk_storage",
            "inode_storage",
            "task_storage",
            "cgrp_storage",
        ],
        "local storage",
    ),
    // `array_map_alloc_check`, `arena_map_alloc`
    (
        1 << 10,
        "BPF_F_MMAPABLE",
        &["array", "arena"],
        "plain arrays (`array`) and arenas",
    ),
    // `array_map_alloc_check`
    (
        1 << 11,
        "BPF_F_PRESERVE_ELEMS",
        &["perf_event_array"],
        "perf event arrays",
    ),
    (
        1 << 12,
        "BPF_F_INNER_MAP",
        &["array"],
        "plain arrays (`array`)",
    ),
];

/// `BPF_F_NUMA_NODE`.
const NUMA_NODE: u32 = 1 << 2;

/// Flags that exclude each other (`bpf_map_flags_access_ok`, `bpf_get_file_flag`).
const EXCLUSIVE: &[(u32, &str)] = &[
    (1 << 7 | 1 << 8, "BPF_F_RDONLY_PROG and BPF_F_WRONLY_PROG"),
    (1 << 3 | 1 << 4, "BPF_F_RDONLY and BPF_F_WRONLY"),
];

/// What is wrong, and what helps.
type Broken = (String, String);

fn broken(why: impl Into<String>, hint: impl Into<String>) -> Broken {
    (why.into(), hint.into())
}

/// The first rule of its type that a map breaks. `known_flags` are all flags that any kernel knows.
pub(crate) fn broken_rule(map: &MapEvidence, known_flags: u32) -> Option<Broken> {
    flags(map)
        .or_else(|| extra(map))
        .or_else(|| key(map))
        .or_else(|| value(map))
        .or_else(|| ring_buffer(map))
        .or_else(|| {
            let unknown = map.flags & !known_flags;
            (unknown != 0).then(|| {
                broken(
                    "it has flags that no kernel knows (as of 7.0)",
                    "remove the flags that are shown as a number",
                )
            })
        })
}

fn is_storage(kind: &str) -> bool {
    matches!(
        kind,
        "sk_storage" | "inode_storage" | "task_storage" | "cgrp_storage"
    )
}

/// `bpf_local_storage_map_alloc_check`, `trie_alloc`, `htab_map_alloc_check`, `array_map_alloc_check`,
/// `cgroup_storage_map_alloc`.
fn flags(map: &MapEvidence) -> Option<Broken> {
    let kind = map.map_type.as_str();
    let preallocated = map.flags & NO_PREALLOC == 0;
    if (is_storage(kind) || kind == "lpm_trie") && preallocated {
        return Some(broken(
            "it lacks BPF_F_NO_PREALLOC",
            "add `__uint(map_flags, BPF_F_NO_PREALLOC)`: maps of this type require it",
        ));
    }
    if matches!(kind, "array" | "percpu_array" | "prog_array") && !preallocated {
        return Some(broken(
            "an array has all its elements from the start and does not take BPF_F_NO_PREALLOC",
            "remove BPF_F_NO_PREALLOC from `map_flags`",
        ));
    }
    if kind.starts_with("lru_") && !preallocated {
        return Some(broken(
            "an LRU map has all its elements from the start and does not take BPF_F_NO_PREALLOC",
            "remove BPF_F_NO_PREALLOC from `map_flags`",
        ));
    }
    if kind.ends_with("ringbuf") && map.flags & !RING_BUFFER_FLAGS != 0 {
        return Some(broken(
            "a ring buffer takes no such flags",
            "remove `map_flags`: a ring buffer takes BPF_F_NUMA_NODE, and newer kernels BPF_F_RB_OVERWRITE",
        ));
    }
    let foreign = FLAGS_OF_TYPES
        .iter()
        .find(|(bit, _, types, _)| map.flags & bit != 0 && !types.contains(&kind));
    if let Some((_, name, _, those)) = foreign {
        return Some(broken(
            format!("it has {name}, which is for {those} only"),
            format!("remove {name} from `map_flags`"),
        ));
    }
    let exclusive = EXCLUSIVE.iter().find(|(both, _)| map.flags & both == *both);
    if let Some((_, names)) = exclusive {
        return Some(broken(
            format!("its flags {names} exclude each other"),
            "remove one of the two from `map_flags`, or both",
        ));
    }
    // `htab_map_alloc_check`, `array_map_alloc_check`
    if matches!(kind, "percpu_hash" | "lru_percpu_hash" | "percpu_array")
        && map.flags & NUMA_NODE != 0
    {
        return Some(broken(
            "a per-CPU map has its values on the node of each CPU and does not take BPF_F_NUMA_NODE",
            "remove BPF_F_NUMA_NODE and `numa_node`",
        ));
    }
    if is_storage(kind) && map.max_entries != 0 {
        return Some(broken(
            "local storage has no max_entries",
            "remove `max_entries`: local storage has one value for each owner",
        ));
    }
    if matches!(kind, "cgroup_storage" | "percpu_cgroup_storage") && map.max_entries != 0 {
        return Some(broken(
            "cgroup storage has no max_entries",
            "remove `max_entries`: cgroup storage has one value for each attachment",
        ));
    }
    None
}

/// `map_create`, and `bloom_map_alloc`, whose low four bits are the number of hash functions.
fn extra(map: &MapEvidence) -> Option<Broken> {
    let kind = map.map_type.as_str();
    if map.extra != 0 && !matches!(kind, "bloom_filter" | "arena") {
        return Some(broken(
            "it has a `map_extra`, which maps of this type do not have",
            "remove `map_extra`: it is for bloom filters (5.16) and arenas (6.9)",
        ));
    }
    if kind == "bloom_filter" && map.extra > 15 {
        return Some(broken(
            format!(
                "its `map_extra`, the number of hash functions, is {}, and a bloom filter has at most 15",
                map.extra
            ),
            "set `map_extra` to a number from 1 to 15; 0 stands for 5",
        ));
    }
    None
}

/// `array_map_alloc_check`, `dev_map_alloc_check`, `trie_alloc`, `queue_stack_map_alloc_check` and the
/// like.
fn key(map: &MapEvidence) -> Option<Broken> {
    let (kind, size) = (map.map_type.as_str(), map.key_size);
    let indexed = matches!(
        kind,
        "array"
            | "percpu_array"
            | "prog_array"
            | "perf_event_array"
            | "cgroup_array"
            | "array_of_maps"
            | "devmap"
            | "cpumap"
            | "xskmap"
            | "sockmap"
            | "reuseport_sockarray"
    );
    if indexed && size != 4 {
        return Some(broken(
            format!("its key must be an index of 4 bytes, and has {size}"),
            "declare the key as `__u32`",
        ));
    }
    if is_storage(kind) && size != 4 {
        return Some(broken(
            format!("the key of local storage must be an `int`, and has {size} bytes"),
            "declare the key as `int`",
        ));
    }
    if kind == "stack_trace" && size != 4 {
        return Some(broken(
            format!("its key must be a stack id of 4 bytes, and has {size}"),
            "declare the key as `__u32`",
        ));
    }
    if kind == "lpm_trie" && !(5..=260).contains(&size) {
        return Some(broken(
            format!(
                "its key, a prefix length of 4 bytes and the data, must have from 5 to 260 bytes, and has \
                 {size}"
            ),
            "make the data of the key at most 256 bytes long",
        ));
    }
    if matches!(
        kind,
        "queue" | "stack" | "bloom_filter" | "ringbuf" | "user_ringbuf"
    ) && size != 0
    {
        return Some(broken(
            "maps of this type have no keys",
            "remove `key` and `key_size`",
        ));
    }
    (kind.contains("hash") && size == 0).then(|| broken("it has no key", "declare a `key`"))
}

/// `array_map_alloc_check`, `htab_map_alloc_check`, `stack_map_alloc`, `dev_map_alloc_check`,
/// `sock_map_alloc` and the like.
fn value(map: &MapEvidence) -> Option<Broken> {
    let (kind, size) = (map.map_type.as_str(), map.value_size);
    let descriptors = matches!(
        kind,
        "prog_array"
            | "perf_event_array"
            | "cgroup_array"
            | "array_of_maps"
            | "hash_of_maps"
            | "xskmap"
    );
    if descriptors && size != 4 {
        return Some(broken(
            format!("its values must be descriptors of 4 bytes, and have {size}"),
            "declare the value as `__u32`",
        ));
    }
    let (with, struct_of) = match kind {
        "devmap" | "devmap_hash" => ("an interface and a program", "`struct bpf_devmap_val`"),
        "cpumap" => ("a queue size and a program", "`struct bpf_cpumap_val`"),
        "sockmap" | "sockhash" | "reuseport_sockarray" => ("a socket's cookie", "`__u64`"),
        _ => ("", ""),
    };
    if !with.is_empty() && !matches!(size, 4 | 8) {
        return Some(broken(
            format!("its values must have 4 bytes, or 8 with {with}, and have {size}"),
            format!("declare the value as `__u32` or as {struct_of}"),
        ));
    }
    if kind == "stack_trace" {
        let frame: u32 = if map.flags & STACK_BUILD_ID == 0 {
            8
        } else {
            32
        };
        let hint = format!(
            "set `value_size` to {frame} times the number of frames, at most `kernel.perf_event_max_stack` \
             of them, which is 127 unless it was changed"
        );
        if size < frame || !size.is_multiple_of(frame) {
            let why = format!(
                "its value must be a whole number of frames of {frame} bytes, and has {size}"
            );
            return Some(broken(why, hint));
        }
        if size / frame > 127 {
            let frames = size / frame;
            let why = format!(
                "its value has room for {frames} frames, and `kernel.perf_event_max_stack` is 127 unless it \
                 was changed"
            );
            return Some(broken(why, hint));
        }
    }
    let has_values = matches!(kind, "queue" | "stack" | "bloom_filter" | "lpm_trie")
        || (kind.ends_with("array") && !descriptors)
        || (kind.ends_with("hash") && with.is_empty())
        || is_storage(kind);
    (has_values && size == 0).then(|| broken("it has no value", "declare a `value`"))
}

/// `ringbuf_map_alloc`. libbpf rounds the size up of a ring buffer that an object declares, and no other.
fn ring_buffer(map: &MapEvidence) -> Option<Broken> {
    let size = map.max_entries;
    let good = size.is_power_of_two() && size.is_multiple_of(4096);
    (map.map_type.ends_with("ringbuf") && !good).then(|| {
        broken(
            format!("the size of a ring buffer must be a power of two of whole pages, and is {size} bytes"),
            "set `max_entries` to a power of two that is a multiple of the page size, such as 4096",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::broken_rule;
    use ukci_schema::evidence::MapEvidence;

    fn why(kind: &str, key_size: u32, value_size: u32, flags: u32, extra: u64) -> Option<String> {
        let map = MapEvidence {
            map_type: kind.into(),
            key_size,
            value_size,
            flags,
            extra,
            max_entries: if kind == "ringbuf" { 4096 } else { 0 },
            ..MapEvidence::default()
        };
        broken_rule(&map, 0xffff).map(|(why, _)| why)
    }

    #[test]
    fn a_ring_buffer_is_whole_pages() {
        let of = |max_entries| {
            let map = MapEvidence {
                map_type: "ringbuf".into(),
                max_entries,
                ..MapEvidence::default()
            };
            broken_rule(&map, 0xffff).map(|(why, _)| why)
        };
        assert!(of(100).unwrap().contains("is 100 bytes"));
        assert!(of(12288).unwrap().contains("power of two"));
        assert_eq!(of(8192), None);
    }

    #[test]
    fn each_rule_is_named_only_where_it_is_broken() {
        for (kind, key, value, flags, extra, words) in [
            ("lpm_trie", 304, 8, 1, 0, "from 5 to 260 bytes, and has 304"),
            ("lpm_trie", 8, 8, 0, 0, "lacks BPF_F_NO_PREALLOC"),
            ("stack_trace", 4, 8192, 0, 0, "1024 frames"),
            (
                "stack_trace",
                4,
                12,
                0,
                0,
                "whole number of frames of 8 bytes",
            ),
            (
                "stack_trace",
                4,
                40,
                32,
                0,
                "whole number of frames of 32 bytes",
            ),
            ("lru_hash", 4, 8, 1, 0, "LRU"),
            (
                "bloom_filter",
                0,
                4,
                0,
                20,
                "is 20, and a bloom filter has at most 15",
            ),
            ("devmap", 4, 16, 0, 0, "4 bytes, or 8 with an interface"),
            ("sockmap", 4, 16, 0, 0, "socket's cookie"),
            ("xskmap", 4, 8, 0, 0, "descriptors of 4 bytes, and have 8"),
            ("xskmap", 8, 4, 0, 0, "index of 4 bytes, and has 8"),
            ("task_storage", 8, 8, 1, 0, "must be an `int`, and has 8"),
            ("array", 4, 0, 0, 0, "no value"),
            ("hash", 0, 8, 0, 0, "no key"),
            ("ringbuf", 0, 0, 1, 0, "takes no such flags"),
            (
                "hash",
                4,
                8,
                1 << 10,
                0,
                "BPF_F_MMAPABLE, which is for plain arrays",
            ),
            ("percpu_array", 4, 8, 1 << 10, 0, "BPF_F_MMAPABLE"),
            ("hash", 4, 8, 2, 0, "BPF_F_NO_COMMON_LRU, which is for LRU"),
            ("array", 4, 8, 3 << 7, 0, "_PROG exclude each other"),
            ("percpu_hash", 4, 8, 4, 0, "node of each CPU"),
        ] {
            let why = why(kind, key, value, flags, extra).unwrap_or_default();
            assert!(why.contains(words), "{kind}: {why}");
        }
        for (kind, key, value, flags, extra) in [
            ("lpm_trie", 260, 8, 1, 0),
            ("stack_trace", 4, 1016, 0, 0),
            ("stack_trace", 4, 127 * 32, 32, 0),
            ("lru_hash", 4, 8, 0, 0),
            ("bloom_filter", 0, 4, 0, 15),
            ("devmap", 4, 8, 0, 0),
            ("sockmap", 4, 8, 0, 0),
            ("task_storage", 4, 8, 1, 0),
            ("cpumap", 4, 4, 0, 0),
            ("array", 4, 8, 0, 0),
            ("array", 4, 8, 1 << 10 | 1 << 7, 0),
            ("lru_hash", 4, 8, 1 << 1 | 1 << 2, 0),
            ("perf_event_array", 4, 4, 1 << 11, 0),
            ("hash_of_maps", 8, 4, 0, 0),
            ("arena", 0, 0, 1 << 10, 9),
            ("ringbuf", 0, 0, 1 << 2, 0),
        ] {
            assert_eq!(why(kind, key, value, flags, extra), None, "{kind}");
        }
    }
}
