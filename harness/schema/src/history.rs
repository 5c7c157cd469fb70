//! Which mainline release brought a helper, a map type, a map flag, a program type, an attach
//! type, a link type, a kfunc.
//!
//! Vendors backport and configurations leave out, so none of this says what a given kernel has:
//! that is probed. It only explains (`mainline 5.17`).
//!
//! The facts are a table, `history.tsv`: kind, name, number in the UAPI, release, mainline commit.
//! Names, numbers and order are those of `include/uapi/linux/bpf.h` (as of 7.0, in libbpf 1.7);
//! release and commit are those that isovalent/ebpf-docs lists in `data/feature-versions.yaml`
//! (2026-07-17), read from the kernel's git. Three rows differ from it: `bpf_get_prandom_u32` is
//! of 4.1 (03e69b508b6f), `bpf_map_lookup_elem` and `bpf_map_update_elem` of 3.19 (d0003ec01c66).
//! The attach types from 6.4 on that it does not list were added here, and so were the link types
//! and `token_create`, by the first release in which one can be made (the UAPI header of 5.19 names
//! the link of `struct_ops` already, for the kernel's own use).

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// One fact of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// `helper`, `map-type`, `map-flag`, `program-type`, `attach-type`, `link-type`, `command` or
    /// `kfunc`.
    pub kind: &'static str,
    /// As libbpf and bpftool print it; helpers and kfuncs with their `bpf_`.
    pub name: &'static str,
    /// Its number in the UAPI; of a flag the bit, counted from 0. Kfuncs have none.
    pub number: Option<u32>,
    /// The mainline release that brought it, e.g. `5.17`.
    pub release: &'static str,
    /// The first twelve digits of the commit that did, where it is known.
    pub commit: Option<&'static str>,
}

static FACTS: LazyLock<Vec<Fact>> = LazyLock::new(|| {
    include_str!("history.tsv")
        .lines()
        .filter_map(row)
        .collect()
});

fn row(line: &'static str) -> Option<Fact> {
    let mut columns = line.split('\t');
    Some(Fact {
        kind: columns.next()?,
        name: columns.next()?,
        number: columns.next()?.parse().ok(),
        release: columns.next()?,
        commit: columns.next().filter(|commit| *commit != "-"),
    })
}

/// The whole table, by kind and number.
pub fn facts() -> &'static [Fact] {
    &FACTS
}

static NAMES: LazyLock<BTreeMap<&'static str, Vec<&'static str>>> = LazyLock::new(|| {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for fact in facts() {
        names.entry(fact.kind).or_default().push(fact.name);
    }
    names
});

/// The names of all things of a kind, in the order of their numbers.
pub fn names(kind: &str) -> &'static [&'static str] {
    NAMES.get(kind).map_or(&[], Vec::as_slice)
}

/// The number of a helper.
pub fn helper_id(name: &str) -> Option<u32> {
    let is = |fact: &&Fact| fact.kind == "helper" && fact.name == name;
    facts().iter().find(is)?.number
}

/// The name of a helper. Number 0 is `bpf_unspec`, which is none.
pub fn helper_name(id: u32) -> Option<&'static str> {
    let is = |fact: &&Fact| fact.kind == "helper" && fact.number == Some(id);
    facts().iter().find(is).map(|fact| fact.name)
}

fn find(kind: &str, name: &str) -> Option<&'static str> {
    FACTS
        .iter()
        .find(|fact| fact.kind == kind && fact.name == name)
        .map(|fact| fact.release)
}

/// The release that brought a helper, e.g. `bpf_loop`.
pub fn helper(name: &str) -> Option<&'static str> {
    find("helper", name)
}

/// The release that brought a map type, e.g. `ringbuf`.
pub fn map_type(name: &str) -> Option<&'static str> {
    find("map-type", name)
}

/// The release that brought a program type, e.g. `sk_lookup`.
pub fn program_type(name: &str) -> Option<&'static str> {
    find("program-type", name)
}

/// The release that brought an attach type, e.g. `trace_kprobe_multi`.
pub fn attach_type(name: &str) -> Option<&'static str> {
    find("attach-type", name)
}

/// The release that brought a kfunc, e.g. `bpf_cpumask_create`.
pub fn kfunc(name: &str) -> Option<&'static str> {
    find("kfunc", name)
}

/// The flags of `BPF_MAP_CREATE` that are set in `flags`, lowest bit first.
pub fn map_flags(flags: u32) -> Vec<Fact> {
    let set = |fact: &&Fact| fact.number.is_some_and(|bit| flags >> bit & 1 == 1);
    FACTS
        .iter()
        .filter(|fact| fact.kind == "map-flag")
        .filter(set)
        .copied()
        .collect()
}

