//! The devices of a guest with a network: what is asked for goes in, and devices come out.

use ukci_schema::userland::{BUS_MODULE, Network, user_network};

use super::device::Device;

/// What a guest has beside memory and CPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Userland {
    /// How it reaches networks.
    pub network: Network,
}

impl Userland {
    /// Whether all that it has is of the lock or the store.
    pub(crate) fn is_hermetic(&self) -> bool {
        self.network.is_none()
    }

    /// The drivers of its devices, which may be built into the kernel.
    pub(crate) fn modules(&self) -> Vec<&'static str> {
        match self.network {
            Network::None => Vec::new(),
            Network::User => vec![BUS_MODULE, user_network::MODULE],
        }
    }

    /// Its devices. A saved guest has them as its copies do: they are part of its key, and the agent
    /// loads their drivers only when a request asks for it.
    pub(super) fn devices(&self) -> Vec<Device> {
        match self.network {
            Network::None => Vec::new(),
            Network::User => vec![Device::UserNetwork],
        }
    }
}
