//! Picks the lines that libbpf prints out of what a command writes.
//!
//! They say what libbpf decided before it asked the kernel anything, and which CO-RE relocation it could
//! not resolve.

/// Most bytes that are kept.
const MOST: usize = 64 * 1024;

/// Longest line that is looked at.
const LINE: usize = 4096;

/// The lines so far.
#[derive(Debug, Default)]
pub(super) struct LibbpfLines {
    line: Vec<u8>,
    kept: String,
}

impl LibbpfLines {
    /// Takes a piece of the output.
    pub(super) fn took(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE.saturating_sub(self.line.len());
            self.line.extend_from_slice(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.end_of_line();
            }
        }
    }

    fn end_of_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        let line = line.trim_end();
        let wanted = line.starts_with("libbpf: ")
            || line.contains("<invalid CO-RE relocation>")
            || line.starts_with("failed to resolve CO-RE relocation");
        if wanted && self.kept.len() + line.len() < MOST {
            self.kept.push_str(line);
            self.kept.push('\n');
        }
        self.line.clear();
    }

    /// All of them.
    pub(super) fn text(mut self) -> String {
        self.end_of_line();
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::LibbpfLines;

    #[test]
    fn lines_are_found_wherever_the_pieces_end() {
        let mut lines = LibbpfLines::default();
        for piece in ["x\nlibb", "pf: prog 'a': no\nmore\n", "libbpf: last"] {
            lines.took(piece.as_bytes());
        }
        lines.took(&[b'y'; 10_000]);
        let text = lines.text();
        assert!(
            text.starts_with("libbpf: prog 'a': no\nlibbpf: lastyyy"),
            "{text}"
        );
        assert!(text.len() < 5000);
    }
}
