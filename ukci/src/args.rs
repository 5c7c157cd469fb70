//! The command line. Every doc comment here is manual text.

pub(crate) mod report;
pub(crate) mod rerun;
pub(crate) mod shell;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, Styles, styling::AnsiColor};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ukci_harness::compile::vmlinux;
use ukci_schema::cell::{Arch, UnknownArch};

use ukci_schema::partition::Partition;

use crate::exit;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Load an eBPF object on every kernel you ship to, and say why where it fails
#[derive(Debug, Parser)]
#[command(
    name = "ukci",
    version,
    styles = STYLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = exit::HELP,
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print only problems and the summary; twice: nothing
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: u8,

    /// Print each stage of each cell; twice: what ukci does inside, too
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,

    /// When to use colour
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: Color,

    /// Hide the live display: one line a cell
    #[arg(long, env = "UKCI_NO_PROGRESS", value_parser = clap::builder::FalseyValueParser::new(), global = true)]
    pub(crate) no_progress: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Check an object on real kernels
    #[command(after_help = CHECK_HELP)]
    Check(Box<Check>),
    /// List the cells of a matrix
    List(List),
    /// Run cells of a report again, from the same bytes
    Rerun(Box<rerun::Rerun>),
    /// Boot a cell of a report and look around in it
    #[command(after_help = shell::HELP)]
    Shell(shell::Shell),
    /// Render, merge and compare reports
    #[command(subcommand)]
    Report(report::Report),
    /// Resolve a matrix to files by digest, for `check --plan`
    Plan(Plan),
    /// List, fetch and show the kernels of the catalogue
    #[command(subcommand)]
    Kernels(Kernels),
    /// See whether this host can run cells
    Doctor,
    /// Explain a diagnosis: what it means, its causes, its remedies
    Explain(Explain),
}

const CHECK_HELP: &str = "\
Examples:
  ukci check execsnoop.bpf.o
  ukci check *.bpf.o --matrix full --format markdown
  ukci check x.bpf.o --kernel debian-12-6.1 --kernel ./bzImage --modules ./lib/modules

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
    /// `--partition` keep only some of its cells
    #[arg(long, value_name = "FILE", conflicts_with_all = ["artifacts", "artifact", "manifest", "matrix", "modules", "include", "define", "vmlinux_h"], help_heading = "Cell selection")]
    pub(crate) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) compilation: Compilation,

    /// How far to go: only load, or attach as well
    #[arg(long, default_value = "attach", help_heading = "Cell selection")]
    pub(crate) mode: Mode,

    /// Fail a cell of which a program could not be attempted
    #[arg(long, help_heading = "Cell selection")]
    pub(crate) strict: bool,

    /// Take only the locked bytes; else the newest version that the distribution signed is taken,
    /// with a warning, where the locked one is gone
    #[arg(long, env = "UKCI_LOCKED", value_parser = clap::builder::FalseyValueParser::new(), help_heading = "Cell selection")]
    pub(crate) locked: bool,

    /// Machines to run at once [default: what cores and memory allow]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), help_heading = "Machine options")]
    pub(crate) jobs: Option<u16>,

    /// Give up on a cell after this long; five times longer under tcg
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, help_heading = "Machine options")]
    pub(crate) timeout: Duration,

    /// How to run guests: kvm needs a host on which a kernel really boots, tcg needs nothing
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,

    /// How guests reach the host
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) transport: Transport,

    /// Finish a run that was cut short: keep the cells in `--out` that came to a verdict from the
    /// same inputs, run the others
    #[arg(long)]
    pub(crate) resume: bool,

    /// Add this run's failures to the matrix file, as expected ones
    #[arg(long, requires = "matrix")]
    pub(crate) bless: bool,

    /// Report to hold the matrix's `max_growth_percent` against
    #[arg(long, value_name = "REPORT")]
    pub(crate) baseline: Option<PathBuf>,

    /// Stop at the first cell that does not meet its expectation
    #[arg(long, help_heading = "Machine options")]
    pub(crate) fail_fast: bool,

    /// Directory for the report and the evidence
    #[arg(
        short,
        long,
        value_name = "DIR",
        default_value = "ukci-out",
        help_heading = "Report options"
    )]
    pub(crate) out: PathBuf,

    /// Write another format too: beside the report, or to a path (`-` is stdout); repeatable
    #[arg(short, long, value_name = "FORMAT[=PATH]", value_parser = format, help_heading = "Report options")]
    pub(crate) format: Vec<Format>,
}

