//! `ukci check`: objects through a matrix.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ukci_schema::evidence;

use super::selection::{Compilation, ManifestOf, Selection, manifest};
use super::{Machines, Outputs};

pub(super) const HELP: &str = "\
Examples:
  ukci check execsnoop.bpf.o
  ukci check *.bpf.o --matrix full --format html
  ukci check x.bpf.o --kernel debian-12-6.1 --kernel ./bzImage --modules ./lib/modules
  ukci check x.bpf.c --llvm 16 --llvm 19 --vmlinux-h auto
  ukci check x.bpf.o --matrix mine.toml --bless

`DIR/report.json` holds everything; `DIR/cells/` the console, logs and evidence of each cell.";

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Check {
    /// Object to check, or C source to compile first
    #[arg(value_name = "X.bpf.o", required_unless_present_any = ["artifact", "plan"])]
    pub(crate) artifacts: Vec<PathBuf>,

    /// Object to check, as an option; repeatable
    #[arg(long, value_name = "X.bpf.o")]
    pub(crate) artifact: Vec<PathBuf>,

    /// What the object's own loader does, and what is expected of it (docs/manifest.md); with
    /// several objects, for the one of this name; repeatable
    #[arg(long, value_name = "[NAME=]FILE", value_parser = manifest)]
    pub(crate) manifest: Vec<ManifestOf>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Run the cells of a plan that `ukci plan` or Nix wrote, with its files: nothing is resolved
    /// or fetched, and a file that changed is refused; `--kernel`, `--arch`, `--llvm` and
    /// `--shard` keep only some of its cells
    #[arg(long, value_name = "FILE", conflicts_with_all = ["artifacts", "artifact", "manifest", "matrix", "modules", "include", "define", "vmlinux_h"], help_heading = "Cell selection")]
    pub(crate) plan: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) compilation: Compilation,

    /// How far to go: only load, or attach as well
    #[arg(long, default_value = "attach", help_heading = "Verdict options")]
    pub(crate) mode: Mode,

    /// Fail a cell of which a program could not be attempted
    #[arg(long, help_heading = "Verdict options")]
    pub(crate) strict: bool,

    /// Earlier report to hold the matrix's `max_growth_percent` of verifier work against
    #[arg(long, value_name = "REPORT", help_heading = "Verdict options")]
    pub(crate) baseline: Option<PathBuf>,

    /// Add this run's failures to the matrix file, as expected ones: later runs fail on new ones
    #[arg(long, requires = "matrix", help_heading = "Verdict options")]
    pub(crate) bless: bool,

    /// Stop at the first cell that does not meet its expectation
    #[arg(long, help_heading = "Run options")]
    pub(crate) fail_fast: bool,

    /// Finish a run that was cut short: keep the cells in `--out` that came to a verdict from the
    /// same inputs, run the others
    #[arg(long, help_heading = "Run options")]
    pub(crate) resume: bool,

    #[command(flatten)]
    pub(crate) machines: Machines,

    #[command(flatten)]
    pub(crate) outputs: Outputs,
}

/// How far a cell goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Load,
    Attach,
}

impl From<Mode> for evidence::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Load => Self::Load,
            Mode::Attach => Self::Attach,
        }
    }
}
