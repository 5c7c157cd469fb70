//! The part of a conversation in which a command runs: its files go in, output and input pass, and
//! the files that the command left come back.
//!
//! Nothing is judged here. What ends the command's time is told to the guest, which kills it and
//! answers as usual.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use ukci_schema::command::{CHUNK, OUT_FILES, OUT_LIMIT};
use ukci_schema::message::{FrameKind, FromGuest, FromHost};

use super::out_files::{self, OutFiles};
use super::output::{Chunk, Closed, Closer, Pieces, Sender, Stdin, StreamName, Window};
use crate::channel::{Channel, Error, Heard, Listener};
use crate::deadline::WaitedForCpu;

/// A deadline is put off to no more than this many times the limit, however busy the host is.
const FURTHEST: u32 = 4;

/// A command to run in one guest.
#[derive(Debug)]
pub(crate) struct Run {
    /// [`FromHost::Command`].
    pub(crate) request: FromHost,
    /// The modules of the request, in its order.
    pub(crate) modules: Vec<Arc<[u8]>>,
    /// The contents of its files, in the order of the request.
    pub(crate) contents: Vec<Arc<[u8]>>,
    pub(crate) stdin: Stdin,
    /// The place of the cell in the plan, and where its output goes.
    pub(crate) output: (usize, Sender),
    /// Directory of the cell's evidence.
    pub(crate) evidence: PathBuf,
    /// How long the command may run.
    pub(crate) limit: Duration,
}

impl Run {
    /// Speaks from the acknowledgement of the request to the last message before the guest's last
    /// word, which is returned.
    pub(crate) async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        channel: &mut Channel<S>,
        waited_for_cpu: &WaitedForCpu,
    ) -> Result<FromGuest, Error> {
        for module in &self.modules {
            channel.send_bytes(module).await?;
        }
        for content in &self.contents {
            for piece in content.chunks(CHUNK) {
                channel.send_bytes(piece).await?;
            }
        }
        match channel.receive().await? {
            FromGuest::Progress { .. } => {}
            other => return Ok(other),
        }
        let mut files = OutFiles::below(&self.evidence);
        let deadline = Deadline {
            began: Instant::now(),
            limit: self.limit,
            waited_for_cpu,
            before: waited_for_cpu(),
        };
        let (closer, outputs) = Closed::begin();
        let passing = Passing {
            files: &mut files,
            closer,
            closed: outputs,
            window: Window::of(&self.stdin),
            input: Pieces::of(self.stdin),
            output: &self.output,
        };
        let (instead, unacknowledged) = passing.pass(channel, &deadline).await?;
        channel.permit_late(unacknowledged);
        if let Some(instead) = instead {
            return Ok(instead);
        }
        let mut room = OUT_LIMIT;
        for _ in 0..=OUT_FILES {
            match channel.receive().await? {
                FromGuest::File {
                    name,
                    size,
                    executable,
                } if size <= room => {
                    room -= size;
                    keep(channel, &files, &name, (size, executable)).await?;
                }
                other => return Ok(other),
            }
        }
        Err(Error::Unexpected("too many files", "the evidence"))
    }
}

/// Receives a file that the command left.
async fn keep<S: AsyncRead + AsyncWrite + Unpin>(
    channel: &mut Channel<S>,
    files: &OutFiles,
    name: &str,
    (size, executable): (u64, bool),
) -> Result<(), Error> {
    let (path, mut file) = files.create(name, executable).map_err(Error::Io)?;
    let mut left = size;
    while left > 0 {
        let bytes = channel.receive_bytes().await?;
        let length = bytes.len() as u64;
        left = (left.checked_sub(length).filter(|_| length > 0))
            .ok_or(Error::Unexpected("more of a file", "what it announced"))?;
        let written = file.write_all(&bytes);
        written.map_err(|error| Error::Io(out_files::of(&path, &error)))?;
    }
    Ok(())
}

/// When a command's time is up. Time in which the host kept the guest waiting for a CPU does not
/// count.
struct Deadline<'a> {
    began: Instant,
    limit: Duration,
    waited_for_cpu: &'a WaitedForCpu,
    /// What the guest had waited when the command began.
    before: Duration,
}