/// Major and minor number of a mainline release or of `uname -r`: `6.1.0-56-amd64` is `(6, 1)`.
pub fn series(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Whether the kernel of `uname -r` is older than a mainline release. Vendors backport: this can
/// explain a refusal, never foretell one.
pub fn is_older(uname: &str, release: &str) -> bool {
    series(uname)
        .zip(series(release))
        .is_some_and(|(kernel, brought)| kernel < brought)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        attach_type, facts, helper, helper_id, helper_name, is_older, kfunc, map_flags, map_type,
        names, program_type, series,
    };

    #[test]
    fn known_facts() {
        assert_eq!(helper("bpf_loop"), Some("5.17"));
        assert_eq!(helper("bpf_ringbuf_reserve"), Some("5.8"));
        assert_eq!(helper("bpf_probe_read_kernel"), Some("5.5"));
        assert_eq!(helper("bpf_for_each_map_elem"), Some("5.13"));
        assert_eq!(helper("bpf_cgrp_storage_delete"), Some("6.2"));
        assert_eq!(helper("bpf_nonsense"), None);
        assert_eq!(map_type("ringbuf"), Some("5.8"));
        assert_eq!(map_type("bloom_filter"), Some("5.16"));
        assert_eq!(map_type("user_ringbuf"), Some("6.1"));
        assert_eq!(map_type("cgrp_storage"), Some("6.2"));
        assert_eq!(map_type("arena"), Some("6.9"));
        assert_eq!(program_type("syscall"), Some("5.14"));
        assert_eq!(program_type("netfilter"), Some("6.4"));
        assert_eq!(attach_type("trace_kprobe_multi"), Some("5.18"));
        assert_eq!(attach_type("tcx_ingress"), Some("6.6"));
        assert_eq!(attach_type("trace_uprobe_session"), Some("6.13"));
        assert_eq!(kfunc("bpf_cpumask_create"), Some("6.3"));
        assert_eq!(kfunc("bpf_rcu_read_lock"), Some("6.2"));
        assert_eq!(kfunc("bpf_iter_bits_new"), Some("6.11"));
        let names: Vec<_> = map_flags(1 | 1 << 13)
            .iter()
            .map(|flag| flag.name)
            .collect();
        assert_eq!(names, ["BPF_F_NO_PREALLOC", "BPF_F_LINK"]);
    }

    #[test]
    fn the_table_is_whole() {
        let count = |kind| facts().iter().filter(|fact| fact.kind == kind).count();
        assert_eq!(count("helper"), 211);
        assert_eq!(count("map-type"), 34);
        assert_eq!(count("program-type"), 32);
        assert_eq!(count("attach-type"), 59);
        assert_eq!(count("link-type"), 14);
        assert!(count("kfunc") > 300);
        assert_eq!(facts().len(), include_str!("history.tsv").lines().count());
        let names: BTreeSet<_> = facts().iter().map(|fact| (fact.kind, fact.name)).collect();
        assert_eq!(names.len(), facts().len(), "a name stands twice");
        for fact in facts() {
            assert!(series(fact.release).is_some(), "{fact:?}");
            assert!(
                fact.commit.is_none_or(|commit| commit.len() == 12),
                "{fact:?}"
            );
            assert_eq!(fact.number.is_none(), fact.kind == "kfunc", "{fact:?}");
        }
    }

    /// Numbers are given in the order in which things are merged, so a later number in an earlier
    /// release is a mistake of the table.
    #[test]
    fn later_numbers_come_with_later_releases() {
        for kind in [
            "helper",
            "map-type",
            "program-type",
            "attach-type",
            "link-type",
        ] {
            let mut of_kind: Vec<_> = facts().iter().filter(|fact| fact.kind == kind).collect();
            of_kind.sort_by_key(|fact| fact.number);
            for pair in of_kind.windows(2) {
                assert!(
                    series(pair[0].release) <= series(pair[1].release),
                    "{pair:?}"
                );
                assert_ne!(pair[0].number, pair[1].number, "{pair:?}");
            }
        }
    }

    #[test]
    fn helpers_are_found_by_name_and_by_number() {
        // The five that bpfcompat knows by name, and the ends of the list.
        for (name, id) in [
            ("bpf_map_lookup_elem", 1),
            ("bpf_probe_read_kernel", 113),
            ("bpf_ringbuf_output", 130),
            ("bpf_ringbuf_reserve", 131),
            ("bpf_get_current_task_btf", 158),
            ("bpf_loop", 181),
            ("bpf_cgrp_storage_delete", 211),
        ] {
            assert_eq!(helper_id(name), Some(id));
            assert_eq!(helper_name(id), Some(name));
        }
        assert_eq!(helper_id("bpf_unspec"), None);
        assert_eq!((helper_name(0), helper_name(212)), (None, None));
        assert_eq!(names("helper").len(), 211);
        assert_eq!(names("helper")[180], "bpf_loop");
        assert_eq!(names("nonsense"), [""; 0]);
    }

    #[test]
    fn helpers_are_numbered_without_a_gap() {
        let numbers: BTreeSet<_> = facts()
            .iter()
            .filter(|fact| fact.kind == "helper")
            .filter_map(|f| f.number)
            .collect();
        assert_eq!(numbers, (1..=211).collect());
    }

    #[test]
    fn releases_are_compared_by_numbers() {
        assert!(is_older("6.1.0-56-amd64", "6.10"));
        assert!(!is_older("6.12.107+deb13-cloud-amd64", "6.2"));
        assert!(is_older("5.10.0-46-cloud-amd64", "5.17"));
        assert!(!is_older("7.3-cloud-amd64", "7.0"));
        assert!(!is_older("strange", "7.0"));
    }
}
