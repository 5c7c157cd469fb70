//! Opens, loads, attaches and detaches an object: the one probe of an artifact.
//!
//! The input is a request and the facts about the kernel. The output is evidence. If the whole
//! object is refused, `isolation` finds the refused programs in edited copies, so that one boot
//! names every one of them. What is done to copies never counts towards a pass.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use ukci_schema::evidence::{
    AttachOutcome, Evidence, GuestFacts, KmsgMark, Log, MapEvidence, Mode, ProgramEvidence,
    ProgramLoad, SCHEMA, Step, StepOutcome,
};
use ukci_schema::verdict::Stage;

use crate::bpf::{self, Errno, LOG_STATS, Object, Program, SHORT_LOG};
use crate::contract::{Broken, Terms};
use crate::feature_probe::{self, RefusedProgram};
use crate::isolation::isolate;
use crate::kernel::Kernel;
use crate::libbpf_log::captured;
use crate::module_owner::{self, Wanted};
use crate::request::ProbeRequest;
use crate::requirements::{self, Read};
use crate::target::{self, Target};
use crate::{attach, behavior, core_member, foreign, kernel_variable, modules, verifier};

/// Probes an object on the running kernel. `progress` hears of each stage as it begins. An error
/// is a contract that no kernel could keep.
pub fn probe(
    request: ProbeRequest<'_>,
    guest: GuestFacts,
    mut progress: impl FnMut(Stage, &str),
) -> Result<Evidence, Broken> {
    let read = requirements::read(request.object);
    let mut evidence = Evidence {
        schema: SCHEMA.into(),
        mode: request.mode,
        libbpf: bpf::libbpf_version(),
        guest,
        object: read.facts.clone(),
        ..Evidence::default()
    };
    foreign::read(request.object, &mut evidence.object);

    progress(Stage::Open, request.name);
    let start = Instant::now();
    let (opened, log) = captured(|| request.terms.open(request.object, LOG_STATS));
    evidence.log = log;
    evidence.open = step(start, opened.as_ref().err().copied());
    let Ok(mut object) = opened else {
        return Ok(evidence);
    };
    request.terms.check(&object)?;
    let (selected, _) = captured(|| request.terms.select(request.object, &object));
    evidence.edits = request.terms.edits();
    evidence.edits.extend(selected.edits);
    for module in request.terms.modules() {
        evidence.guest.modules.extend(modules::load(module));
    }
    let (shaped, log) = captured(|| request.terms.shape(&mut object));
    append(&mut evidence.log, &log);
    evidence.programs = object
        .programs()
        .iter()
        .map(|p| describe(*p, &read, request.terms, &selected.off))
        .collect();
    evidence.maps = (object.maps().into_iter())
        .map(|map| {
            let mut seen = describe_map(map);
            let inner = map.inner().map(describe_map);
            let given = || request.terms.inner_map(&seen.name);
            seen.inner = inner.or_else(given).map(Box::new);
            seen
        })
        .collect();

    let mut kernel = Kernel::default();
    let owners = module_owner::load(&wanted(&evidence, &read), &mut kernel);
    evidence.guest.modules.extend(owners);

    progress(Stage::Load, request.name);
    object.give_logs(0..evidence.programs.len(), SHORT_LOG);
    let mut start = Instant::now();
    let (mut loaded, log) = captured(|| {
        shaped
            .and_then(|()| object.load())
            .and_then(|()| request.terms.fill_program_arrays(&object))
    });
    append(&mut evidence.log, &log);
    if loaded == Err(libc::ENOSPC) {
        // A full log refuses what the kernel accepts of a loader that asks for none.
        start = Instant::now();
        let (again, log) = captured(|| without_logs(&request));
        append(&mut evidence.log, &log);
        loaded = again.map(|again| object = again);
    }
    evidence.load = step(start, loaded.err());
    if loaded.is_err() {
        drop(object);
        isolate(request, &read, &mut evidence, &mut progress);
        let refused = refused(&evidence);
        progress(Stage::Load, KmsgMark::OWN_QUESTIONS);
        if let Ok(object) = captured(|| request.terms.open(request.object, 0)).0 {
            evidence.features = ask(&evidence, &read, &object, &refused, &kernel);
            let variables = kernel_variable::ask(&evidence.object.externs, &kernel);
            evidence.features.extend(variables);
            let logs = refused.iter().map(|n| &evidence.programs[*n].load.log);
            evidence.core = core_member::ask(&object, logs, &kernel);
        }
        return Ok(evidence);
    }
    for (program, seen) in object.programs().iter().zip(&mut evidence.programs) {
        // libbpf decides late about programs of `struct_ops` maps.
        let skipped = seen.autoload && program.fd().is_none();
        seen.load = if skipped {
            ProgramLoad {
                reason: Some(not_in_use()),
                ..ProgramLoad::default()
            }
        } else if seen.autoload {
            ProgramLoad {
                outcome: StepOutcome::Ok,
                verifier: verifier::of_program(*program),
                log: Log::bounded(&program.log()),
                ..ProgramLoad::default()
            }
        } else {
            continue;
        };
    }
    for (map, seen) in object.maps().iter().zip(&mut evidence.maps) {
        seen.created = if map.fd().is_some() {
            StepOutcome::Ok
        } else {
            StepOutcome::NotAttempted
        };
    }

    if request.mode.attaches() {
        progress(Stage::Attach, request.name);
        let ((), log) = captured(|| {
            attach::attach_all(&object, &read, request, &mut evidence, None, |name| {
                progress(Stage::Attach, name);
            });
        });
        append(&mut evidence.log, &log);
        let refused = refused(&evidence);
        if !refused.is_empty() {
            progress(Stage::Attach, KmsgMark::OWN_QUESTIONS);
            evidence.features = ask(&evidence, &read, &object, &refused, &kernel);
        }
    }
    if request.mode == Mode::Behave {
        drop(object);
        behavior::run(request, &mut evidence, &mut progress);
    }
    Ok(evidence)
}