/// A manifest, and the artifact that it is for.
#[derive(Clone, Debug)]
pub(crate) struct ManifestOf {
    /// The artifact's name; none for the only one.
    pub(crate) artifact: Option<String>,
    pub(crate) path: PathBuf,
}

impl std::fmt::Display for ManifestOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(artifact) = &self.artifact {
            write!(f, "{artifact}=")?;
        }
        write!(f, "{}", self.path.display())
    }
}

/// `FILE`, or `NAME=FILE` where NAME has no `/`.
fn manifest(text: &str) -> Result<ManifestOf, String> {
    let (artifact, path) = match text.split_once('=') {
        Some((name, path)) if !name.contains('/') => (Some(name.to_owned()), path),
        _ => (None, text),
    };
    if path.is_empty() || artifact.as_deref() == Some("") {
        return Err("it is FILE, or NAME=FILE".into());
    }
    Ok(ManifestOf {
        artifact,
        path: path.into(),
    })
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cell selection")]
pub(crate) struct Selection {
    /// Matrix to run: quick, lts, full, quirks, archs, or a path to a TOML file [default: quick, without `--kernel`]
    #[arg(short, long, env = "UKCI_MATRIX", value_name = "NAME|FILE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) matrix: Option<String>,

    /// Kernel to run on: a name of the catalogue, or the path of a bzImage, vmlinux or Image of your own
    /// (with a `/`); with a matrix, keep only this kernel of it; repeatable
    #[arg(short, long, value_name = "NAME|PATH", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kernel: Vec<String>,

    /// Architecture to run on: `x86_64`, `aarch64` or `riscv64`; with a matrix, keep only this one
    /// of it; repeatable [default: `x86_64`, with `--kernel NAME`]
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub(crate) arch: Vec<Arch>,

    /// LLVM major to compile sources with, by `clang-N` or the program that `UKCI_CLANG_N` names;
    /// with a matrix that names some, keep only this one; repeatable [default: the newest at hand]
    #[arg(long, value_name = "N", value_parser = llvm)]
    pub(crate) llvm: Vec<String>,
    /// Keep only a share of the cells, in turn or by a hash of their ids, for the m-th of n runners
    #[arg(long, value_name = "count:M/N|hash:M/N")]
    pub(crate) partition: Option<Partition>,

    /// Modules of your own kernel: `lib/modules/<release>`, or a directory above it; repeatable
    #[arg(long, value_name = "DIR", requires = "kernel")]
    pub(crate) modules: Vec<PathBuf>,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options for C sources")]
pub(crate) struct Compilation {
    /// Directory of headers; repeatable
    #[arg(short = 'I', long = "include", value_name = "DIR")]
    pub(crate) include: Vec<PathBuf>,

    /// Macro to define; repeatable
    #[arg(short = 'D', long = "define", value_name = "NAME[=VALUE]")]
    pub(crate) define: Vec<String>,

    /// Where `vmlinux.h` comes from: `auto` makes one of the BTF of the newest locked kernel
    #[arg(long, value_name = "auto|FILE", value_parser = vmlinux_h)]
    pub(crate) vmlinux_h: Option<vmlinux::Source>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) selection: Selection,

    /// Objects to list the cells of; without one, the artifact is named `*`
    #[arg(value_name = "X.bpf.o")]
    pub(crate) artifacts: Vec<PathBuf>,

    /// How to print them: lines, JSON, or shards for `strategy.matrix` of GitHub Actions
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ListFormat,

    /// With `--format github`: most shards
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) shards: u16,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Objects to plan for
    #[arg(value_name = "X.bpf.o", required_unless_present = "draft")]
    pub(crate) artifacts: Vec<PathBuf>,

    /// What the object's own loader does, and what is expected of it, as for `check`
    #[arg(long, value_name = "[NAME=]FILE", value_parser = manifest)]
    pub(crate) manifest: Vec<ManifestOf>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    #[command(flatten)]
    pub(crate) compilation: Compilation,

    /// Complete a draft, as Nix writes it, with the digests of its files
    #[arg(long, value_name = "FILE", conflicts_with_all = ["artifacts", "matrix", "kernel", "modules", "arch", "llvm", "include", "define", "vmlinux_h"])]
    pub(crate) draft: Option<PathBuf>,

    /// Take only the locked bytes
    #[arg(long, env = "UKCI_LOCKED", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) locked: bool,

    /// Write to a file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    Text,
    Json,
    Github,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Kernels {
    /// List the kernels of the catalogue, and which are at hand
    List,
    /// Fetch and unpack kernels, so that a later run needs no network
    Fetch(Fetch),
    /// Make a kernel's boot files from its packages alone: no network, no cache
    Unpack(Unpack),
    /// Make the initramfs that a kernel boots with from an agent and the kernel's boot files
    Initramfs(Initramfs),
    /// Show one kernel: its packages, digests and files
    Show {
        /// Name in the catalogue
        name: String,
    },
    /// Add kernels to a lock, pinned by the distribution's signed index
    Add(Add),
    /// Pin the newest version of a lock's kernels
    Update(Update),
    /// Mark the kernels of a lock that reports saw booted
    Booted(Booted),
    /// Boot a kernel and show what it offers to eBPF; of two, what they do not have in common
    #[command(after_help = FEATURES_HELP)]
    Features(Features),
}

const FEATURES_HELP: &str = "\
Examples:
  ukci kernels features debian-12-6.1
  ukci kernels features debian-12-6.1 --only helpers --name ringbuf
  ukci kernels features debian-12-6.1 debian-13-6.12 --only kfuncs,map-types
  ukci kernels features ./bzImage --modules ./lib/modules --format json

The number beside a name is the mainline release that brought it: vendors backport, so only the
probe says what a kernel has. Helpers and kfuncs are followed by the program types that may call
them. Answers are kept in the cache until the kernel or the agent changes.";

#[derive(Debug, Args)]
pub(crate) struct Features {
    /// Name in the catalogue, or the path of a bzImage or vmlinux of your own (with a `/`)
    #[arg(value_name = "NAME|PATH", required = true, num_args = 1..=2, value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kernels: Vec<String>,

    /// Modules of your own kernel: `lib/modules/<release>`, or a directory above it; repeatable
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Vec<PathBuf>,

    /// Keep only these kinds
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) only: Vec<Offer>,

    /// Keep only what has this in its name, e.g. `ringbuf`
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) name: Option<String>,

    /// How to write it
    #[arg(short, long, default_value = "text")]
    pub(crate) format: FeaturesFormat,

    /// Give up on a kernel after this long; five times longer under tcg
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration, help_heading = "Machine options")]
    pub(crate) timeout: Duration,

    /// How to run guests: kvm needs a host on which a kernel really boots, tcg needs nothing
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) accel: Accel,

    /// How guests reach the host
    #[arg(long, default_value = "auto", help_heading = "Machine options")]
    pub(crate) transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Offer {
    Settings,
    ProgramTypes,
    MapTypes,
    Helpers,
    Kfuncs,
    StructOps,
    LinkTypes,
    Commands,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FeaturesFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Add {
    /// What to follow: `debian-<release>-<series>[-<flavour>]`
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,

    /// Architecture to add it for; repeatable [default: `x86_64`]
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub(crate) arch: Vec<Arch>,

    /// Look in this suite alone, e.g. where a mirror serves another one's index half
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,

    #[command(flatten)]
    pub(crate) lock: LockFile,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// Names in the lock; all of them without one
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Look in this suite alone, e.g. where a mirror serves another one's index half
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,

    #[command(flatten)]
    pub(crate) lock: LockFile,
}

#[derive(Debug, Args)]
pub(crate) struct Booted {
    /// Reports of runs on the locked kernels
    #[arg(value_name = "report.json", required = true)]
    pub(crate) reports: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) lock: LockFile,
}

