//! Kernel memory that a program reads through BTF.

use super::rejection::Rejection;
use super::words::{self, bytes};

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    // `only read from bpf_htab is supported`, `bpf_array invalid map type`: the map, not a value of it
    // (`check_ptr_to_map_access`).
    let of_map = (rejection.state()).is_some_and(|state| words::is_map(state.kind));
    if rejection.says("only read from ") || (of_map && rejection.says("invalid map type")) {
        return vec![
            "call `bpf_map_lookup_elem` and use what it returns: this is the map itself, which programs can \
             only pass to helpers"
                .into(),
        ];
    }
    if rejection.says("only read is supported") || rejection.says("Only read is supported") {
        let what = rejection.state().map_or_else(
            || "memory of the kernel".into(),
            |state| format!("memory of the kernel, through {}", words::kind(state.kind)),
        );
        return vec![format!(
            "do not write to {what}: programs can only read it, and change it by helpers and kfuncs that \
             are made for it"
        )];
    }
    // `no write support to tcp_sock at off 4`, of `struct_ops` programs.
    if let Some((_, rest)) = rejection.sentence.split_once("no write support to ") {
        let name = rest.split(' ').next().unwrap_or_default();
        return vec![format!(
            "do not write to this member: of `struct {name}`, the kernel lets these programs write only the \
             members that it lists, and others are changed by helpers such as `bpf_setsockopt`"
        )];
    }
    if rejection.says("access user memory") {
        return vec![
            "read it with `bpf_probe_read_user` or `bpf_copy_from_user`: the pointer leads to memory of \
             user space"
                .into(),
        ];
    }
    if rejection.says("access percpu memory") {
        return vec![
            "take the copy of one CPU first, with `bpf_per_cpu_ptr` or `bpf_this_cpu_ptr`: the pointer leads \
             to per-CPU memory"
                .into(),
        ];
    }
    if rejection.says("invalid negative access") || rejection.says("invalid variable offset") {
        return vec![
            "read kernel memory at such an offset with `bpf_probe_read_kernel`: through a typed pointer only \
             constant offsets of its members can be read"
                .into(),
        ];
    }
    let beyond = rejection.says("access beyond struct ")
        || rejection.says("access beyond the end of member");
    let inside =
        rejection.says("cannot access ptr member") || rejection.says("invalid access to struct");
    if !beyond && !inside {
        return Vec::new();
    }
    let name = rejection
        .sentence
        .split_once("struct ")
        .and_then(|(_, rest)| rest.split(' ').next());
    let name = name.unwrap_or("it");
    let offset = rejection
        .number(" at off ")
        .or_else(|| rejection.number(" off "));
    let access = match offset.zip(rejection.number(" size ")) {
        Some((offset, size)) => format!("{} at offset {offset}", bytes(size)),
        None => rejection.place().map_or_else(
            || "the access".into(),
            |place| {
                format!(
                    "{} at offset {}",
                    bytes(i64::from(place.size)),
                    place.offset
                )
            },
        ),
    };
    let lies = if rejection.says("access beyond struct ") {
        "and the struct ends before"
    } else {
        "where it has a member of another size"
    };
    vec![
        format!(
            "declare `struct {name}` with `__attribute__((preserve_access_index))`, as `vmlinux.h` does: \
             libbpf then moves the access to where this kernel has the field. Now it reads {access}, {lies}"
        ),
        "look the struct up in this kernel with `ukci shell` and `bpftool btf dump`".into(),
    ]
}
