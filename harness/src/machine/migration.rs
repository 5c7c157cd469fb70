//! Saves a guest's devices, and restores them in another QEMU. The guest's memory is a file of its
//! own, which neither reads.
//!
//! The stream goes through a socket pair whose end QEMU is handed over QMP. QEMU could open files by
//! itself, but its sandbox forbids the commands of `exec:`, `file:` is known from 8.2 on only, and
//! `fd:` with a descriptor of a file is deprecated from 9.1 on.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Duration, sleep};

use super::qmp::Qmp;

/// QEMU's name for the descriptor.
const NAME: &str = "state";

/// Most bytes of a state; it has some 200 to 400 kB.
const LONGEST: u64 = 64 << 20;

/// How often QEMU is asked whether it is done, once the stream has ended.
const POLL: Duration = Duration::from_millis(1);

/// Saves the guest, and returns the state of its devices. The guest does not run on: its memory is
/// in its file, as it was.
pub(super) async fn save(qmp: &mut Qmp) -> io::Result<Vec<u8>> {
    memory_stays(qmp).await?;
    let (ours, theirs) = pair()?;
    qmp.give(NAME, theirs.as_fd()).await?;
    // The stream ends when QEMU closes its end, and this was the other.
    drop(theirs);
    let uri = format!("fd:{NAME}");
    qmp.execute("migrate", &json!({ "uri": uri })).await?;
    let mut state = Vec::new();
    ours.take(LONGEST).read_to_end(&mut state).await?;
    loop {
        let answer = qmp.execute("query-migrate", &json!({})).await?;
        match answer["status"].as_str() {
            Some("completed") => return Ok(state),
            Some("failed" | "cancelled") | None => {
                let why = answer["error-desc"]
                    .as_str()
                    .unwrap_or("it does not say why");
                return Err(io::Error::other(format!("QEMU could not save it: {why}")));
            }
            Some(_) => sleep(POLL).await,
        }
    }
}

/// Restores a guest in a QEMU that waits for its state. Returns when it runs.
pub(super) async fn restore(qmp: &mut Qmp, state: &[u8]) -> io::Result<()> {
    memory_stays(qmp).await?;
    let (mut ours, theirs) = pair()?;
    qmp.give(NAME, theirs.as_fd()).await?;
    drop(theirs);
    let uri = format!("fd:{NAME}");
    qmp.execute("migrate-incoming", &json!({ "uri": uri }))
        .await?;
    let sent = async {
        ours.write_all(state).await?;
        // The end of the stream is the end of the state.
        ours.shutdown().await
    };
    // QEMU may be done before it has read the last bytes, and says so over QMP alone.
    let (sent, resumed) = tokio::join!(sent, qmp.resumed());
    resumed.map_err(|gone| sent.err().unwrap_or(gone))
}

/// The commands that have QEMU wait for a state on the socket at `path`, one after the other. A path
/// of ours needs no escapes.
pub(super) fn by_hand(path: &str) -> String {
    let commands = [
        json!({ "execute": "qmp_capabilities" }),
        json!({ "execute": "migrate-set-capabilities", "arguments": memory_in_its_file() }),
        json!({ "execute": "migrate-incoming", "arguments": { "uri": format!("unix:{path}") } }),
    ];
    commands.map(|command| command.to_string()).join("")
}

/// Keeps the memory out of the stream. QEMU 7.2 knows no option for this.
async fn memory_stays(qmp: &mut Qmp) -> io::Result<()> {
    qmp.execute("migrate-set-capabilities", &memory_in_its_file())
        .await
        .map(drop)
}

fn memory_in_its_file() -> Value {
    json!({ "capabilities": [{ "capability": "x-ignore-shared", "state": true }] })
}

fn pair() -> io::Result<(UnixStream, StdStream)> {
    let (ours, theirs) = StdStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, theirs))
}
