//! The host's end of the conversation. It reads and writes messages, in frames that the other side
//! acknowledges, over any byte stream.
//!
//! What arrives was written inside a guest and is untrusted: lengths are checked before memory is
//! allocated. The caller sets time limits.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
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
    /// A frame of the wrong kind at this point.
    #[error("the agent sent {0}, but {1} was expected")]
    Unexpected(&'static str, &'static str),
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
}

impl<S: AsyncRead + AsyncWrite + Unpin> Channel<S> {
    /// A conversation over `stream`, at its beginning.
    pub fn new(stream: S) -> Self {
        Self {
            stream: BufStream::new(stream),
        }
    }

    /// Sends a message and waits until the agent has acknowledged it.
    pub async fn send(&mut self, message: &FromHost) -> Result<(), Error> {
        let text = serde_json::to_vec(message).map_err(|e| Error::Io(e.into()))?;
        self.send_as(FrameKind::Json, &text).await
    }

    /// Sends plain bytes and waits until the agent has acknowledged them.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.send_as(FrameKind::Bytes, bytes).await
    }

    async fn send_as(&mut self, kind: FrameKind, message: &[u8]) -> Result<(), Error> {
        for (header, payload) in frames(kind, message) {
            self.stream.write_all(&header).await?;
            self.stream.write_all(payload).await?;
        }
        self.stream.flush().await?;
        tracing::trace!(?kind, bytes = message.len(), "sent");
        match self.read_header().await? {
            (FrameKind::Ack, 0) => Ok(()),
            (FrameKind::Ack, _) => Err(Error::Unexpected("a long acknowledgement", "an empty one")),
            _ => Err(Error::Unexpected("a message", "an acknowledgement")),
        }
    }

    /// Receives the next message and acknowledges it.
    pub async fn receive(&mut self) -> Result<FromGuest, Error> {
        let mut message = Vec::new();
        loop {
            let (kind, length) = self.read_header().await?;
            match kind {
                FrameKind::Ack => {
                    return Err(Error::Unexpected("an acknowledgement", "a message"));
                }
                FrameKind::Bytes => return Err(Error::Unexpected("plain bytes", "a message")),
                FrameKind::More | FrameKind::Json => {}
            }
            if message.len() + length > MESSAGE_LIMIT {
                return Err(Error::Frame(FrameError::MessageTooLong));
            }
            let start = message.len();
            message.resize(start + length, 0);
            self.stream.read_exact(&mut message[start..]).await?;
            if kind == FrameKind::Json {
                break;
            }
        }
        let parsed = serde_json::from_slice(&message).map_err(|error| Error::Message {
            reason: error.to_string(),
            beginning: printable(&message),
        })?;
        self.stream
            .write_all(&encode_header(FrameKind::Ack, 0))
            .await?;
        self.stream.flush().await?;
        tracing::trace!(bytes = message.len(), "received and acknowledged");
        Ok(parsed)
    }

    async fn read_header(&mut self) -> Result<(FrameKind, usize), Error> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).await?;
        decode_header(header).map_err(Error::Frame)
    }
}

/// The first 60 characters, with what cannot be printed as `.`.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(240)])
        .chars()
        .map(|c| if c.is_control() { '.' } else { c })
        .take(60)
        .collect()
}
