//! `ukci rerun`: cells of a report, once more.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Accel, Format, Transport, duration, format};

pub(super) const HELP: &str = "\
Examples:
  ukci rerun ukci-out --failed
  ukci rerun ukci-out execsnoop/debian-12-6.1-cloud/x86_64";

#[derive(Debug, Args)]
pub(crate) struct Rerun {
    /// Report, or the directory that holds it
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,

    /// Cells to run again, by id [default: all]
    #[arg(value_name = "CELL")]
    pub(crate) cells: Vec<String>,

    /// Run the cells again that did not meet their expectation
    #[arg(long, conflicts_with = "cells")]
    pub(crate) failed: bool,

    /// Run even where the bytes of the artifact, the kernel or the agent are not those of the report
    #[arg(long)]
    pub(crate) anyway: bool,

    /// Machines to run at once [default: what cores and memory allow]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Machine options")]
    pub(crate) jobs: Option<u16>,

    /// Give up on a cell after this long; five times longer under tcg
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, help_heading = "Machine options")]
    pub(crate) timeout: Duration,

    /// How to run guests: kvm needs a host on which a kernel really boots, tcg needs nothing
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,

    /// How guests reach the host
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) transport: Transport,

    /// Directory for the new report and the evidence; never that of the old one
    #[arg(
        short,
        long,
        value_name = "DIR",
        default_value = "ukci-rerun",
        help_heading = "Report options"
    )]
    pub(crate) out: PathBuf,

    /// Write another format too (markdown, github, junit or html): beside the report, or to a path
    /// (`-` is stdout); repeatable
    #[arg(short, long, value_name = "FORMAT[=PATH]", value_parser = format, help_heading = "Report options")]
    pub(crate) format: Vec<Format>,
}
