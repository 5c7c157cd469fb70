//! Finds programs of a refused object that load alone but would not attach, because that is one
//! more cause to report.
//!
//! A program that attaches in a copy is recorded as not attempted, so that it never counts towards
//! a pass.

use std::collections::BTreeSet;

use ukci_schema::evidence::{AttachOutcome, Evidence, ProgramAttach, StepOutcome};
use ukci_schema::verdict::Stage;

use super::Isolation;
use crate::attach;
use crate::bpf::LOG_STATS;
use crate::libbpf_log::captured;
use crate::request::ATTACHES_ALONE;

impl Isolation<'_> {
    /// Attaches the programs that load, in a copy that has no others.
    pub(super) fn attachments(
        &self,
        evidence: &mut Evidence,
        progress: &mut impl FnMut(Stage, &str),
    ) {
        let good: BTreeSet<usize> = (evidence.programs.iter().enumerate())
            .filter(|(_, program)| program.load.outcome == StepOutcome::Ok)
            .map(|(n, _)| n)
            .collect();
        if good.is_empty() {
            return;
        }
        if self.is_late() {
            for n in good {
                evidence.programs[n].attach.reason = Some(ProgramAttach::TIME_WAS_OVER.into());
            }
            return;
        }
        progress(Stage::Load, "the programs that load, to attach them");
        let loaded = || {
            let mut object = self.open(&self.copy, &good, LOG_STATS)?;
            object.load().map(|()| object)
        };
        // Fine alone and refused together: there is nothing to attach.
        let Ok(object) = captured(loaded).0 else {
            return;
        };
        let until = self.until.map(|(until, _)| until);
        let attach = || {
            attach::attach_all(&object, self.read, self.request, evidence, until, |name| {
                progress(Stage::Load, &ATTACHES_ALONE.join(name));
            });
        };
        let ((), _) = captured(attach);
        for program in &mut evidence.programs {
            isolate(&mut program.attach);
        }
        for map in &mut evidence.struct_ops {
            isolate(&mut map.attach);
        }
    }
}

/// Marks what was found in a copy. An attachment that worked there is none.
fn isolate(attach: &mut ProgramAttach) {
    match attach.outcome {
        AttachOutcome::NotAttempted => {}
        AttachOutcome::Refused => attach.isolated = true,
        AttachOutcome::Attached => {
            *attach = ProgramAttach {
                isolated: true,
                reason: Some(ProgramAttach::ATTACHES_ALONE.into()),
                ..ProgramAttach::default()
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use ukci_schema::evidence::{AttachOutcome, ProgramAttach};

    use super::isolate;

    #[test]
    fn what_attaches_in_a_copy_was_not_attempted() {
        let mut attach = ProgramAttach {
            outcome: AttachOutcome::Attached,
            method: Some("kprobe/x".into()),
            fired: Some(3),
            ..ProgramAttach::default()
        };
        isolate(&mut attach);
        assert_eq!(attach.outcome, AttachOutcome::NotAttempted);
        assert_eq!((attach.fired, attach.method), (None, None));
        assert!(attach.isolated);
    }
}
