//! The host's end of the conversation. It reads and writes messages, in frames that the other side
//! acknowledges, over any byte stream.
//!
//! What arrives was written inside a guest and is untrusted: lengths are checked before memory is
//! allocated. The caller sets time limits.

use crate::console;
use crate::render::is_active;
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream, ReadHalf, WriteHalf,
};
use ukci_schema::message::{
    FrameError, FrameKind, FromGuest, FromHost, HEADER, MESSAGE_LIMIT, decode_header,
    encode_header, frames,
};

/// The conversation broke.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream ended.
    #[error("the agent closed the connection")]
    Closed,
    /// The stream failed.
    #[error("the connection to the agent broke: {0}")]
    Io(std::io::Error),
    /// The bytes are not a frame.
    #[error("the agent sent invalid data: {0}")]
    Frame(FrameError),
    /// The message does not belong to this protocol.
    #[error("the agent sent an invalid message: {reason} (it begins with `{beginning}`)")]
    Message {
        /// What the parser says.
        reason: String,
        /// The first characters, printable.
        beginning: String,
    },
    /// The agent gave up, and says so in place of an acknowledgement.
    #[error("the agent could not do its work: {message}")]
    Refused {
        /// What it failed at.
        message: String,
        /// The guest had no memory left.
        out_of_memory: bool,
    },
    /// A frame of the wrong kind at this point.
    #[error("the agent sent {0}, but {1} was expected")]
    Unexpected(&'static str, &'static str),
    /// What a command was to read could not be read on this host.
    #[error("failed to read the command's standard input: {0}")]
    Stdin(std::io::Error),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::UnexpectedEof
            | std::io::ErrorKind::BrokenPipe
            | std::io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::Io(error),
        }
    }
}

/// A connection to an agent.
#[derive(Debug)]
pub struct Channel<S> {
    stream: BufStream<S>,
    /// How many acknowledgements of what was posted may still come.
    late: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    /// A conversation over `stream`, at its beginning.
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufStream::new(stream),
            late: 0,
        }
    }

    /// Sends a message and waits until the agent has acknowledged it. An agent that gives up meanwhile
    /// is an error.
    pub async fn send(&mut self, message: &FromHost) -> Result<(), Error> {
        let text = serde_json::to_vec(message).map_err(|e| Error::Io(e.into()))?;
        self.send_as(FrameKind::Json, &text).await
    }

    /// Sends plain bytes and waits until the agent has acknowledged them.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.send_as(FrameKind::Bytes, bytes).await
    }

    async fn send_as(&mut self, kind: FrameKind, message: &[u8]) -> Result<(), Error> {
        post(&mut self.stream, kind, message).await?;
        tracing::trace!(?kind, bytes = message.len(), "sent");
        match next(&mut self.stream).await? {
            Heard::Acknowledged => Ok(()),
            Heard::Message(FromGuest::Trouble {
                message,
                out_of_memory,
            }) => {
                acknowledge(&mut self.stream).await?;
                Err(Error::Refused {
                    message,
                    out_of_memory,
                })
            }
            Heard::Message(_) | Heard::Output(..) => {
                Err(Error::Unexpected("a message", "an acknowledgement"))
            }
        }
    }

    /// Receives the next message and acknowledges it.
    pub async fn receive(&mut self) -> Result<FromGuest, Error> {
        loop {
            match next(&mut self.stream).await? {
                Heard::Message(message) => {
                    acknowledge(&mut self.stream).await?;
                    return Ok(message);
                }
                Heard::Acknowledged if self.late > 0 => self.late -= 1,
                Heard::Acknowledged => {
                    return Err(Error::Unexpected("an acknowledgement", "a message"));
                }
                Heard::Output(..) => return Err(Error::Unexpected("output", "a message")),
            }
        }
    }

    /// Lets so many acknowledgements come between the next messages: what was posted while the other
    /// side ended a command is acknowledged after that, or never.
    pub(crate) fn permit_late(&mut self, acknowledgements: u32) {
        self.late = acknowledgements;
    }

    /// Receives a message of plain bytes and acknowledges it.
    pub(crate) async fn receive_bytes(&mut self) -> Result<Vec<u8>, Error> {
        let (kind, bytes) = whole(&mut self.stream).await?;
        if kind == FrameKind::Json
            && let Ok(FromGuest::Trouble {
                message,
                out_of_memory,
            }) = serde_json::from_slice(&bytes)
        {
            acknowledge(&mut self.stream).await?;
            return Err(Error::Refused {
                message,
                out_of_memory,
            });
        }
        if kind != FrameKind::Bytes {
            return Err(Error::Unexpected("a message", "plain bytes"));
        }
        acknowledge(&mut self.stream).await?;
        Ok(bytes)
    }

    /// Both directions, for as long as both sides may send.
    pub(crate) fn split(&mut self) -> (Listener<'_, S>, Speaker<'_, S>) {
        let (reader, writer) = tokio::io::split(&mut self.stream);
        (Listener { reader }, Speaker { writer })
    }
}

