//! TOML files that people write, read so that every mistake has a place.
//!
//! A file becomes a [`Node`] tree that knows where each key and value stands, and a type is
//! deserialized from the tree. An error has the file, the line and the column, the line itself with
//! carets, and the nearest names that would have been right. `toml`'s own deserializer gives the
//! place too, but only a sentence for the rest: the unknown key, the word and what is known there,
//! which the hints are made of, cannot be had from it.

mod de;
mod place;
mod toml;
mod tree;

pub use place::Place;
pub(crate) use place::harmless_words;
pub use tree::{Node, Path, Step, Value};

use serde::de::DeserializeOwned;

use crate::nearest::nearest;

/// The longest file that is read, in bytes. A manifest of a thousand maps has a tenth of it.
pub const SIZE_LIMIT: usize = 1024 * 1024;

/// The deepest nesting of lists and tables that is read.
pub const DEPTH_LIMIT: usize = 32;

/// Why a file could not be read. Each text begins with the place, and ends in the line itself with
/// carets below what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoredError {
    /// Over [`SIZE_LIMIT`].
    #[error("`{file}` has {bytes} bytes, over the limit of {SIZE_LIMIT}")]
    Size {
        /// The file.
        file: String,
        /// Its length.
        bytes: usize,
    },
    /// Not the notation it should be in.
    #[error("{at}: this is not {format}: {message}{}", at.excerpt())]
    Syntax {
        /// Where.
        at: Box<Place>,
        /// Which notation.
        format: &'static str,
        /// What the parser says.
        message: String,
    },
    /// A key that means nothing here.
    #[error("{at}: unknown key `{key}`{}", at.excerpt())]
    UnknownKey {
        /// Where.
        at: Box<Place>,
        /// The key.
        key: String,
        /// The keys that mean something here.
        known: Vec<&'static str>,
    },
    /// A word that is none of those allowed here.
    #[error("{at}: unknown value `{word}`{}", at.excerpt())]
    UnknownWord {
        /// Where.
        at: Box<Place>,
        /// The word.
        word: String,
        /// The words that are allowed here.
        known: Vec<&'static str>,
    },
    /// A key that must be there.
    #[error("{at}: missing key `{key}`{}", at.excerpt())]
    MissingKey {
        /// The table that lacks it.
        at: Box<Place>,
        /// The key.
        key: String,
    },
    /// A value of the wrong type, or out of its range.
    #[error("{at}: {message}{}", at.excerpt())]
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

    /// Where the mistake is; `None` if it is the whole file.
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
        ([], all) if all.len() <= LISTED => Some(format!("use one of {}", quoted(all))),
        ([], _) => None,
        ([one], _) => Some(format!("did you mean `{one}`?")),
        (several, _) => Some(format!("did you mean one of {}?", quoted(several))),
    }
}

/// Reads the text of a file into its tree.
pub fn tree(text: &str, file_name: &str) -> Result<Node, AuthoredError> {
    check_size(text, file_name)?;
    self::toml::tree(text).map_err(|wrong| AuthoredError::Syntax {
        at: Place::new(file_name, text, wrong.span).into(),
        format: "TOML",
        message: harmless_words(&wrong.message),
    })
}

/// Refuses a text over [`SIZE_LIMIT`].
pub(crate) fn check_size(text: &str, file_name: &str) -> Result<(), AuthoredError> {
    if text.len() > SIZE_LIMIT {
        return Err(AuthoredError::Size {
            file: file_name.to_owned(),
            bytes: text.len(),
        });
    }
    Ok(())
}

/// Deserializes a value from a tree. `text` and `file_name` are those the tree was read from.
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
                known: known.to_vec(),
            },
            de::What::UnknownWord { word, known } => AuthoredError::UnknownWord {
                at,
                word: harmless_words(&word),
                known: known.to_vec(),
            },
            de::What::MissingKey(key) => AuthoredError::MissingKey {
                at,
                key: key.to_owned(),
            },
            de::What::Value(message) => AuthoredError::Value {
                at,
                message: harmless_words(&message),
            },
        }
    })
}

/// Reads a value from the text of a TOML file.
pub fn read<T: DeserializeOwned>(text: &str, file_name: &str) -> Result<T, AuthoredError> {
    let tree = tree(text, file_name)?;
    value(&tree, text, file_name)
}

#[cfg(test)]
mod tests {
    use super::instead_of;

    #[test]
    fn a_hint_names_what_is_near_or_lists_what_there_is() {
        let known = ["max_entries", "inner_map", "name"];
        assert_eq!(
            instead_of("max_entires", &known).unwrap(),
            "did you mean `max_entries`?"
        );
        assert_eq!(
            instead_of("zzz", &known).unwrap(),
            "use one of `max_entries`, `inner_map`, `name`"
        );
        assert_eq!(instead_of("zzz", &[]), None);
    }
}
