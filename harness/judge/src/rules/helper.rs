//! Helpers that this kernel lacks, or that this program type may not call.

use super::verifier::{self, Missing};
use crate::case::{Case, features};
use crate::errno::{EINVAL, EPERM};
use crate::finding::{at_load, brought};
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Feature, FeatureKind, ProgramEvidence};
use ukci_schema::history;

/// Helpers that lockdown takes away, and from which level: `confidentiality` forbids to read
/// kernel memory (9d1f8be5cf42, 5.4), `integrity` to write user memory (51e1bb9eeaf7, 5.14).
fn is_locked_down(helper: &str, mode: &str) -> bool {
    match helper {
        "bpf_probe_read"
        | "bpf_probe_read_str"
        | "bpf_probe_read_kernel"
        | "bpf_probe_read_kernel_str"
        | "bpf_copy_from_user_task" => mode == "confidentiality",
        "bpf_probe_write_user" => mode == "integrity" || mode == "confidentiality",
        _ => false,
    }
}

/// libbpf rewrites `bpf_probe_read_kernel` to `bpf_probe_read` where a probe of the former fails,
/// so under lockdown the verifier complains of a helper that the object never calls.
pub(crate) fn lockdown(case: &Case<'_>) -> Option<Diagnosis> {
    let mode = case.lockdown()?;
    let locked: Vec<&String> = case
        .program
        .helpers
        .iter()
        .filter(|name| is_locked_down(name, mode))
        .collect();
    let denied = case.verifier_line("unknown func bpf_probe_").is_some()
        || case.verifier_line("cannot use helper bpf_probe_").is_some()
        || case.program.load.errno == Some(EPERM);
    let name = locked.first().filter(|_| denied)?;
    let headline = format!(
        "kernel lockdown (`{mode}`) forbids helper `{name}`, which {} calls",
        case.name()
    );
    Some(at_load(
        Code::PolicyDenied,
        headline,
        &[
            "read through BTF instead: `fentry` and `tp_btf` programs follow kernel pointers without \
         the helper",
            "or boot without `lockdown=` (Secure Boot switches it on in many distributions)",
        ],
    ))
}

/// The kernel does not know the helper, or not for this program's type.
pub(crate) fn missing(case: &Case<'_>) -> Option<Diagnosis> {
    let said = verifier::missing_helper(case.sentence.as_deref()?)?;
    let program = case.program;
    let known = |name: &&String, with: &dyn Fn(&Feature) -> bool| {
        case.features(FeatureKind::Helper, name).any(with)
    };
    let unknown = |name: &&String| {
        known(name, &|f| {
            f.program_type.is_none() && f.present == Some(false)
        })
    };
    let absent: Vec<&String> = program.helpers.iter().filter(unknown).collect();
    let number = match said {
        Missing::Number(number) => number,
        // Only a helper with a callback makes it stumble.
        Missing::Callback => {
            let calls_back = |name: &&&String| CALLING_BACK.contains(&name.as_str());
            return (absent.iter().find(calls_back)).map(|name| stumbled(case, name));
        }
    };
    // The one that the verifier names, if the object calls it: libbpf replaces some.
    let named = |name: &&&String| known(name, &|f| f.id == Some(number));
    if let Some(name) = absent.iter().find(named).or(absent.first()) {
        let mut found = unknown_helper(case, name);
        found.hints.extend(further(&absent, name));
        return Some(found);
    }
    let kind = &program.program_type;
    let not_for = |name: &&String| {
        known(name, &|f| {
            f.program_type.as_ref() == Some(kind) && f.present == Some(false)
        })
    };
    let refused: Vec<&String> = program.helpers.iter().filter(not_for).collect();
    let name = refused.iter().find(named).or(refused.first())?;
    Some(helper_for_type(case, name))
}

/// The other helpers of the program that this kernel lacks: the verifier stops at the first, and who
/// mends that alone meets the next.
fn further(absent: &[&String], first: &str) -> Option<String> {
    let others: Vec<String> = absent
        .iter()
        .filter(|name| name.as_str() != first)
        .map(|name| format!("`{name}`"))
        .collect();
    match others.as_slice() {
        [] => None,
        [one] => Some(format!(
            "the program also calls {one}, which this kernel lacks too"
        )),
        [most @ .., last] => Some(format!(
            "the program also calls {} and {last}, which this kernel lacks too",
            most.join(", ")
        )),
    }
}

/// The kernel said nothing at all, and no other rule did: a callback that it does not know is the
/// one way in which a helper can be refused so.
pub(crate) fn silent(case: &Case<'_>) -> Option<Diagnosis> {
    if !case.is_silent() || case.program.load.errno != Some(EINVAL) {
        return None;
    }
    let absent = |name: &&String| {
        CALLING_BACK.contains(&name.as_str())
            && (case.features(FeatureKind::Helper, name))
                .any(|f| f.program_type.is_none() && f.present == Some(false))
    };
    let name = case.program.helpers.iter().find(absent)?;
    Some(stumbled(case, name))
}

