//! Writes output: text for people goes to stderr, and data for programs to stdout. No other file
//! writes to either.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use ukci_harness::command::StreamName;
use ukci_harness::render::{harmless, harmless_lines, is_active};

use crate::args::{Color, Global};
use crate::text::{Show, Text, text};

/// Whether a command's output ends within a line, so that words of ours would continue it.
static MID_LINE: AtomicBool = AtomicBool::new(false);

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
/// A heading.
pub(crate) const STRONG: Style = Style::new().bold();
/// Beside the point.
pub(crate) const QUIET: Style = Style::new().dimmed();

/// `text` in `style`; styles are dropped where the stream has none.
pub(crate) fn paint(style: Style, text: impl Show) -> Text {
    text!("{}", text).painted(style)
}

/// A word in the column of our words, in `style`.
pub(crate) fn label(style: Style, word: &'static str) -> Text {
    text!("{:>12}", word).painted(style)
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
    /// Whether stages are printed.
    pub(crate) stages: bool,
    /// Whether there is a live display.
    pub(crate) live: bool,
    /// The widest line of a table.
    pub(crate) width: usize,
}

/// What a line may have where there is no terminal to ask.
const WIDTH: usize = 100;

/// More than any terminal has. Rust pads to less than 65,536 columns and panics beyond.
pub(crate) const WIDEST: usize = 1000;

/// `COLUMNS`, or the terminal's width.
fn width() -> usize {
    let asked = std::env::var("COLUMNS").ok();
    let asked = asked.and_then(|columns| columns.parse().ok());
    let terminal = || {
        let stderr = rustix::termios::tcgetwinsize(std::io::stderr());
        let size = stderr.or_else(|_| rustix::termios::tcgetwinsize(std::io::stdout()));
        size.ok().map(|size| usize::from(size.ws_col))
    };
    let width = asked.or_else(terminal).filter(|&columns| columns > 0);
    width.unwrap_or(WIDTH).min(WIDEST)
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
            width: width(),
        }
    }

    /// The same without anything but problems.
    pub(crate) fn quietly(self) -> Self {
        Self {
            chatty: false,
            live: false,
            stages: false,
            ..self
        }
    }

    /// The same without a live display.
    pub(crate) fn without_display(self) -> Self {
        Self {
            live: false,
            ..self
        }
    }

    /// What a file gets: everything, without colour, in lines of `width`.
    #[cfg(test)]
    pub(crate) fn plain(width: usize) -> Self {
        Self {
            color: ColorChoice::Never,
            chatty: true,
            silent: false,
            stages: false,
            live: false,
            width,
        }
    }

    /// Text for stderr as this terminal takes it.
    pub(crate) fn styled(self, text: &Text) -> String {
        let text = match self.color {
            ColorChoice::Never => anstream::adapter::strip_str(&tame(text)).to_string(),
            _ => tame(text),
        };
        for_people(&text)
    }

    /// Text for stdout, without styles if none were wanted.
    pub(crate) fn fitting(self, text: Text) -> Text {
        match self.color {
            ColorChoice::Never => text.plain(),
            _ => text,
        }
    }

    /// Says a block of lines to people, at once, so that nothing comes between.
    pub(crate) fn say(self, text: &Text) {
        if !self.silent {
            let text = self.styled(text);
            write(if MID_LINE.swap(false, Ordering::Relaxed) {
                format!("\n{text}")
            } else {
                text
            });
        }
    }

    /// Says a warning of the libraries, which may name things of others.
    pub(crate) fn warn(self, warning: &str) {
        let warning = harmless(warning);
        self.say(&text!("{} {}", paint(WARN, "warning:"), warning));
    }

    /// Says workflow commands of ours to GitHub's runner.
    pub(crate) fn command(self, text: &Text) {
        if !self.silent {
            write(tame(text));
        }
    }
}

/// Says what is wrong with the command line.
pub(crate) fn say_usage(error: &clap::Error) {
    let text = for_people(&tame(&error.render().ansi().to_string()));
    let mut stderr = AutoStream::auto(std::io::stderr().lock());
    // Nobody is left to tell when stderr is gone.
    let _ = stderr.write_all(text.as_bytes());
}

/// Says that ukci itself is broken, in place of the standard library, which would quote foreign
/// text as it is.
pub(crate) fn say_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let place = panic.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    let text = of_panic(message, &place.unwrap_or_default(), backtrace.as_deref());
    write(for_people(&text));
}

fn of_panic(message: &str, place: &str, backtrace: Option<&str>) -> Text {
    let mut text = text!(
        "error: ukci panicked: {} ({})\n",
        harmless(message),
        harmless(place)
    );
    if let Some(backtrace) = backtrace {
        text.push_line(&harmless_lines(backtrace).into());
    }
    text.push(&"\nhint: please report this, with the command line and the message\n".into());
    text
}

/// Where `tracing` writes: an event is one write and stays one line, whatever it quotes.
#[derive(Debug, Default)]
pub(crate) struct Traces;

fn of_event(event: &[u8]) -> Text {
    harmless(String::from_utf8_lossy(event).trim_end_matches('\n')).into()
}

