//! The harness against scripted guests: everything an agent or a kernel can do wrong, in
//! milliseconds and without QEMU.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use ukci_harness::event::Event;
use ukci_harness::machine::{
    Boot, Ending, Exited, Guest, Hardware, Machine, NoConnection, Usage, WaitedForCpu,
};
use ukci_harness::run::{self, Options};
use ukci_schema::artifact::{Artifact, Form};
use ukci_schema::budget::Budget;
use ukci_schema::cell::{Arch, Cell};
use ukci_schema::contract::Contract;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Evidence, GuestFacts, Mode, ObjectFacts, Step, StepOutcome};
use ukci_schema::evidence::{ProgramEvidence, ProgramLoad, VerifierStats};
use ukci_schema::message::{
    FRAME_LIMIT, FrameKind, FromGuest, FromHost, HEADER, PROTOCOL, decode_header, encode_header,
    frames,
};
use ukci_schema::plan::{FileRef, Plan, PlannedArtifact, PlannedCell, PlannedKernel};
use ukci_schema::report::{Asked, CellReport, Choice, Report, RunInfo};
use ukci_schema::verdict::{Fault, Outcome, Stage, VerdictKind};

/// What a scripted guest does after it dialled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Script {
    /// Answers as an agent should: the object loads.
    Good,
    /// The object loads; the verifier processed 57 instructions of its program.
    Costly,
    /// Needs two machines at once; says so to the test.
    GoodAndSlow,
    /// The kernel panics before anyone dials.
    PanicAtBoot,
    /// The kernel panics while the object is loaded, every time.
    PanicAtLoad,
    /// The kernel panics while the object is loaded, but not the second time.
    PanicAtLoadOnce,
    /// The agent does not reach the host and powers off; but not the second time.
    UnheardOnce,
    /// The same, every time.
    Unheard,
    /// Nobody dials, for ever.
    NeverDials,
    /// It dials and says nothing.
    Silent,
    /// It dials and says no protocol of ours.
    Garbage,
    /// A frame that claims 16 MiB.
    Oversized,
    /// A frame that ends half-way, then the connection closes.
    Short,
    /// Well framed, but no message.
    Nonsense,
    /// Another version.
    OldProtocol,
    /// The agent could not do its work.
    Trouble,
    /// The kernel killed the probe, which had no memory left.
    OutOfMemory,
    /// Evidence, then silence instead of the last word.
    NeverDone,
    /// Done without an answer.
    DoneTooSoon,
    /// QEMU ends at once.
    QemuDies,
    /// The vsock device beside QEMU ends after the hello.
    VsockDies,
    /// The kernel reports a stall while the object is loaded, and goes on.
    StallsAndGoesOn,
    /// The kernel reports a stall while the object is loaded, and does not go on.
    Stalls,

    Starved,
    /// Others have the CPU for ever.
    StarvedForEver,
}

#[derive(Default)]
struct Ledger {
    up: AtomicUsize,
    most: AtomicUsize,
    boots: AtomicUsize,
}

struct Scripted {
    scripts: BTreeMap<String, Script>,
    ledger: Arc<Ledger>,
}

struct ScriptedGuest {
    script: Script,
    stream: Option<DuplexStream>,
    ending: watch::Receiver<Option<Ending>>,
    task: tokio::task::JoinHandle<()>,
    dials: bool,
    ledger: Arc<Ledger>,
    began: tokio::time::Instant,
}

