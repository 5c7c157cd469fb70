//! Attaches all programs that share one place at the same time, as their own loader does.
//!
//! The input is programs that were each attached alone before, so no program is blamed for another.
//! The output is the programs for which the place had no room. A place can be full: the trampoline
//! of a kernel function has room for 38 programs (40 up to 5.12, 36 in 7.2), a tracepoint and an attach type of a
//! cgroup for 64, and the LSM hooks of cgroups have room for 10 hooks together
//! (`BPF_MAX_TRAMP_LINKS`, `BPF_TRACE_MAX_PROGS`, `BPF_CGROUP_MAX_PROGS`, `CGROUP_LSM_NUM`).

use std::collections::{BTreeMap, BTreeSet};

use libbpf_sys as sys;
use ukci_schema::evidence::{AttachOutcome, Evidence, ProgramAttach};

use super::environment::Environment;
use super::{Attachment, NotAttached, split};
use crate::bpf::{Errno, Object, Program};
use crate::libbpf_log::captured;
use crate::request::ProbeRequest;
use crate::target::section_of;

/// Where programs are together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A kernel function or a tracepoint.
    Target(String),
    /// An attach type of the scratch cgroup.
    Cgroup(String),
    /// All LSM hooks of cgroups.
    LsmOfCgroups,
}

impl Place {
    /// Up to so many programs are no question there.
    fn room(&self) -> usize {
        match self {
            Self::Target(_) | Self::Cgroup(_) => 32,
            Self::LsmOfCgroups => 10,
        }
    }

    /// What the kernel answers if there is no room.
    fn is_full(&self, errno: Errno) -> bool {
        match self {
            // `bpf_trampoline_link_cgroup_shim` finds no slot.
            Self::LsmOfCgroups => [libc::E2BIG, libc::EINVAL].contains(&errno),
            Self::Target(_) | Self::Cgroup(_) => errno == libc::E2BIG,
        }
    }

    fn named(&self) -> String {
        match self {
            Self::Target(name) | Self::Cgroup(name) => format!("at `{name}`"),
            Self::LsmOfCgroups => "at the LSM hooks of a cgroup".to_owned(),
        }
    }
}

