//! Reasons why a manifest is refused.

use std::fmt;

use crate::authored::{self, AuthoredError, Node, Path, Place, harmless_words};
use crate::scope::Senseless;

/// Why a manifest is refused. The text begins with the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Its text cannot be read, or has unknown keys or values.
    #[error(transparent)]
    Text(#[from] AuthoredError),
    /// It says what cannot be.
    #[error("{at}: {what}{}", at.excerpt())]
    Rule {
        /// Where.
        at: Box<Place>,
        /// What is wrong.
        what: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl ManifestError {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Text(error) => error.hint(),
            Self::Rule { hint, .. } => hint.clone(),
        }
    }

    /// Where the mistake is; `None` if it is the whole file.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Text(error) => error.place(),
            Self::Rule { at, .. } => Some(at),
        }
    }
}

/// A mistake in a manifest that was read, not yet with its place in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    path: Path,
    of_key: bool,
    what: String,
    hint: Option<String>,
}

impl Problem {
    /// A mistake in the value at `path`.
    pub(super) fn value(path: impl Into<Path>, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            of_key: false,
            what: what.into(),
            hint: None,
        }
    }

    /// A mistake in the scope of the rule at `rule`.
    pub(super) fn senseless(rule: &Path, senseless: Senseless) -> Self {
        Self {
            hint: senseless.hint,
            ..Self::value(rule.join(&senseless.path), senseless.message)
        }
    }

    /// A mistake that is the key at the end of `path`.
    pub(super) fn key(path: impl Into<Path>, what: impl Into<String>) -> Self {
        Self {
            of_key: true,
            ..Self::value(path, what)
        }
    }

    /// With an action that may help.
    pub(super) fn hint(self, hint: impl Into<Option<String>>) -> Self {
        Self {
            hint: hint.into(),
            ..self
        }
    }

    /// The way to what is wrong: `maps[2].name`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mistake with its place in the text that the manifest was read from.
    pub fn locate(&self, text: &str, file_name: &str) -> ManifestError {
        match authored::tree(text, file_name) {
            Ok(tree) => self.clone().in_tree(&tree, text, file_name),
            Err(error) => error.into(),
        }
    }

    pub(super) fn in_tree(self, tree: &Node, text: &str, file_name: &str) -> ManifestError {
        let span = if self.of_key {
            tree.span_of_key(&self.path)
        } else {
            tree.span_of(&self.path)
        };
        ManifestError::Rule {
            at: Place::new(file_name, text, span).into(),
            what: harmless_words(&self.what),
            hint: self.hint.as_deref().map(harmless_words),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

impl std::error::Error for Problem {}
