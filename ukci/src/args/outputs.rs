//! Where a run writes its report, and in which formats.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{Format, format};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Report options")]
pub(crate) struct Outputs {
    /// Directory for the report and the evidence
    #[arg(short, long, value_name = "DIR", default_value = "ukci-out")]
    pub(crate) out: PathBuf,

    /// Write another format too (markdown, github, junit or html): beside the report, or to a path
    /// (`-` is stdout); repeatable
    #[arg(short, long, value_name = "FORMAT[=PATH]", value_parser = format)]
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
