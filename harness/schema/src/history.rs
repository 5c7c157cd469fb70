//! Which mainline release brought a helper, a map type, a program type, a kfunc.
//!
//! Vendors backport, so none of this says what a given kernel has. Sources: the kernel's own
//! history of `include/uapi/linux/bpf.h`, and for kfuncs of their `BTF_ID_FLAGS` registrations.

/// The release that brought a helper.
pub fn helper(name: &str) -> Option<&'static str> {
    let name = name.strip_prefix("bpf_")?;
    find(HELPERS, name)
}

/// The release that brought a map type.
pub fn map_type(name: &str) -> Option<&'static str> {
    find(MAP_TYPES, name)
}

/// The release that brought a program type.
pub fn program_type(name: &str) -> Option<&'static str> {
    find(PROGRAM_TYPES, name)
}

/// The release that brought a kfunc; only those that objects of the field use.
pub fn kfunc(name: &str) -> Option<&'static str> {
    find(KFUNCS, name.strip_prefix("bpf_")?)
}

/// Release, and the names it brought.
type Table = &'static [(&'static str, &'static str)];

fn find(table: Table, name: &str) -> Option<&'static str> {
    table
        .iter()
        .find(|(_, names)| names.split_ascii_whitespace().any(|known| known == name))
        .map(|(release, _)| *release)
}

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

const MAP_TYPES: Table = &[
    ("3.19", "hash array"),
    ("4.2", "prog_array"),
    ("4.3", "perf_event_array"),
    ("4.6", "percpu_hash percpu_array stack_trace"),
    ("4.8", "cgroup_array"),
    ("4.10", "lru_hash lru_percpu_hash"),
    ("4.11", "lpm_trie"),
    ("4.12", "array_of_maps hash_of_maps"),
    ("4.14", "devmap sockmap"),
    ("4.15", "cpumap"),
    ("4.18", "xskmap sockhash"),
    ("4.19", "cgroup_storage reuseport_sockarray"),
    ("4.20", "percpu_cgroup_storage queue stack"),
    ("5.2", "sk_storage"),
    ("5.4", "devmap_hash"),
    ("5.6", "struct_ops"),
    ("5.8", "ringbuf"),
    ("5.10", "inode_storage"),
    ("5.11", "task_storage"),
    ("5.16", "bloom_filter"),
    ("6.1", "user_ringbuf"),
    ("6.2", "cgrp_storage"),
    ("6.9", "arena"),
];

const PROGRAM_TYPES: Table = &[
    ("3.19", "socket_filter"),
    ("4.1", "kprobe sched_cls sched_act"),
    ("4.7", "tracepoint"),
    ("4.8", "xdp"),
    ("4.9", "perf_event"),
    ("4.10", "cgroup_skb cgroup_sock lwt_in lwt_out lwt_xmit"),
    ("4.13", "sock_ops"),
    ("4.14", "sk_skb"),
    ("4.15", "cgroup_device"),
    ("4.17", "sk_msg raw_tracepoint cgroup_sock_addr"),
    ("4.18", "lwt_seg6local lirc_mode2"),
    ("4.19", "sk_reuseport"),
    ("4.20", "flow_dissector"),
    ("5.2", "cgroup_sysctl raw_tracepoint_writable"),
    ("5.3", "cgroup_sockopt"),
    ("5.5", "tracing"),
    ("5.6", "struct_ops ext"),
    ("5.7", "lsm"),
    ("5.9", "sk_lookup"),
    ("5.14", "syscall"),
    ("6.4", "netfilter"),
];

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

#[cfg(test)]
mod tests {
    use super::{HELPERS, KFUNCS, MAP_TYPES, PROGRAM_TYPES, helper, kfunc, map_type};

    #[test]
    fn known_facts() {
        assert_eq!(helper("bpf_loop"), Some("5.17"));
        assert_eq!(helper("bpf_ringbuf_reserve"), Some("5.8"));
        assert_eq!(helper("bpf_nonsense"), None);
        assert_eq!(map_type("bloom_filter"), Some("5.16"));
        assert_eq!(map_type("arena"), Some("6.9"));
        assert_eq!(kfunc("bpf_cpumask_create"), Some("6.3"));
    }

    #[test]
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
    }
}
