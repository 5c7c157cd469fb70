//! What a guest has beside the kernel and the files that it is sent: a network, and a root file
//! system.

use serde::{Deserialize, Serialize};

/// How a guest reaches networks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum Network {
    /// Not at all: it has a loopback device only.
    #[default]
    None,
    /// By connections that QEMU makes for it as its own user, with QEMU's user networking.
    User,
}

impl Network {
    /// Whether there is none.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

/// The addresses of QEMU's user networking, and the drivers that a guest needs for it.
pub mod user_network {
    use std::net::Ipv4Addr;

    /// The address of the guest, in [`MASK`].
    pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
    /// The network's mask.
    pub const MASK: Ipv4Addr = Ipv4Addr::new(255, 255, 255, 0);
    /// The host, and the way to everything else.
    pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
    /// The server for names, which asks those of the host.
    pub const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);
    /// The driver of the device.
    pub const DRIVER: &str = "virtio_net";
    /// What the guest loads for it, in this order. All of it may be built into the kernel.
    pub const MODULES: [&str; 2] = [super::BUS_DRIVER, DRIVER];
}

/// The driver of the bus that all devices of a guest are on.
const BUS_DRIVER: &str = "virtio_pci";

/// A root file system that a command runs in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Root {
    /// SHA-256 of what its image was made from, hex.
    #[serde(deserialize_with = "crate::sha256::one")]
    pub sha256: String,
    /// The directory, the archive or the container image on the host.
    pub source: String,
}

/// How a guest finds and mounts the files of its host.
pub mod host_root {
    /// The name of the device.
    pub const TAG: &str = "ukci-host";
    /// The driver, and the type of its file system.
    pub const DRIVER: &str = "virtiofs";
    /// What the guest loads for it, in this order. All of it may be built into the kernel.
    pub const MODULES: [&str; 3] = [super::BUS_DRIVER, DRIVER, super::root_image::OVERLAY];
}

/// How a guest finds and mounts the image of a [`Root`].
pub mod root_image {
    /// The serial number of its disk.
    pub const SERIAL: &str = "ukci-root";
    /// The driver of the disk.
    pub const DRIVER: &str = "virtio_blk";
    /// The type of its file system, which is also the name of the module.
    pub const TYPE: &str = "squashfs";
    /// The type of the file system that makes it writable, which is also the name of the module.
    pub const OVERLAY: &str = "overlay";
    /// What the guest loads for it, in this order. All of it may be built into the kernel.
    pub const MODULES: [&str; 4] = [super::BUS_DRIVER, DRIVER, TYPE, OVERLAY];
}
