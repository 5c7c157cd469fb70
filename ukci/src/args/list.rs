//! `ukci list`: the cells of a matrix.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::selection::{ManifestOf, Selection, manifest};

pub(super) const HELP: &str = "\
Examples:
  ukci list --matrix full
  ukci list x.bpf.o y.bpf.o --kernel debian-12-6.1
  ukci list ./mytool --embedded
  ukci list --matrix full --format github --shards 20";

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Objects whose cells to list [default: any object, shown as `*`]
    #[arg(value_name = "X.bpf.o")]
    pub(crate) artifacts: Vec<PathBuf>,

    /// Manifest that describes what the object's own loader does, as for `ukci check`
    ///
    /// Its expectations are shown with the cells.
    #[arg(long, value_name = "[NAME=]FILE", value_parser = manifest)]
    pub(crate) manifest: Vec<ManifestOf>,

    /// Treat each file as a program, and list the cells of the eBPF objects inside it
    ///
    /// They are found and named as `ukci check --embedded` does it.
    #[arg(long, requires = "artifacts")]
    pub(crate) embedded: bool,

    /// How to print the cells
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ListFormat,

    /// Largest number of shards, with `--format github`
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) shards: u16,

    #[command(flatten)]
    pub(crate) selection: Selection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// One line per cell, with what is expected of it
    Text,
    /// JSON on one line
    Json,
    /// Shards, for `strategy.matrix` of GitHub Actions
    Github,
}
