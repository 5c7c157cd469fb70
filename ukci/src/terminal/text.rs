//! Formats what is printed when a cell ends and when the run ends.

use ukci_harness::render::{self, Shown, harmless};
use ukci_schema::command::Ended;
use ukci_schema::evidence::AttachOutcome;
use ukci_schema::report::{CellReport, CommandReport, Report, TestOutcome};
use ukci_schema::verdict::Outcome;

use super::causes::{self, RULE};
use super::wrap::hanging;
use crate::output::{HINT, Output, WARN, label};
use crate::text::{self, Side, Text, text};
use crate::{diagnostic, grid};

/// The line of a cell that ended.
pub(crate) fn cell_line(
    report: &CellReport,
    id: &Text,
    kept: bool,
    done: usize,
    total: usize,
    width: usize,
) -> Text {
    let digits = total.to_string().len();
    let what = match report.outcome {
        Outcome::Pass => attached(report),
        Outcome::Xpass => "passed, but was expected to fail".into(),
        Outcome::Skip => harmless(report.reason.as_deref().unwrap_or_default()).into(),
        Outcome::Fail | Outcome::Xfail | Outcome::Error => {
            let code = report
                .diagnosis
                .as_ref()
                .map(|diagnosis| diagnosis.code.name());
            let fault = report.fault.as_ref();
            let code = code.or_else(|| Some(fault?.code?.name()));
            let what = code
                .map(Text::from)
                .or_else(|| Some(harmless(&fault?.headline).into()));
            text!("{:<7}  {}", report.stage, what.unwrap_or_default())
        }
    };
    let word = if render::needs_loader(report) {
        label(WARN, "LOADER")
    } else {
        diagnostic::word(report.outcome)
    };
    // The seconds of an earlier run are not this one's.
    let time = if kept || report.cached.is_some() {
        text!("{:>9}", if kept { "kept" } else { "cached" })
    } else {
        text!("{:>8.3}s", report.seconds)
    };
    text!(
        "{} [{}] ({}/{}) {}  {}",
        word,
        time,
        text!("{}", done).aligned(Side::Right, digits),
        total,
        id.aligned(Side::Left, width),
        what
    )
}

/// How many cells `--resume` kept; nothing if none.
pub(crate) fn kept_line(kept: usize) -> Text {
    if kept == 0 {
        return Text::default();
    }
    let verdicts = text::count(kept, "verdict");
    text!(
        "        Kept {} of an earlier run, whose inputs have not changed\n",
        verdicts
    )
}

/// How many cells were not booted because their evidence was in the cache; nothing if none.
pub(crate) fn cached_line(cached: usize) -> Text {
    if cached == 0 {
        return Text::default();
    }
    text!(
        "      Cached {} from evidence of earlier runs (`--no-cache` boots every cell)\n",
        text::count(cached, "verdict")
    )
}

/// What a pass did: `2 attached, 1 not attempted`.
fn attached(report: &CellReport) -> Text {
    if let Some(command) = &report.command {
        return ended(command);
    }
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
            text!("{} loaded", loaded)
        } else {
            text!("{} attached", attached)
        };
    if not > 0 {
        text.push(&text!(", {} not attempted", not));
    }
    let silent = (report.programs.iter())
        .filter(|program| program.never_fired())
        .count();
    if silent > 0 {
        text.push(&text!(", {} never fired", silent));
    }
    let passed = (report.tests.iter())
        .filter(|test| test.outcome == TestOutcome::Pass)
        .count();
    if passed > 0 {
        text.push(&text!(", {} passed", text::count(passed, "test")));
    }
    let refused = count(AttachOutcome::Refused);
    if refused > 0 {
        text.push(&text!(", {} refused and not required", refused));
    }
    if !report.edits.is_empty() {
        text.push(&text!(
            ", after {}",
            text::count(report.edits.len(), "edit")
        ));
    }
    text
}

/// What a command that passed did: `exit status 0, 2 files came back`.
fn ended(command: &CommandReport) -> Text {
    let mut text = match &command.ended {
        Ended::Exited { status } => text!("exit status {}", *status),
        _ => Text::default(),
    };
    match command.out.len() {
        0 => {}
        1 => text.push(&", 1 file came back".into()),
        many => text.push(&text!(", {} files came back", many)),
    }
    text
}

/// Columns before the counts of a run: the word, and the seconds.
const SUMMARY: usize = 25;
/// Most notes of cells that ended as expected.
const NOTES: usize = 10;
/// Most lines about programs that were not attempted.
const UNTRIED: usize = 20;
/// Most of these programs that a line names.
const UNTRIED_NAMES: usize = 3;

