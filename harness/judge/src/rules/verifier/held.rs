//! References, locks, dynptrs and iterators that a program holds and must release.

use super::rejection::Rejection;
use super::words::bytes;
use crate::rules::kernel_name;
use crate::said::Said;
use crate::verifier_log::{Operation, Origin};

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let families = [
        released,
        lock_without_btf,
        lock_unsupported,
        in_region,
        region_kept,
        reference,
        dynptr,
    ];
    let spoken = families.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

/// Map types whose values may hold a spin lock (`map_check_btf` of kernel/bpf/syscall.c).
const WITH_LOCKS: &[&str] = &[
    "hash",
    "array",
    "cgroup_storage",
    "sk_storage",
    "inode_storage",
    "task_storage",
    "cgrp_storage",
];

/// `map_check_btf`: the types whose values may hold a `struct bpf_timer` or `struct bpf_wq`.
const WITH_TIMERS: &[&str] = &["hash", "lru_hash", "array"];

/// `map 'records' has to have BTF in order to use bpf_spin_lock`, `bpf_timer`, ….
fn lock_without_btf(rejection: &Rejection<'_>) -> Vec<String> {
    let Some((before, after)) = rejection
        .sentence
        .split_once("' has to have BTF in order to use ")
    else {
        return Vec::new();
    };
    let thing = after.split(' ').next().unwrap_or_default();
    let name = before.rsplit('\'').next().unwrap_or_default();
    let map = rejection
        .case
        .evidence
        .maps
        .iter()
        .find(|map| map.name.starts_with(name));
    let (types, wanted) = match thing {
        "bpf_spin_lock" => (WITH_LOCKS, "a `hash`, `array` or local storage map"),
        "bpf_timer" | "bpf_wq" => (WITH_TIMERS, "a `hash`, `lru_hash` or `array` map"),
        _ => (&[] as &[&str], ""),
    };
    if let Some(rename) = kernel_name::of_type(rejection.case.whole) {
        return vec![rename];
    }
    // The kernel refused the object's types, and libbpf went on without them.
    let refused = rejection.case.whole.heard(|said| match *said {
        Said::MapRetried { map: of, errno } if map.is_some_and(|map| map.name == of) => Some(errno),
        Said::OwnBtfIgnored(errno) => Some(errno),
        _ => None,
    });
    let of_type = types.is_empty() || map.is_none_or(|map| types.contains(&map.map_type.as_str()));
    if !of_type {
        return vec![format!(
            "take {wanted}: a map of type `{}` takes no `struct {thing}`, so that libbpf created `{name}` \
             without BTF",
            map.map_or("that", |map| map.map_type.as_str())
        )];
    }
    if let Some(errno) = refused {
        return vec![format!(
            "put no more than one `struct {thing}` into a struct, and into a value of `{name}` at the top level \
             and aligned: the kernel refused the object's types ({errno}), so that libbpf created the map without \
             them"
        )];
    }
    vec![format!(
        "declare `{name}` with types: `__type(key, …)` and `__type(value, struct …)` in place of \
         `__uint(key_size, …)` and `__uint(value_size, …)`, so that BTF says where `struct {thing}` lies in \
         the value"
    )]
}

