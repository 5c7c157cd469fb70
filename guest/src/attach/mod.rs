//! Attaches every program of a loaded object as the kernel documents it for its type. It checks
//! that the program is attached, makes it run if that is cheap, counts the runs, and detaches it.
//!
//! The input is a loaded object. The output is how each attachment ended, written to its evidence.
//! Programs are attached one at a time, so that no program is blamed for another. Those that share
//! one place are then attached together. Nothing stays attached.

mod batch;
mod calls;
mod cgroup;
mod device;
mod environment;
mod manifest_target;
mod netlink;
mod self_probe;
mod socket;
mod stimulus;
mod struct_ops;
mod table;
pub(crate) mod together;
mod tracing;

use std::collections::BTreeMap;
use std::time::Instant;

use ukci_schema::evidence::{
    AttachOutcome, Evidence, Module, ProgramAttach, ProgramEvidence, StepOutcome,
};

use ukci_schema::contract::Target;

use crate::bpf::{Errno, Object, Program};
use crate::contract::Terms;
use crate::libbpf_log::captured;
use crate::request::ProbeRequest;
use crate::requirements::Read;
use crate::target::section_of;

use calls::{Counting, Link};
use environment::Environment;
use stimulus::Stimulus;

/// A program that is attached.
struct Attached<'a> {
    /// What to, and how.
    method: String,
    link: Option<Link>,
    /// The id of the program that the hook itself names, where it has no link to ask.
    found: Option<u32>,
    /// How to detach it, where it has no link.
    undo: Option<Box<dyn FnOnce() -> Result<(), Errno> + 'a>>,
    /// Cheapest first. The next one is only tried if the program did not run yet.
    stimuli: Vec<Stimulus<'a>>,
    /// What else there is to say.
    note: Option<String>,
}

impl<'a> Attached<'a> {
    /// Attached by a link.
    fn by(link: Link, method: impl Into<String>, stimuli: Vec<Stimulus<'a>>) -> Self {
        let method = method.into();
        Self {
            method,
            link: Some(link),
            found: None,
            undo: None,
            stimuli,
            note: None,
        }
    }

    /// Attached without a link.
    fn without_link(
        method: impl Into<String>,
        stimuli: Vec<Stimulus<'a>>,
        undo: impl FnOnce() -> Result<(), Errno> + 'a,
    ) -> Self {
        let undo: Box<dyn FnOnce() -> Result<(), Errno> + 'a> = Box::new(undo);
        let method = method.into();
        Self {
            method,
            link: None,
            found: None,
            undo: Some(undo),
            stimuli,
            note: None,
        }
    }
}

impl Attached<'_> {
    /// Detaches it. Only what has no link can fail at that.
    fn detach(&mut self) -> Result<(), Errno> {
        drop(self.link.take());
        self.undo.take().map_or(Ok(()), |undo| undo())
    }
}

/// Why a program is not attached.
#[derive(Debug)]
enum NotAttached {
    /// The kernel or libbpf said no.
    Refused(Errno, Option<String>),
    /// Nobody asked the kernel: why not.
    NotAttempted(String),
}

impl From<Errno> for NotAttached {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno, None)
    }
}

type Attempt<'a> = Result<Attached<'a>, NotAttached>;

/// What an attachment may use.
struct Attachment<'a> {
    program: &'a Program<'a>,
    object: &'a Object,
    environment: &'a Environment<'a>,
    /// The maps of the object that the program uses.
    maps: &'a [String],
    /// Where the manifest sends it, and the manifest's files.
    at: Option<&'a Target>,
    terms: &'a Terms<'a>,
    /// The section's name up to the first `/`, without a leading `?`.
    hook: &'a str,
    /// What follows the `/`.
    target: Option<&'a str>,
    fd: i32,
}

