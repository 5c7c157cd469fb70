//! Probes in a child process, so that a crash of libbpf is told apart from one of the kernel.
//!
//! The child is started before there is a request, and waits for one: a saved guest has it already,
//! so that its copies do not spend their time on a fork. What the child says while it probes is
//! passed on. Its reply is kept.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Pid;
use ukci_guest::channel::{Arrived, Channel, Frame};
use ukci_guest::child;
use ukci_guest::contract::Terms;
use ukci_guest::guest_facts::Identity;
use ukci_guest::kmsg;
use ukci_guest::probe::probe;
use ukci_guest::request::{ATTACHES_ALONE, ProbeRequest};
use ukci_schema::evidence::{Evidence, GuestFacts};
use ukci_schema::message::{FrameKind, FromGuest, FromHost, Request};
use ukci_schema::verdict::Stage;

/// Is handed each [`FromGuest::Progress`] as JSON.
pub(crate) type Pass<'a> = dyn FnMut(&[u8]) -> Result<(), String> + 'a;

/// A request as it arrived, with what came after it.
pub(crate) struct Asked<'a> {
    /// The [`FromHost::Request`] as JSON, for the child.
    pub(crate) text: &'a [u8],
    /// The same, read.
    pub(crate) request: &'a Request,
    pub(crate) object: &'a [u8],
    /// The contents of the contract's files, in its order.
    pub(crate) files: &'a [Vec<u8>],
    pub(crate) identity: Identity,
    /// The kernel's log.
    pub(crate) log: Option<File>,
}

/// What the child has to know beside the request and the object: where the contract's files are, what
/// was set before, the programs that it is not to attach, the boot id and the clock.
type Surroundings = (
    Vec<PathBuf>,
    Vec<String>,
    BTreeMap<String, String>,
    Option<String>,
    Option<u64>,
);

/// What a child does, as it said last.
type Doing = (Option<Stage>, String);

/// Why there is no reply.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    /// The program that was being attached when the child ended without a reply, and how it ended.
    pub(crate) attaching: Option<(String, String)>,
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self {
            message,
            attaching: None,
        }
    }
}

/// A child that waits for a request. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Prober {
    child: Pid,
    /// None once the child is to end.
    channel: Option<Channel<UnixStream>>,
}

/// A child that has replied. It has nothing of the object any more. Dropping this ends it, and waits
/// for that, which an emulated guest that is about to be killed need not.
#[derive(Debug)]
pub(crate) struct Parked {
    _prober: Prober,
}

impl Prober {
    /// Starts the child. It will put `facts` into its evidence. It does what `prepare` does before it
    /// waits.
    pub(crate) fn start(facts: &GuestFacts, prepare: fn()) -> Result<Self, String> {
        let (ours, theirs) =
            UnixStream::pair().map_err(|error| format!("make a socket: {error}"))?;
        let forked = child::fork(ours, theirs, |theirs| {
            let mut channel = Channel::new(theirs);
            prepare();
            // Its end is the end of the agent, or of what needs no probe.
            let Ok(job) = Job::receive(&mut channel) else {
                return;
            };
            let reply = job.carry_out(facts.clone(), &mut channel);
            let _ = channel.say(&reply);
            // Ends with the agent, and not in the middle of the agent's last words.
            let _ = channel.take();
        });
        let (child, ours) = forked.map_err(|error| format!("fork: {error}"))?;
        Ok(Self {
            child,
            channel: Some(Channel::new(ours)),
        })
    }

    /// Has the child probe. Returns its [`FromGuest::Reply`] as JSON.
    pub(crate) fn probe(
        mut self,
        asked: &Asked<'_>,
        surroundings: (&[PathBuf], &[String], &BTreeMap<String, String>),
        kernel: &mut kmsg::Recorder,
        pass: &mut Pass<'_>,
    ) -> Result<(Vec<u8>, Parked), Failure> {
        let mut doing = (None, "starting".to_owned());
        let reply = self.talk(asked, surroundings, kernel, pass, &mut doing)?;
        match reply {
            Some(Ok(reply)) => Ok((reply, Parked { _prober: self })),
            Some(Err(message)) => Err(format!("{message} (during {})", in_words(&doing)).into()),
            None => {
                let end = self.end();
                Err(Failure {
                    message: format!("the probe {end} during {}", in_words(&doing)),
                    attaching: attaching(&doing).map(|program| (program.to_owned(), end)),
                })
            }
        }
    }