impl Drop for ScriptedGuest {
    fn drop(&mut self) {
        self.task.abort();
        self.ledger.up.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Machine for Scripted {
    type Guest = ScriptedGuest;

    fn hardware(&self, _: Arch, _: &str) -> Hardware {
        Hardware {
            accel: "tcg".into(),
            cpu: "qemu64".into(),
            transport: "vhost-user-vsock".into(),
        }
    }

    fn slowness(&self) -> u32 {
        2
    }

    async fn boot(&self, boot: Boot) -> Result<ScriptedGuest, Fault> {
        assert!(boot.evidence.is_dir());
        let script = self.scripts[&boot.cell.kernel];
        let attempt = self.ledger.boots.fetch_add(1, Ordering::SeqCst);
        let up = self.ledger.up.fetch_add(1, Ordering::SeqCst) + 1;
        self.ledger.most.fetch_max(up, Ordering::SeqCst);
        let (ours, theirs) = tokio::io::duplex(4096);
        let (end, ending) = watch::channel(None);
        let task = tokio::spawn(async move {
            play(script, attempt, theirs, &end).await;
            // A guest that has nothing left to say stays up until it is stopped.
            std::future::pending::<()>().await;
        });
        let unheard = script == Script::UnheardOnce && attempt == 0;
        let dials = !unheard
            && !matches!(
                script,
                Script::PanicAtBoot | Script::NeverDials | Script::Unheard
            );
        Ok(ScriptedGuest {
            script,
            stream: Some(ours),
            ending,
            task,
            dials,
            ledger: Arc::clone(&self.ledger),
            began: tokio::time::Instant::now(),
        })
    }
}

impl Guest for ScriptedGuest {
    type Stream = DuplexStream;

    async fn connect(&mut self) -> Result<DuplexStream, NoConnection> {
        if !self.dials {
            return Err(NoConnection::Ended(self.ended().await));
        }
        Ok(self.stream.take().expect("connect is called once"))
    }

    async fn ended(&mut self) -> Ending {
        let ended = self
            .ending
            .wait_for(Option::is_some)
            .await
            .map(|end| end.clone());
        match ended {
            Ok(Some(ending)) => ending,
            _ => std::future::pending().await,
        }
    }

    fn console_tail(&self) -> Vec<String> {
        let mut tail = vec!["[    0.1] the last words".into()];
        if self.script == Script::Unheard {
            tail.push("[    0.2] ukci-guest: dial the host: Address family not supported".into());
            tail.push("[    0.3] reboot: Power down".into());
        }
        tail
    }

    fn stall(&self) -> Option<String> {
        let stalls = matches!(self.script, Script::Stalls | Script::StallsAndGoesOn);
        stalls.then(|| "rcu: rcu_sched kthread starved for 5252 jiffies!".into())
    }

    fn waited_for_cpu(&self) -> WaitedForCpu {
        let (script, began) = (self.script, self.began);
        Box::new(move || match script {
            Script::Starved => began.elapsed() * 8 / 10,
            Script::StarvedForEver => began.elapsed(),
            _ => Duration::ZERO,
        })
    }

    async fn stop(self, _: Duration) -> Usage {
        Usage {
            cpu_seconds: 1.5,
            peak_kib: 2048,
        }
    }
}

async fn say(stream: &mut DuplexStream, message: &FromGuest) {
    let text = serde_json::to_vec(message).unwrap();
    for (header, payload) in frames(FrameKind::Json, &text) {
        stream.write_all(&header).await.unwrap();
        stream.write_all(payload).await.unwrap();
    }
    let mut ack = [0; HEADER];
    stream.read_exact(&mut ack).await.unwrap();
    assert_eq!(decode_header(ack), Ok((FrameKind::Ack, 0)));
}

async fn hear(stream: &mut DuplexStream) -> (FrameKind, Vec<u8>) {
    let mut message = Vec::new();
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await.unwrap();
        let (kind, length) = decode_header(header).unwrap();
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).await.unwrap();
        if kind != FrameKind::More {
            stream
                .write_all(&encode_header(FrameKind::Ack, 0))
                .await
                .unwrap();
            return (kind, message);
        }
    }
}

fn hello(protocol: u32) -> FromGuest {
    FromGuest::Hello {
        protocol,
        agent: "0.1.0".into(),
        libbpf: "v1.7".into(),
        facts: Box::new(GuestFacts {
            release: "6.1.0-56".into(),
            ..GuestFacts::default()
        }),
    }
}

/// How a process ends, as the real machine says it: see `harness/tests/machine/main.rs`.
fn exited(program: &str, reason: Option<&str>, complaint: Option<&str>) -> Ending {
    Ending::Exited(Exited {
        program: program.into(),
        how: match program {
            "QEMU" => "exited with status 0",
            _ => "was killed by signal 9",
        }
        .into(),
        reason: reason.map(Into::into),
        complaint: complaint.map(Into::into),
    })
}

