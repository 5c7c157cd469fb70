//! What a guest has beside the kernel and the files that it is sent: a network.

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
    /// The driver of the device. It may be built into the kernel.
    pub const MODULE: &str = "virtio_net";
}

/// The driver of the bus that all devices of a guest are on. It may be built into the kernel.
pub const BUS_MODULE: &str = "virtio_pci";
