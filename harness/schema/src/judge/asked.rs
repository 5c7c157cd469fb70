//! What a program asks for, held against what this kernel was probed to have.

use super::case::{Case, features};
use super::errno::{self, EINVAL, EPERM, ESRCH};
use super::{Rule, at_load, mainline, map, object, text, verifier};
use crate::diagnosis::{Code, Diagnosis};
use crate::evidence::{FeatureKind, ProgramEvidence};
use crate::history;
use crate::verdict::Stage;

/// In this order.
pub(super) const RULES: &[Rule] = &[
    ("map", refused_map),
    ("kconfig", kconfig),
    ("kfunc-missing", kfunc_missing),
    ("kfunc-mismatch", kfunc_mismatch),
    ("ksym", ksym),
    ("struct-ops", struct_ops),
    ("kernel-btf", kernel_btf),
    ("program-type", program_type),
    ("xdp-frags", xdp_frags),
    ("target", target),
    ("lockdown", lockdown),
    ("helper", helper),
    ("attach-type", attach_type),
];

fn refused_map(case: &Case<'_>) -> Option<Diagnosis> {
    let named = case.verifier_line("is referenced but wasn't created");
    let named = named
        .and_then(|line| text::quoted_after(line, "BPF map"))
        .map(str::to_owned);
    named
        .and_then(|name| map::refused_among(case.evidence, &[name]))
        .or_else(|| map::refused_among(case.evidence, &case.program.maps))
}

/// Values of the kernel's configuration lie in a map of their own, so a program that reads one is
/// known.
fn kconfig(case: &Case<'_>) -> Option<Diagnosis> {
    if !case.program.maps.iter().any(|name| name == ".kconfig") {
        return None;
    }
    object::kconfig(case.evidence)
}

fn is_strong(case: &Case<'_>, name: &str) -> bool {
    case.evidence
        .object
        .externs
        .iter()
        .any(|known| known.name == name && !known.weak)
}

fn kfunc_missing(case: &Case<'_>) -> Option<Diagnosis> {
    let absent = |name: &&String| {
        case.features(FeatureKind::Kfunc, name)
            .any(|f| f.present == Some(false))
    };
    // What is weak may be missing: then the verifier must have stumbled over it.
    let stumbled = |name: &str| {
        case.verifier_line(&format!("kfunc '{name}' is referenced but wasn't resolved"))
            .is_some()
            || case
                .libbpf_line(&format!("(func ksym) '{name}': not found"))
                .is_some()
    };
    let name = case
        .program
        .kfuncs
        .iter()
        .filter(absent)
        .find(|name| is_strong(case, name) || stumbled(name))?;
    let detail = case
        .features(FeatureKind::Kfunc, name)
        .find_map(|f| f.detail.as_deref());
    let headline = format!(
        "the kernel has no kfunc `{name}`{}, which {} calls",
        mainline(history::kfunc(name)),
        case.name()
    );
    let weak = format!("declare it `__weak` and test `bpf_ksym_exists({name})` before the call");
    let mut found = at_load(
        Code::MissingKfunc,
        headline,
        &[
            &weak,
            "or switch the program off where the kfunc is missing (`bpf_program__set_autoload`)",
        ],
    );
    if let Some(near) = detail.and_then(|detail| detail.strip_prefix("near: ")) {
        found.hints.push(format!("the kernel has {near}"));
    }
    Some(found)
}

fn kfunc_mismatch(case: &Case<'_>) -> Option<Diagnosis> {
    let differs = |name: &&String| {
        // libbpf compares only where it found one; in the copy with weak externs it leaves the
        // call unresolved instead.
        let unresolved = format!("kfunc '{name}' is referenced but wasn't resolved");
        case.libbpf_line(&format!("(func ksym) '{name}': func_proto"))
            .is_some()
            || case.verifier_line(&unresolved).is_some()
    };
    let name = case.program.kfuncs.iter().find(differs)?;
    let of = case.libbpf_line(&format!("(func ksym) '{name}': func_proto"));
    let of = of
        .and_then(|line| line.split_once("incompatible with "))
        .map(|(_, rest)| rest);
    let of = of
        .and_then(|rest| rest.split(' ').next())
        .filter(|owner| *owner != "vmlinux");
    let of = of
        .map(|module| format!(" (of module `{module}`)"))
        .unwrap_or_default();
    let headline = format!(
        "the kernel has kfunc `{name}`{of} with another prototype than {} declares",
        case.name()
    );
    let detail = case
        .features(FeatureKind::Kfunc, name)
        .find_map(|f| f.detail.as_deref());
    let mut found = at_load(
        Code::KfuncMismatch,
        headline,
        &[
            "declare it as this kernel's BTF has it \
         (`bpftool btf dump file /sys/kernel/btf/vmlinux format c`)",
            "give the structs of its prototype a body: one that is only named does not match",
        ],
    );
    if let Some(prototype) = detail {
        found
            .hints
            .insert(0, format!("the kernel declares it as `{prototype}`"));
    }
    Some(found)
}

