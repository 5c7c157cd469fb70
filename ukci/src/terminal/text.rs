//! Formats what is printed when a cell ends and when the run ends.

use ukci_harness::plural::count;
use ukci_harness::render::{self, harmless};
use ukci_schema::evidence::AttachOutcome;
use ukci_schema::report::{CellReport, Report};
use ukci_schema::verdict::Outcome;

use super::causes::{self, RULE};
use super::wrap::hanging;
use crate::output::{HINT, Output, WARN, paint};
use crate::{diagnostic, grid};

/// The line of a cell that ended.
pub(crate) fn cell_line(
    report: &CellReport,
    id: &str,
    kept: bool,
    done: usize,
    total: usize,
    width: usize,
) -> String {
    let digits = total.to_string().len();
    let what = match report.outcome {
        Outcome::Pass => attached(report),
        Outcome::Xpass => "passed, but was expected to fail".into(),
        Outcome::Skip => report.reason.clone().unwrap_or_default(),
        Outcome::Fail | Outcome::Xfail | Outcome::Error => {
            let code = report
                .diagnosis
                .as_ref()
                .map(|diagnosis| diagnosis.code.name());
            let fault = report.fault.as_ref();
            let code = code.or_else(|| Some(fault?.code?.name()));
            let what = code
                .map(str::to_owned)
                .or_else(|| Some(fault?.headline.clone()));
            format!("{:<7}  {}", report.stage, what.unwrap_or_default())
        }
    };
    let word = if render::needs_loader(report) {
        paint(WARN, format_args!("{:>12}", "LOADER"))
    } else {
        diagnostic::word(report.outcome)
    };
    // The seconds of an earlier run are not this one's.
    let time = if kept {
        format!("{:>9}", "kept")
    } else {
        format!("{:>8.3}s", report.seconds)
    };
    format!(
        "{word} [{time}] ({done:>digits$}/{total}) {id:<width$}  {}",
        harmless(&what)
    )
}

/// How many cells `--resume` kept; nothing if none.
pub(crate) fn kept_line(kept: usize) -> String {
    if kept == 0 {
        return String::new();
    }
    let verdicts = count(kept, "verdict");
    format!("        Kept {verdicts} of an earlier run, whose inputs have not changed\n")
}

/// What a pass did: `2 attached, 1 not attempted`.
fn attached(report: &CellReport) -> String {
    let count = |outcome| {
        report
            .programs
            .iter()
            .filter(|p| p.attach == outcome)
            .count()
    };
    let attached = count(AttachOutcome::Attached);
    let loaded = report
        .programs
        .iter()
        .filter(|p| p.load == ukci_schema::evidence::StepOutcome::Ok)
        .count();
    let not = report
        .programs
        .iter()
        .filter(|program| program.is_untried())
        .count();
    let mut text =
        if report.stage == ukci_schema::verdict::Stage::Load || report.programs.is_empty() {
            format!("{loaded} loaded")
        } else {
            format!("{attached} attached")
        };
    if not > 0 {
        text.push_str(&format!(", {not} not attempted"));
    }
    let refused = count(AttachOutcome::Refused);
    if refused > 0 {
        text.push_str(&format!(", {refused} refused and not required"));
    }
    if !report.edits.is_empty() {
        let s = if report.edits.len() == 1 { "" } else { "s" };
        text.push_str(&format!(", after {} edit{s}", report.edits.len()));
    }
    text
}

/// Most notes of cells that ended as expected.
const NOTES: usize = 10;
/// Most programs that were not attempted and are listed.
const UNTRIED: usize = 20;

