//! `ukci mskv`: the oldest kernels that take an artifact.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ukci_schema::cell::Arch;

use super::arch;
use super::selection::{ManifestOf, manifest};
use super::versions::Cells;

pub(super) const HELP: &str = "\
Examples:
  ukci mskv x.bpf.o
  ukci mskv *.bpf.o --arch x86_64 --arch aarch64 --print markdown
  ukci mskv x.bpf.o --stream debian-cloud --all --print json

MSKV means minimum supported kernel version. The directory of `--out` has the report and the evidence of \
every kernel that was booted.";

#[derive(Debug, Args)]
pub(crate) struct Mskv {
    /// Object to check
    #[arg(value_name = "X.bpf.o", required = true)]
    pub(crate) artifacts: Vec<PathBuf>,

    /// Manifest that describes what the object's own loader does, as for `ukci check`
    #[arg(long, value_name = "[NAME=]FILE", value_parser = manifest)]
    pub(crate) manifest: Vec<ManifestOf>,

    /// Kernels to search, such as `debian-cloud`. Can be repeated [default: every distribution and
    /// flavor for which ukci has verified kernels]
    ///
    /// A stream is named like a kernel, and may leave out the release and the series.
    #[arg(long, value_name = "STREAM", help_heading = "Cell selection")]
    pub(crate) stream: Vec<String>,

    /// Architecture to run on. Can be repeated
    #[arg(long, value_name = "ARCH", default_value = "x86_64", value_parser = arch::parse, help_heading = "Cell selection")]
    pub(crate) arch: Vec<Arch>,

    /// Boot every kernel, and not only those that are needed to find the oldest
    #[arg(long, help_heading = "Cell selection")]
    pub(crate) all: bool,

    /// How to print the result
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) print: Print,

    #[command(flatten)]
    pub(crate) cells: Cells,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Print {
    /// For people: what decides the floor, the oldest kernel that accepts the object, and the one below it
    Text,
    /// A table for a README
    Markdown,
    /// For a loader or another program
    Json,
}
