//! Sockets for vsock of the host's kernel, on tokio.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use vsock::{VMADDR_CID_ANY, VsockListener, VsockStream};

/// `VMADDR_PORT_ANY` of `linux/vm_sockets.h`: the kernel picks a free port.
const ANY_PORT: u32 = u32::MAX;

/// Listens for one guest.
#[derive(Debug)]
pub(super) struct Listener {
    socket: AsyncFd<VsockListener>,
    cid: u32,
}

impl Listener {
    /// Listens on a free port, which it tells, for the guest with address `cid`.
    pub(super) fn bind(cid: u32) -> io::Result<(Self, u32)> {
        let socket = VsockListener::bind_with_cid_port(VMADDR_CID_ANY, ANY_PORT)?;
        socket.set_nonblocking(true)?;
        let port = socket.local_addr()?.port();
        Ok((
            Self {
                socket: register(socket)?,
                cid,
            },
            port,
        ))
    }

    /// Waits for the guest. Any guest of the host can dial; the others are hung up on.
    pub(super) async fn accept(&self) -> io::Result<Stream> {
        loop {
            let mut ready = self.socket.readable().await?;
            match ready.try_io(|socket| socket.get_ref().accept()) {
                Ok(Ok((stream, peer))) if peer.cid() == self.cid => return Stream::new(stream),
                Ok(Ok((_, peer))) => {
                    tracing::warn!(cid = peer.cid(), "a vsock connection of another guest");
                }
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
}

/// A connection.
#[derive(Debug)]
pub struct Stream(AsyncFd<VsockStream>);

impl Stream {
    fn new(stream: VsockStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        register(stream).map(Self)
    }
}

/// A socket that owns its descriptor and always answers with the same one.
trait Socket: AsRawFd {}
impl Socket for VsockListener {}
impl Socket for VsockStream {}

#[expect(
    unsafe_code,
    reason = "tokio takes it on trust that a socket owns its descriptor"
)]
fn register<T: Socket>(socket: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: both implementations of `Socket` own a descriptor, which they neither replace nor
    // close while they live.
    unsafe { AsyncFd::register(socket) }.map_err(Into::into)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let room = buffer.initialize_unfilled();
            if let Ok(read) = ready.try_io(|stream| stream.get_ref().read(room)) {
                return Poll::Ready(read.map(|length| buffer.advance(length)));
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(written) = ready.try_io(|stream| stream.get_ref().write(bytes)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use vsock::VMADDR_CID_LOCAL;

    use super::*;

    /// Needs the host's vsock loopback, which takes the place of a guest with address 1.
    #[tokio::test]
    async fn a_connection_of_the_right_peer_carries_bytes_both_ways() {
        let Ok((listener, port)) = Listener::bind(VMADDR_CID_LOCAL) else {
            return skip("no vsock sockets on this host");
        };
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            said.send(VsockStream::connect_with_cid_port(VMADDR_CID_LOCAL, port))
        });
        let mut guest = match heard.recv().unwrap() {
            Ok(guest) => guest,
            Err(error) => return skip(&format!("no vsock loopback on this host: {error}")),
        };
        let mut host = listener.accept().await.unwrap();
        guest.write_all(b"hello").unwrap();
        let mut said = [0; 5];
        host.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"hello");
        host.write_all(b"hi").await.unwrap();
        guest.read_exact(&mut said[..2]).unwrap();
        assert_eq!(&said[..2], b"hi");
    }

    #[expect(clippy::print_stderr, reason = "a skipped test says why")]
    fn skip(why: &str) {
        eprintln!("skipped: {why}");
    }
}