/// `map 'x' has no valid bpf_spin_lock`, `tracing progs cannot use bpf_spin_lock yet`.
fn lock_unsupported(rejection: &Rejection<'_>) -> Vec<String> {
    // The words of kernels before 6.2.
    let old = ["' has more than one 'struct ", "' doesn't have 'struct "];
    let old = old
        .iter()
        .find_map(|words| rejection.sentence.split_once(words));
    if let Some((_, thing)) = old {
        let thing = thing.trim_end_matches('\'');
        return vec![format!(
            "put one `struct {thing}`, and no more than one, into the map's value, at its top level and aligned"
        )];
    }
    let valid = ["has no valid ", "doesn't have valid "];
    let valid = valid
        .iter()
        .find_map(|words| rejection.sentence.split_once(words));
    if let Some((_, thing)) = valid {
        let thing = thing.split(' ').next().unwrap_or_default();
        if thing == "kptr" {
            return vec![
                "declare the member as a pointer with `__kptr`, at the top level of the map's value and aligned, to \
                 a struct that this kernel has under that name: the kernel knows no such pointer in the value"
                    .into(),
            ];
        }
        return vec![format!(
            "put one `struct {thing}` into the map's value, at its top level and aligned"
        )];
    }
    if rejection.says("cannot be accessed directly") || rejection.says("inside the accessed memory")
    {
        let thing = rejection.sentence.split(' ').next().unwrap_or_default();
        return vec![format!(
            "leave the `{thing}` out of the access: read and write the members beside it one by one, and \
             do not copy the whole value"
        )];
    }
    // `timer pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0`.
    if rejection.says("doesn't match map pointer in")
        && let Some((what, _)) = rejection.sentence.split_once(" pointer in ")
    {
        return vec![format!(
            "pass the map in whose value the {what} lies: this is the {what} of another map"
        )];
    }
    // Other programs of the type may.
    if rejection.says("sleepable progs cannot use") {
        return Vec::new();
    }
    let kind = &rejection.case.program.program_type;
    if rejection.says("progs cannot use bpf_spin_lock") {
        return vec![format!(
            "count with atomic operations in place of the lock: this kernel does not let `{kind}` programs \
             take one"
        )];
    }
    if let Some((_, thing)) = rejection.sentence.split_once("progs cannot use ") {
        let thing = thing.split(' ').next().unwrap_or_default();
        return vec![format!(
            "use `{thing}` in a program of another type: this kernel does not let `{kind}` programs use it"
        )];
    }
    Vec::new()
}

/// `function calls are not allowed while holding a lock`, and the same of other regions.
fn in_region(rejection: &Rejection<'_>) -> Vec<String> {
    let (region, end) = if rejection.says("while holding a lock") {
        ("a spin lock is held", "after `bpf_spin_unlock`")
    } else if rejection.says("rcu_read_lock region") || rejection.says("rcu_read_lock-ed region") {
        ("bpf_rcu_read_lock is held", "after `bpf_rcu_read_unlock`")
    } else if rejection.says("preempt-disabled") || rejection.says("non-preemptible") {
        ("preemption is disabled", "after `bpf_preempt_enable`")
    } else if rejection.says("IRQ-disabled") {
        ("interrupts are disabled", "after `bpf_local_irq_restore`")
    } else {
        return Vec::new();
    };
    if rejection.says("BPF_EXIT") || rejection.says("is missing") {
        return Vec::new();
    }
    if rejection.says("global function calls") {
        return vec![
            "make the function `static` (with `__noinline` if it is to stay a function): the verifier then \
             sees that it may be called here"
                .into(),
            format!("or call it before or {end}: it may not be called while {region}"),
        ];
    }
    let what = rejection.helper().unwrap_or_else(|| "the function".into());
    vec![format!(
        "call {what} before or {end}: it may not be called while {region}"
    )]
}

/// `bpf_spin_unlock is missing`, `BPF_EXIT instruction in main prog cannot be used inside
/// bpf_spin_lock-ed region`.
fn region_kept(rejection: &Rejection<'_>) -> Vec<String> {
    let missing = [" is missing", "(s) are missing"];
    let missing = missing
        .iter()
        .find_map(|words| Some(rejection.sentence.split_once(words)?.0));
    let inside = rejection
        .sentence
        .split_once("cannot be used inside ")
        .map(
            |(_, region)| match region.split("-ed region").next().unwrap_or_default() {
                "bpf_spin_lock" => "bpf_spin_unlock",
                "bpf_rcu_read_lock" => "bpf_rcu_read_unlock",
                "bpf_preempt_disable" => "bpf_preempt_enable",
                "bpf_local_irq_save" => "bpf_local_irq_restore",
                _ => "the function that ends the region",
            },
        );
    let Some(call) = inside.or(missing) else {
        return Vec::new();
    };
    let call = call.rsplit(' ').next().unwrap_or(call);
    vec![format!(
        "call `{call}` on every path before the program ends: on this one it is missing"
    )]
}

