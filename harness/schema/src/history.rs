//! Which mainline release brought a helper, a map type, a map flag, a program type, an attach
//! type, a kfunc.
//!
//! Vendors backport and configurations leave out, so none of this says what a given kernel has:
//! that is probed. It only explains (`mainline 5.17`).
//!
//! The facts are a table, `history.tsv`: kind, name, number in the UAPI, release, mainline commit.
//! Names, numbers and order are those of `include/uapi/linux/bpf.h` (as of 7.0, in libbpf 1.7);
//! release and commit are those that isovalent/ebpf-docs lists in `data/feature-versions.yaml`
//! (2026-07-17), read from the kernel's git. Three rows differ from it: `bpf_get_prandom_u32` is
//! of 4.1 (03e69b508b6f), `bpf_map_lookup_elem` and `bpf_map_update_elem` of 3.19 (d0003ec01c66).
//! The attach types from 6.4 on that it does not list were added here.

use std::sync::LazyLock;

/// One fact of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// `helper`, `map-type`, `map-flag`, `program-type`, `attach-type` or `kfunc`.
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

fn find(kind: &str, name: &str) -> Option<&'static str> {
    FACTS
        .iter()
        .find(|fact| fact.kind == kind && fact.name == name)
        .map(|fact| fact.release)
}

<<<<<<< HEAD
/// The release that brought a helper, e.g. `bpf_loop`.
pub fn helper(name: &str) -> Option<&'static str> {
    find("helper", name)
}
=======
const HELPERS: Table = &[
    ("3.19", "map_lookup_elem map_update_elem map_delete_elem"),
    (
        "4.1",
        "probe_read ktime_get_ns trace_printk get_prandom_u32 get_smp_processor_id skb_store_bytes l3_csum_replace l4_csum_replace",
    ),
    (
        "4.2",
        "tail_call clone_redirect get_current_pid_tgid get_current_uid_gid get_current_comm",
    ),
    (
        "4.3",
        "get_cgroup_classid skb_vlan_push skb_vlan_pop skb_get_tunnel_key skb_set_tunnel_key perf_event_read",
    ),
    ("4.4", "redirect get_route_realm perf_event_output"),
    ("4.5", "skb_load_bytes"),
    (
        "4.6",
        "get_stackid csum_diff skb_get_tunnel_opt skb_set_tunnel_opt",
    ),
    (
        "4.8",
        "skb_change_proto skb_change_type skb_under_cgroup get_hash_recalc get_current_task probe_write_user",
    ),
    (
        "4.9",
        "current_task_under_cgroup skb_change_tail skb_pull_data csum_update set_hash_invalid",
    ),
    ("4.10", "get_numa_node_id skb_change_head xdp_adjust_head"),
    ("4.11", "probe_read_str"),
    ("4.12", "get_socket_cookie get_socket_uid"),
    ("4.13", "set_hash setsockopt skb_adjust_room"),
    ("4.14", "redirect_map sk_redirect_map sock_map_update"),
    (
        "4.15",
        "xdp_adjust_meta perf_event_read_value perf_prog_read_value getsockopt",
    ),
    ("4.16", "override_return sock_ops_cb_flags_set"),
    (
        "4.17",
        "msg_redirect_map msg_apply_bytes msg_cork_bytes msg_pull_data bind",
    ),
    (
        "4.18",
        "xdp_adjust_tail skb_get_xfrm_state get_stack skb_load_bytes_relative fib_lookup sock_hash_update msg_redirect_hash sk_redirect_hash lwt_push_encap lwt_seg6_store_bytes lwt_seg6_adjust_srh lwt_seg6_action rc_repeat rc_keydown skb_cgroup_id get_current_cgroup_id",
    ),
    (
        "4.19",
        "get_local_storage sk_select_reuseport skb_ancestor_cgroup_id",
    ),
    (
        "4.20",
        "sk_lookup_tcp sk_lookup_udp sk_release map_push_elem map_pop_elem map_peek_elem msg_push_data",
    ),
    ("5.0", "msg_pop_data rc_pointer_rel"),
    (
        "5.1",
        "spin_lock spin_unlock sk_fullsock tcp_sock skb_ecn_set_ce get_listener_sock",
    ),
    (
        "5.2",
        "skc_lookup_tcp tcp_check_syncookie sysctl_get_name sysctl_get_current_value sysctl_get_new_value sysctl_set_new_value strtol strtoul sk_storage_get sk_storage_delete",
    ),
    ("5.3", "send_signal tcp_gen_syncookie"),
    (
        "5.5",
        "skb_output probe_read_user probe_read_kernel probe_read_user_str probe_read_kernel_str",
    ),
    ("5.6", "tcp_send_ack send_signal_thread jiffies64"),
    (
        "5.7",
        "read_branch_records get_ns_current_pid_tgid xdp_output get_netns_cookie get_current_ancestor_cgroup_id sk_assign",
    ),
    (
        "5.8",
        "ktime_get_boot_ns seq_printf seq_write sk_cgroup_id sk_ancestor_cgroup_id ringbuf_output ringbuf_reserve ringbuf_submit ringbuf_discard ringbuf_query csum_level",
    ),
    (
        "5.9",
        "skc_to_tcp6_sock skc_to_tcp_sock skc_to_tcp_timewait_sock skc_to_tcp_request_sock skc_to_udp6_sock get_task_stack",
    ),
    (
        "5.10",
        "load_hdr_opt store_hdr_opt reserve_hdr_opt inode_storage_get inode_storage_delete d_path copy_from_user snprintf_btf seq_printf_btf skb_cgroup_classid redirect_neigh per_cpu_ptr this_cpu_ptr redirect_peer",
    ),
    (
        "5.11",
        "task_storage_get task_storage_delete get_current_task_btf bprm_opts_set ktime_get_coarse_ns ima_inode_hash sock_from_file",
    ),
    ("5.12", "check_mtu"),
    ("5.13", "for_each_map_elem snprintf"),
    ("5.14", "sys_bpf btf_find_by_name_kind sys_close"),
    (
        "5.15",
        "timer_init timer_set_callback timer_start timer_cancel get_func_ip get_attach_cookie task_pt_regs",
    ),
    (
        "5.16",
        "get_branch_snapshot trace_vprintk skc_to_unix_sock kallsyms_lookup_name",
    ),
    (
        "5.17",
        "find_vma loop strncmp get_func_arg get_func_ret get_func_arg_cnt",
    ),
    (
        "5.18",
        "get_retval set_retval xdp_get_buff_len xdp_load_bytes xdp_store_bytes copy_from_user_task skb_set_tstamp ima_file_hash",
    ),
    (
        "5.19",
        "kptr_xchg map_lookup_percpu_elem skc_to_mptcp_sock dynptr_from_mem ringbuf_reserve_dynptr ringbuf_submit_dynptr ringbuf_discard_dynptr dynptr_read dynptr_write dynptr_data",
    ),
    (
        "6.0",
        "tcp_raw_gen_syncookie_ipv4 tcp_raw_gen_syncookie_ipv6 tcp_raw_check_syncookie_ipv4 tcp_raw_check_syncookie_ipv6",
    ),
    ("6.1", "ktime_get_tai_ns user_ringbuf_drain"),
    ("6.2", "cgrp_storage_get cgrp_storage_delete"),
];
>>>>>>> main

