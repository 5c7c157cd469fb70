//! `ukci shell`: boot a cell of a report and look around in it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Accel;
use super::machine::duration;
use super::userland::Userland;

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// Id of the cell to boot
    #[arg(value_name = "CELL")]
    pub(crate) cell: String,

    /// Report that has the cell, or the directory that holds it
    #[arg(long, value_name = "REPORT", default_value = "ukci-out")]
    pub(crate) report: PathBuf,

    /// Run a command with the guest's `sh` instead of opening a shell
    ///
    /// `ukci shell` then ends with the status of that command, or with 128 and the number of the signal
    /// that killed it. Without this option, the standard input must be a terminal.
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) command: Option<String>,

    /// End the machine after this time, such as `90s` or `2m` [default: 10m with `--command`]
    ///
    /// The time includes the boot. Without `--command` and without this option, the machine runs
    /// until you end it.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) timeout: Option<Duration>,

    /// Boot even if the artifact, kernel or agent differs from the report
    #[arg(long)]
    pub(crate) anyway: bool,

    #[command(flatten)]
    pub(crate) userland: Userland,

    /// How to run the guest's CPU
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,
}

pub(super) const HELP: &str = "\
The guest has the kernel, command line, modules, processors and memory of the cell, the object in \
`/cell`, and busybox. `ukci-guest check` does in the guest what the cell did. `ukci-guest check \
--json` prints all of the evidence. Ctrl-D ends the machine, and Ctrl-A X kills it.

With --rootfs, the shell is the `sh` of that root file system. A program that you name with --file \
brings its libraries.

Examples:
  ukci shell execsnoop/debian-12-6.1-cloud/x86_64
  ukci shell execsnoop/debian-12-6.1-cloud/x86_64 -c 'ukci-guest check; cat /boot/config-*'
  ukci shell --file /usr/bin/strace execsnoop/debian-12-6.1-cloud/x86_64
  ukci shell --rootfs debian.tar execsnoop/debian-12-6.1-cloud/x86_64";
