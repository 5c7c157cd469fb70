//! Talks with QEMU over QMP: asks why a guest ended, and saves and restores guests.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// A line from QEMU, as far as it concerns us.
#[derive(Debug, Deserialize)]
struct Message {
    event: Option<String>,
    data: Option<Data>,
    #[serde(rename = "return")]
    answer: Option<Value>,
    error: Option<Refusal>,
}

#[derive(Debug, Deserialize)]
struct Data {
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Refusal {
    desc: String,
}

/// A QMP connection.
#[derive(Debug)]
pub(super) struct Qmp {
    lines: Lines<BufReader<OwnedReadHalf>>,
    /// Kept open: QEMU takes a half-closed monitor for a closed one.
    write: OwnedWriteHalf,
    said: Said,
    ended: bool,
}

/// What QEMU said of the guest.
#[derive(Debug, Default)]
struct Said {
    /// Why it was shut down.
    reason: Option<String>,
    /// Whether it began to run again.
    resumed: bool,
}

impl Said {
    /// The message of a line, if it is one. What it says of the guest is kept.
    fn hear(&mut self, line: &str) -> Option<Message> {
        let message: Message = serde_json::from_str(line).ok()?;
        match message.event.as_deref() {
            Some("SHUTDOWN") => {
                let data = message.data.as_ref();
                self.reason = data.and_then(|data| data.reason.clone());
            }
            Some("RESUME") => self.resumed = true,
            _ => {}
        }
        Some(message)
    }
}

/// What these lines say of the end of a guest.
#[cfg(feature = "fuzzing")]
pub(crate) fn reason_in(lines: &str) -> Option<String> {
    let mut said = Said::default();
    for line in lines.lines() {
        said.hear(line);
    }
    said.reason
}

impl Qmp {
    /// Waits until QEMU dials, and answers its first command. The greeting comes from a thread of
    /// its own before the devices are made; the answer from the main loop, which runs when they
    /// are and the kernel is loaded.
    pub(super) async fn accept(listener: &UnixListener) -> io::Result<Self> {
        let (stream, _) = listener.accept().await?;
        Self::negotiate(stream).await
    }

    async fn negotiate(stream: UnixStream) -> io::Result<Self> {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        if lines.next_line().await?.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Events flow only after it.
        write
            .write_all(b"{\"execute\":\"qmp_capabilities\"}\n")
            .await?;
        if lines.next_line().await?.is_none() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Self {
            lines,
            write,
            said: Said::default(),
            ended: false,
        })
    }

    /// Has QEMU execute a command. An error is what QEMU says against it, or that it is gone.
    pub(super) async fn execute(&mut self, command: &str, arguments: &Value) -> io::Result<Value> {
        let line = line_of(command, arguments);
        self.write.write_all(&line).await?;
        self.answer(command).await
    }

    /// Hands QEMU a descriptor, which its commands then know by this name.
    pub(super) async fn give(&mut self, name: &str, fd: BorrowedFd<'_>) -> io::Result<()> {
        let line = line_of("getfd", &json!({ "fdname": name }));
        // The descriptor goes with the first byte. The line is short and the socket is empty, so it
        // goes whole.
        let socket = self.write.as_ref();
        let sent = socket.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let fds = [fd];
            control.push(SendAncillaryMessage::ScmRights(&fds));
            let parts = [IoSlice::new(&line)];
            Ok(sendmsg(socket, &parts, &mut control, SendFlags::empty())?)
        });
        if sent.await? != line.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.answer("getfd").await.map(drop)
    }

    /// The answer to `command`, which was sent.
    async fn answer(&mut self, command: &str) -> io::Result<Value> {
        loop {
            let Some(line) = self.next().await else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            match line {
                Message {
                    answer: Some(answer),
                    ..
                } => return Ok(answer),
                Message {
                    error: Some(refusal),
                    ..
                } => {
                    let desc = refusal.desc;
                    return Err(io::Error::other(format!("QEMU refused {command}: {desc}")));
                }
                _ => {}
            }
        }
    }

    /// Waits until the guest runs, which was restored. An error if QEMU is gone first.
    pub(super) async fn resumed(&mut self) -> io::Result<()> {
        while !self.said.resumed {
            if self.next().await.is_none() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    /// Reads until QEMU closes the connection, which it does as it exits. May be dropped and
    /// called again.
    pub(super) async fn closed(&mut self) {
        while self.next().await.is_some() {}
    }

    /// The next message that can be read; none once the connection is closed. What it says of the
    /// guest is kept.
    async fn next(&mut self) -> Option<Message> {
        while !self.ended {
            match self.lines.next_line().await {
                Ok(Some(line)) => {
                    if let Some(message) = self.said.hear(&line) {
                        return Some(message);
                    }
                }
                Ok(None) | Err(_) => self.ended = true,
            }
        }
        None
    }

    /// The reason of the `SHUTDOWN` event, e.g. `guest-reset`, once there was one.
    pub(super) fn reason(&self) -> Option<&str> {
        self.said.reason.as_deref()
    }
}

/// A command as it is sent.
fn line_of(command: &str, arguments: &Value) -> Vec<u8> {
    let mut line = json!({ "execute": command, "arguments": arguments })
        .to_string()
        .into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    const GREETING: &[u8] = br#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}
{"return": {}}
"#;

    #[tokio::test]
    async fn the_shutdown_reason_survives_the_connection() {
        let (ours, mut qemu) = UnixStream::pair().unwrap();
        // As QEMU 7.2 says it, when a guest with `-no-reboot` panics.
        let said: &[u8] = br#"not JSON
{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}
{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}
"#;
        qemu.write_all(GREETING).await.unwrap();
        qemu.write_all(said).await.unwrap();
        let mut qmp = Qmp::negotiate(ours).await.unwrap();
        assert_eq!(qmp.reason(), None);
        drop(qemu);
        qmp.closed().await;
        assert_eq!(qmp.reason(), Some("guest-reset"));
    }

    #[tokio::test]
    async fn a_greeting_without_an_answer_is_an_error() {
        let (ours, mut qemu) = UnixStream::pair().unwrap();
        qemu.write_all(b"{\"QMP\": {}}\n").await.unwrap();
        drop(qemu);
        assert!(Qmp::negotiate(ours).await.is_err());
    }

    #[tokio::test]
    async fn events_between_a_command_and_its_answer_are_kept() {
        let (ours, mut qemu) = UnixStream::pair().unwrap();
        qemu.write_all(GREETING).await.unwrap();
        let mut qmp = Qmp::negotiate(ours).await.unwrap();
        let said: &[u8] = br#"{"event": "RESUME", "timestamp": {"seconds": 1, "microseconds": 2}}
{"return": {"status": "completed"}}
{"error": {"class": "GenericError", "desc": "no such thing"}}
"#;
        qemu.write_all(said).await.unwrap();
        let (read, _write) = io::pipe().unwrap();
        qmp.give("state", read.as_fd()).await.unwrap();
        qmp.resumed().await.unwrap();
        let error = qmp.execute("migrate", &json!({})).await.unwrap_err();
        assert_eq!(error.to_string(), "QEMU refused migrate: no such thing");
        drop(qemu);
        let error = qmp.execute("migrate", &json!({})).await.unwrap_err();
        assert!(
            matches!(
                error.kind(),
                io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe
            ),
            "{error}"
        );
    }
}