#[derive(Debug, Args)]
pub(crate) struct LockFile {
    /// The lock to write
    #[arg(
        long,
        env = "UKCI_LOCK",
        value_name = "FILE",
        default_value = "kernels/lock.json"
    )]
    pub(crate) lock: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// Names in the catalogue
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Architecture to fetch them for; repeatable [default: those of the matrix, all of a NAME]
    #[arg(long, value_name = "ARCH", value_parser = arch)]
    pub(crate) arch: Vec<Arch>,

    /// Fetch every kernel of a matrix
    #[arg(short, long, value_name = "NAME|FILE")]
    pub(crate) matrix: Option<String>,

    /// Take only the locked bytes
    #[arg(long)]
    pub(crate) locked: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Unpack {
    /// Name in the catalogue; with `--image`, none
    #[arg(
        value_name = "NAME",
        required_unless_present = "image",
        conflicts_with = "image"
    )]
    pub(crate) name: Option<String>,

    /// The packages that the lock pins, in any order
    #[arg(value_name = "PACKAGE", required_unless_present = "image")]
    pub(crate) packages: Vec<PathBuf>,

    /// Architecture
    #[arg(long, value_name = "ARCH", default_value = "x86_64")]
    pub(crate) arch: Arch,

    /// Kernel of your own in place of the catalogue's: a bzImage, vmlinux or Image
    #[arg(long, value_name = "PATH")]
    pub(crate) image: Option<PathBuf>,

    /// Modules of your own kernel: `lib/modules/<release>`, or a directory above it; repeatable
    #[arg(long, value_name = "DIR", requires = "image")]
    pub(crate) modules: Vec<PathBuf>,

    /// Directory for the boot files; it must not be there yet
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Initramfs {
    /// Directory with the kernel's boot files, as `kernels unpack` fills it
    #[arg(value_name = "DIR")]
    pub(crate) kernel: PathBuf,

    /// The static agent
    #[arg(long, value_name = "FILE")]
    pub(crate) agent: PathBuf,

    /// The archive to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Code, e.g. `UNSUPPORTED_HELPER`; without one, all are listed
    pub(crate) code: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Load,
    Attach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accel {
    Auto,
    Kvm,
    Tcg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    Auto,
    VhostVsock,
    VhostUserVsock,
    VirtioSerial,
}

/// A report format and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) kind: FormatKind,
    pub(crate) path: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatKind {
    Json,
    Markdown,
    Github,
    Junit,
    Html,
}

fn format(text: &str) -> Result<Format, String> {
    let (name, path) = match text.split_once('=') {
        Some((name, path)) => (name, Some(PathBuf::from(path))),
        None => (text, None),
    };
    if path
        .as_ref()
        .is_some_and(|path| path.as_os_str().is_empty())
    {
        return Err("the path is empty".into());
    }
    let kind = FormatKind::from_str(name, false)
        .map_err(|_| format!("`{name}` is none of json, markdown, github, junit, html"))?;
    Ok(Format { kind, path })
}

fn llvm(text: &str) -> Result<String, String> {
    match text.parse::<u32>() {
        Ok(major) if major > 0 && text == major.to_string() => Ok(text.to_owned()),
        _ => Err("it is a major version, e.g. 19".to_owned()),
    }
}

fn vmlinux_h(text: &str) -> Result<vmlinux::Source, String> {
    match text {
        "auto" => Ok(vmlinux::Source::Auto),
        "" => Err("the path is empty".to_owned()),
        file => Ok(vmlinux::Source::File(file.into())),
    }
}

fn arch(text: &str) -> Result<Arch, String> {
    text.parse().map_err(|error: UnknownArch| error.to_string())
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("it must be longer than nothing".into());
    }
    Ok(duration)
}
