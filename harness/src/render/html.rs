//! One self-contained HTML page: grid, filters, and a fragment a cell with its diagnosis, source
//! line, logs and programs. No script, no external asset: the filters are checkboxes and CSS.

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use ukci_schema::diagnosis::{Diagnosis, SourceLine};
use ukci_schema::evidence::{AttachOutcome, StepOutcome};
use ukci_schema::report::{CellReport, ProgramReport, Report};
use ukci_schema::verdict::Outcome;

const OUTCOMES: [Outcome; 6] = [
    Outcome::Fail,
    Outcome::Xpass,
    Outcome::Error,
    Outcome::Skip,
    Outcome::Xfail,
    Outcome::Pass,
];

/// The report as a page.
pub fn html(report: &Report) -> String {
    let summary = &report.summary;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "ukci: " (report.run.matrix) }
                style { (PreEscaped(include_str!("html.css"))) }
            }
            body {
                header {
                    h1 { "ukci " span.quiet { (report.run.matrix) } }
                    p.counts {
                        @for (outcome, count) in [
                            (Outcome::Pass, summary.pass), (Outcome::Fail, summary.fail),
                            (Outcome::Xfail, summary.xfail), (Outcome::Xpass, summary.xpass),
                            (Outcome::Error, summary.error), (Outcome::Skip, summary.skip),
                        ] {
                            @if count > 0 { span class=(outcome.name()) { (count) " " (outcome) } " " }
                        }
                        @if summary.not_run > 0 { span.error { (summary.not_run) " not run" } }
                    }
                    p.quiet {
                        (report.run.started) ", " (format!("{:.1}", report.run.seconds)) " s, "
                        (report.run.accel.name) ", " (report.run.transport.name) ", ukci "
                        (report.run.ukci) @if !report.run.hermetic { ", not hermetic" }
                    }
                    @for warning in &report.run.warnings { p.warning { (warning) } }
                    fieldset {
                        legend { "Show" }
                        @for outcome in OUTCOMES {
                            label {
                                input type="checkbox" checked id={ "show-" (outcome.name()) };
                                " " (outcome)
                            }
                        }
                    }
                }
                main {
                    @for artifact in &report.artifacts {
                        h2 { (artifact.name) " " span.quiet { (artifact.path) } }
                        (grid(report, &artifact.name))
                    }
                    @for cell in &report.cells { (fragment(report, cell)) }
                }
            }
        }
    };
    page.into_string()
}

/// Kernels as rows, architectures and LLVMs as columns.
fn grid(report: &Report, artifact: &str) -> Markup {
    let cells: Vec<&CellReport> = report
        .cells
        .iter()
        .filter(|cell| cell.artifact == artifact)
        .collect();
    let columns: BTreeSet<_> = cells
        .iter()
        .map(|cell| (cell.arch, cell.llvm.clone()))
        .collect();
    let mut kernels: Vec<&str> = Vec::new();
    for cell in &cells {
        if !kernels.contains(&cell.kernel.as_str()) {
            kernels.push(&cell.kernel);
        }
    }
    html! {
        div.scroll { table.grid {
            thead { tr {
                th { "kernel" }
                @for (arch, llvm) in &columns {
                    th { (arch) @if let Some(llvm) = llvm { br; "llvm " (llvm) } }
                }
            } }
            tbody { @for kernel in kernels { tr {
                th scope="row" { (kernel) }
                @for (arch, llvm) in &columns {
                    @let cell = cells.iter().find(|cell| {
                        cell.kernel == kernel && cell.arch == *arch && cell.llvm == *llvm
                    });
                    @match cell {
                        Some(cell) => td class=(cell.outcome.name()) {
                            a href={ "#" (anchor(cell)) } { (cell.outcome) }
                        },
                        None => td.quiet { "-" },
                    }
                }
            } } }
        } }
    }
}

fn anchor(cell: &CellReport) -> String {
    format!("cell-{}", cell.cell().slug())
}

