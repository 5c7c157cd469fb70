//! `ukci check`: objects on the kernels of a matrix.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence;

use super::cache::Limit;
use super::selection::{Compilation, ManifestOf, Selection, manifest};
use super::{Machines, Outputs};

pub(super) const HELP: &str = "\
Examples:
  ukci check execsnoop.bpf.o
  ukci check *.bpf.o --matrix full --format html
  ukci check x.bpf.o --kernel 6.1 --kernel ./bzImage --modules ./lib/modules
  ukci check x.bpf.c --llvm 16 --llvm 19 --vmlinux-h auto
  ukci check x.bpf.o --matrix mine.toml --bless
  ukci check ./mytool --embedded
  ukci check x.bpf.o --kernel ./vmlinuz-4.14 --btf 4.14.btf

The directory of `--out` then has `report.json`, and below `cells/` the console, the logs and the \
evidence of each cell.";

#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of its own"
)]
pub(crate) struct Check {
    /// Object to check, or C source to compile and check
    ///
    /// A file that ends in `.c` is compiled first, once for each LLVM and architecture.
    #[arg(value_name = "X.bpf.o", required_unless_present_any = ["artifact", "plan"])]
    pub(crate) artifacts: Vec<PathBuf>,

    /// Object to check, the same as an argument without an option. Can be repeated
    #[arg(long, value_name = "X.bpf.o")]
    pub(crate) artifact: Vec<PathBuf>,

    /// Check the BPF objects inside a program instead of an object file
    ///
    /// ukci finds objects that are stored unpacked: the skeletons of libbpf, `include_bytes!` in
    /// Rust and `embed` in Go. It says which ones it found. If a program contains several objects,
    /// they are named after the program with a number, such as `mytool-2`.
    #[arg(long, conflicts_with = "plan")]
    pub(crate) embedded: bool,

    /// Manifest that describes what the object's own loader does
    ///
    /// A loader often changes an object before it loads it: it sets the size of a map, chooses
    /// which programs to load, or sets what they attach to. ukci does the same if a manifest says
    /// so. With several objects, write `NAME=FILE`, where NAME is the object's file name without
    /// its ending. Can be repeated. See docs/manifest.md.
    #[arg(long, value_name = "[NAME=]FILE", value_parser = manifest)]
    pub(crate) manifest: Vec<ManifestOf>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// File whose BTF CO-RE uses instead of the kernel's own
    ///
    /// Use it for a kernel that was built without `CONFIG_DEBUG_INFO_BTF`, as a loader does with
    /// `btf_custom_path`. The file is BTF, or an ELF file with a section `.BTF`. All
    /// cells must be on one kernel. The ids of the cells then end in `btf-` and the name of the file, and
    /// the report is not hermetic. fentry, LSM programs, kfuncs and `tp_btf` still need the kernel's own
    /// BTF.
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "plan",
        help_heading = "Cell selection"
    )]
    pub(crate) btf: Option<PathBuf>,

    /// Run the cells of a plan that `ukci plan` or Nix wrote
    ///
    /// Nothing is resolved or downloaded, and a file that differs from the plan is refused.
    /// `--kernel`, `--arch`, `--llvm` and `--shard` then select some of the plan's cells.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["artifacts", "artifact", "manifest", "matrix", "since", "modules", "include", "define", "vmlinux_h"], help_heading = "Cell selection")]
    pub(crate) plan: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) compilation: Compilation,

    /// How far each cell goes
    #[arg(long, default_value = "behave", help_heading = "Verdict options")]
    pub(crate) mode: Mode,

    /// Treat a program that could not be attached as a failure
    ///
    /// Some programs cannot be attached in a guest, for example because they need hardware.
    /// Without this option they are counted and shown as not attempted, and the cell can pass.
    #[arg(long, help_heading = "Verdict options")]
    pub(crate) strict: bool,

    /// Earlier report to compare the verifier's work with
    ///
    /// It is needed if the matrix has `max_growth_percent`.
    #[arg(long, value_name = "REPORT", help_heading = "Verdict options")]
    pub(crate) baseline: Option<PathBuf>,

    /// Write this run's failures into the matrix file as expected failures
    ///
    /// A later run then fails only if there is a new failure or if one of these cells passes.
    /// `--matrix` must be the path of a file.
    #[arg(long, requires = "matrix", help_heading = "Verdict options")]
    pub(crate) bless: bool,

    /// Bless failures of this code too: `COMPILE_ERROR` or `LOADER_CONTRACT`
    ///
    /// These two codes say nothing about a kernel: a compiler refused the source, or the object
    /// needs its own loader. `--bless` skips them unless you name them here. Can be given twice.
    #[arg(long, value_name = "CODE", requires = "bless", value_parser = bless_code, help_heading = "Verdict options")]
    pub(crate) bless_code: Vec<Code>,

    /// Stop at the first cell that does not meet its expectation
    #[arg(long, help_heading = "Run options")]
    pub(crate) fail_fast: bool,

    /// Keep the verdicts in `--out` whose inputs have not changed, and run only the other cells
    ///
    /// Use it to finish a run that was interrupted, or to run again after changing one of many
    /// objects. A cell is kept if it reached a verdict from the same artifact, kernel, agent and
    /// options.
    #[arg(long, help_heading = "Run options")]
    pub(crate) resume: bool,

    /// Boot every cell, even if the cache has its evidence
    ///
    /// Without this option, a cell is not booted again if the same agent has already examined the same
    /// object on the same kernel, machine and settings: the evidence of that run is judged again. The
    /// report marks such cells as `cached`. With this option, the new evidence replaces the old. See
    /// docs/cache.md.
    #[arg(long, env = "UKCI_NO_CACHE", hide_env = true, value_parser = FalseyValueParser::new(), help_heading = "Run options")]
    pub(crate) no_cache: bool,

    #[command(flatten)]
    pub(crate) limit: Limit,

    #[command(flatten)]
    pub(crate) machines: Machines,

    #[command(flatten)]
    pub(crate) outputs: Outputs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Only load the object
    #[value(alias = "load_only", alias = "load-only")]
    Load,
    /// Load the object, and attach and fire its programs
    #[value(alias = "load_attach", alias = "load-attach")]
    Attach,
    /// The same, then run the functional tests of the manifest, if it has any
    #[value(alias = "behavior")]
    Behave,
}

impl From<Mode> for evidence::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Load => Self::Load,
            Mode::Attach => Self::Attach,
            Mode::Behave => Self::Behave,
        }
    }
}

fn bless_code(text: &str) -> Result<Code, String> {
    let codes = ukci_matrix::matrix::NOT_OF_A_KERNEL;
    let code = codes.into_iter().find(|code| code.name() == text);
    code.ok_or_else(|| format!("expected one of {}", codes.map(Code::name).join(", ")))
}
