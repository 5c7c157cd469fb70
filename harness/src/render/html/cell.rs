//! The HTML section of one cell: the reason, the source line, the logs, and the result of each
//! program.

use maud::{Markup, html};
use ukci_schema::diagnosis::{Diagnosis, SourceLine};
use ukci_schema::evidence::{AttachOutcome, MapEvidence, StepOutcome};
use ukci_schema::report::{CellReport, ProgramReport, Report, TestOutcome};
use ukci_schema::verdict::{Fault, Outcome};

use super::filter::Filters;
use super::{anchor, prose};
use crate::file_name;
use crate::render::table::{grouped, share};
use crate::render::{again, cached, stage_times};
use ukci_schema::plural::count;

/// The cell, open or folded.
pub(super) fn fragment(
    report: &Report,
    cell: &CellReport,
    filters: &Filters,
    is_open: bool,
) -> Markup {
    html! {
        details.card.cell open[is_open]
            data-o=(filters.outcome(cell)) data-f=(filters.artifact(&cell.artifact))
            data-k=(filters.kernel(&cell.kernel)) data-a=(filters.arch(cell))
            data-l=(filters.llvm(cell)) {
            summary {
                span class={ "badge " (cell.outcome.name()) } { (cell.outcome) }
                span.id { (cell.id) }
                span.why { (prose(&in_short(cell))) }
                span.time {
                    @if cell.cached.is_some() { "cached" } @else { (format!("{:.1} s", cell.seconds)) }
                }
            }
            // The anchor is inside, so that a link to it opens what is around it.
            div.inside id=(anchor(cell)) { (inside(report, cell)) }
        }
    }
}

fn in_short(cell: &CellReport) -> String {
    let why = match (&cell.diagnosis, &cell.fault, &cell.reason) {
        (Some(diagnosis), ..) => diagnosis.headline.clone(),
        (_, Some(fault), _) => fault.headline.clone(),
        (_, _, Some(reason)) => reason.clone(),
        _ => String::new(),
    };
    if !why.is_empty() {
        return why;
    }
    let attached = |p: &&ProgramReport| p.attach == AttachOutcome::Attached;
    match cell.programs.iter().filter(attached).count() {
        0 => format!("{} programs load", cell.programs.len()),
        n => format!("{n} attached"),
    }
}

/// What each functional test expected and saw.
fn tests(cell: &CellReport) -> Markup {
    html! {
        table {
            thead { tr { th { "functional test" } th { "outcome" } th { "expected" } th { "seen" } } }
            tbody {
                @for test in &cell.tests {
                    tr {
                        td { (test.name) @if !test.required { span.quiet { " (not required)" } } }
                        td { (match test.outcome {
                            TestOutcome::Pass => "pass",
                            TestOutcome::Fail => "fail",
                            TestOutcome::NotRun => "not run",
                        }) }
                        td { @for check in &test.checks { div { (check.what) ": " (check.expected) } } }
                        td {
                            @if let Some(reason) = &test.reason { div { (prose(reason)) } }
                            @for check in &test.checks { div { (check.seen) } }
                        }
                    }
                }
            }
        }
    }
}

fn inside(report: &Report, cell: &CellReport) -> Markup {
    html! {
        @if cell.outcome == Outcome::Xpass {
            p.headline { "It passes, and a failure is expected" }
        }
        @if let Some(diagnosis) = &cell.diagnosis { (diagnose(cell, diagnosis)) }
        @if let Some(fault) = &cell.fault { (faulty(cell, fault)) }
        @if let Some(reason) = &cell.reason { p { (prose(reason)) } }
        @if let Some(reason) = &cell.expected.reason {
            p { span.quiet { "The matrix expects " (expected(cell)) ": " } (reason) }
        }
        @if !cell.edits.is_empty() {
            p { "ukci made these changes before it loaded the object:" }
            ul { @for edit in &cell.edits { li { (edit) } } }
        }
        @for note in &cell.notes { p { span.quiet { "Note: " } (prose(note)) } }
        @if !cell.tests.is_empty() { (tests(cell)) }
        @if !cell.programs.is_empty() { (programs(cell)) }
        @if !cell.maps.is_empty() { (maps(&cell.maps)) }
        @if !cell.outcome.is_met() { p.small { "Again" } pre { (again(report, cell)) } }
        (facts(report, cell))
    }
}

