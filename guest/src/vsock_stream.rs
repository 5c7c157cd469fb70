//! The connection to the host over vsock.
//!
//! The output is a stream to port `PORT` of the host. It never listens.
#![expect(unsafe_code, reason = "the connect timeout has no safe face")]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use ukci_schema::message::PORT;
use vsock::VsockStream;

/// `linux/vm_sockets.h`.
const SO_VM_SOCKETS_CONNECT_TIMEOUT: libc::c_int = 6;

/// How long the host may take to answer, in seconds. The kernel's own two are too few where the
/// guest is translated and its device starved: a guest's clock runs on meanwhile.
const PATIENCE: libc::time_t = 60;

/// Dials the host.
pub(crate) fn dial() -> io::Result<VsockStream> {
    let timeout = libc::timeval {
        tv_sec: PATIENCE,
        tv_usec: 0,
    };
    // SAFETY: all structures are plain C ones that outlive their calls; the descriptor is ours.
    unsafe {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        let fd = libc::socket(libc::AF_VSOCK, kind, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = OwnedFd::from_raw_fd(fd);
        let length = |size: usize| libc::socklen_t::try_from(size).unwrap_or(0);
        let set = libc::setsockopt(
            socket.as_raw_fd(),
            libc::AF_VSOCK,
            SO_VM_SOCKETS_CONNECT_TIMEOUT,
            (&raw const timeout).cast(),
            length(size_of::<libc::timeval>()),
        );
        if set < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut address: libc::sockaddr_vm = std::mem::zeroed();
        address.svm_family = libc::AF_VSOCK.try_into().unwrap_or_default();
        address.svm_cid = libc::VMADDR_CID_HOST;
        address.svm_port = PORT;
        let connected = libc::connect(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            length(size_of::<libc::sockaddr_vm>()),
        );
        if connected < 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(VsockStream::from(socket))
    }
}