/// What is said at the end: causes, the grid, the summary.
pub(crate) fn ending(report: &Shown<Report>, out: &str, output: Output) -> Text {
    let out = &harmless(out);
    let chatty = output.chatty;
    let mut text = Text::default();
    let causes = render::causes(report);
    text.push(&causes::text(report, out, &causes, output.width));
    let untried: Vec<String> = not_attempted(report);
    if !untried.is_empty() && chatty {
        text.push(&text!("{}\n{} programs\n", RULE, label(WARN, "NOT TRIED")));
        for line in untried.iter().take(UNTRIED) {
            text.push(&hanging(13, line, 2, output.width));
        }
        if untried.len() > UNTRIED {
            text.push(&text!("{:13}and {} more\n", "", untried.len() - UNTRIED));
        }
    }
    if chatty {
        text.push(&noted(report, out, output.width));
    }
    if !report.cells.is_empty() && (report.cells.len() > 1 || !causes.is_empty()) && chatty {
        text.push_line(&RULE.into());
        text.push(&grid::text(report, output.width));
        let top = causes::top(&causes, output.width);
        if !top.is_empty() {
            text.push(&text!("\n{}", top));
        }
        text.push(&"\n".into());
    }
    let style = if causes.is_empty() {
        crate::output::GOOD
    } else {
        crate::output::BAD
    };
    let counts = hanging(SUMMARY, &render::summary(report), 0, output.width);
    text.push(&text!(
        "{} [{:>8.3}s] {}",
        label(style, "Summary"),
        report.run.seconds,
        counts.without_indent()
    ));
    if report.run.interrupted && report.summary.not_run > 0 {
        let why = match report.run.shard {
            // Cells of other shards are not planned for a shard alone.
            Some(_) => "shards are missing or were cut short",
            None => "the run was cut short",
        };
        text.push(&text!(
            "{:13}{}; the report has the cells that finished\n",
            "",
            why
        ));
    }
    text
}

/// What cells noted that ended as expected. The others' notes stand below their causes.
fn noted(report: &Report, out: &Shown<String>, width: usize) -> Text {
    let notes = render::notes_elsewhere(report);
    if notes.is_empty() {
        return Text::default();
    }
    let word = label(HINT, "NOTED");
    let mut text = text!("{}\n{} of cells that ended as expected\n", RULE, word);
    let axes = render::Axes::of(report);
    for (note, cells) in notes.iter().take(NOTES) {
        let line = format!("{}: {note}", axes.places(cells));
        text.push(&hanging(13, &line, 2, width));
    }
    if notes.len() > NOTES {
        let rest = notes.len() - NOTES;
        text.push(&text!(
            "{:13}and {} more, in {}/report.json\n",
            "",
            rest,
            out
        ));
    }
    text
}

/// The files that were written, the report first.
pub(crate) fn whereabouts(files: &[String]) -> Text {
    let mut text = Text::default();
    for (n, file) in files.iter().enumerate() {
        let word = if n == 0 { "Report" } else { "" };
        text.push(&text!("{} {}\n", label(HINT, word), harmless(file)));
    }
    text
}

