//! Options that every command has.

use clap::{Args, ValueEnum};

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print only failures, errors and the summary
    ///
    /// If you give it twice, ukci prints nothing, and only the exit status says how the run ended.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: u8,

    /// Show every stage of every cell, and what each stage took
    ///
    /// If you give it twice, ukci also prints its internal log, with a time on each line.
    /// `UKCI_LOG` selects the messages: `UKCI_LOG=ukci_harness=trace` also shows each message to
    /// and from the guest.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,

    /// When to print in color
    #[arg(long, value_name = "WHEN", default_value = "auto", global = true)]
    pub(crate) color: Color,

    /// Print one line per cell instead of the live display
    #[arg(long, env = "UKCI_NO_PROGRESS", hide_env = true, value_parser = clap::builder::FalseyValueParser::new(), global = true)]
    pub(crate) no_progress: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// In color if the output is a terminal
    Auto,
    /// Always in color
    Always,
    /// Never in color
    Never,
}
