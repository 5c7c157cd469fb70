//! The host's end of a serial line: carries a stream over it in the packets of [`SerialLine`].

use std::future;
use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until};
use ukci_schema::serial_line::SerialLine;

/// How much is read at once.
const CHUNK: usize = 4096;

/// An ordinary stream over the line that QEMU has at the other end of `port`. It ends when the line
/// ends, and the line is closed when it is dropped.
pub(super) fn carry(port: UnixStream) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    tokio::spawn(async move {
        if let Err(error) = pump(port, theirs).await {
            tracing::debug!(%error, "a serial line ended");
        }
    });
    Ok(ours)
}

/// Carries until an end is closed.
async fn pump(port: UnixStream, stream: UnixStream) -> io::Result<()> {
    let (mut port_in, mut port_out) = port.into_split();
    let (mut stream_in, mut stream_out) = stream.into_split();
    let (mut heard, mut said) = ([0; CHUNK], [0; CHUNK]);
    let mut line = SerialLine::default();
    let mut spoken = Vec::new();
    loop {
        if spoken.is_empty() {
            spoken = line.speak(Instant::now().into_std());
        }
        let deadline = line.deadline().filter(|_| spoken.is_empty());
        let has_room = line.room() >= CHUNK;
        let arrived = line.inbox().as_slices().0;
        tokio::select! {
            length = port_in.read(&mut heard) => match length? {
                0 => {
                    // What has arrived is whole, even if QEMU is gone.
                    let rest: Vec<u8> = line.inbox().drain(..).collect();
                    return stream_out.write_all(&rest).await;
                }
                length => line.hear(&heard[..length], Instant::now().into_std()),
            },
            length = stream_in.read(&mut said), if has_room => match length? {
                0 => return Ok(()),
                length => line.queue(&said[..length]),
            },
            length = stream_out.write(arrived), if !arrived.is_empty() => {
                let length = length?;
                line.inbox().drain(..length);
            }
            length = port_out.write(&spoken), if !spoken.is_empty() => {
                spoken.drain(..length?);
            }
            () = until(deadline.map(Instant::from_std)) => {}
        }
    }
}

/// Waits until then, or for ever.
async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Passes what comes from one end to the other and drops every so many-th byte.
    async fn lossy(from: UnixStream, to: UnixStream, every: usize) {
        let ((mut from_in, mut from_out), (mut to_in, mut to_out)) =
            (from.into_split(), to.into_split());
        let there = async {
            let (mut count, mut buffer) = (0, [0; 777]);
            while let Ok(length @ 1..) = from_in.read(&mut buffer).await {
                let mut kept = Vec::new();
                for byte in &buffer[..length] {
                    count += 1;
                    if count % every != 0 {
                        kept.push(*byte);
                    }
                }
                if to_out.write_all(&kept).await.is_err() {
                    break;
                }
            }
        };
        let back = tokio::io::copy(&mut to_in, &mut from_out);
        let _ = tokio::join!(there, back);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_survives_a_line_that_loses_bytes_and_ends_with_it() {
        let (host, near) = UnixStream::pair().unwrap();
        let (guest, far) = UnixStream::pair().unwrap();
        let line = tokio::spawn(lossy(near, far, 3001));
        let (mut host, mut guest) = (carry(host).unwrap(), carry(guest).unwrap());
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
        let (sent, heard) = tokio::join!(host.write_all(&bytes), async {
            let mut heard = vec![0; bytes.len()];
            guest.read_exact(&mut heard).await.map(|_| heard)
        });
        sent.unwrap();
        assert!(heard.unwrap() == bytes, "other bytes arrived");
        line.abort();
        assert_eq!(host.read(&mut [0; 1]).await.unwrap(), 0);
    }
}
