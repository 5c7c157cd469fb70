//! The serial console: follows the file that QEMU writes, and recognizes a panic, an oops and a
//! stall.
//!
//! A guest's console is untrusted: lines are bounded in length and number, and control characters
//! never reach a terminal.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ukci_judge::stall;

use crate::render::is_active;

/// The file that QEMU writes the console to, in a cell's evidence directory.
pub(crate) const CONSOLE_LOG: &str = "console.log";

/// The console of the saved guest, beside that of its copy.
pub(crate) const TEMPLATE_CONSOLE_LOG: &str = "template-console.log";

/// Lines kept, and most lines of an excerpt or a tail.
const LINES_KEPT: usize = 200;

/// Longest line kept, in bytes. A kernel's own lines end at 1 KiB (`PRINTKRB_RECORD_MAX`).
const LONGEST_LINE: usize = 1024;

/// Most bytes read each time, so that a guest that prints without end cannot hold its watcher. A
/// serial line carries some 200 kB a second under TCG.
const READ_LIMIT: u64 = 64 << 20;

/// Lines of an excerpt before the one that opens a report, and from it on.
const LINES_BEFORE: usize = 4;
const LINES_FROM: usize = 36;

/// What a line of console text reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Splat {
    /// `Kernel panic - not syncing`: the kernel is gone.
    Panic,
    /// An oops: the kernel has hit a bug of its own.
    Oops,
    /// A CPU, a task or RCU makes no progress. A host that keeps the guest from running causes
    /// the same reports, so this ends nothing.
    Stall,
}

/// What a line reports, by the kernel's own words (5.10 to 7.3).
pub fn splat(line: &str) -> Option<Splat> {
    const OOPS: &[&str] = &[
        "Oops: ",
        "BUG: ",
        "kernel BUG at ",
        "general protection fault",
        "double fault: ",
        // arm64 and riscv64
        "Unable to handle kernel ",
        "Internal error: ",
    ];
    let any = |words: &[&str]| words.iter().any(|word| has_word(line, word));
    if has_word(line, "Kernel panic - not syncing") {
        Some(Splat::Panic)
    } else if any(stall::OPENINGS) {
        Some(Splat::Stall)
    } else if any(OOPS) {
        Some(Splat::Oops)
    } else {
        None
    }
}

/// Whether the kernel says that it ends because somebody wanted it to.
fn has_ended_well(line: &str) -> bool {
    const ENDS: &[&str] = &[
        "reboot: Power down",
        "reboot: Restarting system",
        "reboot: System halted",
        "sysrq: Resetting",
    ];
    ENDS.iter().any(|words| has_word(line, words))
}

/// Whether `words` stand in `line`, not as the end of a longer word as in `DEBUG: `.
fn has_word(line: &str, words: &str) -> bool {
    line.match_indices(words)
        .any(|(at, _)| !line[..at].ends_with(|before: char| before.is_ascii_alphanumeric()))
}

/// A line without escape sequences, control characters and marks of direction, at most [`LONGEST_LINE`] bytes.
pub fn clean(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(LONGEST_LINE)]);
    let mut cleaned = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            // CSI: parameters and intermediates, then one final byte. Other sequences are two
            // characters long.
            '\u{1b}' => {
                if characters.next() == Some('[') {
                    while characters.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
                }
            }
            '\t' => cleaned.push(' '),
            c if is_active(c) => {}
            c => cleaned.push(c),
        }
    }
    cleaned.truncate(cleaned.trim_end().len());
    cleaned
}

/// What the console has shown: its last lines, and what the kernel reported of itself.
#[derive(Debug, Default)]
pub struct Console {
    lines: VecDeque<String>,
    /// A line whose end has not arrived.
    partial: Vec<u8>,
    /// Number of the line that opened the report of an oops or a panic, counted from the first
    /// line there was.
    opening: Option<(usize, String)>,
    /// The same of the first stall.
    stall: Option<(usize, String)>,
    /// How many lines there were.
    count: usize,
    state: State,
}