/// What is said at the end: causes, the grid, the summary.
pub(crate) fn ending(report: &Report, out: &str, output: Output) -> String {
    let report = &render::shown(report);
    let out = &harmless(out);
    let chatty = output.chatty;
    let mut text = String::new();
    let causes = render::causes(report);
    text.push_str(&causes::text(report, out, &causes, output.width));
    let untried: Vec<String> = not_attempted(report);
    if !untried.is_empty() && chatty {
        text.push_str(&format!(
            "{RULE}\n{} programs\n",
            paint(WARN, format_args!("{:>12}", "NOT TRIED"))
        ));
        for line in untried.iter().take(UNTRIED) {
            text.push_str(&hanging(&" ".repeat(13), &harmless(line), 2, output.width));
        }
        if untried.len() > UNTRIED {
            text.push_str(&format!("{:13}and {} more\n", "", untried.len() - UNTRIED));
        }
    }
    if chatty {
        text.push_str(&noted(report, out, output.width));
    }
    if !report.cells.is_empty() && (report.cells.len() > 1 || !causes.is_empty()) && chatty {
        text.push_str(&format!("{RULE}\n"));
        text.push_str(&grid::text(report, output.width));
        let top = causes::top(&causes, output.width);
        if !top.is_empty() {
            text.push_str(&format!("\n{top}"));
        }
        text.push('\n');
    }
    let style = if causes.is_empty() {
        crate::output::GOOD
    } else {
        crate::output::BAD
    };
    text.push_str(&format!(
        "{} [{:>8.3}s] {}\n",
        paint(style, format_args!("{:>12}", "Summary")),
        report.run.seconds,
        render::summary(report)
    ));
    if report.run.interrupted && report.summary.not_run > 0 {
        text.push_str(&format!(
            "{:13}the run was cut short; the report has the cells that finished\n",
            ""
        ));
    }
    text
}

/// What cells noted that ended as expected. The others' notes stand below their causes.
fn noted(report: &Report, out: &str, width: usize) -> String {
    let notes = render::notes_elsewhere(report);
    if notes.is_empty() {
        return String::new();
    }
    let word = paint(HINT, format_args!("{:>12}", "NOTED"));
    let mut text = format!("{RULE}\n{word} of cells that ended as expected\n");
    let axes = render::Axes::of(report);
    for (note, cells) in notes.iter().take(NOTES) {
        let line = format!("{}: {note}", axes.places(cells));
        text.push_str(&hanging(&" ".repeat(13), &harmless(&line), 2, width));
    }
    if notes.len() > NOTES {
        let rest = notes.len() - NOTES;
        text.push_str(&format!("{:13}and {rest} more, in {out}/report.json\n", ""));
    }
    text
}

/// The files that were written, the report first.
pub(crate) fn whereabouts(files: &[String]) -> String {
    let mut text = String::new();
    for (n, file) in files.iter().enumerate() {
        let word = if n == 0 { "Report" } else { "" };
        text.push_str(&format!(
            "{} {}\n",
            paint(HINT, format_args!("{word:>12}")),
            harmless(file)
        ));
    }
    text
}

