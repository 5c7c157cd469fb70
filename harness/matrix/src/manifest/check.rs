//! Checks every name and text of a manifest.

use std::collections::BTreeSet;

use super::Problem;
use crate::authored::Path;

/// Nothing, or what is wrong.
pub(super) type Checked = Result<(), Problem>;

/// A name of a program, a map or a group.
pub(super) fn identifier(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
}

/// A name, or a pattern in which `*` stands for any text, where one must be.
pub(super) fn pattern(at: &Path, pattern: &str) -> Checked {
    if identifier(&pattern.replace('*', "_")) {
        return Ok(());
    }
    let what = format!("expected letters, digits, `_`, `.` and `*`, found `{pattern}`");
    Err(Problem::value(at.clone(), what))
}

/// A name where one must be.
pub(super) fn name(at: &Path, name: &str) -> Checked {
    if identifier(name) {
        return Ok(());
    }
    let what = format!("expected letters, digits, `_` and `.`, found `{name}`");
    Err(Problem::value(at.clone(), what))
}

/// Names, each once; `fits` says what one is.
pub(super) fn names(key: &str, names: &[String], fits: impl Fn(&str) -> bool) -> Checked {
    let mut seen = BTreeSet::new();
    for (n, name) in names.iter().enumerate() {
        let at = Path::from(key).then(n);
        if !fits(name) {
            let what = format!("expected a name, found `{name}`");
            return Err(Problem::value(at, what));
        }
        if !seen.insert(name) {
            return Err(Problem::value(at, format!("duplicate `{name}`")));
        }
    }
    Ok(())
}

/// Names of a list's entries, under `key` in each, each once.
pub(super) fn unique<'a>(list: &Path, key: &str, names: impl Iterator<Item = &'a str>) -> Checked {
    let mut seen = BTreeSet::new();
    for (n, name) in names.enumerate() {
        if !seen.insert(name) {
            let what = format!("duplicate `{name}`");
            return Err(Problem::value(list.then(n).then(key), what));
        }
    }
    Ok(())
}

/// A text that is shown to people.
pub(super) fn one_line(at: &Path, text: &str, most: usize) -> Checked {
    let what = if text.trim().is_empty() {
        "expected a string that is not empty".to_owned()
    } else if text.chars().any(char::is_control) {
        "expected one line without control characters".to_owned()
    } else if text.len() > most {
        format!("{} bytes, over the limit of {most}", text.len())
    } else {
        return Ok(());
    };
    Err(Problem::value(at.clone(), what))
}
