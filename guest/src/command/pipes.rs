//! The ends of a command's standard streams that are the agent's.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use ukci_schema::message::FrameKind;

use super::libbpf_lines::LibbpfLines;
use super::terminal::Terminal;

/// Bytes kept of the end of each stream.
const TAIL: usize = 4096;

/// One of the two outputs, until it ends.
pub(super) struct Stream {
    pub(super) kind: FrameKind,
    pub(super) pipe: Option<File>,
    pub(super) bytes: u64,
    pub(super) tail: Vec<u8>,
    /// What libbpf printed in it.
    pub(super) libbpf: LibbpfLines,
}

impl Stream {
    pub(super) fn new(kind: FrameKind, pipe: OwnedFd) -> Self {
        Self {
            kind,
            pipe: Some(File::from(pipe)),
            bytes: 0,
            tail: Vec::new(),
            libbpf: LibbpfLines::default(),
        }
    }

    pub(super) fn took(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.libbpf.took(bytes);
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    /// How many bytes there were, and the last of them, from the beginning of a line if any begins
    /// there.
    pub(super) fn end(&self) -> (u64, String) {
        let mut tail = &self.tail[self.tail.len().saturating_sub(TAIL)..];
        if self.bytes > tail.len() as u64
            && let Some(line) = tail.iter().position(|byte| *byte == b'\n')
        {
            tail = &tail[line + 1..];
        }
        (self.bytes, String::from_utf8_lossy(tail).into_owned())
    }
}

/// The way to the command's standard input.
pub(super) struct Input {
    pub(super) pipe: Option<File>,
    /// What the host sent and the command has not taken yet.
    pub(super) pending: Vec<u8>,
    /// Nothing comes after it.
    ends: bool,
    /// Whether what came last ended in the middle of a line.
    in_line: bool,
}

impl Input {
    pub(super) fn new(pipe: OwnedFd) -> io::Result<Self> {
        // Its other end, which the command reads, stays as it is.
        let flags = fcntl_getfl(&pipe)?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)?;
        Ok(Self {
            pipe: Some(File::from(pipe)),
            pending: Vec::new(),
            ends: false,
            in_line: false,
        })
    }

    /// Takes what the host sent, of which nothing is the end. A terminal's end is typed, once more
    /// where a line has begun: there it ends the line only.
    pub(super) fn take(&mut self, bytes: Vec<u8>, terminal: Option<&Terminal>) {
        self.ends |= bytes.is_empty();
        self.pending = match (bytes.is_empty(), terminal) {
            (true, Some(terminal)) => vec![terminal.end_of_input(); 1 + usize::from(self.in_line)],
            _ => bytes,
        };
        self.in_line = self.pending.last().is_some_and(|byte| *byte != b'\n');
    }

    /// Writes what the command takes now. Returns whether all of it is gone: a command that has
    /// closed its input takes everything.
    pub(super) fn write(&mut self) -> bool {
        while let Some(pipe) = &mut self.pipe {
            if self.pending.is_empty() {
                if self.ends {
                    self.pipe = None;
                }
                break;
            }
            match pipe.write(&self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.pipe = None,
            }
        }
        self.pending.clear();
        true
    }
}

#[cfg(test)]
mod tests {
    use ukci_schema::message::FrameKind;

    use super::{Input, Stream, TAIL};

    #[test]
    fn the_end_of_a_stream_begins_with_a_line() {
        let (_keep, pipe) = std::io::pipe().unwrap();
        let mut stream = Stream::new(FrameKind::Stdout, pipe.into());
        for n in 0..5000 {
            stream.took(format!("line {n}\n").as_bytes());
        }
        let (bytes, tail) = stream.end();
        assert_eq!(bytes, 48890);
        assert!(tail.len() <= TAIL && tail.ends_with("line 4999\n"));
        assert!(tail.starts_with("line "), "{tail}");
    }

    #[test]
    fn input_that_nobody_reads_waits_and_input_that_was_closed_is_dropped() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut input = Input::new(writer.into()).unwrap();
        input.pending = vec![7; 1 << 20];
        assert!(!input.write(), "a pipe has not that much room");
        assert!(!input.pending.is_empty());
        drop(reader);
        assert!(input.write());
        assert!(input.pending.is_empty() && input.pipe.is_none());
    }
}
