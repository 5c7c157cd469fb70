//! What people are told beside the verdicts: what a manifest can say, targets that no kernel has, and
//! notes of cells.

use ukci_harness::render::{self, Axes, Mend, Shown};
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{AttachOutcome, MapEvidence, ProgramAttach};
use ukci_schema::report::{CellReport, Report, Summary};
use ukci_schema::verdict::{Outcome, Stage, VerdictKind};

fn fixture() -> Report {
    serde_json::from_str(include_str!("fixtures/report.json")).unwrap()
}

/// A report of `ringbuf` on kernels of these releases, each cell refused with this.
fn refused(releases: &[&str], section: &str, code: Code, headline: &str) -> Report {
    let mut report = fixture();
    let seed = report.cells[0].clone();
    let cells = releases.iter().map(|release| {
        let mut cell = seed.clone();
        cell.kernel = format!("debian-{release}");
        cell.id = cell.cell().id();
        cell.release = format!("{release}.0-1-cloud-amd64");
        (cell.outcome, cell.verdict) = (Outcome::Fail, VerdictKind::Fail);
        let program = &mut cell.programs[0];
        program.section = section.into();
        cell.diagnosis = Some(Diagnosis {
            code,
            stage: Stage::Load,
            program: Some(program.name.clone()),
            headline: headline.into(),
            at: None,
            excerpt: None,
            hints: Vec::new(),
        });
        cell
    });
    report.cells = cells.collect();
    report.summary = Summary::of(&report.cells, 0, 0);
    report
}

/// Why a map of `ringbuf` cannot be created.
fn unsized_maps(releases: &[&str], maps: &[&str]) -> Report {
    let headline = format!("map `{}` has no `max_entries`", maps[0]);
    let mut report = refused(releases, "kprobe/x", Code::LoaderContract, &headline);
    for cell in &mut report.cells {
        cell.maps = (maps.iter())
            .map(|name| MapEvidence {
                name: (*name).into(),
                map_type: "hash".into(),
                key_size: 4,
                value_size: 8,
                autocreate: true,
                ..MapEvidence::default()
            })
            .collect();
        let diagnosis = cell.diagnosis.clone().unwrap();
        for (program, map) in maps.iter().enumerate().skip(1) {
            let mut other = cell.programs[0].clone();
            other.name = format!("program{program}");
            other.diagnosis = Some(Diagnosis {
                headline: format!("map `{map}` has no `max_entries`"),
                ..diagnosis.clone()
            });
            cell.programs.push(other);
        }
    }
    report
}

fn mend(report: &Report, cause: usize) -> Option<Mend> {
    let causes = render::causes(report);
    render::mend(report, &Axes::of(report), &causes[cause], Some("my out"))
}

#[test]
fn a_cause_of_the_loader_comes_with_the_lines_of_a_manifest() {
    let report = unsized_maps(&["5.10", "6.1"], &["counts", "starts"]);
    let mend = mend(&report, 0).unwrap();
    assert_eq!(
        mend.note,
        "the result is the same on all 2 kernels, so it depends on your loader and says nothing \
         about the kernels"
    );
    assert_eq!(
        mend.lines,
        [
            "[[maps]]",
            "name = \"counts\"",
            "max_entries = 10240",
            "[[maps]]",
            "name = \"starts\"",
            "max_entries = 10240"
        ]
    );
    assert_eq!((mend.omitted, mend.artifact), (Vec::new(), None));
    let command = mend.command.unwrap();
    assert_eq!(
        command,
        "ukci manifest suggest src/ringbuf.bpf.o --report 'my out'"
    );
    // A page does not know where the report of its reader is.
    let page = render::markdown(&Shown::of(&report));
    assert!(
        page.contains("`ukci manifest suggest src/ringbuf.bpf.o`"),
        "{page}"
    );
    let html = render::html(&Shown::of(&report));
    for words in [
        "it depends on your loader",
        "max_entries = 10240",
        "ukci manifest suggest src/",
    ] {
        assert!(html.contains(words), "{words}");
    }
    assert!(
        page.contains("```toml\n[[maps]]\nname = \"counts\"\n"),
        "{page}"
    );
    assert!(render::github(&Shown::of(&report), None).contains("name = \"starts\""));
}

#[test]
fn the_lines_are_bounded_and_only_about_the_cause() {
    let maps = ["a", "b", "c", "d", "e"];
    let report = unsized_maps(&["5.10", "6.1"], &maps);
    let many = mend(&report, 0).unwrap();
    assert_eq!(many.lines.len(), 12);
    assert_eq!(many.omitted, ["size map `e`"]);
    assert!(
        render::markdown(&Shown::of(&report)).contains("There are 1 more choice: size map `e`")
    );

    // Another map without a size, of which the cause does not speak.
    let mut report = unsized_maps(&["5.10"], &["counts"]);
    let mut other = report.cells[0].maps[0].clone();
    other.name = "other".into();
    report.cells[0].maps.push(other);
    let one = mend(&report, 0).unwrap();
    assert!(!one.lines.join("\n").contains("other"), "{:?}", one.lines);
    // One kernel says nothing of all.
    assert!(
        one.note.ends_with("says nothing about the kernel"),
        "{}",
        one.note
    );
}

#[test]
fn a_kernels_refusal_is_not_the_loaders_business() {
    let report = refused(&["5.10", "6.1"], "kprobe/x", Code::VerifierRejection, "no");
    assert_eq!(mend(&report, 0), None);
    assert!(!render::markdown(&Shown::of(&report)).contains("manifest suggest"));
}

