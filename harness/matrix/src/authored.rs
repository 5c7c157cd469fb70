//! Files that people write, in TOML or YAML, read so that every mistake has a place.
//!
//! Both formats become one [`Node`] tree that knows where each key and value stands. A type is
//! deserialised from the tree, so one mistake reads the same in both: file, line and column, the
//! line itself with carets, and the nearest names that would have been right.
//!
//! YAML scalars are read as the type that is asked for, as Go's `yaml.v3` does: `name: 123` is
//! text where a name is wanted, `max_entries: 64` a number. TOML says its types itself.

mod de;
mod place;
mod toml;
mod tree;
mod yaml;

pub use place::Place;
pub(crate) use place::harmless_words;
pub use tree::{Node, Path, Step, Value};

use std::path::Path as FilePath;

use serde::de::DeserializeOwned;

use crate::nearest::nearest;

/// The longest file that is read, in bytes. A manifest of a thousand maps has a tenth of it.
pub const SIZE_LIMIT: usize = 1024 * 1024;

/// The deepest nesting of lists and tables that is read.
pub const DEPTH_LIMIT: usize = 32;

/// The notation of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.1.
    Toml,
    /// YAML 1.2, of which JSON is a part.
    Yaml,
}

impl Format {
    /// The notation that a file's name promises: TOML unless it ends in `.yaml`, `.yml` or
    /// `.json`.
    pub fn of(file_name: &str) -> Self {
        let ending = FilePath::new(file_name)
            .extension()
            .and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("yaml" | "yml" | "json") => Self::Yaml,
            _ => Self::Toml,
        }
    }

    /// The word messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
        }
    }
}

/// Why a file could not be read. Each reads after "failed to", and ends in the line itself with
/// carets below what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoredError {
    /// Over [`SIZE_LIMIT`].
    #[error("read `{file}`: {bytes} bytes, over the limit of {SIZE_LIMIT}")]
    Size {
        /// The file.
        file: String,
        /// Its length.
        bytes: usize,
    },
    /// Not the notation it should be in.
    #[error("read {at} as {}: {message}{}", format.name(), at.excerpt())]
    Syntax {
        /// Where.
        at: Box<Place>,
        /// Which notation.
        format: Format,
        /// What the parser says.
        message: String,
    },
    /// A key that means nothing here.
    #[error("read {at}: unknown key `{key}`{}", at.excerpt())]
    UnknownKey {
        /// Where.
        at: Box<Place>,
        /// The key.
        key: String,
        /// The keys that mean something here.
        known: &'static [&'static str],
    },
    /// A word that is none of those allowed here.
    #[error("read {at}: unknown value `{word}`{}", at.excerpt())]
    UnknownWord {
        /// Where.
        at: Box<Place>,
        /// The word.
        word: String,
        /// The words that are allowed here.
        known: &'static [&'static str],
    },
    /// A key that must be there.
    #[error("read {at}: missing key `{key}`{}", at.excerpt())]
    MissingKey {
        /// The table that lacks it.
        at: Box<Place>,
        /// The key.
        key: &'static str,
    },
    /// A value of the wrong type, or out of its range.
    #[error("read {at}: {message}{}", at.excerpt())]
    Value {
        /// Where.
        at: Box<Place>,
        /// What is wrong with it.
        message: String,
    },
}

impl AuthoredError {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { key, known, .. } => instead_of(key, known),
            Self::UnknownWord { word, known, .. } => instead_of(word, known),
            Self::MissingKey { key, .. } => Some(format!("add `{key}`")),
            Self::Size { .. } | Self::Syntax { .. } | Self::Value { .. } => None,
        }
    }

    /// Where the mistake is; none where it is the whole file.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Size { .. } => None,
            Self::Syntax { at, .. }
            | Self::UnknownKey { at, .. }
            | Self::UnknownWord { at, .. }
            | Self::MissingKey { at, .. }
            | Self::Value { at, .. } => Some(at),
        }
    }
}

/// Most names that a hint lists when none of them is near.
const LISTED: usize = 24;

/// A hint that offers the nearest of `known`, or all of them.
pub fn instead_of(wrong: &str, known: &[&str]) -> Option<String> {
    let mut near = nearest(wrong, known.iter().copied());
    // One slip of the finger away, the others are only noise.
    if near
        .iter()
        .any(|name| strsim::damerau_levenshtein(wrong, name) <= 2)
    {
        near.retain(|name| strsim::damerau_levenshtein(wrong, name) <= 2);
    }
    let quoted = |names: &[&str]| {
        names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (near.as_slice(), known) {
        ([], []) => None,
        ([], all) if all.len() <= LISTED => Some(format!("it is one of {}", quoted(all))),
        ([], _) => None,
        ([one], _) => Some(format!("did you mean `{one}`?")),
        (several, _) => Some(format!("did you mean one of {}?", quoted(several))),
    }
}

/// Reads the text of a file into its tree.
pub fn tree(text: &str, file_name: &str, format: Format) -> Result<Node, AuthoredError> {
    if text.len() > SIZE_LIMIT {
        return Err(AuthoredError::Size {
            file: file_name.to_owned(),
            bytes: text.len(),
        });
    }
    let read = match format {
        Format::Toml => self::toml::tree(text),
        Format::Yaml => self::yaml::tree(text),
    };
    read.map_err(|wrong| AuthoredError::Syntax {
        at: Place::new(file_name, text, wrong.span).into(),
        format,
        message: harmless_words(&wrong.message),
    })
}

/// Deserialises a value from a tree. `text` and `file_name` are those the tree was read from.
pub fn value<T: DeserializeOwned>(
    node: &Node,
    text: &str,
    file_name: &str,
) -> Result<T, AuthoredError> {
    T::deserialize(de::Input(node)).map_err(|error: de::DeError| {
        let at = Box::new(Place::new(
            file_name,
            text,
            error.span.unwrap_or_else(|| node.span.clone()),
        ));
        match error.what {
            de::What::UnknownKey { key, known } => AuthoredError::UnknownKey {
                at,
                key: harmless_words(&key),
                known,
            },
            de::What::UnknownWord { word, known } => AuthoredError::UnknownWord {
                at,
                word: harmless_words(&word),
                known,
            },
            de::What::MissingKey(key) => AuthoredError::MissingKey { at, key },
            de::What::Value(message) => AuthoredError::Value {
                at,
                message: harmless_words(&message),
            },
        }
    })
}

/// Reads a value from the text of a TOML file.
pub fn read<T: DeserializeOwned>(text: &str, file_name: &str) -> Result<T, AuthoredError> {
    let tree = tree(text, file_name, Format::Toml)?;
    value(&tree, text, file_name)
}

#[cfg(test)]
mod tests {
    use super::{Format, instead_of};

    #[test]
    fn a_file_is_toml_unless_its_name_says_otherwise() {
        assert_eq!(Format::of("x.toml"), Format::Toml);
        assert_eq!(Format::of("dir.yaml/x"), Format::Toml);
        assert_eq!(Format::of("x.YML"), Format::Yaml);
        assert_eq!(Format::of("x.json"), Format::Yaml);
    }

    #[test]
    fn a_hint_names_what_is_near_or_lists_what_there_is() {
        let known = ["max_entries", "inner_map", "name"];
        assert_eq!(
            instead_of("max_entires", &known).unwrap(),
            "did you mean `max_entries`?"
        );
        assert_eq!(
            instead_of("zzz", &known).unwrap(),
            "it is one of `max_entries`, `inner_map`, `name`"
        );
        assert_eq!(instead_of("zzz", &[]), None);
    }
}
