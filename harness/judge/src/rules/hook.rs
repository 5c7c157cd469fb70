//! Explains why the kernel refused an attachment if its errno has only one meaning at that hook.
//! The place in the kernel that returns it is named at each rule.
//!
//! If an errno has several meanings, `attach.rs` says what is known.

use std::collections::BTreeSet;

use super::site;
use crate::case::Case;
use crate::errno::{self, E2BIG, EACCES, EINVAL, ENOTSUPP};
use crate::finding::diagnosis;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Feature, FeatureKind};
use ukci_schema::verdict::Stage;

const EEXIST: i32 = 17;
const EILSEQ: i32 = 84;
const EADDRNOTAVAIL: i32 = 99;

/// The cause, and what helps.
type Cause = (String, &'static str);

/// A refusal whose cause is certain.
pub(crate) fn refused(case: &Case<'_>) -> Option<Diagnosis> {
    let (why, hint) = lsm_of_cgroups(case)
        .or_else(|| crowd(case))
        .or_else(|| kprobe(case))
        .or_else(|| tracepoint(case))
        .or_else(|| trampoline(case))
        .or_else(|| struct_ops(case))
        .or_else(|| map_iterator(case))?;
    let headline = format!(
        "the kernel refused to attach {} (`{}`): {why} ({})",
        case.name(),
        case.section(),
        errno::name(case.program.attach.errno)
    );
    Some(diagnosis(
        Code::AttachRefused,
        Stage::Attach,
        headline,
        vec![hint.into()],
    ))
}

/// `CGROUP_LSM_NUM`.
const CGROUP_LSM_HOOKS: usize = 10;

/// The object has programs of more LSM hooks of cgroups than there is room for. Kernels free the room of
/// a hook some time after its program was detached, so that one may be refused alone as well.
fn lsm_of_cgroups(case: &Case<'_>) -> Option<Cause> {
    let is_one = |section: &str| section.trim_start_matches('?').starts_with("lsm_cgroup/");
    let programs = case.evidence.programs.iter();
    let hooks: BTreeSet<&str> = (programs.filter(|program| program.autoload))
        .map(|program| program.section.as_str())
        .filter(|section| is_one(section))
        .collect();
    let full = case.program.attach.errno == Some(EINVAL) && hooks.len() > CGROUP_LSM_HOOKS;
    (full && is_one(case.section())).then(|| {
        (
            format!(
                "the kernel has room for programs of {CGROUP_LSM_HOOKS} LSM hooks of cgroups at a time, and \
                 this object has programs of {}",
                hooks.len()
            ),
            "attach some of the programs as `lsm`, and look for the cgroup in the program",
        )
    })
}

/// Alone it was attached; beside the object's others there was no room.
fn crowd(case: &Case<'_>) -> Option<Cause> {
    let reason = case.program.attach.reason.as_deref()?;
    let full = case.program.attach.errno == Some(E2BIG) && reason.starts_with("alone it can");
    full.then(|| {
        (
            reason.to_owned(),
            "do the work of several programs in one, or attach them to different places: a kernel \
             function has room for at most 38 programs, a tracepoint and an attach type of a cgroup for 64",
        )
    })
}

/// `bpf_iter_attach_map` of `kernel/bpf/map_iter.c` holds what the program reads against the map that it is to
/// go over.
fn map_iterator(case: &Case<'_>) -> Option<Cause> {
    let over_map = [
        "iter/bpf_map_elem",
        "iter/bpf_sk_storage_map",
        "iter/sockmap",
    ];
    let is_over_map = over_map.contains(&case.section().replace("iter.s", "iter").as_str());
    let refused = case.program.attach.errno == Some(EACCES);
    (is_over_map && refused).then(|| {
        (
            "it reads beyond the key or the value of the map that it is to go over".to_owned(),
            "read no more than the map's key and value have, or attach the program to a map with larger ones",
        )
    })
}

fn kprobe(case: &Case<'_>) -> Option<Cause> {
    if !site::is_kprobe(case.section()) {
        return None;
    }
    let (_, function) = case.section().split_once('/')?;
    let name = function.split('+').next().unwrap_or(function);
    match case.program.attach.errno? {
        // Since 6.6, and in the stable kernels of that time (seen from 5.10 on): trace_kprobe counts
        // the symbols of the name, and takes variables for functions.
        EADDRNOTAVAIL => Some((
            format!(
                "{} symbols of this kernel, functions or variables, are called `{name}`",
                site::of_this_name(case)?
            ),
            "attach to a function that calls it and whose name is unique, or attach to all of them \
             with `kprobe.multi` (5.18)",
        )),
        EILSEQ if function.contains('+') => Some((
            format!("no instruction of this kernel begins at `{function}`"),
            "probe the function's entry, which has no offset: the instructions behind it differ \
             from build to build",
        )),
        // The address is looked up, and lies in another function.
        EINVAL if function.contains('+') && site::leads_out_of_it(case, name) => Some((
            format!(
                "at `{function}` is no function that this kernel lets be probed (the function itself has an \
                 ftrace site)"
            ),
            "probe the function's entry, which has no offset: the function may be shorter than the offset here",
        )),
        _ => None,
    }
}

/// The verifier does not know the tracepoint; how far the program reads is held against it only now.
fn tracepoint(case: &Case<'_>) -> Option<Cause> {
    let target = case.program.target.as_deref()?;
    let there = case
        .features(FeatureKind::Target, target)
        .any(|f| f.present == Some(true));
    let kind = case.program.program_type.as_str();
    match (kind, case.program.attach.errno?) {
        // bpf_probe_register: max_ctx_offset against num_args, max_tp_access against writable_size.
        ("raw_tracepoint" | "raw_tracepoint_writable", EINVAL) if there => Some((
            match arguments(case, target) {
                Some(count) => format!(
                    "it reads or writes more arguments than the {count} that `{target}` has here"
                ),
                None => format!("it reads or writes more arguments than `{target}` has"),
            },
            "read only the arguments of TP_PROTO of this kernel; as `tp_btf` the verifier checks them",
        )),
        // perf_event_set_bpf_prog: max_ctx_offset against the record's size.
        // Without CAP_PERFMON the tracepoint's event is refused in the same way.
        ("tracepoint", EACCES) if there && case.lockdown().is_none() && case.may_all() => Some((
            format!("it reads beyond the end of the record of `{target}`"),
            "declare the record as `events/…/format` in tracefs of this kernel has it",
        )),
        _ => None,
    }
}

/// How many arguments the target has, as the guest read it from BTF.
fn arguments<'a>(case: &Case<'a>, target: &str) -> Option<&'a str> {
    case.features(FeatureKind::Target, target)
        .find_map(|f| f.detail.as_deref()?.strip_suffix(Feature::ARGUMENTS))
}

