//! Programs that sleep or modify a return value in a function that does not allow it. The list for
//! error injection says which functions allow both, and a kernel can be built without it.

use crate::case::Case;
use crate::finding::at_load;
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};

/// Before 7.1 (16d9c5660692) functions, system calls among them, may be traced by sleepable
/// programs only where error injection lists them.
pub(crate) fn sleepable(case: &Case<'_>) -> Option<Diagnosis> {
    let line = case.verifier_line("is not sleepable")?;
    let traces = ["fentry.s", "fexit.s", "fmod_ret.s"];
    let traces = traces.iter().any(|start| case.section().starts_with(start));
    let of_system_call = case.section().contains("_sys_");
    if traces && of_system_call && case.is_off("FUNCTION_ERROR_INJECTION") {
        let headline = format!(
            "{} may not sleep there without CONFIG_FUNCTION_ERROR_INJECTION, which is off in this \
             kernel: {line}",
            case.name()
        );
        return Some(at_load(
            Code::MissingKernelConfig,
            headline,
            &[
                "load it without `.s` if the option is off, and read user memory with \
             `bpf_probe_read_user` there",
                "use mainline 7.1 or newer, which traces system calls without the option",
            ],
        ));
    }
    let headline = format!("the verifier rejected {}: {line}", case.name());
    let hint = match case.section().split_once('/') {
        Some((_, target)) if traces => format!(
            "drop `.s`, or attach to a function that may sleep, such as a system call: the kernel lists those that \
             may, and `{target}` is not among them"
        ),
        _ => "drop `.s`, or take a hook that may sleep on this kernel".into(),
    };
    Some(at_load(Code::VerifierRejection, headline, &[&hint]))
}

/// Beside `security_*`, only functions that error injection lists can have their result modified;
/// all system calls are on that list, where there is one.
pub(crate) fn modifiable(case: &Case<'_>) -> Option<Diagnosis> {
    let line = case.verifier_line("is not modifiable")?;
    if line.contains("_sys_") && case.is_off("FUNCTION_ERROR_INJECTION") {
        let headline = format!(
            "{} modifies the result of a system call, which needs \
             CONFIG_FUNCTION_ERROR_INJECTION, off in this kernel: {line}",
            case.name()
        );
        return Some(at_load(
            Code::MissingKernelConfig,
            headline,
            &["refuse the call in an LSM hook or in `fmod_ret/security_…`, which need no option"],
        ));
    }
    let headline = format!("the verifier rejected {}: {line}", case.name());
    Some(at_load(
        Code::VerifierRejection,
        headline,
        &["take a `security_…` function, or one that the kernel lists with ALLOW_ERROR_INJECTION"],
    ))
}

/// A helper or kfunc that may sleep, in a program that may not. Kernels below 6.1 know no such helper
/// for a tracing program that is not sleepable, though they have it.
pub(crate) fn sleeps(case: &Case<'_>) -> Option<Diagnosis> {
    const HELPERS: &[&str] = &[
        "bpf_copy_from_user",
        "bpf_copy_from_user_task",
        "bpf_ima_inode_hash",
        "bpf_ima_file_hash",
    ];
    let said = [
        "might sleep in a non-sleepable prog",
        "in non-sleepable prog",
        "must be called from sleepable",
        "must be sleepable to call sleepable",
    ];
    let hook = case.section().split('/').next().unwrap_or_default();
    let may_not = matches!(case.program.program_type.as_str(), "tracing" | "lsm")
        && !hook.split('.').any(|part| part == "s");
    let unknown = || {
        HELPERS.iter().find_map(|helper| {
            case.verifier_line(&format!("unknown func {helper}#"))
                .filter(|_| may_not)
        })
    };
    let line = (said.iter().find_map(|words| case.verifier_line(words))).or_else(unknown)?;
    let called = text::last_call(&case.program.load.log);
    let what = (called.as_ref()).map_or_else(|| "what it calls".into(), |name| format!("`{name}`"));
    let headline = format!(
        "{} (`{}`) may not sleep, and {what} may: {line}",
        case.name(),
        case.section()
    );
    let place = "attach it where programs may sleep, and say so in the section: `fentry.s`, `lsm.s`, \
                 `uprobe.s` (6.0)";
    let reads = called.is_some_and(|name| name.starts_with("bpf_copy_from_user"));
    let hints = [
        place,
        "or use a helper that does not sleep: `bpf_probe_read_user`",
    ];
    let hints = if reads { &hints[..] } else { &hints[..1] };
    Some(at_load(Code::VerifierRejection, headline, hints))
}
