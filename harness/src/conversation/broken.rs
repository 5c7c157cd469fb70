//! Why a conversation stopped before its end, and what that says to people.

use std::time::Duration;

use tokio::time::timeout;
use ukci_schema::diagnosis::Code;
use ukci_schema::message::{FromGuest, PROTOCOL};
use ukci_schema::verdict::{Fault, Stage};

use crate::channel;
use crate::machine::interface::{Ending, Exited, Guest};

/// Why a conversation stopped.
#[derive(Debug)]
pub(super) enum Broken {
    Ended(Ending),
    Channel(channel::Error),
    Host(String),
    Agent(String),
    /// The agent says that the guest had no memory left.
    OutOfMemory(String),
    Protocol(u32),
    /// A copy of a saved guest did not take its request within this time.
    Deaf(Duration),
}

impl Broken {
    /// What the agent failed at.
    pub(super) fn trouble(said: FromGuest) -> Self {
        match said {
            FromGuest::Trouble {
                message,
                out_of_memory: true,
            } => Self::OutOfMemory(message),
            FromGuest::Trouble { message, .. } => Self::Agent(message),
            _ => Self::unexpected("a message", "the agent's trouble"),
        }
    }

    /// Whether the guest powered itself off, as the agent does when it cannot go on.
    pub(super) fn is_power_off(&self) -> bool {
        let Self::Ended(Ending::Exited(Exited { reason, .. })) = self else {
            return false;
        };
        reason.as_deref() == Some("guest-shutdown")
    }

    /// Whether nothing was said: the other end is gone.
    pub(super) fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Ended(_) | Self::Channel(channel::Error::Closed | channel::Error::Io(_))
        )
    }

    pub(super) fn unexpected(what: &'static str, due: &'static str) -> Self {
        Self::Channel(channel::Error::Unexpected(what, due))
    }

    /// What became of the cell, for people. `waiting_for` is what did not come.
    pub(super) fn fault(&self, stage: Stage, waiting_for: &str, console: Vec<String>) -> Fault {
        let mut code = None;
        let mut hint = None;
        let headline = match self {
            Self::Ended(Ending::Panicked(line)) => {
                code = Some(Code::KernelPanic);
                format!("the guest's kernel panicked: {}", bounded(line))
            }
            Self::Ended(Ending::Exited(exited)) => {
                if let Some(why) = last_word(&console).filter(|_| self.is_power_off()) {
                    // It tells more than how QEMU ended.
                    hint = no_driver(why);
                    code = hint.is_some().then_some(Code::UnsupportedTransport);
                    format!("the agent could not go on: {}", bounded(why))
                } else {
                    hint = Some("run `command.txt` beside the evidence to see it by hand".into());
                    let complaint = exited.complaint.as_deref().map(bounded);
                    let complaint = complaint.map_or(String::new(), |said| format!(": {said}"));
                    format!("{exited} while ukci waited for the {waiting_for}{complaint}")
                }
            }
            Self::Channel(error) => error.to_string(),
            Self::Host(why) => why.clone(),
            Self::Deaf(limit) => {
                let limit = seconds(*limit);
                format!("the copy of the saved guest did not take its request within {limit}")
            }
            Self::Agent(message) => {
                format!("the agent could not do its work: {}", bounded(message))
            }
            Self::OutOfMemory(message) => {
                code = Some(Code::GuestResources);
                hint = Some("give the guest more memory: `memory` in the matrix, or `--memory` of `ukci exec` and `ukci runner`".into());
                format!("the guest ran out of memory: {}", bounded(message))
            }
            Self::Protocol(theirs) => {
                hint = Some("build the agent and ukci from one tree with `make agent`".into());
                format!("the agent speaks protocol {theirs}, and this ukci speaks {PROTOCOL}")
            }
        };
        Fault {
            code,
            console,
            hints: hint.into_iter().collect(),
            ..Fault::at(stage, headline)
        }
    }
}

impl From<channel::Error> for Broken {
    fn from(error: channel::Error) -> Self {
        match error {
            channel::Error::Refused {
                message,
                out_of_memory: true,
            } => Self::OutOfMemory(message),
            channel::Error::Refused { message, .. } => Self::Agent(message),
            other => Self::Channel(other),
        }
    }
}

/// A connection breaks a moment before its cause is seen: waits for the cause.
pub(super) async fn cause<G: Guest>(broken: Broken, guest: &mut G, patience: Duration) -> Broken {
    if matches!(broken, Broken::Ended(_)) || !broken.is_silence() {
        return broken;
    }
    match timeout(patience, guest.ended()).await {
        Ok(ending) => Broken::Ended(ending),
        Err(_) => broken,
    }
}

/// Awaits `message` for as long as the guest lives. What has already arrived counts, even if the
/// guest is gone by now.
pub(super) async fn alive<G: Guest, T>(
    guest: &mut G,
    message: impl Future<Output = Result<T, channel::Error>>,
) -> Result<T, Broken> {
    /// How long the rest of what it sent may take: the connection of a guest that is gone has an end.
    const REST: Duration = Duration::from_millis(500);
    let mut message = std::pin::pin!(message);
    let ending = tokio::select! {
        biased;
        said = &mut message => return said.map_err(Broken::from),
        ending = guest.ended() => ending,
    };
    match timeout(REST, message).await {
        Ok(Ok(said)) => Ok(said),
        Ok(Err(refused @ channel::Error::Refused { .. })) => Err(refused.into()),
        _ => Err(Broken::Ended(ending)),
    }
}

/// What the agent said on the console before it powered the guest off: without a way to the host
/// it has no other.
fn last_word(console: &[String]) -> Option<&str> {
    let said = |line: &'_ str| {
        line.find("ukci-guest: ")
            .map(|at| at + "ukci-guest: ".len())
    };
    let mut lines = console.iter().rev();
    lines.find_map(|line| said(line).map(|at| &line[at..]))
}

/// What a kernel without the transport's driver answers: EAFNOSUPPORT, ENODEV, or no port at all.
fn no_driver(why: &str) -> Option<String> {
    let answers = [
        "Address family not supported",
        "No such device",
        "no port in ",
        "no serial line in ",
    ];
    let is = answers.iter().any(|answer| why.contains(answer));
    is.then(|| {
        "the kernel has no driver for this transport: give a user kernel its modules with \
         `--modules DIR`, or let its cells talk over a serial line with `--transport serial`"
            .to_owned()
    })
}

/// A guest's words, for a sentence: one line of at most 200 characters.
pub(super) fn bounded(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}

/// A time limit as people write it: `60s`, `0.5s`.
pub(super) fn seconds(time: Duration) -> String {
    format!("{}s", (time.as_secs_f64() * 100.0).round() / 100.0)
}
