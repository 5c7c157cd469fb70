//! `ukci doctor`: whether this host can boot kernels.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Read every file in the cache, and remove those that are damaged
    ///
    /// ukci compares the size, the inode and the modification time of a file each time it uses it, and
    /// reads the file if they have changed. This option reads all files, and so finds what a failing
    /// disk has changed. What is removed is made or downloaded again when a run needs it.
    #[arg(long)]
    pub(crate) verify: bool,
}
