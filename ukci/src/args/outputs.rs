//! Where a run writes its report, and in which formats.

use std::path::{Path, PathBuf};

use clap::Args;

use super::format::{self, Format};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Report options")]
pub(crate) struct Outputs {
    /// Directory for the report and the evidence
    ///
    /// It is created if it does not exist. The report of an earlier run in it is replaced. Evidence
    /// is replaced only for the cells that run again.
    #[arg(short, long, value_name = "DIR", default_value = "ukci-out")]
    pub(crate) out: PathBuf,

    /// Write the report in another format too: markdown, github, junit, html or json. Can be repeated
    ///
    /// The file is written beside `report.json`, or to the path after `=`, where `-` is standard
    /// output.
    #[arg(short, long, value_name = "FORMAT[=PATH]", value_parser = format::parse)]
    pub(crate) format: Vec<Format>,
}

impl Outputs {
    /// A directory, and no further format.
    pub(crate) fn only(out: &Path) -> Self {
        Self {
            out: out.to_owned(),
            format: Vec::new(),
        }
    }
}
