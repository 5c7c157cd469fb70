//! Calls of kfuncs: whether they may be called here, and pointers that they do not take.

use super::rejection::Rejection;
use super::words;
use crate::verifier_log::Origin;

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let families = [refused, nullable];
    let spoken = families.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

/// `calling kernel function bpf_x is not allowed`: it is there, and not for this program.
fn refused(rejection: &Rejection<'_>) -> Vec<String> {
    let program = rejection.case.program;
    if !(rejection.says("calling kernel function") && rejection.says("is not allowed")) {
        return Vec::new();
    }
    let Some(kfunc) = rejection
        .sentence
        .split_once("calling kernel function ")
        .and_then(|(_, rest)| rest.split(' ').next())
    else {
        return Vec::new();
    };
    vec![format!(
        "call `{kfunc}` from a program of another type or attach point: this kernel has it, and does \
         not register it for `{}` programs",
        program.program_type
    )]
}

/// `Possibly NULL pointer passed to trusted arg0`, `R1 must be referenced or trusted`.
fn nullable(rejection: &Rejection<'_>) -> Vec<String> {
    let Some(callee) = rejection.helper() else {
        return Vec::new();
    };
    if rejection.says("NULL pointer passed to") {
        return vec![format!(
            "compare the pointer with NULL before it is passed to {callee}"
        )];
    }
    if let Some((_, rest)) = rejection.sentence.split_once("expected pointer to STRUCT ") {
        let wanted = rest.split(' ').next().unwrap_or_default();
        let given = rest
            .split_once("has a pointer to STRUCT ")
            .and_then(|(_, given)| given.split(' ').next())
            .map_or_else(
                || "something else".into(),
                |given| format!("a `struct {given}`"),
            );
        return vec![format!(
            "pass a pointer to `struct {wanted}` to {callee}: here it points to {given}"
        )];
    }
    if let Some((_, rest)) = rejection.sentence.split_once("pointer type STRUCT ")
        && rejection.says("must point to scalar")
    {
        let name = rest.split(' ').next().unwrap_or_default();
        return vec![format!(
            "pass a pointer that the kernel gave to {callee}: it takes a `struct {name}` of the kernel, not \
             memory of the program"
        )];
    }
    if rejection.says("must have zero offset when passed to") {
        return vec![format!(
            "pass the pointer to {callee} as it was acquired, not the address of a member"
        )];
    }
    if rejection.says("must be referenced or trusted") || rejection.says("must be a rcu pointer") {
        let what = rejection
            .state()
            .map_or_else(|| "the pointer".into(), |state| words::kind(state.kind));
        if let Some(hint) = argument_without_trust(rejection, &callee) {
            return vec![hint];
        }
        return vec![format!(
            "pass a pointer that the kernel keeps alive to {callee}: an argument of the program, what \
             an acquiring kfunc returned, or a field that was read under `bpf_rcu_read_lock`. Here it is \
             {what}"
        )];
    }
    Vec::new()
}

/// The arguments of traced functions may be freed while the program runs. Those of tracepoints, LSM hooks
/// and operations are trusted (`prog_args_trusted` of kernel/bpf/btf.c).
fn argument_without_trust(rejection: &Rejection<'_>, callee: &str) -> Option<String> {
    let attach = rejection.case.program.attach_type.as_deref()?;
    let traced = matches!(
        attach,
        "trace_fentry" | "trace_fexit" | "trace_fsession" | "modify_return"
    );
    let is_argument = rejection.trace.origin(rejection.register()?) == Some(Origin::Load("ctx"));
    (traced && is_argument).then(|| {
        format!(
            "attach to a `tp_btf` tracepoint or an `lsm` hook that has the same pointer, or pass what an acquiring kfunc \
             returned: {callee} takes only pointers that the kernel keeps alive, and the arguments of `{}` programs \
             are none",
            rejection.case.section().split('/').next().unwrap_or_default()
        )
    })
}