impl<'a> Attachment<'a> {
    /// Of a loaded program of `object`, as its section or the manifest says.
    fn of(
        (program, fd): (&'a Program<'a>, i32),
        seen: &'a ProgramEvidence,
        object: &'a Object,
        terms: &'a Terms<'a>,
        environment: &'a Environment<'a>,
    ) -> Self {
        let (hook, target) = split(section_of(seen));
        Self {
            program,
            object,
            environment,
            maps: &seen.maps,
            at: terms.site(&seen.name),
            terms,
            hook,
            target,
            fd,
        }
    }

    /// Attaches it.
    fn attach(&'a self) -> Attempt<'a> {
        match self.at {
            Some(_) => manifest_target::named(self),
            None => table::of(self.program.kind())(self),
        }
    }
}

impl Attachment<'_> {
    /// The section's name as its author wrote it.
    fn section(&self) -> String {
        match self.target {
            Some(target) => format!("{}/{target}", self.hook),
            None => self.hook.to_owned(),
        }
    }

    /// The private network, without which nothing of it is attempted.
    fn network(&self) -> Result<i32, NotAttached> {
        self.environment
            .network()
            .map_err(NotAttached::NotAttempted)
    }
}

/// Attaches each loaded program in turn and says how it went in `evidence.programs`; none after
/// `until`, and none that the request spares.
pub(crate) fn attach_all(
    object: &Object,
    read: &Read,
    request: ProbeRequest<'_>,
    evidence: &mut Evidence,
    until: Option<Instant>,
    mut progress: impl FnMut(&str),
) {
    let config: BTreeMap<String, String> = evidence.guest.config.clone();
    let environment = Environment::new(&config);
    let counting = Counting::start();
    let programs = object.programs();
    // A program that forbids sockets, while it is attached, must not forbid those of the private network,
    // which later programs need.
    if programs.iter().copied().any(may_forbid) {
        let _ = environment.network();
    }
    for (program, seen) in programs.iter().zip(&mut evidence.programs) {
        let Some(fd) = program
            .fd()
            .filter(|_| seen.load.outcome == StepOutcome::Ok)
        else {
            seen.attach.reason.clone_from(&seen.load.reason);
            continue;
        };
        if program.kind() == libbpf_sys::BPF_PROG_TYPE_STRUCT_OPS {
            continue;
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            seen.attach = not_attempted(ProgramAttach::TIME_WAS_OVER.into());
            continue;
        }
        if let Some(why) = request.spared.get(&seen.name) {
            seen.attach = not_attempted(why.clone());
            continue;
        }
        if let Some(why) = in_no_module(&evidence.guest.modules, seen) {
            seen.attach = not_attempted(why);
            continue;
        }
        progress(&seen.name);
        seen.attach = {
            let attachment =
                Attachment::of((program, fd), seen, object, request.terms, &environment);
            let (attempt, libbpf) = captured(|| attachment.attach());
            match attempt {
                Ok(attached) => {
                    let programs = std::slice::from_ref(program);
                    let (outcome, fired) = settle(attached, programs, counting.is_some());
                    ProgramAttach {
                        fired: fired.into_iter().next().flatten(),
                        ..outcome
                    }
                }
                Err(NotAttached::NotAttempted(reason)) => not_attempted(reason),
                Err(NotAttached::Refused(errno, reason)) => ProgramAttach {
                    outcome: AttachOutcome::Refused,
                    errno: Some(errno),
                    reason,
                    libbpf,
                    ..ProgramAttach::default()
                },
            }
        };
    }
    for seen in &mut evidence.programs {
        name_owner(&evidence.guest.modules, seen);
    }
    struct_ops::attach_all(
        object,
        read,
        evidence,
        &environment,
        counting.is_some(),
        &mut progress,
    );
    batch::attach_all(&programs, request, &environment, evidence);
    evidence.guest.modules.extend(environment.modules.take());
}

/// Why a target cannot be in this guest although the kernel's own module has it: the module does not
/// load, as one does for hardware that the guest lacks.
fn in_no_module(modules: &[Module], seen: &ProgramEvidence) -> Option<String> {
    let target = seen.target.as_ref()?;
    let owner = modules
        .iter()
        .find(|module| module.wanted_for.contains(target))?;
    let error = owner.error.as_ref()?;
    Some(format!(
        "module `{}` has `{target}` and does not load in this guest: {error}",
        owner.name
    ))
}

