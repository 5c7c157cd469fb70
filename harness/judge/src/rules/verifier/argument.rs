//! Calls of helpers: what they were given, and whether they may be called here at all.

use super::rejection::Rejection;
use super::{held, words};
use crate::verifier_log::Origin;
use ukci_schema::evidence::MapEvidence;
use ukci_schema::history;

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let families = [
        allow_list,
        wrong_type,
        wrong_map,
        tail_call,
        constant_text,
        without_key,
    ];
    let spoken = families.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

/// The headline's words for a helper with a list of functions that may call it: the verifier does
/// not name it.
pub(super) fn not_allowed(rejection: &Rejection<'_>) -> Option<String> {
    if !rejection.says("helper call is not allowed in probe") {
        return None;
    }
    let helper = rejection.helper()?;
    let target = rejection
        .case
        .program
        .target
        .as_deref()
        .unwrap_or(rejection.case.section());
    Some(format!(
        "the kernel does not allow {helper} in a program on `{target}` ({})",
        rejection.sentence
    ))
}

fn allow_list(rejection: &Rejection<'_>) -> Vec<String> {
    if !rejection.says("helper call is not allowed in probe") {
        return Vec::new();
    }
    // `btf_allowlist_d_path`, `bpf_ima_inode_hash_allowed`, `bpf_sk_storage_tracing_allowed`.
    let rule = match rejection.trace.callee() {
        Some("bpf_d_path") => {
            "attach to a function for which the kernel allows `bpf_d_path`, such as `filp_close`, \
             `dentry_open`, `vfs_truncate`, `vfs_fallocate` or `security_file_open`, to an LSM hook \
             that may sleep, or to an iterator"
        }
        Some("bpf_ima_inode_hash" | "bpf_ima_file_hash") => {
            "attach to an LSM hook that may sleep (`lsm.s/…`): the kernel allows this helper there \
             only"
        }
        Some("bpf_sk_storage_get" | "bpf_sk_storage_delete") => {
            "attach to a function that is not part of socket storage itself: the kernel does not \
             allow this helper there"
        }
        _ => {
            "attach to another function: this helper has a list of the functions that it may be \
             called from"
        }
    };
    let mut found = vec![rule.to_owned()];
    if rejection.trace.callee() == Some("bpf_d_path") {
        found.push(
            "or read the names of the path with BPF_CORE_READ (`path->dentry->d_name.name`)".into(),
        );
    }
    found
}

/// `R2 type=scalar expected=fp, pkt, pkt_meta, map_key, map_value`.
fn wrong_type(rejection: &Rejection<'_>) -> Vec<String> {
    let said = rejection
        .sentence
        .split_once("type=")
        .and_then(|(_, rest)| {
            let (got, rest) = rest.split_once(' ')?;
            Some((got, rest.strip_prefix("expected=")?))
        });
    let (Some((got, expected)), Some(register), Some(helper)) =
        (said, rejection.named(), rejection.helper())
    else {
        return Vec::new();
    };
    let released = held::released(rejection);
    if !released.is_empty() {
        return released;
    }
    let place = format!("argument {register} of {helper}");
    if got.ends_with("_or_null") || got.contains("or_null_") {
        // Before 7.3 an inner map that was looked up is printed as a value.
        let got = if expected == "map_ptr" {
            "map_ptr_or_null"
        } else {
            got
        };
        return vec![format!(
            "compare the pointer with NULL before it becomes {place}: it is {}",
            words::kind(got)
        )];
    }
    let first = expected.split(", ").next().unwrap_or_default();
    let is_memory = expected
        .split(", ")
        .any(|kind| kind == "fp" || kind == "map_value");
    let got_words = words::kind(got);
    if is_memory && matches!(got, "inv" | "scalar") {
        let source = match rejection.trace.origin(register) {
            Some(Origin::Call(name)) => format!("what `{name}` returned, which is a number"),
            Some(Origin::Load("ctx")) => "an argument from the context, which is a number".into(),
            Some(Origin::Load(from)) => {
                format!("a number that was read from {}", words::kind(from))
            }
            _ => "a number".into(),
        };
        return vec![format!(
            "pass memory of the program (its stack or a map value) as {place}: here it is {source} to \
             the verifier. Copy kernel memory there first, with `bpf_probe_read_kernel`"
        )];
    }
    let wanted = words::kind(first);
    if let Some(hint) = socket_map_value(rejection, register) {
        return vec![hint];
    }
    if got == "arena" {
        return vec![format!(
            "copy the bytes to the stack or to a map value, and pass that as {place}: here it is {got_words}, and \
             helpers cannot follow it"
        )];
    }
    if got == "scalar" || got == "inv" {
        let task = Origin::Call("bpf_get_current_task");
        if first.contains("ptr_") && rejection.trace.origin(register) == Some(task) {
            return vec![format!(
                "call `bpf_get_current_task_btf` (mainline {}) for {place}: what `bpf_get_current_task` \
                 returns is a number to the verifier",
                history::helper("bpf_get_current_task_btf").unwrap_or("5.11")
            )];
        }
    }
    let more = if expected.contains(", ") {
        ", or what else it accepts,"
    } else {
        ""
    };
    let mut found = vec![format!(
        "pass {wanted}{more} as {place}: here it is {got_words}"
    )];
    // What such programs get is an array, in which the pointer that is wanted may be.
    let kind = rejection.case.program.program_type.as_str();
    if got == "ctx" && matches!(kind, "tracing" | "lsm" | "struct_ops" | "raw_tracepoint") {
        found.push(
            "declare the function with `BPF_PROG(name, …)`, which gives the arguments names: the context of this \
             program is an array of them"
                .into(),
        );
    }
    found
}

