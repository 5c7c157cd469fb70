//! The command line. Every doc comment here is manual text.

pub(crate) mod report;
pub(crate) mod rerun;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, Styles, styling::AnsiColor};
use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Render, merge and compare reports
    #[command(subcommand)]
    Report(report::Report),
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
    /// Object to check
    #[arg(value_name = "X.bpf.o", required_unless_present = "artifact")]
    pub(crate) artifacts: Vec<PathBuf>,

    /// Object to check, as an option; repeatable
    #[arg(long, value_name = "X.bpf.o")]
    pub(crate) artifact: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) selection: Selection,

    /// How far to go: only load, or attach as well
    #[arg(long, default_value = "attach")]
    pub(crate) mode: Mode,

    /// Fail a cell of which a program could not be attempted
    #[arg(long)]
    pub(crate) strict: bool,

    /// Take only the locked bytes; else the newest version that the distribution signed is taken,
    /// with a warning, where the locked one is gone
    #[arg(long, env = "UKCI_LOCKED", value_parser = clap::builder::FalseyValueParser::new())]
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

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cell selection")]
pub(crate) struct Selection {
    /// Matrix to run: quick, lts, full, quirks, or a path to a TOML file [default: quick, without `--kernel`]
    #[arg(short, long, env = "UKCI_MATRIX", value_name = "NAME|FILE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) matrix: Option<String>,

    /// Kernel to run on: a name of the catalogue, or the path of a bzImage or vmlinux of your own
    /// (with a `/`); with a matrix, keep only this kernel of it; repeatable
    #[arg(short, long, value_name = "NAME|PATH", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) kernel: Vec<String>,

    /// Keep only a share of the cells, in turn or by a hash of their ids, for the m-th of n runners
    #[arg(long, value_name = "count:M/N|hash:M/N")]
    pub(crate) partition: Option<Partition>,

    /// Modules of your own kernel: `lib/modules/<release>`, or a directory above it; repeatable
    #[arg(long, value_name = "DIR", requires = "kernel")]
    pub(crate) modules: Vec<PathBuf>,
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
    /// Show one kernel: its packages, digests and files
    Show {
        /// Name in the catalogue
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// Names in the catalogue
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Fetch every kernel of a matrix
    #[arg(short, long, value_name = "NAME|FILE")]
    pub(crate) matrix: Option<String>,

    /// Take only the locked bytes
    #[arg(long)]
    pub(crate) locked: bool,
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

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if duration.is_zero() {
        return Err("it must be longer than nothing".into());
    }
    Ok(duration)
}
