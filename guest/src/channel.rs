//! The guest's end of the conversation.
//!
//! It turns a byte stream into whole messages, and sends messages as frames that the host
//! acknowledges. It never looks into a message, and never accepts one that is longer than the
//! protocol allows.

use std::io::{self, Read, Write};

use ukci_schema::message::{
    FrameKind, FromGuest, FromHost, HEADER, MESSAGE_LIMIT, decode_header, encode_header, frames,
};

/// A connection to the host, or from a probe to its agent.
#[derive(Debug)]
pub struct Channel<S> {
    stream: S,
    /// How many of our messages the peer has not acknowledged yet.
    unacknowledged: u32,
}

/// A message as it arrived.
#[derive(Debug)]
pub enum Arrived {
    /// A JSON message's text.
    Json(Vec<u8>),
    /// Plain bytes.
    Bytes(Vec<u8>),
}

/// A frame, or a whole message, that arrived while both sides may send.
#[derive(Debug)]
pub enum Frame {
    /// The peer has taken what was sent last.
    Acknowledged,
    /// A message, which is not acknowledged yet.
    Message(Arrived),
}

impl<S> Channel<S> {
    /// The stream, to wait for what it brings.
    pub fn stream(&self) -> &S {
        &self.stream
    }
}

impl<S: Read + Write> Channel<S> {
    /// A conversation over `stream`, at its beginning.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            unacknowledged: 0,
        }
    }

    /// Says something and waits until it was acknowledged.
    pub fn say(&mut self, message: &FromGuest) -> io::Result<()> {
        self.send(FrameKind::Json, &serde_json::to_vec(message)?)
    }

    /// Sends a message as it is and waits until it was acknowledged.
    pub fn send(&mut self, kind: FrameKind, message: &[u8]) -> io::Result<()> {
        self.write(kind, message)?;
        self.unacknowledged += 1;
        match self.header()? {
            (FrameKind::Ack, 0) => {
                self.unacknowledged -= 1;
                Ok(())
            }
            other => Err(io::Error::other(format!(
                "expected an acknowledgement, received {other:?}"
            ))),
        }
    }

    /// Says, at any point between two messages of the peer, why nothing more is done, and waits until
    /// it was acknowledged. What the peer still sends until it has read this is dropped.
    pub fn refuse(&mut self, message: &FromGuest) -> io::Result<()> {
        self.write(FrameKind::Json, &serde_json::to_vec(message)?)?;
        self.unacknowledged += 1;
        while self.unacknowledged > 0 {
            // A peer that still sends would wait for room, and never read.
            self.take()?;
        }
        Ok(())
    }

    /// Sends a message as it is. The peer does not acknowledge it.
    pub fn write(&mut self, kind: FrameKind, message: &[u8]) -> io::Result<()> {
        for (header, payload) in frames(kind, message) {
            // One write a frame: a header alone would be a packet of its own.
            let mut frame = Vec::with_capacity(HEADER + payload.len());
            frame.extend_from_slice(&header);
            frame.extend_from_slice(payload);
            self.stream.write_all(&frame)?;
        }
        self.stream.flush()
    }

    /// Sends one frame of plain bytes and does not wait until it was acknowledged.
    pub fn post(&mut self, kind: FrameKind, bytes: &[u8]) -> io::Result<()> {
        let mut frame = Vec::with_capacity(HEADER + bytes.len());
        frame.extend_from_slice(&encode_header(kind, bytes.len()));
        frame.extend_from_slice(bytes);
        self.stream.write_all(&frame)?;
        self.unacknowledged += 1;
        self.stream.flush()
    }

    /// Acknowledges a message.
    pub fn acknowledge(&mut self) -> io::Result<()> {
        self.stream.write_all(&encode_header(FrameKind::Ack, 0))?;
        self.stream.flush()
    }

    /// Waits for the next message and acknowledges it.
    pub fn receive(&mut self) -> io::Result<Arrived> {
        match self.take()? {
            Frame::Message(message) => {
                self.acknowledge()?;
                Ok(message)
            }
            Frame::Acknowledged => Err(io::Error::other(
                "expected a message, received an acknowledgement",
            )),
        }
    }

    /// Waits for the next message or acknowledgement, and acknowledges nothing.
    pub fn take(&mut self) -> io::Result<Frame> {
        let mut message = Vec::new();
        loop {
            let (kind, length) = self.header()?;
            if kind == FrameKind::Ack {
                self.unacknowledged = self.unacknowledged.saturating_sub(1);
                return Ok(Frame::Acknowledged);
            }
            if message.len() + length > MESSAGE_LIMIT {
                return Err(io::Error::other("the message is too long"));
            }
            let start = message.len();
            message.resize(start + length, 0);
            self.stream.read_exact(&mut message[start..])?;
            return Ok(Frame::Message(match kind {
                FrameKind::Json => Arrived::Json(message),
                FrameKind::Bytes => Arrived::Bytes(message),
                FrameKind::More | FrameKind::Ack => continue,
                FrameKind::Stdout | FrameKind::Stderr => {
                    return Err(io::Error::other("only a guest sends a command's output"));
                }
            }));
        }
    }

    /// Waits for the host's next word, and returns its text too. It is not acknowledged yet.
    pub fn hear(&mut self) -> io::Result<(FromHost, Vec<u8>)> {
        match self.take()? {
            Frame::Message(Arrived::Json(text)) => Ok((serde_json::from_slice(&text)?, text)),
            _ => Err(io::Error::other(
                "expected a request, received something else",
            )),
        }
    }

    fn header(&mut self) -> io::Result<(FrameKind, usize)> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header)?;
        decode_header(header).map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use ukci_schema::message::{FRAME_LIMIT, FrameKind, FromGuest};

    use super::{Arrived, Channel, Frame};

    #[test]
    fn long_messages_arrive_whole_and_are_acknowledged() {
        let (one, other) = UnixStream::pair().unwrap();
        let long = vec![5; 10 * FRAME_LIMIT + 3];
        let sent = long.clone();
        let speaker = thread::spawn(move || {
            let mut channel = Channel::new(one);
            channel.send(FrameKind::Bytes, &sent).unwrap();
            channel.say(&FromGuest::Done).unwrap();
        });
        let mut channel = Channel::new(other);
        assert!(matches!(channel.receive().unwrap(), Arrived::Bytes(bytes) if bytes == long));
        assert!(matches!(channel.receive().unwrap(), Arrived::Json(_)));
        speaker.join().unwrap();
        assert!(channel.receive().is_err(), "the peer is gone");
    }

    #[test]
    fn a_refusal_is_heard_by_a_peer_that_is_still_sending() {
        let (one, other) = UnixStream::pair().unwrap();
        let peer = thread::spawn(move || {
            let mut channel = Channel::new(one);
            // More than a socket has room for: it is all sent only if the other side reads.
            let long = vec![5; 4 << 20];
            channel.write(FrameKind::Bytes, &long).unwrap();
            let mut heard = Vec::new();
            while heard.len() < 2 {
                if let Frame::Message(Arrived::Json(text)) = channel.take().unwrap() {
                    channel.acknowledge().unwrap();
                    heard.push(text);
                }
            }
            heard
        });
        let mut channel = Channel::new(other);
        // The acknowledgement of this is none of the refusal.
        channel.post(FrameKind::Json, b"1").unwrap();
        channel.refuse(&FromGuest::Done).unwrap();
        assert_eq!(channel.unacknowledged, 0);
        drop(channel);
        let heard = peer.join().unwrap();
        assert_eq!(heard, [&b"1"[..], br#"{"say":"done"}"#]);
    }

    #[test]
    fn garbage_is_refused() {
        let (mut one, other) = UnixStream::pair().unwrap();
        std::io::Write::write_all(&mut one, b"hello there").unwrap();
        assert!(Channel::new(other).receive().is_err());
    }
}
