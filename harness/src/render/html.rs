//! One self-contained HTML page: counts, causes, the grid, filters, and a section for each cell with
//! its diagnosis, source line, logs and programs.
//!
//! No script and no external asset: it works from disk, in a mail, behind a strict content policy,
//! and what a guest wrote can only ever be text. The filters are checkboxes and CSS.

mod cell;
mod filter;
mod grid;

use std::collections::{BTreeSet, HashSet};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use ukci_judge::explain;
use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::Code;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use super::cause::{Axes, Cause, causes};
use super::loader::{Mend, mend};
use super::notes::notes;
use super::{Shown, accels, cached_cells, external_btf};
use crate::file_name;
use filter::Filters;
use ukci_schema::plural::count;

/// The order in which outcomes are listed: what needs attention comes first.
const OUTCOMES: [Outcome; 6] = [
    Outcome::Fail,
    Outcome::Xpass,
    Outcome::Error,
    Outcome::Skip,
    Outcome::Xfail,
    Outcome::Pass,
];

/// The report as a page.
pub fn html(report: &Shown<Report>) -> Shown<String> {
    let filters = Filters::of(report);
    let causes = causes(report);
    let axes = Axes::of(report);
    // The other cells of a cause say the same.
    let open: HashSet<&str> = causes
        .iter()
        .map(|cause| cause.first().cell.id.as_str())
        .collect();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title(report)) }
                style { (PreEscaped(include_str!("html/style.css"))) (PreEscaped(filters.css())) }
            }
            body {
                header.wide { (head(report)) }
                (filters.bar())
                main.wide {
                    @if !causes.is_empty() {
                        h2 { "What needs a look" }
                        div.card { @for cause in &causes { (overview(report, &axes, cause)) } }
                    }
                    (grid::grids(report, &filters))
                    h2 { "Cells" }
                    @for cell in &report.cells {
                        (cell::fragment(report, cell, &filters, open.contains(cell.id.as_str())))
                    }
                    (explanations(report))
                    @if !report.not_run.is_empty() {
                        h2 { "Not run" }
                        ul.small { @for id in &report.not_run { li { (id) } } }
                    }
                }
                footer.wide { (inputs(report)) }
            }
        }
    };
    Shown::rendered(page.into_string())
}

fn title(report: &Report) -> String {
    let unmet = report.cells.iter().filter(|cell| !cell.outcome.is_met());
    match unmet.count() {
        0 => format!(
            "ukci {}: {} as expected",
            report.run.matrix,
            count(report.cells.len(), "cell")
        ),
        n => format!(
            "ukci {}: {n} of {}",
            report.run.matrix,
            count(report.cells.len(), "cell")
        ),
    }
}

fn head(report: &Report) -> Markup {
    let run = &report.run;
    let summary = &report.summary;
    let of = |outcome| match outcome {
        Outcome::Pass => summary.pass,
        Outcome::Fail => summary.fail,
        Outcome::Xfail => summary.xfail,
        Outcome::Xpass => summary.xpass,
        Outcome::Error => summary.error,
        Outcome::Skip => summary.skip,
    };
    let counts: Vec<(Outcome, usize)> = OUTCOMES
        .into_iter()
        .map(|outcome| (outcome, of(outcome)))
        .filter(|(_, count)| *count > 0)
        .collect();
    html! {
        h1 { "ukci " span.quiet { (run.matrix) } }
        div.bar aria-hidden="true" {
            @for (outcome, count) in counts.iter().rev() {
                i class=(outcome.name()) style={ "flex:" (count) } {}
            }
        }
        p.counts {
            @for (outcome, count) in counts.iter().rev() {
                span class=(outcome.name()) { b { (count) } " " (outcome) }
            }
            @if summary.excluded > 0 { span.quiet { b { (summary.excluded) } " excluded" } }
            @if summary.not_run > 0 { span.error { b { (summary.not_run) } " not run" } }
            @if summary.programs_not_attempted > 0 {
                span.quiet { b { (summary.programs_not_attempted) } " programs not attempted" }
            }
            @if summary.programs_never_fired > 0 {
                span.quiet {
                    b { (summary.programs_attached) } " programs attached, "
                    b { (summary.programs_never_fired) } " never fired"
                }
            }
        }
        p.quiet.small {
            (run.started) ", " (format!("{:.1}", run.seconds)) " s, "
            (count(run.jobs, "machine")) " at once, "
            (accels(report)) ", " (run.transport.name) ", ukci " (run.ukci)
            @if let Some(cached) = cached_cells(report) { ", " (cached) }
            @if let Some(with) = external_btf(report) { ", " (with) }
            @if run.interrupted { ", " strong.error { "interrupted" } }
            @if !run.hermetic { ", " strong.xfail { "not hermetic" } " (a file came from outside of the lock, or the guest had a network)" }
        }
        @for warning in &run.warnings { p.warning.small { (warning) } }
    }
}

