//! Converts bpfcompat's manifests, which are YAML with the same keys, to TOML.
//!
//! YAML comes in, and TOML with the same meaning goes out. Nothing else reads YAML.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::{Error, Spanned};

use super::{Manifest, ManifestError, Timeout};
use crate::authored::{self, AuthoredError, Place, harmless_words};

/// A manifest that was imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The manifest.
    pub manifest: Manifest,
    /// The same in TOML.
    pub toml: String,
}

/// Whether a file's name promises YAML, of which JSON is a part.
pub fn is_yaml(file_name: &str) -> bool {
    let ending = Path::new(file_name).extension().and_then(|e| e.to_str());
    let ending = ending.map(str::to_ascii_lowercase);
    matches!(ending.as_deref(), Some("yaml" | "yml" | "json"))
}

/// Reads a manifest in YAML. A mistake in its text has its place there; one in what it says has its
/// place in the TOML that it becomes.
pub fn import(text: &str, file_name: &str) -> Result<Imported, ManifestError> {
    authored::check_size(text, file_name)?;
    let text = without_nothings(text, file_name)?;
    let text = with_our_durations(&text, file_name)?;
    // A file that says nothing is a manifest that says nothing.
    let manifest: Option<Manifest> = read(&text, file_name)?;
    let mut manifest = manifest.unwrap_or_default();
    // TOML has no word for nothing.
    manifest.metadata = (manifest.metadata.into_iter())
        .filter_map(|(key, value)| Some((key, without_nulls(value)?)))
        .collect();
    let toml = toml::to_string_pretty(&manifest).map_err(|error| AuthoredError::Value {
        at: Place::new(file_name, &text, 0..0).into(),
        message: harmless_words(&format!("this cannot be written as TOML: {error}")),
    })?;
    let manifest = Manifest::parse(&toml, &format!("{file_name} as TOML"))?;
    Ok(Imported { manifest, toml })
}

fn read<'t, T: Deserialize<'t>>(text: &'t str, file_name: &str) -> Result<T, AuthoredError> {
    let options = serde_saphyr::options! { with_snippet: false };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| not_yaml(&error, text, file_name))
}

fn not_yaml(error: &Error, text: &str, file_name: &str) -> AuthoredError {
    let span = error.location().and_then(|place| bytes(place.span()));
    let at = Box::new(Place::new(
        file_name,
        text,
        span.unwrap_or(text.len()..text.len()),
    ));
    let message = match error {
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            return AuthoredError::UnknownKey {
                at,
                key: harmless_words(field),
                known: expected.clone(),
            };
        }
        Error::SerdeUnknownVariant {
            variant, expected, ..
        } => {
            return AuthoredError::UnknownWord {
                at,
                word: harmless_words(variant),
                known: expected.clone(),
            };
        }
        Error::SerdeMissingField { field, .. } => {
            let key = (*field).to_string();
            return AuthoredError::MissingKey { at, key };
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("duplicate key `{key}`"),
        Error::MultipleDocuments { .. } => {
            "the file has a second document, which would be ignored".into()
        }
        other => other.to_string(),
    };
    // The place is said before it.
    let said = (message.rsplit_once(" at line ")).filter(|(_, rest)| rest.contains("column"));
    AuthoredError::Syntax {
        at,
        format: "YAML",
        message: harmless_words(said.map_or(message.as_str(), |(said, _)| said)),
    }
}

fn bytes(span: serde_saphyr::Span) -> Option<Range<usize>> {
    let start = usize::try_from(span.byte_offset()?).ok()?;
    let length = usize::try_from(span.byte_len()?).ok()?;
    Some(start..start + length)
}

/// The times of a manifest, and where each stands.
#[derive(Deserialize)]
struct Times {
    #[serde(default)]
    functional_tests: Option<Vec<Test>>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    timeout: Option<Spanned<String>>,
}

