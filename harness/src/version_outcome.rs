//! What became of an artifact on one version of a kernel, and how that differs from another version.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Evidence, StepOutcome};
use ukci_schema::report::CellReport;
use ukci_schema::verdict::VerdictKind;

use crate::render::grouped;

/// Growth or shrinkage of a program's cost that is worth a word, in percent.
const NOTABLE_PERCENT: u64 = 10;

/// One version's line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VersionOutcome {
    /// The kernel with its version, such as `debian-12-6.1@6.1.176-1`.
    pub kernel: String,
    /// The version of its package.
    pub version: String,
    /// `uname -r`.
    pub release: String,
    /// The day on which the kernel was built, `YYYY-MM-DD`, as `uname -v` says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub built: Option<String>,
    /// The verdict.
    pub verdict: VerdictKind,
    /// The code of the diagnosis or the fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// The first line of the diagnosis, of the fault, or of the reason of a skip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The instructions that the verifier processed for each program that it accepted.
    pub insns: BTreeMap<String, u64>,
    /// What is different from the version before, one phrase each.
    pub changes: Vec<String>,
    /// The directory with the evidence.
    pub evidence: String,
}

impl VersionOutcome {
    /// The line of a version in tests.
    #[cfg(test)]
    pub(crate) fn in_tests(
        verdict: VerdictKind,
        code: Option<Code>,
        insns: &[(&str, u64)],
    ) -> Self {
        Self {
            kernel: "debian-12-6.1@6.1.1-1".into(),
            version: "6.1.1-1".into(),
            release: "6.1.0-1-amd64".into(),
            built: None,
            verdict,
            code,
            headline: None,
            insns: (insns.iter())
                .map(|(name, n)| ((*name).to_owned(), *n))
                .collect(),
            changes: Vec::new(),
            evidence: String::new(),
        }
    }

    /// The line of a cell of the report in the directory `out`.
    pub fn of(cell: &CellReport, out: &Path) -> Self {
        let directory = out.join(&cell.evidence);
        let diagnosis = cell.diagnosis.as_ref().map(|diagnosis| &diagnosis.headline);
        let fault = cell.fault.as_ref().map(|fault| &fault.headline);
        let version = cell
            .kernel
            .split_once('@')
            .map_or("", |(_, version)| version);
        let insns = cell.programs.iter().filter_map(|program| {
            let stats = program.verifier.as_ref()?;
            let is_accepted = program.load == StepOutcome::Ok && stats.insns > 0;
            is_accepted.then(|| (program.name.clone(), stats.insns))
        });
        Self {
            kernel: cell.kernel.clone(),
            version: version.to_owned(),
            release: cell.release.clone(),
            built: uname_version(&directory).as_deref().and_then(built_on),
            verdict: cell.verdict,
            code: cell.code(),
            headline: diagnosis.or(fault).or(cell.reason.as_ref()).cloned(),
            insns: insns.collect(),
            changes: Vec::new(),
            evidence: directory.display().to_string(),
        }
    }

    /// Whether the kernel was asked at all.
    pub fn is_known(&self) -> bool {
        matches!(self.verdict, VerdictKind::Pass | VerdictKind::Fail)
    }

    /// The instructions of all accepted programs together.
    pub fn total(&self) -> u64 {
        self.insns.values().sum()
    }

    /// What is different from `before`, one phrase each.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.verdict != before.verdict {
            let words = [before.verdict, self.verdict].map(VerdictKind::name);
            changes.push(format!("{} became {}", words[0], words[1]));
        } else if self.code != before.code {
            let words = [before, self].map(|one| one.code.map_or("no code", Code::name));
            changes.push(format!("{} became {}", words[0], words[1]));
        } else if self.headline != before.headline {
            changes.push("the diagnosis is another one".to_owned());
        }
        for (program, now) in &self.insns {
            let Some(was) = before.insns.get(program) else {
                continue;
            };
            let percent = now.abs_diff(*was).saturating_mul(100) / (*was).max(1);
            if percent >= NOTABLE_PERCENT {
                let word = if now > was { "more" } else { "fewer" };
                changes.push(format!(
                    "`{program}` took {percent} % {word} instructions ({} instead of {})",
                    grouped(*now),
                    grouped(*was)
                ));
            }
        }
        changes
    }
}

