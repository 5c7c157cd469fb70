//! Maps each program type to the function that attaches programs of that type.
//!
//! The table has an entry for every type that libbpf knows. Nothing is attached here.

use libbpf_sys as sys;

use super::{Attachment, Attempt, NotAttached, cgroup, device, socket, tracing};

/// A way to attach programs of one type.
pub(super) type AttachFn = for<'a> fn(&'a Attachment<'a>) -> Attempt<'a>;

/// One entry for each type that libbpf knows; `struct_ops` programs are attached by their maps.
const TABLE: &[(u32, AttachFn)] = &[
    (sys::BPF_PROG_TYPE_SOCKET_FILTER, socket::filter),
    (sys::BPF_PROG_TYPE_KPROBE, tracing::probe),
    (sys::BPF_PROG_TYPE_SCHED_CLS, device::classifier),
    (sys::BPF_PROG_TYPE_SCHED_ACT, device::action),
    (sys::BPF_PROG_TYPE_TRACEPOINT, tracing::named),
    (sys::BPF_PROG_TYPE_XDP, device::xdp),
    (sys::BPF_PROG_TYPE_PERF_EVENT, tracing::perf_event),
    (sys::BPF_PROG_TYPE_CGROUP_SKB, cgroup::attach),
    (sys::BPF_PROG_TYPE_CGROUP_SOCK, cgroup::attach),
    (sys::BPF_PROG_TYPE_LWT_IN, device::tunnel),
    (sys::BPF_PROG_TYPE_LWT_OUT, device::tunnel),
    (sys::BPF_PROG_TYPE_LWT_XMIT, device::tunnel),
    (sys::BPF_PROG_TYPE_SOCK_OPS, cgroup::attach),
    (sys::BPF_PROG_TYPE_SK_SKB, socket::map),
    (sys::BPF_PROG_TYPE_CGROUP_DEVICE, cgroup::attach),
    (sys::BPF_PROG_TYPE_SK_MSG, socket::map),
    (sys::BPF_PROG_TYPE_RAW_TRACEPOINT, tracing::named),
    (sys::BPF_PROG_TYPE_CGROUP_SOCK_ADDR, cgroup::attach),
    (sys::BPF_PROG_TYPE_LWT_SEG6LOCAL, device::tunnel),
    (sys::BPF_PROG_TYPE_LIRC_MODE2, no_receiver),
    (sys::BPF_PROG_TYPE_SK_REUSEPORT, socket::reuseport),
    (sys::BPF_PROG_TYPE_FLOW_DISSECTOR, socket::namespace),
    (sys::BPF_PROG_TYPE_CGROUP_SYSCTL, cgroup::attach),
    (sys::BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE, tracing::named),
    (sys::BPF_PROG_TYPE_CGROUP_SOCKOPT, cgroup::attach),
    (sys::BPF_PROG_TYPE_TRACING, tracing::named),
    (sys::BPF_PROG_TYPE_EXT, tracing::named),
    (sys::BPF_PROG_TYPE_LSM, tracing::lsm),
    (sys::BPF_PROG_TYPE_SK_LOOKUP, socket::namespace),
    (sys::BPF_PROG_TYPE_SYSCALL, tracing::run),
    (sys::BPF_PROG_TYPE_NETFILTER, socket::netfilter),
];

/// The way of a program type.
pub(super) fn of(kind: u32) -> AttachFn {
    TABLE
        .iter()
        .find(|(of, _)| *of == kind)
        .map_or(unknown, |(_, attach)| *attach)
}

fn no_receiver<'a>(_: &'a Attachment<'a>) -> Attempt<'a> {
    Err(NotAttached::NotAttempted(
        "the guest has no infrared receiver to attach to".into(),
    ))
}

fn unknown<'a>(attachment: &'a Attachment<'a>) -> Attempt<'a> {
    Err(NotAttached::NotAttempted(format!(
        "ukci knows no way to attach programs of type {}",
        attachment.program.kind_name()
    )))
}

#[cfg(test)]
mod tests {
    use super::{TABLE, sys};

    #[test]
    fn every_type_that_libbpf_knows_has_an_entry() {
        let mut kind = 1;
        // The first type without a name is one past the last.
        while !crate::bpf::program_type_name(kind).starts_with("type ") {
            let attached_by_map = kind == sys::BPF_PROG_TYPE_STRUCT_OPS;
            let entries = TABLE.iter().filter(|(of, _)| *of == kind).count();
            assert_eq!(
                entries,
                usize::from(!attached_by_map),
                "{}",
                crate::bpf::program_type_name(kind)
            );
            kind += 1;
        }
        assert!(kind > 32, "libbpf 1.7 knows 32 types");
    }
}