/// Attaches again, and all together, the programs of each crowded place that were attached alone.
/// The first that finds no room is refused, and those after it. They are those of another load: 5.10
/// attaches a tracing program once only.
pub(super) fn attach_all(
    programs: &[Program<'_>],
    request: ProbeRequest<'_>,
    environment: &Environment<'_>,
    evidence: &mut Evidence,
) {
    let mut crowds: BTreeMap<Place, Vec<usize>> = BTreeMap::new();
    for (n, (program, seen)) in programs.iter().zip(&evidence.programs).enumerate() {
        let attached = seen.attach.outcome == AttachOutcome::Attached;
        let place = place((program.kind(), program.attach_type()), section_of(seen));
        if let Some(place) = place.filter(|_| attached) {
            crowds.entry(place).or_default().push(n);
        }
    }
    crowds.retain(|place, members| members.len() > place.room());
    if crowds.is_empty() {
        return;
    }
    let members = crowds.values().flatten().copied().collect();
    // Nothing is known of a crowd that does not load again.
    if let Ok(object) = captured(|| load(request, &members)).0 {
        for (place, members) in crowds {
            attach_crowd(&place, &members, &object, request, environment, evidence);
        }
    }
}

fn load(request: ProbeRequest<'_>, members: &BTreeSet<usize>) -> Result<Object, Errno> {
    let terms = request.terms;
    let mut object = terms.open_shaped(request.object, 0, |object| {
        terms.select(request.object, object);
        for (n, program) in object.programs().iter().enumerate() {
            program.set_autoload(members.contains(&n));
        }
    })?;
    object.load().map(|()| object)
}

fn attach_crowd(
    place: &Place,
    members: &[usize],
    object: &Object,
    request: ProbeRequest<'_>,
    environment: &Environment<'_>,
    evidence: &mut Evidence,
) {
    let programs = object.programs();
    let attachments: Vec<(usize, Attachment<'_>)> = (members.iter())
        .filter_map(|&n| {
            let (program, seen) = (programs.get(n)?, &evidence.programs[n]);
            let loaded = (program, program.fd()?);
            let of = Attachment::of(loaded, seen, object, request.terms, environment);
            Some((n, of))
        })
        .collect();
    let mut attached = Vec::new();
    let mut refused = Vec::new();
    for (n, attachment) in &attachments {
        let (attempt, libbpf) = captured(|| attachment.attach());
        match attempt {
            Ok(done) => attached.push(done),
            Err(NotAttached::Refused(errno, _)) if place.is_full(errno) => {
                let reason = format!(
                    "alone it can be attached; beside {} others of this object {} it cannot",
                    attached.len(),
                    place.named()
                );
                refused.push((*n, errno, reason, libbpf));
            }
            Err(_) => break,
        }
    }
    for mut attached in attached {
        let _ = attached.detach();
    }
    for (n, errno, reason, libbpf) in refused {
        let attach = &mut evidence.programs[n].attach;
        *attach = ProgramAttach {
            outcome: AttachOutcome::Refused,
            method: attach.method.take(),
            errno: Some(errno),
            reason: Some(reason),
            libbpf,
            ..ProgramAttach::default()
        };
    }
}

/// The place that a program of this type and attach type shares with others; none for types of which
/// every attachment has a place of its own.
fn place((kind, attach_type): (u32, u32), section: &str) -> Option<Place> {
    let (hook, target) = split(section);
    let trampoline = ["fentry", "fexit", "fmod_ret", "fsession", "lsm"];
    match kind {
        sys::BPF_PROG_TYPE_LSM if attach_type == sys::BPF_LSM_CGROUP => Some(Place::LsmOfCgroups),
        sys::BPF_PROG_TYPE_TRACING | sys::BPF_PROG_TYPE_LSM => {
            let shares = trampoline.iter().any(|start| hook.starts_with(start));
            target
                .filter(|_| shares)
                .map(|target| Place::Target(target.to_owned()))
        }
        sys::BPF_PROG_TYPE_TRACEPOINT => target.map(|target| Place::Target(target.to_owned())),
        sys::BPF_PROG_TYPE_CGROUP_SKB
        | sys::BPF_PROG_TYPE_CGROUP_SOCK
        | sys::BPF_PROG_TYPE_CGROUP_SOCK_ADDR
        | sys::BPF_PROG_TYPE_CGROUP_SOCKOPT
        | sys::BPF_PROG_TYPE_CGROUP_DEVICE
        | sys::BPF_PROG_TYPE_CGROUP_SYSCTL
        | sys::BPF_PROG_TYPE_SOCK_OPS => {
            let name = crate::bpf::attach_type_name(attach_type);
            Some(Place::Cgroup(name.unwrap_or_else(|| hook.to_owned())))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Place, place, sys};

    #[test]
    fn trampolines_tracepoints_and_cgroups_are_shared() {
        let target = |name: &str| Some(Place::Target(name.to_owned()));
        let tracing = (sys::BPF_PROG_TYPE_TRACING, sys::BPF_TRACE_FENTRY);
        assert_eq!(place(tracing, "fentry/vfs_read"), target("vfs_read"));
        assert_eq!(place(tracing, "?fexit.s/vfs_read"), target("vfs_read"));
        assert_eq!(place(tracing, "tp_btf/sched_switch"), None);
        assert_eq!(place(tracing, "iter/task"), None);
        let tp = (sys::BPF_PROG_TYPE_TRACEPOINT, 0);
        assert_eq!(
            place(tp, "tp/sched/sched_switch"),
            target("sched/sched_switch")
        );
        let lsm = (sys::BPF_PROG_TYPE_LSM, sys::BPF_LSM_CGROUP);
        assert_eq!(
            place(lsm, "lsm_cgroup/file_open"),
            Some(Place::LsmOfCgroups)
        );
        let egress = (sys::BPF_PROG_TYPE_CGROUP_SKB, sys::BPF_CGROUP_INET_EGRESS);
        let shared = Place::Cgroup("cgroup_inet_egress".to_owned());
        assert_eq!(place(egress, "cgroup_skb/egress"), Some(shared));
        assert_eq!(
            place((sys::BPF_PROG_TYPE_KPROBE, 0), "kprobe/vfs_read"),
            None
        );
    }
}
