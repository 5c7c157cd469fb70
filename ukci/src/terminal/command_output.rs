//! Shows what several commands write, line by line with the cell's id.

use std::collections::BTreeMap;

use ukci_harness::command::{Chunk, StreamName};
use ukci_harness::render::harmless;

use crate::text::{Text, text};

/// Most bytes of a line without an end that are held back.
const LONGEST: usize = 4096;

/// Lines of several commands.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The beginning of each cell's next line, by the cell's id.
    begun: BTreeMap<(String, StreamName), Vec<u8>>,
}

impl Lines {
    /// The lines that this piece completes, each with its id before it.
    pub(super) fn completed(&mut self, id: &Text, chunk: &Chunk) -> Text {
        let key = (id.to_string(), chunk.stream);
        let begun = self.begun.entry(key).or_default();
        begun.extend_from_slice(&chunk.bytes);
        let mut text = Text::default();
        while let Some(end) = begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = begun.drain(..=end).collect();
            text.push(&shown(id, &line[..end]));
        }
        if begun.len() > LONGEST {
            let line = std::mem::take(begun);
            text.push(&shown(id, &line));
        }
        text
    }

    /// The last lines of a cell that ended, if they have no end of their own.
    pub(super) fn rest(&mut self, id: &Text) -> Vec<(StreamName, Text)> {
        let mut rest = Vec::new();
        for stream in [StreamName::Stdout, StreamName::Stderr] {
            let begun = self.begun.remove(&(id.to_string(), stream));
            if let Some(line) = begun.filter(|line| !line.is_empty()) {
                rest.push((stream, shown(id, &line)));
            }
        }
        rest
    }
}

fn shown(id: &Text, line: &[u8]) -> Text {
    let line = String::from_utf8_lossy(line);
    text!("{} | {}\n", id, harmless(line.trim_end_matches('\r')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_cells_are_not_mixed() {
        let chunk = |bytes: &[u8]| Chunk {
            stream: StreamName::Stdout,
            bytes: bytes.to_vec(),
        };
        let (a, b) = (Text::from("a"), Text::from("b"));
        let mut lines = Lines::default();
        assert_eq!(&*lines.completed(&a, &chunk(b"one\ntw")), "a | one\n");
        assert_eq!(&*lines.completed(&b, &chunk(b"x\n")), "b | x\n");
        let text = lines.completed(&a, &chunk(b"o\n\x1b[2J"));
        assert_eq!(&*text, "a | two\n");
        let rest = lines.rest(&a);
        assert_eq!(rest.len(), 1);
        assert!(!rest[0].1.contains('\u{1b}'), "{rest:?}");
        assert_eq!(lines.rest(&b), []);
        let long = lines.completed(&a, &chunk(&[b'x'; LONGEST + 1]));
        assert_eq!(long.lines().count(), 1);
    }
}