fn notes(report: &Report) -> Vec<String> {
    let causes = render::causes(report);
    render::notes(report, &causes[0])
}

#[test]
fn a_target_that_no_kernel_of_the_run_has_is_told() {
    let headline = "no function `enter_the_door`";
    let of = |releases: &[&str]| {
        let section = "fentry/enter_the_door";
        refused(releases, section, Code::AttachTargetMissing, headline)
    };
    let expected = "`enter_the_door` exists on no kernel of this run (5.10 to 6.1): either it is a \
                    placeholder, which the object's own loader replaces, or only other kernels have it";
    let report = of(&["6.1", "5.10"]);
    assert_eq!(notes(&report), [expected]);
    assert!(render::markdown(&Shown::of(&report)).contains(expected));

    // Two builds of one series are one kernel.
    let mut twice = of(&["6.1", "6.1"]);
    twice.cells[1].kernel = "another".into();
    assert_eq!(notes(&twice), <[&str; 0]>::default());
    // Here a kernel has it, and here nobody knows.
    for outcome in [Outcome::Pass, Outcome::Error] {
        let mut report = of(&["6.1", "5.10", "7.2"]);
        report.cells[2].outcome = outcome;
        report.cells[2].diagnosis = None;
        assert_eq!(notes(&report), <[&str; 0]>::default(), "{outcome}");
    }
    // Nor is a target missing because a program was refused for something else.
    let section = "fentry/enter_the_door";
    let report = refused(&["5.10", "6.1"], section, Code::VerifierRejection, headline);
    assert_eq!(notes(&report), <[&str; 0]>::default());
}

#[test]
fn a_placeholder_that_the_judge_knows_is_told_as_well() {
    let headline = "`foo` in the section of program `p` looks like a placeholder";
    let report = refused(
        &["5.10", "6.1"],
        "fentry/foo",
        Code::LoaderContract,
        headline,
    );
    assert!(notes(&report)[0].starts_with("`foo` exists on no kernel of this run"));
    // The loader owes something else.
    let headline = "map `m` has no `max_entries`";
    let report = refused(
        &["5.10", "6.1"],
        "fentry/foo",
        Code::LoaderContract,
        headline,
    );
    assert_eq!(notes(&report), <[&str; 0]>::default());
}

#[test]
fn each_note_of_a_cell_is_told_once() {
    let note = "the module `arp_tables` was loaded for `target`";
    let mut report = refused(&["5.10", "6.1"], "xdp", Code::MapRefused, "no");
    for cell in &mut report.cells {
        cell.notes.push(note.into());
    }
    assert_eq!(notes(&report), [note]);
    assert_eq!(render::notes_elsewhere(&report), []);
    assert_eq!(
        render::markdown(&Shown::of(&report)).matches(note).count(),
        1
    );

    for cell in &mut report.cells {
        cell.outcome = Outcome::Pass;
    }
    let told = render::notes_elsewhere(&report);
    assert_eq!((told.len(), told[0].0, told[0].1.len()), (1, note, 2));
    let page = render::markdown(&Shown::of(&report));
    assert!(
        page.contains(&format!("- ringbuf: all 2 kernels: {note}\n")),
        "{page}"
    );
}

#[test]
fn what_attaches_alone_is_not_counted_among_what_was_not_tried() {
    let mut report = fixture();
    let count =
        |cell: &CellReport| Summary::of(std::slice::from_ref(cell), 0, 0).programs_not_attempted;
    let program = &mut report.cells[0].programs[0];
    program.attach = AttachOutcome::NotAttempted;
    program.reason = Some("a guest has no infrared device".into());
    assert_eq!(count(&report.cells[0]), 1);
    report.cells[0].programs[0].reason = Some(ProgramAttach::ATTACHES_ALONE.into());
    assert_eq!(count(&report.cells[0]), 0);
}

/// Kernels word one refusal in two ways, and it is one cause; two refusals are two.
#[test]
fn a_cause_is_told_once_whatever_words_each_kernel_has_for_it() {
    let releases = ["5.10", "6.1", "7.2"];
    let told = |sentences: [&str; 3], hints: [&str; 3]| {
        let mut report = refused(&releases, "xdp", Code::VerifierRejection, "");
        for (n, cell) in report.cells.iter_mut().enumerate() {
            let diagnosis = cell.diagnosis.as_mut().unwrap();
            diagnosis.headline = format!("the verifier rejected `x`: {}", sentences[n]);
            diagnosis.hints = vec![hints[n].into()];
        }
        let causes = render::causes(&report);
        causes
            .iter()
            .map(|cause| cause.seen.len())
            .collect::<Vec<_>>()
    };
    let general = ["see `ukci explain VERIFIER_REJECTION` for the usual causes"; 3];
    let [inv, scalar] = [
        "R1 invalid mem access 'inv'",
        "R1 invalid mem access 'scalar'",
    ];
    let null = "R1 invalid mem access 'map_value_or_null'";
    assert_eq!(told([inv, scalar, scalar], general), [3]);
    assert_eq!(told([inv, scalar, null], general), [2, 1]);
    let [old, new] = ["R0 has value (0x5; 0x0)", "R0 has smin=5 smax=5"];
    assert_eq!(
        told(
            [old, old, new],
            ["return 0 or 1 only: this path returns 5"; 3]
        ),
        [3]
    );
    assert_eq!(told([old, old, new], general), [2, 1]);
    let two = [
        "return 0 or 1 only: this path returns 5",
        "x",
        "return 0 or 1 only: this path returns 5",
    ];
    assert_eq!(told([old, null, new], two), [2, 1]);
}
