//! TOML into a tree.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::DEPTH_LIMIT;
use super::tree::{Entry, Malformed, Node, Value};

/// Reads a TOML document.
pub(super) fn tree(text: &str) -> Result<Node, Malformed> {
    let table = DeTable::parse(text).map_err(|error| {
        let end = text.len();
        Malformed::new(error.span().unwrap_or(end..end), error.message())
    })?;
    let span = table.span();
    Ok(Node {
        span,
        value: of_table(table.into_inner(), 0)?,
    })
}

fn of_table(table: DeTable<'_>, depth: usize) -> Result<Value, Malformed> {
    let mut entries = table
        .into_iter()
        .map(|(key, value)| {
            Ok(Entry {
                key_span: key.span(),
                key: key.into_inner().into_owned(),
                node: of_value(value, depth + 1)?,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    // The parser sorts by key. In the file's order the first mistake is the one reported.
    entries.sort_by_key(|entry| entry.key_span.start);
    Ok(Value::Table(entries))
}

fn of_value(value: Spanned<DeValue<'_>>, depth: usize) -> Result<Node, Malformed> {
    let span = value.span();
    if depth > DEPTH_LIMIT {
        return Err(Malformed::new(
            span,
            format!("nested more than {DEPTH_LIMIT} deep"),
        ));
    }
    let value = match value.into_inner() {
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map(Value::Integer)
            .map_err(|_| Malformed::new(span.clone(), "a number over 127 bits"))?,
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map(Value::Float)
            .map_err(|_| Malformed::new(span.clone(), "not a number"))?,
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| of_value(item, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        DeValue::Table(table) => of_table(table, depth)?,
    };
    Ok(Node { span, value })
}
