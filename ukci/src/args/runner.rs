//! `ukci runner`: one command in one kernel, for test runners.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::machine::duration;
use super::program::Program;
use super::tty::Terminal;
use super::{Accel, Transport};

pub(super) const HELP: &str = "\
Examples:
  export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER='ukci runner --kernel debian-12-6.1'
  cargo test -- --ignored

  go test -exec 'ukci runner --kernel 6.12' ./...

The command has the environment, the current directory and the standard streams of ukci, and its \
exit status or its signal becomes that of ukci. Status 124 means that its time was up. Status 125 \
means that ukci could not run it, or that the kernel reported damage. A message then says why. If the \
variable `UKCI_OUT` names a directory here, what the command writes to the same directory in the guest \
comes back into it.";

#[derive(Debug, Args)]
pub(crate) struct Runner {
    /// Program to run, and its arguments
    #[arg(value_name = "CMD", trailing_var_arg = true, required = true)]
    pub(crate) words: Vec<OsString>,

    /// Kernel to run in, by name or path
    #[arg(short, long, value_name = "NAME|PATH")]
    pub(crate) kernel: String,

    /// Directory with the modules of a user kernel. Can be repeated
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) terminal: Terminal,

    #[command(flatten)]
    pub(crate) program: Program,

    /// Report each BPF program, map and attachment of the command that the kernel refused
    ///
    /// ukci watches the command's calls to the kernel's BPF subsystem, and says why the kernel refused
    /// something if the command fails because of that.
    #[arg(long, help_heading = "Command options")]
    pub(crate) watch: bool,

    /// Kill the command after this time, such as `90s` or `2m`
    ///
    /// With the accelerator tcg, which emulates the CPU, the limit is five times as long.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration, help_heading = "Machine options")]
    pub(crate) timeout: Duration,

    /// How to run the guest's CPU
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,

    /// How the guest connects to the host
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) transport: Transport,

    /// Boot the kernel for this command instead of copying a saved guest
    ///
    /// By default, the first command boots it, and its guest is saved in the cache. Every command
    /// with the same kernel then gets a copy of its own. With another transport than virtio-serial,
    /// every command boots its kernel.
    #[arg(long, help_heading = "Machine options")]
    pub(crate) cold: bool,
}
