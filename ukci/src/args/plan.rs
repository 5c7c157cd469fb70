//! `ukci plan`: write a matrix as files with digests.

use std::path::PathBuf;

use clap::Args;

use super::selection::{Compilation, ManifestOf, Selection, manifest};

pub(super) const HELP: &str = "\
Examples:
  ukci plan x.bpf.o --matrix lts --out plan.json
  ukci check --plan plan.json
  ukci plan --draft draft.json --out plan.json";

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Objects and C sources to plan a run for
    #[arg(value_name = "X.bpf.o", required_unless_present = "draft")]
    pub(crate) artifacts: Vec<PathBuf>,

    /// Manifest that describes what the object's own loader does, as for `ukci check`
    #[arg(long, value_name = "[NAME=]FILE", value_parser = manifest)]
    pub(crate) manifest: Vec<ManifestOf>,

    /// Complete a draft, as Nix writes it, with the digests of its files
    #[arg(long, value_name = "FILE", conflicts_with_all = ["artifacts", "matrix", "kernel", "since", "modules", "arch", "llvm", "include", "define", "vmlinux_h"])]
    pub(crate) draft: Option<PathBuf>,

    /// Write the plan to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    #[command(flatten)]
    pub(crate) compilation: Compilation,
}
