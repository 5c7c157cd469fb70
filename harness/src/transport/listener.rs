//! Listens for the agent's connection.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{UnixListener, UnixStream};

use super::{serial_line, vsock};

/// Waits for the agent of one guest to dial.
#[derive(Debug)]
pub struct Listener(Kind);

/// What a port does to bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// It carries all of them.
    Exact,
    /// It may lose some: they are packed.
    Lossy,
}

#[derive(Debug)]
enum Kind {
    VhostUserVsock(UnixListener),
    Port {
        listener: UnixListener,
        /// QEMU's connection, made as QEMU starts, long before there is an agent.
        port: Option<UnixStream>,
        line: Line,
    },
    VhostVsock(vsock::Listener),
}

impl Listener {
    /// Listens where vhost-device-vsock dials for the guest.
    pub fn vhost_user_vsock(path: &Path) -> io::Result<Self> {
        Ok(Self(Kind::VhostUserVsock(UnixListener::bind(path)?)))
    }

    /// Listens where QEMU dials for its virtio-serial port.
    pub fn virtio_serial(path: &Path) -> io::Result<Self> {
        Self::port(path, Line::Exact)
    }

    /// Listens where QEMU dials for a UART.
    pub fn serial(path: &Path) -> io::Result<Self> {
        Self::port(path, Line::Lossy)
    }

    fn port(path: &Path, line: Line) -> io::Result<Self> {
        Ok(Self(Kind::Port {
            listener: UnixListener::bind(path)?,
            port: None,
            line,
        }))
    }

    /// Listens on a free vsock port of the host, for the guest with address `cid` alone; also
    /// tells the port.
    pub fn vhost_vsock(cid: u32) -> io::Result<(Self, u32)> {
        let (listener, port) = vsock::Listener::bind(cid)?;
        Ok((Self(Kind::VhostVsock(listener)), port))
    }

    /// Waits until QEMU has connected the port of a guest whose agent waits to be spoken to.
    pub(crate) async fn accept_silent(&mut self) -> io::Result<Stream> {
        match &mut self.0 {
            Kind::Port {
                listener,
                line: Line::Exact,
                ..
            } => Ok(Stream::Unix(listener.accept().await?.0)),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Waits for the agent. May be dropped and called again.
    ///
    /// It does not end when the guest ends: that is for whoever watches the guest, who knows why.
    pub async fn accept(&mut self) -> io::Result<Stream> {
        match &mut self.0 {
            Kind::VhostUserVsock(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
            Kind::VhostVsock(listener) => Ok(Stream::Vsock(listener.accept().await?)),
            Kind::Port {
                listener,
                port,
                line,
            } => {
                let stream = match (port.take(), *line) {
                    (Some(stream), _) => stream,
                    (None, Line::Exact) => listener.accept().await?.0,
                    (None, Line::Lossy) => serial_line::carry(listener.accept().await?.0)?,
                };
                // The agent speaks first, so its first byte is what stands for dialling.
                let stream = port.insert(stream);
                if !speaks(stream).await? {
                    std::future::pending::<()>().await;
                }
                port.take()
                    .map(Stream::Unix)
                    .ok_or_else(|| io::ErrorKind::NotConnected.into())
            }
        }
    }
}

/// Waits until there is something to read; false where the other end is closed instead.
async fn speaks(stream: &UnixStream) -> io::Result<bool> {
    loop {
        stream.readable().await?;
        let peeked = stream.try_io(Interest::READABLE, || {
            let (_, length) = rustix::net::recv(stream, &mut [0; 1], RecvFlags::PEEK)?;
            Ok(length)
        });
        match peeked {
            Ok(length) => return Ok(length > 0),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// The agent's connection.
#[derive(Debug)]
pub enum Stream {
    /// Through vhost-device-vsock, a virtio-serial port or a serial line.
    Unix(UnixStream),
    /// Through the host's kernel.
    Vsock(vsock::Stream),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Vsock(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Vsock(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Vsock(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Vsock(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_virtio_serial_port_is_dialled_by_its_first_byte_which_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent");
        let mut listener = Listener::virtio_serial(&path).unwrap();
        let mut qemu = UnixStream::connect(&path).await.unwrap();
        assert!(
            timeout(Duration::from_millis(20), listener.accept())
                .await
                .is_err()
        );
        qemu.write_all(b"hello").await.unwrap();
        let mut stream = listener.accept().await.unwrap();
        let mut said = [0; 5];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"hello");
        stream.write_all(b"ok").await.unwrap();
        qemu.read_exact(&mut said[..2]).await.unwrap();
    }

    #[tokio::test]
    async fn a_port_that_closes_unused_is_no_agent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent");
        let mut listener = Listener::virtio_serial(&path).unwrap();
        drop(UnixStream::connect(&path).await.unwrap());
        assert!(
            timeout(Duration::from_millis(20), listener.accept())
                .await
                .is_err()
        );
    }
}
