//! Copies of saved guests: what they are sent, and what happens when one fails.

use std::sync::atomic::Ordering;

use tokio::sync::watch;
use ukci_harness::event::Event;
use ukci_schema::plan::Plan;
use ukci_schema::report::Start;
use ukci_schema::verdict::VerdictKind;

use crate::fixture::{Ran, one, run_with};
use crate::scripted::Script;

/// How often a guest was booted, copied and saved.
fn counts(ran: &Ran) -> [usize; 3] {
    let ledger = &ran.ledger;
    let copies = ledger.copies.load(Ordering::SeqCst);
    let started = ledger.boots.load(Ordering::SeqCst);
    [started, copies, ledger.templates.load(Ordering::SeqCst)]
}

#[tokio::test(start_paused = true)]
async fn a_single_cell_is_a_copy_of_what_is_there_already() {
    let (cell, ran) = one(Script::Copy).await;
    assert_eq!((cell.verdict, cell.start), (VerdictKind::Pass, Start::Warm));
    assert_eq!((cell.transport.as_str(), cell.boots), ("virtio-serial", 1));
    assert_eq!(cell.release, "6.1.0-56", "the saved hello tells it");
    assert_eq!(counts(&ran), [1, 1, 0]);
    let (cell, ran) = one(Script::Good).await;
    assert_eq!((cell.verdict, cell.start), (VerdictKind::Pass, Start::Cold));
    assert_eq!(cell.transport, "vhost-user-vsock");
    assert_eq!(counts(&ran), [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_fails_is_no_verdict_and_the_cell_boots() {
    let (cell, ran) = one(Script::CopyFails).await;
    assert_eq!((cell.verdict, cell.start), (VerdictKind::Pass, Start::Cold));
    assert_eq!(
        (cell.transport.as_str(), cell.boots),
        ("vhost-user-vsock", 1)
    );
    insta::assert_snapshot!(cell.notes[0], @"it booted its kernel, because the copy of a saved guest failed: QEMU refused migrate-incoming: no");
    assert_eq!(counts(&ran), [1, 1, 0]);
    let (cell, ran) = one(Script::DeafCopy).await;
    assert_eq!((cell.verdict, cell.start), (VerdictKind::Pass, Start::Cold));
    insta::assert_snapshot!(cell.notes[0], @"it booted its kernel, because the copy of a saved guest failed: the copy of the saved guest did not take its request within 8s");
    assert_eq!(counts(&ran), [2, 1, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_copy_is_repeated_by_a_boot() {
    let (cell, ran) = one(Script::CopyPanics).await;
    assert_eq!((cell.verdict, cell.start), (VerdictKind::Pass, Start::Cold));
    assert_eq!(cell.boots, 2);
    assert_eq!(counts(&ran), [2, 1, 0]);
}

/// A second cell of each kernel.
fn twice(plan: &mut Plan) {
    let mut other = plan.artifacts["x"].clone();
    other.artifact.name = "y".into();
    plan.artifacts.insert("y".into(), other);
    for mut planned in plan.cells.clone() {
        planned.cell.artifact = "y".into();
        plan.cells.push(planned);
    }
}

#[tokio::test(start_paused = true)]
async fn the_guest_of_two_cells_is_saved_once_and_each_gets_a_copy() {
    let (_keep, cancel) = watch::channel(false);
    let scripts = [("k", Script::Good)];
    let ran = run_with(&scripts, |plan, _| twice(plan), cancel).await;
    let starts: Vec<Start> = ran.report.cells.iter().map(|cell| cell.start).collect();
    assert_eq!(starts, [Start::Warm, Start::Warm]);
    assert_eq!(counts(&ran), [2, 2, 1]);
    // With other memory it is another guest, and neither is saved for one cell.
    let (_keep, cancel) = watch::channel(false);
    let other = |plan: &mut Plan| {
        twice(plan);
        plan.cells[1].memory += 256;
    };
    let ran = run_with(&scripts, |plan, _| other(plan), cancel).await;
    assert_eq!(counts(&ran), [2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_guest_of_one_cell_is_saved_where_other_runs_follow() {
    let (_keep, cancel) = watch::channel(false);
    let others_follow = |_: &mut Plan, options: &mut ukci_harness::run::Options| {
        options.copies = ukci_harness::run::Copies::Always;
    };
    let ran = run_with(&[("k", Script::Good)], others_follow, cancel).await;
    assert_eq!(ran.report.cells[0].start, Start::Warm);
    assert_eq!(counts(&ran), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn cold_runs_save_nothing_and_copy_nothing() {
    let (_keep, cancel) = watch::channel(false);
    let scripts = [("k", Script::Good), ("saved", Script::Copy)];
    let cold = |plan: &mut Plan, options: &mut ukci_harness::run::Options| {
        twice(plan);
        options.copies = ukci_harness::run::Copies::Never;
    };
    let ran = run_with(&scripts, cold, cancel).await;
    assert!(ran.report.cells.iter().all(|c| c.start == Start::Cold));
    assert_eq!(counts(&ran), [4, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_host_without_room_is_told_of_once() {
    let (_keep, cancel) = watch::channel(false);
    let scripts = [("a", Script::Costly), ("b", Script::Costly)];
    let ran = run_with(&scripts, |plan, _| twice(plan), cancel).await;
    let warnings = ran.events.iter().filter_map(|event| match event {
        Event::Warning(text) => Some(text.as_str()),
        _ => None,
    });
    let warnings: Vec<&str> = warnings.collect();
    assert_eq!(warnings.len(), 1);
    insta::assert_snapshot!(warnings[0], @"`/cache` has only 5 MiB free, and a saved guest needs 320 MiB, so every cell boots its kernel");
    assert_eq!(ran.report.run.warnings, warnings);
    assert!(ran.report.cells.iter().all(|c| c.notes.is_empty()));
    assert_eq!(counts(&ran), [4, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_cannot_be_saved_boots_for_each_cell_which_say_why() {
    let (_keep, cancel) = watch::channel(false);
    let scripts = [("k", Script::GoodAndSlow)];
    let ran = run_with(&scripts, |plan, _| twice(plan), cancel).await;
    for cell in &ran.report.cells {
        assert_eq!((cell.verdict, cell.start), (VerdictKind::Pass, Start::Cold));
        let why = "it booted its kernel, because the guest could not be saved: it panicked";
        assert_eq!(cell.notes, [why]);
    }
    assert_eq!(counts(&ran), [2, 0, 1]);
}
