//! The verdict of a cell, and how it compares with what was expected.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diagnosis::{Code, Diagnosis};

pub use crate::stage::Stage;

/// Why there is no verdict: `ukci`, the host or the guest broke, not the artifact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Fault {
    /// The stage the cell was in.
    pub stage: Stage,
    /// What kind of fault: `KERNEL_PANIC`, `GUEST_RESOURCES`, … or none of the codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// One sentence: what happened, and what ukci was waiting for.
    pub headline: String,
    /// The last lines of the console, oldest first.
    #[serde(default)]
    pub console: Vec<String>,
    /// Actions that may help.
    #[serde(default)]
    pub hints: Vec<String>,
}

impl Fault {
    /// A fault of which there is nothing more to say.
    pub fn at(stage: Stage, headline: impl Into<String>) -> Self {
        Self {
            stage,
            code: None,
            headline: headline.into(),
            console: Vec::new(),
            hints: Vec::new(),
        }
    }
}

/// What a cell's evidence means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// The artifact did all that was asked of it.
    Pass,
    /// A compiler or a kernel refused the artifact.
    Fail {
        /// Why.
        diagnosis: Diagnosis,
    },
    /// `ukci` could not tell.
    Error {
        /// Why not.
        fault: Fault,
    },
    /// Nothing was attempted that could pass.
    Skip {
        /// Why not.
        reason: String,
    },
}

impl Verdict {
    /// The bare word.
    pub const fn kind(&self) -> VerdictKind {
        match self {
            Self::Pass => VerdictKind::Pass,
            Self::Fail { .. } => VerdictKind::Fail,
            Self::Error { .. } => VerdictKind::Error,
            Self::Skip { .. } => VerdictKind::Skip,
        }
    }

    /// The code of a failure or a fault.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Fail { diagnosis } => Some(diagnosis.code),
            Self::Error { fault } => fault.code,
            Self::Pass | Self::Skip { .. } => None,
        }
    }
}

/// A verdict without its reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum VerdictKind {
    /// See [`Verdict::Pass`].
    #[default]
    Pass,
    /// See [`Verdict::Fail`].
    Fail,
    /// See [`Verdict::Error`].
    Error,
    /// See [`Verdict::Skip`].
    Skip,
}

impl VerdictKind {
    /// The word reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }
}

/// What a matrix says of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Expectation {
    /// The expected verdict.
    pub verdict: VerdictKind,
    /// With `fail`: the only code that meets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Why it is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The verdict compared with the expectation, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum Outcome {
    /// Passed, as expected.
    Pass,
    /// It was refused, and that was not expected, or was expected with another code.
    Fail,
    /// Refused with the expected code.
    Xfail,
    /// It passed although a failure was expected, so the expectation is stale.
    Xpass,
    /// No verdict.
    Error,
    /// Nothing could be attempted.
    Skip,
}

impl Outcome {
    /// Compares a verdict with what was expected.
    ///
    /// An expected failure holds only for its code; an expectation without a code takes any.
    pub fn of(verdict: &Verdict, expected: &Expectation) -> Self {
        match (verdict, expected.verdict) {
            (Verdict::Pass, VerdictKind::Fail) => Self::Xpass,
            (Verdict::Pass, _) => Self::Pass,
            (Verdict::Fail { diagnosis }, VerdictKind::Fail)
                if expected.code.is_none_or(|code| code == diagnosis.code) =>
            {
                Self::Xfail
            }
            (Verdict::Fail { .. }, _) => Self::Fail,
            (Verdict::Error { .. }, _) => Self::Error,
            (Verdict::Skip { .. }, _) => Self::Skip,
        }
    }

    /// The same where single programs have expectations of their own, and did as `programs` say.
    ///
    /// One that did otherwise decides. A failure that is nobody's but theirs is expected where
    /// each of them is: `others_fail` says whether any other program was refused.
    #[must_use]
    pub fn with_programs(self, programs: &[Self], others_fail: bool) -> Self {
        let unmet = programs.iter().copied().find(|outcome| !outcome.is_met());
        match (self, unmet) {
            (Self::Error | Self::Skip | Self::Fail | Self::Xpass, Some(_)) => self,
            (_, Some(unmet)) => unmet,
            (Self::Fail, None) if !others_fail && programs.contains(&Self::Xfail) => Self::Xfail,
            (_, None) => self,
        }
    }

    /// The word reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Xfail => "xfail",
            Self::Xpass => "xpass",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }

    /// Whether the cell did what the matrix says.
    pub const fn is_met(self) -> bool {
        matches!(self, Self::Pass | Self::Xfail)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{self, Error, Fail, Pass, Skip, Xfail, Xpass};

    #[test]
    fn single_programs_decide_where_they_did_otherwise() {
        let of = |base: Outcome, programs: &[Outcome], others: bool| {
            base.with_programs(programs, others)
        };
        assert_eq!(of(Pass, &[Pass], false), Pass);
        assert_eq!(of(Pass, &[Xpass], false), Xpass);
        assert_eq!(of(Pass, &[Pass, Skip], false), Skip, "nobody tried it");
        assert_eq!(
            of(Fail, &[Xfail], false),
            Xfail,
            "all that fails is expected"
        );
        assert_eq!(of(Fail, &[Xfail], true), Fail);
        assert_eq!(
            of(Fail, &[Pass], false),
            Fail,
            "the object as a whole failed"
        );
        assert_eq!(
            of(Xfail, &[Pass], true),
            Xfail,
            "the one that counts passes"
        );
        assert_eq!(
            of(Xfail, &[Fail], true),
            Fail,
            "the one that counts does not"
        );
        assert_eq!(of(Error, &[Fail], false), Error);
    }
}
