//! What host and guest say to each other, and how it is framed.
//!
//! The guest connects. It says [`FromGuest::Hello`]; the host answers with [`FromHost::Request`],
//! the artifact's bytes, those of the files that its contract names, and those of the modules that
//! it may need; the guest reports [`FromGuest::Progress`] at each stage, answers with
//! [`FromGuest::Reply`], then [`FromGuest::Done`], and powers off.
//!
//! Every message is acknowledged by its receiver before the sender goes on: on a virtio-serial
//! port bytes written while the peer is away vanish without an error.
//!
//! # Frames
//!
//! A message is one or more frames. A frame is a four-byte header, then at most [`FRAME_LIMIT`]
//! bytes: one byte of [`FrameKind`], and the payload's length as a little-endian 24-bit number.
//! Guest writes of more than ~32 KiB hang in vhost-device-vsock 0.3 on kernels from 6.12 (its
//! virtio-vsock 0.10 accepts one data descriptor per packet), hence the limit.

use serde::{Deserialize, Serialize};

use crate::command::{CommandRequest, WindowSize};
use crate::contract::Contract;
use crate::evidence::{Evidence, GuestFacts, Mode};
use crate::features::KernelFeatures;
use crate::verdict::Stage;

/// Version of the protocol. Host and guest must agree to the number.
pub const PROTOCOL: u32 = 9;

/// The vsock port on which the host listens.
pub const PORT: u32 = 5470;

/// Name of the virtio-serial port, where that is the transport.
pub const SERIAL_PORT: &str = "ukci";

/// Most bytes of payload in one frame, so that header and payload fit 16 KiB.
pub const FRAME_LIMIT: usize = 16 * 1024 - HEADER;

/// Most bytes of one message.
pub const MESSAGE_LIMIT: usize = 64 * 1024 * 1024;

/// Bytes of a frame's header.
pub const HEADER: usize = 4;

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A part of a message; more follow.
    More = 0xb1,
    /// The last part of a JSON message.
    Json = 0xb2,
    /// The last part of a message of plain bytes.
    Bytes = 0xb3,
    /// The last message arrived whole.
    Ack = 0xb4,
    /// What a command wrote to its standard output, whole in one frame.
    Stdout = 0xb5,
    /// What a command wrote to its standard error, whole in one frame.
    Stderr = 0xb6,
}

/// A header that is not one.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The first byte is no [`FrameKind`].
    #[error("not a frame: it begins with byte {0:#04x}")]
    Kind(u8),
    /// The length is over [`FRAME_LIMIT`].
    #[error("a frame of {0} bytes, over the limit of {FRAME_LIMIT}")]
    TooLong(usize),
    /// The message is over [`MESSAGE_LIMIT`].
    #[error("a message of over {MESSAGE_LIMIT} bytes")]
    MessageTooLong,
}

/// Encodes a frame's header.
///
/// # Panics
///
/// If `length` is over [`FRAME_LIMIT`].
pub fn encode_header(kind: FrameKind, length: usize) -> [u8; HEADER] {
    assert!(
        length <= FRAME_LIMIT,
        "a frame holds at most {FRAME_LIMIT} bytes"
    );
    let [a, b, c, ..] = length.to_le_bytes();
    [kind as u8, a, b, c]
}

/// Decodes a frame's header into kind and payload length.
pub fn decode_header(header: [u8; HEADER]) -> Result<(FrameKind, usize), FrameError> {
    let kind = match header[0] {
        0xb1 => FrameKind::More,
        0xb2 => FrameKind::Json,
        0xb3 => FrameKind::Bytes,
        0xb4 => FrameKind::Ack,
        0xb5 => FrameKind::Stdout,
        0xb6 => FrameKind::Stderr,
        other => return Err(FrameError::Kind(other)),
    };
    let length = u32::from_le_bytes([header[1], header[2], header[3], 0]) as usize;
    if length > FRAME_LIMIT {
        return Err(FrameError::TooLong(length));
    }
    Ok((kind, length))
}

/// The frames of a message, each as header and payload.
pub fn frames(last: FrameKind, message: &[u8]) -> impl Iterator<Item = ([u8; HEADER], &[u8])> {
    let count = message.len().div_ceil(FRAME_LIMIT).max(1);
    (0..count).map(move |n| {
        let part = &message[n * FRAME_LIMIT..message.len().min((n + 1) * FRAME_LIMIT)];
        let kind = if n + 1 == count {
            last
        } else {
            FrameKind::More
        };
        (encode_header(kind, part.len()), part)
    })
}

