//! The devices of a guest with a network or a root file system of its own: what is asked for goes in,
//! and devices come out.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use ukci_schema::userland::{Network, host_root, root_image, user_network};

use super::device::Device;

/// What a guest has beside memory and CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Userland {
    /// How it reaches networks.
    pub network: Network,
    /// The image of its root file system.
    pub root: Option<RootDisk>,
    /// Whether its root file system is this host's, which it cannot change.
    pub host_root: bool,
}

/// The image of a root file system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RootDisk {
    /// The file, which everybody may read.
    pub path: PathBuf,
    /// The digest of what it was made from.
    pub sha256: String,
}

impl Userland {
    /// Whether all that it has is pinned by digests.
    pub(crate) fn is_hermetic(&self) -> bool {
        self.network.is_none() && !self.host_root
    }

    /// The drivers of its devices, which may be built into the kernel.
    pub(crate) fn modules(&self) -> Vec<&'static str> {
        let mut modules = Vec::new();
        match self.network {
            Network::None => {}
            Network::User => modules.extend(user_network::MODULES),
        }
        if self.root.is_some() {
            modules.extend(root_image::MODULES);
        }
        if self.host_root {
            modules.extend(host_root::MODULES);
        }
        modules
    }

    /// Whether a guest that has it can be saved: QEMU cannot save a vhost-user device that reads files.
    pub(crate) fn can_be_saved(&self) -> bool {
        !self.host_root
    }

    /// Its devices, without those that another process serves. A saved guest has them as its copies do: they are part of its key, and the agent
    /// loads their drivers only when a request asks for it.
    pub(super) fn devices(&self) -> Vec<Device> {
        let mut devices = Vec::new();
        match self.network {
            Network::None => {}
            Network::User => devices.push(Device::UserNetwork),
        }
        devices.extend((self.root.iter()).map(|disk| Device::RootDisk(disk.path.clone())));
        devices
    }

    /// The same with digests for paths, as keys have it. A kernel with a built-in driver reads the
    /// size of the disk when it boots, so another image needs another saved guest.
    pub(super) fn by_digest(&self) -> Self {
        let mut named = self.clone();
        if let Some(disk) = &mut named.root {
            disk.path = disk.sha256.clone().into();
        }
        named
    }

    /// The same by the number of a descriptor, which QEMU's process has to get: its user may not
    /// reach the file by its path.
    pub(super) fn by_descriptor(&self) -> io::Result<(Self, Option<OwnedFd>)> {
        let mut named = self.clone();
        let Some(disk) = &mut named.root else {
            return Ok((named, None));
        };
        let fd = OwnedFd::from(File::open(&disk.path)?);
        disk.path = format!("/proc/self/fd/{}", fd.as_raw_fd()).into();
        Ok((named, Some(fd)))
    }
}