/// What a guest sends while both sides may send.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It has taken what was sent.
    Acknowledged,
    /// A message, which is not acknowledged yet.
    Message(FromGuest),
    /// Output of a command, which is not acknowledged yet.
    Output(FrameKind, Vec<u8>),
}

/// The direction from the guest.
#[derive(Debug)]
pub(crate) struct Listener<'a, S> {
    reader: ReadHalf<&'a mut BufStream<S>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Listener<'_, S> {
    /// The next message or acknowledgement. Nothing is acknowledged.
    pub(crate) async fn next(&mut self) -> Result<Heard, Error> {
        next(&mut self.reader).await
    }
}

/// The direction to the guest.
#[derive(Debug)]
pub(crate) struct Speaker<'a, S> {
    writer: WriteHalf<&'a mut BufStream<S>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Speaker<'_, S> {
    /// Acknowledges a message.
    pub(crate) async fn acknowledge(&mut self) -> Result<(), Error> {
        acknowledge(&mut self.writer).await
    }

    /// Sends a message and does not wait until it was acknowledged.
    pub(crate) async fn post(&mut self, message: &FromHost) -> Result<(), Error> {
        let text = serde_json::to_vec(message).map_err(|e| Error::Io(e.into()))?;
        post(&mut self.writer, FrameKind::Json, &text).await
    }

    /// Sends plain bytes and does not wait until they were acknowledged.
    pub(crate) async fn post_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        post(&mut self.writer, FrameKind::Bytes, bytes).await
    }
}

async fn post(
    stream: &mut (impl AsyncWrite + Unpin),
    kind: FrameKind,
    message: &[u8],
) -> Result<(), Error> {
    for (header, payload) in frames(kind, message) {
        stream.write_all(&header).await?;
        stream.write_all(payload).await?;
    }
    Ok(stream.flush().await?)
}

async fn acknowledge(stream: &mut (impl AsyncWrite + Unpin)) -> Result<(), Error> {
    stream.write_all(&encode_header(FrameKind::Ack, 0)).await?;
    Ok(stream.flush().await?)
}

async fn read_header(stream: &mut (impl AsyncRead + Unpin)) -> Result<(FrameKind, usize), Error> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await?;
    decode_header(header).map_err(Error::Frame)
}

/// The next message, of whatever kind, from all of its frames.
async fn whole(stream: &mut (impl AsyncRead + Unpin)) -> Result<(FrameKind, Vec<u8>), Error> {
    let mut message = Vec::new();
    loop {
        let (kind, length) = read_header(stream).await?;
        if message.len() + length > MESSAGE_LIMIT {
            return Err(Error::Frame(FrameError::MessageTooLong));
        }
        let start = message.len();
        message.resize(start + length, 0);
        stream.read_exact(&mut message[start..]).await?;
        if kind != FrameKind::More {
            return Ok((kind, message));
        }
    }
}

async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Result<Heard, Error> {
    let (kind, message) = whole(stream).await?;
    tracing::trace!(?kind, bytes = message.len(), "received");
    match kind {
        FrameKind::Ack if message.is_empty() => return Ok(Heard::Acknowledged),
        FrameKind::Ack => {
            return Err(Error::Unexpected("a long acknowledgement", "an empty one"));
        }
        FrameKind::Stdout | FrameKind::Stderr => return Ok(Heard::Output(kind, message)),
        FrameKind::Bytes => return Err(Error::Unexpected("plain bytes", "a message")),
        FrameKind::More | FrameKind::Json => {}
    }
    let parsed = serde_json::from_slice(&message).map_err(|error| Error::Message {
        // The parser quotes what was sent.
        reason: console::clean(error.to_string().as_bytes()),
        beginning: printable(&message),
    })?;
    Ok(Heard::Message(parsed))
}

/// The first 60 characters, with what cannot be printed as `.`.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(240)])
        .chars()
        .map(|c| if is_active(c) { '.' } else { c })
        .take(60)
        .collect()
}
