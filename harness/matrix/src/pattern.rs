//! Names and patterns in rules.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};
use ukci_schema::glob;

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
        glob::covers(&self.0, name)
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