/// `R6 invalid mem access 'scalar'` or `R1 type=scalar expected=ringbuf_mem`, of a pointer that was given
/// back before.
pub(super) fn released(rejection: &Rejection<'_>) -> Vec<String> {
    let said = [
        "invalid mem access 'scalar'",
        "invalid mem access 'inv'",
        "type=scalar expected=",
        "type=inv expected=",
    ];
    let number = said.iter().any(|words| rejection.says(words));
    let Some(register) = rejection.named().filter(|_| number) else {
        return Vec::new();
    };
    let Some(Origin::Call(taken)) = rejection.trace.origin(register) else {
        return Vec::new();
    };
    let gives_back = |name: &str| releases(taken).contains(&format!("`{name}`"));
    let Some((call, step)) = rejection.trace.called_since(register, gives_back) else {
        return Vec::new();
    };
    vec![format!(
        "use what `{taken}` returned only before `{call}` (instruction {}), which gives it back: the pointer \
         is invalid after it",
        step.instruction.index
    )]
}

/// What gives back what a helper or kfunc took.
fn releases(acquired: &str) -> &'static str {
    match acquired {
        "bpf_ringbuf_reserve" => "`bpf_ringbuf_submit` or `bpf_ringbuf_discard`",
        "bpf_dynptr_data" | "bpf_dynptr_slice" | "bpf_dynptr_slice_rdwr" => {
            "`bpf_ringbuf_submit_dynptr` or `bpf_ringbuf_discard_dynptr`"
        }
        "bpf_ringbuf_reserve_dynptr" => {
            "`bpf_ringbuf_submit_dynptr` or `bpf_ringbuf_discard_dynptr`, also where the reservation failed,"
        }
        "bpf_sk_lookup_tcp" | "bpf_sk_lookup_udp" | "bpf_skc_lookup_tcp" => "`bpf_sk_release`",
        "bpf_task_acquire" | "bpf_task_from_pid" | "bpf_task_from_vpid" => "`bpf_task_release`",
        "bpf_cgroup_acquire" | "bpf_cgroup_from_id" | "bpf_cgroup_ancestor" => {
            "`bpf_cgroup_release`"
        }
        "bpf_cpumask_create" | "bpf_cpumask_acquire" => "`bpf_cpumask_release`",
        "bpf_obj_new_impl" | "bpf_obj_new" => "`bpf_obj_drop`",
        "bpf_get_task_exe_file" => "`bpf_put_file`",
        "bpf_iter_num_new" => "`bpf_iter_num_destroy`",
        "bpf_iter_task_new" => "`bpf_iter_task_destroy`",
        "bpf_xdp_ct_lookup" | "bpf_skb_ct_lookup" => "`bpf_ct_release`",
        "bpf_crypto_ctx_create" => "`bpf_crypto_ctx_release`",
        "bpf_kptr_xchg" => "the function that releases it, or `bpf_kptr_xchg` into a map,",
        _ => "the function that releases it",
    }
}

/// `Unreleased reference id=2 alloc_insn=11`.
fn reference(rejection: &Rejection<'_>) -> Vec<String> {
    let Some(index) = rejection
        .number("alloc_insn=")
        .and_then(|index| usize::try_from(index).ok())
    else {
        return Vec::new();
    };
    let step = rejection.trace.at(index);
    let taken = step.and_then(|step| match step.instruction.operation {
        Operation::Call(name) => Some(name),
        _ => None,
    });
    let is_operation = rejection.case.program.program_type == "struct_ops";
    if taken.is_none() && index == 0 && is_operation {
        return vec![
            "give back the argument that the kernel hands over with a reference, on every path: put the packet \
             of `enqueue` into a list or a map, or call `bpf_qdisc_skb_drop`"
                .into(),
        ];
    }
    let Some(taken) = taken else {
        return vec![format!(
            "release what instruction {index} acquired on every path: on this one it is still held"
        )];
    };
    let line = step.and_then(|step| step.source).and_then(|source| {
        let (_, line) = source.rsplit_once(':')?;
        line.trim().parse::<u32>().ok()
    });
    let line = line.map_or_else(String::new, |line| format!(" on line {line}"));
    vec![format!(
        "call {} on every path before {}: what `{taken}` gave{line} (instruction {index}) is still held on \
         this one",
        releases(taken),
        match rejection.trace.callee() {
            Some("bpf_tail_call") => "the tail call",
            Some("bpf_throw") => "`bpf_throw`",
            _ => "the program ends",
        }
    )]
}

