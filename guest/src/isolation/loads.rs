//! Loads programs of a copy: several together, or one alone with a log of what the verifier did.

use std::collections::BTreeSet;

use ukci_schema::evidence::{Log, ProgramEvidence, ProgramLoad, StepOutcome};

use super::libbpf_words::{blamed, left_out_slot, without_verifier_log};
use super::{EBADF, Isolation};
use crate::bpf::{Errno, LOG_STATS, LOG_TRACE, LONGEST_LOG, SHORT_LOG};
use crate::libbpf_log::captured;
use crate::requirements;
use crate::verifier::{self, Last};

const ENOSPC: Errno = libc::ENOSPC;

/// Bytes of verifier logs that are kept of one object before each further one is cut to
/// [`LEAST_LOG`]: a message to the host holds no more than 64 MiB.
const LOGS: usize = 16 << 20;

/// What is kept of any log, in bytes.
const LEAST_LOG: usize = 4 << 10;

impl Isolation<'_> {
    /// One load for each program, in order, if all are accepted; and what libbpf printed.
    pub(super) fn load_together(
        &self,
        programs: &BTreeSet<usize>,
    ) -> (Option<Vec<ProgramLoad>>, Log) {
        let mut loads = None;
        let ((), log) = captured(|| {
            let load = |level| {
                let mut object = self.open(&self.copy, programs, level)?;
                if level == LOG_STATS {
                    object.give_logs(programs.iter().copied(), SHORT_LOG);
                }
                object.load().map(|()| object)
            };
            let loaded = load(LOG_STATS).or_else(|errno| match errno {
                ENOSPC => load(0),
                other => Err(other),
            });
            let Ok(object) = loaded else { return };
            let accepted = |program: &crate::bpf::Program<'_>| ProgramLoad {
                outcome: StepOutcome::Ok,
                isolated: true,
                verifier: verifier::of_program(*program),
                log: Log::bounded(&program.log()),
                ..ProgramLoad::default()
            };
            let all = object.programs();
            loads = Some(
                programs
                    .iter()
                    .filter_map(|n| all.get(*n))
                    .map(accepted)
                    .collect(),
            );
        });
        (loads, log)
    }

    /// Loads one program, with the trace of what the verifier did; without it where a million
    /// instructions of trace do not fit the longest log, whose ENOSPC would hide the kernel's E2BIG; and
    /// without any log where the verifier says too much even so.
    pub(super) fn load_alone(&self, index: usize, programs: &[ProgramEvidence]) -> ProgramLoad {
        let mut load = self.load_at(LOG_TRACE, LONGEST_LOG, index, programs);
        for (level, room) in [(LOG_STATS, SHORT_LOG), (0, 0)] {
            if load.errno == Some(ENOSPC) {
                load = self.load_at(level, room, index, programs);
            }
        }
        load
    }

    fn load_at(
        &self,
        level: u32,
        room: usize,
        index: usize,
        programs: &[ProgramEvidence],
    ) -> ProgramLoad {
        let mut load = ProgramLoad {
            isolated: true,
            ..ProgramLoad::default()
        };
        let missing = self.missing(&programs[index].name);
        let own = requirements::with_weak_externs(self.request.object, self.read, &missing);
        let (opened, opening) = captured(|| self.open(&own, &BTreeSet::from([index]), level));
        let mut object = match opened {
            Ok(object) => object,
            Err(errno) => {
                load.outcome = StepOutcome::Refused;
                load.errno = Some(errno);
                load.libbpf = opening;
                return load;
            }
        };
        if room > 0 {
            object.give_logs([index], room);
        }
        let code = object.instructions(index);
        let mut lines = None;
        let (result, libbpf) = captured(|| {
            object.prepare()?;
            // A failed load forgets them.
            lines = Some(object.source_lines(index));
            object.load()
        });
        let loaded = object.programs();
        let Some(program) = loaded.get(index) else {
            return load;
        };
        let name = &programs[index].name;
        let log = program.log();
        match result {
            Ok(()) => {
                load.outcome = StepOutcome::Ok;
                load.verifier = verifier::of_program(*program);
            }
            // It was loaded; the programs in the slots of a program array are left out here.
            Err(EBADF) if left_out_slot(&libbpf) => {
                load.outcome = StepOutcome::Ok;
                load.verifier = verifier::statistics(&log);
            }
            Err(_) if blamed(&libbpf).is_some_and(|other| other != name) => {
                let other = blamed(&libbpf).unwrap_or_default();
                load.reason = Some(format!(
                    "`{other}`, which is loaded with it, was refused first"
                ));
                load.isolated = false;
                return load;
            }
            Err(errno) => {
                load.outcome = StepOutcome::Refused;
                load.errno = Some(errno);
                load.verifier = verifier::statistics(&log);
                let last = verifier::last_instruction(&log);
                load.at = last.zip(lines).and_then(|(last, lines)| {
                    let insn = match last {
                        Last::Insn(insn) => insn,
                        Last::Offset(insn) => verifier::user_of_offset(&code, insn),
                    };
                    object.source_line(&lines, insn)
                });
                load.libbpf = without_verifier_log(&libbpf);
            }
        }
        let kept: usize = programs.iter().map(|program| program.load.log.len()).sum();
        load.log = Log::within(&log, LOGS.saturating_sub(kept).max(LEAST_LOG));
        load
    }
}