/// Helpers that are handed a function of the program.
const CALLING_BACK: &[&str] = &[
    "bpf_for_each_map_elem",
    "bpf_timer_set_callback",
    "bpf_find_vma",
    "bpf_loop",
    "bpf_user_ringbuf_drain",
];

/// The callback is refused wherever its helper is called from, so a question before the call does
/// not help.
fn stumbled(case: &Case<'_>, name: &str) -> Diagnosis {
    let mut found = unknown_helper(case, name);
    found
        .hints
        .retain(|hint| !hint.contains("bpf_core_enum_value_exists"));
    found.hints.push(
        "do not rely on a test before the call: kernels before 5.13 refuse the callback itself, called \
         or not"
            .into(),
    );
    found
}

fn unknown_helper(case: &Case<'_>, name: &str) -> Diagnosis {
    if let Some(number) = name.strip_prefix("helper#") {
        let headline = format!(
            "the kernel has no helper number {number}, which {} calls; no mainline release has one",
            case.name()
        );
        return at_load(
            Code::UnsupportedHelper,
            headline,
            &[
                "check that the object is not corrupt and not made for a patched kernel: mainline has 211 \
                 numbered helpers, and adds kfuncs in their place since 6.2",
            ],
        );
    }
    let headline = format!(
        "the kernel has no helper `{name}`{}, which {} calls",
        brought(&case.evidence.guest.release, history::helper(name)),
        case.name()
    );
    let guard = name.strip_prefix("bpf_").unwrap_or(name);
    let guard = format!(
        "or test `bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_{guard})` and do without"
    );
    at_load(
        Code::UnsupportedHelper,
        headline,
        &[
            instead_of(name),
            &guard,
            "or load a variant without it if `libbpf_probe_bpf_helper` says no",
        ],
    )
}

fn instead_of(name: &str) -> &'static str {
    match name {
        "bpf_loop" | "bpf_for_each_map_elem" => {
            "use a loop with a constant bound (5.3) on kernels without it"
        }
        "bpf_ringbuf_reserve" | "bpf_ringbuf_output" => {
            "use `bpf_perf_event_output` on kernels without ring buffers"
        }
        "bpf_ringbuf_reserve_dynptr" => {
            "use `bpf_ringbuf_output`, or `bpf_ringbuf_reserve` with a constant size, on kernels without it"
        }
        "bpf_probe_read_kernel"
        | "bpf_probe_read_user"
        | "bpf_probe_read_kernel_str"
        | "bpf_probe_read_user_str" => "use `bpf_probe_read` on kernels without it",
        "bpf_get_current_task_btf" => "use `bpf_get_current_task` and BPF_CORE_READ instead",
        "bpf_get_attach_cookie" => "keep in a map what the cookie would say on kernels without it",
        "bpf_ktime_get_boot_ns" | "bpf_ktime_get_coarse_ns" | "bpf_ktime_get_tai_ns" => {
            "use `bpf_ktime_get_ns` on kernels without it"
        }
        "bpf_trace_vprintk" => "print at most three values, which `bpf_trace_printk` can",
        "bpf_strncmp" | "bpf_snprintf" => {
            "do the same in the program's own code on kernels without it"
        }
        "bpf_task_storage_get" | "bpf_cgrp_storage_get" | "bpf_inode_storage_get" => {
            "use a hash map keyed by id on kernels without it"
        }
        _ => "do without it on kernels that lack it",
    }
}

