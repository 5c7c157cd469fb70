//! `ukci rerun`: run cells of a report again.

use std::path::PathBuf;

use clap::Args;

use super::cache::Limit;
use super::{Machines, Outputs};

pub(super) const HELP: &str = "\
Examples:
  ukci rerun ukci-out --failed
  ukci rerun ukci-out execsnoop/debian-12-6.1-cloud/x86_64

Without `--timeout`, `--accel`, `--transport` and `--cold`, the cells run with those of the report.";

#[derive(Debug, Args)]
pub(crate) struct Rerun {
    /// Report, or the directory that holds it
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,

    /// Ids of the cells to run again [default: all]
    #[arg(value_name = "CELL")]
    pub(crate) cells: Vec<String>,

    /// Run the cells that did not meet their expectation
    #[arg(long, conflicts_with = "cells")]
    pub(crate) failed: bool,

    /// Run even if the artifact, kernel or agent differs from the report
    #[arg(long)]
    pub(crate) anyway: bool,

    #[command(flatten)]
    pub(crate) limit: Limit,

    #[command(flatten)]
    pub(crate) machines: Machines,

    #[command(flatten)]
    pub(crate) outputs: Outputs,
}
