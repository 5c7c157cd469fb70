//! Limits of map types that the kernel reports with E2BIG: which limit it is, and its value on this
//! kernel.

use ukci_schema::evidence::{Evidence, MapEvidence};
use ukci_schema::history;

/// `PCPU_MIN_UNIT_SIZE`.
const PER_CPU_VALUE: u32 = 32 * 1024;
/// `KMALLOC_MAX_SIZE` with pages of 4 KiB and the default `MAX_ORDER`.
const KMALLOC: u64 = 4 << 20;
/// More than the head of an element of any map (`struct htab_elem` and the like).
const ELEMENT_HEAD: u64 = 128;
/// `BPF_LOCAL_STORAGE_MAX_VALUE_SIZE`: 64 KiB with the head of its element.
const STORAGE_VALUE: u32 = 0xffff - 128;
/// `U32_MAX / sizeof(struct bucket)`, in powers of two: buckets are of 16 bytes.
const BUCKETS: u32 = 1 << 27;

/// `sizeof(struct htab_elem)`.
const HASH_ELEMENT: u64 = 48;
/// `BPF_F_NO_PREALLOC`.
const NO_PREALLOC: u32 = 1;

/// The limit that a map exceeds, with its value, and what helps.
type Limit = (String, String);

/// Which limit the map exceeds.
pub(crate) fn exceeded(map: &MapEvidence, evidence: &Evidence) -> Limit {
    per_cpu(map)
        .or_else(|| key(map, &evidence.guest.release))
        .or_else(|| cpus(map, evidence))
        .or_else(|| storage(map))
        .or_else(|| cgroup_storage(map))
        .or_else(|| arena(map, evidence))
        .or_else(|| element(map, evidence))
        .or_else(|| buckets(map))
        .or_else(|| total(map, &evidence.guest.release))
        .unwrap_or_else(|| {
            (
                "its sizes are over a limit of the kernel, and E2BIG does not say which".into(),
                "use fewer entries or smaller values: more memory does not help".into(),
            )
        })
}

/// A limit that older kernels report with ENOMEM, because it is the allocator that refuses: no amount
/// of memory would help.
pub(crate) fn whatever_memory(map: &MapEvidence) -> Option<Limit> {
    per_cpu(map)
}

fn per_cpu(map: &MapEvidence) -> Option<Limit> {
    (map.map_type.contains("percpu") && map.value_size > PER_CPU_VALUE).then(|| {
        (
            "its value is larger than a per-CPU value can be (32 KiB)".into(),
            "make the value smaller, or use a map that is not per-CPU and put the CPU into the key"
                .into(),
        )
    })
}

fn key(map: &MapEvidence, release: &str) -> Option<Limit> {
    let hash = map.map_type.contains("hash");
    let long = hash && map.key_size > 512 && history::is_older(release, "5.11");
    long.then(|| {
        (
            "its key is longer than 512 bytes (mainline 5.11 lifts that)".into(),
            "use a shorter key on kernels before 5.11, such as a hash of the long one".into(),
        )
    })
}

/// `cpu_map_alloc`: no more entries than the kernel can have CPUs.
fn cpus(map: &MapEvidence, evidence: &Evidence) -> Option<Limit> {
    if map.map_type != "cpumap" {
        return None;
    }
    let most: u32 = evidence.guest.config.get("NR_CPUS")?.parse().ok()?;
    (map.max_entries > most).then(|| {
        (
            format!(
                "a cpumap has at most CONFIG_NR_CPUS entries, which is {most} here, and it has {}",
                map.max_entries
            ),
            "let the loader set max_entries to the number of CPUs (`libbpf_num_possible_cpus()`)"
                .into(),
        )
    })
}

/// `bpf_local_storage_map_alloc_check`.
fn storage(map: &MapEvidence) -> Option<Limit> {
    (map.map_type.ends_with("_storage") && map.value_size > STORAGE_VALUE).then(|| {
        (
            format!(
                "a value of local storage must be smaller than 64 KiB, and its value has {} bytes",
                map.value_size
            ),
            "make the value smaller, or keep it in a hash map with the owner as the key".into(),
        )
    })
}

