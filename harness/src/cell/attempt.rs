//! One boot of a cell, and the conversation in it.
//!
//! The conversation runs under deadlines; the guest is owned outside the timed part, so a timeout
//! still keeps its console and reaps its QEMU.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout_at;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Evidence, GuestFacts};
use ukci_schema::message::{FromGuest, FromHost, PROTOCOL, Request};
use ukci_schema::verdict::{Fault, Stage};

use super::{Inputs, Telling};
use crate::channel::{self, Channel};
use crate::evidence_dir::EvidenceDir;
use crate::machine::{Boot, Ending, Guest, Machine, NoConnection, Usage};

/// How long an agent may take to power off after its last word, on bare hardware.
const POWER_OFF: Duration = Duration::from_secs(2);
/// How long to wait for the cause when the connection broke, on bare hardware.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What one boot gave.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    pub(super) stage: Option<Stage>,
    pub(super) facts: Option<Box<GuestFacts>>,
    pub(super) libbpf: String,
    pub(super) evidence: Option<Box<Evidence>>,
    pub(super) fault: Option<Fault>,
    /// The guest powered itself off before it said hello.
    pub(super) unheard: bool,
    pub(super) usage: Usage,
}

impl Attempt {
    /// Whether the kernel died while it had the artifact.
    pub(super) fn died_with_artifact(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| {
            fault.code == Some(Code::KernelPanic) && fault.stage >= Stage::Open
        })
    }
}

/// Boots the cell once.
pub(super) async fn attempt<M: Machine>(
    machine: &M,
    inputs: &Inputs,
    dir: &EvidenceDir,
    memory: u32,
    tell: &impl Fn(Telling),
) -> Attempt {
    let slowness = machine.slowness();
    let limit = inputs.timeout * slowness;
    let deadline = tokio::time::Instant::now() + limit;
    tell(Telling::Stage(Stage::Boot));
    let boot = Boot {
        cell: inputs.planned.cell.clone(),
        release: inputs.kernel.release.clone(),
        kernel: inputs.kernel.image.path.clone(),
        initramfs: inputs.initramfs.to_path_buf(),
        cmdline: [&*inputs.kernel.cmdline, &inputs.planned.cmdline].concat(),
        memory,
        cpus: inputs.planned.cpus,
        evidence: dir.path().to_owned(),
    };
    let mut guest = match timeout_at(deadline, machine.boot(boot)).await {
        Ok(Ok(guest)) => guest,
        Ok(Err(fault)) => {
            return Attempt {
                fault: Some(fault),
                ..Attempt::default()
            };
        }
        Err(_) => {
            let fault = Fault {
                stage: Stage::Boot,
                code: None,
                headline: format!("QEMU did not start within {}", seconds(limit)),
                console: Vec::new(),
                hints: Vec::new(),
            };
            return Attempt {
                fault: Some(fault),
                ..Attempt::default()
            };
        }
    };

    let mut talk = Talk {
        stage: Stage::Boot,
        waiting_for: "hello from the guest".into(),
        facts: None,
        libbpf: String::new(),
        evidence: None,
        done: false,
    };
    let outcome = timeout_at(deadline, talk.through(&mut guest, inputs, tell)).await;
    let mut unheard = false;
    let fault = match outcome {
        Ok(Ok(())) => None,
        // The agent's answer is whole; how it went down after it is no matter of the artifact's.
        Ok(Err(_)) if talk.done => None,
        Ok(Err(broken)) => {
            let broken = last_words(broken, &mut guest, LAST_WORDS * slowness).await;
            unheard = talk.facts.is_none() && broken.is_power_off();
            Some(fault_of(&broken, &talk, guest.console_tail()))
        }
        Err(_) => {
            Some(Fault {
                // Before hello the transports differ in what can be seen; the stage must not.
                stage: talk.stage.max(Stage::Connect),
                code: None,
                headline: format!("no {} within {}", talk.waiting_for, seconds(limit)),
                console: guest.console_tail(),
                hints: vec![
                    "the console shows how far it came; give it longer with `--timeout`".into(),
                ],
            })
        }
    };
    let grace = if fault.is_none() {
        POWER_OFF * slowness
    } else {
        Duration::ZERO
    };
    let usage = guest.stop(grace).await;
    Attempt {
        stage: Some(talk.stage),
        facts: talk.facts,
        libbpf: talk.libbpf,
        // Evidence that was not closed by the agent's last word may be of a dying kernel.
        evidence: talk.evidence.filter(|_| fault.is_none()),
        fault,
        unheard,
        usage,
    }
}

