//! Options of the kernel that attaching needs. Each rule counts only if the kernel's own configuration has
//! the option off.

use super::site;
use super::target::{unknown_attach, unknown_attach_type};
use crate::case::Case;
use crate::errno::{self, EINVAL, ENOTSUPP, EOPNOTSUPP};
use crate::finding::diagnosis;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::FeatureKind;
use ukci_schema::verdict::Stage;

/// Options without which there is no attachment of the kind at all, whatever the target.
pub(crate) fn mechanism(case: &Case<'_>) -> Option<Diagnosis> {
    let section = case.section();
    let kprobe = site::is_kprobe(section);
    let many = site::is_of_many(section);
    // A release without the attach type has no such option.
    if ((kprobe && many) || section.starts_with("netkit"))
        && let Some((name, release)) = unknown_attach(case)
    {
        let errno = case.program.attach.errno;
        return Some(unknown_attach_type(
            case,
            name,
            release,
            Stage::Attach,
            errno,
        ));
    }
    let (option, hint) = if kprobe && many && case.is_off("FPROBE") {
        ("FPROBE", "attach single kprobes if the option is off")
    } else if kprobe && case.is_off("KPROBES") {
        (
            "KPROBES",
            "use tracepoints or `fentry` where the option is off",
        )
    } else if kprobe && !many && case.is_off("KPROBE_EVENTS") {
        (
            "KPROBE_EVENTS",
            "use tracepoints or `fentry` where the option is off",
        )
    } else if of_a_cgroup(case) && case.is_off("CGROUP_BPF") {
        (
            "CGROUP_BPF",
            "do without programs of cgroups where the option is off",
        )
    } else if site::is_trampoline(case.section()) && case.is_off("BPF_JIT") {
        (
            "BPF_JIT",
            "attach a kprobe or `raw_tp` where the option is off: trampolines are machine code",
        )
    } else if of_a_system_call(case) && case.is_off("FTRACE_SYSCALLS") {
        (
            "FTRACE_SYSCALLS",
            "attach to the raw tracepoint `sys_enter` or `sys_exit`, and compare the number of the system call",
        )
    } else if section.starts_with('u') && case.is_off("UPROBE_EVENTS") {
        (
            "UPROBE_EVENTS",
            "do without uprobes where the option is off",
        )
    } else if section.starts_with("netkit") && case.is_off("NETKIT") {
        ("NETKIT", "use veth devices and tc where the option is off")
    } else {
        return None;
    };
    let mut found = option_off(case, option, hint);
    if let Some(name) = case.program.target.as_deref()
        && (case.features(FeatureKind::Target, name)).any(|f| f.present == Some(false))
    {
        found.hints.push(format!(
            "note that this kernel has no `{name}` to attach to"
        ));
    }
    Some(found)
}

/// Whether programs of the type are attached to a cgroup.
fn of_a_cgroup(case: &Case<'_>) -> bool {
    let kind = case.program.program_type.as_str();
    kind == "sock_ops" || kind.starts_with("cgroup_")
}

/// Whether the target is one of the tracepoints that each system call has.
fn of_a_system_call(case: &Case<'_>) -> bool {
    let target = case.program.target.as_deref().unwrap_or_default();
    case.program.program_type == "tracepoint" && target.starts_with("syscalls/")
}

/// Options that a refusal of this kind comes of, where they are off.
pub(crate) fn config(case: &Case<'_>) -> Option<Diagnosis> {
    let errno = case.program.attach.errno;
    let (option, hint) = if site::is_trampoline(case.section())
        && matches!(errno, Some(ENOTSUPP | EOPNOTSUPP))
        && case.is_off("DYNAMIC_FTRACE_WITH_DIRECT_CALLS")
    {
        (
            "DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
            "attach a kprobe there: mainline has the option on arm64 since 6.4",
        )
    } else if site::is_kprobe(case.section())
        && errno == Some(EINVAL)
        && !case.section().contains('+')
        && case.is_off("KPROBES_ON_FTRACE")
    {
        (
            "KPROBES_ON_FTRACE",
            "attach `fentry`, or probe a few bytes into the function: its entry belongs to ftrace",
        )
    } else {
        return None;
    };
    Some(option_off(case, option, hint))
}

fn option_off(case: &Case<'_>, option: &str, hint: &str) -> Diagnosis {
    let headline = format!(
        "{} (`{}`) needs CONFIG_{option}, which is off in this kernel: {}",
        case.name(),
        case.section(),
        errno::name(case.program.attach.errno)
    );
    diagnosis(
        Code::MissingKernelConfig,
        Stage::Attach,
        headline,
        vec![hint.into()],
    )
}
