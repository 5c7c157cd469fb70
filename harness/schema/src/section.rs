//! The names of sections that libbpf knows programs by.

/// The word before the first `/`, without its `?`, and the type of such programs: `section_defs`
/// of libbpf 1.7. What ends in a dot and letters (`fentry.s`) is of the same type.
pub const SECTIONS: &[(&str, &str)] = &[
    ("socket", "socket_filter"),
    ("sk_reuseport", "sk_reuseport"),
    ("kprobe", "kprobe"),
    ("kretprobe", "kprobe"),
    ("ksyscall", "kprobe"),
    ("kretsyscall", "kprobe"),
    ("uprobe", "kprobe"),
    ("uretprobe", "kprobe"),
    ("usdt", "kprobe"),
    ("tc", "sched_cls"),
    ("tcx", "sched_cls"),
    ("netkit", "sched_cls"),
    ("classifier", "sched_cls"),
    ("action", "sched_act"),
    ("tracepoint", "tracepoint"),
    ("tp", "tracepoint"),
    ("raw_tracepoint", "raw_tracepoint"),
    ("raw_tp", "raw_tracepoint"),
    ("tp_btf", "tracing"),
    ("fentry", "tracing"),
    ("fexit", "tracing"),
    ("fmod_ret", "tracing"),
    ("fsession", "tracing"),
    ("iter", "tracing"),
    ("freplace", "ext"),
    ("lsm", "lsm"),
    ("lsm_cgroup", "lsm"),
    ("syscall", "syscall"),
    ("xdp", "xdp"),
    ("perf_event", "perf_event"),
    ("lwt_in", "lwt_in"),
    ("lwt_out", "lwt_out"),
    ("lwt_xmit", "lwt_xmit"),
    ("lwt_seg6local", "lwt_seg6local"),
    ("sockops", "sock_ops"),
    ("sk_skb", "sk_skb"),
    ("sk_msg", "sk_msg"),
    ("lirc_mode2", "lirc_mode2"),
    ("flow_dissector", "flow_dissector"),
    ("cgroup_skb", "cgroup_skb"),
    ("sk_lookup", "sk_lookup"),
    ("netfilter", "netfilter"),
    ("struct_ops", "struct_ops"),
];

/// The same for what follows `cgroup/`; `bind4`, `connect6` and their like are of one type.
pub const CGROUP: &[(&str, &str)] = &[
    ("skb", "cgroup_skb"),
    ("sock", "cgroup_sock"),
    ("sock_create", "cgroup_sock"),
    ("sock_release", "cgroup_sock"),
    ("post_bind4", "cgroup_sock"),
    ("post_bind6", "cgroup_sock"),
    ("sysctl", "cgroup_sysctl"),
    ("getsockopt", "cgroup_sockopt"),
    ("setsockopt", "cgroup_sockopt"),
    ("dev", "cgroup_device"),
];

/// What stands before `4`, `6` or `_unix` in the sections of socket address programs.
pub const ADDRESSES: &[&str] = &[
    "bind",
    "connect",
    "sendmsg",
    "recvmsg",
    "getpeername",
    "getsockname",
];
