//! Transports from a guest to the host, and which of them this host has.
//!
//! With every transport, the guest connects, the host has one [`Listener`], and the listener
//! returns an ordinary byte stream.

mod listener;
mod serial_line;
mod vsock;

use std::io;
use std::path::PathBuf;

use ukci_schema::report::Choice;

pub use listener::{Listener, Stream};

/// The device through which the host's kernel offers vsock to guests.
pub(crate) const VHOST_VSOCK_DEVICE: &str = "/dev/vhost-vsock";

/// The drivers of vsock, as boot files name them.
pub(crate) const VSOCK_DRIVER: &str = "vsock";

/// The drivers of a virtio-serial port, as boot files name them.
pub(crate) const VIRTIO_SERIAL_DRIVER: &str = "serial";

/// The program that offers it without the kernel.
pub const VHOST_DEVICE_VSOCK: &str = "vhost-device-vsock";

/// How the agent reaches the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `/dev/vhost-vsock`.
    VhostVsock,
    /// rust-vmm's `vhost-device-vsock` beside QEMU.
    VhostUserVsock,
    /// A virtio-serial port over a Unix socket.
    VirtioSerial,
    /// A UART over a Unix socket, for kernels that have a driver for none of the others.
    Serial,
}

impl Transport {
    /// The word reports use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VhostVsock => "vhost-vsock",
            Self::VhostUserVsock => "vhost-user-vsock",
            Self::VirtioSerial => "virtio-serial",
            Self::Serial => "serial",
        }
    }

    /// The way into the guest that the kernel must have a driver for, as its boot files name it.
    const fn driver(self) -> Option<&'static str> {
        match self {
            Self::VhostVsock | Self::VhostUserVsock => Some(VSOCK_DRIVER),
            Self::VirtioSerial => Some(VIRTIO_SERIAL_DRIVER),
            // Whoever sees a console has one.
            Self::Serial => None,
        }
    }

    /// Whether a kernel without these drivers has one for this transport.
    pub(crate) fn is_served(self, no_driver_for: &[String]) -> bool {
        let driver = self.driver();
        driver.is_none_or(|driver| no_driver_for.iter().all(|lacking| lacking != driver))
    }

    /// This one, or the next that a kernel without these drivers can serve.
    pub(crate) fn served(self, no_driver_for: &[String]) -> Self {
        let mut rest = [self, Self::VirtioSerial].into_iter();
        let served = rest.find(|transport| transport.is_served(no_driver_for));
        served.unwrap_or(Self::Serial)
    }
}

/// This host does not have the transport that was requested.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// The device cannot be opened.
    #[error("failed to open `{VHOST_VSOCK_DEVICE}` for the transport vhost-vsock")]
    VhostVsock(#[source] io::Error),
    /// The program is missing.
    #[error(
        "the program `{VHOST_DEVICE_VSOCK}`, which the transport vhost-user-vsock needs, was not found"
    )]
    VhostUserVsock,
}

impl Unusable {
    /// An action that may help.
    pub fn hint(&self) -> String {
        match self {
            Self::VhostVsock(error) if error.kind() == io::ErrorKind::NotFound => {
                "load the module with `modprobe vhost_vsock`".to_owned()
            }
            Self::VhostVsock(_) => {
                format!("join the group that owns `{VHOST_VSOCK_DEVICE}`, which is often named kvm")
            }
            Self::VhostUserVsock => format!(
                "build it with `make tools` or `cargo install {VHOST_DEVICE_VSOCK} --locked`"
            ),
        }
    }
}

/// What this host has.
#[derive(Debug)]
pub struct Available {
    /// Whether `/dev/vhost-vsock` opens for reading and writing.
    pub vhost_vsock: io::Result<()>,
    /// The program `vhost-device-vsock`.
    pub vhost_device_vsock: Option<PathBuf>,
}

impl Available {
    /// Looks at this host; the program is the caller's to find.
    pub fn of_host(vhost_device_vsock: Option<PathBuf>) -> Self {
        let vhost_vsock = std::fs::File::options()
            .read(true)
            .write(true)
            .open(VHOST_VSOCK_DEVICE)
            .map(drop);
        Self {
            vhost_vsock,
            vhost_device_vsock,
        }
    }

