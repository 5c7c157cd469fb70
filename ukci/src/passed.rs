//! Passes the output of a command on, as if the command ran here.

use std::collections::BTreeSet;
use std::io::{Error, ErrorKind};

use ukci_harness::command::{Chunk, Closer, StreamName};

use crate::output::pass_through;

/// What became of the output that was passed on.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// The streams that take nothing any more.
    closed: BTreeSet<StreamName>,
    /// The first error that is none of a reader that went away.
    lost: Option<(StreamName, Error)>,
}

impl Passed {
    /// Writes what a command wrote to the stream of the same name. Where that cannot be written, the
    /// command's own output is closed, as if the command had met the error itself.
    pub(crate) fn pass(&mut self, chunk: &Chunk, closer: &Closer) {
        let close = || closer.close(chunk.stream);
        self.pass_to(chunk.stream, &chunk.bytes, close, pass_through);
    }

    /// Writes what one of several commands wrote to a stream. Where that cannot be written, the others go
    /// on, and nothing more is written to it.
    pub(crate) fn show(&mut self, stream: StreamName, text: &[u8]) {
        self.pass_to(stream, text, || {}, pass_through);
    }

    fn pass_to(
        &mut self,
        stream: StreamName,
        bytes: &[u8],
        close: impl FnOnce(),
        write: impl FnOnce(StreamName, &[u8]) -> std::io::Result<()>,
    ) {
        if self.closed.contains(&stream) {
            // The cell may have been booted again.
            return close();
        }
        let Err(error) = write(stream, bytes) else {
            return;
        };
        self.closed.insert(stream);
        close();
        if error.kind() != ErrorKind::BrokenPipe && self.lost.is_none() {
            self.lost = Some((stream, error));
        }
    }

    /// Why output was lost that somebody wanted, as a sentence.
    pub(crate) fn lost(&self) -> Option<String> {
        let (stream, error) = self.lost.as_ref()?;
        let name = match stream {
            StreamName::Stdout => "standard output",
            StreamName::Stderr => "standard error",
        };
        Some(format!(
            "failed to write the command's output to {name}: {error}"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_cannot_be_written_is_closed_and_only_a_reader_may_go_away_silently() {
        let mut passed = Passed::default();
        let mut closed = 0;
        let (stdout, stderr) = (StreamName::Stdout, StreamName::Stderr);
        passed.pass_to(stdout, b"x", || closed += 1, |_, _| Ok(()));
        assert_eq!(closed, 0);
        let gone = |_, _: &[u8]| Err(ErrorKind::BrokenPipe.into());
        passed.pass_to(stdout, b"x", || closed += 1, gone);
        passed.pass_to(
            stdout,
            b"x",
            || closed += 1,
            |_, _| panic!("nothing is written any more"),
        );
        assert_eq!((closed, passed.lost()), (2, None));
        let full = |_, _: &[u8]| Err(ErrorKind::StorageFull.into());
        passed.pass_to(stderr, b"x", || closed += 1, full);
        assert_eq!(closed, 3);
        assert_eq!(
            passed.lost().unwrap(),
            "failed to write the command's output to standard error: no storage space"
        );
    }
}