/// The text with Go's durations (`1.5s`) in our notation (`1s 500ms`).
fn with_our_durations(text: &str, file_name: &str) -> Result<String, AuthoredError> {
    let times: Option<Times> = read(text, file_name)?;
    let tests = times.and_then(|times| times.functional_tests);
    let mut found: Vec<(Range<usize>, String)> = Vec::new();
    for time in tests.into_iter().flatten().filter_map(|test| test.timeout) {
        let Some(span) = bytes(time.defined.span()) else {
            continue;
        };
        let at = || Place::new(file_name, text, span.clone());
        let ours = match time.value.trim() {
            // bpfcompat takes an empty text for none.
            "" => Timeout::default().to_string(),
            go => go_duration(go)
                .map(|nanos| {
                    humantime::format_duration(std::time::Duration::from_nanos(nanos)).to_string()
                })
                .ok_or_else(|| AuthoredError::Value {
                    at: at().into(),
                    message: harmless_words(&format!(
                        "expected a time such as `10s` or `1m30s`, found `{go}`"
                    )),
                })?,
        };
        // Two tests may share a time by an alias.
        if !found.iter().any(|(known, _)| *known == span) {
            found.push((span, format!("\"{ours}\"")));
        }
    }
    Ok(with(text, found))
}

/// The keys whose value is a table.
const TABLES: [&str; 3] = ["kconfig", "metadata", "rodata"];

/// The text with empty lists and tables where a key of the manifest has nothing: Go reads
/// `programs:` with nothing after it as an empty list.
fn without_nothings(text: &str, file_name: &str) -> Result<String, AuthoredError> {
    type Keys = BTreeMap<String, Spanned<Option<IgnoredAny>>>;
    let keys: Option<Keys> = read(text, file_name)?;
    let mut found = Vec::new();
    for (key, value) in keys.into_iter().flatten() {
        let Some(span) = bytes(value.defined.span()) else {
            continue;
        };
        if value.value.is_some() || matches!(key.as_str(), "name" | "btf_custom_path") {
            continue;
        }
        let empty = if TABLES.contains(&key.as_str()) {
            " {}"
        } else {
            " []"
        };
        // Where nothing is written, its place is that of the colon before it.
        let colon = span.is_empty() && text.as_bytes().get(span.start) == Some(&b':');
        let after = usize::from(colon);
        found.push((span.start + after..span.end + after, empty.to_owned()));
    }
    Ok(with(text, found))
}

/// The text with other words at some places.
fn with(text: &str, mut places: Vec<(Range<usize>, String)>) -> String {
    places.sort_by_key(|(span, _)| span.start);
    let mut text = text.to_owned();
    for (span, words) in places.into_iter().rev() {
        // A span that is not of the text would be the parser's mistake.
        if text.get(span.clone()).is_some() {
            text.replace_range(span, &words);
        }
    }
    text
}

/// Nanoseconds of a duration in Go's notation: numbers, which may have a fraction, each with its unit.
fn go_duration(text: &str) -> Option<u64> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut nanos = 0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let scale = match unit {
            "ns" => 1e0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        nanos += number.parse::<f64>().ok()? * scale;
        rest = after;
    }
    // The largest is a whole number of seconds that TOML's side refuses by its own limit.
    std::time::Duration::try_from_secs_f64(nanos / 1e9)
        .ok()?
        .as_nanos()
        .try_into()
        .ok()
}

/// A value without the nothings in it; none for nothing itself.
fn without_nulls(value: serde_json::Value) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match value {
        Value::Null => return None,
        Value::Array(items) => Value::Array(items.into_iter().filter_map(without_nulls).collect()),
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .filter_map(|(key, value)| Some((key, without_nulls(value)?)))
                .collect(),
        ),
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::go_duration;

    #[test]
    fn go_s_durations_are_read_to_the_nanosecond() {
        for (text, nanos) in [
            ("10s", 10_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("+200ms", 200_000_000),
            ("7us", 7_000),
            ("13ns", 13),
        ] {
            assert_eq!(go_duration(text), Some(nanos), "{text}");
        }
        for wrong in [
            "10",
            "s",
            "1..s",
            "10 s",
            "1e3s",
            ".s",
            "-1s",
            "99999999999999999999h",
        ] {
            assert_eq!(go_duration(wrong), None, "{wrong}");
        }
    }
}
