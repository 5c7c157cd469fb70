//! What the pages say about the action. These tests fail if a reader would be misled: by an example
//! that does not work, by an input that does not exist, is not mentioned, or has another default.

use serde_json::{Map, Value};

use super::{read, root};

/// Every page, by its name.
fn pages() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap();
    let mut paths: Vec<_> = docs.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|of| of == "md"));
    paths.push(root().join("README.md"));
    let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    paths
        .iter()
        .map(|path| (path.display().to_string(), read(path)))
        .collect()
}

/// Whoever copies an example must get a call that the action understands.
#[test]
fn every_example_calls_the_action_as_it_is() {
    let action = read("action.yml");
    let inputs = action["inputs"].as_object().unwrap();
    let mut called = 0;
    for (page, text) in pages() {
        for block in text.split("```yaml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let parsed: Value = serde_saphyr::from_str(block)
                .unwrap_or_else(|error| panic!("{page}: {error}\n{block}"));
            let of_page = calls(&parsed, inputs);
            // A call that is not found below would not be checked.
            assert_eq!(of_page, block.matches("uses: ukci/").count(), "{page}");
            called += of_page;
        }
    }
    assert!(called > 0, "no page shows how the action is called");
}

/// Checks every call of the action below a value, and counts the calls.
fn calls(value: &Value, inputs: &Map<String, Value>) -> usize {
    let below: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    let is_call = value["uses"]
        .as_str()
        .is_some_and(|uses| uses.starts_with("ukci/"));
    if is_call {
        for (name, given) in value["with"].as_object().unwrap() {
            assert!(
                inputs.contains_key(name) && given.is_string(),
                "{name}: {given}"
            );
        }
        assert!(value["with"]["artifact"].is_string());
    }
    let below = below.into_iter().map(|value| calls(value, inputs));
    usize::from(is_call) + below.sum::<usize>()
}

/// The words in backticks of a text.
fn literals(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// A reader of the table of inputs finds every input there, no input that the action does not have,
/// and no default that is not the real one.
#[test]
fn the_table_of_inputs_is_right() {
    let action = read("action.yml");
    let inputs = action["inputs"].as_object().unwrap();
    let text = std::fs::read_to_string(root().join("docs/ci.md")).unwrap();
    let (_, table) = text.split_once("| Input ").expect("docs/ci.md has a table");
    let rows = table.lines().skip(2).take_while(|row| row.starts_with('|'));
    let mut told = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.split('|').collect();
        let names = literals(cells[1]);
        assert!(!names.is_empty(), "{row}");
        for name in &names {
            let input = inputs
                .get(*name)
                .unwrap_or_else(|| panic!("the action has no input `{name}`"));
            // A default in words, such as "none", is not compared.
            if let [default] = literals(cells[2])[..] {
                assert_eq!(input["default"], default, "the default of `{name}`");
            }
        }
        told.extend(names);
    }
    for name in inputs.keys() {
        assert!(
            told.contains(&name.as_str()),
            "`{name}` is not in the table"
        );
    }
}
