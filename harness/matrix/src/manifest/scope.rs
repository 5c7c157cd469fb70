//! Which kernels a rule covers.

use std::fmt;

use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

use super::{Expect, Override};
use ukci_schema::cell::Arch;

/// A kernel's name in the catalogue, in which `*` stands for any text.
///
/// There are no version ranges: vendors backport, so a version says little of what a kernel has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it covers the kernel of this name.
    pub fn covers(&self, kernel: &str) -> bool {
        let mut parts = self.0.split('*');
        // `split` gives at least one part.
        let Some(mut rest) = parts.next().and_then(|first| kernel.strip_prefix(first)) else {
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
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-~*".contains(c);
        if text.is_empty() || text.len() > 128 || !text.chars().all(allowed) {
            let expected = &"the name of a kernel, in which `*` stands for any text,";
            return Err(D::Error::invalid_value(Unexpected::Str(&text), expected));
        }
        Ok(Self(text))
    }
}

/// Whether a rule with these conditions covers a kernel.
fn covers(kernels: Option<&[Pattern]>, arches: Option<&[Arch]>, kernel: &str, arch: Arch) -> bool {
    kernels.is_none_or(|patterns| patterns.iter().any(|pattern| pattern.covers(kernel)))
        && arches.is_none_or(|arches| arches.contains(&arch))
}

impl Override {
    /// Whether it holds on this kernel.
    pub fn covers(&self, kernel: &str, arch: Arch) -> bool {
        covers(
            self.kernels.as_deref(),
            self.arches.as_deref(),
            kernel,
            arch,
        )
    }
}

impl Expect {
    /// Whether it speaks of this kernel.
    pub fn covers(&self, kernel: &str, arch: Arch) -> bool {
        covers(
            self.kernels.as_deref(),
            self.arches.as_deref(),
            kernel,
            arch,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn a_star_stands_for_any_text() {
        let covers = |pattern: &str, kernel: &str| Pattern(pattern.into()).covers(kernel);
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
