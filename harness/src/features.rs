//! One boot that asks a kernel what it offers, and the store of the answers.
//!
//! The answer depends on the kernel's files, its arguments, the agent and how the guest is run;
//! it is kept under the digest of those. The conversation is a cell's without the artifact.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout_at;
use ukci_schema::cell::Cell;
use ukci_schema::features::{KernelFeatures, SCHEMA};
use ukci_schema::message::{FromGuest, FromHost, PROTOCOL};
use ukci_schema::plan::{FileRef, PlannedKernel};
use ukci_schema::verdict::Fault;

use crate::catalogue::digest::Hasher;
use crate::channel::{self, Channel};
use crate::machine::{Boot, Ending, Guest, Machine, NoConnection};

/// How long an agent may take to power off after its last word, on bare hardware.
const POWER_OFF: Duration = Duration::from_secs(2);
/// Guest memory in MiB: every map type is made once.
const MEMORY: u32 = 512;

/// A kernel could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the store.
    #[error("use `{path}`: {source}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The machine did not start.
    #[error("boot `{kernel}`: {why}", why = fault.headline)]
    Boot {
        /// Which.
        kernel: String,
        /// Why.
        fault: Box<Fault>,
    },
    /// The guest ended before it had answered.
    #[error("hear from `{kernel}`: {how} while ukci waited for the {awaited}")]
    Ended {
        /// Which.
        kernel: String,
        /// What was awaited.
        awaited: &'static str,
        /// How it ended.
        how: String,
        /// The last lines of its console.
        console: Vec<String>,
    },
    /// The conversation broke.
    #[error("talk to the agent in `{kernel}`: {source}")]
    Channel {
        /// Which.
        kernel: String,
        /// Why.
        source: channel::Error,
    },
    /// The agent could not do its work, or is another version.
    #[error("probe `{kernel}`: {why}")]
    Agent {
        /// Which.
        kernel: String,
        /// Why.
        why: String,
    },
    /// It took too long.
    #[error("hear from `{kernel}`: no {awaited} within {seconds}s")]
    Deadline {
        /// Which.
        kernel: String,
        /// What was awaited.
        awaited: &'static str,
        /// How long.
        seconds: u64,
        /// The last lines of its console.
        console: Vec<String>,
    },
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { .. } => Some("`XDG_CACHE_HOME` says where the store lies".into()),
            Self::Boot { fault, .. } => fault.hints.first().cloned(),
            Self::Ended { console, .. } => {
                Some(format!("its console ends with `{}`", console.last()?))
            }
            Self::Deadline { .. } => Some("give it longer with `--timeout`".into()),
            Self::Agent { .. } => Some("build agent and ukci from one tree: `make agent`".into()),
            Self::Channel { .. } => None,
        }
    }
}

/// Whom to ask, and how.
#[derive(Debug)]
pub struct Question<'a> {
    /// The kernel.
    pub kernel: &'a PlannedKernel,
    /// The agent, of which the initramfs is made.
    pub agent: &'a FileRef,
    /// Agent and kernel segment in one file.
    pub initramfs: PathBuf,
    /// Longest time from boot to answer, on bare hardware.
    pub timeout: Duration,
}

impl Question<'_> {
    /// Where the answer is kept below the cache directory.
    fn path(&self, cache: &Path, hardware: &crate::machine::Hardware) -> PathBuf {
        let kernel = self.kernel;
        let mut key = Hasher::default();
        for field in [
            SCHEMA,
            &kernel.name,
            &kernel.image.sha256,
            &kernel.segment.sha256,
            &self.agent.sha256,
            &hardware.accel,
            &hardware.cpu,
        ] {
            key.field(field.as_bytes());
        }
        for argument in &kernel.cmdline {
            key.field(argument.as_bytes());
        }
        cache
            .join("features")
            .join(format!("{}.json", key.finish()))
    }
}

/// The answer that is kept in the store below `cache`, or else asks the kernel and keeps it.
/// What cannot be read back is asked again.
pub async fn of<M: Machine>(
    machine: &M,
    question: &Question<'_>,
    cache: &Path,
) -> Result<KernelFeatures, Error> {
    let hardware = machine.hardware(question.kernel.arch, &question.kernel.release);
    let path = question.path(cache, &hardware);
    let kept = std::fs::read(&path)
        .ok()
        .and_then(|text| serde_json::from_slice::<KernelFeatures>(&text).ok());
    if let Some(kept) = kept {
        return Ok(kept);
    }
    let dir = cache.join("features");
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    std::fs::create_dir_all(&dir).map_err(failed(&dir))?;
    let evidence = tempfile::Builder::new()
        .prefix(".asked-")
        .tempdir_in(&dir)
        .map_err(failed(&dir))?;
    let answer = ask(machine, question, evidence.path()).await?;
    let file = tempfile::NamedTempFile::new_in(&dir).map_err(failed(&dir))?;
    serde_json::to_writer(&file, &answer).map_err(|error| failed(&path)(error.into()))?;
    file.persist(&path)
        .map_err(|error| failed(&path)(error.error))?;
    Ok(answer)
}