/// A sockmap or sockhash that a program updates with the general helper: its value is a socket.
fn socket_map_value(rejection: &Rejection<'_>, register: u8) -> Option<String> {
    let updates = rejection.trace.callee() == Some("bpf_map_update_elem") && register == 3;
    let is_of_sockets = |map: &MapEvidence| matches!(&*map.map_type, "sockmap" | "sockhash");
    let map = (rejection.trace.register(1))
        .and_then(|register| rejection.map(register))
        .or_else(|| rejection.only(is_of_sockets))
        .filter(|map| updates && is_of_sockets(map))?;
    Some(format!(
        "update map `{}` from user space, where the value is the socket's descriptor, or in a `sock_ops` program with \
         `{}`: in a program, a value of a `{}` map is a socket and no number",
        map.name,
        match &*map.map_type {
            "sockhash" => "bpf_sock_hash_update",
            _ => "bpf_sock_map_update",
        },
        map.map_type
    ))
}

/// `R3 does not point to a readonly map'`, `string is not zero-terminated`, `Invalid format string`:
/// arguments that must be text that nobody can change.
fn constant_text(rejection: &Rejection<'_>) -> Vec<String> {
    let helper = rejection.helper().unwrap_or_else(|| "the helper".into());
    if rejection.says("Invalid format string") || rejection.says("invalid format string") {
        return vec![
            format!(
                "write only what {helper} can print into its format: %d, %i, %u, %x, %X with `l` or `ll`, %c, %s, \
                 %p and the kernel's %pK, %px, %ps, %pS, %pB, %pi4, %pI4, %pi6, %pI6, and nothing for floating \
                 point"
            ),
            "give as many arguments as the format has specifiers, 8 bytes for each".into(),
        ];
    }
    let number = |register: u8| format!("argument {register} of {helper}");
    let place = (rejection.named()).map_or_else(|| format!("the text for {helper}"), number);
    if rejection.says("does not point to a readonly map") {
        let here = (rejection.state())
            .filter(|state| state.kind == "map_value")
            .map_or_else(String::new, |state| {
                format!(", and here it is {}", rejection.region(state))
            });
        return vec![format!(
            "pass a text that cannot change as {place}, such as `static const char text[] = \"…\"`, which lies in \
             `.rodata`: the verifier reads it when the program is loaded{here}"
        )];
    }
    if rejection.says("is not a constant address") {
        return vec![format!(
            "pass the text at a constant place as {place}: an index that is known at run time only is not taken"
        )];
    }
    if rejection.says("string is not zero-terminated") {
        return vec![format!("end the text that is {place} with a zero byte")];
    }
    Vec::new()
}

/// `invalid zero-sized read`, of a map without keys.
fn without_key(rejection: &Rejection<'_>) -> Vec<String> {
    let is_key = matches!(
        rejection.trace.callee(),
        Some("bpf_map_lookup_elem" | "bpf_map_update_elem" | "bpf_map_delete_elem")
    );
    let map = rejection
        .trace
        .register(1)
        .and_then(|register| rejection.map(register))
        .filter(|map| map.key_size == 0 && is_key && rejection.says("zero-sized"));
    map.map_or_else(Vec::new, |map| {
        vec![format!(
            "use the helpers that are made for `{}` maps: map `{}` has no keys, so nothing can be looked up, \
             updated or deleted by one",
            map.map_type, map.name
        )]
    })
}