/// Loads the object as a loader does that asks for no verifier log.
fn without_logs(request: &ProbeRequest<'_>) -> Result<Object, Errno> {
    let terms = request.terms;
    let mut object = terms.open_shaped(request.object, 0, |object| {
        terms.select(request.object, object);
    })?;
    object.load()?;
    terms.fill_program_arrays(&object)?;
    Ok(object)
}

/// The programs that were not loaded or not attached.
fn refused(evidence: &Evidence) -> Vec<usize> {
    let programs = evidence.programs.iter().enumerate();
    let refused = programs.filter(|(_, program)| {
        program.load.outcome == StepOutcome::Refused
            || program.attach.outcome == AttachOutcome::Refused
    });
    refused.map(|(n, _)| n).collect()
}

/// What the object's programs call and attach to. A target that is another function of the object
/// itself is that, whatever modules have a function of the name.
fn wanted(evidence: &Evidence, read: &Read) -> Vec<Wanted> {
    let programs = evidence.programs.iter().filter(|program| program.autoload);
    let variables = evidence.object.externs.iter();
    let variables = variables.filter(|one| one.kind == "ksym");
    let variables = variables.map(|one| Wanted::Variable(one.name.clone()));
    programs
        .flat_map(|program| {
            let kfuncs = program.kfuncs.iter().cloned().map(Wanted::Kfunc);
            let own = |target: &Target| {
                target.name() != program.name && read.functions.contains_key(target.name())
            };
            let target = Target::of(target::section_of(program)).filter(|target| !own(target));
            kfuncs.chain(target.map(Wanted::Target))
        })
        .chain(variables)
        .collect()
}

