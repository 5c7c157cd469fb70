//! The command line. Every doc comment here is manual text.

mod check;
mod kernels;
mod list;
mod machine;
mod outputs;
mod plan;
pub(crate) mod report;
pub(crate) mod rerun;
mod selection;
pub(crate) mod shell;

use std::path::PathBuf;

use clap::builder::{Styles, styling::AnsiColor};
use clap::{Args, Parser, Subcommand, ValueEnum};
use ukci_schema::cell::{Arch, UnknownArch};

use crate::exit;

pub(crate) use check::{Check, Mode};
pub(crate) use kernels::{
    Add, Booted, Features, FeaturesFormat, Fetch, Initramfs, Kernels, Offer, Show, Unpack, Update,
};
pub(crate) use list::{List, ListFormat};
pub(crate) use machine::{Accel, Machines, Transport};
pub(crate) use outputs::Outputs;
pub(crate) use plan::Plan;
pub(crate) use selection::{Compilation, ManifestOf, Selection};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const START: &str = "\
Start with:
  ukci doctor                         whether this host can run cells, and how fast
  ukci check x.bpf.o                  on five kernels, from 5.10 to the newest
  ukci check x.bpf.o --matrix full    on every x86_64 kernel of the catalogue
  ukci explain MISSING_BTF            what a diagnosis means

";

/// Load an eBPF object on every kernel you ship to, and say why where it fails
#[derive(Debug, Parser)]
#[command(
    name = "ukci",
    version,
    styles = STYLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = START.to_owned() + exit::HELP,
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
    /// Check objects on real kernels
    #[command(after_help = check::HELP)]
    Check(Box<Check>),
    /// List the cells of a matrix, and the ids that other commands take
    #[command(after_help = list::HELP)]
    List(Box<List>),
    /// Run cells of a report again, from the same bytes
    #[command(after_help = rerun::HELP, mut_arg("out", |out| out.default_value("ukci-rerun")))]
    Rerun(Box<rerun::Rerun>),
    /// Boot a cell of a report and look around in it
    #[command(after_help = shell::HELP)]
    Shell(shell::Shell),
    /// Show, render, merge and compare reports
    #[command(subcommand, after_help = report::HELP)]
    Report(report::Report),
    /// Resolve a matrix to files by digest, for `check --plan`
    #[command(after_help = plan::HELP)]
    Plan(Box<Plan>),
    /// List, fetch and compare the kernels of the catalogue
    #[command(subcommand, after_help = kernels::HELP)]
    Kernels(Kernels),
    /// See whether this host can run cells
    Doctor,
    /// Explain a diagnosis: what it means, its causes, its remedies
    Explain(Explain),
}

#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Code, e.g. `UNSUPPORTED_HELPER`; without one, all are listed
    pub(crate) code: Option<String>,
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

fn arch(text: &str) -> Result<Arch, String> {
    text.parse().map_err(|error: UnknownArch| error.to_string())
}
