//! Every renderer over one report that holds all outcomes.

use ukci_harness::render::{self, Shown};
use ukci_harness::report::compare::Diff;
use ukci_schema::budget::Budget;
use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::Diagnosis;
use ukci_schema::evidence::MapEvidence;
use ukci_schema::report::{CellReport, ProgramReport, Report, Summary};
use ukci_schema::verdict::Outcome;

fn report() -> Report {
    serde_json::from_str(include_str!("fixtures/report.json")).unwrap()
}

#[test]
fn the_fixture_holds_every_outcome_and_its_counts_are_right() {
    let report = report();
    let counted = Summary::of(&report.cells, report.summary.excluded, 0);
    assert_eq!(counted, report.summary);
    let outcomes = [
        Outcome::Pass,
        Outcome::Fail,
        Outcome::Xfail,
        Outcome::Xpass,
        Outcome::Error,
        Outcome::Skip,
    ];
    for outcome in outcomes {
        assert!(
            report.cells.iter().any(|cell| cell.outcome == outcome),
            "{outcome}"
        );
    }
}

#[test]
fn pictures() {
    let report = report();
    insta::assert_snapshot!("markdown", render::markdown(&Shown::of(&report)));
    insta::assert_snapshot!("github", render::github(&Shown::of(&report), None));
    insta::assert_snapshot!(
        "annotations",
        render::annotations(&Shown::of(&report), None)
    );
    insta::assert_snapshot!("junit", render::junit(&Shown::of(&report)));
    insta::assert_snapshot!("html", render::html(&Shown::of(&report)));
}

/// Eight artifacts, four kernels, two architectures, three LLVMs: a table an architecture, kernels
/// as columns, every cell once, and the page and the summary alike.
#[test]
fn many_columns_are_turned() {
    let mut report = report();
    let seed = report.cells[0].clone();
    report.cells.clear();
    for n in 0..8 * 4 * 2 * 3 {
        let mut cell = seed.clone();
        cell.artifact = format!("artifact_{}", n / 24);
        cell.kernel = format!(
            "debian-{}-cloud",
            ["11-5.10", "12-6.1", "13-6.12", "sid-7.2"][n % 4]
        );
        cell.arch = [Arch::X86_64, Arch::Aarch64][n / 4 % 2];
        cell.llvm = Some(["14", "19", "22"][n / 8 % 3].into());
        cell.outcome = if n % 5 == 0 {
            Outcome::Fail
        } else {
            Outcome::Pass
        };
        report.cells.push(cell);
    }
    let tables = |text: &str| -> Vec<String> {
        let lines = text.lines();
        let lines = lines.filter(|line| line.starts_with("| ") || line.starts_with("####"));
        lines.map(str::to_owned).collect()
    };
    let page = tables(&render::markdown(&Shown::of(&report)));
    assert_eq!(page, tables(&render::github(&Shown::of(&report), None)));
    assert_eq!(page.len(), 2 * (2 + 8 * 3));
    let signs = page.iter().map(|line| line.matches(['✅', '❌']).count());
    assert_eq!(signs.sum::<usize>(), report.cells.len());
    insta::assert_snapshot!("turned", page[..8].join("\n"));
}

/// A reader must not be told of a cell that passed.
#[test]
fn places_name_the_cells_of_the_cause_and_no_others() {
    let mut report = report();
    let failed = report.cells.iter().find(|c| c.outcome == Outcome::Fail);
    let seed = failed.unwrap().clone();
    let places = |report: &mut Report, cells: &[(&str, Option<&str>, Arch)]| {
        let cell = |(kernel, llvm, arch): &(&str, Option<&str>, Arch)| CellReport {
            id: format!("{kernel}/{arch}/{llvm:?}"),
            artifact: "x".into(),
            kernel: (*kernel).into(),
            llvm: llvm.map(Into::into),
            arch: *arch,
            ..seed.clone()
        };
        report.cells = cells.iter().map(cell).collect();
        // One that passed, so that not every kernel has the cause.
        report.cells.push(CellReport {
            id: "passed".into(),
            kernel: "d".into(),
            outcome: Outcome::Pass,
            ..seed.clone()
        });
        render::causes(report)[0]
            .places(&render::Axes::of(report))
            .join("\n")
    };
    let (x86, arm) = (Arch::X86_64, Arch::Aarch64);
    let cells = [
        ("a", Some("14"), x86),
        ("a", Some("19"), x86),
        ("b", Some("14"), x86),
        ("b", Some("19"), x86),
        ("a", Some("14"), arm),
        ("a", Some("19"), arm),
        ("b", Some("14"), arm),
        ("b", Some("19"), arm),
    ];
    let all = "a, b with llvm-14, llvm-19 on x86_64, aarch64";
    assert_eq!(places(&mut report, &cells), all);
    assert_eq!(
        places(&mut report, &cells[..7]),
        "a, b with llvm-14, llvm-19 on x86_64; a with llvm-14, llvm-19 on aarch64; \
         b with llvm-14 on aarch64"
    );
    let built = [("a", None, x86), ("b", None, arm), ("c", None, x86)];
    assert_eq!(places(&mut report, &built), "a, c on x86_64; b on aarch64");
    // With one architecture there is nothing to tell apart.
    let one = [("a", None, x86), ("b", None, x86)];
    assert_eq!(places(&mut report, &one), "a, b");
}

