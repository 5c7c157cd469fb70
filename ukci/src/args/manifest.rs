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
    /// Print a first manifest for an object, to be compared with its loader
    ///
    /// Many objects load only after their own loader has changed them. It sets the size of maps,
    /// chooses between programs that do the same, or sets what programs attach to. This command
    /// reads the object, and a report if there is one, and prints a manifest in TOML. Each choice
    /// has its reason above it as a comment. Questions that only you can answer are comments too.
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
    /// The object to read
    #[arg(value_name = "X.bpf.o")]
    pub(crate) object: PathBuf,

    /// Report of a run of the object, or the directory that holds it
    ///
    /// With it, the manifest also leaves out programs whose target no kernel of the report has, and
    /// names the programs that every kernel refused.
    #[arg(long, value_name = "REPORT")]
    pub(crate) report: Option<PathBuf>,
}
