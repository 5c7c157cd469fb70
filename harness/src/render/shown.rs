//! Text from objects, guests, files and logs, made harmless before it is shown to people.
//!
//! Every renderer takes a report through [`shown`] first, so that none of its strings can act on a
//! terminal, forge a line, or make a document invalid. What a string may still hold, such as
//! Markdown or HTML, is escaped by the renderer of that format.

use std::fmt::Write;

use serde_json::Value;
use ukci_schema::report::Report;

/// Most characters of a string that are shown. The evidence has the rest.
const LONGEST: usize = 1000;

/// The text without anything that a terminal would act on: controls (escape sequences, carriage
/// returns, newlines), C1 controls, and characters that reorder or hide others. Each is shown by
/// its number instead, `\u{1b}`. A tab becomes a space.
pub fn harmless(text: &str) -> String {
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
/// separators, tags, the byte order mark, and the two noncharacters that XML has no place for.
pub fn is_active(c: char) -> bool {
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
                | '\u{fffe}'
                | '\u{ffff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// The report as people may see it: every string harmless, and cut where it is very long.
pub fn shown(report: &Report) -> Report {
    let mut value = serde_json::to_value(report).unwrap_or_default();
    make_harmless(&mut value);
    // Only strings have changed, and the types that check theirs hold nothing that is active.
    serde_json::from_value(value).unwrap_or_else(|_| report.clone())
}

fn make_harmless(value: &mut Value) {
    match value {
        Value::String(text) => *text = cut(harmless(text)),
        Value::Array(values) => values.iter_mut().for_each(make_harmless),
        Value::Object(fields) => {
            let all = std::mem::take(fields).into_iter();
            *fields = all
                .map(|(name, mut value)| {
                    make_harmless(&mut value);
                    (cut(harmless(&name)), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn cut(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// JSON in which active characters are written as escapes: the same value, and nothing that a
/// terminal acts on. Such characters are only ever inside of strings, but for the line breaks
/// between values.
pub fn plain_json(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c != '\n' && is_active(c) {
            for unit in c.encode_utf16(&mut units) {
                // Writing to a string cannot fail.
                let _ = write!(plain, "\\u{unit:04x}");
            }
        } else {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{harmless, plain_json};

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        let evil = "a\u{1b}[2Jb\r\nc\u{9b}d\u{202e}e\u{7}\tf\u{fffe}";
        assert_eq!(
            harmless(evil),
            "a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{9b}d\\u{202e}e\\u{7} f\\u{fffe}"
        );
        assert_eq!(harmless("`größe` ├─ 数"), "`größe` ├─ 数");
    }

    #[test]
    fn json_keeps_its_meaning() {
        let evil = "a\u{9b}b\u{202e}\u{e0001}\u{1b}";
        let json = serde_json::to_string(&[evil]).unwrap();
        let plain = plain_json(&json);
        assert!(plain.is_ascii(), "{plain}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&plain).unwrap(), [evil]);
    }
}
