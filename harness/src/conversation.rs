//! The one conversation with a guest: boot, hello, a request, its answer and the last word.
//!
//! A [`Boot`] and a [`GuestRequest`] go in, and a [`BootResult`] comes out, whatever
//! the guest does.
//! Cells, feature probes and the trial boot for KVM are requests. The conversation runs under a
//! deadline; the guest is owned outside the timed part, so that a timeout still keeps its console
//! and reaps its QEMU. The answer is not judged here.

mod broken;

use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Evidence, GuestFacts};
use ukci_schema::features::KernelFeatures;
use ukci_schema::message::{FromGuest, FromHost, PROTOCOL};
use ukci_schema::report::StageTime;
use ukci_schema::verdict::{Fault, Stage};

use crate::channel::Channel;
use crate::command::Run;
use crate::deadline::{self, Passed, WaitedForCpu};
use crate::machine::interface::{Boot, Ending, Guest, Machine, NoConnection, Usage};
use crate::timeline::Timeline;
use broken::{Broken, alive, bounded, cause, seconds};

/// How long to wait for the cause when the connection broke, on bare hardware.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a guest may take to kill a command whose time is up and to answer, on bare hardware.
const COMMAND_END: Duration = Duration::from_secs(10);

/// How long a copy of a saved guest may take to acknowledge its request, on bare hardware. It takes
/// a few milliseconds.
const RESUME: Duration = Duration::from_secs(4);

/// What the host asks of a guest.
#[derive(Debug)]
pub(crate) enum GuestRequest<'a> {
    /// The guest only says hello.
    Hello,
    /// The guest waits for what its copies will be asked.
    Settle,
    /// The guest lists the eBPF features of its kernel.
    Features,
    /// The guest probes an artifact: the message, and the bytes that follow it.
    Artifact(FromHost, Vec<&'a [u8]>),
    /// The guest runs a command.
    Command(Box<Run>),
}

/// The answer of a guest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Features(Box<KernelFeatures>),
    Evidence(Box<Evidence>),
}

/// What an agent says of itself and its kernel.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) libbpf: String,
    pub(crate) facts: Box<GuestFacts>,
}

/// The result of one boot. If there is no fault, the request was answered, unless it was only a hello.
#[derive(Debug, Default)]
pub(crate) struct BootResult {
    /// The last stage that was reached; `None` if no guest ran.
    pub(crate) stage: Option<Stage>,
    pub(crate) hello: Option<Hello>,
    pub(crate) answer: Option<Answer>,
    pub(crate) fault: Option<Fault>,
    /// The agent sent something, even if the host did not understand it.
    pub(crate) spoke: bool,
    /// The guest powered itself off before it said hello.
    pub(crate) powered_off_early: bool,
    /// A copy of a saved guest did not start, or never took the request. This says nothing of the
    /// cell.
    pub(crate) never_resumed: bool,
    /// The first line with which the kernel reported a stall.
    pub(crate) stall: Option<String>,
    /// What each stage took, in order.
    pub(crate) stages: Vec<StageTime>,
    pub(crate) usage: Usage,
}

impl From<Fault> for BootResult {
    fn from(fault: Fault) -> Self {
        Self {
            fault: Some(fault),
            ..Self::default()
        }
    }
}

