//! Every renderer over one report that holds all outcomes.

use ukci_harness::render;
use ukci_schema::compare::{Diff, MergeError, merge};
use ukci_schema::report::{Report, Summary};
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
    insta::assert_snapshot!("markdown", render::markdown(&report));
    insta::assert_snapshot!("junit", render::junit(&report));
    insta::assert_snapshot!("html", render::html(&report));
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
        if let Some(diagnosis) = &mut cell.diagnosis {
            diagnosis.headline = evil.into();
        }
    }
    assert!(!render::html(&report).contains("<script"));
    assert!(!render::markdown(&report).contains("<script"));
}

#[test]
fn a_report_differs_from_itself_in_nothing_and_from_a_worse_one_in_what_got_worse() {
    let before = report();
    assert_eq!(Diff::of(&before, &before), Diff::default());
    let mut after = before.clone();
    after.cells[0].outcome = Outcome::Error;
    let stats = after.cells[1].programs[0].verifier.as_mut().unwrap();
    stats.insns *= 2;
    let gone = after.cells.pop().unwrap();
    let diff = Diff::of(&before, &after);
    assert!(diff.is_worse() && diff.changed[0].worse);
    assert_eq!(diff.removed, [gone.id]);
    assert!((diff.verifier[0].percent() - 100.0).abs() < 1e-9);
}

#[test]
fn shards_merge_to_the_whole_and_contradictions_are_refused() {
    let whole = report();
    let shard = |keep: fn(usize) -> bool| {
        let cells = whole.cells.iter().enumerate();
        let cells = cells
            .filter(|(n, _)| keep(*n))
            .map(|(_, cell)| cell.clone())
            .collect();
        Report {
            cells,
            ..whole.clone()
        }
    };
    let merged = merge(vec![shard(|n| n % 2 == 0), shard(|n| n % 2 == 1)]).unwrap();
    let mut ids: Vec<_> = whole.cells.iter().map(|cell| cell.id.clone()).collect();
    ids.sort();
    let mut merged_ids: Vec<_> = merged.cells.iter().map(|cell| cell.id.clone()).collect();
    merged_ids.sort();
    assert_eq!(merged_ids, ids);
    assert_eq!(merged.summary.cells, whole.summary.cells);

    let mut other = whole.clone();
    other.cells[0].outcome = Outcome::Error;
    assert!(matches!(
        merge(vec![whole.clone(), other]),
        Err(MergeError::Twice(_))
    ));
    let mut other = whole.clone();
    other.artifacts[0].sha256 = "00".repeat(32);
    assert!(matches!(
        merge(vec![whole, other]),
        Err(MergeError::Differs { .. })
    ));
    assert_eq!(merge(Vec::new()), Err(MergeError::Empty));
}
