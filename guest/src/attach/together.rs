//! Attaches all programs of an object at the same time and keeps them attached, as their own loader
//! does.
//!
//! The input is a loaded object and the evidence of a copy of it whose programs were attached one at
//! a time. The output is what the caller did meanwhile. Programs that were not attached then are not
//! attached here either.

use std::collections::BTreeMap;
use std::path::PathBuf;

use libbpf_sys as sys;
use ukci_schema::evidence::{AttachOutcome, Evidence};

use super::calls::{self, Counting};
use super::environment::Environment;
use super::{Attached, Attachment, NotAttached};
use crate::bpf::{Object, Program};
use crate::contract::Terms;
use crate::libbpf_log::captured;

/// Programs that are attached.
pub(crate) struct Together<'a> {
    programs: &'a [Program<'a>],
    attached: Vec<(usize, Attached<'a>)>,
    /// Whether the kernel counts how often programs run.
    pub(crate) counts: bool,
    /// The file by which a process comes under the cgroup programs, if there are any.
    pub(crate) members: Option<PathBuf>,
}

impl Together<'_> {
    /// Does what makes each attached program fire, until it has.
    pub(crate) fn stimulate(&mut self) {
        for (n, attached) in &mut self.attached {
            let runs = || self.programs[*n].info().map_or(0, |info| info.run_cnt);
            let before = runs();
            for stimulus in &mut attached.stimuli {
                (stimulus.act)();
                if self.counts && runs() > before {
                    break;
                }
            }
        }
    }
}

/// Attaches what was attached alone in `evidence`, lets the caller act, and detaches it. Returns what
/// the caller returned, and why programs could not be attached.
pub(crate) fn with_all<R>(
    object: &Object,
    terms: &Terms<'_>,
    evidence: &Evidence,
    act: impl FnOnce(&mut Together<'_>) -> R,
) -> (R, BTreeMap<String, String>) {
    let config = evidence.guest.config.clone();
    let environment = Environment::new(&config);
    // For its loopback device: a command expects one that is up.
    let _ = environment.network();
    let counting = Counting::start();
    let programs = object.programs();
    let mut unattached = BTreeMap::new();
    let attachments: Vec<(usize, Attachment<'_>)> =
        (programs.iter().zip(&evidence.programs).enumerate())
            .filter(|(_, (program, seen))| {
                let by_itself = [sys::BPF_PROG_TYPE_STRUCT_OPS, sys::BPF_PROG_TYPE_SYSCALL];
                seen.attach.outcome == AttachOutcome::Attached
                    && !by_itself.contains(&program.kind())
            })
            .filter_map(|(n, (program, seen))| {
                let loaded = (program, program.fd()?);
                Some((n, Attachment::of(loaded, seen, object, terms, &environment)))
            })
            .collect();
    let mut attached = Vec::new();
    for (n, attachment) in &attachments {
        match captured(|| attachment.attach()).0 {
            Ok(done) => attached.push((*n, done)),
            Err(NotAttached::NotAttempted(why)) => {
                unattached.insert(attachment.program.name(), why);
            }
            Err(NotAttached::Refused(errno, _)) => {
                let why = format!("errno {errno}");
                unattached.insert(attachment.program.name(), why);
            }
        }
    }
    let mut registered = Vec::new();
    for map in object.maps() {
        let name = map.name();
        let was = |seen: &&ukci_schema::evidence::StructOpsEvidence| seen.map == name;
        let seen = evidence.struct_ops.iter().find(was);
        if seen.is_none_or(|seen| seen.attach.outcome != AttachOutcome::Attached) {
            continue;
        }
        match captured(|| calls::struct_ops(map)).0 {
            Ok(link) => registered.push(link),
            Err(errno) => _ = unattached.insert(name, format!("errno {errno}")),
        }
    }
    let mut together = Together {
        programs: &programs,
        attached,
        counts: counting.is_some(),
        members: environment
            .made_cgroup()
            .map(super::environment::Cgroup::members),
    };
    let done = act(&mut together);
    drop(registered);
    for (_, mut attached) in together.attached {
        let _ = attached.detach();
    }
    (done, unattached)
}
