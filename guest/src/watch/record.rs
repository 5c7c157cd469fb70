//! What a watched command did so far: its programs, maps and attachments, each once.
//!
//! The input is calls with their results, and the output is evidence, in which programs and maps are
//! described as those of an object are.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::RawFd;

use ukci_schema::evidence;
use ukci_schema::evidence::{
    AttachOutcome, Evidence, Log, MapEvidence, ProgramAttach, ProgramEvidence, Step, StepOutcome,
};
use ukci_schema::watched::{Attachment, FrozenMap, LastRefused, Watched};

use super::attributes::{Attributes, load, map};
use super::places::{self, Event};
use super::program_load::ProgramLoad;
use super::{Attempt, object_info};
use crate::bpf::{self, Errno};
use crate::feature_probe::{self, RefusedProgram};
use crate::kernel::Kernel;
use crate::{target, verifier};

/// Most programs, maps and attachments that are described, each.
const MOST: usize = 1024;
/// Most loads that are asked for once more.
const MOST_AGAIN: usize = 64;
/// Bytes of verifier logs that are kept before each further one is cut to [`LEAST_LOG`].
const LOGS: usize = 16 << 20;
/// What is kept of any log, in bytes.
const LEAST_LOG: usize = 4 << 10;

/// What a refused program needs, which the kernel is asked about at the end.
#[derive(Debug)]
struct Needs {
    program: usize,
    kind: u32,
    attach_type: Option<u32>,
    helpers: BTreeSet<u32>,
    kfuncs: BTreeSet<String>,
}

#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) calls: u64,
    watched: Watched,
    kernel: Kernel,
    programs: Vec<ProgramEvidence>,
    /// Where a program is, by what it is made of and called.
    known: BTreeMap<(u64, String), usize>,
    /// Where a program is, by the kernel's id.
    ids: BTreeMap<u32, usize>,
    needs: Vec<Needs>,
    licenses: BTreeSet<String>,
    maps: Vec<MapEvidence>,
    /// Numbers of the types of refused maps.
    refused_types: BTreeSet<u32>,
    /// Perf events, by process and descriptor.
    events: BTreeMap<(i32, RawFd), Event>,
}

/// The kernel's id of a program.
pub(super) fn program_id(fd: RawFd) -> Option<u32> {
    object_info::program(fd).map(|(id, _)| id)
}

impl Record {
    /// Says why not everything is seen; the first reason counts.
    pub(super) fn incomplete(&mut self, why: String) {
        self.watched.incomplete.get_or_insert(why);
    }

    /// Whether not everything is seen.
    pub(super) fn is_incomplete(&self) -> bool {
        self.watched.incomplete.is_some()
    }

    fn accepted(&mut self) {
        self.watched.last_refused = None;
    }

    /// A load ended: with a descriptor of the process, or an errno.
    pub(super) fn load(&mut self, mut load: ProgramLoad, result: Result<RawFd, Errno>) {
        // The verifier gives up at a signal, and whoever asked does so again.
        if result == Err(libc::EAGAIN) {
            return;
        }
        if load.is_probe() {
            self.watched.probes += 1;
            return;
        }
        let btf = load.btf();
        let name = load.name(btf.as_ref());
        let key = (load.digest(), name.clone());
        let place = self.known.get(&key).copied();
        let Some(place) = place.or_else(|| self.add(&load, key)) else {
            self.watched.left_out += 1;
            return;
        };
        match result {
            Ok(fd) => {
                let copy = load.process.duplicate(fd);
                let info = copy.and_then(|copy| {
                    use std::os::fd::AsRawFd;
                    object_info::program(copy.as_raw_fd())
                });
                if let Some((id, stats)) = info {
                    self.ids.insert(id, place);
                    self.programs[place].load.verifier = Some(stats);
                }
                self.made_good(place);
                self.accepted();
            }
            Err(errno) => {
                let known = self.programs[place].load.outcome;
                if known == StepOutcome::NotAttempted {
                    self.refused(place, &mut load, errno, btf.as_ref());
                }
                if known != StepOutcome::Ok {
                    self.watched.last_refused = Some(LastRefused::Program(name));
                }
            }
        }
    }