/// Whether what the program returns decides what others may do.
fn may_forbid(program: Program<'_>) -> bool {
    let hooks = [libbpf_sys::BPF_LSM_MAC, libbpf_sys::BPF_MODIFY_RETURN];
    hooks.contains(&program.attach_type())
}

/// Says which module was loaded because it has a function or tracepoint of the target's name, and
/// which others have one too: it need not be what was meant.
fn name_owner(modules: &[Module], seen: &mut ProgramEvidence) {
    let Some(target) = &seen.target else { return };
    let owns = |module: &&Module| module.error.is_none() && module.wanted_for.contains(target);
    let (Some(owner), Some(method)) = (modules.iter().find(owns), &mut seen.attach.method) else {
        return;
    };
    *method = format!("{method}, of module {}", owner.name);
    if !owner.also_in.is_empty() {
        let others = owner.also_in.join(", ");
        let note = format!("`{target}` is also in {others}");
        let reason = seen.attach.reason.take();
        seen.attach.reason = Some(reason.map_or(note.clone(), |said| format!("{said}; {note}")));
    }
}

fn not_attempted(reason: String) -> ProgramAttach {
    ProgramAttach {
        reason: Some(reason),
        ..ProgramAttach::default()
    }
}

/// `hook` and `target` of a section `hook/target`, without a leading `?`.
fn split(section: &str) -> (&str, Option<&str>) {
    let section = section.trim_start_matches('?');
    match section.split_once('/') {
        Some((hook, target)) => (hook, Some(target)),
        None => (section, None),
    }
}

/// Looks whether what was attached is there, stimulates, counts, and detaches it. What all of
/// `programs` share, and how often each one fired; more than one, or none, share what was attached
/// only for `struct_ops`.
fn settle(
    mut attached: Attached<'_>,
    programs: &[Program<'_>],
    counts: bool,
) -> (ProgramAttach, Vec<Option<u64>>) {
    let runs = |program: &Program<'_>| program.info().map_or(0, |info| info.run_cnt);
    let ids = attached.link.as_ref().and_then(Link::ids);
    let other = ids
        .map(|(_, program)| program)
        .or(attached.found)
        .filter(|found| {
            // A struct_ops link names no program.
            *found != 0
                && !programs.is_empty()
                && programs
                    .iter()
                    .all(|p| p.info().is_some_and(|info| info.id != *found))
        });
    // Counted from the attachment on: nothing runs a program before, but its own attachment may.
    let ran = || !programs.is_empty() && programs.iter().all(|program| runs(program) > 0);
    let mut done = Vec::new();
    for stimulus in &mut attached.stimuli {
        if done.last() != Some(&stimulus.what) {
            done.push(stimulus.what);
        }
        (stimulus.act)();
        if counts && ran() {
            break;
        }
    }
    let fired: Vec<u64> = programs.iter().map(runs).collect();
    let stimulated = !done.is_empty();
    let mut notes: Vec<String> = attached.note.take().into_iter().collect();
    let detached = attached.detach();
    if let Some((link, _)) = ids
        && calls::link_exists(link)
    {
        notes.push("its link is still there after it was detached".into());
    }
    if let Err(errno) = detached {
        notes.push(format!("it could not be detached: errno {errno}"));
    }
    if let Some(other) = other {
        notes.push(format!(
            "the kernel names program {other} at the hook, not this one"
        ));
    }
    let outcome = ProgramAttach {
        outcome: match other {
            Some(_) => AttachOutcome::Refused,
            None => AttachOutcome::Attached,
        },
        method: Some(attached.method.clone()),
        stimulus: stimulated.then(|| done.join(", ")),
        reason: (!notes.is_empty()).then(|| notes.join("; ")),
        ..ProgramAttach::default()
    };
    let counted = |fired| (counts && stimulated).then_some(fired);
    (outcome, fired.into_iter().map(counted).collect())
}
