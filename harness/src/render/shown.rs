//! Text from objects, guests, files and logs, made harmless before it is shown to people.
//!
//! Every renderer takes [`Shown`] data and returns [`Shown`] text, so that no string of a report can
//! act on a terminal, forge a line, or make a document invalid. What a string may still hold, such
//! as Markdown or HTML, is escaped by the renderer of that format.

use std::fmt;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ukci_schema::cell::Cell;
use ukci_schema::features::{Difference, KernelFeatures};
use ukci_schema::report::{CellReport, Report};

use super::verifier::Row;
use crate::report::compare::Diff;

/// Most characters of a string that are shown. The evidence has the rest.
const LONGEST: usize = 1000;

/// Something that may be shown to people: no string in it acts on a terminal or holds a line break,
/// and none is longer than 1,000 characters. Text that a renderer made of such data is also
/// [`Shown`]; that has the lines of the renderer.
///
/// There is no other way to get one than to make foreign data harmless, and no renderer takes
/// anything else:
///
/// ```
/// use ukci_harness::render::{Shown, markdown};
/// # use ukci_schema::report::Report;
/// fn page(report: &Report) -> String {
///     markdown(&Shown::of(report)).to_string()
/// }
/// ```
///
/// ```compile_fail,E0308
/// use ukci_harness::render::markdown;
/// # use ukci_schema::report::Report;
/// fn page(report: &Report) -> String {
///     markdown(report).to_string()
/// }
/// ```
///
/// ```compile_fail,E0423
/// use ukci_harness::render::Shown;
/// fn raw(text: String) -> Shown<String> {
///     Shown(text)
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shown<T>(T);

impl<T: Foreign> Shown<T> {
    /// The data with every string made harmless.
    pub fn of(raw: &T) -> Self {
        Self(raw.to_shown())
    }
}

impl Shown<String> {
    /// What a renderer wrote, from data that was made harmless and words of its own.
    pub(super) const fn rendered(text: String) -> Self {
        Self(text)
    }

    /// The text, to be written to a file.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Read access. A copy that is taken out can no longer be shown.
impl<T> Deref for Shown<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Text can be printed. Data cannot, because a renderer decides how it looks.
impl fmt::Display for Shown<String> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// For files.
impl AsRef<[u8]> for Shown<String> {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Data with strings of others in it, which can be made harmless.
pub trait Foreign: sealed::Sealed {
    /// The same with every string harmless.
    #[doc(hidden)]
    #[must_use]
    fn to_shown(&self) -> Self;
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! foreign {
    ($($data:ty),*) => {$(
        impl sealed::Sealed for $data {}
        impl Foreign for $data {
            fn to_shown(&self) -> Self {
                through_json(self)
            }
        }
    )*};
}

foreign!(
    Report,
    CellReport,
    Cell,
    Diff,
    Vec<Row>,
    KernelFeatures,
    Vec<Difference>,
    std::collections::BTreeMap<String, String>
);

fn through_json<T: Serialize + DeserializeOwned>(data: &T) -> T {
    let shown = serde_json::to_value(data).and_then(|mut value| {
        make_harmless(&mut value);
        serde_json::from_value(value)
    });
    // These types survive JSON: their keys are strings and their numbers are finite, as those that
    // were read from JSON or measured are. Only strings have changed, and the types that check
    // theirs hold nothing that is active. To show the data as it is would be worse than to end.
    shown.unwrap_or_else(|error| unreachable!("a report survives JSON: {error}"))
}

/// The text without anything that a terminal would act on: controls (escape sequences, carriage
/// returns, newlines), C1 controls, and characters that reorder or hide others. Each is shown by
/// its number instead, `\u{1b}`. A tab becomes a space.
pub fn harmless(text: &str) -> Shown<String> {
    Shown(escaped(text))
}

/// Text of several lines that are meant to be lines, such as a help text or a manifest that was
/// generated: each line is made harmless. A name inside of it must not have line breaks any more.
pub fn harmless_lines(text: &str) -> Shown<String> {
    let lines = text.split_inclusive('\n').map(|line| {
        let (line, end) = line
            .strip_suffix('\n')
            .map_or((line, ""), |line| (line, "\n"));
        escaped(line) + end
    });
    Shown(lines.collect())
}

fn escaped(text: &str) -> String {
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

fn make_harmless(value: &mut Value) {
    match value {
        Value::String(text) => *text = cut(escaped(text)),
        Value::Array(values) => values.iter_mut().for_each(make_harmless),
        Value::Object(fields) => {
            let all = std::mem::take(fields).into_iter();
            *fields = all
                .map(|(name, mut value)| {
                    make_harmless(&mut value);
                    // Two names that differ in a tab stay two.
                    (cut(escaped(&name.replace('\t', "\\u{9}"))), value)
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
pub fn plain_json(json: &str) -> Shown<String> {
    let mut plain = String::with_capacity(json.len());
    let mut units = [0; 2];
    for c in json.chars() {
        if c != '\n' && is_active(c) {
            for unit in c.encode_utf16(&mut units) {
                plain.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            plain.push(c);
        }
    }
    Shown(plain)
}

#[cfg(test)]
mod tests {
    use super::{harmless, plain_json};

    #[test]
    fn nothing_that_a_terminal_acts_on_is_left() {
        let evil = "a\u{1b}[2Jb\r\nc\u{9b}d\u{202e}e\u{7}\tf\u{fffe}";
        assert_eq!(
            *harmless(evil),
            "a\\u{1b}[2Jb\\u{d}\\u{a}c\\u{9b}d\\u{202e}e\\u{7} f\\u{fffe}"
        );
        assert_eq!(*harmless("`größe` ├─ 数"), "`größe` ├─ 数");
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
