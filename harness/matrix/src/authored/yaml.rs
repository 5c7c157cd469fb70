//! YAML into a tree, from the events of the parser below serde-saphyr.
//!
//! What Go's `yaml.v3` reads is read: anchors, aliases and merge keys. What would be silently
//! ignored is refused: a second document, a tag that is not of the core schema.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};

use super::DEPTH_LIMIT;
use super::tree::{Entry, Malformed, Node, Value};

/// Most nodes in a tree. Aliases of aliases grow without bound from a few lines.
const NODE_LIMIT: usize = 50_000;

/// Reads a YAML stream of at most one document; none is an empty table.
pub(super) fn tree(text: &str) -> Result<Node, Malformed> {
    Reader {
        text,
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
    }
    .stream()
}

struct Reader<'t, P> {
    text: &'t str,
    parser: P,
    /// Nodes by the parser's number of their anchor.
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'t, P> Reader<'t, P>
where
    P: Iterator<Item = Result<(Event<'t>, Span), granit_parser::ScanError>>,
{
    fn next(&mut self) -> Result<(Event<'t>, Range<usize>), Malformed> {
        let end = self.text.len();
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, span.byte_range().unwrap_or(end..end))),
            Some(Err(error)) => {
                let at = error.marker().byte_offset().unwrap_or(end);
                Err(Malformed::new(at..at, error.info()))
            }
            None => Err(Malformed::new(end..end, "it ends too early")),
        }
    }

    fn stream(mut self) -> Result<Node, Malformed> {
        let mut document = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if document.is_some() => {
                    return Err(Malformed::new(
                        span,
                        "a second document, which nothing would read",
                    ));
                }
                Event::DocumentStart(..) => {
                    let (event, span) = self.next()?;
                    document = Some(self.node(event, span, 0)?);
                }
                _ => return Err(Malformed::new(span, "a value outside of the document")),
            }
        }
        Ok(match document {
            Some(node) if !is_null(&node.value) => node,
            Some(Node { span, .. }) => Node {
                span,
                value: Value::Table(Vec::new()),
            },
            None => Node {
                span: 0..0,
                value: Value::Table(Vec::new()),
            },
        })
    }

    fn node(
        &mut self,
        event: Event<'t>,
        span: Range<usize>,
        depth: usize,
    ) -> Result<Node, Malformed> {
        self.count(1, &span)?;
        if depth > DEPTH_LIMIT {
            return Err(Malformed::new(
                span,
                format!("nested more than {DEPTH_LIMIT} deep"),
            ));
        }
        let (node, anchor) = match event {
            Event::Alias(anchor) => {
                // An alias within its own anchor has no node yet.
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(Malformed::new(span, "an alias of a value that contains it"));
                };
                self.count(size(&node), &span)?;
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let tagged = scalar_tag(tag.as_deref(), &span)?;
                let text = text.into_owned();
                let value = match (style, tagged) {
                    (_, Tagged::Text) => Value::Text(text),
                    (ScalarStyle::Plain, _) | (_, Tagged::Other) => Value::Plain(text),
                    (_, Tagged::No) => Value::Text(text),
                };
                (Node { span, value }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), "seq", &span)?;
                let mut items = Vec::new();
                let end = loop {
                    match self.next()? {
                        (Event::SequenceEnd, end) => break end.end,
                        (event, at) => items.push(self.node(event, at, depth + 1)?),
                    }
                };
                (
                    Node {
                        span: span.start..end,
                        value: Value::List(items),
                    },
                    anchor,
                )
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse_tag(tag.as_deref(), "map", &span)?;
                let mut table = Table::default();
                let end = loop {
                    match self.next()? {
                        (Event::MappingEnd, end) => break end.end,
                        (event, at) => self.entry(event, at, depth, &mut table)?,
                    }
                };
                for entry in std::mem::take(&mut table.merged) {
                    // A merged key never wins over the table's own, nor a later over an earlier.
                    let _ = table.push(entry);
                }
                (
                    Node {
                        span: span.start..end,
                        value: Value::Table(table.entries),
                    },
                    anchor,
                )
            }
            _ => return Err(Malformed::new(span, "a value was expected here")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Reads one key and its value into a table.
    fn entry(
        &mut self,
        event: Event<'t>,
        at: Range<usize>,
        depth: usize,
        table: &mut Table,
    ) -> Result<(), Malformed> {
        let Node {
            span: key_span,
            value: key,
        } = self.node(event, at, depth + 1)?;
        let (event, at) = self.next()?;
        let node = self.node(event, at, depth + 1)?;
        let key = match key {
            Value::Plain(key) if key == "<<" => return merge(node, &mut table.merged),
            Value::Plain(key) | Value::Text(key) => key,
            _ => return Err(Malformed::new(key_span, "a key that is no text")),
        };
        let twice = format!("the key `{key}` for the second time");
        let entry = Entry {
            key,
            key_span: key_span.clone(),
            node,
        };
        if table.push(entry) {
            Ok(())
        } else {
            Err(Malformed::new(key_span, twice))
        }
    }

    fn count(&mut self, more: usize, span: &Range<usize>) -> Result<(), Malformed> {
        self.nodes += more;
        if self.nodes > NODE_LIMIT {
            return Err(Malformed::new(
                span.clone(),
                format!("more than {NODE_LIMIT} values"),
            ));
        }
        Ok(())
    }
}

