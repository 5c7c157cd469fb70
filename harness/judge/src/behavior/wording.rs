//! Puts what was expected and what was seen into words. Every text is short: the evidence has the
//! rest.

use serde_json::Value;
use ukci_schema::behavior::{
    Amount, Datum, Entry, EventsExpected, EventsSeen, MapExpected, MapSeen, Text, raw,
};

use super::data;
use crate::text;

/// Most events, entries and lines of one text that are shown.
const SHOWN: usize = 3;

/// Most characters of one value that are shown.
const LONGEST: usize = 160;

fn short(said: &str) -> String {
    match said.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said.to_owned(),
    }
}

/// What a program returned: without a sign, and with one where that is more readable.
pub(super) fn returned(number: u32) -> String {
    match number.cast_signed() {
        signed if signed < 0 => format!("{number} ({signed})"),
        _ => number.to_string(),
    }
}

/// Two strings of bytes as hex digits, from the first on in which they differ if they are long.
pub(super) fn bytes(expected: &str, seen: &str) -> (String, String) {
    let same = expected
        .bytes()
        .zip(seen.bytes())
        .take_while(|(one, other)| one == other)
        .count()
        / 2;
    let from = if expected.len().max(seen.len()) > 64 {
        same.saturating_sub(4)
    } else {
        0
    };
    let show = |digits: &str| {
        let rest = digits.get(2 * from..).unwrap_or_default();
        let shown = rest.get(..64.min(rest.len())).unwrap_or_default();
        let more = if shown.len() < rest.len() { "…" } else { "" };
        let start = if from > 0 {
            format!("from byte {from}: ")
        } else {
            String::new()
        };
        format!("{} bytes, {start}{shown}{more}", digits.len() / 2)
    };
    (show(expected), show(seen))
}

/// The last lines of a text.
pub(super) fn text(seen: &Text) -> String {
    let lines: Vec<&str> = (seen.text.lines())
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect();
    let shown = &lines[lines.len().saturating_sub(SHOWN)..];
    let mut said = match shown {
        [] => "nothing".to_owned(),
        lines => {
            let lines: Vec<String> = (lines.iter())
                .map(|line| format!("`{}`", text::clipped(line.trim())))
                .collect();
            lines.join(", ")
        }
    };
    let before = lines.len() - shown.len();
    if before > 0 {
        said.push_str(&format!(" after {before} more lines"));
    }
    if seen.cut_bytes > 0 {
        said.push_str(&format!("; {} bytes of it were not kept", seen.cut_bytes));
    }
    said
}

/// A value as the manifest has it.
pub(super) fn value(value: &Value) -> String {
    match raw(value) {
        Some(digits) => format!("bytes {}", short(digits)),
        None => short(&fields(value)),
    }
}

/// `pid 7, comm "sh"`; other values as JSON has them.
fn fields(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| match value {
                Value::Object(_) => format!("{name} {{ {} }}", self::fields(value)),
                value => format!("{name} {value}"),
            });
            fields.collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}

/// What was seen, as far as it concerns what is expected: of fields, those that are named.
fn datum(seen: &Datum, expected: Option<&Value>) -> String {
    match (&seen.value, expected) {
        (Some(_), Some(expected)) if raw(expected).is_some() => short(&seen.hex),
        (Some(Value::Object(seen)), Some(Value::Object(expected))) => {
            let named = |(name, _): &(&String, &Value)| expected.contains_key(*name);
            let named = seen.iter().filter(named);
            let named = named.map(|(name, value)| (name.clone(), value.clone()));
            short(&fields(&Value::Object(named.collect())))
        }
        (Some(value), _) => short(&fields(value)),
        (None, _) => format!("bytes {}", short(&seen.hex)),
    }
}

/// A number of things that is expected: `at least 1 event`.
pub(super) fn amount(amount: Amount, one: &str, many: &str) -> String {
    let most = amount.at_most.or(amount.at_least).unwrap_or(1);
    format!("{amount} {}", if most == 1 { one } else { many })
}

/// A number of events.
fn count(count: u64) -> String {
    format!("{count} {}", if count == 1 { "event" } else { "events" })
}

/// What came out of a buffer, and how many of it counted.
pub(super) fn events(expected: &EventsExpected, seen: &EventsSeen, fitting: u64) -> String {
    let mut said = match (&expected.event, seen.count) {
        (_, 0) => "no events".to_owned(),
        (None, number) => count(number),
        (Some(_), number) => format!("{fitting} of {}", count(number)),
    };
    let wanted = expected.event.as_ref();
    let shown: Vec<String> = (seen.events.iter())
        .take(SHOWN)
        .map(|event| format!("{{ {} }}", datum(event, wanted)))
        .collect();
    if !shown.is_empty() {
        said.push_str(&format!(": {}", shown.join(", ")));
    }
    if seen.lost > 0 {
        said.push_str(&format!(
            "; the kernel dropped {} because the buffer was full",
            seen.lost
        ));
    }
    said
}

/// Which entries must be there.
pub(super) fn entries_expected(expected: &MapExpected) -> String {
    let mut said = amount(expected.amount, "entry", "entries");
    if let Some(key) = &expected.key {
        said.push_str(&format!(" with key {}", value(key)));
    }
    if let Some(wanted) = &expected.value {
        let word = if expected.key.is_some() {
            "and"
        } else {
            "with"
        };
        said.push_str(&format!(" {word} value {}", value(wanted)));
    }
    if expected.grows {
        let what = match expected.field.as_slice() {
            [] => "value".to_owned(),
            path => format!("field `{}`", path.join(".")),
        };
        said.push_str(&format!(" whose {what} grows"));
    }
    said
}

/// Which entries are there, and how many of them counted. Those with the key come first.
pub(super) fn entries(expected: &MapExpected, seen: &MapSeen, fitting: u64) -> String {
    let count = seen.after.len();
    if count == 0 {
        return "no entries".into();
    }
    let has_key =
        |entry: &&Entry| (expected.key.as_ref()).is_none_or(|key| data::is(key, &entry.key));
    let (with_key, others): (Vec<&Entry>, Vec<&Entry>) = seen.after.iter().partition(has_key);
    let shown: Vec<String> = (with_key.iter().chain(&others))
        .take(SHOWN)
        .map(|entry| line(expected, entry, seen))
        .collect();
    let cut = if seen.cut { "; not all were read" } else { "" };
    format!("{fitting} of {count}: {}{cut}", shown.join(", "))
}

fn line(expected: &MapExpected, entry: &Entry, seen: &MapSeen) -> String {
    let key = datum(&entry.key, expected.key.as_ref());
    if expected.grows {
        let old = seen.before.iter().find(|old| old.key.hex == entry.key.hex);
        let number = |entry: Option<&Entry>| {
            let total = entry.map_or(Some(0), |entry| data::total(entry, &expected.field));
            total.map_or_else(|| "no number".to_owned(), |total| total.to_string())
        };
        return format!(
            "{{ {key}: {} before, {} after }}",
            number(old),
            number(Some(entry))
        );
    }
    let values: Vec<String> = (entry.values.iter())
        .map(|one| datum(one, expected.value.as_ref()))
        .collect();
    format!("{{ {key}: {} }}", values.join(" / "))
}