/// A kernel variable that is missing reads as address 0 in the copy, and the verifier then refuses
/// to follow it: that refusal is of our making, and the missing variable is the reason.
fn ksym(case: &Case<'_>) -> Option<Diagnosis> {
    let sentence = case.sentence.as_deref()?;
    let followed = ["scalar'", "inv'", "imm'"]
        .iter()
        .any(|end| sentence.ends_with(end));
    (case.program.load.isolated && followed && sentence.contains("invalid mem access"))
        .then(|| object::ksym(case.evidence))?
}

fn struct_ops(case: &Case<'_>) -> Option<Diagnosis> {
    (case.program.program_type == "struct_ops")
        .then(|| object::struct_ops(&[&case.program.load.libbpf, &case.evidence.log]))?
}

fn kernel_btf(case: &Case<'_>) -> Option<Diagnosis> {
    if case.evidence.guest.btf_bytes.is_some() || !case.is_silent() {
        return None;
    }
    let words = [
        "Error loading vmlinux BTF",
        "vmlinux BTF is not found",
        "valid kernel BTF",
    ];
    words.iter().find_map(|words| case.libbpf_line(words))?;
    Some(object::no_kernel_btf())
}

/// The verifier is reached only with a type that the kernel knows.
fn program_type(case: &Case<'_>) -> Option<Diagnosis> {
    let kind = &case.program.program_type;
    case.features(FeatureKind::ProgramType, kind)
        .find(|f| f.present == Some(false))?;
    if !case.is_silent() {
        return None;
    }
    let headline = format!(
        "the kernel has no program type `{kind}`{}, which {} is of",
        mainline(history::program_type(kind)),
        case.name()
    );
    let mut found = at_load(
        Code::UnsupportedProgramType,
        headline,
        &[
            "switch the program off where the kernel lacks the type (`bpf_program__set_autoload`)",
            "ask first with `libbpf_probe_bpf_prog_type`, or expect it in the matrix with the reason",
        ],
    );
    let option = match kind.as_str() {
        "lirc_mode2" => "BPF_LIRC_MODE2",
        "netfilter" => "NETFILTER_BPF_LINK",
        "lsm" => "BPF_LSM",
        "lwt_in" | "lwt_out" | "lwt_xmit" => "LWTUNNEL_BPF",
        "kprobe" | "tracepoint" | "perf_event" | "raw_tracepoint" => "BPF_EVENTS",
        "cgroup_skb" | "cgroup_sock" | "cgroup_device" | "cgroup_sysctl" | "cgroup_sockopt"
        | "cgroup_sock_addr" | "sock_ops" => "CGROUP_BPF",
        _ => return Some(found),
    };
    if case.is_off(option) {
        found.hints.insert(
            0,
            format!("the type needs CONFIG_{option}, which is off in this kernel"),
        );
    }
    Some(found)
}

/// The flag of `SEC("xdp.frags")`, `BPF_F_XDP_HAS_FRAGS`, is of 5.18 (c2f2cdbeffda). A kernel
/// that does not know it refuses the attributes without a word.
fn xdp_frags(case: &Case<'_>) -> Option<Diagnosis> {
    let refused = case.program.load.errno == Some(EINVAL) && case.is_silent();
    let older = history::is_older(&case.evidence.guest.release, "5.18");
    if !case.section().starts_with("xdp.frags") || !refused || !older {
        return None;
    }
    let headline = format!(
        "the kernel does not take `xdp.frags` programs (mainline 5.18), which {} is",
        case.name()
    );
    Some(at_load(
        Code::UnsupportedProgramType,
        headline,
        &[
            "load it as plain `xdp` where the kernel has no multi-buffer XDP: clear \
         BPF_F_XDP_HAS_FRAGS with `bpf_program__set_flags`",
        ],
    ))
}