/// `Expected an initialized dynptr as arg #1`, `expected an initialized iter_num as arg #1`.
fn dynptr(rejection: &Rejection<'_>) -> Vec<String> {
    let lower = rejection.sentence.to_lowercase();
    let callee = rejection.helper().unwrap_or_else(|| "the function".into());
    if lower.contains("expected an initialized ") {
        let what = lower
            .split_once("expected an initialized ")
            .and_then(|(_, rest)| rest.split(' ').next())
            .unwrap_or("object");
        let with = match what.strip_prefix("iter_") {
            Some(of) => format!("`bpf_iter_{of}_new`"),
            None if what == "dynptr" => {
                "a function that makes one, such as `bpf_dynptr_from_mem` or `bpf_ringbuf_reserve_dynptr`,".into()
            }
            None => "the function that makes one".to_owned(),
        };
        return vec![format!(
            "initialize the {what} with {with} before it is passed to {callee}, on every path, and not after \
             it was released"
        )];
    }
    if lower.contains("has to be an uninitialized dynptr")
        || lower.contains("expected uninitialized")
    {
        return vec![format!(
            "pass a variable to {callee} that holds nothing yet: this one is initialized already"
        )];
    }
    if lower.contains("expected pointer to stack or const struct bpf_dynptr") {
        return vec![format!(
            "pass the address of a `struct bpf_dynptr` variable on the stack to {callee}"
        )];
    }
    if lower.contains("potential write to dynptr") {
        return vec!["keep other writes away from the dynptr on the stack: only helpers and kfuncs change it".into()];
    }
    // 7.x: `kernel func bpf_iter_task_new requires RCU critical section protection`.
    if lower.contains("expected an rcu cs when using")
        || lower.contains("requires rcu critical section protection")
    {
        let callee = callee.trim_matches('`');
        let iterator = (callee.strip_prefix("bpf_iter_"))
            .and_then(|name| Some(name.rsplit_once('_')?.0))
            .map(|of| format!("`bpf_iter_{of}_new`"));
        return vec![match iterator {
            Some(new) => format!(
                "call `bpf_rcu_read_lock` before {new}, and `bpf_rcu_read_unlock` after the loop"
            ),
            None => format!(
                "call `bpf_rcu_read_lock` before `{callee}`, and `bpf_rcu_read_unlock` after what it gave is used"
            ),
        }];
    }
    if lower.contains("would lead to reference leak") {
        return vec![
            "release what is held before this instruction, which leaves the function for good"
                .into(),
        ];
    }
    if lower.contains("cannot overwrite referenced dynptr") {
        return vec!["submit or discard the dynptr before the variable is used again".into()];
    }
    if lower.contains("cannot pass in dynptr at an offset") {
        let offset = rejection.number("offset=").unwrap_or(0);
        return vec![format!(
            "pass the address of the dynptr itself to {callee}, not one that is {} away from it",
            bytes(offset.saturating_abs())
        )];
    }
    let unacquired = [
        "reference has not been acquired before",
        "unacquired reference",
        "must be referenced when passed to release",
        "expects refcounted",
    ];
    if unacquired.iter().any(|words| lower.contains(words)) {
        return vec![format!(
            "pass only what a helper or kfunc has acquired to {callee}: this pointer holds no reference"
        )];
    }
    Vec::new()
}