/// Boots a guest, sends it the request, and shuts it down. `limit` covers everything but the shutdown; `reached`
/// is called at each stage.
pub(crate) async fn hold<M: Machine>(
    machine: &M,
    boot: Boot,
    request: GuestRequest<'_>,
    limit: Duration,
    reached: &impl Fn(Stage),
) -> BootResult {
    let slowness = machine.slowness();
    // A command has its time for itself, after the boot.
    let limit = match &request {
        GuestRequest::Command(run) => limit + run.limit + COMMAND_END * slowness,
        _ => limit,
    };
    let began = Instant::now();
    reached(Stage::Boot);
    let mut conversation = Conversation::new();
    let is_copy = boot.template.is_some();
    let not_started = |fault| BootResult {
        never_resumed: is_copy,
        ..BootResult::from(fault)
    };
    let mut guest = match timeout_at(began + limit, machine.boot(boot)).await {
        Ok(Ok(guest)) => guest,
        Ok(Err(fault)) => return not_started(fault),
        Err(_) => {
            let headline = format!("QEMU did not start within {}", seconds(limit));
            return not_started(Fault::at(Stage::Boot, headline));
        }
    };
    tracing::debug!("QEMU runs");
    conversation.timeline.watch(guest.cpu_time());
    let limits = Limits {
        began,
        limit,
        slowness,
    };
    let talked = talk(&mut conversation, &mut guest, request, limits, reached).await;
    tracing::debug!(done = conversation.done, "the conversation is over");
    let stall = guest.stall();
    let (fault, powered_off_early) = match talked {
        Ok(_) => (None, false),
        Err(Stopped { fault, powered_off }) => {
            let early = conversation.hello.is_none() && powered_off;
            (Some(*fault), early)
        }
    };
    // The agent's last word was acknowledged, so nothing is lost with the guest: its console is
    // written as its kernel prints, and powering off would take it time.
    let usage = guest.stop().await;
    tracing::debug!(
        cpu_seconds = usage.cpu_seconds,
        peak_kib = usage.peak_kib,
        "QEMU ended"
    );
    BootResult {
        stage: Some(conversation.stage),
        hello: conversation.hello,
        // An answer that was not closed by the agent's last word may be of a dying kernel.
        answer: conversation.answer.filter(|_| fault.is_none()),
        never_resumed: is_copy && fault.is_some() && !conversation.taken,
        fault,
        spoke: conversation.spoke,
        powered_off_early,
        stall,
        stages: conversation.stages,
        usage,
    }
}

/// Talks with a guest until it is ready to be saved. Returns it with what its agent said, and with
/// the port that it waits at, which must stay open until it is saved. The fault says why it did not
/// become ready. `rests` is told when the guest has booted.
pub(crate) async fn settle<G: Guest>(
    mut guest: G,
    limit: Duration,
    slowness: u32,
    rests: &(dyn Fn() + Sync),
) -> Result<(G, FromGuest, Channel<G::Stream>), Fault> {
    let limits = Limits {
        began: Instant::now(),
        limit,
        slowness,
    };
    let mut conversation = Conversation::new();
    let request = GuestRequest::Settle;
    let reached = |stage| {
        if stage == Stage::Connect {
            rests();
        }
    };
    let talked = talk(&mut conversation, &mut guest, request, limits, &reached).await;
    match (talked, conversation.first) {
        (Ok(Some(channel)), Some(hello)) => Ok((guest, hello, channel)),
        (Err(stopped), _) => {
            guest.stop().await;
            Err(*stopped.fault)
        }
        (Ok(_), _) => Err(Fault::at(Stage::Connect, "the agent said no hello")),
    }
}

/// How long a guest may take.
#[derive(Clone, Copy)]
struct Limits {
    began: Instant,
    limit: Duration,
    slowness: u32,
}

/// Why there was no answer.
struct Stopped {
    fault: Box<Fault>,
    powered_off: bool,
}

/// The conversation within its limits.
async fn talk<G: Guest>(
    conversation: &mut Conversation,
    guest: &mut G,
    request: GuestRequest<'_>,
    limits: Limits,
    reached: &impl Fn(Stage),
) -> Result<Option<Channel<G::Stream>>, Stopped> {
    let Limits {
        began,
        limit,
        slowness,
    } = limits;
    let waited_for_cpu = guest.waited_for_cpu();
    let spoken = conversation.speak(guest, request, (&waited_for_cpu, slowness), reached);
    let outcome = deadline::within(began, limit, &waited_for_cpu, spoken).await;
    conversation.stages = conversation.timeline.end();
    let (fault, powered_off) = match outcome {
        Ok(Ok(channel)) => return Ok(Some(channel)),
        // The agent's answer is whole. How the guest ended after it says nothing of the artifact.
        Ok(Err(_)) if conversation.done => return Ok(None),
        Ok(Err(broken)) => {
            let broken = cause(broken, guest, LAST_WORDS * slowness).await;
            let fault = conversation.broke(&broken, guest.console_tail());
            (fault, broken.is_power_off())
        }
        Err(passed) => {
            if let Some(line) = guest.panic() {
                // Its kernel hangs in its last words.
                let broken = Broken::Ended(Ending::Panicked(line));
                let fault = conversation.broke(&broken, guest.console_tail());
                let fault = Box::new(fault);
                return Err(Stopped {
                    fault,
                    powered_off: false,
                });
            }
            let stall = guest.stall();
            let fault = conversation.was_late(passed, stall.as_deref(), guest.console_tail());
            (fault, false)
        }
    };
    Err(Stopped {
        fault: Box::new(fault),
        powered_off,
    })
}

