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
    /// Print a bpfcompat manifest, which is YAML, as TOML
    Import(Import),
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The manifest in YAML
    #[arg(value_name = "FILE.yaml")]
    pub(crate) file: PathBuf,
}