/// The release that brought a map type, e.g. `ringbuf`.
pub fn map_type(name: &str) -> Option<&'static str> {
    find("map-type", name)
}

/// The release that brought a program type, e.g. `sk_lookup`.
pub fn program_type(name: &str) -> Option<&'static str> {
    find("program-type", name)
}

<<<<<<< HEAD
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
=======
const KFUNCS: Table = &[
    ("5.18", "skb_ct_lookup xdp_ct_lookup ct_release"),
    (
        "6.2",
        "task_acquire task_release cgroup_acquire cgroup_release rcu_read_lock rcu_read_unlock obj_new_impl obj_drop_impl list_push_front_impl cast_to_kern_ctx rdonly_cast",
    ),
    (
        "6.3",
        "cpumask_create cpumask_release cpumask_set_cpu rbtree_add_impl",
    ),
    (
        "6.4",
        "dynptr_from_skb dynptr_from_xdp iter_num_new iter_num_next iter_num_destroy",
    ),
    ("6.7", "iter_task_new iter_css_new throw"),
    ("6.8", "get_file_xattr get_fsverity_digest"),
    ("6.9", "arena_alloc_pages arena_free_pages"),
    (
        "6.10",
        "wq_init wq_start session_is_return session_cookie preempt_disable",
    ),
];
>>>>>>> main

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{
        attach_type, facts, helper, is_older, kfunc, map_flags, map_type, program_type, series,
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
<<<<<<< HEAD
    fn the_table_is_whole() {
        let count = |kind| facts().iter().filter(|fact| fact.kind == kind).count();
        assert_eq!(count("helper"), 211);
        assert_eq!(count("map-type"), 34);
        assert_eq!(count("program-type"), 32);
        assert_eq!(count("attach-type"), 59);
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
        for kind in ["helper", "map-type", "program-type", "attach-type"] {
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
=======
    fn nothing_is_brought_twice_and_211_helpers_are_known() {
        for table in [HELPERS, MAP_TYPES, PROGRAM_TYPES, KFUNCS] {
            let mut names: Vec<&str> = table
                .iter()
                .flat_map(|(_, names)| names.split_ascii_whitespace())
                .collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all);
        }
        let helpers = HELPERS
            .iter()
            .flat_map(|(_, names)| names.split_ascii_whitespace());
        assert_eq!(helpers.count(), 211);
>>>>>>> main
    }
}
