//! Reads the keys that rules used before matrices and manifests had the same grammar. They are
//! accepted for one release, with a warning.

use super::MatrixError;
use crate::authored::{Node, Place, Value};

/// The old word of each axis, and the new one.
const OLD: [(&str, &str); 4] = [
    ("artifact", "artifacts"),
    ("kernel", "kernels"),
    ("llvm", "llvms"),
    ("arch", "arches"),
];

/// Puts the new words in place of the old ones in every rule, and says so in one sentence.
pub(super) fn replace(
    tree: &mut Node,
    text: &str,
    file: &str,
) -> Result<Option<String>, MatrixError> {
    let mut lines = Vec::new();
    let mut words: Vec<(&str, &str)> = Vec::new();
    for entry in rules(tree) {
        let Value::Table(keys) = &mut entry.value else {
            continue;
        };
        for (old, new) in OLD {
            let both = keys.iter().any(|key| key.key == new);
            let Some(key) = keys.iter_mut().find(|key| key.key == old) else {
                continue;
            };
            let place = Place::new(file, text, key.key_span.clone());
            if both {
                return Err(MatrixError::Meaning {
                    at: place.into(),
                    message: format!("`{old}` is the old name of `{new}`, and both are here"),
                    hint: Some(format!("remove `{old}`")),
                });
            }
            new.clone_into(&mut key.key);
            lines.push(place.line);
            if !words.contains(&(old, new)) {
                words.push((old, new));
            }
        }
    }
    let Some(first) = lines.iter().min() else {
        return Ok(None);
    };
    let instead: Vec<String> = (words.iter())
        .map(|(old, new)| format!("`{new}` instead of `{old}`"))
        .collect();
    Ok(Some(format!(
        "`{file}` uses old keys, which the next release will refuse, first in line {first}: write {}",
        instead.join(", ")
    )))
}

/// Every `[[exclude]]` and `[[expect]]`.
fn rules(tree: &mut Node) -> impl Iterator<Item = &mut Node> {
    let entries = match &mut tree.value {
        Value::Table(entries) => entries.as_mut_slice(),
        _ => &mut [],
    };
    let lists = entries
        .iter_mut()
        .filter(|entry| matches!(entry.key.as_str(), "exclude" | "expect"));
    lists.flat_map(|entry| match &mut entry.node.value {
        Value::List(items) => items.as_mut_slice(),
        _ => &mut [],
    })
}
