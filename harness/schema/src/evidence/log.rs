//! A log that is cut in its middle if it is too long.

use serde::{Deserialize, Serialize};

/// A log, bounded after it was captured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The first part; all of it where nothing was cut.
    pub head: String,
    /// The last part, where something was cut.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tail: String,
    /// How many bytes were cut between them.
    #[serde(default)]
    pub cut_bytes: u64,
}

impl Log {
    /// Most bytes kept of a log's beginning.
    pub const HEAD: usize = 32 * 1024;
    /// Most bytes kept of a log's end, where the verifier says why.
    pub const TAIL: usize = 96 * 1024;

    /// Keeps the head and the tail of `text`, cut at line ends where there are any.
    pub fn bounded(text: &str) -> Self {
        Self::within(text, Self::HEAD + Self::TAIL)
    }

    /// The same, with at most this many bytes of it.
    pub fn within(text: &str, most: usize) -> Self {
        let most = most.min(Self::HEAD + Self::TAIL);
        if text.len() <= most {
            return Self {
                head: text.to_owned(),
                ..Self::default()
            };
        }
        let mut head = text.floor_char_boundary(most / 4);
        if let Some(end) = text[..head].rfind('\n') {
            head = end + 1;
        }
        let mut tail = text.ceil_char_boundary(text.len() - (most - most / 4));
        if let Some(start) = text[tail..].find('\n') {
            tail += start + 1;
        }
        Self {
            head: text[..head].to_owned(),
            tail: text[tail..].to_owned(),
            cut_bytes: (tail - head) as u64,
        }
    }

    /// Bytes that are kept.
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether nothing was logged.
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }

    /// The lines kept, in order.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.head.lines().chain(self.tail.lines())
    }

    /// The whole, with a line that says what was cut.
    pub fn text(&self) -> String {
        if self.cut_bytes == 0 {
            return self.head.clone();
        }
        format!(
            "{}[... {} bytes cut ...]\n{}",
            self.head, self.cut_bytes, self.tail
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Log;

    #[test]
    fn a_long_log_keeps_both_ends_and_says_what_is_gone() {
        let lines: Vec<String> = (0..40_000).map(|n| format!("line {n}")).collect();
        let text = lines.join("\n") + "\n";
        let log = Log::bounded(&text);
        assert!(log.head.starts_with("line 0\n"));
        assert!(log.tail.ends_with("line 39999\n"));
        assert_eq!(
            log.head.len() + log.tail.len() + usize::try_from(log.cut_bytes).unwrap(),
            text.len()
        );
        assert!(log.text().contains("bytes cut"));
        assert_eq!(Log::bounded("short").text(), "short");
        let short = Log::within(&text, 400);
        assert!(short.head.starts_with("line 0\n") && short.tail.ends_with("line 39999\n"));
        assert!((300..=400).contains(&short.len()), "{}", short.len());
    }
}
