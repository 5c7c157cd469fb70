//! `ukci report`: what is done with reports after a run.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand, ValueEnum};

use super::{Format, format};

pub(super) const HELP: &str = "\
Examples:
  ukci report render ukci-out
  ukci report diff yesterday today --fail-on new-failures
  ukci report merge shard-1 shard-2 --out all
  ukci report verifier ukci-out --max-insns 500000";

#[derive(Debug, Subcommand)]
pub(crate) enum Report {
    /// Show a report as at the end of its run, or render it in other formats
    #[command(after_help = RENDER_HELP)]
    Render(Render),
    /// Make one report of several: shards of a matrix, or an interrupted run and its rest
    Merge(Merge),
    /// Show what changed between two reports; exit 2 where it got worse
    #[command(after_help = DIFF_HELP)]
    Diff(Diff),
    /// Show what the verifier spent on each program, on every kernel and LLVM
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
    /// Report, or the directory that holds it; `-` is stdin
    #[arg(value_name = "REPORT")]
    pub(crate) report: PathBuf,

    /// Format (json, markdown, github, junit or html), and where it goes: stdout, or a path;
    /// repeatable [default: text, as at the end of a run]
    #[arg(short, long, value_name = "FORMAT[=PATH]", value_parser = format)]
    pub(crate) format: Vec<Format>,
}

#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// Reports, or the directories that hold them
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<PathBuf>,

    /// Directory for the merged report and the evidence of all
    #[arg(short, long, value_name = "DIR")]
    pub(crate) out: PathBuf,
}

const DIFF_HELP: &str = "\
What `--fail-on` takes:
  new-failures  a required cell does not meet its expectation, and did so before or is new
  removed       a cell is gone
  changed       a cell ended otherwise, for better or worse
  growth        the verifier needs more than `--max-growth-percent` more instructions
  never         nothing: only show";

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The earlier report, or the directory that holds it
    #[arg(value_name = "OLD")]
    pub(crate) old: PathBuf,

    /// The later report, or the directory that holds it
    #[arg(value_name = "NEW")]
    pub(crate) new: PathBuf,

    /// What makes it exit with 2
    #[arg(
        long,
        value_name = "WHAT",
        value_delimiter = ',',
        default_value = "new-failures,removed"
    )]
    pub(crate) fail_on: Vec<FailOn>,

    /// How much more a program may cost the verifier, with `--fail-on growth`
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) max_growth_percent: u32,

    /// How to print it
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
    /// Reports, or the directories that hold them; of a cell in several the last counts
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<PathBuf>,

    /// Report to compare with
    #[arg(long, value_name = "REPORT")]
    pub(crate) baseline: Option<PathBuf>,

    /// Exit with 2 where a program takes more instructions than this
    #[arg(long, value_name = "N")]
    pub(crate) max_insns: Option<u64>,

    /// Exit with 2 where a program takes this much more than in the baseline
    #[arg(long, value_name = "N", requires = "baseline")]
    pub(crate) max_growth_percent: Option<u32>,

    /// Show only this program; repeatable
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) program: Vec<String>,

    /// How to print it
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