/// Boots the kernel and asks it. `evidence` is an existing directory for the console and QEMU's
/// output.
pub async fn ask<M: Machine>(
    machine: &M,
    question: &Question<'_>,
    evidence: &Path,
) -> Result<KernelFeatures, Error> {
    let kernel = question.kernel;
    let slowness = machine.slowness();
    let limit = question.timeout * slowness;
    let deadline = tokio::time::Instant::now() + limit;
    let boot = Boot {
        cell: Cell {
            artifact: "features".into(),
            kernel: kernel.name.clone(),
            llvm: None,
            arch: kernel.arch,
        },
        release: kernel.release.clone(),
        kernel: kernel.image.path.clone(),
        initramfs: question.initramfs.clone(),
        cmdline: kernel.cmdline.clone(),
        memory: MEMORY,
        cpus: 1,
        evidence: evidence.to_owned(),
    };
    let late = |awaited, console| Error::Deadline {
        kernel: kernel.name.clone(),
        awaited,
        seconds: limit.as_secs(),
        console,
    };
    let booted = timeout_at(deadline, machine.boot(boot)).await;
    let mut guest = booted
        .map_err(|_| late("QEMU", Vec::new()))?
        .map_err(|fault| Error::Boot {
            kernel: kernel.name.clone(),
            fault: Box::new(fault),
        })?;
    let mut awaited = "hello from the guest";
    let told = timeout_at(deadline, converse(&mut guest, &kernel.name, &mut awaited)).await;
    let console = guest.console_tail();
    let (told, grace) = match told {
        Ok(told) => {
            let grace = if told.is_ok() {
                POWER_OFF * slowness
            } else {
                Duration::ZERO
            };
            (told, grace)
        }
        Err(_) => (Err(late(awaited, console)), Duration::ZERO),
    };
    guest.stop(grace).await;
    let mut features = told?;
    features.kernel.clone_from(&kernel.name);
    features.date();
    Ok(features)
}

/// From the agent's dial to its last word.
async fn converse<G: Guest>(
    guest: &mut G,
    kernel: &str,
    awaited: &mut &'static str,
) -> Result<KernelFeatures, Error> {
    let stream = match guest.connect().await {
        Ok(stream) => stream,
        Err(NoConnection::Ended(ending)) => return Err(ended(guest, kernel, awaited, &ending)),
        Err(NoConnection::Failed(why)) => {
            let kernel = kernel.to_owned();
            return Err(Error::Agent { kernel, why });
        }
    };
    let mut channel = Channel::new(stream);
    let agent = |why: String| Error::Agent {
        kernel: kernel.to_owned(),
        why,
    };
    match alive(guest, kernel, awaited, channel.receive()).await? {
        FromGuest::Hello {
            protocol: PROTOCOL, ..
        } => {}
        FromGuest::Hello { protocol, .. } => {
            return Err(agent(format!(
                "the agent speaks protocol {protocol}, this ukci {PROTOCOL}"
            )));
        }
        FromGuest::Trouble { message } => return Err(agent(bounded(&message))),
        _ => return Err(agent("the agent did not say hello".into())),
    }
    *awaited = "acknowledgement of the question";
    alive(guest, kernel, awaited, channel.send(&FromHost::Features)).await?;
    *awaited = "answer from the agent";
    let features = match alive(guest, kernel, awaited, channel.receive()).await? {
        FromGuest::Features { features } if features.schema == SCHEMA => *features,
        FromGuest::Trouble { message } => return Err(agent(bounded(&message))),
        _ => return Err(agent("its answer is no list of features".into())),
    };
    *awaited = "last word from the agent";
    match alive(guest, kernel, awaited, channel.receive()).await? {
        FromGuest::Done => Ok(features),
        _ => Err(agent("it went on after its answer".into())),
    }
}

/// Awaits `conversation` for as long as the guest lives.
async fn alive<G: Guest, T>(
    guest: &mut G,
    kernel: &str,
    awaited: &'static str,
    conversation: impl Future<Output = Result<T, channel::Error>>,
) -> Result<T, Error> {
    let ending = tokio::select! {
        biased;
        said = conversation => return said.map_err(|source| Error::Channel {
            kernel: kernel.to_owned(),
            source,
        }),
        ending = guest.ended() => ending,
    };
    Err(ended(guest, kernel, awaited, &ending))
}

fn ended<G: Guest>(guest: &G, kernel: &str, awaited: &'static str, ending: &Ending) -> Error {
    let how = match ending {
        Ending::Panicked(line) => format!("its kernel panicked ({})", bounded(line)),
        Ending::Stalled(line) => format!("its kernel got stuck ({})", bounded(line)),
        Ending::Exited {
            status, complaint, ..
        } => match complaint {
            Some(complaint) => format!("QEMU ended ({status}: {})", bounded(complaint)),
            None => format!("QEMU ended ({status})"),
        },
    };
    Error::Ended {
        kernel: kernel.to_owned(),
        awaited,
        how,
        console: guest.console_tail(),
    }
}

/// A guest's words, for a sentence: one line of at most 200 characters.
fn bounded(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect()
}
