//! The harness against scripted guests: everything an agent or a kernel can do wrong, in
//! milliseconds and without QEMU.

mod commands;
mod copies;
mod fixture;
mod identity;
mod remembered;
mod scripted;
mod waiting;
mod wire;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use ukci_harness::channel::Channel;
use ukci_harness::compile;
use ukci_harness::event::Event;
use ukci_harness::run::{self, Options};
use ukci_schema::budget::Budget;
use ukci_schema::cell::Arch;
use ukci_schema::diagnosis::Code;
use ukci_schema::message::{FrameKind, PROTOCOL, encode_header};
use ukci_schema::plan::{Plan, PlannedObject};
use ukci_schema::report::Report;
use ukci_schema::verdict::{Stage, VerdictKind};

use fixture::{fault, one, options, plan, run_with};
use scripted::{Ledger, Script, Scripted};

#[tokio::test(start_paused = true)]
async fn a_good_agent_is_heard_to_the_end() {
    let (cell, ran) = one(Script::Good).await;
    assert_eq!((cell.verdict, cell.stage), (VerdictKind::Pass, Stage::Load));
    assert_eq!(
        (cell.release.as_str(), cell.libbpf.as_str()),
        ("6.1.0-56", "v1.7")
    );
    assert_eq!(
        (cell.cpu_seconds, cell.peak_kib, cell.boots),
        (1.5, 2048, 1)
    );
    let stages: Vec<_> = ran
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Stage { stage, .. } => Some(*stage),
            _ => None,
        })
        .collect();
    assert_eq!(
        stages,
        [Stage::Boot, Stage::Connect, Stage::Open, Stage::Load]
    );
    assert!(
        ran.dir
            .path()
            .join("out")
            .join(&cell.evidence)
            .join("evidence.json")
            .exists()
    );
    assert!(!ran.report.run.interrupted);
    // What each stage took is in the report; a scripted guest takes no CPU time.
    let reported: Vec<_> = cell.stages.iter().map(|time| time.stage).collect();
    assert_eq!(reported, stages);
    assert!(cell.stages.iter().all(|time| time.cpu_seconds.is_none()));
}

/// Where the time of a cell that failed went is in the report as well.
#[tokio::test(start_paused = true)]
async fn the_stage_that_took_long_is_in_the_report() {
    let (cell, _) = one(Script::Starved).await;
    let took = |stage| {
        let times = cell.stages.iter();
        let times = times.filter(|time| time.stage == stage);
        times.map(|time| time.seconds).sum::<f64>()
    };
    assert!(took(Stage::Load) > 400.0, "{:?}", cell.stages);
    assert!(took(Stage::Boot) < 1.0, "{:?}", cell.stages);
    let (cell, _) = one(Script::Silent).await;
    assert_eq!(cell.stages.len(), 1);
    assert!(
        (cell.stages[0].seconds - 120.0).abs() < 1.0,
        "{:?}",
        cell.stages
    );
}

/// The run of one costly cell, held to `budget` by its plan.
async fn costs(budget: Budget, baseline: Option<Report>) -> Report {
    let (_keep, cancel) = watch::channel(false);
    let adjust = |plan: &mut Plan, options: &mut Options| {
        plan.budget = budget;
        options.baseline = baseline.map(Arc::new);
    };
    run_with(&[("k", Script::Costly)], adjust, cancel)
        .await
        .report
}

#[tokio::test(start_paused = true)]
async fn a_plans_budget_is_judged_and_reported() {
    let within = Budget {
        max_insns: Some(57),
        max_growth_percent: Some(10),
    };
    let mut before = costs(within, None).await;
    assert_eq!(before.cells[0].verdict, VerdictKind::Pass);
    assert_eq!(before.run.budget, within);

    let headline = |report: &Report| {
        let diagnosis = report.cells[0].diagnosis.as_ref().unwrap();
        assert_eq!(diagnosis.code, Code::VerifierBudget);
        diagnosis.headline.clone()
    };
    let below = Budget {
        max_insns: Some(56),
        ..within
    };
    insta::assert_snapshot!(headline(&costs(below, None).await));
    let program = &mut before.cells[0].programs[0];
    program.verifier.as_mut().unwrap().insns = 50;
    insta::assert_snapshot!(headline(&costs(within, Some(before)).await));
}

