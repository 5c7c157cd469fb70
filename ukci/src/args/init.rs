//! `ukci init`: the files that a project needs.

use std::path::PathBuf;

use clap::Args;

pub(super) const HELP: &str = "\
Examples:
  ukci init
  ukci init build/x.bpf.o build/y.bpf.o
  ukci init src --force";

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Objects, C sources, or directories to look for them in [default: the current directory]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,

    /// Overwrite files that exist
    #[arg(long)]
    pub(crate) force: bool,
}
