//! QEMU: spawn, watch, capture the console, kill the group, reap.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use ukci_schema::cell::Arch;
use ukci_schema::report::Choice;
use ukci_schema::verdict::Fault;

use super::{Boot, Ending, Guest, Hardware, Machine, Usage};

/// What the user asked for.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The accelerator; `None` is `auto`.
    pub accel: Option<Accel>,
    /// The transport; `None` takes the first usable of vhost-vsock, vhost-user-vsock,
    /// virtio-serial.
    pub transport: Option<Transport>,
    /// The architectures that cells use.
    pub arches: Vec<Arch>,
    /// Where answers are remembered: the cache directory.
    pub cache: PathBuf,
}

/// How guest code runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accel {
    /// In hardware.
    Kvm,
    /// Translated.
    Tcg,
}

/// How the agent reaches the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `/dev/vhost-vsock`.
    VhostVsock,
    /// rust-vmm's `vhost-device-vsock` beside QEMU.
    VhostUserVsock,
    /// A virtio-serial port over a Unix socket.
    VirtioSerial,
}

/// This host cannot run machines.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Replaced by real variants.
    #[error("not yet")]
    NotYet,
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        None
    }
}

/// QEMU on this host.
#[derive(Clone, Debug)]
pub struct Qemu {
    accel: Choice,
    transport: Choice,
    versions: BTreeMap<Arch, String>,
}

impl Qemu {
    /// Finds the programs, and decides about accelerator and transport.
    ///
    /// `probe` is a kernel of the host's architecture that a time-boxed boot under KVM is tried
    /// with, unless the answer is remembered.
    pub async fn detect(settings: Settings, probe: Option<Boot>) -> Result<Self, Error> {
        let _ = (settings, probe);
        Err(Error::NotYet)
    }

    /// The accelerator, and why.
    pub fn accel(&self) -> &Choice {
        &self.accel
    }

    /// The transport, and why.
    pub fn transport(&self) -> &Choice {
        &self.transport
    }

    /// `QEMU emulator version …`, by architecture.
    pub fn versions(&self) -> &BTreeMap<Arch, String> {
        &self.versions
    }
}

/// One QEMU process and what was started for it.
#[derive(Debug)]
pub struct QemuGuest {}

impl Machine for Qemu {
    type Guest = QemuGuest;

    fn hardware(&self, arch: Arch, release: &str) -> Hardware {
        let _ = (arch, release);
        Hardware::default()
    }

    fn slowness(&self) -> u32 {
        5
    }

    fn boot(&self, boot: Boot) -> impl Future<Output = Result<QemuGuest, Fault>> + Send {
        let _ = boot;
        async { unimplemented!() }
    }
}

impl Guest for QemuGuest {
    type Stream = tokio::net::UnixStream;

    async fn connect(&mut self) -> Result<Self::Stream, super::NoConnection> {
        unimplemented!()
    }

    async fn ended(&mut self) -> Ending {
        unimplemented!()
    }

    fn console_tail(&self) -> Vec<String> {
        Vec::new()
    }

    async fn stop(self, grace: Duration) -> Usage {
        let _ = grace;
        Usage::default()
    }
}
