//! Names as rules write them.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

/// A name in which `*` stands for any text, or a group of kernels (`@lts`).
///
/// There are no version ranges: vendors backport, so a version says little of what a kernel has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The pattern that is a name.
    pub(crate) fn of(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// Whether it stands for more than itself.
    pub fn is_glob(&self) -> bool {
        self.0.contains('*')
    }

    /// The group that it names, with its `@`.
    pub fn group(&self) -> Option<&str> {
        self.0.starts_with('@').then_some(self.as_str())
    }

    /// Whether it covers a name. A group covers none: [`Groups`] knows what a group stands for.
    pub fn covers(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        // `split` gives at least one part.
        let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() || text.len() > 256 || text.chars().any(char::is_control) {
            let expected = &"a name, in which `*` stands for any text,";
            return Err(D::Error::invalid_value(Unexpected::Str(&text), expected));
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_any_text() {
        let covers = |text: &str, kernel: &str| Pattern(text.to_owned()).covers(kernel);
        assert!(covers("debian-12-6.1", "debian-12-6.1"));
        assert!(!covers("debian-12-6.1", "debian-12-6.1-cloud"));
        assert!(!covers("debian-12-6.1", "x-debian-12-6.1"));
        assert!(covers("debian-12-6.1*", "debian-12-6.1"));
        assert!(covers("debian-*-cloud", "debian-sid-7.2-cloud"));
        assert!(covers("*-5.10*", "debian-11-5.10-cloud"));
        assert!(!covers("*-5.10", "debian-11-5.10-cloud"));
        assert!(covers("*", ""));
        assert!(!covers("a*a", "a"), "the two ends may not share a letter");
        assert!(covers("*a*b*", "xaxb"));
        assert!(!covers("*b*a*", "xaxb"));
    }
}
