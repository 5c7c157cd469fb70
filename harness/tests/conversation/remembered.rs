//! A cell whose evidence is in the cache is not booted, and its evidence is judged again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::watch;
use ukci_harness::machine::Hardware;
use ukci_harness::run::{self, Options, Remember};
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::Mode;
use ukci_schema::message::FRAME_LIMIT;
use ukci_schema::plan::{FileRef, Plan};
use ukci_schema::report::{CellReport, Report, Start};
use ukci_schema::verdict::VerdictKind;

use crate::fixture::{options, plan};
use crate::scripted::{Ledger, Script, Scripted};

/// A directory, a plan of one cell in it, and options with which evidence is reused.
struct Cell {
    dir: tempfile::TempDir,
    script: Script,
    plan: Plan,
    options: Options,
    hardware: Option<Hardware>,
}

impl Cell {
    fn new(script: Script) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            script,
            plan: plan(dir.path(), &["k"]),
            options: Options {
                remember: Remember::Reuse,
                ..options(dir.path())
            },
            hardware: None,
            dir,
        }
    }

    /// The report, and how many guests were booted for it.
    async fn report(&self) -> (Report, usize) {
        let ledger = Arc::new(Ledger::default());
        (*ledger.hardware.lock().unwrap()).clone_from(&self.hardware);
        let machine = Scripted {
            template: None,
            scripts: [("k".to_owned(), self.script)].into(),
            ledger: Arc::clone(&ledger),
        };
        let (_keep, cancel) = watch::channel(false);
        let (plan, options) = (self.plan.clone(), self.options.clone());
        let report = run::run(plan, machine, options, cancel, |_| {}).await;
        (report.unwrap(), ledger.boots.load(Ordering::SeqCst))
    }

    /// The cell's entry of the report, and how often it was booted.
    async fn run(&self) -> (CellReport, usize) {
        let (mut report, boots) = self.report().await;
        (report.cells.remove(0), boots)
    }

    /// The only entry of the cache.
    fn entry(&self) -> PathBuf {
        let verdicts = self.options.cache.join("verdicts");
        let mut entries = std::fs::read_dir(verdicts).unwrap();
        let entry = entries.next().unwrap().unwrap().path();
        assert!(entries.next().is_none());
        entry
    }

    fn evidence(&self, cell: &CellReport) -> PathBuf {
        self.options.out.join(&cell.evidence)
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test(start_paused = true)]
async fn an_unchanged_cell_is_not_booted_and_says_where_its_evidence_is_from() {
    let mut cell = Cell::new(Script::Costly);
    let (first, boots) = cell.run().await;
    assert_eq!((boots, &first.cached, first.boots), (1, &None, 1));
    let before = std::fs::read(cell.evidence(&first).join("evidence.json")).unwrap();
    let logs = names(&cell.evidence(&first));

    // In another directory, at another time.
    cell.options.out = cell.dir.path().join("other");
    cell.options.info.started = "2026-11-22T00:00:00Z".into();
    let (second, boots) = cell.run().await;
    assert_eq!((boots, second.boots, second.verdict), (0, 0, first.verdict));
    let from = second.cached.clone().unwrap();
    assert_eq!(
        (&*from.started, &*from.ukci),
        ("2026-11-21T00:00:00Z", "0.1.0")
    );
    assert!(!from.host.is_empty());
    assert_eq!(second.evidence_digest, first.evidence_digest);
    assert_eq!((second.cpu_seconds, second.peak_kib), (0.0, 0));
    assert_eq!((first.start, second.start), (Start::Cold, Start::Cached));
    let same = CellReport {
        start: first.start,
        cached: None,
        boots: first.boots,
        seconds: first.seconds,
        cpu_seconds: first.cpu_seconds,
        peak_kib: first.peak_kib,
        stages: first.stages.clone(),
        ..second.clone()
    };
    assert_eq!(same, first, "but for its cost");
    assert_eq!(names(&cell.evidence(&second)), logs);
    let after = std::fs::read(cell.evidence(&second).join("evidence.json")).unwrap();
    assert_eq!(after, before);

    // It counts as finished, as any other.
    cell.options.resume = true;
    cell.options.remember = Remember::Nothing;
    assert_eq!(cell.run().await.1, 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_used_or_kept_unless_it_is_asked_for() {
    let mut cell = Cell::new(Script::Good);
    cell.options.remember = Remember::Nothing;
    assert_eq!(cell.run().await.1, 1);
    assert!(!cell.options.cache.join("verdicts").exists());
    // Booted in any case; then kept in the place of what was there.
    cell.options.remember = Remember::Anew;
    assert_eq!(cell.run().await.1, 1);
    std::fs::write(cell.entry(), "older").unwrap();
    assert_eq!(cell.run().await.1, 1);
    cell.options.remember = Remember::Reuse;
    assert_eq!(cell.run().await.1, 0);
    cell.options.remember = Remember::Nothing;
    assert_eq!(cell.run().await.1, 1);
}

#[tokio::test(start_paused = true)]
async fn evidence_is_judged_on_todays_terms() {
    let mut cell = Cell::new(Script::Costly);
    assert_eq!(cell.run().await.0.verdict, VerdictKind::Pass);
    cell.plan.budget.max_insns = Some(10);
    cell.options.strict = true;
    let (again, boots) = cell.run().await;
    assert_eq!((boots, again.code()), (0, Some(Code::VerifierBudget)));
    assert_eq!(again.verdict, VerdictKind::Fail);
}

/// A change of a cell or of its machine.
type Change = fn(&mut Cell);
/// A file of a plan.
type FileOf = fn(&mut Plan) -> &mut FileRef;

#[tokio::test(start_paused = true)]
async fn a_cell_runs_again_if_anything_changed_that_its_evidence_depends_on() {
    let other = |cell: &Cell, bytes: &[u8]| {
        let path = cell.dir.path().join("other file");
        std::fs::write(&path, bytes).unwrap();
        let sha256 = ukci_harness::catalogue::digest::of(bytes);
        FileRef { path, sha256 }
    };
    let changes: [(&str, Change); 12] = [
        ("mode", |cell| cell.options.mode = Mode::Attach),
        ("memory", |cell| cell.plan.cells[0].memory += 64),
        ("cpus", |cell| cell.plan.cells[0].cpus += 1),
        ("arguments", |cell| {
            cell.plan.cells[0].cmdline.push("lsm=bpf".into());
        }),
        ("kernel's arguments", |cell| {
            for kernel in cell.plan.kernels.values_mut() {
                kernel.cmdline.push("quiet".into());
            }
        }),
        ("sysctls", |cell| {
            for kernel in cell.plan.kernels.values_mut() {
                kernel.sysctl.push("kernel.x=1".into());
            }
        }),
        ("manifest", |cell| {
            cell.plan.cells[0].contract.modules.push("dummy".into());
        }),
        ("accelerator", |cell| {
            cell.hardware.as_mut().unwrap().accel = "kvm".into();
        }),
        ("CPU", |cell| {
            cell.hardware.as_mut().unwrap().cpu = "max".into();
        }),
        ("QEMU", |cell| {
            cell.hardware.as_mut().unwrap().emulator = "QEMU 10".into();
        }),
        ("the host's processor", |cell| {
            cell.hardware.as_mut().unwrap().processor = "EPYC".into();
        }),
        ("the artifact's name", |cell| {
            let artifact = cell.plan.artifacts.get_mut("x").unwrap();
            artifact.artifact.name = "y".into();
        }),
    ];
    for (what, change) in changes {
        let mut cell = Cell::new(Script::Good);
        cell.hardware = Some(Hardware::default());
        assert_eq!(cell.run().await.1, 1);
        change(&mut cell);
        assert_eq!(cell.run().await.1, 1, "{what}");
        assert_eq!(cell.run().await.1, 0, "{what}");
    }
    let files: [(&str, FileOf); 4] = [
        ("image", |plan| {
            &mut plan.kernels.values_mut().next().unwrap().image
        }),
        ("segment", |plan| {
            &mut plan.kernels.values_mut().next().unwrap().segment
        }),
        ("agent", |plan| plan.agents.values_mut().next().unwrap()),
        ("object", |plan| {
            &mut plan.artifacts.get_mut("x").unwrap().file
        }),
    ];
    for (what, file) in files {
        let mut cell = Cell::new(Script::Good);
        assert_eq!(cell.run().await.1, 1);
        *file(&mut cell.plan) = other(&cell, &vec![8; 3 * FRAME_LIMIT]);
        assert_eq!(cell.run().await.1, 1, "{what}");
        assert_eq!(cell.run().await.1, 0, "{what}");
    }
    // The guest of this script hears that the file is another one, and ends.
    let mut cell = Cell::new(Script::Good);
    assert_eq!(cell.run().await.1, 1);
    let victim = other(&cell, b"another");
    let artifact = cell.plan.artifacts.get_mut("x").unwrap();
    artifact.companions.insert("victim".into(), victim);
    assert_eq!(cell.run().await.1, 1, "a file of the manifest");
}

#[tokio::test(start_paused = true)]
async fn what_the_evidence_cannot_depend_on_boots_nothing() {
    let mut cell = Cell::new(Script::Good);
    cell.hardware = Some(Hardware::default());
    assert_eq!(cell.run().await.1, 1);
    cell.hardware.as_mut().unwrap().transport = "virtio-serial".into();
    cell.options.timeout *= 2;
    cell.options.jobs = 1;
    cell.plan.matrix = "other".into();
    cell.plan.cells[0].required = !cell.plan.cells[0].required;
    let (again, boots) = cell.run().await;
    assert_eq!(boots, 0);
    assert_eq!(again.transport, "", "the one that was used");
}

#[tokio::test(start_paused = true)]
async fn what_chance_had_a_part_in_is_not_remembered() {
    for script in [
        Script::PanicAtLoad,
        Script::PanicAtLoadOnce,
        Script::PanicAtBoot,
        Script::UnheardOnce,
        Script::StallsAndGoesOn,
        Script::OutOfMemory,
        Script::NeverDone,
    ] {
        let cell = Cell::new(script);
        cell.run().await;
        let kept = cell.options.cache.join("verdicts");
        assert!(!kept.exists(), "{script:?}");
        assert!(cell.run().await.1 > 0, "{script:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_damaged_entry_is_removed_and_its_cell_runs() {
    let cell = Cell::new(Script::Costly);
    assert_eq!(cell.run().await.1, 1);
    let whole = std::fs::read(cell.entry()).unwrap();
    let mut damaged: Vec<Vec<u8>> = [0, 1, whole.len() / 2, whole.len() - 1]
        .map(|length| whole[..length].to_vec())
        .into();
    // A few bits of the format have no meaning, so that the entry is the same without them.
    let text = zstd::decode_all(&*whole).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 16) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        if !zstd::decode_all(&*bytes).is_ok_and(|same| same == text) {
            damaged.push(bytes);
        }
    }
    assert!(damaged.len() > 12, "{}", damaged.len());
    for (n, bytes) in damaged.into_iter().enumerate() {
        std::fs::write(cell.entry(), bytes).unwrap();
        let (again, boots) = cell.run().await;
        assert_eq!((boots, again.cached), (1, None), "{n}");
        assert_eq!(cell.run().await.1, 0, "made again: {n}");
    }
}

/// As when a cache is copied in pieces, or by someone who wants another verdict.
#[tokio::test(start_paused = true)]
async fn an_entry_under_the_name_of_another_is_removed_and_its_cell_runs() {
    let mut cell = Cell::new(Script::Costly);
    assert_eq!(cell.run().await.1, 1);
    let other = std::fs::read(cell.entry()).unwrap();
    std::fs::remove_file(cell.entry()).unwrap();
    cell.plan.cells[0].memory += 64;
    assert_eq!(cell.run().await.1, 1);
    std::fs::write(cell.entry(), other).unwrap();
    let (again, boots) = cell.run().await;
    assert_eq!((boots, again.cached), (1, None));
    assert_eq!(cell.run().await.1, 0, "made again");
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_cannot_be_written_only_costs_time() {
    let cell = Cell::new(Script::Good);
    std::fs::create_dir_all(&cell.options.cache).unwrap();
    std::fs::write(cell.options.cache.join("verdicts"), "a file").unwrap();
    let (first, boots) = cell.run().await;
    assert_eq!((boots, first.verdict), (1, VerdictKind::Pass));
    assert_eq!(cell.run().await.1, 1);
}
