//! What `docs/ci.md` says of the action is what the action has.

use serde_json::Value;
use ukci_matrix::authored::{Format, tree, value};

use super::{read, root};

#[test]
fn the_page_tells_every_input_and_no_other() {
    let page = std::fs::read_to_string(root().join("docs/ci.md")).unwrap();
    let action = read("action.yml");
    let inputs = action["inputs"].as_object().unwrap();
    let (_, table) = page.split_once("| Input |").unwrap();
    let (table, _) = table.split_once("| Output |").unwrap();
    // `a`, `b` in the first column.
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    let mut told: Vec<&str> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    let mut known: Vec<&str> = inputs.keys().map(String::as_str).collect();
    told.sort_unstable();
    known.sort_unstable();
    assert_eq!(told, known);
    for name in ["matrix", "mode", "name"] {
        let default = inputs[name]["default"].as_str().unwrap();
        assert!(
            table.contains(&format!("| `{name}` | `{default}` |")),
            "{name}"
        );
    }

    // What is there to be copied: whole files, and parts that stand in a job.
    let mut called = 0;
    for block in page.split("```yaml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let parsed = tree(text, "docs/ci.md", Format::Yaml).unwrap();
        let parsed = value(&parsed, text, "docs/ci.md").unwrap();
        called += calls(&parsed, inputs);
    }
    assert_eq!(called, 2);
}

/// Looks at every call of the action below a value; counts them.
fn calls(value: &Value, inputs: &serde_json::Map<String, Value>) -> usize {
    let below: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    let own = value["uses"]
        .as_str()
        .is_some_and(|uses| uses.starts_with("ukci/"));
    if own {
        for (name, given) in value["with"].as_object().unwrap() {
            assert!(
                inputs.contains_key(name) && given.is_string(),
                "{name}: {given}"
            );
        }
        assert!(value["with"]["artifact"].is_string());
    }
    usize::from(own)
        + below
            .into_iter()
            .map(|value| calls(value, inputs))
            .sum::<usize>()
}