fn ask(
    evidence: &Evidence,
    read: &Read,
    object: &Object,
    refused: &[usize],
    kernel: &Kernel,
) -> Vec<ukci_schema::evidence::Feature> {
    let none = requirements::Needs::default();
    let programs = object.programs();
    let programs: Vec<RefusedProgram<'_>> = refused
        .iter()
        .filter_map(|n| {
            let seen = evidence.programs.get(*n)?;
            let needs = read.functions.get(&seen.name).unwrap_or(&none);
            Some(RefusedProgram {
                kind: programs.get(*n)?.kind(),
                attach_type: seen
                    .attach_type
                    .is_some()
                    .then(|| programs[*n].attach_type()),
                section: target::section_of(seen),
                helpers: &needs.helpers,
                kfuncs: &needs.kfuncs,
            })
        })
        .collect();
    // Map types by their libbpf names: evidence has no numbers.
    let refused_types: BTreeSet<&str> = evidence
        .maps
        .iter()
        .flat_map(|map| std::iter::once(map).chain(map.inner.as_deref()))
        .filter(|map| map.created == StepOutcome::Refused)
        .map(|map| map.map_type.as_str())
        .collect();
    let numbers: BTreeMap<String, u32> = (1..256)
        .map(|kind| (bpf::map_type_name(kind), kind))
        .collect();
    let types = refused_types
        .iter()
        .filter_map(|name| numbers.get(*name).copied())
        .collect();
    let named = |names: &BTreeSet<String>| {
        refused
            .iter()
            .any(|n| names.contains(&evidence.programs[*n].name))
    };
    let struct_ops = object
        .maps()
        .iter()
        .filter(|map| read.struct_ops.get(&map.name()).is_some_and(named))
        .filter_map(|map| object.value_type_name(*map))
        .collect();
    captured(|| feature_probe::ask(&programs, &types, &struct_ops, Some(object), kernel)).0
}

/// Why a program that the object switches off is not loaded.
fn switched_off() -> String {
    "the object switches it off (`?` in its section name)".into()
}

fn describe(
    program: Program<'_>,
    read: &Read,
    terms: &Terms<'_>,
    off: &BTreeMap<String, String>,
) -> ProgramEvidence {
    let name = program.name();
    let section = program.section();
    let needs = read.functions.get(&name).cloned().unwrap_or_default();
    let attach_to = terms.section(&name);
    let reason =
        (!program.autoload()).then(|| off.get(&name).cloned().unwrap_or_else(switched_off));
    ProgramEvidence {
        target: target::target_of(attach_to.as_ref().unwrap_or(&section)),
        attach_to,
        load: ProgramLoad {
            reason,
            ..ProgramLoad::default()
        },
        program_type: program.kind_name(),
        attach_type: bpf::attach_type_name(program.attach_type())
            .filter(|_| program.attach_type() != 0 || section.contains("ingress")),
        autoload: program.autoload(),
        insns: program.insns(),
        helpers: needs
            .helpers
            .iter()
            .map(|id| feature_probe::helper_name(*id))
            .collect(),
        kfuncs: needs.kfuncs.into_iter().collect(),
        maps: needs.maps.into_iter().collect(),
        name,
        section,
        ..ProgramEvidence::default()
    }
}

fn describe_map(map: bpf::Map<'_>) -> MapEvidence {
    let (key_size, value_size, max_entries, flags) = map.shape();
    MapEvidence {
        name: map.name(),
        map_type: map.kind_name(),
        key_size,
        value_size,
        max_entries,
        flags,
        extra: map.extra(),
        autocreate: map.autocreate(),
        ..MapEvidence::default()
    }
}

fn not_in_use() -> String {
    "libbpf did not load it: no `struct_ops` map that is created uses it".into()
}

fn step(start: Instant, errno: Option<i32>) -> Step {
    Step {
        outcome: if errno.is_some() {
            StepOutcome::Refused
        } else {
            StepOutcome::Ok
        },
        errno,
        micros: u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
    }
}

fn append(log: &mut Log, more: &Log) {
    *log = Log::bounded(&(log.text() + &more.text()));
}