/// Said by the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromGuest {
    /// First: who is there. After it the guest is ready and holds nothing of a cell.
    Hello {
        /// [`PROTOCOL`] of the guest.
        protocol: u32,
        /// Version of the agent.
        agent: String,
        /// Version of its libbpf.
        libbpf: String,
        /// The running kernel.
        facts: Box<GuestFacts>,
    },
    /// A stage begins.
    Progress {
        /// Which.
        stage: Stage,
        /// What is being done, e.g. a program's name.
        doing: String,
    },
    /// All that was observed.
    Reply {
        /// It.
        evidence: Box<Evidence>,
    },
    /// The command has ended, and all of its output was sent. The host sends nothing more after it has
    /// acknowledged this.
    Ended,
    /// A file that a command left for the host. Messages of plain bytes follow until its size is
    /// reached, each of at most [`CHUNK`](crate::command::CHUNK) bytes.
    File {
        /// Its path below the directory for such files, which the guest chose and nobody trusts.
        name: String,
        /// Its length in bytes.
        size: u64,
        /// Whether its owner may execute it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        executable: bool,
    },
    /// All that the kernel was probed to have, where that was requested.
    Features {
        /// It.
        features: Box<KernelFeatures>,
    },
    /// The agent itself failed; nothing was observed of the artifact. It may come at any point, also
    /// while the host still sends what follows a request. It takes the place of whatever was due,
    /// and the host sends nothing more after it has acknowledged this.
    Trouble {
        /// What failed.
        message: String,
        /// The kernel killed the probe because the guest had no memory left: with more of it there
        /// would be an answer.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        out_of_memory: bool,
    },
    /// Last: the guest powers off.
    Done,
}

/// Said by the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FromHost {
    /// What to do. Messages of plain bytes follow: the artifact, each of the contract's files, then
    /// each of the modules.
    Request(Box<Request>),
    /// Probe the kernel itself: the answer is [`FromGuest::Features`], and nothing follows.
    Features,
    /// Nothing yet: the guest is to be saved, and its copies will be sent requests. Once this is
    /// acknowledged, nothing is on its way in either direction.
    Settle,
    /// Run a command. The contents of its files follow as messages of plain bytes, each of at most
    /// [`CHUNK`](crate::command::CHUNK) bytes. While it runs, both sides send without waiting for
    /// their turn: the guest [`FrameKind::Stdout`] and [`FrameKind::Stderr`], the host plain bytes
    /// for its standard input, of which an empty message is the end. Each side has at most one
    /// message of its own that is not acknowledged yet. The answer is [`FromGuest::Reply`], after
    /// a [`FromGuest::File`] for each file that comes back.
    Command(Box<CommandRequest>),
    /// The time of the running command is up: kill it with everything that it started.
    Kill {
        /// The time that it had, in seconds.
        seconds: u64,
    },
    /// Nobody reads the running command's standard output any more: it is closed for the command.
    CloseStdout,
    /// The same of its standard error.
    CloseStderr,
    /// The window of the running command's terminal has another size.
    Resize {
        /// It.
        window: WindowSize,
    },
}

/// What the host asks of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The artifact's name, which libbpf uses for the object.
    pub name: String,
    /// Its length in bytes, which the guest checks.
    pub size: u64,
    /// How far to go.
    pub mode: Mode,
    /// What the artifact's own loader would do to it.
    #[serde(default)]
    pub contract: Contract,
    /// Settings to apply first, `key=value` below `/proc/sys`; each becomes an edit.
    #[serde(default)]
    pub sysctl: Vec<String>,
    /// Seconds since the epoch, for guests whose clock was saved with them.
    pub time: u64,
    /// Fresh entropy, hex: guests restored from one template would draw the same numbers.
    pub entropy: String,
    /// Seconds that the guest may spend on finding the refused parts of an object that was refused as a
    /// whole. After them it answers with what it knows; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation_seconds: Option<u64>,
    /// The kernel modules that the artifact may need: the guest loads those whose names turn out to
    /// be missing in its kernel.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<ModuleFile>,
}

/// A module of the guest's kernel, whose bytes follow the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleFile {
    /// As the kernel has it, with `_` for `-`.
    pub name: String,
    /// Its length in bytes, which the guest checks.
    pub size: u64,
}

#[cfg(test)]
mod tests {
    use super::{FRAME_LIMIT, FrameError, FrameKind, decode_header, encode_header, frames};

    #[test]
    fn a_message_is_cut_into_frames_and_only_the_last_says_what_it_was() {
        let message = vec![7; FRAME_LIMIT * 2 + 1];
        let kinds: Vec<_> = frames(FrameKind::Bytes, &message)
            .map(|(h, _)| decode_header(h).unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                (FrameKind::More, FRAME_LIMIT),
                (FrameKind::More, FRAME_LIMIT),
                (FrameKind::Bytes, 1)
            ]
        );
        assert_eq!(frames(FrameKind::Json, b"").count(), 1);
    }

    #[test]
    fn garbage_and_oversized_headers_are_refused() {
        assert_eq!(decode_header(*b"GET "), Err(FrameError::Kind(b'G')));
        assert_eq!(
            decode_header([0xb2, 0xff, 0xff, 0xff]),
            Err(FrameError::TooLong(0x00ff_ffff))
        );
        assert_eq!(
            decode_header(encode_header(FrameKind::Ack, 0)),
            Ok((FrameKind::Ack, 0))
        );
    }
}