    /// Hands the request over and hears the child to its reply, or to what it failed at. None if it
    /// ended without either.
    fn talk(
        &mut self,
        asked: &Asked<'_>,
        (files, edits, spared): (&[PathBuf], &[String], &BTreeMap<String, String>),
        kernel: &mut kmsg::Recorder,
        pass: &mut Pass<'_>,
        doing: &mut Doing,
    ) -> Result<Option<Result<Vec<u8>, String>>, String> {
        let Some(channel) = &mut self.channel else {
            return Ok(None);
        };
        let Identity { boot_id, clock } = &asked.identity;
        let surroundings = serde_json::to_vec(&(files, edits, spared, boot_id, clock));
        let surroundings = surroundings.map_err(|error| error.to_string())?;
        let sent = channel
            .write(FrameKind::Json, asked.text)
            .and_then(|()| channel.write(FrameKind::Json, &surroundings))
            .and_then(|()| channel.write(FrameKind::Bytes, asked.object));
        if sent.is_err() {
            return Ok(None);
        }
        loop {
            let Ok(Arrived::Json(text)) = channel.receive() else {
                return Ok(None);
            };
            if text.starts_with(REPLY) {
                return Ok(Some(Ok(text)));
            }
            match serde_json::from_slice(&text) {
                Ok(FromGuest::Progress { stage, doing: what }) => {
                    kernel.begin(stage, &what);
                    *doing = (Some(stage), what);
                    pass(&text)?;
                }
                Ok(FromGuest::Trouble { message, .. }) => return Ok(Some(Err(message))),
                _ => return Ok(None),
            }
        }
    }

    /// Ends the child, and says how it ended.
    fn end(&mut self) -> String {
        self.channel = None;
        child::wait(self.child)
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        if self.channel.is_some() {
            self.end();
        }
    }
}

/// What a child is to do.
struct Job {
    request: Box<Request>,
    surroundings: Surroundings,
    object: Vec<u8>,
}

impl Job {
    fn receive(channel: &mut Channel<UnixStream>) -> io::Result<Self> {
        let mut next = || match channel.take()? {
            Frame::Message(Arrived::Json(bytes) | Arrived::Bytes(bytes)) => Ok(bytes),
            Frame::Acknowledged => Err(io::Error::other("expected a request")),
        };
        let FromHost::Request(request) = serde_json::from_slice(&next()?)? else {
            return Err(io::Error::other("expected a request"));
        };
        Ok(Self {
            request,
            surroundings: serde_json::from_slice(&next()?)?,
            object: next()?,
        })
    }

    /// Probes, and says on `channel` how far it is. The answer is a reply, or what failed.
    fn carry_out(self, mut facts: GuestFacts, channel: &mut Channel<UnixStream>) -> FromGuest {
        let Self {
            request,
            surroundings: (files, edits, spared, boot_id, clock),
            object,
        } = self;
        Identity { boot_id, clock }.tell(&mut facts);
        let terms = Terms::new(&request.contract, files, &request.name);
        let probe_request = ProbeRequest {
            object: &object,
            name: &request.name,
            terms: &terms,
            mode: request.mode,
            isolation: request.isolation_seconds.map(Duration::from_secs),
            spared: &spared,
        };
        let probed = probe(probe_request, facts, |stage, doing| {
            let doing = doing.to_owned();
            let _ = channel.say(&FromGuest::Progress { stage, doing });
        });
        match probed {
            Ok(mut evidence) => {
                evidence.edits.splice(0..0, edits);
                FromGuest::Reply {
                    evidence: Box::new(evidence),
                }
            }
            Err(message) => FromGuest::Trouble {
                message,
                out_of_memory: false,
            },
        }
    }
}

fn in_words((stage, what): &Doing) -> String {
    match stage {
        Some(stage) => format!("{stage} ({what})"),
        None => what.clone(),
    }
}

/// The program that is being attached, if one is.
fn attaching((stage, what): &Doing) -> Option<&str> {
    if *stage == Some(Stage::Attach) {
        return Some(what);
    }
    let [before, after] = ATTACHES_ALONE;
    what.strip_prefix(before)?.strip_suffix(after)
}

/// How a [`FromGuest::Reply`] begins, as a child of this program writes it.
const REPLY: &[u8] = br#"{"say":"reply","#;

/// The evidence in a [`FromGuest::Reply`].
pub(crate) fn evidence_in(reply: &[u8]) -> Result<Box<Evidence>, String> {
    match serde_json::from_slice(reply) {
        Ok(FromGuest::Reply { evidence }) => Ok(evidence),
        Ok(_) => Err("the probe answered without evidence".into()),
        Err(error) => Err(format!("read the evidence of the probe: {error}")),
    }
}
