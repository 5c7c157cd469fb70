//! Finds what exactly was refused after a whole object was refused: the maps that the kernel does
//! not create, the programs that it does not load, each with its own verifier log, and the other
//! programs that it would not attach.
//!
//! The input is the object and the evidence of the refused load. The output is the same evidence,
//! with an entry for every map and program, including those that were left out and why. It works on
//! edited copies of the object, in which unresolved externs are weak, refused maps are not created,
//! and refused programs are switched off. Nothing that is done to a copy counts towards a pass:
//! everything that is recorded here is marked `isolated`.

mod attachments;
pub(crate) mod libbpf_words;
mod loads;
mod unfinished;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use ukci_schema::evidence::{Evidence, KmsgMark, Log, ProgramEvidence, ProgramLoad, StepOutcome};
use ukci_schema::verdict::Stage;

use crate::bpf::{Errno, Map, Object};
use crate::libbpf_log::captured;
use crate::request::ProbeRequest;
use crate::requirements::{self, Read};

use libbpf_words::{blamed, left_out_slot};
use unfinished::is_unfinished;

/// `LIBBPF_ERRNO__ENDIAN`: nothing of such an object can be loaded.
const ENDIAN: Errno = 4003;
const EBADF: Errno = libc::EBADF;
const EINVAL: Errno = libc::EINVAL;

const STRUCT_OPS: &str = "struct_ops";

/// How many programs are found out by loading all of them without the refused ones, again and again.
/// If more than these are refused, each of those that are left is tried alone, which takes one load
/// for each and not two.
const REFUSED_TOGETHER: usize = 8;

/// The copy, and what was found out so far.
struct Isolation<'a> {
    request: ProbeRequest<'a>,
    read: &'a Read,
    /// With every extern weak.
    copy: Vec<u8>,
    refused_maps: BTreeSet<String>,
    /// Variables that neither the kernel nor its configuration has. A weak one is zero, and the
    /// programs that need it would load.
    refused_externs: BTreeSet<String>,
    /// Refused maps that are not whole until the object's own loader shapes them.
    unfinished_maps: Vec<String>,
    /// When to answer with what is known by then, and how long that is.
    until: Option<(Instant, Duration)>,
}

/// Judges every map, then every program of a refused object, in `evidence`.
pub(crate) fn isolate(
    request: ProbeRequest<'_>,
    read: &Read,
    evidence: &mut Evidence,
    progress: &mut impl FnMut(Stage, &str),
) {
    if evidence.load.errno == Some(ENDIAN) {
        return;
    }
    let progress = &mut |stage, what: &str| {
        progress(stage, &format!("{}{what}", KmsgMark::IN_A_COPY));
    };
    let mut isolation = Isolation {
        request,
        read,
        copy: requirements::with_weak_externs(request.object, read, &BTreeSet::new()),
        refused_maps: BTreeSet::new(),
        refused_externs: BTreeSet::new(),
        unfinished_maps: Vec::new(),
        until: request.isolation.map(|time| (Instant::now() + time, time)),
    };
    if isolation.is_refused_before_maps(&evidence.log) {
        for program in evidence.programs.iter_mut().filter(|one| one.autoload) {
            program.load.reason = Some(
                "libbpf gave up the object before it created a map or loaded a program".into(),
            );
        }
        return;
    }
    isolation.externs();
    isolation.maps(evidence, progress);
    isolation.programs(evidence, progress);
    if request.mode.attaches() {
        isolation.attachments(evidence, progress);
    }
}