fn target(case: &Case<'_>) -> Option<Diagnosis> {
    let program = case.program;
    let name = program.target.as_deref()?;
    let logs = [&program.load.libbpf];
    let unfound = text::line_with(&logs, "failed to find kernel BTF type ID of").is_some()
        || text::line_with(&logs, "is not found in vmlinux BTF").is_some();
    let feature = case
        .features(FeatureKind::Target, name)
        .find(|f| f.present == Some(false));
    let refused = program.load.errno == Some(ESRCH) && case.is_silent();
    let missing = unfound || (feature.is_some() && refused);
    if !missing {
        return None;
    }
    let near = feature.and_then(|f| f.detail.as_deref());
    // Functions of modules have symbols; that they have BTF is of 5.11 (36e68442d1af).
    let symbol = near
        .and_then(|near| near.strip_prefix("near: "))
        .is_some_and(|near| near.split(", ").any(|n| n == name));
    if symbol && case.is_off("DEBUG_INFO_BTF_MODULES") {
        let headline = format!(
            "the kernel has `{name}` in a module without BTF (mainline 5.11), which {} needs to \
             attach to it",
            case.name()
        );
        return Some(at_load(
            Code::MissingBtf,
            headline,
            &["attach a kprobe there: it needs the symbol only"],
        ));
    }
    Some(missing_target(case, name, near, Stage::Load))
}

/// Also of a refused attachment.
pub(super) fn missing_target(
    case: &Case<'_>,
    name: &str,
    near: Option<&str>,
    stage: Stage,
) -> Diagnosis {
    let headline = format!(
        "the kernel has no `{name}` to attach {} to (`{}`)",
        case.name(),
        case.section()
    );
    let mut hints = Vec::new();
    if let Some(call) = system_call(name) {
        let wrapper = match case.evidence.guest.machine.as_str() {
            "x86_64" => "__x64_sys_",
            "aarch64" => "__arm64_sys_",
            "riscv64" => "__riscv_sys_",
            _ => "sys_",
        };
        if name.contains("compat") || name.contains("ia32") {
            let (option, words) = if name.contains("x32") {
                ("X86_X32_ABI", "x32")
            } else {
                ("IA32_EMULATION", "32-bit")
            };
            if case.is_off(option) {
                hints.push(format!("CONFIG_{option} is off in this kernel"));
            }
            hints.push(format!(
                "make the program optional: kernels may be built without {words} system calls"
            ));
        } else if !name.starts_with(wrapper) {
            hints.push(format!(
                "this architecture calls it `{wrapper}{call}`: `SEC(\"ksyscall/{call}\")` finds \
                 the name by itself"
            ));
        }
    }
    if let Some(near) = near.and_then(|near| near.strip_prefix("near: ")) {
        hints.push(format!("the kernel has {near}"));
    }
    let what = if case.section().starts_with("tp")
        || case.section().starts_with("raw_tp")
        || case.section().starts_with("tracepoint")
        || case.section().starts_with("raw_tracepoint")
    {
        "tracepoints come and go with releases and options"
    } else {
        "functions are inlined and renamed from release to release"
    };
    hints.push(format!(
        "{what}: choose the target in the loader (`bpf_program__set_attach_target`), or make the \
         program optional with `SEC(\"?…\")`"
    ));
    super::diagnosis(Code::AttachTargetMissing, stage, headline, hints)
}

/// `execve` of `__se_sys_execve`.
fn system_call(name: &str) -> Option<&str> {
    let (before, call) = name.split_once("sys_")?;
    let known = [
        "",
        "__se_",
        "__do_",
        "__x64_",
        "__arm64_",
        "__riscv_",
        "__ia32_",
        "__ia32_compat_",
        "__x32_compat_",
        "__se_compat_",
        "__do_compat_",
        "compat_",
        "ksys_",
    ];
    (known.contains(&before) && !call.is_empty()).then_some(call)
}

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
fn lockdown(case: &Case<'_>) -> Option<Diagnosis> {
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
fn helper(case: &Case<'_>) -> Option<Diagnosis> {
    if case
        .sentence
        .as_deref()
        .is_some_and(verifier::is_no_missing_function)
    {
        return None;
    }
    let program = case.program;
    let unknown = |name: &&String| {
        case.features(FeatureKind::Helper, name)
            .any(|f| f.program_type.is_none() && f.present == Some(false))
    };
    // The one that the verifier names, if it names one of them.
    let names = |name: &&String| {
        case.sentence
            .as_deref()
            .is_some_and(|said| said.contains(&format!("{name}#")))
    };
    let absent: Vec<&String> = program.helpers.iter().filter(unknown).collect();
    if let Some(name) = absent.iter().find(|name| names(name)).or(absent.first()) {
        return Some(unknown_helper(case, name));
    }
    let kind = &program.program_type;
    let not_for = |name: &&String| {
        case.features(FeatureKind::Helper, name)
            .any(|f| f.program_type.as_ref() == Some(kind) && f.present == Some(false))
    };
    let refused: Vec<&String> = program.helpers.iter().filter(not_for).collect();
    let name = refused
        .iter()
        .find(|name| names(name))
        .or(refused.first())?;
    Some(helper_for_type(case, name))
}

fn unknown_helper(case: &Case<'_>, name: &str) -> Diagnosis {
    if let Some(number) = name.strip_prefix("helper#") {
        let headline = format!(
            "the kernel has no helper number {number}, which {} calls: no mainline release has",
            case.name()
        );
        return at_load(
            Code::UnsupportedHelper,
            headline,
            &[
                "mainline numbers 211 helpers and adds kfuncs instead since 6.2: is the object \
             corrupt, or made for a patched kernel?",
            ],
        );
    }
    let headline = format!(
        "the kernel has no helper `{name}`{}, which {} calls",
        mainline(history::helper(name)),
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
            "or load a variant without it where `libbpf_probe_bpf_helper` says no",
        ],
    )
}

