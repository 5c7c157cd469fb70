//! Memory of the kernel that a program reads through BTF.

use super::scene::Scene;
use super::words::{self, bytes};

pub(super) fn hints(scene: &Scene<'_>) -> Vec<String> {
    if scene.says("only read is supported") || scene.says("Only read is supported") {
        let what = scene.state().map_or_else(
            || "memory of the kernel".into(),
            |state| format!("memory of the kernel, through {}", words::kind(state.kind)),
        );
        return vec![format!(
            "do not write to {what}: programs can only read it, and change it by helpers and kfuncs that \
             are made for it"
        )];
    }
    if scene.says("access user memory") {
        return vec![
            "read it with `bpf_probe_read_user` or `bpf_copy_from_user`: the pointer leads to memory of \
             user space"
                .into(),
        ];
    }
    if scene.says("access percpu memory") {
        return vec![
            "take the copy of one CPU first, with `bpf_per_cpu_ptr` or `bpf_this_cpu_ptr`: the pointer leads \
             to per-CPU memory"
                .into(),
        ];
    }
    if scene.says("invalid negative access") || scene.says("invalid variable offset") {
        return vec![
            "read kernel memory at such an offset with `bpf_probe_read_kernel`: through a typed pointer only \
             constant offsets of its members can be read"
                .into(),
        ];
    }
    let beyond =
        scene.says("access beyond struct ") || scene.says("access beyond the end of member");
    let inside = scene.says("cannot access ptr member") || scene.says("invalid access to struct");
    if !beyond && !inside {
        return Vec::new();
    }
    let name = scene
        .sentence
        .split_once("struct ")
        .and_then(|(_, rest)| rest.split(' ').next());
    let name = name.unwrap_or("it");
    let offset = scene.number(" at off ").or_else(|| scene.number(" off "));
    let access = match offset.zip(scene.number(" size ")) {
        Some((offset, size)) => format!("{} at offset {offset}", bytes(size)),
        None => scene.place().map_or_else(
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
    let lies = if scene.says("access beyond struct ") {
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
