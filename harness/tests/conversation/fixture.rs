//! A plan of cells on scripted guests, and the run of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use ukci_harness::catalogue::digest;
use ukci_harness::event::Event;
use ukci_harness::run::{self, Copies, Options};
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::budget::Budget;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::contract::Contract;
use ukci_schema::evidence::Mode;
use ukci_schema::message::FRAME_LIMIT;
use ukci_schema::plan::{FileRef, Kept, Plan, PlannedArtifact, PlannedCell, PlannedKernel};
use ukci_schema::report::{Asked, CellReport, Choice, Report, RunInfo};
use ukci_schema::verdict::{Outcome, VerdictKind};

use crate::scripted::{Ledger, Script, Scripted, template};

/// SHA-256 of `agent`, which stands for every file that is no object.
const AGENT: &str = "d4f0bc5a29de06b510f9aa428f1eedba926012b591fef7a518e776a7c9bd1824";

pub(crate) fn plan(dir: &Path, kernels: &[&str]) -> Plan {
    let object = dir.join("x.bpf.o");
    let bytes = vec![7; 3 * FRAME_LIMIT];
    std::fs::write(&object, &bytes).unwrap();
    let digest = digest::of(&bytes);
    let agent = dir.join("agent");
    std::fs::write(&agent, b"agent").unwrap();
    let file = |path: &Path, sha256: &str| FileRef {
        path: path.into(),
        sha256: sha256.into(),
    };
    let artifact = PlannedArtifact {
        artifact: Artifact {
            name: "x".into(),
            path: "x.bpf.o".into(),
            sha256: digest.clone(),
            size: 3 * FRAME_LIMIT as u64,
            form: Form::Object,
            manifest: None,
        },
        kept: Kept::default(),
        companions: BTreeMap::from([("victim".into(), file(&agent, AGENT))]),
        file: file(&object, &digest),
    };
    let kernel = |name: &&str| {
        (
            ukci_schema::cell::kernel_key(name, Arch::X86_64),
            PlannedKernel {
                modules: None,
                name: (*name).into(),
                release: "6.1.0-56-cloud-amd64".into(),
                arch: Arch::X86_64,
                image: file(&agent, AGENT),
                segment: file(&agent, AGENT),
                cmdline: Vec::new(),
                sysctl: Vec::new(),
                no_driver_for: Vec::new(),
                hermetic: true,
                packages: BTreeMap::new(),
            },
        )
    };
    let cell = |name: &&str| PlannedCell {
        contract: Contract {
            files: vec!["victim".into()],
            ..Contract::default()
        },
        ..PlannedCell::new(Cell {
            artifact: "x".into(),
            kernel: (*name).into(),
            llvm: None,
            arch: Arch::X86_64,
            btf: None,
        })
    };
    Plan {
        schema: ukci_schema::plan::SCHEMA.into(),
        matrix: "test".into(),
        artifacts: BTreeMap::from([("x".into(), artifact)]),
        kernels: kernels.iter().map(kernel).collect(),
        objects: BTreeMap::new(),
        agents: BTreeMap::from([(Arch::X86_64, file(&agent, AGENT))]),
        cells: kernels.iter().map(cell).collect(),
        excluded: 0,
        budget: Budget::default(),
        shard: None,
    }
}

pub(crate) fn options(dir: &Path) -> Options {
    Options {
        mode: Mode::Load,
        strict: false,
        jobs: 2,
        memory: None,
        timeout: Duration::from_mins(1),
        fail_fast: false,
        remember: run::Remember::Nothing,
        copies: Copies::WhenShared,
        resume: false,
        baseline: None,
        stdin: None,
        out: dir.join("out"),
        cache: dir.join("cache"),
        info: RunInfo {
            ukci: "0.1.0".into(),
            matrix: "test".into(),
            started: "2026-11-21T00:00:00Z".into(),
            seconds: 0.0,
            jobs: 2,
            qemu: BTreeMap::new(),
            accel: Choice::default(),
            transport: Choice::default(),
            confinement: None,
            agents: BTreeMap::new(),
            toolchains: BTreeMap::new(),
            hermetic: true,
            interrupted: false,
            warnings: Vec::new(),
            asked: Asked::default(),
            budget: Budget::default(),
            shard: None,
        },
    }
}

/// The reader of an output goes away when it reads this.
pub(crate) const CLOSE: &[u8] = b"close";

pub(crate) struct Ran {
    pub(crate) report: Report,
    pub(crate) events: Vec<Event>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) dir: tempfile::TempDir,
}

/// Runs one cell a script, under a paused clock: deadlines pass as soon as nothing else can.
pub(crate) async fn run_with(
    scripts: &[(&str, Script)],
    adjust: impl FnOnce(&mut Plan, &mut Options),
    cancel: watch::Receiver<bool>,
) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let names: Vec<&str> = scripts.iter().map(|(name, _)| *name).collect();
    let ledger = Arc::new(Ledger::default());
    let machine = Scripted {
        scripts: scripts
            .iter()
            .map(|(name, script)| ((*name).into(), *script))
            .collect(),
        ledger: Arc::clone(&ledger),
        template: Some(template(dir.path())),
    };
    let mut options = options(dir.path());
    let mut plan = plan(dir.path(), &names);
    adjust(&mut plan, &mut options);
    let events = Mutex::new(Vec::new());
    let report = run::run(plan, machine, options, cancel, |event| {
        if let Event::Output { chunk, closer, .. } = &event
            && chunk.bytes == CLOSE
        {
            closer.close(chunk.stream);
        }
        events.lock().unwrap().push(event);
    })
    .await
    .unwrap();
    assert_eq!(
        ledger.up.load(Ordering::SeqCst),
        0,
        "a guest outlived the run"
    );
    Ran {
        report,
        events: events.into_inner().unwrap(),
        ledger,
        dir,
    }
}

pub(crate) async fn one(script: Script) -> (CellReport, Ran) {
    let (_keep, cancel) = watch::channel(false);
    let ran = run_with(&[("k", script)], |_, _| {}, cancel).await;
    (ran.report.cells[0].clone(), ran)
}

/// The stage, code and words of a cell that has no verdict.
pub(crate) async fn fault(script: Script) -> String {
    let (cell, _) = one(script).await;
    assert_eq!(
        (cell.verdict, cell.outcome),
        (VerdictKind::Error, Outcome::Error),
        "{cell:?}"
    );
    let fault = cell.fault.unwrap();
    assert_eq!(fault.console, ["[    0.1] the last words"]);
    let code = fault.code.map_or("-", ukci_schema::diagnosis::Code::name);
    format!("{} {} {}", fault.stage, code, fault.headline)
}