/// The same cause in several objects is reported once, with each name that it concerns.
#[test]
fn a_cause_is_told_once_for_all_objects_and_every_program() {
    let mut report = report();
    let failed = report.cells.iter().find(|c| c.diagnosis.is_some());
    let seed = failed.unwrap().clone();
    let program = seed.programs[0].clone();
    let diagnosis = |program: &str, headline: String| {
        Some(Diagnosis {
            program: Some(program.into()),
            headline,
            ..seed.diagnosis.clone().unwrap()
        })
    };
    let cell = |artifact: &str, kernel: &str, programs: &[&str]| {
        let same = |name: &&str| ProgramReport {
            name: (*name).into(),
            diagnosis: diagnosis(name, format!("no helper `bpf_loop`, which `{name}` calls")),
            ..program.clone()
        };
        let mut programs: Vec<ProgramReport> = programs.iter().map(same).collect();
        programs.push(ProgramReport {
            name: "other".into(),
            diagnosis: diagnosis("other", "the field `x` is missing".into()),
            ..program.clone()
        });
        CellReport {
            id: format!("{artifact}/{kernel}"),
            artifact: artifact.into(),
            kernel: kernel.into(),
            outcome: Outcome::Fail,
            diagnosis: programs[0].diagnosis.clone(),
            fault: None,
            programs,
            ..seed.clone()
        }
    };
    report.cells = vec![
        cell("one", "a", &["p", "q"]),
        cell("one", "b", &["p", "q"]),
        cell("two", "a", &["r"]),
        cell("two", "b", &["r"]),
    ];
    let causes = render::causes(&report);
    let told: Vec<String> = causes
        .iter()
        .map(|cause| {
            format!(
                "{} {}\n  {}\n  {}\n  also {}",
                cause.headline,
                cause.count(),
                cause.places(&render::Axes::of(&report)).join("\n  "),
                cause.programs().join(", "),
                cause.other_names().join(", ")
            )
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    no helper `bpf_loop`, which `p` calls in 4 cells of 2 objects
      one, two: all 2 kernels
      one: p, one: q, two: r
      also q, r
    the field `x` is missing in 4 cells of 2 objects
      one, two: all 2 kernels
      one: other, two: other
      also 
    ");
}

#[test]
fn json_is_read_back_as_it_was() {
    let report = report();
    let again: Report = serde_json::from_str(&render::json(&report)).unwrap();
    assert_eq!(again, report);
}

#[test]
fn what_a_guest_wrote_is_text_in_html() {
    let mut report = report();
    let evil = "<script>alert(1)</script>";
    for cell in &mut report.cells {
        cell.release = evil.into();
        cell.notes.push(format!("the console says {evil}"));
        if let Some(diagnosis) = &mut cell.diagnosis {
            diagnosis.headline = evil.into();
        }
    }
    let page = render::html(&Shown::of(&report));
    assert!(!page.contains("<script"));
    assert!(page.contains("the console says"), "a note is shown");
    assert!(!render::markdown(&Shown::of(&report)).contains("<script"));
}

#[test]
fn an_inner_map_has_a_row_of_its_own_in_html() {
    let mut report = report();
    let cell = &mut report.cells[0];
    let map = |name: &str, map_type: &str, max_entries| MapEvidence {
        name: name.into(),
        map_type: map_type.into(),
        max_entries,
        ..MapEvidence::default()
    };
    cell.maps = vec![MapEvidence {
        inner: Some(Box::new(map("inner", "lru_hash", 777))),
        ..map("outer", "hash_of_maps", 4)
    }];
    report.cells.truncate(1);
    let page = render::html(&Shown::of(&report));
    let row = page.split("inner map of ").nth(1).unwrap();
    let row = row.split("</tr>").next().unwrap();
    assert!(row.contains("outer") && row.contains("lru_hash") && row.contains("777"));
}

/// Cells that failed for one reason say the same: the first is open, the others a link away, and
/// what several LLVMs compiled is one place with a link for each.
#[test]
fn a_problem_is_open_once_in_html() {
    let mut report = report();
    let failed = |cell: &&CellReport| cell.outcome == Outcome::Fail;
    let seed = report.cells.iter().find(failed).unwrap().clone();
    report.cells = ["14", "19", "22"]
        .iter()
        .map(|llvm| {
            let mut cell = seed.clone();
            cell.llvm = Some((*llvm).into());
            cell.id = cell.cell().id();
            cell
        })
        .collect();
    let page = render::html(&Shown::of(&report));
    let opened: Vec<usize> = report
        .cells
        .iter()
        .map(|cell| {
            let anchor = format!(
                "id=\"cell-{}\"",
                ukci_harness::file_name::of_cell(&cell.cell())
            );
            let before = &page[..page.find(&anchor).unwrap()];
            let start = before.rfind("<details class=\"card cell\"").unwrap();
            before[start..]
                .split('>')
                .next()
                .unwrap()
                .matches(" open")
                .count()
        })
        .collect();
    assert_eq!(opened, [1, 0, 0]);
    let place = page.split("class=\"places").nth(1).unwrap();
    let place = place.split("</p>").next().unwrap();
    assert_eq!(
        place.matches(&seed.kernel).count() - place.matches("href").count(),
        1
    );
    assert_eq!(place.matches("href").count(), 3);
}

#[test]
fn a_report_differs_from_itself_in_nothing_and_from_a_worse_one_in_what_got_worse() {
    let before = report();
    assert_eq!(Diff::of(&before, &before), Diff::default());
    let mut after = before.clone();
    after.cells[0].outcome = Outcome::Error;
    after.cells[0].required = true;
    let stats = after.cells[1].programs[0].verifier.as_mut().unwrap();
    stats.insns *= 2;
    let gone = after.cells.pop().unwrap();
    let diff = Diff::of(&before, &after);
    assert!(diff.changed[0].worse);
    assert_eq!(
        diff.new_failures().collect::<Vec<_>>(),
        [after.cells[0].id.as_str()]
    );
    assert_eq!(
        (diff.grown(99.0).count(), diff.grown(100.0).count()),
        (1, 0)
    );
    assert_eq!(diff.removed, [gone.id]);
    assert!((diff.verifier[0].percent() - 100.0).abs() < 1e-9);
    insta::assert_snapshot!("diff", render::diff(&Shown::of(&diff)));
    insta::assert_snapshot!("diff_markdown", render::diff_markdown(&Shown::of(&diff)));
    // Seen from the worse one, the cell that was gone is new, and fails to meet nothing.
    let back = Diff::of(&after, &before);
    assert_eq!(
        back.new_failures().count(),
        usize::from(!gone.outcome.is_met() && gone.required)
    );
}

#[test]
fn a_budget_is_held_against_every_program_and_a_baseline() {
    let (before, mut after) = (report(), report());
    let stats = after.cells[1].programs[0].verifier.as_mut().unwrap();
    stats.insns *= 3;
    let insns = stats.insns;
    let rows = render::verifier_rows(&[after], Some(&before));
    let budget = Budget {
        max_insns: Some(insns - 1),
        max_growth_percent: Some(100),
    };
    insta::assert_snapshot!("verifier", render::verifier(&Shown::of(&rows)));
    insta::assert_snapshot!(
        "verifier_markdown",
        render::verifier_markdown(&Shown::of(&rows))
    );
    insta::assert_snapshot!(
        "over_budget",
        render::over_budget(&rows, &budget).join("\n")
    );
    assert!(
        render::over_budget(
            &rows,
            &Budget {
                max_insns: Some(insns),
                max_growth_percent: Some(200)
            }
        )
        .is_empty()
    );
}

/// The object itself is a file of the cache, which nobody has given.
#[test]
fn an_object_inside_a_program_runs_again_from_the_program() {
    let mut report = report();
    let cell = report.cells[0].clone();
    for artifact in &mut report.artifacts {
        artifact.path = "/cache/embedded/0/x.bpf.o".into();
    }
    let embedded = (cell.artifact.clone(), "./my tool".to_owned());
    report.run.asked.embedded = [embedded].into();
    let again = render::again(&report, &cell);
    let start = "ukci check './my tool' --embedded --kernel ";
    assert!(
        again.starts_with(start) && !again.contains("cache"),
        "{again}"
    );
}

/// One LLVM is not worth a word in every row.
#[test]
fn the_only_llvm_is_not_in_the_grid() {
    let mut report = report();
    for cell in &mut report.cells {
        cell.llvm = Some("19".into());
    }
    let columns = |report: &Report| {
        let grids = render::grids(report, |_| true);
        let columns: Vec<String> = grids.iter().flat_map(|grid| grid.columns.clone()).collect();
        columns.join(", ")
    };
    assert!(!columns(&report).contains("llvm"), "{}", columns(&report));
    let all = &report.cells.iter().collect::<Vec<_>>();
    let places = render::Axes::of(&report).places(all);
    assert!(!places.contains("llvm"), "{places}");
    report.cells[0].llvm = Some("20".into());
    assert!(columns(&report).contains("llvm-19"), "{}", columns(&report));
}

/// Shards of one matrix run on hosts with KVM and without; so do architectures of one run.
#[test]
fn the_head_names_every_accelerator_that_cells_ran_on() {
    let mut mixed = report();
    let line = |report: &Report| {
        let text = render::markdown(&Shown::of(report));
        text.lines().nth(2).unwrap().to_owned()
    };
    assert!(line(&mixed).ends_with(" s, tcg."), "{}", line(&mixed));
    mixed.cells[0].accel = "kvm".into();
    assert!(line(&mixed).ends_with(" s, kvm, tcg."), "{}", line(&mixed));
    assert!(render::html(&Shown::of(&mixed)).contains(" at once, kvm, tcg, "));
}