fn panicked() -> Ending {
    Ending::Panicked("Kernel panic - not syncing: Fatal exception".into())
}

fn costly() -> ProgramEvidence {
    ProgramEvidence {
        name: "handle".into(),
        section: "kprobe/do_unlinkat".into(),
        program_type: "kprobe".into(),
        autoload: true,
        load: ProgramLoad {
            outcome: StepOutcome::Ok,
            verifier: Some(VerifierStats {
                insns: 57,
                ..VerifierStats::default()
            }),
            ..ProgramLoad::default()
        },
        ..ProgramEvidence::default()
    }
}

async fn play(
    script: Script,
    attempt: usize,
    mut stream: DuplexStream,
    end: &watch::Sender<Option<Ending>>,
) {
    match script {
        Script::PanicAtBoot => return drop(end.send(Some(panicked()))),
        Script::UnheardOnce | Script::Unheard if script == Script::Unheard || attempt == 0 => {
            return drop(end.send(Some(exited("QEMU", Some("guest-shutdown"), None))));
        }
        Script::QemuDies => {
            drop(stream);
            let complaint = Some("qemu: could not open disk");
            return drop(end.send(Some(exited("QEMU", Some("guest-reset"), complaint))));
        }
        Script::NeverDials | Script::Silent => return std::future::pending().await,
        Script::Garbage => return stream.write_all(b"login: root\n").await.unwrap(),
        Script::Oversized => return stream.write_all(&[0xb2, 0, 0, 0xff]).await.unwrap(),
        Script::Short => {
            stream
                .write_all(&encode_header(FrameKind::Json, 100))
                .await
                .unwrap();
            return stream.write_all(b"{\"say\":").await.unwrap();
        }
        Script::Nonsense => {
            let text = br#"{"say":"hello","protocol":"one"}"#;
            stream
                .write_all(&encode_header(FrameKind::Json, text.len()))
                .await
                .unwrap();
            return stream.write_all(text).await.unwrap();
        }
        Script::OldProtocol => return say(&mut stream, &hello(PROTOCOL + 1)).await,
        Script::Trouble => {
            let message = "mount proc: Operation not permitted".into();
            return say(
                &mut stream,
                &FromGuest::Trouble {
                    message,
                    out_of_memory: false,
                },
            )
            .await;
        }
        Script::OutOfMemory => {
            let message = "the probe died of signal 9 during attach; the kernel's last warning: \
                           Out of memory: Killed process 91 (init)";
            let trouble = FromGuest::Trouble {
                message: message.into(),
                out_of_memory: true,
            };
            return say(&mut stream, &trouble).await;
        }
        _ => {}
    }
    say(&mut stream, &hello(PROTOCOL)).await;
    let (kind, text) = hear(&mut stream).await;
    assert_eq!(kind, FrameKind::Json);
    let FromHost::Request(request) = serde_json::from_slice(&text).unwrap() else {
        panic!("a cell asks for no features")
    };
    assert_eq!(request.entropy.len(), 64);
    let (kind, object) = hear(&mut stream).await;
    assert_eq!(
        (kind, object.len() as u64),
        (FrameKind::Bytes, request.size)
    );
    assert!(
        object.len() > 2 * FRAME_LIMIT,
        "the object must need several frames"
    );
    assert_eq!(request.contract.files, ["victim"]);
    assert_eq!(hear(&mut stream).await, (FrameKind::Bytes, b"agent".into()));
    let progress = |stage| FromGuest::Progress {
        stage,
        doing: "the object".into(),
    };
    say(&mut stream, &progress(Stage::Open)).await;
    say(&mut stream, &progress(Stage::Load)).await;
    match script {
        Script::VsockDies => {
            drop(stream);
            return drop(end.send(Some(exited("vhost-device-vsock", None, None))));
        }
        Script::Stalls | Script::StarvedForEver => return std::future::pending().await,
        Script::StallsAndGoesOn => tokio::time::sleep(Duration::from_secs(100)).await,
        Script::Starved => tokio::time::sleep(Duration::from_mins(7)).await,
        _ => {}
    }
    if script == Script::PanicAtLoad || (script == Script::PanicAtLoadOnce && attempt == 0) {
        drop(stream);
        return drop(end.send(Some(panicked())));
    }
    if script == Script::GoodAndSlow {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let ok = Step {
        outcome: StepOutcome::Ok,
        ..Step::default()
    };
    let evidence = Evidence {
        schema: ukci_schema::evidence::SCHEMA.into(),
        mode: Mode::Load,
        object: ObjectFacts {
            has_btf: true,
            ..ObjectFacts::default()
        },
        open: ok.clone(),
        load: ok,
        programs: match script {
            Script::Costly => vec![costly()],
            _ => Vec::new(),
        },
        ..Evidence::default()
    };
    if script == Script::DoneTooSoon {
        return say(&mut stream, &FromGuest::Done).await;
    }
    say(
        &mut stream,
        &FromGuest::Reply {
            evidence: Box::new(evidence),
        },
    )
    .await;
    if script == Script::NeverDone {
        return std::future::pending().await;
    }
    say(&mut stream, &FromGuest::Done).await;
}

/// SHA-256 of `agent`, which stands for every file that is no object.
const AGENT: &str = "d4f0bc5a29de06b510f9aa428f1eedba926012b591fef7a518e776a7c9bd1824";

fn plan(dir: &Path, kernels: &[&str]) -> Plan {
    let object = dir.join("x.bpf.o");
    std::fs::write(&object, vec![7; 3 * FRAME_LIMIT]).unwrap();
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
            sha256: "11".repeat(32),
            size: 3 * FRAME_LIMIT as u64,
            form: Form::Object,
            manifest: None,
        },
        companions: BTreeMap::from([("victim".into(), file(&agent, AGENT))]),
        file: file(&object, &"11".repeat(32)),
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
    }
}