/// How far a conversation came.
struct Conversation {
    stage: Stage,
    waiting_for: String,
    spoke: bool,
    /// The agent's hello as it came.
    first: Option<FromGuest>,
    hello: Option<Hello>,
    /// The agent has the request.
    taken: bool,
    answer: Option<Answer>,
    done: bool,
    timeline: Timeline,
    stages: Vec<StageTime>,
}

impl Conversation {
    /// One whose guest begins to boot now.
    fn new() -> Self {
        Self {
            stage: Stage::Boot,
            waiting_for: "hello from the guest".into(),
            spoke: false,
            first: None,
            hello: None,
            taken: false,
            answer: None,
            done: false,
            timeline: Timeline::new(),
            stages: Vec::new(),
        }
    }

    /// Begins a stage.
    fn begin(&mut self, stage: Stage, reached: &impl Fn(Stage)) {
        self.stage = stage;
        self.timeline.begin(stage);
        reached(stage);
    }

    /// From the agent's dial to its last word.
    async fn speak<G: Guest>(
        &mut self,
        guest: &mut G,
        request: GuestRequest<'_>,
        (waited_for_cpu, slowness): (&WaitedForCpu, u32),
        reached: &impl Fn(Stage),
    ) -> Result<Channel<G::Stream>, Broken> {
        let resumed = guest.resumed().cloned();
        let is_copy = resumed.is_some();
        let stream = guest.connect().await.map_err(|none| match none {
            NoConnection::Ended(ending) => Broken::Ended(ending),
            NoConnection::Failed(why) => Broken::Host(why),
        })?;
        tracing::debug!("the agent connected");
        let mut channel = Channel::new(stream);
        let first = match resumed {
            Some(said) => Ok(said),
            None => alive(guest, channel.receive()).await,
        };
        self.spoke = !first.as_ref().is_err_and(Broken::is_silence);
        let first = self.first.insert(first?);
        self.hello = Some(hello(first)?);
        self.begin(Stage::Connect, reached);

        let (request, files, run) = match request {
            GuestRequest::Hello => return Ok(channel),
            GuestRequest::Settle => {
                self.waiting_for = "acknowledgement that it is to be saved".into();
                alive(guest, channel.send(&FromHost::Settle)).await?;
                return Ok(channel);
            }
            GuestRequest::Features => (FromHost::Features, Vec::new(), None),
            GuestRequest::Artifact(request, files) => (request, files, None),
            GuestRequest::Command(run) => (run.request.clone(), Vec::new(), Some(run)),
        };
        self.waiting_for = "acknowledgement of the request".into();
        let sent = alive(guest, channel.send(&request));
        if is_copy {
            let limit = RESUME * slowness;
            let sent = timeout(limit, sent).await;
            sent.map_err(|_| Broken::Deaf(limit))??;
        } else {
            sent.await?;
        }
        self.taken = true;
        for file in files {
            alive(guest, channel.send_bytes(file)).await?;
        }
        tracing::debug!("the request was acknowledged");
        if let Some(run) = run {
            self.begin(Stage::Behave, reached);
            self.waiting_for = "end of the command".into();
            let exchange = run.exchange(&mut channel, waited_for_cpu);
            let answer = alive(guest, exchange).await?;
            self.take(answer, &request, reached)?;
        } else {
            self.waiting_for = "answer from the agent".into();
        }
        self.last_word(guest, &mut channel, &request, reached)
            .await?;
        Ok(channel)
    }

