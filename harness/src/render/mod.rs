//! Renders a report, as pure functions `fn(&Shown<Report>) -> Shown<String>`, one file per format.

mod again;
mod cause;
mod diff;
mod features;
mod github;
mod grid;
mod html;
mod junit;
mod loader;
mod markdown;
mod notes;
mod shown;
mod stage_times;
mod table;
mod verifier;

use std::collections::BTreeSet;

use ukci_schema::diagnosis::Code;
use ukci_schema::report::{CachedFrom, CellReport, Report};
use ukci_schema::verdict::Outcome;

use ukci_schema::plural::count;

pub use again::{again, quoted};
pub use cause::{Axes, Cause, Seen, causes};
pub use diff::{diff, diff_markdown};
pub use features::{differences, features};
pub use github::{SUMMARY_LIMIT, annotations, github};
pub use grid::{Grid, grids};
pub use html::html;
pub use junit::junit;
pub use loader::{Mend, mend};
pub use markdown::markdown;
pub use notes::{notes, notes_elsewhere};
pub use shown::{Foreign, Shown, harmless, harmless_lines, is_active, plain_json};
pub use stage_times::stage_times;
pub use table::grouped;
pub use verifier::{Row, over_budget, top, verifier, verifier_markdown, verifier_rows};

/// Whether a cell failed because the object needs its own loader to set something first: that says
/// nothing of the kernel.
pub fn needs_loader(cell: &CellReport) -> bool {
    cell.outcome == Outcome::Fail && cell.code() == Some(Code::LoaderContract)
}

/// One word for how a cell ended, of at most eight letters. A refusal is in capitals and says who
/// refused or what is missing, so that a grid tells kinds of failures apart.
pub fn word(cell: &CellReport) -> &'static str {
    match cell.outcome {
        Outcome::Pass => "pass",
        Outcome::Xfail => "xfail",
        Outcome::Xpass => "XPASS",
        Outcome::Error => "ERROR",
        Outcome::Skip => "SKIP",
        Outcome::Fail => cell.code().map_or("FAIL", refusal),
    }
}

fn refusal(code: Code) -> &'static str {
    match code {
        Code::LoaderContract => "loader",
        Code::VerifierRejection => "VERIFIER",
        Code::VerifierLimit => "LIMIT",
        Code::VerifierBudget => "BUDGET",
        Code::CoreRelocationFailure => "CO-RE",
        Code::MissingBtf => "BTF",
        Code::UnsupportedMapType
        | Code::UnsupportedProgramType
        | Code::UnsupportedAttachType
        | Code::UnsupportedHelper
        | Code::MissingKfunc => "MISSING",
        Code::KfuncMismatch => "KFUNC",
        Code::MissingKernelConfig => "CONFIG",
        Code::MapRefused => "MAP",
        Code::AttachTargetMissing => "TARGET",
        Code::AttachRefused => "ATTACH",
        Code::LsmInactive => "LSM",
        Code::LicenseRequired => "LICENSE",
        Code::PolicyDenied | Code::CapabilityFailure => "DENIED",
        Code::InvalidObject => "OBJECT",
        Code::CompileError => "COMPILE",
        Code::FunctionalTestFailure => "TEST",
        Code::CommandValidationFailure => "EXIT",
        Code::KernelPanic => "PANIC",
        Code::KernelSplat => "SPLAT",
        Code::GuestResources => "MEMORY",
        Code::UnsupportedTransport | Code::Unclassified => "FAIL",
    }
}

/// Where a cell's evidence comes from if this run did not boot it: a clause without its subject.
pub fn cached(from: &CachedFrom) -> String {
    format!(
        "booted by the run of {} on `{}` with ukci {}, in {:.1} s",
        from.started, from.host, from.ukci, from.seconds
    )
}

/// That objects were relocated against the BTF of a file instead of the kernel's own: `with the
/// external BTF 4.14.btf`. None if none was.
pub(crate) fn external_btf(report: &Report) -> Option<String> {
    let names: BTreeSet<&str> = report.cells.iter().filter_map(|c| c.btf_name()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    (!names.is_empty()).then(|| format!("with the external BTF {}", names.join(", ")))
}

/// How many cells this run did not boot, because their evidence was in the cache; nothing if none.
pub(crate) fn cached_cells(report: &Report) -> Option<String> {
    let cached = report.cells.iter().filter(|cell| cell.cached.is_some());
    let cached = cached.count();
    (cached > 0).then(|| format!("{} from the cache", count(cached, "verdict")))
}

/// What the cells ran on, each once: `tcg`, or `kvm, tcg` where shards or architectures differ. What
/// the run had chosen, where no cell ran.
pub(crate) fn accels(report: &Report) -> String {
    let ran: BTreeSet<&str> = report
        .cells
        .iter()
        .map(|cell| cell.accel.as_str())
        .filter(|accel| !accel.is_empty())
        .collect();
    if ran.is_empty() {
        return report.run.accel.name.clone();
    }
    ran.into_iter().collect::<Vec<_>>().join(", ")
}

/// The report as JSON: the contract.
pub fn json(report: &Report) -> Shown<String> {
    // Its maps have string keys and its numbers are finite, so it always serialises.
    let mut text = serde_json::to_string_pretty(report).unwrap_or_default();
    text.push('\n');
    plain_json(&text)
}

/// `33 cells: 25 passed, 3 xfail, 4 failed, 2 need their own loader, 1 error; 3 excluded`.
pub fn summary(report: &Report) -> Shown<String> {
    let summary = &report.summary;
    // Not the kernel's refusals: nothing was learned of it.
    let loader = report
        .cells
        .iter()
        .filter(|cell| needs_loader(cell))
        .count();
    let refused = summary.fail - loader;
    let needs = match loader {
        1 => "1 needs its own loader".to_owned(),
        n => format!("{n} need their own loader"),
    };
    let counts: Vec<String> = [
        (summary.pass, format!("{} passed", summary.pass)),
        (summary.xfail, format!("{} xfail", summary.xfail)),
        (refused, format!("{refused} failed")),
        (loader, needs),
        (summary.xpass, format!("{} xpass", summary.xpass)),
        (summary.error, count(summary.error, "error")),
        (summary.skip, format!("{} skipped", summary.skip)),
    ]
    .into_iter()
    .filter_map(|(number, words)| (number > 0).then_some(words))
    .collect();
    let mut text = count(summary.cells, "cell");
    if !counts.is_empty() {
        text.push_str(": ");
        text.push_str(&counts.join(", "));
    }
    let untried = count(summary.programs_not_attempted, "program");
    let unmet = report.cells.iter().filter(|cell| !cell.outcome.is_met());
    let optional = unmet.filter(|cell| !cell.required).count();
    let of_these = if optional == 1 {
        "1 of these is not required".to_owned()
    } else {
        format!("{optional} of these are not required")
    };
    for (number, words) in [
        (optional, of_these),
        (summary.excluded, format!("{} excluded", summary.excluded)),
        (summary.not_run, format!("{} not run", summary.not_run)),
        (
            summary.programs_not_attempted,
            format!("{untried} not attempted"),
        ),
        (
            summary.programs_never_fired,
            format!(
                "{} attached, {} never fired",
                count(summary.programs_attached, "program"),
                summary.programs_never_fired
            ),
        ),
    ] {
        if number > 0 {
            text.push_str(&format!("; {words}"));
        }
    }
    Shown::rendered(text)
}