/// What the console says of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// No panic was seen.
    #[default]
    Running,
    /// It panicked; the first line of the report, which is an oops's where one led to the panic.
    Panicked(String),
}

impl Console {
    /// Takes what was printed.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.fill(&bytes[..end]);
            let line = std::mem::take(&mut self.partial);
            self.line(clean(&line));
            bytes = &bytes[end + 1..];
        }
        self.fill(bytes);
    }

    /// Adds to the partial line, which never grows over its limit.
    fn fill(&mut self, bytes: &[u8]) {
        let room = LONGEST_LINE - self.partial.len().min(LONGEST_LINE);
        self.partial
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn line(&mut self, line: String) {
        if line.is_empty() {
            return;
        }
        match splat(&line) {
            Some(Splat::Oops) => self.open(&line),
            Some(Splat::Panic) => {
                self.open(&line);
                if let (State::Running, Some((_, first))) = (&self.state, &self.opening) {
                    self.state = State::Panicked(first.clone());
                }
            }
            None if has_ended_well(&line) => {
                // A kernel that has panicked says no such thing: the words were a program's.
                self.state = State::Running;
            }
            Some(Splat::Stall) => {
                self.stall
                    .get_or_insert_with(|| (self.count, without_time(&line).to_owned()));
            }
            None => {}
        }
        self.count += 1;
        self.lines.push_back(line);
        if self.lines.len() > LINES_KEPT {
            self.lines.pop_front();
        }
    }

    fn open(&mut self, line: &str) {
        self.opening
            .get_or_insert_with(|| (self.count, without_time(line).to_owned()));
    }

    /// What it says of the kernel so far.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The first line that reported a stall.
    pub fn stall(&self) -> Option<&str> {
        self.stall.as_ref().map(|(_, line)| line.as_str())
    }

    /// The last lines, oldest first; where the kernel reported an oops, a panic or a stall, the
    /// lines around the beginning of that report instead.
    pub fn excerpt(&self) -> Vec<String> {
        let dropped = self.count - self.lines.len();
        let partial = clean(&self.partial);
        let lines = self
            .lines
            .iter()
            .cloned()
            .chain((!partial.is_empty()).then_some(partial));
        let start = match self.opening.as_ref().or(self.stall.as_ref()) {
            Some((number, _)) => number.saturating_sub(dropped + LINES_BEFORE),
            None => (self.lines.len()).saturating_sub(LINES_BEFORE + LINES_FROM),
        };
        lines.skip(start).take(LINES_BEFORE + LINES_FROM).collect()
    }
}

/// A kernel line without its `[    1.234567] `.
fn without_time(line: &str) -> &str {
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(time, _)| {
            time.bytes()
                .all(|b| b.is_ascii_digit() || b" .T".contains(&b))
        })
        .map_or(line, |(_, rest)| rest)
}

/// The last line of a log that is not empty, at most 300 characters of it.
pub(crate) fn last_line(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.size();
    file.seek(SeekFrom::Start(length.saturating_sub(4096)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(4096).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())?;
    Some(clean(line.as_bytes()).chars().take(300).collect())
}

/// A [`Console`] that is read from a growing file.
#[derive(Debug)]
pub struct Follower {
    file: File,
    console: Console,
}

impl Follower {
    /// Follows the file at `path`, which must exist.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            console: Console::default(),
        })
    }

    /// Reads what has been written since. Regular files never make a reader wait, so this is
    /// plain I/O on whatever thread asks.
    pub fn catch_up(&mut self) -> &Console {
        let mut file = (&self.file).take(READ_LIMIT);
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match file.read(&mut bytes) {
                Ok(0) => break,
                Ok(length) => self.console.push(&bytes[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot read the console file");
                    break;
                }
            }
        }
        &self.console
    }
}

#[cfg(test)]
mod tests;
