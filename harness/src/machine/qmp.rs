//! Asks QEMU over QMP why a guest ended.

use std::io;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};

/// A line from QEMU, as far as it concerns us.
#[derive(Debug, Deserialize)]
struct Message {
    event: Option<String>,
    data: Option<Data>,
}

#[derive(Debug, Deserialize)]
struct Data {
    reason: Option<String>,
}

/// A QMP connection.
#[derive(Debug)]
pub(super) struct Qmp {
    lines: Lines<BufReader<OwnedReadHalf>>,
    /// Kept open: QEMU takes a half-closed monitor for a closed one.
    _write: OwnedWriteHalf,
    reason: Option<String>,
    ended: bool,
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
            _write: write,
            reason: None,
            ended: false,
        })
    }

    /// Reads until QEMU closes the connection, which it does as it exits. May be dropped and
    /// called again.
    pub(super) async fn closed(&mut self) {
        while !self.ended {
            match self.lines.next_line().await {
                Ok(Some(line)) => self.line(&line),
                Ok(None) | Err(_) => self.ended = true,
            }
        }
    }

    fn line(&mut self, line: &str) {
        match serde_json::from_str::<Message>(line) {
            Ok(Message {
                event: Some(event),
                data,
            }) if event == "SHUTDOWN" => {
                self.reason = data.and_then(|data| data.reason);
            }
            _ => {}
        }
    }

    /// The reason of the `SHUTDOWN` event, e.g. `guest-reset`, once there was one.
    pub(super) fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_shutdown_reason_survives_the_connection() {
        let (ours, mut qemu) = UnixStream::pair().unwrap();
        // As QEMU 7.2 says it, when a guest with `-no-reboot` panics.
        let said: &[u8] = br#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}, "capabilities": ["oob"]}}
{"return": {}}
not JSON
{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESET", "data": {"guest": true, "reason": "guest-reset"}}
{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}
"#;
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
}
