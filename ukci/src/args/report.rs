//! `ukci report`: what can be done with reports after a run.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::format::{self, Format};

pub(super) const HELP: &str = "\
Examples:
  ukci report render ukci-out
  ukci report diff yesterday today --fail-on new-failures
  ukci report merge shard-1 shard-2 --out all
  ukci report verifier ukci-out --max-insns 500000";

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Print a report as the run itself printed it, or render it in other formats
    #[command(after_help = RENDER_HELP)]
    Render(Render),
    /// Merge reports from shards, or from an interrupted run and its continuation
    Merge(Merge),
    /// Show what changed between two reports
    ///
    /// It ends with status 2 if something got worse. `--fail-on` says what counts as worse.
    #[command(after_help = DIFF_HELP)]
    Diff(Diff),
    /// Show how much work each program was for the verifier
    ///
    /// The programs that come closest to the verifier's limit are printed first, with one line for
    /// each kernel, architecture and LLVM.
    Verifier(Verifier),
    /// Print the JSON Schema of `report.json`
    Schema,
}

const RENDER_HELP: &str = "\
Examples:
  ukci report render ukci-out
  ukci report render ukci-out --format html=report.html --format junit=junit.xml
  ukci report render ukci-out --format markdown | less";

#[derive(Debug, Args)]
pub(crate) struct Render {
    /// Report, or the directory that holds it. `-` is standard input
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,

    /// Format to render: json, markdown, github, junit or html. Can be repeated
    ///
    /// It is written to standard output, or to the path after `=`. Without this option, ukci prints
    /// the text that a run prints at its end.
    #[arg(short, long, value_name = "FORMAT[=PATH]", value_parser = format::parse)]
    pub(crate) format: Vec<Format>,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// Reports, or the directories that hold them
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<PathBuf>,

    /// Directory for the merged report and for the evidence of all reports
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

const DIFF_HELP: &str = "\
What `--fail-on` takes:
  new-failures  a required cell fails that did not fail before, or is new
  removed       a cell is missing in the later report
  changed       a cell ended differently, for better or worse
  growth        the verifier needs over `--max-growth-percent` more instructions
  never         nothing: differences are only shown";

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The earlier report, or the directory that holds it
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,

    /// The later report, or the directory that holds it
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,

    /// Which changes end the command with status 2, separated by commas
    #[arg(
        long,
        value_name = "WHAT",
        value_delimiter = ',',
        default_value = "new-failures,removed"
    )]
    pub(crate) fail_on: Vec<FailOn>,

    /// How many percent more instructions are allowed, with `--fail-on growth`
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) max_growth_percent: u32,

    /// How to print the table
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    NewFailures,
    Removed,
    Changed,
    Growth,
    Never,
}

#[derive(Debug, Args)]
pub(crate) struct Verifier {
    /// Reports, or the directories that hold them
    ///
    /// If a cell is in several reports, the last one counts.
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<PathBuf>,

    /// Report to compare with
    #[arg(long, value_name = "REPORT")]
    pub(crate) baseline: Option<PathBuf>,

    /// End with status 2 if a program takes more instructions than this
    #[arg(long, value_name = "N")]
    pub(crate) max_insns: Option<u64>,

    /// End with status 2 if a program takes this many percent more than in the baseline
    #[arg(long, value_name = "N", requires = "baseline")]
    pub(crate) max_growth_percent: Option<u32>,

    /// Only show the first N programs
    ///
    /// `--max-insns` and `--max-growth-percent` still look at all of them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) top: Option<u16>,

    /// Only show this program. Can be repeated
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) program: Vec<String>,

    /// How to print the table
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Shape,
}

/// How a table is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shape {
    Text,
    Markdown,
    Json,
}