    /// A new program, unless there are too many.
    fn add(&mut self, load: &ProgramLoad, key: (u64, String)) -> Option<usize> {
        if self.programs.len() == MOST {
            return None;
        }
        let attributes = &load.attributes;
        let kind = attributes.u32(load::TYPE);
        let attach = attributes.u32(load::EXPECTED_ATTACH_TYPE);
        let (helpers, kfuncs) = load.calls();
        let kfuncs: BTreeSet<String> = kfuncs
            .into_iter()
            .filter_map(|(id, offset)| {
                places::btf_name(&self.kernel, id, load.array_fd(usize::from(offset)))
            })
            .collect();
        let target = places::btf_target(&self.kernel, load);
        let hook = places::hook(attributes);
        let section = match &target {
            Some(target) => format!("{hook}/{target}"),
            None => hook,
        };
        let maps = load.maps().into_iter().filter_map(object_info::map);
        let place = self.programs.len();
        self.licenses.insert(load.license());
        self.programs.push(ProgramEvidence {
            name: key.1.clone(),
            section,
            program_type: bpf::program_type_name(kind),
            attach_type: bpf::attach_type_name(attach).filter(|_| attach != 0),
            target,
            autoload: true,
            insns: load.insn_count() as u64,
            helpers: (helpers.iter().copied())
                .map(feature_probe::helper_name)
                .collect(),
            kfuncs: kfuncs.iter().cloned().collect(),
            maps: maps
                .map(|(_, name)| name)
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            ..ProgramEvidence::default()
        });
        self.needs.push(Needs {
            program: place,
            kind,
            attach_type: (attach != 0).then_some(attach),
            helpers,
            kfuncs,
        });
        self.known.insert(key, place);
        Some(place)
    }

    /// A program was accepted: also others of its name and type, which a library tried first.
    fn made_good(&mut self, place: usize) {
        let accepted = self.programs[place].clone();
        let same = |other: &&mut ProgramEvidence| {
            other.name == accepted.name && other.program_type == accepted.program_type
        };
        let none = evidence::ProgramLoad {
            verifier: accepted.load.verifier,
            outcome: StepOutcome::Ok,
            ..evidence::ProgramLoad::default()
        };
        for program in self.programs.iter_mut().filter(same) {
            program.load = none.clone();
        }
    }

    fn refused(
        &mut self,
        place: usize,
        load: &mut ProgramLoad,
        errno: Errno,
        btf: Option<&crate::kernel::Btf>,
    ) {
        let kept: usize = (self.programs.iter())
            .map(|program| program.load.log.len())
            .sum();
        let refused = (self.programs.iter())
            .filter(|program| program.load.outcome == StepOutcome::Refused)
            .count();
        let seen = &mut self.programs[place].load;
        seen.outcome = StepOutcome::Refused;
        seen.errno = Some(errno);
        if refused >= MOST_AGAIN {
            return;
        }
        let (again, log) = load.again();
        match again {
            Ok(()) => seen.reason = Some(evidence::ProgramLoad::ACCEPTED_FROM_AGENT.into()),
            Err(errno) => {
                seen.errno = Some(errno);
                seen.verifier = verifier::statistics(&log);
                seen.at = load.line(&log, btf);
                seen.log = Log::within(&log, LOGS.saturating_sub(kept).max(LEAST_LOG));
            }
        }
    }

    /// The creation of a map ended.
    pub(super) fn map(&mut self, attributes: &Attributes, result: Result<(), Errno>) {
        const PROBES: &[&str] = &["aya_", "feature_", "libbpf_", "test"];
        let name = object_info::map_name(&attributes.name(map::NAME));
        let kind = attributes.u32(map::TYPE);
        let nameless = name.is_empty() && attributes.u32(map::MAX_ENTRIES) <= 1;
        let bare = name.trim_start_matches('.');
        if nameless || PROBES.iter().any(|start| bare.starts_with(start)) {
            self.watched.probes += 1;
            return;
        }
        let map_type = bpf::map_type_name(kind);
        let same = |map: &MapEvidence| map.name == name && map.map_type == map_type;
        let known = self.maps.iter().position(same);
        let created = match (known, result) {
            (Some(n), Err(_)) if self.maps[n].created == StepOutcome::Ok => StepOutcome::Ok,
            (_, Ok(())) => StepOutcome::Ok,
            (_, Err(_)) => StepOutcome::Refused,
        };
        let seen = MapEvidence {
            name: name.clone(),
            map_type: map_type.clone(),
            key_size: attributes.u32(map::KEY_SIZE),
            value_size: attributes.u32(map::VALUE_SIZE),
            max_entries: attributes.u32(map::MAX_ENTRIES),
            flags: attributes.u32(map::FLAGS),
            extra: attributes.u64(map::EXTRA),
            autocreate: true,
            created,
            errno: result.err().filter(|_| created == StepOutcome::Refused),
            inner: None,
        };
        match known {
            Some(n) => self.maps[n] = seen,
            None if self.maps.len() < MOST => self.maps.push(seen),
            None => self.watched.left_out += 1,
        }
        if created == StepOutcome::Ok {
            self.accepted();
        } else {
            self.refused_types.insert(kind);
            self.watched.last_refused = Some(LastRefused::Map(name));
        }
    }

    /// A map is about to become read-only.
    pub(super) fn frozen(&mut self, map: RawFd) {
        if self.watched.frozen.len() == MOST {
            self.watched.left_out += 1;
        } else if let Some((_, name)) = object_info::map(map)
            && let Some(value) = object_info::only_value(map)
        {
            self.watched.frozen.push(FrozenMap { name, value });
        }
    }

