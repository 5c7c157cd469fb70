//! Shows a line of a file with carets below the part that is meant. Every excerpt looks the same.
//!
//! A line and a place in it come in, and text without color goes out. The line may come from
//! anywhere: characters that move a terminal's cursor or change the direction of text are replaced
//! by visible ones.

use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Columns of an excerpt. Four are left of 80 for the indentation of a cause.
const WIDTH: usize = 76;

/// The line of this number, with carets below the bytes that are marked. Longer lines are cut
/// around the mark.
pub fn excerpt(number: usize, line: &str, marked: Option<Range<usize>>) -> String {
    let mut snippet = Snippet::source(line).line_start(number).fold(false);
    if let Some(marked) = marked {
        let start = line.floor_char_boundary(marked.start.min(line.len()));
        let end = line.ceil_char_boundary(marked.end.min(line.len()).max(start));
        snippet = snippet.annotation(AnnotationKind::Primary.span(start..end));
    }
    let group = Group::with_level(Level::ERROR).element(snippet);
    let text = Renderer::plain().term_width(WIDTH).render(&[group]);
    let lines = text.lines().map(str::trim_end);
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn what_is_marked_is_above_its_carets_and_harmless() {
        let line = "\tü = \u{1b}[31mx \u{202e}";
        insta::assert_snapshot!(excerpt(12, line, Some(6..9)));
        insta::assert_snapshot!(excerpt(7, "return 0;", None));
        let end = excerpt(1, "name =", Some(6..6));
        assert!(end.ends_with('^'), "{end}");
        for odd in ["", "\u{0}", "\r", "é", "日本", "a\u{301}", "\u{feff}"] {
            for at in 0..4 {
                let shown = excerpt(1, odd, Some(at..at + 1));
                assert!(
                    !shown.chars().any(|c| c.is_control() && c != '\n'),
                    "{odd:?}"
                );
            }
        }
    }

    #[test]
    fn a_long_line_is_cut_around_the_mark() {
        let long = format!("{}needle{}", "-".repeat(500), "-".repeat(500));
        let shown = excerpt(1, &long, Some(500..506));
        let lines: Vec<&str> = shown.lines().collect();
        let marked = lines[2].find("^^^^^^").unwrap();
        assert_eq!(&lines[1][marked..marked + 6], "needle");
        assert!(
            lines.iter().all(|line| line.chars().count() <= 80),
            "{shown}"
        );
    }
}