/// `cgroup_storage_map_alloc` took at most a page, as 5.10 does, before it took what other local storage
/// does, as 6.1 does.
fn cgroup_storage(map: &MapEvidence) -> Option<Limit> {
    (map.map_type.ends_with("cgroup_storage") && map.value_size > 4096).then(|| {
        (
            format!(
                "a value of cgroup storage must fit into a page on older kernels such as this, and its value has {} \
                 bytes",
                map.value_size
            ),
            "make the value smaller on such kernels, or keep it in a hash map with the cgroup's id as the key".into(),
        )
    })
}

/// `arena_map_alloc`: all of an arena has addresses of 32 bits.
fn arena(map: &MapEvidence, evidence: &Evidence) -> Option<Limit> {
    let most = (4u64 << 30) / page_size(evidence)?;
    (map.map_type == "arena" && u64::from(map.max_entries) > most).then(|| {
        (
            format!(
                "an arena has at most 4 GiB, which are {most} pages here, and it has {}",
                map.max_entries
            ),
            "set max_entries, the number of pages, to less".into(),
        )
    })
}

/// The bytes of a page, where the kernel's configuration says so.
fn page_size(evidence: &Evidence) -> Option<u64> {
    match evidence.guest.machine.as_str() {
        "x86_64" | "riscv64" => Some(4096),
        "aarch64" => {
            let sizes = [
                ("ARM64_4K_PAGES", 4096),
                ("ARM64_16K_PAGES", 16 << 10),
                ("ARM64_64K_PAGES", 64 << 10),
            ];
            let on = |option| {
                evidence
                    .guest
                    .config
                    .get(option)
                    .is_some_and(|is| is == "y")
            };
            let (_, size) = sizes.into_iter().find(|(option, _)| on(*option))?;
            Some(size)
        }
        _ => None,
    }
}

/// A key and its value, or a value alone, are one allocation (`htab_map_alloc_check`,
/// `queue_stack_map_alloc_check`).
fn element(map: &MapEvidence, evidence: &Evidence) -> Option<Limit> {
    let kind = map.map_type.as_str();
    let size = match kind {
        _ if kind.contains("hash") => u64::from(map.key_size) + u64::from(map.value_size),
        "queue" | "stack" | "array" => u64::from(map.value_size),
        _ => return None,
    };
    let pages_of_4k = page_size(evidence)? == 4096;
    (pages_of_4k && size + ELEMENT_HEAD >= KMALLOC).then(|| {
        (
            format!(
                "one element ({size} bytes, key and value) must be smaller than KMALLOC_MAX_SIZE, \
                 which is 4 MiB here"
            ),
            "make the value smaller, or divide it over several entries: fewer entries do not help"
                .into(),
        )
    })
}

fn buckets(map: &MapEvidence) -> Option<Limit> {
    (map.map_type.contains("hash") && map.max_entries > BUCKETS).then(|| {
        (
            format!(
                "a hash map has at most {BUCKETS} entries, and it has {}",
                map.max_entries
            ),
            "use fewer entries".into(),
        )
    })
}

