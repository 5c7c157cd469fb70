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
    serde_json::from_str(include_str!(
        "../../../../harness/tests/fixtures/report.json"
    ))
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
            headline: "map `events` (ringbuf) has no size: its loader must set max_entries".into(),
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