    /// Hears the agent to its last word.
    async fn last_word<G: Guest>(
        &mut self,
        guest: &mut G,
        channel: &mut Channel<G::Stream>,
        request: &FromHost,
        reached: &impl Fn(Stage),
    ) -> Result<(), Broken> {
        while !self.done {
            let message = alive(guest, channel.receive()).await?;
            self.take(message, request, reached)?;
        }
        Ok(())
    }

    /// Takes a message that came after the request.
    fn take(
        &mut self,
        message: FromGuest,
        request: &FromHost,
        reached: &impl Fn(Stage),
    ) -> Result<(), Broken> {
        let answer = match (message, request) {
            (FromGuest::Progress { stage, doing }, _) => {
                if stage > self.stage {
                    self.begin(stage, reached);
                }
                self.waiting_for = format!("end of {stage} ({})", bounded(&doing));
                return Ok(());
            }
            (FromGuest::Done, _) if self.answer.is_some() => {
                tracing::debug!("the agent said its last word");
                self.done = true;
                return Ok(());
            }
            (FromGuest::Done, _) => {
                return Err(Broken::Agent("it was done without an answer".into()));
            }
            (trouble @ FromGuest::Trouble { .. }, _) => return Err(Broken::trouble(trouble)),
            (FromGuest::Reply { evidence }, FromHost::Request(_) | FromHost::Command(_)) => {
                Answer::Evidence(evidence)
            }
            (FromGuest::Features { features }, FromHost::Features) => Answer::Features(features),
            (FromGuest::Hello { .. }, _) => {
                return Err(Broken::unexpected("a second hello", "an answer"));
            }
            (FromGuest::Reply { .. }, _) => {
                return Err(Broken::unexpected("evidence", "a list of features"));
            }
            (FromGuest::Features { .. }, _) => {
                return Err(Broken::unexpected("the kernel's features", "evidence"));
            }
            (FromGuest::Ended | FromGuest::File { .. }, _) => {
                return Err(Broken::unexpected("news of a command", "an answer"));
            }
        };
        self.answer = Some(answer);
        self.waiting_for = "last word from the agent".into();
        Ok(())
    }

    /// The fault of a conversation that stopped.
    fn broke(&self, broken: &Broken, console: Vec<String>) -> Fault {
        let stage = match broken {
            // Bytes that make no sense came from a guest that did connect.
            Broken::Channel(_) | Broken::Protocol(_) => self.stage.max(Stage::Connect),
            _ => self.stage,
        };
        broken.fault(stage, &self.waiting_for, console)
    }

    /// The fault of a conversation that took too long.
    fn was_late(&self, passed: Passed, stall: Option<&str>, console: Vec<String>) -> Fault {
        let mut headline = format!("no {} within {}", self.waiting_for, seconds(passed.limit));
        let waited = Duration::from_secs(passed.waited_for_cpu.as_secs());
        let mut hint =
            "give the cell more time with `--timeout`; the console shows how far it came";
        if !waited.is_zero() {
            hint = "run fewer machines at once, or give the cell more time with `--timeout`";
            headline.push_str(&format!(
                ", not counting {} for which this host had no CPU for the guest",
                seconds(waited)
            ));
        }
        if let Some(line) = stall {
            headline = format!("the guest's kernel is stuck: {}; {headline}", bounded(line));
        }
        Fault {
            code: stall.map(|_| Code::KernelSplat),
            console,
            hints: vec![hint.into()],
            // Before hello the transports differ in what can be seen; the stage must not.
            ..Fault::at(self.stage.max(Stage::Connect), headline)
        }
    }
}

/// The first message, which must be a hello in our protocol.
fn hello(message: &FromGuest) -> Result<Hello, Broken> {
    match message {
        FromGuest::Hello {
            protocol: PROTOCOL,
            libbpf,
            facts,
            ..
        } => Ok(Hello {
            libbpf: libbpf.clone(),
            facts: facts.clone(),
        }),
        FromGuest::Hello { protocol, .. } => Err(Broken::Protocol(*protocol)),
        trouble @ FromGuest::Trouble { .. } => Err(Broken::trouble(trouble.clone())),
        _ => Err(Broken::unexpected("a message", "its hello")),
    }
}