/// Helpers, by the beginning of their names, that few programs may call, and which programs those
/// are: `kprobe_prog_func_proto`, `bpf_tracing_func_proto` and `tracing_prog_func_proto` of
/// `kernel/trace/bpf_trace.c`, and `bpf_lsm_func_proto` of `kernel/bpf/bpf_lsm.c`.
const HELPER_PLACES: &[(&str, &str)] = &[
    (
        "bpf_override_return",
        "kprobes on functions that the kernel lists with ALLOW_ERROR_INJECTION",
    ),
    (
        "bpf_ima_",
        "sleepable LSM programs (`lsm.s/…`) on hooks that may sleep",
    ),
    (
        "bpf_get_func_ip",
        "kprobes, and `fentry`, `fexit` and `fmod_ret` programs",
    ),
    (
        "bpf_get_func_arg",
        "`fentry`, `fexit` and `fmod_ret` programs",
    ),
    ("bpf_get_func_ret", "`fexit` and `fmod_ret` programs"),
    (
        "bpf_get_attach_cookie",
        "kprobes, uprobes, tracepoints, perf events, and BTF-based tracing and LSM programs",
    ),
    ("bpf_read_branch_records", "`perf_event` programs"),
    ("bpf_perf_prog_read_value", "`perf_event` programs"),
    ("bpf_seq_", "iterators (`iter/…`)"),
    ("bpf_sock_ops_", "`sockops` programs"),
    ("bpf_msg_", "`sk_msg` programs"),
    ("bpf_xdp_", "`xdp` programs"),
    (
        "bpf_skb_",
        "programs whose context is a packet, `struct __sk_buff`, such as `tc`; not all of them may \
         change it",
    ),
    ("bpf_sock_map_update", "`sockops` programs"),
    ("bpf_sock_hash_update", "`sockops` programs"),
    (
        "bpf_get_local_storage",
        "programs of control groups, such as `cgroup_skb/egress`",
    ),
    ("bpf_redirect_map", "`xdp` programs"),
    ("bpf_redirect_neigh", "`tc` programs"),
    ("bpf_redirect_peer", "`tc` programs"),
    ("bpf_clone_redirect", "`tc` and `lwt_xmit` programs"),
    ("bpf_redirect", "`tc` and `xdp` programs, and `lwt_xmit`"),
    (
        "bpf_setsockopt",
        "`sockops` programs, `cgroup/bind4`, `cgroup/connect4` and their like, and `struct_ops` of TCP",
    ),
    (
        "bpf_getsockopt",
        "`sockops` programs, `cgroup/bind4`, `cgroup/connect4` and their like, and `struct_ops` of TCP",
    ),
    ("bpf_sk_assign", "`tc` and `sk_lookup` programs"),
    (
        "bpf_fib_lookup",
        "`tc` and `xdp` programs, and `lwt_in`, `lwt_out` and `lwt_xmit`",
    ),
    ("bpf_l3_csum_replace", "`tc` and `lwt_xmit` programs"),
    ("bpf_l4_csum_replace", "`tc` and `lwt_xmit` programs"),
    (
        "bpf_send_signal",
        "tracing programs, such as kprobes, tracepoints and `fentry`",
    ),
    (
        "bpf_probe_write_user",
        "tracing programs, such as kprobes, tracepoints and `fentry`",
    ),
    (
        "bpf_get_stack",
        "tracing programs, such as kprobes, tracepoints, `perf_event` and `fentry`",
    ),
    ("bpf_inode_storage_", "`lsm` programs"),
    (
        "bpf_bind",
        "`cgroup/connect4` and `cgroup/connect6` programs",
    ),
];

/// Which programs may call a helper that few may call, as a hint.
pub(crate) fn places(name: &str) -> Option<String> {
    let (_, places) = HELPER_PLACES
        .iter()
        .find(|(start, _)| name.starts_with(start))?;
    Some(format!("call it where kernels allow it: {places}"))
}

fn helper_for_type(case: &Case<'_>, name: &str) -> Diagnosis {
    let ProgramEvidence {
        program_type: kind, ..
    } = case.program;
    // Other programs than kprobes may never call it, whatever the option.
    let of_option = name == "bpf_override_return" && kind == "kprobe";
    if of_option && case.is_off("BPF_KPROBE_OVERRIDE") {
        let headline = format!(
            "{} calls `{name}`, and CONFIG_BPF_KPROBE_OVERRIDE is off in this kernel",
            case.name()
        );
        return at_load(
            Code::MissingKernelConfig,
            headline,
            &["use an `lsm` or `fmod_ret` program to change what a function returns"],
        );
    }
    let known = features(case.evidence, FeatureKind::Helper, name)
        .any(|f| f.program_type.is_none() && f.present == Some(true));
    let headline = if known {
        format!(
            "this kernel does not let `{kind}` programs call helper `{name}`, and {} calls it",
            case.name()
        )
    } else {
        format!(
            "the kernel does not let `{kind}` programs call helper `{name}`{}, and {} calls it",
            brought(&case.evidence.guest.release, history::helper(name)),
            case.name()
        )
    };
    let hint = match name {
        "bpf_copy_from_user" | "bpf_copy_from_user_task" => {
            "use `bpf_probe_read_user`, which does not sleep, or a program that may: `fentry.s`, `lsm.s`".to_owned()
        }
        _ => places(name).unwrap_or_else(|| {
            "use another helper, or a program type that may call this one".to_owned()
        }),
    };
    at_load(
        Code::UnsupportedHelper,
        headline,
        &[
            &hint,
            "ask with `libbpf_probe_bpf_helper` in the loader: later releases let more program types \
             call a helper",
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::further;

    #[test]
    fn every_other_helper_that_is_missing_is_named() {
        let names = ["bpf_loop", "bpf_strncmp", "bpf_kptr_xchg"].map(String::from);
        let said = |absent: &[usize]| {
            let absent: Vec<&String> = absent.iter().map(|n| &names[*n]).collect();
            further(&absent, "bpf_loop")
        };
        assert_eq!(said(&[0]), None);
        let one = said(&[0, 1]).unwrap();
        assert!(one.contains("also calls `bpf_strncmp`, which"), "{one}");
        let two = said(&[1, 0, 2]).unwrap();
        assert!(
            two.contains("`bpf_strncmp` and `bpf_kptr_xchg`, which"),
            "{two}"
        );
    }
}