/// Programs that were not attempted, each reason once.
fn not_attempted(report: &Report) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for cell in &report.cells {
        for program in &cell.programs {
            let Some(reason) = program.reason.as_ref() else {
                continue;
            };
            if !program.is_untried() || cell.outcome == Outcome::Skip {
                continue;
            }
            let line = format!("{}: `{}`: {reason}", cell.artifact, program.name);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use ukci_schema::cell::Arch;
    use ukci_schema::diagnosis::{Code, Diagnosis};
    use ukci_schema::evidence::{AttachOutcome, ProgramAttach};
    use ukci_schema::report::Report;
    use ukci_schema::verdict::{Outcome, Stage};

    use super::{cell_line, ending, kept_line, whereabouts};
    use crate::grid;
    use crate::output::Output;

    fn report() -> Report {
        serde_json::from_str(include_str!("../../../harness/tests/fixtures/report.json"))
            .expect("the fixture")
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn every_line_and_the_ending_in_one_picture() {
        let report = report();
        let width = report.cells.iter().map(|cell| cell.id.len()).max();
        let mut text = String::new();
        for (n, cell) in report.cells.iter().enumerate() {
            // As if the first one came from an earlier run.
            let (kept, total) = (n == 0, report.cells.len());
            let line = cell_line(cell, &cell.id, kept, n + 1, total, width.unwrap_or(0));
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&ending(&report, "ukci-out", Output::plain(100)));
        text.push_str(&kept_line(0));
        text.push_str(&kept_line(1));
        text.push_str(&whereabouts(&[
            "ukci-out/report.json".into(),
            "ukci-out/junit.xml".into(),
        ]));
        insta::assert_snapshot!(plain(&text));
    }

    /// What the loader must set, and what cells noted; that a program attaches alone is no news.
    #[test]
    fn a_cause_of_the_loader_ends_in_the_lines_of_a_manifest() {
        let mut report = report();
        report.cells.truncate(4);
        for (n, cell) in report.cells.iter_mut().enumerate() {
            cell.notes = vec!["the module `arp_tables` was loaded for `target`".into()];
            if n > 1 {
                cell.outcome = Outcome::Pass;
                continue;
            }
            cell.outcome = Outcome::Fail;
            cell.maps[0].max_entries = 0;
            cell.programs.truncate(1);
            cell.programs[0].attach = AttachOutcome::NotAttempted;
            cell.programs[0].reason = Some(ProgramAttach::ATTACHES_ALONE.into());
            cell.diagnosis = Some(Diagnosis {
                code: Code::LoaderContract,
                stage: Stage::Load,
                program: None,
                headline: "map `events` (ringbuf) has no size: its loader must set max_entries"
                    .into(),
                at: None,
                excerpt: None,
                hints: vec!["give `events` a size".into()],
            });
        }
        let text = plain(&ending(&report, "out", Output::plain(80)));
        assert!(!text.contains("NOT TRIED"), "{text}");
        insta::assert_snapshot!(text);
    }

    /// A report of these kernels and architectures, with eight artifacts and these LLVMs.
    fn large(kernels: &[&str], arches: &[Arch], llvms: &[&str]) -> Report {
        let mut report = report();
        let seed = report.cells[0].clone();
        report.cells.clear();
        let artifacts = [
            "bloom_filter",
            "bpf_loop",
            "core_missing_field",
            "kfunc",
            "ringbuf",
            "sum",
            "two_programs",
            "unchecked_deref",
        ];
        for (a, artifact) in artifacts.iter().enumerate() {
            for (k, kernel) in kernels.iter().enumerate() {
                for arch in arches {
                    for llvm in llvms {
                        let mut cell = seed.clone();
                        cell.artifact = (*artifact).into();
                        cell.kernel = (*kernel).into();
                        cell.arch = *arch;
                        cell.llvm = (!llvm.is_empty()).then(|| (*llvm).into());
                        cell.outcome = match (a + k) % 4 {
                            0 => Outcome::Fail,
                            1 => Outcome::Xfail,
                            _ => Outcome::Pass,
                        };
                        report.cells.push(cell);
                    }
                }
            }
        }
        report
    }

    /// Wide, narrow, turned, and too large either way; no line is wider than it may be.
    #[test]
    fn grids_take_the_width_there_is() {
        let four = [
            "debian-11-5.10-cloud",
            "debian-12-6.1-cloud",
            "debian-13-6.12-cloud",
            "debian-sid-7.2-cloud",
        ];
        let many: Vec<String> = (1..=14).map(|n| format!("debian-12-6.{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let both = [Arch::X86_64, Arch::Aarch64];
        let reports = [
            (
                "eight objects on four kernels",
                large(&four, &both[..1], &[""]),
            ),
            (
                "three LLVMs and two architectures",
                large(&four, &both, &["14", "19", "22"]),
            ),
            ("neither way", large(&many, &both[..1], &["14", "19"])),
        ];
        let mut picture = String::new();
        for (name, report) in &reports {
            for width in [120, 80] {
                let text = plain(&grid::text(report, width));
                for line in text.lines() {
                    assert!(line.chars().count() <= width, "{name}, {width}: {line}");
                }
                picture.push_str(&format!("--- {name}, {width} ---\n{text}\n"));
            }
        }
        insta::assert_snapshot!("grids", picture);
    }
}