/// `kernel subsystem misconfigured verifier`, which the kernel says of a tail call through a map that is
/// no program array (`check_map_func_compatibility` comes after `check_func_arg`).
fn tail_call(rejection: &Rejection<'_>) -> Vec<String> {
    let said = rejection.says("misconfigured verifier") || rejection.says("expected prog array");
    let is_so = said && rejection.trace.callee() == Some("bpf_tail_call");
    let map = rejection
        .trace
        .register(2)
        .and_then(|register| rejection.map(register))
        .or_else(|| rejection.only(|map| map.map_type != "prog_array"))
        .filter(|map| is_so && map.map_type != "prog_array");
    map.map_or_else(Vec::new, |map| {
        vec![format!(
            "pass a `prog_array` map to `bpf_tail_call`: map `{}` is of type `{}`",
            map.name, map.map_type
        )]
    })
}

/// `cannot pass map_type 1 into func bpf_ringbuf_output#130`.
fn wrong_map(rejection: &Rejection<'_>) -> Vec<String> {
    // Map types with a `map_for_each_callback`.
    if rejection.says("callback function not allowed for map") {
        let passed = (rejection.trace.register(1)).and_then(|register| rejection.map(register));
        let here = passed.map_or_else(String::new, |map| {
            format!(": map `{}` is of type `{}`", map.name, map.map_type)
        });
        return vec![format!(
            "pass a hash or an array, which `bpf_for_each_map_elem` can walk (per-CPU and LRU ones too){here}"
        )];
    }
    let (Some(number), Some(helper)) = (
        rejection.number("cannot pass map_type "),
        rejection.helper(),
    ) else {
        return Vec::new();
    };
    let name = u32::try_from(number).ok().and_then(map_type);
    let given = name.map_or_else(|| format!("type {number}"), |name| format!("type `{name}`"));
    let of_type = || rejection.only(|map| Some(map.map_type.as_str()) == name);
    let passed = rejection
        .trace
        .register(1)
        .and_then(|register| rejection.map(register));
    let map = passed
        .or_else(of_type)
        .map_or_else(|| "this map".into(), |map| format!("map `{}`", map.name));
    let takes = rejection.trace.callee().and_then(maps_of);
    vec![match takes {
        Some(takes) => format!("pass a {takes} map to {helper}: {map} is of {given}"),
        None => format!("pass a map of another type to {helper}, which takes no map of {given}"),
    }]
}

fn map_type(number: u32) -> Option<&'static str> {
    let is = |fact: &&history::Fact| fact.kind == "map-type" && fact.number == Some(number);
    history::facts().iter().find(is).map(|fact| fact.name)
}

/// The map types that a helper takes (`check_map_func_compatibility` of kernel/bpf/verifier.c).
fn maps_of(helper: &str) -> Option<&'static str> {
    Some(match helper {
        "bpf_ringbuf_output"
        | "bpf_ringbuf_reserve"
        | "bpf_ringbuf_query"
        | "bpf_ringbuf_reserve_dynptr" => "`ringbuf`",
        "bpf_user_ringbuf_drain" => "`user_ringbuf`",
        "bpf_perf_event_output"
        | "bpf_perf_event_read"
        | "bpf_perf_event_read_value"
        | "bpf_skb_output"
        | "bpf_xdp_output" => "`perf_event_array`",
        "bpf_tail_call" => "`prog_array`",
        "bpf_get_stackid" => "`stack_trace`",
        "bpf_redirect_map" => "`devmap`, `devmap_hash`, `cpumap` or `xskmap`",
        "bpf_sk_redirect_map" | "bpf_msg_redirect_map" | "bpf_sock_map_update" => "`sockmap`",
        "bpf_sk_redirect_hash" | "bpf_msg_redirect_hash" | "bpf_sock_hash_update" => "`sockhash`",
        "bpf_get_local_storage" => "`cgroup_storage` or `percpu_cgroup_storage`",
        "bpf_sk_select_reuseport" => "`reuseport_sockarray`, `sockmap` or `sockhash`",
        "bpf_current_task_under_cgroup" | "bpf_skb_under_cgroup" => "`cgroup_array`",
        "bpf_sk_storage_get" | "bpf_sk_storage_delete" => "`sk_storage`",
        "bpf_task_storage_get" | "bpf_task_storage_delete" => "`task_storage`",
        "bpf_inode_storage_get" | "bpf_inode_storage_delete" => "`inode_storage`",
        "bpf_map_push_elem" | "bpf_map_pop_elem" | "bpf_map_peek_elem" => {
            "`queue`, `stack` or `bloom_filter`"
        }
        _ => return None,
    })
}