fn instead_of(name: &str) -> &'static str {
    match name {
        "bpf_loop" | "bpf_for_each_map_elem" => {
            "use a loop with a constant bound (5.3) on kernels without it"
        }
        "bpf_ringbuf_reserve" | "bpf_ringbuf_output" | "bpf_ringbuf_reserve_dynptr" => {
            "use `bpf_perf_event_output` on kernels without ring buffers"
        }
        "bpf_probe_read_kernel"
        | "bpf_probe_read_user"
        | "bpf_probe_read_kernel_str"
        | "bpf_probe_read_user_str" => "use `bpf_probe_read` on kernels without it",
        "bpf_get_current_task_btf" => "use `bpf_get_current_task` and BPF_CORE_READ instead",
        "bpf_get_attach_cookie" => "keep what the cookie says in a map on kernels without it",
        "bpf_ktime_get_boot_ns" | "bpf_ktime_get_coarse_ns" | "bpf_ktime_get_tai_ns" => {
            "use `bpf_ktime_get_ns` on kernels without it"
        }
        "bpf_trace_vprintk" => "print at most three values, which `bpf_trace_printk` can",
        "bpf_strncmp" | "bpf_snprintf" => "do it by hand on kernels without it",
        "bpf_task_storage_get" | "bpf_cgrp_storage_get" | "bpf_inode_storage_get" => {
            "use a hash map keyed by id on kernels without it"
        }
        _ => "do without it on kernels that lack it",
    }
}

fn helper_for_type(case: &Case<'_>, name: &str) -> Diagnosis {
    let ProgramEvidence {
        program_type: kind, ..
    } = case.program;
    if name == "bpf_override_return" && case.is_off("BPF_KPROBE_OVERRIDE") {
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
            "this kernel does not let `{kind}` programs call helper `{name}`, as {} does",
            case.name()
        )
    } else {
        format!(
            "the kernel does not let `{kind}` programs call helper `{name}`{}, as {} does",
            mainline(history::helper(name)),
            case.name()
        )
    };
    at_load(
        Code::UnsupportedHelper,
        headline,
        &[
            "use a program type that may call it, or another helper",
            "releases have widened the set of types that may call a helper: ask with \
         `libbpf_probe_bpf_helper` in the loader",
        ],
    )
}

/// Attach types that the load already names (`expected_attach_type`). A kernel that does not know
/// one refuses the attributes without a word.
fn attach_type(case: &Case<'_>) -> Option<Diagnosis> {
    let name = case.program.attach_type.as_deref()?;
    let release = history::attach_type(name)?;
    let errno = case.program.load.errno;
    let older = history::is_older(&case.evidence.guest.release, release);
    if errno != Some(EINVAL) || !case.is_silent() || !older {
        return None;
    }
    Some(unknown_attach_type(case, name, release, Stage::Load, errno))
}

/// Also of a refused attachment.
pub(super) fn unknown_attach_type(
    case: &Case<'_>,
    name: &str,
    release: &str,
    stage: Stage,
    errno: Option<i32>,
) -> Diagnosis {
    let headline = format!(
        "the kernel does not take attach type `{name}` (mainline {release}), which {} (`{}`) is \
         for: {}",
        case.name(),
        case.section(),
        errno::name(errno)
    );
    let instead = match name {
        "tcx_ingress" | "tcx_egress" => "attach through a clsact qdisc where there is no tcx",
        "trace_kprobe_multi" | "trace_kprobe_session" => {
            "attach single kprobes where it is missing"
        }
        "trace_uprobe_multi" | "trace_uprobe_session" => {
            "attach single uprobes where it is missing"
        }
        "trace_fsession" => "attach `fentry` and `fexit` programs where it is missing",
        "netkit_primary" | "netkit_peer" => "use veth devices and tc where there is no netkit",
        _ => "attach in an older way where it is missing",
    };
    let hints = vec![
        instead.to_owned(),
        "or switch the program off there (`bpf_program__set_autoload`)".to_owned(),
    ];
    super::diagnosis(Code::UnsupportedAttachType, stage, headline, hints)
}