/// Six registers pass arguments on `x86_64`; those on the stack are passed since 6.6.
fn trampoline(case: &Case<'_>) -> Option<Cause> {
    let target = case.program.target.as_deref()?;
    let count = arguments(case, target)?;
    let many = count.parse().is_ok_and(|count: u32| count > 6);
    (many && case.program.attach.errno == Some(ENOTSUPP)).then(|| {
        (
            format!("`{target}` has {count} arguments, more than its trampolines pass"),
            "attach a kprobe there; arguments on the stack are passed from mainline 6.6 on x86_64",
        )
    })
}

/// The operations' own rules, of evidence that does not say how each map was registered.
fn struct_ops(case: &Case<'_>) -> Option<Cause> {
    if case.program.program_type != "struct_ops" {
        return None;
    }
    match case.program.attach.errno? {
        EEXIST => Some((
            "operations of the same name are registered already".into(),
            "give them a name of their own: that of the struct's `name` member",
        )),
        EINVAL => Some((
            "the kernel gives no other reason; it refuses in this way if a required operation is missing, \
             or if it does not accept a value"
                .into(),
            "set every operation that the kernel demands (for `tcp_congestion_ops`: `ssthresh`, \
             `undo_cwnd` and `cong_avoid` or `cong_control`)",
        )),
        _ => None,
    }
}