    /// A process has opened a perf event.
    pub(super) fn event(&mut self, process: i32, fd: RawFd, event: Event) {
        self.events.insert((process, fd), event);
    }

    /// An attachment of a program ended.
    pub(super) fn attempt(&mut self, attempt: Attempt, errno: Option<Errno>) {
        let program = attempt.program.and_then(|id| self.ids.get(&id).copied());
        // So libraries ask whether the kernel has a kind of link: with descriptors of nothing, or with
        // a program of a probe.
        if errno == Some(libc::EBADF) || (errno.is_some() && program.is_none()) {
            self.watched.probes += 1;
            return;
        }
        let event = attempt.perf_event.and_then(|key| self.events.get(&key));
        let mut event = event.cloned().unwrap_or(attempt.event);
        if event.kind.is_empty() {
            let section = program.map(|program| self.programs[program].section.clone());
            let section = section.unwrap_or_default();
            event = match section.split_once('/') {
                Some((kind, place)) => Event {
                    kind: kind.to_owned(),
                    place: Some(place.to_owned()),
                },
                None => Event {
                    kind: section,
                    place: None,
                },
            };
        }
        let attachment = Attachment {
            program: program.map(|program| self.programs[program].name.clone()),
            kind: event.kind,
            place: event.place,
            errno,
        };
        self.attachment(program, attachment);
    }

    /// An attachment ended, of this program if that is known.
    pub(super) fn attachment(&mut self, program: Option<usize>, attachment: Attachment) {
        if let Some(program) = program {
            attached(&mut self.programs[program], &attachment);
        }
        if self.watched.attachments.len() == MOST {
            self.watched.left_out += 1;
            return;
        }
        if attachment.errno.is_none() {
            self.accepted();
        } else {
            let place = self.watched.attachments.len();
            self.watched.last_refused = Some(LastRefused::Attachment(place));
        }
        self.watched.attachments.push(attachment);
    }

    /// Puts everything into the evidence, with what the kernel answers about refused programs and
    /// maps. `said` is what libbpf printed.
    pub(super) fn finish(mut self, said: &str, evidence: &mut Evidence) {
        self.watched.calls = self.calls;
        evidence.log = Log::bounded(said);
        let is_refused = |program: &ProgramEvidence| {
            program.load.outcome == StepOutcome::Refused
                || program.attach.outcome == AttachOutcome::Refused
        };
        let needs = self
            .needs
            .iter()
            .filter(|needs| is_refused(&self.programs[needs.program]));
        let refused: Vec<RefusedProgram<'_>> = needs
            .map(|needs| RefusedProgram {
                kind: needs.kind,
                attach_type: needs.attach_type,
                section: target::section_of(&self.programs[needs.program]),
                helpers: &needs.helpers,
                kfuncs: &needs.kfuncs,
            })
            .collect();
        let refused_map = |map: &MapEvidence| map.created == StepOutcome::Refused;
        let maps_refused = self.maps.iter().any(refused_map);
        if !refused.is_empty() || maps_refused {
            let (kernel, none) = (Kernel::default(), BTreeSet::new());
            let ask = || feature_probe::ask(&refused, &self.refused_types, &none, None, &kernel);
            evidence.features = crate::libbpf_log::captured(ask).0;
        }
        let load_refused =
            (self.programs.iter()).any(|program| program.load.outcome == StepOutcome::Refused);
        let outcome = match (load_refused || maps_refused, self.programs.is_empty()) {
            (true, _) => StepOutcome::Refused,
            (false, false) => StepOutcome::Ok,
            (false, true) => StepOutcome::NotAttempted,
        };
        evidence.load = Step {
            outcome,
            ..Step::default()
        };
        if self.licenses.len() == 1 {
            evidence.object.license = self.licenses.pop_first();
        }
        evidence.programs = self.programs;
        evidence.maps = self.maps;
        if let Some(command) = &mut evidence.command {
            command.watched = Some(self.watched);
        }
    }
}

/// What an attachment says of its program. One that was attached stays so, whatever else it is tried
/// at.
fn attached(program: &mut ProgramEvidence, attachment: &Attachment) {
    let before = program.attach.outcome;
    if before == AttachOutcome::Attached {
        return;
    }
    let section = attachment.section();
    program.target = target::target_of(&section).or_else(|| program.target.take());
    program.section.clone_from(&section);
    program.attach = ProgramAttach {
        outcome: match attachment.errno {
            None => AttachOutcome::Attached,
            Some(_) => AttachOutcome::Refused,
        },
        method: Some(section.replacen('/', " ", 1)),
        errno: attachment.errno,
        ..ProgramAttach::default()
    };
}