#[tokio::test(start_paused = true)]
async fn a_kernel_that_panics_while_booting() {
    insta::assert_snapshot!(fault(Script::PanicAtBoot).await, @"boot KERNEL_PANIC the guest's kernel panicked: Kernel panic - not syncing: Fatal exception");
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_never_says_hello() {
    let silent = fault(Script::Silent).await;
    insta::assert_snapshot!(silent, @"connect - no hello from the guest within 120s");
    assert_eq!(
        fault(Script::NeverDials).await,
        silent,
        "the transport must not matter"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_sends_garbage() {
    insta::assert_snapshot!(fault(Script::Garbage).await, @"connect - the agent sent invalid data: not a frame: it begins with byte 0x6c");
    insta::assert_snapshot!(fault(Script::Oversized).await, @"connect - the agent sent invalid data: a frame of 16711680 bytes, over the limit of 16380");
    insta::assert_snapshot!(fault(Script::Short).await, @"connect - the agent closed the connection");
    insta::assert_snapshot!(fault(Script::Nonsense).await, @r#"connect - the agent sent an invalid message: invalid type: string "one", expected u32 (it begins with `{"say":"hello","protocol":"one"}`)"#);
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_another_version() {
    let theirs = PROTOCOL + 1;
    let said = format!("the agent speaks protocol {theirs}, and this ukci speaks {PROTOCOL}");
    assert_eq!(
        fault(Script::OldProtocol).await,
        format!("connect - {said}")
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_in_trouble() {
    insta::assert_snapshot!(fault(Script::Trouble).await, @"boot - the agent could not do its work: mount proc: Operation not permitted");
    insta::assert_snapshot!(fault(Script::DoneTooSoon).await, @"load - the agent could not do its work: it was done without an answer");
    insta::assert_snapshot!(fault(Script::NeverDone).await, @"load - no last word from the agent within 120s");
}

/// It says nothing of the artifact, and more memory may bring an answer.
#[tokio::test(start_paused = true)]
async fn a_guest_without_memory_is_booted_again_with_more() {
    let (cell, _) = one(Script::OutOfMemory).await;
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Error, 2));
    let fault = cell.fault.unwrap();
    assert_eq!(fault.code, Some(Code::GuestResources));
    assert!(
        fault.headline.contains("ran out of memory"),
        "{}",
        fault.headline
    );
    assert!(fault.hints[0].contains("`memory`"), "{:?}", fault.hints);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_ends_is_named_once_with_what_it_printed() {
    insta::assert_snapshot!(fault(Script::QemuDies).await, @"boot - QEMU exited with status 0 (guest-reset) while ukci waited for the hello from the guest: qemu: could not open disk");
    insta::assert_snapshot!(fault(Script::VsockDies).await, @"load - vhost-device-vsock was killed by signal 9 while ukci waited for the end of load (the object)");
}

/// A busy host makes a healthy kernel report stalls: they are reported, and the deadline decides.
#[tokio::test(start_paused = true)]
async fn a_stall_is_noted_and_the_deadline_decides() {
    let (cell, _) = one(Script::StallsAndGoesOn).await;
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Pass, 1));
    insta::assert_snapshot!(cell.notes.join("\n"), @"the kernel reported a stall, which a busy host can cause: `rcu: rcu_sched kthread starved for 5252 jiffies!`");
    insta::assert_snapshot!(fault(Script::Stalls).await, @"load KERNEL_SPLAT the guest's kernel is stuck: rcu: rcu_sched kthread starved for 5252 jiffies!; no end of load (the object) within 120s");
}

#[tokio::test(start_paused = true)]
async fn a_host_without_cpus_to_spare_puts_the_deadline_off_but_not_for_ever() {
    let (cell, _) = one(Script::Starved).await;
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Pass, 1));
    assert!(cell.notes.is_empty());
    insta::assert_snapshot!(fault(Script::StarvedForEver).await, @"load - no end of load (the object) within 120s, not counting 360s for which this host had no CPU for the guest");
}

#[tokio::test(start_paused = true)]
async fn a_panic_under_the_artifact_must_reproduce_to_be_its_failure() {
    let (cell, ran) = one(Script::PanicAtLoad).await;
    let diagnosis = cell.diagnosis.unwrap();
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Fail, 2));
    assert_eq!(
        (diagnosis.code.name(), diagnosis.stage),
        ("KERNEL_PANIC", Stage::Load)
    );
    assert!(
        ran.events
            .iter()
            .any(|event| matches!(event, Event::Retry { .. }))
    );

    let (cell, ran) = one(Script::PanicAtLoadOnce).await;
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Pass, 2));
    assert_eq!(ran.ledger.boots.load(Ordering::SeqCst), 2);
}

