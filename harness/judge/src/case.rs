//! The input of the rules: the evidence of an object and one of its programs, with the queries that
//! several rules make.

use crate::said::{self, Said};
use crate::verifier_log;
use ukci_schema::evidence::{Evidence, Feature, FeatureKind, ProgramEvidence};
use ukci_schema::history;

/// The evidence of an object, of which the log is read.
#[derive(Debug)]
pub(crate) struct Whole<'a> {
    pub(crate) evidence: &'a Evidence,
    /// What libbpf said of the whole object.
    pub(crate) said: Vec<Said<'a>>,
}

impl<'a> Whole<'a> {
    pub(crate) fn new(evidence: &'a Evidence) -> Self {
        Self {
            evidence,
            said: said::read(&evidence.log),
        }
    }

    /// The first answer to what libbpf said.
    pub(crate) fn heard<T>(&self, what: impl FnMut(&Said<'a>) -> Option<T>) -> Option<T> {
        self.said.iter().find_map(what)
    }

    /// Whether libbpf said this.
    pub(crate) fn has_said(&self, what: &Said<'_>) -> bool {
        self.said.iter().any(|said| said == what)
    }

    /// The probes' answers about one name.
    pub(crate) fn features(
        &self,
        kind: FeatureKind,
        name: &str,
    ) -> impl Iterator<Item = &'a Feature> {
        features(self.evidence, kind, name)
    }
}

/// One program and the object that it is of.
#[derive(Clone, Debug)]
pub(crate) struct Case<'a> {
    pub(crate) evidence: &'a Evidence,
    pub(crate) whole: &'a Whole<'a>,
    pub(crate) program: &'a ProgramEvidence,
    /// What libbpf said while it loaded the program alone, and while it attached it.
    pub(crate) said: Vec<Said<'a>>,
    /// The verifier's own reason, where it spoke.
    pub(crate) sentence: Option<String>,
}

impl<'a> Case<'a> {
    pub(crate) fn new(whole: &'a Whole<'a>, program: &'a ProgramEvidence) -> Self {
        let mut said = said::read(&program.load.libbpf);
        said.extend(said::read(&program.attach.libbpf));
        Self {
            evidence: whole.evidence,
            whole,
            program,
            said,
            sentence: verifier_log::sentence(&program.load.log),
        }
    }

    /// The first answer to what libbpf said of the program alone.
    pub(crate) fn heard_alone<T>(&self, what: impl FnMut(&Said<'a>) -> Option<T>) -> Option<T> {
        self.said.iter().find_map(what)
    }

    /// The first answer to what libbpf said of the program alone, or else of the whole object.
    pub(crate) fn heard<T>(&self, mut what: impl FnMut(&Said<'a>) -> Option<T>) -> Option<T> {
        (self.said.iter().find_map(&mut what)).or_else(|| self.whole.heard(what))
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

    /// Whether the agent has every capability that loading and attaching may ask for.
    pub(crate) fn may_all(&self) -> bool {
        self.evidence.guest.capabilities_missing.is_empty()
    }

    /// The lockdown in force, if any.
    pub(crate) fn lockdown(&self) -> Option<&'a str> {
        self.evidence
            .guest
            .lockdown
            .as_deref()
            .filter(|mode| *mode != "none")
    }

    /// The first line of the verifier's log with these words. Source lines and the report of 7.3, which
    /// shows instructions that were never reached, are not the verifier's answer.
    pub(crate) fn verifier_line(&self, words: &str) -> Option<&'a str> {
        verifier_log::classic(&self.program.load.log)
            .find(|line| line.contains(words) && !line.starts_with("; "))
            .map(str::trim)
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

/// The hint that a type needs an option which is off. A kernel from before `release`, which brought the
/// type, has no such option either, so no configuration would help.
pub(crate) fn needs_option(
    evidence: &Evidence,
    option: &str,
    release: Option<&str>,
) -> Option<String> {
    let older = release.is_some_and(|since| history::is_older(&evidence.guest.release, since));
    (is_off(evidence, option) && !older)
        .then(|| format!("the type needs CONFIG_{option}, which is off in this kernel"))
}

/// Whether a configuration option is known to be off.
pub(crate) fn is_off(evidence: &Evidence, option: &str) -> bool {
    evidence
        .guest
        .config
        .get(option)
        .is_some_and(|value| value == "n")
}