/// Why a conversation stopped.
#[derive(Debug)]
enum Broken {
    Ended(Ending),
    Channel(channel::Error),
    Host(String),
    Agent(String),
    Protocol(u32),
}

impl Broken {
    /// Whether the guest powered itself off, as the agent does when it cannot go on.
    fn is_power_off(&self) -> bool {
        let Self::Ended(Ending::Exited { reason, .. }) = self else {
            return false;
        };
        reason.as_deref() == Some("guest-shutdown")
    }
}

/// A connection breaks a moment before its cause is seen: waits for the cause.
async fn last_words<G: Guest>(broken: Broken, guest: &mut G, patience: Duration) -> Broken {
    match broken {
        Broken::Channel(channel::Error::Closed | channel::Error::Io(_)) => {
            match tokio::time::timeout(patience, guest.ended()).await {
                Ok(ending) => Broken::Ended(ending),
                Err(_) => broken,
            }
        }
        broken => broken,
    }
}

/// The conversation so far.
struct Talk {
    stage: Stage,
    waiting_for: String,
    facts: Option<Box<GuestFacts>>,
    libbpf: String,
    evidence: Option<Box<Evidence>>,
    done: bool,
}

impl Talk {
    /// From the agent's dial to its last word.
    async fn through<G: Guest>(
        &mut self,
        guest: &mut G,
        inputs: &Inputs,
        tell: &impl Fn(Telling),
    ) -> Result<(), Broken> {
        let stream = guest.connect().await.map_err(|none| match none {
            NoConnection::Ended(ending) => Broken::Ended(ending),
            NoConnection::Failed(why) => Broken::Host(why),
        })?;
        let mut channel = Channel::new(stream);
        match alive(guest, channel.receive()).await? {
            FromGuest::Hello {
                protocol: PROTOCOL,
                libbpf,
                facts,
                ..
            } => {
                self.libbpf = libbpf;
                self.facts = Some(facts);
            }
            FromGuest::Hello { protocol, .. } => return Err(Broken::Protocol(protocol)),
            FromGuest::Trouble { message } => return Err(Broken::Agent(message)),
            _ => {
                return Err(Broken::Channel(channel::Error::Unexpected(
                    "a message",
                    "its hello",
                )));
            }
        }
        self.stage = Stage::Connect;
        tell(Telling::Stage(Stage::Connect));

        self.waiting_for = "acknowledgement of the artifact".into();
        let request = FromHost::Request(Box::new(request(inputs)));
        alive(guest, channel.send(&request)).await?;
        alive(guest, channel.send_bytes(&inputs.object)).await?;
        for file in &inputs.files {
            alive(guest, channel.send_bytes(file)).await?;
        }

        self.waiting_for = "answer from the agent".into();
        loop {
            match alive(guest, channel.receive()).await? {
                FromGuest::Progress { stage, doing } => {
                    if stage > self.stage {
                        self.stage = stage;
                        tell(Telling::Stage(stage));
                    }
                    self.waiting_for = format!("end of {stage} ({})", bounded(&doing));
                }
                FromGuest::Reply { evidence } => {
                    self.waiting_for = "last word from the agent".into();
                    self.evidence = Some(evidence);
                }
                FromGuest::Done if self.evidence.is_some() => {
                    self.done = true;
                    return Ok(());
                }
                FromGuest::Trouble { message } => return Err(Broken::Agent(message)),
                FromGuest::Done => {
                    return Err(Broken::Agent("it was done without an answer".into()));
                }
                FromGuest::Hello { .. } => {
                    return Err(Broken::Channel(channel::Error::Unexpected(
                        "a second hello",
                        "an answer",
                    )));
                }
                FromGuest::Features { .. } => {
                    return Err(Broken::Channel(channel::Error::Unexpected(
                        "the kernel's features",
                        "an answer",
                    )));
                }
            }
        }
    }
}

