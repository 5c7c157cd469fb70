//! The option that says whether a command gets a terminal.

use clap::{Args, ValueEnum};

/// Whether the command has a terminal in the guest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tty {
    /// If standard input and standard output of ukci are a terminal, and one cell is selected
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Terminal {
    /// Give the command a terminal
    ///
    /// Its standard input, output and error are then one terminal in the guest, which has the size of
    /// yours. What you type goes to the command, including Ctrl-C. A terminal has one output, so
    /// standard error is not separate.
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Command options"
    )]
    pub(crate) tty: Tty,
}

impl Terminal {
    /// What was asked for, if it is not left to ukci.
    pub(super) fn asked(self) -> Option<String> {
        let asked = (self.tty != Tty::Auto).then(|| self.tty.to_possible_value());
        Some(asked??.get_name().to_owned())
    }
}