fn options(dir: &Path) -> Options {
    Options {
        mode: Mode::Load,
        strict: false,
        jobs: 2,
        timeout: Duration::from_mins(1),
        fail_fast: false,
        resume: false,
        baseline: None,
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
            agents: BTreeMap::new(),
            toolchains: BTreeMap::new(),
            hermetic: true,
            interrupted: false,
            warnings: Vec::new(),
            asked: Asked::default(),
            budget: Budget::default(),
        },
    }
}

struct Ran {
    report: Report,
    events: Vec<Event>,
    ledger: Arc<Ledger>,
    dir: tempfile::TempDir,
}

/// Runs one cell a script, under a paused clock: deadlines pass as soon as nothing else can.
async fn run_with(
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
    };
    let mut options = options(dir.path());
    let mut plan = plan(dir.path(), &names);
    adjust(&mut plan, &mut options);
    let events = Mutex::new(Vec::new());
    let report = run::run(plan, machine, options, cancel, |event| {
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

async fn one(script: Script) -> (CellReport, Ran) {
    let (_keep, cancel) = watch::channel(false);
    let ran = run_with(&[("k", script)], |_, _| {}, cancel).await;
    (ran.report.cells[0].clone(), ran)
}

/// The stage, code and words of a cell that has no verdict.
async fn fault(script: Script) -> String {
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
    insta::assert_snapshot!(fault(Script::Garbage).await, @"connect - the agent's bytes are not a frame: it begins with byte 0x6c");
    insta::assert_snapshot!(fault(Script::Oversized).await, @"connect - the agent's bytes are a frame of 16711680 bytes, over the limit of 16380");
    insta::assert_snapshot!(fault(Script::Short).await, @"connect - the agent closed the connection");
    insta::assert_snapshot!(fault(Script::Nonsense).await, @r#"connect - the agent's message makes no sense: invalid type: string "one", expected u32 (it begins `{"say":"hello","protocol":"one"}`)"#);
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_another_version() {
    insta::assert_snapshot!(fault(Script::OldProtocol).await, @"connect - the agent speaks protocol 5, and this ukci speaks 4");
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

/// A busy host makes a healthy kernel report stalls: they are told, and the deadline decides.
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

#[tokio::test(start_paused = true)]
async fn dropping_a_run_drops_its_guests() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Arc::new(Ledger::default());
    let machine = Scripted {
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
