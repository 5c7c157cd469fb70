//! A place in a file: its line and column, and how they are shown.

use std::fmt;
use std::ops::Range;

use crate::excerpt::excerpt;

/// Where in a file something stands, with the line itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as the user named it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The line with carets.
    excerpt: String,
}

impl Place {
    /// The place of a byte range, which may lie past the text's end: then it is the end.
    pub fn new(file: &str, text: &str, span: Range<usize>) -> Self {
        let start = text.floor_char_boundary(span.start.min(text.len()));
        let end = text
            .floor_char_boundary(span.end.min(text.len()))
            .max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |newline| start + newline);
        let line = text[line_start..line_end].trim_end_matches('\r');
        let number = text[..start].matches('\n').count() + 1;
        // A range over several lines is marked to the end of its first.
        let marked = text[start..end.min(line_end).max(start)].trim_end();
        let column = start - line_start;
        Self {
            file: file.to_owned(),
            line: number,
            column: text[line_start..start].chars().count() + 1,
            excerpt: excerpt(number, line, Some(column..column + marked.len())),
        }
    }

    /// The line with carets below, on lines of their own that begin with a line break.
    pub fn excerpt(&self) -> String {
        format!("\n{}", self.excerpt)
    }
}

/// Most characters of a file's own words that a message repeats.
const QUOTED: usize = 300;

/// Words that may hold some of the file's, made safe for a terminal and cut where they are long.
pub(crate) fn harmless_words(text: &str) -> String {
    let mut chars = text.chars().map(harmless);
    let mut words: String = chars.by_ref().take(QUOTED).collect();
    if chars.next().is_some() {
        words.push('…');
    }
    words
}

/// A character that takes one column and changes nothing else.
fn harmless(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        // Marks that turn the direction of the text around them.
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}:{}:{}`", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn lines_and_columns_count_from_one_in_characters() {
        let text = "a = 1\n\tü = \u{1b}[31mx\n";
        let place = Place::new("f", text, 11..14);
        assert_eq!(place.to_string(), "`f:2:5`");
        insta::assert_snapshot!(place.excerpt());
    }

    #[test]
    fn a_place_past_the_end_is_the_end() {
        assert_eq!(Place::new("f", "a\n", 90..95).to_string(), "`f:2:1`");
        assert_eq!(Place::new("f", "", 0..0).to_string(), "`f:1:1`");
        let long = "-".repeat(600);
        assert_eq!(Place::new("f", &long, 500..506).column, 501);
    }
}