/// `uname -v` of the guest, if it said so before the cell ended.
fn uname_version(directory: &Path) -> Option<String> {
    let text = std::fs::read(directory.join("evidence.json")).ok()?;
    let evidence: Evidence = serde_json::from_slice(&text).ok()?;
    Some(evidence.guest.version)
}

/// The lines of a report in the order of `kernels`, each with what changed since the last version that
/// was asked.
pub fn in_order(cells: &[CellReport], kernels: &[String], out: &Path) -> Vec<VersionOutcome> {
    let mut lines: Vec<VersionOutcome> = Vec::new();
    for kernel in kernels {
        let Some(cell) = cells.iter().find(|cell| cell.kernel == *kernel) else {
            continue;
        };
        let mut line = VersionOutcome::of(cell, out);
        let before = lines.iter().rev().find(|before| before.is_known());
        if let Some(before) = before.filter(|_| line.is_known()) {
            line.changes = line.changes_since(before);
        }
        lines.push(line);
    }
    lines
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The day in `uname -v`: `#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-06-20)`, or
/// `#1 SMP PREEMPT_DYNAMIC Fri Oct 10 16:00:00 UTC 2025`.
fn built_on(version: &str) -> Option<String> {
    let is_day = |text: &str| {
        text.len() == 10
            && text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            })
    };
    let words: Vec<&str> = version.split_whitespace().collect();
    let mut bracketed = words.iter().filter_map(|word| {
        word.strip_prefix('(')?
            .strip_suffix(')')
            .filter(|day| is_day(day))
    });
    if let Some(day) = bracketed.next_back() {
        return Some(day.to_owned());
    }
    let month = words.iter().position(|word| MONTHS.contains(word))?;
    let number = MONTHS.iter().position(|name| *name == words[month])? + 1;
    let day: u32 = words.get(month + 1)?.parse().ok()?;
    let year: u32 = words
        .last()?
        .parse()
        .ok()
        .filter(|year| (1991..10000).contains(year))?;
    Some(format!("{year}-{number:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_changed_and_nothing_else() {
        let one = VersionOutcome::in_tests(VerdictKind::Pass, None, &[("a", 1000), ("b", 100)]);
        assert_eq!(one.changes_since(&one), [""; 0]);
        let small = VersionOutcome::in_tests(VerdictKind::Pass, None, &[("a", 1099), ("b", 91)]);
        assert_eq!(small.changes_since(&one), [""; 0]);
        let grown = VersionOutcome::in_tests(VerdictKind::Pass, None, &[("a", 1520), ("b", 50)]);
        assert_eq!(
            grown.changes_since(&one),
            [
                "`a` took 52 % more instructions (1,520 instead of 1,000)",
                "`b` took 50 % fewer instructions (50 instead of 100)"
            ]
        );
        let refused = VersionOutcome::in_tests(VerdictKind::Fail, Some(Code::VerifierLimit), &[]);
        assert_eq!(refused.changes_since(&one), ["pass became fail"]);
        let otherwise = VersionOutcome::in_tests(VerdictKind::Fail, Some(Code::MapRefused), &[]);
        assert_eq!(
            otherwise.changes_since(&refused),
            ["VERIFIER_LIMIT became MAP_REFUSED"]
        );
        assert_eq!(one.total(), 1100);
    }

    #[test]
    fn the_day_of_the_build_is_read_as_distributions_write_it() {
        for (version, day) in [
            (
                "#1 SMP PREEMPT_DYNAMIC Debian 6.1.176-1 (2026-06-20)",
                Some("2026-06-20"),
            ),
            ("#1 SMP Debian 5.10.223-1 (2024-08-10)", Some("2024-08-10")),
            (
                "#1 SMP PREEMPT_DYNAMIC Fri Oct 10 16:00:00 UTC 2025",
                Some("2025-10-10"),
            ),
            (
                "#139-Ubuntu SMP PREEMPT_DYNAMIC Tue Sep  8 10:01:02 UTC 2026",
                Some("2026-09-08"),
            ),
            ("#1 SMP (today) Debian", None),
            ("", None),
        ] {
            assert_eq!(built_on(version).as_deref(), day, "{version}");
        }
    }
}