/// Memory was charged to the user in 32 bits (`bpf_map_charge_init`) until 5.11 left that to the
/// memory cgroup.
fn total(map: &MapEvidence, release: &str) -> Option<Limit> {
    if !history::is_older(release, "5.11") {
        return None;
    }
    let (key, value) = (u64::from(map.key_size), u64::from(map.value_size));
    let size = match map.map_type.as_str() {
        "queue" | "stack" => value * (u64::from(map.max_entries) + 1),
        // Elements that are not made before they are used are not charged.
        "hash" | "lru_hash" if map.flags & NO_PREALLOC == 0 => {
            let element = HASH_ELEMENT + key.next_multiple_of(8) + value.next_multiple_of(8);
            element * u64::from(map.max_entries)
        }
        kind if kind.ends_with("array") => value.next_multiple_of(8) * u64::from(map.max_entries),
        _ => return None,
    };
    (size >= u64::from(u32::MAX) - 4096).then(|| {
        (
            format!(
                "all its elements together ({size} bytes) must be smaller than 4 GiB before 5.11"
            ),
            "use fewer entries or smaller values on kernels before 5.11".into(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::exceeded;
    use ukci_schema::evidence::{Evidence, MapEvidence};

    fn why(kind: &str, key: u32, value: u32, entries: u32) -> String {
        let mut evidence = Evidence::default();
        evidence.guest.release = "6.12.117-amd64".into();
        evidence.guest.machine = "x86_64".into();
        evidence
            .guest
            .config
            .insert("NR_CPUS".into(), "8192".into());
        let map = MapEvidence {
            map_type: kind.into(),
            key_size: key,
            value_size: value,
            max_entries: entries,
            ..MapEvidence::default()
        };
        exceeded(&map, &evidence).0
    }

    #[test]
    fn each_limit_is_named_only_where_it_is_exceeded() {
        for (kind, key, value, entries, words) in [
            (
                "cpumap",
                4,
                4,
                16384,
                "CONFIG_NR_CPUS entries, which is 8192",
            ),
            ("hash", 4, 4 << 20, 2, "KMALLOC_MAX_SIZE"),
            ("queue", 0, 5 << 20, 1, "KMALLOC_MAX_SIZE"),
            ("percpu_array", 4, 40_000, 1, "32 KiB"),
            ("task_storage", 4, 70_000, 0, "smaller than 64 KiB"),
            ("hash", 4, 8, 1 << 28, "at most 134217728 entries"),
            ("arena", 0, 0, 2_000_000, "which are 1048576 pages here"),
        ] {
            assert!(why(kind, key, value, entries).contains(words), "{kind}");
        }
        for (kind, key, value, entries) in [
            ("cpumap", 4, 4, 8192),
            ("hash", 4, 3 << 20, 2),
            ("percpu_array", 4, 30_000, 1),
            ("task_storage", 4, 60_000, 0),
            ("hash", 4, 8, 1 << 27),
            ("array", 4, 8, u32::MAX),
            ("arena", 0, 0, 1 << 20),
        ] {
            let why = why(kind, key, value, entries);
            assert!(why.contains("does not say which"), "{kind}: {why}");
        }
        let array = MapEvidence {
            map_type: "array".into(),
            value_size: 4096,
            max_entries: 1 << 20,
            ..MapEvidence::default()
        };
        let on = |map: &MapEvidence, release: &str| {
            let mut evidence = Evidence::default();
            evidence.guest.release = release.into();
            exceeded(map, &evidence).0
        };
        let old = "5.10.0-46-amd64";
        assert!(on(&array, old).contains("4294967296 bytes"));
        assert!(on(&array, "6.1.0-56-amd64").contains("does not say which"));
        let mut hash = MapEvidence {
            map_type: "hash".into(),
            key_size: 8,
            value_size: 4096,
            max_entries: 3_000_000,
            ..MapEvidence::default()
        };
        assert!(on(&hash, old).contains("12456000000 bytes"));
        hash.flags = super::NO_PREALLOC;
        assert!(on(&hash, old).contains("does not say which"));
        let storage = MapEvidence {
            map_type: "cgroup_storage".into(),
            value_size: 8192,
            ..MapEvidence::default()
        };
        assert!(on(&storage, old).contains("must fit into a page"));
        let small = MapEvidence {
            value_size: 4096,
            ..storage.clone()
        };
        assert!(on(&small, old).contains("does not say which"));
        let large = MapEvidence {
            value_size: 70_000,
            ..storage
        };
        assert!(on(&large, old).contains("smaller than 64 KiB"));
    }
}