impl Write for Traces {
    fn write(&mut self, event: &[u8]) -> std::io::Result<usize> {
        write(for_people(&of_event(event)));
        Ok(event.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Writes a block of lines to stderr, at once, so that nothing comes between.
fn write(mut block: String) {
    if !block.ends_with('\n') {
        block.push('\n');
    }
    // Nobody is left to tell when stderr is gone.
    let _ = std::io::stderr().lock().write_all(block.as_bytes());
}

/// Text for people, of which GitHub's runner takes no line for a command: it reads everything that a
/// step prints, trims each line, and acts on `::name::` at its start and on `##[name]` anywhere.
pub(crate) fn for_people(text: &str) -> String {
    let is_runner = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    if is_runner {
        without_commands(text)
    } else {
        text.to_owned()
    }
}

fn without_commands(text: &str) -> String {
    let mut lines = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let plain = anstream::adapter::strip_str(line).to_string();
        let line = line.replace("##[", "## [");
        if plain.trim_start().starts_with("::") {
            lines.push_str(&line.replacen("::", ": :", 1));
        } else {
            lines.push_str(&line);
        }
    }
    lines
}

/// The text with no other active characters than line breaks and our styles.
///
/// Foreign text is made harmless where it is put in, which also keeps it on its line. This is the
/// second wall: whatever was forgotten there cannot act on a terminal.
fn tame(text: &str) -> String {
    let mut tame = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let style = if c == '\u{1b}' { style_len(rest) } else { 0 };
        if style > 0 {
            tame.push_str(&rest[..style]);
            rest = &rest[style..];
            continue;
        }
        if c != '\n' && c != '\t' && is_active(c) {
            tame.extend(c.escape_unicode());
        } else {
            tame.push(c);
        }
        rest = &rest[c.len_utf8()..];
    }
    tame
}

/// The length of the style (SGR) with which the text begins, or zero.
fn style_len(text: &str) -> usize {
    let Some(parameters) = text.strip_prefix("\u{1b}[") else {
        return 0;
    };
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';');
    match end {
        Some(end) if parameters[end..].starts_with('m') => 2 + end + 1,
        _ => 0,
    }
}

/// Writes text for people to stdout.
pub(crate) fn data_for_people(text: &Text) -> std::io::Result<()> {
    write_data(&for_people(text))
}

/// Writes bytes that a command wrote to the stream of the same name, as if the command ran here.
pub(crate) fn pass_through(stream: StreamName, bytes: &[u8]) -> std::io::Result<()> {
    match stream {
        StreamName::Stdout => {
            let mut stdout = std::io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())?;
        }
        StreamName::Stderr => std::io::stderr().lock().write_all(bytes)?,
    }
    if stream == StreamName::Stderr || is_one_file(std::io::stdout(), std::io::stderr()) {
        let is_open = bytes.last().is_some_and(|last| *last != b'\n');
        MID_LINE.store(is_open, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether two streams lead to the same terminal, pipe or file.
fn is_one_file(one: impl AsFd, other: impl AsFd) -> bool {
    let of = |stream: BorrowedFd<'_>| {
        let found = rustix::fs::fstat(stream).ok()?;
        Some((found.st_dev, found.st_ino))
    };
    of(one.as_fd()).is_some_and(|one| of(other.as_fd()) == Some(one))
}

/// Writes data to stdout. A reader that has seen enough is no error.
pub(crate) fn data(text: &Text) -> std::io::Result<()> {
    write_data(text)
}

fn write_data(text: &str) -> std::io::Result<()> {
    let mut stdout = AutoStream::auto(std::io::stdout().lock());
    match stdout
        .write_all(tame(text).as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::{BAD, of_event, of_panic, paint, tame, without_commands};

    const EVIL: &str = "a\u{1b}[2J\u{9b}\r\n     Summary [   1.000s] 10 cells: 10 passed\u{202e}";

    #[test]
    fn a_panic_and_a_trace_stay_on_their_line() {
        let text = of_panic(EVIL, "main.rs:1:1", None);
        assert_eq!(text.lines().count(), 3, "{text:?}");
        let traced = of_event(format!("DEBUG not remembered path={EVIL}\n").as_bytes());
        assert_eq!(traced.lines().count(), 1);
        for text in [text, traced] {
            assert_eq!(tame(&text), *text);
            assert!(text.contains("10 passed\\u{202e}"), "{text:?}");
        }
    }

    #[test]
    fn no_line_is_a_command_of_the_runner() {
        let text = format!(
            "a\n  ::error::x\n{} ##[group]\nb::c\n",
            &*paint(BAD, "::debug::")
        );
        let shown = without_commands(&text);
        assert!(shown.starts_with("a\n  : :error::x\n"), "{shown}");
        assert!(
            shown.contains(": :debug") && shown.contains("## [group]\nb::c\n"),
            "{shown}"
        );
    }

    #[test]
    fn only_styles_and_line_breaks_pass() {
        let ours = format!("{}\n\tnext", &*paint(BAD, "word"));
        assert_eq!(tame(&ours), ours);
        assert_eq!(
            tame("a\u{1b}]0;t\u{7}b\u{1b}[2Jc\u{9b}31md\re\u{202e}\u{1b}"),
            "a\\u{1b}]0;t\\u{7}b\\u{1b}[2Jc\\u{9b}31md\\u{d}e\\u{202e}\\u{1b}"
        );
    }
}