/// A cause with links to its cells and to what its code means.
fn overview(report: &Report, axes: &Axes<'_>, cause: &Cause<'_>) -> Markup {
    let class = if cause.is_loader() {
        "xfail"
    } else {
        cause.outcome.name()
    };
    let word = if cause.is_loader() {
        "loader"
    } else {
        cause.outcome.name()
    };
    let artifacts = cause.artifacts();
    let several = artifacts.len() > 1;
    let (programs, names) = (cause.programs(), cause.other_names());
    html! {
        div.problem {
            p.headline {
                span class={ "badge " (class) } { (word) } " "
                @if !several { (artifacts.join(", ")) ": " }
                (code(cause.code)) " " (cause.count())
            }
            p { (prose(&cause.headline)) }
            @if !names.is_empty() { p.small { "The same holds for " (names.join(", ")) "." } }
            @if programs.len() > 1 {
                details.small {
                    summary { (programs.len()) " programs" }
                    (programs.join(", "))
                }
            }
            @for artifact in &artifacts {
                @let cells: Vec<&CellReport> = (cause.seen.iter().map(|seen| seen.cell))
                    .filter(|cell| cell.artifact == *artifact).collect();
                @if several { p.small { (artifact) } }
                (places(&cells))
            }
            @for note in notes(report, cause) { p.small { "Note: " (prose(&note)) } }
            @if let Some(mend) = mend(report, axes, cause, None) { (of_manifest(&mend)) }
        }
    }
}

/// Whose business a cause is, and what a manifest can say of it.
fn of_manifest(mend: &Mend) -> Markup {
    html! {
        p.small { "Note: " (prose(&mend.note)) }
        @if !mend.lines.is_empty() {
            p.small {
                "Say in the manifest"
                @if let Some(name) = &mend.artifact { " of " code { (name) } }
                " what the loader does:"
            }
            pre { (mend.lines.join("\n")) }
            @if !mend.omitted.is_empty() {
                p.small {
                    "These are not all. There are " (count(mend.omitted.len(), "more choice")) ": "
                    (prose(&mend.omitted.join(", "))) "."
                }
            }
        }
        @if let Some(command) = &mend.command {
            p.small { "This command writes a manifest: " code { (command) } }
        }
    }
}

/// A code, with a link to its explanation if it is a diagnosis.
fn code(name: &str) -> Markup {
    html! {
        @if name.parse::<Code>().is_ok() {
            a.code href={ "#code-" (name) } { code { (name) } }
        } @else {
            code { (name) }
        }
    }
}

/// What each code of the report means, as `ukci explain` says it.
fn explanations(report: &Report) -> Markup {
    let codes: BTreeSet<Code> = report.cells.iter().flat_map(codes_of).collect();
    html! {
        @if !codes.is_empty() {
            h2 { "What the codes mean" }
            @for code in codes {
                div.card id={ "code-" (code) } { pre.small { (explain::explain(code)) } }
            }
        }
    }
}

/// The codes of a cell and of its programs.
fn codes_of(cell: &CellReport) -> impl Iterator<Item = Code> {
    let programs = cell.programs.iter();
    let programs = programs.filter_map(|program| Some(program.diagnosis.as_ref()?.code));
    cell.code().into_iter().chain(programs)
}

/// Links to cells: one each, or where sources were compiled by several LLVMs a kernel with a link
/// for each of them.
fn places(cells: &[&CellReport]) -> Markup {
    let mut places: Vec<(&str, Arch, Vec<&CellReport>)> = Vec::new();
    for cell in cells {
        let known = places
            .iter_mut()
            .find(|(kernel, arch, _)| *kernel == cell.kernel && *arch == cell.arch);
        match known {
            Some((_, _, of)) => of.push(cell),
            None => places.push((&cell.kernel, cell.arch, vec![cell])),
        }
    }
    html! {
        p.places.small {
            @for (kernel, arch, cells) in &places {
                @if let [cell] = cells.as_slice() {
                    a href={ "#" (anchor(cell)) } {
                        (kernel) " " (arch)
                        @if let Some(llvm) = &cell.llvm { " llvm-" (llvm) }
                    }
                } @else {
                    span {
                        (kernel) " " (arch) " llvm"
                        @for cell in cells {
                            " " a href={ "#" (anchor(cell)) } {
                                (cell.llvm.as_deref().unwrap_or("none"))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A sentence; what stands between backticks is code.
fn prose(text: &str) -> Markup {
    html! {
        @for (n, part) in text.split('`').enumerate() {
            @if n % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn anchor(cell: &CellReport) -> String {
    format!("cell-{}", file_name::of_cell(&cell.cell()))
}

/// Everything that went in, by digest.
fn inputs(report: &Report) -> Markup {
    let run = &report.run;
    html! {
        details.small {
            summary { "Inputs by SHA-256" }
            dl.facts {
                @for artifact in &report.artifacts {
                    dt { (artifact.path) }
                    dd.mono { (artifact.sha256) }
                }
                @for (name, kernel) in &report.kernels {
                    dt { (name) " (" (kernel.release) ")" }
                    dd.mono { "image " (kernel.image) }
                }
                @for (arch, agent) in &run.agents {
                    dt { "agent " (arch) }
                    dd.mono { (agent) }
                }
                @for (arch, qemu) in &run.qemu {
                    dt { "QEMU " (arch) }
                    dd { (qemu) }
                }
                dt { "accelerator" } dd { (run.accel.name) ": " (run.accel.why) }
                dt { "transport" } dd { (run.transport.name) ": " (run.transport.why) }
            }
        }
    }
}
