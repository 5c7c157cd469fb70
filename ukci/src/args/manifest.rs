//! `ukci manifest`: write what an object's own loader does.

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub(super) const HELP: &str = "\
Examples:
  ukci manifest suggest x.bpf.o > x.toml
  ukci manifest suggest x.bpf.o --report ukci-out > x.toml
  ukci manifest import bpfcompat.yaml > x.toml

`docs/manifest.md` explains every key.";

#[derive(Debug, Subcommand)]
pub(crate) enum Manifest {
    /// Print a manifest that does what an object's own loader seems to do
    ///
    /// Many objects need something of their loader before any kernel takes them: sizes of maps, a
    /// choice between programs that do the same, targets. This command reads the object, and a
    /// report if there is one, and prints a manifest in TOML. Each choice has its reason above it as
    /// a comment. What only you can know is printed as a comment too.
    Suggest(Suggest),

    /// Print a bpfcompat manifest, which is YAML, as TOML
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The manifest in YAML
    #[arg(value_name = "FILE.yaml")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Suggest {
    /// The object
    #[arg(value_name = "X.bpf.o")]
    pub(crate) object: PathBuf,

    /// Report of a run of the object, or the directory that has it
    ///
    /// With it, the manifest also leaves out programs whose target no kernel of the report has, and
    /// names the programs that every kernel refused.
    #[arg(long, value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,
}
