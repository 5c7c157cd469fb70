//! Defines and documents the exit statuses.

use std::process::ExitCode;

use ukci_schema::report::Report;
use ukci_schema::verdict::Outcome;

/// How `ukci` ends. Printed by `--help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Every required cell met its expectation; or the command did what was asked.
    Met,
    /// A required cell has no verdict, or the run could not start.
    NoVerdict,
    /// A required cell did not meet its expectation. Wins over 1.
    Unmet,
    /// No cell was selected.
    NoCells,
    /// The command line is wrong, or names a file that is not there or not what is expected.
    Usage,
    /// Ended by a second Ctrl-C; a command that leaves no report, by the first.
    Interrupted,
    /// What `ukci shell --command` or `ukci runner` ran ended so.
    Guest(u8),
}

/// The statuses and what they mean, for `--help`, `ukci help exit-status`, README and docs.
pub(crate) const STATUSES: &[(u8, &str)] = &[
    (
        0,
        "Every required cell met its expectation, or the command succeeded.",
    ),
    (
        1,
        "A required cell has no verdict, or the run could not start.",
    ),
    (
        2,
        "A required cell did not meet its expectation. This has priority over 1.",
    ),
    (3, "No cell was selected."),
    (
        64,
        "The command line is wrong, or a file that it names cannot be used.",
    ),
    (
        130,
        "A second Ctrl-C or signal ended a run, or one ended another command.",
    ),
];

/// What the table cannot say.
pub(crate) const HANDED_THROUGH: &str = "`ukci shell --command TEXT` and `ukci runner` end with the status of the command that ran in the guest.";

/// The part of `--help` about them.
pub(crate) fn help() -> String {
    table() + HANDED_THROUGH
}

/// The statuses, one per line.
pub(crate) fn table() -> String {
    let mut text = String::from("Exit status:\n");
    for (status, meaning) in STATUSES {
        text.push_str(&format!("  {status:<4} {meaning}\n"));
    }
    text
}

impl Exit {
    /// The number.
    pub(crate) const fn status(self) -> u8 {
        match self {
            Self::Met => 0,
            Self::NoVerdict => 1,
            Self::Unmet => 2,
            Self::NoCells => 3,
            Self::Usage => 64,
            Self::Interrupted => 130,
            Self::Guest(status) => status,
        }
    }

    /// What a finished run means.
    pub(crate) fn of(report: &Report) -> Self {
        let required = || report.cells.iter().filter(|cell| cell.required);
        if required().any(|cell| matches!(cell.outcome, Outcome::Fail | Outcome::Xpass)) {
            return Self::Unmet;
        }
        let untold = required().any(|cell| !cell.outcome.is_met());
        if untold || report.summary.not_run > 0 {
            Self::NoVerdict
        } else {
            Self::Met
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}

#[cfg(test)]
mod tests {
    use ukci_schema::report::Report;
    use ukci_schema::verdict::Outcome;

    use super::Exit;

    fn report(outcomes: &[(Outcome, bool)]) -> Report {
        let mut report: Report =
            serde_json::from_str(include_str!("../../harness/tests/fixtures/report.json"))
                .expect("the fixture");
        let cell = report.cells[0].clone();
        report.cells = outcomes
            .iter()
            .map(|(outcome, required)| {
                let mut cell = cell.clone();
                (cell.outcome, cell.required) = (*outcome, *required);
                cell
            })
            .collect();
        report
    }

    #[test]
    fn only_required_cells_decide_and_unmet_wins_over_untold() {
        use Outcome::{Error, Fail, Pass, Skip, Xfail, Xpass};
        let of = |outcomes: &[(Outcome, bool)]| Exit::of(&report(outcomes));
        assert_eq!(of(&[(Pass, true), (Xfail, true), (Fail, false)]), Exit::Met);
        assert_eq!(of(&[(Error, true), (Pass, true)]), Exit::NoVerdict);
        assert_eq!(of(&[(Skip, true)]), Exit::NoVerdict);
        assert_eq!(of(&[(Error, true), (Fail, true)]), Exit::Unmet);
        assert_eq!(of(&[(Xpass, true)]), Exit::Unmet);
        let mut short = report(&[(Pass, true)]);
        short.summary.not_run = 1;
        assert_eq!(Exit::of(&short), Exit::NoVerdict);
    }
}
