//! One program before the rules: the evidence, and what they all ask of it.

use super::{text, verifier_log};
use ukci_schema::evidence::{Evidence, Feature, FeatureKind, ProgramEvidence};

/// One program and the evidence it stands in.
#[derive(Clone, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) program: &'a ProgramEvidence,
    /// The verifier's own reason, where it spoke.
    pub(crate) sentence: Option<String>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(evidence: &'a Evidence, program: &'a ProgramEvidence) -> Self {
        Self {
            evidence,
            program,
            sentence: verifier_log::sentence(&program.load.log),
        }
    }

    /// The probes' answers about one name.
    pub(crate) fn features(
        &self,
        kind: FeatureKind,
        name: &str,
    ) -> impl Iterator<Item = &'a Feature> {
        features(self.evidence, kind, name)
    }

    /// The section without its `?`, or what the manifest has in its place.
    pub(crate) fn section(&self) -> &'a str {
        let program = self.program;
        let section = program.attach_to.as_ref().unwrap_or(&program.section);
        section.trim_start_matches('?')
    }

    /// Whether a configuration option is known to be off.
    pub(crate) fn is_off(&self, option: &str) -> bool {
        is_off(self.evidence, option)
    }

    /// The lockdown in force, if any.
    pub(crate) fn lockdown(&self) -> Option<&'a str> {
        self.evidence
            .guest
            .lockdown
            .as_deref()
            .filter(|mode| *mode != "none")
    }

    /// The first line of the verifier's log with these words.
    pub(crate) fn verifier_line(&self, words: &str) -> Option<&'a str> {
        self.program
            .load
            .log
            .lines()
            .find(|line| line.contains(words))
            .map(str::trim)
    }

    /// The first line with these words that libbpf printed while it loaded the program alone, or
    /// else the whole object.
    pub(crate) fn libbpf_line(&self, words: &str) -> Option<&'a str> {
        let logs = [&self.program.load.libbpf, &self.evidence.log];
        text::line_with(&logs, words)
    }

    /// Whether the load ended before the verifier said a word: the kernel refused the attributes
    /// of the program, not its instructions.
    pub(crate) fn is_silent(&self) -> bool {
        self.sentence.is_none()
            && self
                .program
                .load
                .log
                .lines()
                .all(verifier_log::is_statistic)
    }

    /// The program in backticks.
    pub(crate) fn name(&self) -> String {
        format!("`{}`", self.program.name)
    }
}

/// The probes' answers about one name.
pub(crate) fn features<'a>(
    evidence: &'a Evidence,
    kind: FeatureKind,
    name: &str,
) -> impl Iterator<Item = &'a Feature> {
    evidence
        .features
        .iter()
        .filter(move |f| f.kind == kind && f.name == name)
}

/// Whether a configuration option is known to be off.
pub(crate) fn is_off(evidence: &Evidence, option: &str) -> bool {
    evidence
        .guest
        .config
        .get(option)
        .is_some_and(|value| value == "n")
}
