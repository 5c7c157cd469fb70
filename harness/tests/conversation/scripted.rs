//! A machine whose guests do what a script says, over `tokio::io::duplex`.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use ukci_harness::catalogue::digest;
use ukci_harness::machine::{
    Boot, Ending, Exited, Guest, Hardware, Machine, NoConnection, NoTemplate, Template, Usage,
    WaitedForCpu,
};
use ukci_schema::evidence::{Evidence, GuestFacts, Mode, ObjectFacts, Step, StepOutcome};
use ukci_schema::evidence::{ProgramEvidence, ProgramLoad, VerifierStats};
use ukci_schema::message::{FRAME_LIMIT, FrameKind, FromGuest, FromHost, PROTOCOL, encode_header};
use ukci_schema::plan::PlannedKernel;
use ukci_schema::verdict::{Fault, Stage};

use crate::wire::{hear, say};

/// What a scripted guest does after it dialled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Script {
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
    /// ukci itself panics.
    Bug,
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
    /// There is a saved guest, and its copy answers as an agent should.
    Copy,
    /// The same, but no copy starts.
    CopyFails,
    /// The same, but a copy takes no request.
    DeafCopy,
    /// The kernel of the copy panics while the object is loaded, and that of no other guest.
    CopyPanics,
    Starved,
    /// Others have the CPU for ever.
    StarvedForEver,
    /// Runs a command that copies its input to its output, and leaves a file.
    Copies,
    /// Runs a command that is never done by itself.
    RunsForEver,
    /// Runs a command that restarts the guest.
    Restarts,
    /// Runs a command that ends before it has taken its input.
    EndsBeforeItReads,
    /// Gives up while the host sends the files of a command.
    RefusesFiles,
    /// Runs a command that reads, and for which the guest has too little memory.
    ReadsAndLacksMemory,
    /// Runs a command that writes until its output is closed.
    WritesUntilClosed,
    /// Sends more of a file than it announced.
    FileTooLong,
}

#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) up: AtomicUsize,
    pub(crate) most: AtomicUsize,
    pub(crate) boots: AtomicUsize,
    /// What guests run on, if not on the usual.
    pub(crate) hardware: Mutex<Option<Hardware>>,
    pub(crate) copies: AtomicUsize,
    pub(crate) templates: AtomicUsize,
}

pub(crate) struct Scripted {
    pub(crate) scripts: BTreeMap<String, Script>,
    pub(crate) ledger: Arc<Ledger>,
    /// A saved guest.
    pub(crate) template: Option<Template>,
}

/// A saved guest in `dir`, whose agent has said hello.
pub(crate) fn template(dir: &Path) -> Template {
    let dir = dir.join("template");
    std::fs::create_dir(&dir).unwrap();
    std::fs::write(dir.join("ram"), b"memory").unwrap();
    std::fs::write(dir.join("state"), b"state").unwrap();
    let ram = std::fs::metadata(dir.join("ram")).unwrap();
    let record = serde_json::json!({
        "schema": "ukci.template/2",
        "key": "template",
        "inputs": [],
        "ram_bytes": 6,
        "ram_written": [ram.mtime(), ram.mtime_nsec()],
        "state_sha256": digest::of(b"state"),
        "hello": hello(PROTOCOL),
    });
    std::fs::write(dir.join("template.json"), record.to_string()).unwrap();
    Template::open(&dir).unwrap()
}

pub(crate) struct ScriptedGuest {
    script: Script,
    stream: Option<DuplexStream>,
    ending: watch::Receiver<Option<Ending>>,
    task: tokio::task::JoinHandle<()>,
    dials: bool,
    ledger: Arc<Ledger>,
    began: tokio::time::Instant,
    resumed: Option<FromGuest>,
}

impl Drop for ScriptedGuest {
    fn drop(&mut self) {
        self.task.abort();
        self.ledger.up.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Machine for Scripted {
    type Guest = ScriptedGuest;

    fn hardware(&self, _: &PlannedKernel) -> Hardware {
        let other = self.ledger.hardware.lock().unwrap().clone();
        other.unwrap_or_else(|| Hardware {
            accel: "tcg".into(),
            cpu: "qemu64".into(),
            transport: "vhost-user-vsock".into(),
            ..Hardware::default()
        })
    }

    fn slowness(&self) -> u32 {
        2
    }

    async fn boot(&self, boot: Boot) -> Result<ScriptedGuest, Fault> {
        assert!(boot.evidence.is_dir());
        let script = self.scripts[&boot.cell.kernel];
        assert_ne!(script, Script::Bug, "a bug");
        let copied = boot.template.is_some();
        if copied {
            self.ledger.copies.fetch_add(1, Ordering::SeqCst);
        }
        if copied && script == Script::CopyFails {
            return Err(Fault::at(Stage::Boot, "QEMU refused migrate-incoming: no"));
        }
        let attempt = self.ledger.boots.fetch_add(1, Ordering::SeqCst);
        let up = self.ledger.up.fetch_add(1, Ordering::SeqCst) + 1;
        self.ledger.most.fetch_max(up, Ordering::SeqCst);
        let (ours, theirs) = tokio::io::duplex(4096);
        let (end, ending) = watch::channel(None);
        let task = tokio::spawn(async move {
            play(script, (attempt, copied), theirs, &end).await;
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
            resumed: boot.template.map(|_| hello(PROTOCOL)),
        })
    }

    async fn find_template(&self, boot: &Boot) -> Option<Template> {
        let script = self.scripts[&boot.cell.kernel];
        let saved = [
            Script::Copy,
            Script::CopyFails,
            Script::DeafCopy,
            Script::CopyPanics,
        ];
        self.template.clone().filter(|_| saved.contains(&script))
    }

    async fn make_template(
        &self,
        boot: &Boot,
        _: Duration,
        rests: &(dyn Fn() + Sync),
    ) -> Result<Template, NoTemplate> {
        rests();
        self.ledger.templates.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        match self.scripts[&boot.cell.kernel] {
            Script::Good if self.template.is_some() => Ok(self.template.clone().unwrap()),
            Script::Costly => Err(NoTemplate::NoRoom {
                path: "/cache".into(),
                available: 5,
                needed: 320,
            }),
            _ => Err(NoTemplate::Failed("it panicked".into())),
        }
    }
}

impl Guest for ScriptedGuest {
    type Stream = DuplexStream;

    fn resumed(&self) -> Option<&FromGuest> {
        self.resumed.as_ref()
    }

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
        if self.script == Script::Restarts {
            tail.push("[    9.1] reboot: Restarting system".into());
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

    async fn stop(self) -> Usage {
        Usage {
            cpu_seconds: 1.5,
            peak_kib: 2048,
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
pub(crate) fn exited(program: &str, reason: Option<&str>, complaint: Option<&str>) -> Ending {
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

pub(crate) fn panicked() -> Ending {
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
    (attempt, copied): (usize, bool),
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
    if copied && script == Script::DeafCopy {
        return std::future::pending().await;
    }
    if !copied {
        say(&mut stream, &hello(PROTOCOL)).await;
    }
    let (kind, text) = hear(&mut stream).await;
    assert_eq!(kind, FrameKind::Json);
    let request = match serde_json::from_slice(&text).unwrap() {
        FromHost::Request(request) => request,
        FromHost::Command(request) => {
            return crate::commands::play(script, &request, stream, end).await;
        }
        other => panic!("a cell does not ask for {other:?}"),
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
    if script == Script::PanicAtLoad
        || (script == Script::CopyPanics && copied)
        || (script == Script::PanicAtLoadOnce && attempt == 0)
    {
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
