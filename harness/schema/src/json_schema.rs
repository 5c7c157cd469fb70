//! The JSON Schema of `report.json`, generated from its types; `docs/report.schema.json` is kept
//! equal to it by a test.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::report::{Report, SCHEMA};

/// The schema of a [`Report`], JSON Schema draft 2020-12.
pub fn report() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = Value::from(generator.into_root_schema_for::<Report>());
    plain(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".into(), SCHEMA.into());
        if let Some(version) = root
            .get_mut("properties")
            .and_then(|properties| properties.get_mut("schema"))
            .and_then(Value::as_object_mut)
        {
            version.insert("const".into(), SCHEMA.into());
        }
    }
    schema
}

/// Rust's links mean nothing in a description: ``[`Cell::id`](path)`` becomes `` `Cell::id` ``.
fn plain(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                match value {
                    Value::String(text) if key == "description" => *text = without_links(text),
                    _ => plain(value),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(plain),
        _ => {}
    }
}

fn without_links(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let Some(length) = rest[start..].find(']') else {
            break;
        };
        let (label, after) = (
            &rest[start + 1..start + length],
            &rest[start + length + 1..],
        );
        plain.push_str(&rest[..start]);
        plain.push_str(label);
        rest = match after
            .strip_prefix('(')
            .and_then(|link| link.split_once(')'))
        {
            Some((_, after)) => after,
            None => after,
        };
    }
    plain.push_str(rest);
    // A paragraph is one line.
    plain.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::without_links;

    #[test]
    fn links_lose_their_brackets_and_targets() {
        assert_eq!(
            without_links("The [`Cell::id`](crate::cell), see [`SCHEMA`]."),
            "The `Cell::id`, see `SCHEMA`."
        );
        assert_eq!(without_links("a [ b"), "a [ b");
    }
}
