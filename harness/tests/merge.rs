//! Reports of the shards of a run, as one.

use ukci_harness::report::merge::{MergeError, merge};
use ukci_schema::artifact::ManifestRef;
use ukci_schema::plan::Shard;
use ukci_schema::report::{Report, Summary};
use ukci_schema::verdict::Outcome;

fn report() -> Report {
    serde_json::from_str(include_str!("fixtures/report.json")).unwrap()
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

#[test]
fn cells_that_no_shard_ran_stay_not_run() {
    let whole = report();
    let (mut one, mut other) = (whole.clone(), whole.clone());
    let lost = one.cells.remove(0);
    let elsewhere = one.cells.remove(0);
    one.not_run = vec![lost.id.clone(), elsewhere.id.clone()];
    one.summary = Summary::of(&one.cells, 0, 2);
    one.run.interrupted = true;
    other.cells = vec![elsewhere];
    other.summary = Summary::of(&other.cells, 0, 0);
    let merged = merge(vec![one, other]).unwrap();
    assert_eq!(merged.not_run, std::slice::from_ref(&lost.id));
    assert!(merged.run.interrupted && merged.summary.not_run == 1);
    let rest = Report {
        cells: vec![lost],
        ..whole
    };
    let merged = merge(vec![merged, rest]).unwrap();
    assert!(merged.not_run.is_empty() && !merged.run.interrupted);
}

/// A shard that never left a report: only the others can tell of its cells.
#[test]
fn cells_of_a_missing_shard_are_not_run() {
    let whole = report();
    let planned: Vec<String> = whole.cells.iter().map(|cell| cell.id.clone()).collect();
    let shard = |n: usize| {
        let mut shard = whole.clone();
        shard.cells = whole.cells.iter().skip(n).step_by(3).cloned().collect();
        shard.summary = Summary::of(&shard.cells, 0, 0);
        shard.run.interrupted = false;
        shard.run.shard = Some(Shard {
            names: vec![format!("count:{}/3", n + 1)],
            planned: planned.clone(),
        });
        shard
    };
    let mut lost: Vec<String> = shard(1).cells.into_iter().map(|cell| cell.id).collect();
    lost.sort();
    // Even if only one report is merged.
    assert_eq!(
        merge(vec![shard(0)]).unwrap().cells.len() + merge(vec![shard(0)]).unwrap().not_run.len(),
        planned.len()
    );
    let merged = merge(vec![shard(0), shard(2)]).unwrap();
    assert_eq!(merged.not_run, lost);
    assert_eq!(merged.summary.not_run, lost.len());
    assert!(merged.run.interrupted);
    let names = &merged.run.shard.as_ref().unwrap().names;
    assert_eq!(*names, ["count:1/3", "count:3/3"]);
    // The last one completes it, as does a run of the missing cells alone.
    let mut alone = shard(1);
    alone.run.shard = None;
    for rest in [shard(1), alone] {
        let all = merge(vec![merged.clone(), rest]).unwrap();
        assert_eq!((all.not_run.len(), all.run.shard), (0, None));
        assert_eq!(all.cells.len(), planned.len());
    }
    // A shard of another plan, and a cell that is not in the plan.
    let mut other = shard(1);
    let planned = &mut other.run.shard.as_mut().unwrap().planned;
    planned.push("x/y/z".into());
    let mut strange = shard(1);
    strange.run.shard = None;
    strange.cells[0].id = "x/y/z".into();
    for other in [other, strange] {
        let refused = merge(vec![shard(0), other]);
        assert_eq!(refused, Err(MergeError::NotPlanned("x/y/z".into())));
    }
}

#[test]
fn unrelated_reports_are_not_merged() {
    let mut other = report();
    other.run.matrix = "another".into();
    let refused = merge(vec![report(), other]);
    assert!(
        matches!(refused, Err(MergeError::Matrices(..))),
        "{refused:?}"
    );
    let mut other = report();
    for artifact in &mut other.artifacts {
        artifact.name.push('2');
    }
    assert_eq!(merge(vec![report(), other]), Err(MergeError::Unrelated));
    let mut other = report();
    let artifact = &mut other.artifacts[0];
    artifact.manifest = match artifact.manifest {
        Some(_) => None,
        None => Some(ManifestRef {
            path: "m".into(),
            sha256: "00".repeat(32),
        }),
    };
    let refused = merge(vec![report(), other]);
    assert!(
        matches!(refused, Err(MergeError::Differs { .. })),
        "{refused:?}"
    );
}