    /// The transport that was requested, else the first that is usable, and why.
    pub fn choose(self, asked: Option<Transport>) -> Result<(Transport, Choice), Unusable> {
        let absent = match &self.vhost_vsock {
            Ok(()) => String::new(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("`{VHOST_VSOCK_DEVICE}` does not exist")
            }
            Err(error) => format!("`{VHOST_VSOCK_DEVICE}` cannot be opened ({error})"),
        };
        let (transport, why) = match (asked, self.vhost_vsock, self.vhost_device_vsock) {
            (Some(Transport::VhostVsock), Err(error), _) => {
                return Err(Unusable::VhostVsock(error));
            }
            (Some(Transport::VhostUserVsock), _, None) => return Err(Unusable::VhostUserVsock),
            (Some(transport), ..) => (transport, "it was requested".to_owned()),
            (None, Ok(()), _) => (
                Transport::VhostVsock,
                format!("`{VHOST_VSOCK_DEVICE}` opens"),
            ),
            (None, Err(_), Some(program)) => (
                Transport::VhostUserVsock,
                format!("{absent}; `{}` is installed", program.display()),
            ),
            (None, Err(_), None) => (
                Transport::VirtioSerial,
                format!("{absent}, and there is no `{VHOST_DEVICE_VSOCK}`"),
            ),
        };
        Ok((
            transport,
            Choice {
                name: transport.name().to_owned(),
                why,
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn available(device: Option<io::ErrorKind>, program: bool) -> Available {
        Available {
            vhost_vsock: device.map_or(Ok(()), |kind| Err(kind.into())),
            vhost_device_vsock: program.then(|| "/usr/bin/vhost-device-vsock".into()),
        }
    }

    #[test]
    fn the_first_usable_is_taken_and_the_reason_said() {
        let (transport, choice) = available(None, true).choose(None).unwrap();
        assert_eq!(
            (transport, choice.name.as_str()),
            (Transport::VhostVsock, "vhost-vsock")
        );
        let (transport, choice) = available(Some(io::ErrorKind::NotFound), true)
            .choose(None)
            .unwrap();
        assert_eq!(transport, Transport::VhostUserVsock);
        insta::assert_snapshot!(choice.why, @"`/dev/vhost-vsock` does not exist; `/usr/bin/vhost-device-vsock` is installed");
        let (transport, choice) = available(Some(io::ErrorKind::PermissionDenied), false)
            .choose(None)
            .unwrap();
        assert_eq!(transport, Transport::VirtioSerial);
        insta::assert_snapshot!(choice.why, @"`/dev/vhost-vsock` cannot be opened (permission denied), and there is no `vhost-device-vsock`");
    }

    #[test]
    fn a_kernel_without_a_driver_gets_the_next_transport() {
        let lacking = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let vsock = Transport::VhostUserVsock;
        assert_eq!(vsock.served(&[]), vsock);
        assert_eq!(vsock.served(&lacking(&["serial"])), vsock);
        assert_eq!(vsock.served(&lacking(&["vsock"])), Transport::VirtioSerial);
        for all in [vsock, Transport::VhostVsock, Transport::VirtioSerial] {
            assert_eq!(
                all.served(&lacking(&["serial", "vsock"])),
                Transport::Serial
            );
        }
    }

    #[test]
    fn what_is_asked_for_is_taken_or_refused() {
        let missing = || available(Some(io::ErrorKind::NotFound), false);
        let (transport, _) = available(None, true)
            .choose(Some(Transport::VirtioSerial))
            .unwrap();
        assert_eq!(transport, Transport::VirtioSerial);
        let error = missing()
            .choose(Some(Transport::VhostUserVsock))
            .unwrap_err();
        assert!(error.hint().contains("make tools"));
        let error = missing().choose(Some(Transport::VhostVsock)).unwrap_err();
        assert!(error.hint().contains("modprobe"));
    }
}
