//! What became of one program of a cell.

use serde::{Deserialize, Serialize};

use crate::diagnosis::{Diagnosis, SourceLine};
use crate::evidence::{AttachOutcome, ProgramAttach, StepOutcome, VerifierStats};
use crate::verdict::{Expectation, Outcome, Verdict};

/// One program of a cell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct ProgramReport {
    /// The C function.
    pub name: String,
    /// The ELF section.
    pub section: String,
    /// libbpf's word for its type.
    #[serde(rename = "type")]
    pub program_type: String,
    /// How its load ended.
    pub load: StepOutcome,
    /// Whether `load` is of the program alone, after the whole object was refused.
    pub isolated: bool,
    /// How its attachment ended.
    pub attach: AttachOutcome,
    /// What it was attached to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Why it was not attempted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How often it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired: Option<u64>,
    /// The positive errno of whichever step was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
    /// What the verifier counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<VerifierStats>,
    /// The source line of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<SourceLine>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub diagnosis: Option<Diagnosis>,
    /// What the manifest says of it alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expectation>,
    /// The verdict compared with what is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

impl ProgramReport {
    /// Whether it was not attached, for a reason that people should know. That it attaches alone
    /// is no news: the object as a whole was refused, and that is told.
    pub fn is_untried(&self) -> bool {
        let reason = self.reason.as_deref();
        self.attach == AttachOutcome::NotAttempted
            && reason.is_some_and(|reason| reason != ProgramAttach::ATTACHES_ALONE)
    }

    /// Whether it was attached, and the kernel did not run it once, although what should make it fire
    /// was done.
    pub fn never_fired(&self) -> bool {
        self.attach == AttachOutcome::Attached && self.fired == Some(0)
    }

    /// Its own verdict, whatever becomes of the others: of its load where the whole object was
    /// refused and it was loaded alone.
    pub fn verdict(&self) -> Verdict {
        if let Some(diagnosis) = &self.diagnosis {
            return Verdict::Fail {
                diagnosis: diagnosis.clone(),
            };
        }
        let reason = self.reason.clone().unwrap_or_default();
        match (self.load, self.attach) {
            (StepOutcome::Ok, AttachOutcome::Attached) => Verdict::Pass,
            (StepOutcome::Ok, _) if self.isolated || reason.is_empty() => Verdict::Pass,
            _ => Verdict::Skip { reason },
        }
    }
}
