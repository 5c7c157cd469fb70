//! Attaches all programs that share one place at the same time, as their own loader does.
//!
//! The input is programs that were each attached alone before, so no program is blamed for another.
//! The output is the programs for which the place had no room. A place can be full: the trampoline
//! of a kernel function has room for 38 programs (40 up to 5.12), and a tracepoint for 64
//! (`BPF_MAX_TRAMP_LINKS`, `BPF_TRACE_MAX_PROGS`).

use std::collections::BTreeMap;

use libbpf_sys as sys;
use ukci_schema::evidence::{AttachOutcome, Evidence, ProgramAttach};

use super::calls::{self, Link};
use super::split;
use crate::bpf::Program;
use crate::libbpf_log::captured;
use crate::target::section_of;

/// Up to so many programs are no question in any place.
const ROOM: usize = 32;

/// Attaches again, and all together, the programs of each crowded place that were attached alone.
/// The first that finds no room is refused, and those after it.
pub(super) fn attach_all(programs: &[Program<'_>], evidence: &mut Evidence) {
    let mut crowds: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (n, (program, seen)) in programs.iter().zip(&evidence.programs).enumerate() {
        let attached = seen.attach.outcome == AttachOutcome::Attached;
        if let Some(place) = place(program.kind(), section_of(seen)).filter(|_| attached) {
            crowds.entry(place.to_owned()).or_default().push(n);
        }
    }
    for (place, members) in crowds.iter().filter(|(_, members)| members.len() > ROOM) {
        let mut links: Vec<Link> = Vec::new();
        for n in members {
            let (attempt, libbpf) = captured(|| calls::auto(&programs[*n]));
            let errno = match attempt {
                Ok(link) => {
                    links.push(link);
                    continue;
                }
                Err(libc::E2BIG) => libc::E2BIG,
                // Nothing is known of the crowd: 5.10 attaches a tracing program once only.
                Err(_) => break,
            };
            evidence.programs[*n].attach = ProgramAttach {
                outcome: AttachOutcome::Refused,
                method: evidence.programs[*n].attach.method.take(),
                errno: Some(errno),
                reason: Some(format!(
                    "alone it can be attached; beside {} others of this object at `{place}` it \
                     cannot",
                    links.len()
                )),
                libbpf,
                ..ProgramAttach::default()
            };
        }
    }
}

/// The kernel function or tracepoint that a program shares with others; none for types of which
/// every attachment has a place of its own.
fn place(kind: u32, section: &str) -> Option<&str> {
    let (hook, target) = split(section);
    let trampoline = ["fentry", "fexit", "fmod_ret", "fsession", "lsm"];
    let shares = match kind {
        sys::BPF_PROG_TYPE_TRACING | sys::BPF_PROG_TYPE_LSM => {
            hook != "lsm_cgroup" && trampoline.iter().any(|start| hook.starts_with(start))
        }
        sys::BPF_PROG_TYPE_TRACEPOINT => true,
        _ => false,
    };
    target.filter(|_| shares)
}

#[cfg(test)]
mod tests {
    use super::{place, sys};

    #[test]
    fn trampolines_and_tracepoints_are_shared() {
        let tracing = sys::BPF_PROG_TYPE_TRACING;
        assert_eq!(place(tracing, "fentry/vfs_read"), Some("vfs_read"));
        assert_eq!(place(tracing, "?fexit.s/vfs_read"), Some("vfs_read"));
        assert_eq!(place(tracing, "tp_btf/sched_switch"), None);
        assert_eq!(place(tracing, "iter/task"), None);
        let tp = sys::BPF_PROG_TYPE_TRACEPOINT;
        assert_eq!(
            place(tp, "tp/sched/sched_switch"),
            Some("sched/sched_switch")
        );
        assert_eq!(place(sys::BPF_PROG_TYPE_LSM, "lsm_cgroup/file_open"), None);
        assert_eq!(place(sys::BPF_PROG_TYPE_KPROBE, "kprobe/vfs_read"), None);
    }
}
