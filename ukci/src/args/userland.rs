//! Options that say what a guest has beside the files of a command, which `exec`, `runner` and `shell`
//! share.

use clap::{Args, ValueEnum};
use ukci_schema::userland::Network;

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Guest options")]
pub(crate) struct Userland {
    /// Network of the guest
    ///
    /// With `user`, QEMU makes outgoing connections for the guest, as your own user. Programs reach
    /// this host at 10.0.2.2, and names are resolved as this host does. The kernel needs the driver
    /// `virtio_net`. The report then says that the run is not hermetic.
    #[arg(long, value_name = "NETWORK", default_value = "none")]
    pub(crate) net: Net,
}

impl Userland {
    /// The options, as a command line has them.
    pub(super) fn options(&self) -> Vec<(&'static str, String)> {
        let network = (self.net == Net::User).then(|| ("--net", "user".to_owned()));
        network.into_iter().collect()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Net {
    /// Only `lo`
    None,
    /// Outgoing connections by QEMU's user networking
    User,
}

impl From<Net> for Network {
    fn from(net: Net) -> Self {
        match net {
            Net::None => Self::None,
            Net::User => Self::User,
        }
    }
}