fn fragment(report: &Report, cell: &CellReport) -> Markup {
    html! {
        section.cell id=(anchor(cell)) data-outcome=(cell.outcome.name()) {
            h3 { span class={ "badge " (cell.outcome.name()) } { (cell.outcome) } " " (cell.id) }
            p.quiet {
                (cell.release) ", " (cell.stage) ", " (format!("{:.2}", cell.seconds)) " s, "
                (format!("{:.2}", cell.cpu_seconds)) " CPU s, " (cell.accel) " " (cell.cpu) ", "
                (cell.transport) ", libbpf " (cell.libbpf)
                @if !cell.hermetic { ", not hermetic" }
                @if cell.boots > 1 { ", booted " (cell.boots) " times" }
            }
            @if let Some(reason) = &cell.expected.reason { p { "Expected: " (reason) } }
            @if let Some(diagnosis) = &cell.diagnosis { (diagnose(diagnosis)) }
            @if let Some(fault) = &cell.fault {
                p.headline { "no verdict at " (fault.stage) ": " (fault.headline) }
                @if !fault.console.is_empty() {
                    details open { summary { "Console" } pre { (fault.console.join("\n")) } }
                }
                (hints(&fault.hints))
            }
            @if let Some(reason) = &cell.reason { p { (reason) } }
            @if !cell.edits.is_empty() {
                p { "After these edits:" }
                ul { @for edit in &cell.edits { li { (edit) } } }
            }
            @if !cell.programs.is_empty() { (programs(&cell.programs)) }
            p.quiet { "Evidence: " a href={ (cell.evidence) "/" } { (cell.evidence) }
                @if let Some(kernel) = report.kernels.get(&cell.cell().kernel_key()) {
                    ", kernel image " code { (kernel.image.get(..12).unwrap_or("")) }
                }
            }
        }
    }
}

fn diagnose(diagnosis: &Diagnosis) -> Markup {
    html! {
        p.headline { code { (diagnosis.code) } " " (diagnosis.headline) }
        @if let Some(at) = &diagnosis.at { (source_line(at)) }
        @if let Some(excerpt) = &diagnosis.excerpt {
            details open {
                summary {
                    (excerpt.of) " log"
                    @if excerpt.omitted > 0 { ", " (excerpt.omitted) " lines before it" }
                }
                pre { (excerpt.lines.join("\n")) }
            }
        }
        (hints(&diagnosis.hints))
    }
}

fn source_line(at: &SourceLine) -> Markup {
    html! { p.source { (at.file) ":" (at.line) pre { (at.text.trim()) } } }
}

fn hints(hints: &[String]) -> Markup {
    html! { @for hint in hints { p.hint { "hint: " (hint) } } }
}

fn programs(programs: &[ProgramReport]) -> Markup {
    html! {
        details { summary { (programs.len()) " programs" }
            div.scroll { table {
                thead { tr {
                    th { "program" } th { "type" } th { "load" } th { "attach" } th { "fired" }
                    th { "insns" } th { "states" } th { "stack" } th { "why" }
                } }
                tbody { @for program in programs { tr {
                    td { (program.name) br; span.quiet { (program.section) } }
                    td { (program.program_type) }
                    td { (load(program)) }
                    td { (attach(program.attach)) }
                    td { @if let Some(fired) = program.fired { (fired) } }
                    @match &program.verifier {
                        Some(stats) => {
                            td { (stats.insns) } td { (stats.total_states) } td { (stats.stack_depth) }
                        },
                        None => { td {} td {} td {} },
                    }
                    td {
                        @if let Some(diagnosis) = &program.diagnosis { (diagnosis.headline) }
                        @else if let Some(reason) = &program.reason { (reason) }
                    }
                } } }
            } }
        }
    }
}

fn load(program: &ProgramReport) -> &'static str {
    match (program.load, program.isolated) {
        (StepOutcome::Ok, false) => "ok",
        (StepOutcome::Ok, true) => "ok, alone",
        (StepOutcome::Refused, _) => "refused",
        (StepOutcome::NotAttempted, _) => "not attempted",
    }
}

fn attach(outcome: AttachOutcome) -> &'static str {
    match outcome {
        AttachOutcome::Attached => "attached",
        AttachOutcome::Refused => "refused",
        AttachOutcome::NotAttempted => "not attempted",
    }
}
