//! Makes text from objects, guests and file names harmless for a terminal.

/// The text without anything that a terminal would act on: controls (escape sequences, carriage
/// returns, newlines), C1 controls, and characters that reorder or hide others. Each is shown by
/// its number instead, `\u{1b}`. A tab becomes a space.
pub(crate) fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\t' {
            harmless.push(' ');
        } else if is_active(c) {
            harmless.extend(c.escape_unicode());
        } else {
            harmless.push(c);
        }
    }
    harmless
}

/// Whether a character is not shown but acts: controls, marks of direction, joiners, line
/// separators, tags and the byte order mark.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        let evil = "a\u{1b}[2Jb\r\nc\u{9b}d\u{202e}e\u{7}\tf";
        assert_eq!(
            harmless(evil),
            "a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{9b}d\\u{202e}e\\u{7} f"
        );
        assert_eq!(harmless("`größe` ├─ 数"), "`größe` ├─ 数");
    }
}
