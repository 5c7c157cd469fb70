//! `ukci shell`: a cell of a report, to look around in.

use std::path::PathBuf;

use clap::Args;

use super::Accel;

#[derive(Debug, Args)]
pub(crate) struct Shell {
    /// Cell to boot, by its id
    #[arg(value_name = "CELL")]
    pub(crate) cell: String,

    /// Report that has the cell, or the directory that holds it
    #[arg(long, value_name = "REPORT", default_value = "ukci-out")]
    pub(crate) report: PathBuf,

    /// Run this with the guest's `sh`, and end with its status
    #[arg(short, long, value_name = "TEXT")]
    pub(crate) command: Option<String>,

    /// Boot even where the bytes of the artifact, the kernel or the agent are not those of the report
    #[arg(long)]
    pub(crate) anyway: bool,

    /// How to run the guest
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,
}

pub(super) const HELP: &str = "\
The guest has the cell's kernel, command line, modules, CPUs and memory, the object in `/cell`, and
busybox. `ukci-guest check` does there what the cell did; `ukci-guest check --json` prints all the
evidence of it. Ctrl-D ends the machine, Ctrl-A X kills it.

Examples:
  ukci shell execsnoop/debian-12-6.1-cloud/x86_64
  ukci shell execsnoop/debian-12-6.1-cloud/x86_64 -c 'ukci-guest check; zcat /proc/config.gz'";