/// Awaits `conversation` for as long as the guest lives. What has already arrived counts, even if
/// the guest is gone by now.
async fn alive<G: Guest, T>(
    guest: &mut G,
    conversation: impl Future<Output = Result<T, channel::Error>>,
) -> Result<T, Broken> {
    tokio::select! {
        biased;
        said = conversation => said.map_err(Broken::Channel),
        ending = guest.ended() => Err(Broken::Ended(ending)),
    }
}

/// What the agent said on the console before it powered the guest off: without a way to the host
/// it has no other.
fn last_word<'a>(broken: &Broken, console: &'a [String]) -> Option<&'a str> {
    let said = |line: &'a String| line.split_once("ukci-guest: ").map(|(_, said)| said);
    console
        .iter()
        .rev()
        .find_map(said)
        .filter(|_| broken.is_power_off())
}

/// What a kernel without the transport's driver answers: EAFNOSUPPORT, ENODEV, or no port at all.
fn no_driver(why: &str) -> Option<String> {
    let answers = [
        "Address family not supported",
        "No such device",
        "no port in ",
    ];
    let is = answers.iter().any(|answer| why.contains(answer));
    is.then(|| {
        "the kernel has no driver for the way to the host: give a kernel of your own its modules \
         with `--modules DIR`"
            .to_owned()
    })
}

fn fault_of(broken: &Broken, talk: &Talk, console: Vec<String>) -> Fault {
    let last_word = last_word(broken, &console);
    let (code, headline, hints): (_, String, Vec<String>) = match broken {
        Broken::Ended(Ending::Panicked(line)) => (
            Some(Code::KernelPanic),
            format!("the guest's kernel panicked: {}", bounded(line)),
            Vec::new(),
        ),
        Broken::Ended(Ending::Stalled(line)) => (
            Some(Code::KernelSplat),
            format!("the guest's kernel is stuck: {}", bounded(line)),
            vec!["an overloaded host can cause this too: try fewer `--jobs`".into()],
        ),
        Broken::Ended(Ending::Exited {
            reason,
            status,
            complaint,
        }) => {
            if let Some(why) = last_word {
                // It tells more than how QEMU ended.
                let headline = format!("the agent could not go on: {}", bounded(why));
                (None, headline, no_driver(why).into_iter().collect())
            } else {
                let mut headline = format!(
                    "QEMU ended ({status}{}) while ukci waited for the {}",
                    reason
                        .as_ref()
                        .map(|r| format!(", {r}"))
                        .unwrap_or_default(),
                    talk.waiting_for,
                );
                if let Some(complaint) = complaint {
                    headline.push_str(": ");
                    headline.push_str(&bounded(complaint));
                }
                (
                    None,
                    headline,
                    vec!["`command.txt` beside the evidence starts it by hand".into()],
                )
            }
        }
        Broken::Channel(error) => (None, error.to_string(), Vec::new()),
        Broken::Host(why) => (None, why.clone(), Vec::new()),
        Broken::Agent(message) => (
            None,
            format!("the agent could not do its work: {}", bounded(message)),
            Vec::new(),
        ),
        Broken::Protocol(theirs) => (
            None,
            format!("the agent speaks protocol {theirs}, this ukci {PROTOCOL}"),
            vec!["build both from one tree: `make agent`".into()],
        ),
    };
    let stage = match broken {
        // Bytes that make no sense came from a guest that did connect.
        Broken::Channel(_) | Broken::Protocol(_) => talk.stage.max(Stage::Connect),
        _ => talk.stage,
    };
    Fault {
        stage,
        code,
        headline,
        console,
        hints,
    }
}

/// What the agent is asked.
pub(crate) fn request(inputs: &Inputs) -> Request {
    Request {
        name: inputs.artifact.artifact.name.clone(),
        size: inputs.object.len() as u64,
        mode: inputs.mode,
        contract: inputs.planned.contract.clone(),
        sysctl: inputs.kernel.sysctl.clone(),
        time: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs()),
        entropy: entropy(),
    }
}

/// 32 bytes that no other guest was given, hex.
fn entropy() -> String {
    use std::fmt::Write;
    let mut bytes = [0; 32];
    // The first 256 bytes of a seeded pool come whole; without them the guest keeps its own.
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    let mut hex = String::with_capacity(64);
    for byte in &bytes[..got.unwrap_or(0)] {
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// A guest's words, for a sentence: one line of at most 200 characters.
fn bounded(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

fn seconds(limit: Duration) -> String {
    format!("{}s", limit.as_secs_f64())
}