fn expected(cell: &CellReport) -> String {
    match cell.expected.code {
        Some(code) => format!("a failure, {code}"),
        None => "a failure".to_owned(),
    }
}

fn diagnose(cell: &CellReport, diagnosis: &Diagnosis) -> Markup {
    html! {
        p.headline { code class=(cell.outcome.name()) { (diagnosis.code) } " " (prose(&diagnosis.headline)) }
        @if let Some(at) = &diagnosis.at { (source_line(at)) }
        @if let Some(excerpt) = &diagnosis.excerpt {
            details open {
                summary {
                    (excerpt.of) " log"
                    @if excerpt.omitted > 0 { ", the last " (excerpt.lines.len()) " of "
                        (excerpt.lines.len() + excerpt.omitted) " lines" }
                }
                (log(&excerpt.lines, excerpt.of == "verifier"))
            }
        }
        (hints(&diagnosis.hints))
    }
}

fn faulty(cell: &CellReport, fault: &Fault) -> Markup {
    html! {
        p.headline {
            @if let Some(code) = fault.code { code class=(cell.outcome.name()) { (code) } " " }
            "No verdict at " (fault.stage) ": " (prose(&fault.headline))
        }
        @if !fault.console.is_empty() {
            details open {
                summary { "console, the last " (fault.console.len()) " lines" }
                (log(&fault.console, false))
            }
        }
        (hints(&fault.hints))
    }
}

/// Lines of a log; the last one of the verifier's says why.
fn log(lines: &[String], last_is_why: bool) -> Markup {
    let (last, rest) = match lines.split_last() {
        Some((last, rest)) if last_is_why => (Some(last), rest),
        _ => (None, lines),
    };
    html! {
        pre {
            @for line in rest { (line) "\n" }
            @if let Some(last) = last { span.last { (last) } }
        }
    }
}

fn source_line(at: &SourceLine) -> Markup {
    html! {
        div.source {
            span.mono.quiet { (at.file) ":" (at.line) @if at.column > 0 { ":" (at.column) } }
            pre { b { (at.line) } (at.text.trim()) }
        }
    }
}

fn hints(hints: &[String]) -> Markup {
    html! { @for hint in hints { p.hint { b { "hint" } " " (prose(hint)) } } }
}

fn programs(cell: &CellReport) -> Markup {
    let programs = &cell.programs;
    let title = count(programs.len(), "program");
    html! {
        details open[!cell.outcome.is_met() && programs.len() <= 12] { summary { (title) }
            div.scroll { table {
                thead { tr {
                    th { "program" } th { "load" } th { "attach" } th.number { "fired" }
                    th.number { "insns" } th.number { "of limit" } th.number { "states" }
                    th.number { "stack" } th { "why" }
                } }
                tbody { @for program in programs { (row(cell, program)) } }
            } }
        }
    }
}

fn row(cell: &CellReport, program: &ProgramReport) -> Markup {
    html! {
        tr {
            td {
                (program.name) br; span.quiet.mono { (program.section) }
            }
            td { (load(program)) }
            td {
                (attach(program.attach))
                @if let Some(method) = &program.method { br; span.quiet { (method) } }
            }
            td.number { @if let Some(fired) = program.fired { (grouped(fired)) } }
            @match &program.verifier {
                Some(stats) => {
                    td.number {
                        a href={ (cell.evidence) "/verifier/" (file_name::of(&program.name)) ".log" } {
                            (grouped(stats.insns))
                        }
                    }
                    td.number {
                        @if stats.limit > 0 {
                            (share(stats.insns, stats.limit))
                        }
                    }
                    td.number { (grouped(stats.total_states)) }
                    td.number { (stats.stack_depth) }
                },
                None => { td {} td {} td {} td {} },
            }
            td {
                @if let Some(diagnosis) = &program.diagnosis { (prose(&diagnosis.headline)) }
                @else if let Some(reason) = &program.reason { (prose(reason)) }
            }
        }
    }
}

