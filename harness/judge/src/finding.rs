//! What a rule is, what it finds, and how a finding is put together.

use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::verdict::Stage;

use crate::case::Case;

/// Most hints of one diagnosis.
pub(crate) const HINTS: usize = 3;

/// A rule: what it decides, or nothing where it does not apply.
pub(crate) type Rule = (&'static str, fn(&Case<'_>) -> Option<Diagnosis>);

/// A diagnosis and the name of the rule that made it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) rule: &'static str,
    pub(crate) diagnosis: Diagnosis,
}

/// A diagnosis without program, source line or excerpt.
pub(crate) fn diagnosis(
    code: Code,
    stage: Stage,
    headline: String,
    hints: Vec<String>,
) -> Diagnosis {
    Diagnosis {
        code,
        stage,
        program: None,
        headline,
        at: None,
        excerpt: None,
        hints,
    }
}

/// The same of the load, its hints borrowed.
pub(crate) fn at_load(code: Code, headline: String, hints: &[&str]) -> Diagnosis {
    let hints = hints.iter().map(|hint| (*hint).to_owned()).collect();
    diagnosis(code, Stage::Load, headline, hints)
}

/// ` (mainline 5.17)`, or nothing.
pub(crate) fn mainline(release: Option<&str>) -> String {
    release
        .map(|release| format!(" (mainline {release})"))
        .unwrap_or_default()
}