/// A device that never serves its guest says nothing of the artifact.
#[tokio::test(start_paused = true)]
async fn a_guest_that_powers_off_unheard_is_booted_once_more() {
    let (cell, ran) = one(Script::UnheardOnce).await;
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Pass, 2));
    assert_eq!(ran.ledger.boots.load(Ordering::SeqCst), 2);
    let (cell, _) = one(Script::Unheard).await;
    assert_eq!((cell.verdict, cell.boots), (VerdictKind::Error, 2));
    // What the agent said on the console is the reason, and a kernel of one's own may lack drivers.
    let fault = cell.fault.unwrap();
    assert_eq!(fault.code, Some(Code::UnsupportedTransport));
    insta::assert_snapshot!(fault.headline, @"the agent could not go on: dial the host: Address family not supported");
    assert!(
        fault.hints[0].contains("`--modules DIR`"),
        "{:?}",
        fault.hints
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_machines_at_once_than_jobs_and_the_order_is_the_plans() {
    let names: Vec<String> = (0..40).map(|n| format!("k{n:02}")).collect();
    let scripts: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(n, name)| {
            (
                name.as_str(),
                if n % 3 == 0 {
                    Script::GoodAndSlow
                } else {
                    Script::Good
                },
            )
        })
        .collect();
    let (_keep, cancel) = watch::channel(false);
    let ran = run_with(&scripts, |_, options| options.jobs = 3, cancel).await;
    assert_eq!(ran.ledger.most.load(Ordering::SeqCst), 3);
    let kernels: Vec<_> = ran
        .report
        .cells
        .iter()
        .map(|cell| cell.kernel.clone())
        .collect();
    assert_eq!(kernels, names);
    assert_eq!(
        (ran.report.summary.pass, ran.report.summary.not_run),
        (40, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_run_reports_what_finished_and_leaves_no_guest() {
    let (stop, cancel) = watch::channel(false);
    let scripts = [
        ("a", Script::Good),
        ("b", Script::Silent),
        ("c", Script::Good),
    ];
    let run = run_with(&scripts, |_, options| options.jobs = 3, cancel);
    let stopper = async {
        // Long after the good cells, long before the silent one's deadline.
        tokio::time::sleep(Duration::from_secs(30)).await;
        stop.send(true).unwrap();
    };
    let (ran, ()) = tokio::join!(run, stopper);
    assert!(ran.report.run.interrupted);
    assert_eq!(
        (ran.report.summary.pass, ran.report.summary.not_run),
        (2, 1)
    );
    assert!(
        ran.events
            .iter()
            .any(|event| matches!(event, Event::Interrupted))
    );
    assert!(
        ran.report.run.seconds < 30.0,
        "the silent cell was waited for"
    );
}

#[tokio::test(start_paused = true)]
async fn fail_fast_stops_at_the_first_unmet_cell() {
    let (_keep, cancel) = watch::channel(false);
    let scripts = [
        ("a", Script::PanicAtBoot),
        ("b", Script::GoodAndSlow),
        ("c", Script::Good),
    ];
    let adjust = |_: &mut Plan, options: &mut Options| {
        options.fail_fast = true;
        options.jobs = 1;
    };
    let ran = run_with(&scripts, adjust, cancel).await;
    assert_eq!(
        (ran.report.summary.error, ran.report.summary.not_run),
        (1, 2)
    );
}

/// The machines of other cells are not waited for.
#[tokio::test(start_paused = true)]
async fn fail_fast_is_immediate() {
    let (_keep, cancel) = watch::channel(false);
    let scripts = [
        ("a", Script::Silent),
        ("b", Script::NeverDials),
        ("c", Script::PanicAtBoot),
        ("d", Script::Good),
    ];
    let adjust = |_: &mut Plan, options: &mut Options| {
        options.fail_fast = true;
        options.jobs = 3;
    };
    let began = tokio::time::Instant::now();
    let ran = run_with(&scripts, adjust, cancel).await;
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        (ran.report.summary.error, ran.report.summary.not_run),
        (1, 3)
    );
    assert_eq!(ran.ledger.boots.load(Ordering::SeqCst), 3);
}

/// A guest that says nothing keeps its own machine until its time is over, and no other.
#[tokio::test(start_paused = true)]
async fn one_stuck_cell_does_not_hold_up_the_rest() {
    let (_keep, cancel) = watch::channel(false);
    let names: Vec<String> = (0..20).map(|n| format!("k{n:02}")).collect();
    let script = |n| match n {
        0 => Script::Silent,
        _ => Script::GoodAndSlow,
    };
    let scripts: Vec<_> = (names.iter().enumerate())
        .map(|(n, name)| (name.as_str(), script(n)))
        .collect();
    let began = tokio::time::Instant::now();
    let ran = run_with(&scripts, |_, options| options.jobs = 2, cancel).await;
    // 19 cells of 5 seconds one after another, while the first one's 120 seconds pass.
    assert!(
        began.elapsed() < Duration::from_secs(125),
        "{:?}",
        began.elapsed()
    );
    let mut finished = ran.events.iter().filter_map(|event| match event {
        Event::Finished { report, .. } => Some(report.kernel.as_str()),
        _ => None,
    });
    assert_eq!(finished.next_back(), Some("k00"));
    assert_eq!((ran.report.summary.pass, ran.report.summary.error), (19, 1));
}

#[tokio::test(start_paused = true)]
async fn a_bug_of_ours_is_the_error_of_one_cell() {
    let (_keep, cancel) = watch::channel(false);
    let scripts = [("a", Script::Good), ("b", Script::Bug), ("c", Script::Good)];
    let ran = run_with(&scripts, |_, options| options.jobs = 1, cancel).await;
    assert_eq!((ran.report.summary.pass, ran.report.summary.error), (2, 1));
    let fault = ran.report.cells[1].fault.as_ref().unwrap();
    let start = "ukci failed while it ran this cell: ";
    assert!(fault.headline.starts_with(start), "{}", fault.headline);
    assert!(fault.headline.contains("a bug"), "{}", fault.headline);
    assert!(fault.hints[0].contains("report this"), "{fault:?}");
}

/// Memory counts as well as jobs, and a cell that is booted again with more waits for it.
#[tokio::test(start_paused = true)]
async fn no_more_machines_than_fit_into_memory() {
    let (_keep, cancel) = watch::channel(false);
    let names: Vec<String> = (0..12).map(|n| format!("k{n:02}")).collect();
    let script = |n| match n {
        3 | 4 => Script::OutOfMemory,
        _ => Script::GoodAndSlow,
    };
    let scripts: Vec<_> = (names.iter().enumerate())
        .map(|(n, name)| (name.as_str(), script(n)))
        .collect();
    let adjust = |_: &mut Plan, options: &mut Options| {
        options.jobs = 8;
        // Two machines with 256 MiB and what QEMU takes.
        options.memory = Some(2 * (256 + 150));
    };
    let ran = run_with(&scripts, adjust, cancel).await;
    assert_eq!(ran.ledger.most.load(Ordering::SeqCst), 2);
    assert_eq!((ran.report.summary.pass, ran.report.summary.error), (10, 2));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_run_drops_its_guests() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let machine = Scripted {
        template: None,
        scripts: BTreeMap::from([("k".into(), Script::Silent)]),
        ledger: Arc::clone(&ledger),
    };
    let (_keep, cancel) = watch::channel(false);
    let plan = plan(dir.path(), &["k"]);
    let options = options(dir.path());
    let run: std::pin::Pin<Box<dyn Future<Output = _>>> =
        Box::pin(run::run(plan, machine, options, cancel, |_| {}));
    assert!(
        tokio::time::timeout(Duration::from_secs(20), run)
            .await
            .is_err()
    );
    tokio::task::yield_now().await;
    assert_eq!(ledger.boots.load(Ordering::SeqCst), 1);
    assert_eq!(ledger.up.load(Ordering::SeqCst), 0);
}

/// Found by the fuzz target `frames`: the parser's error quotes what was sent.
#[tokio::test]
async fn an_error_of_the_channel_holds_nothing_that_acts() {
    let text = "{\"say\":\"\u{9b}2J\u{202e}\u{7f}\\u001b[2J\\u0007\"}";
    let mut bytes = encode_header(FrameKind::Json, text.len()).to_vec();
    bytes.extend_from_slice(text.as_bytes());
    let stream = tokio::io::join(&bytes[..], tokio::io::sink());
    let error = Channel::new(stream)
        .receive()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("2J"), "{error:?}");
    assert!(
        !error.chars().any(ukci_harness::render::is_active),
        "{error:?}"
    );
}

/// Nothing is booted, and what the compiler printed is the cell's log.
#[tokio::test(start_paused = true)]
async fn what_a_compiler_printed_is_kept_whole() {
    let (_keep, cancel) = watch::channel(false);
    let log = "x.bpf.c:7:12: error: no\n".repeat(100);
    let adjust = |plan: &mut Plan, _: &mut Options| {
        plan.cells[0].cell.llvm = Some("19".into());
        let key = plan.cells[0].cell.object_key().unwrap();
        let refused = PlannedObject::Refused {
            clang: "clang version 19".into(),
            diagnosis: compile::refused("19", Arch::X86_64, &log),
            log: log.clone(),
        };
        plan.objects.insert(key, refused);
    };
    let ran = run_with(&[("k", Script::Costly)], adjust, cancel).await;
    let cell = &ran.report.cells[0];
    assert_eq!((cell.boots, cell.code()), (0, Some(Code::CompileError)));
    let kept = ran.dir.path().join("out").join(&cell.evidence);
    let kept = std::fs::read_to_string(kept.join("compiler.log")).unwrap();
    assert_eq!(kept, log);
}
