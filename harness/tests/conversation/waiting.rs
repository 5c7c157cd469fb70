//! Cells run while the kernels of others are still fetched.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use ukci_harness::event::Event;
use ukci_harness::run::{self, Options};
use ukci_harness::waited_for::{Arrival, Teller, Unprepared, WaitedFor};
use ukci_schema::cell::{Arch, kernel_key};
use ukci_schema::plan::{Plan, PlannedKernel};
use ukci_schema::report::Report;
use ukci_schema::verdict::{Stage, VerdictKind};

use crate::fixture::{options, plan};
use crate::scripted::{Ledger, Script, Scripted};

/// A plan on these kernels of which it has only the first, the others by their keys, and what they
/// are waited for with.
fn plan_without(
    dir: &Path,
    kernels: &[&str],
) -> (Plan, Vec<(String, PlannedKernel)>, WaitedFor, Teller) {
    let mut plan = plan(dir, kernels);
    let first = kernel_key(kernels[0], Arch::X86_64);
    let missing: Vec<_> = plan
        .kernels
        .extract_if(.., |key, _| *key != first)
        .collect();
    let keys: BTreeSet<String> = missing.iter().map(|(key, _)| key.clone()).collect();
    let (waited_for, teller) = WaitedFor::kernels(keys);
    (plan, missing, waited_for, teller)
}

/// Runs it, and lets `observe` tell of the kernels.
async fn run(
    plan: Plan,
    waited_for: WaitedFor,
    options: Options,
    observe: impl FnMut(Event) + Send,
) -> Report {
    let scripts = ["a", "b", "c"].map(|kernel| (kernel.to_owned(), Script::Good));
    let machine = Scripted {
        template: None,
        scripts: scripts.into(),
        ledger: Arc::new(Ledger::default()),
    };
    let (_keep, cancel) = watch::channel(false);
    let run = run::run_as_kernels_come(plan, waited_for, machine, options, cancel, observe);
    run.await.unwrap()
}

fn gone() -> Unprepared {
    let error = std::io::Error::other("the mirror is silent");
    Unprepared::of(&error, Some("try another".into()))
}

#[tokio::test(start_paused = true)]
async fn cells_start_when_their_own_kernel_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, mut missing, waited_for, teller) = plan_without(dir.path(), &["a", "b", "c"]);
    let mut ended = Vec::new();
    let mut warned = Vec::new();
    // Each kernel comes only when the cell of the one before has ended.
    let report = run(plan, waited_for, options(dir.path()), |event| match event {
        Event::Finished { report, total, .. } => {
            ended.push(report.kernel.clone());
            assert_eq!(total, 3);
            if missing.is_empty() {
                return;
            }
            let (key, kernel) = missing.remove(0);
            let is_last = missing.is_empty();
            let kernel = if is_last {
                Err(gone())
            } else {
                Ok((kernel, vec!["it came damaged once".into()]))
            };
            teller.tell(Arrival { key, kernel });
        }
        Event::Warning(text) => warned.push(text),
        _ => {}
    });
    let report = report.await;
    assert_eq!(ended, ["a", "b", "c"]);
    assert_eq!(warned, ["it came damaged once"]);
    assert_eq!(report.run.warnings, warned);
    assert!(!report.run.interrupted);
    assert_eq!((report.summary.pass, report.summary.error), (2, 1));
    let kernels: Vec<&String> = report.kernels.keys().collect();
    assert_eq!(kernels, ["a/x86_64", "b/x86_64"]);
    let cell = &report.cells[2];
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Error, 0));
    let fault = cell.fault.as_ref().unwrap();
    assert_eq!(fault.stage, Stage::Boot);
    assert_eq!(fault.headline, "the mirror is silent");
    assert_eq!(fault.hints, ["try another"]);
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_never_comes_stops_a_run_that_stops_at_the_first_failure() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, mut missing, waited_for, teller) = plan_without(dir.path(), &["a", "b", "c"]);
    let (key, _) = missing.remove(1);
    let kernel = Err(gone());
    teller.tell(Arrival { key, kernel });
    let mut options = options(dir.path());
    options.fail_fast = true;
    let report = run(plan, waited_for, options, |_| {}).await;
    assert_eq!(report.summary.error, 1);
    assert!(report.not_run.contains(&"x/b/x86_64".to_owned()));
    // Nothing more is fetched for it.
    assert!(teller.is_alone());
}

#[tokio::test(start_paused = true)]
async fn kernels_that_nobody_prepares_any_more_are_errors() {
    let dir = tempfile::tempdir().unwrap();
    let (plan, _, waited_for, teller) = plan_without(dir.path(), &["a", "b"]);
    drop(teller);
    let report = run(plan, waited_for, options(dir.path()), |_| {}).await;
    assert_eq!((report.summary.pass, report.summary.error), (1, 1));
}
