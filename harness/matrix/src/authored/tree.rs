//! The tree that a file becomes, and the paths that name a value in it.

use std::fmt;
use std::ops::Range;

/// A value and the bytes of the text that it stands in.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Byte range. A list or table begins at its first byte; where it ends is the parser's word.
    pub span: Range<usize>,
    /// What stands there.
    pub value: Value,
}

/// What a file can say.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i128),
    /// A fraction.
    Float(f64),
    /// Text.
    Text(String),
    /// Values, in the order of the file.
    List(Vec<Node>),
    /// Keys and values, in the order of the file, no key twice.
    Table(Vec<Entry>),
}

/// One key of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where it stands.
    pub key_span: Range<usize>,
    /// Its value.
    pub node: Node,
}

/// A text that is not in its notation.
#[derive(Debug)]
pub(super) struct Malformed {
    /// Where.
    pub(super) span: Range<usize>,
    /// Why.
    pub(super) message: String,
}

impl Malformed {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
        }
    }
}

/// One step from a value to one inside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Into a table.
    Key(String),
    /// Into a list, from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way to a value: `maps[2].max_entries`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

impl Path {
    /// The way to what stands one step further.
    #[must_use]
    pub fn then(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }
}

impl Path {
    /// The steps, from the outermost.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The way to what `inner` is the way to from here.
    #[must_use]
    pub fn join(&self, inner: &Self) -> Self {
        Self([self.0.as_slice(), &inner.0].concat())
    }
}

impl From<&str> for Path {
    fn from(key: &str) -> Self {
        Self(vec![key.into()])
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if n == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

impl Node {
    /// What stands one step further: its key, where it has one, and itself.
    fn step(&self, step: &Step) -> Option<(Option<&Range<usize>>, &Self)> {
        match (step, &self.value) {
            (Step::Key(key), Value::Table(entries)) => entries
                .iter()
                .find(|entry| entry.key == *key)
                .map(|entry| (Some(&entry.key_span), &entry.node)),
            (Step::Index(index), Value::List(items)) => items.get(*index).map(|node| (None, node)),
            _ => None,
        }
    }

    /// The bytes of the value at `path`; where the path ends early, those of the innermost value
    /// on the way.
    pub fn span_of(&self, path: &Path) -> Range<usize> {
        let mut node = self;
        for step in &path.0 {
            match node.step(step) {
                Some((_, next)) => node = next,
                None => break,
            }
        }
        node.span.clone()
    }

    /// The bytes of the key at the end of `path`; where it does not end at one, as
    /// [`Self::span_of`].
    pub fn span_of_key(&self, path: &Path) -> Range<usize> {
        let mut node = self;
        let mut key = None;
        for step in &path.0 {
            match node.step(step) {
                Some((at, next)) => (key, node) = (at, next),
                None => return node.span.clone(),
            }
        }
        key.unwrap_or(&node.span).clone()
    }
}