/// Programs that were not attempted: those of an object that share a reason are one line.
fn not_attempted(report: &Report) -> Vec<String> {
    // The objects and reasons are in the order of the report.
    let mut reasons: Vec<((&str, &str), Vec<&str>)> = Vec::new();
    for cell in &report.cells {
        for program in &cell.programs {
            let Some(reason) = program.reason.as_deref() else {
                continue;
            };
            if !program.is_untried() || cell.outcome == Outcome::Skip {
                continue;
            }
            let key = (cell.artifact.as_str(), reason);
            let place = reasons.iter().position(|(of, _)| *of == key);
            let place = place.unwrap_or_else(|| {
                reasons.push((key, Vec::new()));
                reasons.len() - 1
            });
            let programs = &mut reasons[place].1;
            if !programs.contains(&program.name.as_str()) {
                programs.push(&program.name);
            }
        }
    }
    let line = |((artifact, reason), programs): ((&str, &str), Vec<&str>)| {
        let shown = programs.iter().take(UNTRIED_NAMES);
        let shown: Vec<String> = shown.map(|name| format!("`{name}`")).collect();
        let more = match programs.len().saturating_sub(UNTRIED_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{artifact}: {}{more}: {reason}", shown.join(", "))
    };
    reasons.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use ukci_schema::cell::Arch;
    use ukci_schema::diagnosis::{Code, Diagnosis};
    use ukci_schema::evidence::{AttachOutcome, ProgramAttach};
    use ukci_schema::report::Report;
    use ukci_schema::verdict::{Expectation, Outcome, Stage, VerdictKind};

    use ukci_harness::render::{Shown, harmless};

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
            let id = harmless(&cell.id).into();
            let line = cell_line(cell, &id, kept, n + 1, total, width.unwrap_or(0));
            text.push_str(&line);
            text.push('\n');
        }
        text.push_str(&ending(&Shown::of(&report), "ukci-out", Output::plain(100)));
        text.push_str(&kept_line(0));
        text.push_str(&kept_line(1));
        text.push_str(&whereabouts(&[
            "ukci-out/report.json".into(),
            "ukci-out/junit.xml".into(),
        ]));
        insta::assert_snapshot!(plain(&text));
    }

    /// A shell in a guest has no object to look at if its source did not compile.
    #[test]
    fn a_cause_offers_a_shell_if_there_is_an_object() {
        let mut report = report();
        report.cells.truncate(1);
        let cell = &mut report.cells[0];
        cell.outcome = Outcome::Fail;
        cell.programs.clear();
        for (code, has_shell) in [(Code::InvalidObject, true), (Code::CompileError, false)] {
            report.cells[0].diagnosis = Some(Diagnosis {
                code,
                stage: Stage::Load,
                program: None,
                headline: "use of undeclared identifier 'y'".into(),
                at: None,
                excerpt: None,
                hints: Vec::new(),
            });
            let text = plain(&ending(&Shown::of(&report), "out", Output::plain(80)));
            assert_eq!(text.contains("ukci shell"), has_shell, "{text}");
            assert!(text.contains("rerun  ukci check"), "{text}");
        }
    }

    /// As many causes as there are cells, each of an object of its own, in the same words.
    fn many() -> Report {
        let mut report = report();
        let seed = report.cells[0].clone();
        report.cells = (0..40)
            .map(|n| {
                let mut cell = seed.clone();
                cell.artifact = format!("object-{n}");
                cell.id = format!("object-{n}/k/x86_64");
                cell.outcome = Outcome::Fail;
                cell.programs.clear();
                cell.diagnosis = Some(Diagnosis {
                    code: Code::VerifierRejection,
                    stage: Stage::Load,
                    program: None,
                    headline: format!("the verifier rejected the read at offset {n}: no"),
                    at: None,
                    excerpt: None,
                    hints: Vec::new(),
                });
                cell
            })
            .collect();
        report.cells[39].diagnosis.as_mut().unwrap().code = Code::Unclassified;
        report
    }

    #[test]
    fn every_cause_of_many_names_its_object_and_where_the_rest_is() {
        let text = plain(&ending(&Shown::of(&many()), "my out", Output::plain(100)));
        let others = text.split_once("Other causes").unwrap().1;
        assert!(
            others.contains("  object-9: VERIFIER_REJECTION in 1 cell: the"),
            "{others}"
        );
        assert!(others.contains("and 10 more"), "{others}");
        assert!(
            others.contains("  ukci report render 'my out' --format markdown\n"),
            "{others}"
        );
        // The one that no rule knows has a block, and is the first of the table.
        let unknown = text.find("FAIL object-39: UNCLASSIFIED in 1 cell").unwrap();
        assert!(unknown < text.find("FAIL object-0:").unwrap(), "{text}");
        let top = text.split_once("Top causes").unwrap().1;
        assert!(
            top.contains("1 cell  object-0   VERIFIER_REJECTION  the"),
            "{top}"
        );
    }

    #[test]
    fn an_unexpected_pass_says_what_to_delete_and_an_optional_cell_that_it_is_one() {
        let mut report = report();
        report.cells.truncate(1);
        let cell = &mut report.cells[0];
        cell.outcome = Outcome::Xpass;
        cell.required = false;
        cell.programs.clear();
        cell.diagnosis = None;
        cell.expected = Expectation {
            verdict: VerdictKind::Fail,
            code: Some(Code::MapRefused),
            reason: Some("too old".into()),
        };
        report.run.asked.options = ["--matrix", "./my.toml"].map(String::from).to_vec();
        let text = plain(&ending(&Shown::of(&report), "out", Output::plain(100)));
        for said in [
            "unexpected pass in 1 cell, not required\n",
            "passed, but was expected to fail with MAP_REFUSED (too old)",
            "delete the rule that expects this failure in `./my.toml`",
            "1 of these is not required",
        ] {
            // The last one may be wrapped.
            let words = text.split_whitespace().collect::<Vec<&str>>().join(" ");
            assert!(words.contains(said.trim_end()), "{said}: {text}");
        }
        report.cells[0].required = true;
        let text = plain(&ending(&Shown::of(&report), "out", Output::plain(100)));
        assert!(!text.contains("not required"), "{text}");
    }

    #[test]
    fn the_summary_is_as_wide_as_the_terminal() {
        let text = plain(&ending(&Shown::of(&report()), "out", Output::plain(60)));
        let summary = text.split_once("Summary").unwrap().1;
        assert!(summary.lines().count() > 1, "{summary}");
        for line in summary.lines().skip(1) {
            assert!(line.chars().count() <= 60, "{line}");
        }
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
        let text = plain(&ending(&Shown::of(&report), "out", Output::plain(80)));
        assert!(!text.contains("NOT TRIED"), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn programs_that_were_not_tried_for_one_reason_are_one_line() {
        let mut report = report();
        let seed = report.cells[0].programs[0].clone();
        report.cells.truncate(1);
        report.cells[0].outcome = Outcome::Pass;
        report.cells[0].programs = (0..5)
            .map(|n| {
                let mut program = seed.clone();
                program.name = format!("p{n}");
                program.attach = AttachOutcome::NotAttempted;
                let reasons = ["its map is incomplete", "its section names no target"];
                program.reason = Some(reasons[usize::from(n == 4)].into());
                program
            })
            .collect();
        let artifact = report.cells[0].artifact.clone();
        let lines = super::not_attempted(&report);
        assert_eq!(
            lines,
            [
                format!("{artifact}: `p0`, `p1`, `p2` and 1 more: its map is incomplete"),
                format!("{artifact}: `p4`: its section names no target"),
            ]
        );
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