fn maps(maps: &[MapEvidence]) -> Markup {
    html! {
        details { summary { (count(maps.len(), "map")) }
            div.scroll { table {
                thead { tr {
                    th { "map" } th { "type" } th.number { "key" } th.number { "value" }
                    th.number { "entries" } th { "created" }
                } }
                tbody { @for map in maps {
                    (map_row(map, &html! { (map.name) }))
                    @if let Some(inner) = &map.inner {
                        (map_row(inner, &html! { span.quiet { "inner map of " } (map.name) }))
                    }
                } }
            } }
        }
    }
}

fn map_row(map: &MapEvidence, name: &Markup) -> Markup {
    html! {
        tr {
            td { (name) } td { (map.map_type) }
            td.number { (map.key_size) } td.number { (map.value_size) }
            td.number { (grouped(map.max_entries.into())) }
            td { (step(map.created)) @if let Some(errno) = map.errno { ", errno " (errno) } }
        }
    }
}

fn facts(report: &Report, cell: &CellReport) -> Markup {
    let file = |name: &str| format!("{}/{name}", cell.evidence);
    html! {
        dl.facts {
            dt { "kernel" }
            dd {
                (cell.release)
                @if let Some(kernel) = report.kernels.get(&cell.cell().kernel_key()) {
                    ", image " span.mono { (kernel.image.get(..12).unwrap_or("")) }
                }
                @if !cell.hermetic { ", " strong.xfail { "not hermetic" } " (a file came from outside of the lock, or the guest had a network)" }
            }
            @if let Some(btf) = &cell.btf {
                dt { "external BTF" }
                dd { (btf.name) " " span.mono { (btf.sha256.get(..12).unwrap_or("")) } }
            }
            dt { "machine" }
            dd {
                (cell.accel) " " (cell.cpu) ", " (cell.memory) " MiB, " (count(cell.cpus, "CPU")) ", " (cell.transport)
                @if cell.boots > 1 { ", booted " (cell.boots) " times" }
            }
            @if let Some(from) = &cell.cached { dt { "cached" } dd { (cached(from)) } }
            dt { "cost" }
            dd {
                (format!("{:.2} s, {:.2} s of CPU, {} MiB", cell.seconds, cell.cpu_seconds, cell.peak_kib / 1024))
            }
            @if !cell.stages.is_empty() { dt { "stages" } dd { (stage_times(cell)) } }
            @if !cell.libbpf.is_empty() { dt { "libbpf" } dd { (cell.libbpf) } }
            dt { "evidence" }
            dd {
                @if cell.fault.is_none() { a href=(file("evidence.json")) { "evidence.json" } ", " }
                a href=(file("console.log")) { "console.log" } ", "
                a href=(file("command.txt")) { "command.txt" } ", "
                a href={ (cell.evidence) "/" } { "all" }
                @if let Some(digest) = &cell.evidence_digest {
                    ", canonical " span.mono { (digest.get(..12).unwrap_or("")) }
                }
            }
        }
    }
}

fn load(program: &ProgramReport) -> &'static str {
    match (program.load, program.isolated) {
        (StepOutcome::Ok, true) => "ok, alone",
        (outcome, _) => step(outcome),
    }
}

fn step(outcome: StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Ok => "ok",
        StepOutcome::Refused => "refused",
        StepOutcome::NotAttempted => "not attempted",
    }
}

fn attach(outcome: AttachOutcome) -> &'static str {
    match outcome {
        AttachOutcome::Attached => "attached",
        AttachOutcome::Refused => "refused",
        AttachOutcome::NotAttempted => "not attempted",
    }
}