impl Isolation<'_> {
    /// Whether libbpf gives up even a copy without programs, maps and strong externs, as it does
    /// where it cannot read the kernel's version. Its words about the whole say when to ask: they
    /// name a map or a program that it came to.
    fn is_refused_before_maps(&self, log: &Log) -> bool {
        let came = |line: &str| {
            ["libbpf: map '", "libbpf: prog '"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        !log.lines().any(came) && self.resolve(&BTreeSet::new()).is_err()
    }

    /// Tries the variables without any program or map: all together, and each alone if that
    /// fails. A missing kfunc needs no trial: the verifier names it, and the line that calls it.
    fn externs(&mut self) {
        let externs = &self.read.facts.externs;
        let variables: BTreeSet<String> = externs
            .iter()
            .filter(|one| one.kind != "kfunc" && !one.weak)
            .map(|one| one.name.clone())
            .collect();
        if variables.is_empty() || self.resolve(&variables).is_ok() {
            return;
        }
        self.refused_externs = variables
            .into_iter()
            .filter(|name| self.resolve(&BTreeSet::from([name.clone()])).is_err())
            .collect();
    }

    /// Resolves these externs and nothing else.
    fn resolve(&self, externs: &BTreeSet<String>) -> Result<(), Errno> {
        let copy = requirements::with_weak_externs(self.request.object, self.read, externs);
        let resolve = || {
            let mut object = self.request.terms.open_shaped(&copy, 0, |object| {
                for program in object.programs() {
                    program.set_autoload(false);
                }
                for map in object.maps() {
                    map.set_autocreate(false);
                }
            })?;
            object.prepare()
        };
        captured(resolve).0
    }

    /// Tries the maps without any program: all together, and each alone if that fails.
    fn maps(&mut self, evidence: &mut Evidence, progress: &mut impl FnMut(Stage, &str)) {
        // A struct_ops map is made of its programs; it does not exist without them.
        let alone: Vec<usize> = (0..evidence.maps.len())
            .filter(|n| evidence.maps[*n].autocreate && evidence.maps[*n].map_type != STRUCT_OPS)
            .collect();
        if alone.is_empty() {
            return;
        }
        progress(Stage::Load, "its maps");
        if self.create(&alone).0.is_ok() {
            for n in alone {
                evidence.maps[n].created = StepOutcome::Ok;
            }
            return;
        }
        for n in alone {
            if self.is_late() {
                return;
            }
            let map = &mut evidence.maps[n];
            progress(Stage::Load, &format!("map {} alone", map.name));
            let (result, log) = self.create(&[n]);
            match result {
                Ok(()) => map.created = StepOutcome::Ok,
                Err(errno) => {
                    map.created = StepOutcome::Refused;
                    map.errno = Some(errno);
                    let of_inner = format!("map '{}': failed to create inner map", map.name);
                    let is_inner = log.lines().any(|line| line.contains(&of_inner));
                    if let Some(inner) = map.inner.as_deref_mut().filter(|_| is_inner) {
                        inner.created = StepOutcome::Refused;
                        inner.errno = Some(errno);
                    }
                    self.refused_maps.insert(map.name.clone());
                    if is_unfinished(map) {
                        self.unfinished_maps.push(map.name.clone());
                    }
                }
            }
        }
    }

    /// Whether the time for isolation is over.
    fn is_late(&self) -> bool {
        self.until.is_some_and(|(until, _)| Instant::now() >= until)
    }

    /// Why programs that are left now are not tried alone, if they are not.
    fn why_left_out(&self) -> Option<String> {
        if let [map, ..] = self.unfinished_maps.as_slice() {
            return Some(format!(
                "not tried alone: map `{map}` is incomplete until the object's own loader sets it up"
            ));
        }
        let (_, time) = self.until.filter(|_| self.is_late())?;
        Some(format!(
            "{} of {} s for trying parts of the object alone was over",
            ProgramLoad::TIME_WAS_OVER,
            time.as_secs()
        ))
    }

    /// Creates these maps and nothing else. Also libbpf's words.
    fn create(&self, maps: &[usize]) -> (Result<(), Errno>, Log) {
        let (result, log) = captured(|| {
            let mut object = self.request.terms.open_shaped(&self.copy, 0, |object| {
                for program in object.programs() {
                    program.set_autoload(false);
                }
                for (n, map) in object.maps().iter().enumerate() {
                    if !maps.contains(&n) {
                        map.set_autocreate(false);
                    }
                }
            })?;
            object.load()
        });
        match result {
            // The map itself was created; the maps in its slots are left out here.
            Err(EBADF) if left_out_slot(&log) => (Ok(()), log),
            other => (other, log),
        }
    }

    /// Loads all programs together, again and again without the one that was refused.
    fn programs(&self, evidence: &mut Evidence, progress: &mut impl FnMut(Stage, &str)) {
        let programs = &mut evidence.programs;
        let mut left: BTreeSet<usize> = (0..programs.len())
            .filter(|n| programs[*n].autoload)
            .collect();
        self.leave_out(programs, &mut left);
        for n in left.clone() {
            if !self.missing(&programs[n].name).is_empty() {
                progress(Stage::Load, &format!("{} alone", programs[n].name));
                programs[n].load = self.load_alone(n, programs);
                left.remove(&n);
            }
        }
        let mut refused = 0;
        while !left.is_empty() {
            self.leave_out(programs, &mut left);
            if left.is_empty() {
                return;
            }
            if refused > REFUSED_TOGETHER {
                self.each_alone(programs, &mut left, progress);
                continue;
            }
            progress(
                Stage::Load,
                &format!("{} programs without the refused ones", left.len()),
            );
            let (loads, log) = self.load_together(&left);
            if let Some(loads) = loads {
                for (n, load) in left.iter().zip(loads) {
                    programs[*n].load = load;
                }
                return;
            }
            let blamed = left
                .iter()
                .copied()
                .find(|n| Some(&*programs[*n].name) == blamed(&log));
            // Should libbpf name none, every one is tried.
            let suspects: Vec<usize> = match blamed {
                Some(one) => self.with_siblings(one, programs, &left),
                None => left.iter().copied().collect(),
            };
            let mut found = false;
            for n in suspects {
                if self.is_late() {
                    break;
                }
                progress(Stage::Load, &format!("{} alone", programs[n].name));
                let load = self.load_alone(n, programs);
                found |= load.outcome != StepOutcome::Ok;
                refused += usize::from(load.outcome != StepOutcome::Ok);
                if blamed.is_none() || load.outcome != StepOutcome::Ok {
                    programs[n].load = load;
                    left.remove(&n);
                }
            }
            if !found && blamed.is_some() {
                // Fine alone, refused in company: let every one be tried alone.
                self.each_alone(programs, &mut left, progress);
            }
        }
    }

    /// Loads each that is left alone, until the time is over.
    fn each_alone(
        &self,
        programs: &mut [ProgramEvidence],
        left: &mut BTreeSet<usize>,
        progress: &mut impl FnMut(Stage, &str),
    ) {
        while !self.is_late()
            && let Some(n) = left.pop_first()
        {
            progress(Stage::Load, &format!("{} alone", programs[n].name));
            programs[n].load = self.load_alone(n, programs);
        }
    }

    /// Says of the programs that are left why they are not tried, if so, and forgets them.
    fn leave_out(&self, programs: &mut [ProgramEvidence], left: &mut BTreeSet<usize>) {
        let Some(why) = self.why_left_out() else {
            return;
        };
        for n in std::mem::take(left) {
            programs[n].load = ProgramLoad {
                reason: Some(why.clone()),
                ..ProgramLoad::default()
            };
        }
    }

    /// A program and those that share a `struct_ops` map with it: libbpf loads them together or
    /// not at all.
    fn with_siblings(
        &self,
        one: usize,
        programs: &[ProgramEvidence],
        left: &BTreeSet<usize>,
    ) -> Vec<usize> {
        let shares = |n: &usize| {
            self.read
                .struct_ops
                .values()
                .any(|of| of.contains(&programs[*n].name) && of.contains(&programs[one].name))
        };
        left.iter()
            .copied()
            .filter(|n| *n == one || shares(n))
            .collect()
    }

    /// The variables that this program needs and the kernel lacks.
    fn missing(&self, program: &str) -> BTreeSet<String> {
        let needs = self.read.functions.get(program);
        needs
            .map(|needs| &needs.externs & &self.refused_externs)
            .unwrap_or_default()
    }

    /// An object with only these programs, and the maps that can be.
    fn open(&self, copy: &[u8], programs: &BTreeSet<usize>, level: u32) -> Result<Object, Errno> {
        self.request.terms.open_shaped(copy, level, |object| {
            let mut names = BTreeSet::new();
            for (n, program) in object.programs().iter().enumerate() {
                program.set_autoload(programs.contains(&n));
                if programs.contains(&n) {
                    names.insert(program.name());
                }
            }
            for map in object.maps() {
                let name = map.name();
                if self.refused_maps.contains(&name) || self.is_foreign(map, &name, &names) {
                    map.set_autocreate(false);
                }
            }
        })
    }

    /// Whether it is a `struct_ops` map of other programs: libbpf would load those with it.
    fn is_foreign(&self, map: Map<'_>, name: &str, programs: &BTreeSet<String>) -> bool {
        let members = self.read.struct_ops.get(name);
        map.kind_name() == STRUCT_OPS && members.is_none_or(|members| members.is_disjoint(programs))
    }
}