impl Deadline<'_> {
    async fn pass(&self) {
        loop {
            let waited = (self.waited_for_cpu)().saturating_sub(self.before);
            let due = self.began + self.limit + waited.min(self.limit * (FURTHEST - 1));
            if due <= Instant::now() {
                return;
            }
            sleep_until(due).await;
        }
    }
}

/// Output and input while a command runs.
struct Passing<'a> {
    files: &'a mut OutFiles,
    closer: Closer,
    closed: Closed,
    input: Pieces,
    window: Window,
    output: &'a (usize, Sender),
}

impl Passing<'_> {
    /// Until the guest says that the command has ended. What it says instead is returned, and how many
    /// acknowledgements may still come.
    async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
        mut self,
        channel: &mut Channel<S>,
        deadline: &Deadline<'_>,
    ) -> Result<(Option<FromGuest>, u32), Error> {
        let (listener, mut speaker) = channel.split();
        // What is being read must not be dropped halfway, whatever else happens.
        let (sender, mut heard) = mpsc::channel(1);
        let mut listening = std::pin::pin!(listen(listener, sender));
        let mut over = std::pin::pin!(deadline.pass());
        let (mut killed, mut input_ended) = (false, false);
        let mut unacknowledged = 0_u32;
        loop {
            tokio::select! {
                biased;
                Some(next) = heard.recv() => match next {
                    Heard::Acknowledged if unacknowledged > 0 => unacknowledged -= 1,
                    Heard::Acknowledged => {
                        return Err(Error::Unexpected("an acknowledgement", "a message"));
                    }
                    Heard::Output(kind, bytes) => {
                        let stream = match kind {
                            FrameKind::Stderr => StreamName::Stderr,
                            _ => StreamName::Stdout,
                        };
                        self.took(Chunk { stream, bytes }).await?;
                        speaker.acknowledge().await?;
                    }
                    Heard::Message(message) => {
                        speaker.acknowledge().await?;
                        let instead = match message {
                            FromGuest::Ended => None,
                            other => Some(other),
                        };
                        return Ok((instead, unacknowledged));
                    }
                },
                broken = &mut listening => return Err(broken),
                () = &mut over, if !killed => {
                    let seconds = deadline.began.elapsed().as_secs();
                    speaker.post(&FromHost::Kill { seconds }).await?;
                    unacknowledged += 1;
                    killed = true;
                }
                window = self.window.next() => {
                    speaker.post(&FromHost::Resize { window }).await?;
                    unacknowledged += 1;
                }
                stream = self.closed.next() => {
                    speaker.post(&match stream {
                        StreamName::Stdout => FromHost::CloseStdout,
                        StreamName::Stderr => FromHost::CloseStderr,
                    }).await?;
                    unacknowledged += 1;
                }
                piece = self.input.next(), if unacknowledged == 0 && !input_ended => {
                    let piece = piece.map_err(Error::Stdin)?;
                    input_ended = piece.is_empty();
                    unacknowledged += 1;
                    // The guest may be sending too, and reads only when that was taken.
                    tokio::select! {
                        biased;
                        posted = speaker.post_bytes(&piece) => posted?,
                        broken = &mut listening => return Err(broken),
                    }
                }
            }
        }
    }

    /// Keeps and shows a piece of output.
    async fn took(&mut self, chunk: Chunk) -> Result<(), Error> {
        self.files.log(&chunk).map_err(Error::Io)?;
        let (place, output) = self.output;
        // Nobody watches any more when the run is being stopped.
        let _ = output.send((*place, chunk, self.closer.clone())).await;
        Ok(())
    }
}

/// Reads what the guest sends until that breaks, which is what it returns.
async fn listen<S: AsyncRead + AsyncWrite + Unpin>(
    mut listener: Listener<'_, S>,
    sender: mpsc::Sender<Heard>,
) -> Error {
    loop {
        match listener.next().await {
            Ok(heard) => {
                // After the command's end nothing comes before it is answered.
                let last = matches!(heard, Heard::Message(_));
                if sender.send(heard).await.is_err() || last {
                    std::future::pending::<()>().await;
                }
            }
            Err(error) => return error,
        }
    }
}