/// A table that is being read.
#[derive(Default)]
struct Table {
    entries: Vec<Entry>,
    keys: HashSet<String>,
    /// The entries that merge keys bring.
    merged: Vec<Entry>,
}

impl Table {
    /// Adds an entry unless its key is there already.
    fn push(&mut self, entry: Entry) -> bool {
        let new = self.keys.insert(entry.key.clone());
        if new {
            self.entries.push(entry);
        }
        new
    }
}

/// Adds the entries of the table, or of each table of the list, that a merge key names.
fn merge(node: Node, merged: &mut Vec<Entry>) -> Result<(), Malformed> {
    match node.value {
        Value::Table(entries) => merged.extend(entries),
        Value::List(items)
            if items
                .iter()
                .all(|item| matches!(item.value, Value::Table(_))) =>
        {
            for item in items {
                merge(item, merged)?;
            }
        }
        _ => {
            return Err(Malformed::new(
                node.span,
                "`<<` merges tables, and this is none",
            ));
        }
    }
    Ok(())
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(size).sum(),
        Value::Table(entries) => entries.iter().map(|entry| 1 + size(&entry.node)).sum(),
        _ => 0,
    }
}

/// What a scalar's tag says of its type.
enum Tagged {
    /// Nothing.
    No,
    /// `!!str`: text, whatever it looks like.
    Text,
    /// `!!int` and its like: what the place asks for, though it be quoted.
    Other,
}

fn scalar_tag(tag: Option<&Tag>, span: &Range<usize>) -> Result<Tagged, Malformed> {
    match tag.map(|tag| (tag, tag.core_suffix())) {
        None => Ok(Tagged::No),
        Some((_, Some("str"))) => Ok(Tagged::Text),
        Some((_, Some("bool" | "float" | "int" | "null"))) => Ok(Tagged::Other),
        Some((tag, _)) => Err(Malformed::new(
            span.clone(),
            format!("the tag `{}` means nothing here", tag.original()),
        )),
    }
}

fn refuse_tag(tag: Option<&Tag>, allowed: &str, span: &Range<usize>) -> Result<(), Malformed> {
    match tag {
        Some(tag) if tag.core_suffix() != Some(allowed) => Err(Malformed::new(
            span.clone(),
            format!("the tag `{}` means nothing here", tag.original()),
        )),
        _ => Ok(()),
    }
}

/// Whether a value is YAML's way to write nothing.
pub(super) fn is_null(value: &Value) -> bool {
    matches!(value, Value::Plain(text) if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
}

/// A plain scalar as a boolean. `yes`, `no`, `on` and `off` are YAML 1.1's, which `yaml.v3` takes
/// where a boolean is asked for.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A plain scalar as a number: decimal, `0x`, `0o` or `0b`, with a sign or without.
pub(super) fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = ["0x", "0o", "0b"]
        .into_iter()
        .zip([16, 8, 2])
        .find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, radix)))
        .unwrap_or((digits, 10));
    // A second sign would be taken by `from_str_radix`.
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

/// A plain scalar as a fraction, which has a point or an exponent.
pub(super) fn float(text: &str) -> Option<f64> {
    let looks = text.contains(['.', 'e', 'E']) && text.contains(|c: char| c.is_ascii_digit());
    looks.then(|| text.parse().ok()).flatten()
}
