//! Derives the program type from the name of a section, as libbpf does.

use super::ProgramType;

/// The word before the first `/`, without its `?`, and the type of such programs: `section_defs`
/// of libbpf 1.7. What ends in a dot and letters (`fentry.s`) is of the same type.
const SECTIONS: &[(&str, &str)] = &[
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
const CGROUP: &[(&str, &str)] = &[
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
const ADDRESS: &[&str] = &[
    "bind",
    "connect",
    "sendmsg",
    "recvmsg",
    "getpeername",
    "getsockname",
];

/// The type of the programs of a section; `None` if libbpf cannot tell.
pub fn program_type_of(section: &str) -> Option<ProgramType> {
    let section = section.trim_start_matches('?');
    let (hook, rest) = section.split_once('/').unwrap_or((section, ""));
    let word = match (hook, rest) {
        ("cgroup", rest) => {
            let address = ADDRESS.iter().any(|call| {
                let version = rest.strip_prefix(call);
                version.is_some_and(|version| ["4", "6", "_unix"].contains(&version))
            });
            let found = CGROUP.iter().find(|(word, _)| *word == rest);
            if address {
                "cgroup_sock_addr"
            } else {
                found?.1
            }
        }
        ("raw_tp.w" | "raw_tracepoint.w", _) => "raw_tracepoint_writable",
        (hook, _) => {
            let bare = hook.split('.').next().unwrap_or(hook);
            SECTIONS.iter().find(|(word, _)| *word == bare)?.1
        }
    };
    ProgramType::named(word)
}
