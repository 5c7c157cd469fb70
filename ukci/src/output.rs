//! Where words go: people read stderr, programs stdout. The only file that writes to either.

use std::io::{IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use crate::args::{Color, Global};

/// Green: as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Red: not so.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Yellow: look here.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default().bold();
/// Magenta: nobody knows.
pub(crate) const UNKNOWN: Style = AnsiColor::Magenta.on_default().bold();
/// Cyan: an action.
pub(crate) const HINT: Style = AnsiColor::Cyan.on_default().bold();
/// Beside the point.
pub(crate) const QUIET: Style = Style::new().dimmed();

/// `text` in `style`; styles are dropped where the stream has none.
pub(crate) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// How much is said, and how.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for alone")]
pub(crate) struct Output {
    color: ColorChoice,
    /// Whether anything but problems is said.
    pub(crate) chatty: bool,
    /// Whether anything is said at all.
    pub(crate) silent: bool,
    /// Whether stages are told.
    pub(crate) stages: bool,
    /// Whether there is a live display.
    pub(crate) live: bool,
}

impl Output {
    /// From the command line and what stderr is.
    pub(crate) fn new(global: &Global) -> Self {
        let color = match global.color {
            Color::Auto => AutoStream::choice(&std::io::stderr()),
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let terminal = std::io::stderr().is_terminal();
        Self {
            color,
            chatty: global.quiet == 0,
            silent: global.quiet > 1,
            stages: global.verbose > 0,
            live: terminal && !global.no_progress && global.quiet == 0 && global.verbose == 0,
        }
    }

    /// Text for stderr as this terminal takes it.
    pub(crate) fn styled(self, text: &str) -> String {
        match self.color {
            ColorChoice::Never => anstream::adapter::strip_str(text).to_string(),
            _ => text.to_owned(),
        }
    }

    /// Says a block of lines to people, at once, so that nothing comes between.
    pub(crate) fn say(self, text: &str) {
        if self.silent {
            return;
        }
        let mut block = self.styled(text);
        if !block.ends_with('\n') {
            block.push('\n');
        }
        // Nobody is left to tell when stderr is gone.
        let _ = std::io::stderr().lock().write_all(block.as_bytes());
    }
}

/// Writes data to stdout. A reader that has seen enough is no error.
pub(crate) fn data(text: &str) -> std::io::Result<()> {
    let mut stdout = AutoStream::auto(std::io::stdout().lock());
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
