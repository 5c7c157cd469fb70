//! What the values of a type can be, and whether an expectation of a test can be one of them.

use std::collections::BTreeMap;

use serde_json::Value;
use ukci_schema::behavior::raw;
use ukci_schema::contract::Shape;
use ukci_schema::plural::first_of;

use super::{FunctionalTest, Grows, Manifest, Problem};
use crate::authored::{Path, instead_of};

/// What values of a type look like in a manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ValueShape {
    /// The object does not say.
    #[default]
    Unknown,
    /// A whole number or a truth value.
    Number,
    /// An array of characters.
    Text,
    /// An array of others.
    List(Box<ValueShape>),
    /// A struct, a union, or a section of variables, by the names of the fields.
    Fields(BTreeMap<String, ValueShape>),
}

/// The types of the values that tests of a manifest speak of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValueTypes {
    /// Of keys and values, by map. The maps of variables are `.bss`, `.data` and `.rodata`.
    pub maps: BTreeMap<String, (ValueShape, ValueShape)>,
    /// Of read-only variables, by name, as far as they are known.
    pub rodata: BTreeMap<String, Shape>,
    /// By the names that the manifest gives: none for one that the object lacks.
    pub named: BTreeMap<String, Option<ValueShape>>,
}

/// Why no value can be as expected.
struct Mistake {
    /// The fields that lead to it.
    at: Vec<String>,
    what: String,
    hint: Option<String>,
}

impl Mistake {
    fn says(what: impl Into<String>) -> Self {
        Self {
            at: Vec::new(),
            what: what.into(),
            hint: None,
        }
    }

    fn no_field(name: &str, fields: &BTreeMap<String, ValueShape>) -> Self {
        let known: Vec<&str> = fields.keys().map(String::as_str).collect();
        Self {
            hint: instead_of(name, &known),
            ..Self::says(format!("there is no field `{name}`"))
        }
    }

    fn inside(mut self, field: &str) -> Self {
        self.at.insert(0, field.to_owned());
        self
    }

    fn problem(self, at: &Path) -> Problem {
        let fields = self.at.iter();
        let at = fields.fold(at.clone(), |at, field| at.then(field.as_str()));
        Problem::value(at, self.what).hint(self.hint)
    }
}

impl ValueShape {
    fn refuses(&self, expected: &Value) -> Option<Mistake> {
        if raw(expected).is_some() {
            return None;
        }
        match (self, expected) {
            (Self::Fields(fields), Value::Object(wanted)) => {
                wanted
                    .iter()
                    .find_map(|(name, value)| match fields.get(name) {
                        Some(shape) => shape.refuses(value).map(|mistake| mistake.inside(name)),
                        None => Some(Mistake::no_field(name, fields).inside(name)),
                    })
            }
            (Self::List(of), Value::Array(wanted)) => wanted.iter().find_map(|one| of.refuses(one)),
            // TOML has no numbers of 64 bits without a sign, so they may be text in hex digits.
            (Self::Number, Value::String(text)) if text.starts_with("0x") => None,
            (Self::Number, Value::String(_) | Value::Array(_) | Value::Object(_)) => {
                Some(Mistake::says("it is a number"))
            }
            (
                Self::Text,
                Value::Number(_) | Value::Bool(_) | Value::Array(_) | Value::Object(_),
            ) => Some(Mistake::says("it is a text")),
            (
                Self::List(_),
                Value::Number(_) | Value::Bool(_) | Value::String(_) | Value::Object(_),
            ) => Some(Mistake::says("it is an array")),
            (Self::Fields(fields), _) => {
                Some(Mistake::says(format!("it has fields: {}", named(fields))))
            }
            _ => None,
        }
    }

    /// Whether a path of fields leads to a number.
    fn leads_nowhere(&self, path: &[String]) -> Option<Mistake> {
        match (self, path) {
            (Self::Fields(fields), [name, rest @ ..]) => match fields.get(name) {
                Some(shape) => shape.leads_nowhere(rest),
                None => Some(Mistake::no_field(name, fields)),
            },
            (Self::Fields(fields), []) => Some(Mistake::says(format!(
                "it is no number, and has fields: {}",
                named(fields)
            ))),
            (Self::Text | Self::List(_), []) => Some(Mistake::says("it is no number")),
            (Self::Number | Self::Text | Self::List(_), [name, ..]) => {
                Some(Mistake::says(format!("there is no field `{name}` in it")))
            }
            (Self::Unknown, _) | (Self::Number, []) => None,
        }
    }
}

fn named(fields: &BTreeMap<String, ValueShape>) -> String {
    first_of(fields.keys().map(|name| format!("`{name}`")), 6)
}

impl Manifest {
    /// The types of events that its tests name.
    pub fn event_types(&self) -> Vec<&str> {
        let events = self
            .functional_tests
            .iter()
            .flat_map(|test| &test.expect_events);
        events
            .filter_map(|events| events.event_type.as_deref())
            .collect()
    }

    /// Refuses what no value can be: a field that its type lacks, or a text in the place of a number.
    /// Such a test would fail whatever the program does, or pass whatever it does.
    pub fn check_values(&self, types: &ValueTypes) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (n, test) in self.functional_tests.iter().enumerate() {
            problems.extend(wrong_values(
                test,
                &Path::from("functional_tests").then(n),
                types,
            ));
        }
        let sets = (self.overrides.iter().enumerate())
            .map(|(n, rule)| (Path::from("overrides").then(n).then("rodata"), &rule.rodata));
        for (at, values) in std::iter::once((Path::from("rodata"), &self.rodata)).chain(sets) {
            for (name, value) in values {
                let encoded = types.rodata.get(name).map(|shape| value.encode(shape));
                if let Some(Err(misfit)) = encoded {
                    let what = format!(
                        "`{name}` is {}, which cannot hold {}",
                        misfit.shape, misfit.value
                    );
                    problems.push(Problem::value(at.then(name.as_str()), what));
                }
            }
        }
        problems
    }
}

fn wrong_values(test: &FunctionalTest, at: &Path, types: &ValueTypes) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (n, expected) in test.expect_maps.iter().enumerate() {
        let at = at.then("expect_maps").then(n);
        let Some((key, value)) = types.maps.get(&expected.map) else {
            continue;
        };
        for (part, shape, wanted) in [
            ("key", key, &expected.key),
            ("value", value, &expected.value),
        ] {
            let wrong = wanted.as_ref().and_then(|wanted| shape.refuses(wanted));
            problems.extend(wrong.map(|mistake| mistake.problem(&at.then(part))));
        }
        if let Some(grows) = expected
            .grows
            .as_ref()
            .filter(|grows| **grows != Grows::Value(false))
        {
            let wrong = value.leads_nowhere(&grows.path());
            problems.extend(wrong.map(|mistake| mistake.problem(&at.then("grows"))));
        }
    }
    for (n, events) in test.expect_events.iter().enumerate() {
        let at = at.then("expect_events").then(n);
        let Some(name) = &events.event_type else {
            continue;
        };
        let Some(Some(shape)) = types.named.get(name) else {
            let what = format!("the object has no type `{name}`");
            problems.push(Problem::value(at.then("type"), what));
            continue;
        };
        let wrong = events.event.as_ref().and_then(|event| shape.refuses(event));
        problems.extend(wrong.map(|mistake| mistake.problem(&at.then("event"))));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types() -> ValueTypes {
        let fields = |fields: &[(&str, ValueShape)]| {
            let fields = fields
                .iter()
                .map(|(name, shape)| ((*name).to_owned(), shape.clone()));
            ValueShape::Fields(fields.collect())
        };
        let value = fields(&[
            ("rx", fields(&[("packets", ValueShape::Number)])),
            ("comm", ValueShape::Text),
            ("slots", ValueShape::List(Box::new(ValueShape::Number))),
        ]);
        let event = fields(&[("pid", ValueShape::Number)]);
        ValueTypes {
            maps: [
                (
                    ".bss".into(),
                    (ValueShape::Number, fields(&[("hits", ValueShape::Number)])),
                ),
                ("stats".into(), (ValueShape::Number, value)),
                ("opaque".into(), (ValueShape::Unknown, ValueShape::Unknown)),
            ]
            .into(),
            rodata: [(
                "pid".to_owned(),
                Shape::Number {
                    bytes: 4,
                    signed: true,
                },
            )]
            .into(),
            named: [("event".to_owned(), Some(event)), ("none".to_owned(), None)].into(),
        }
    }

    fn of(lines: &str) -> String {
        let header = "[[functional_tests]]\nname = \"counts\"\n";
        let before = if lines.starts_with('[') { "" } else { header };
        let text = format!("{before}{lines}\n");
        let manifest = Manifest::parse(&text, "m.toml").unwrap();
        let problems = manifest.check_values(&types());
        let shown = problems.into_iter().map(|problem| problem.to_string());
        shown.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_no_value_can_be_is_refused() {
        let seen = [
            "expect_maps = [{ map = \".bss\", value = { hit = 1 } }]",
            "expect_maps = [{ map = \".bss\", value = { hits = \"foo\" }, count = 0 }]",
            "expect_maps = [{ map = \".bss\", grows = \"hitz\" }]",
            "expect_maps = [{ map = \".bss\", grows = true }]",
            "expect_maps = [{ map = \"stats\", grows = \"rx.bytes\" }]",
            "expect_maps = [{ map = \"stats\", value = { rx = { packet = 1 } } }]",
            "expect_maps = [{ map = \"stats\", value = 7 }]",
            "expect_maps = [{ map = \"stats\", value = { comm = 7 } }]",
            "expect_maps = [{ map = \"stats\", value = { slots = 7 } }]",
            "expect_maps = [{ map = \"stats\", key = \"one\", value = { comm = \"x\" } }]",
            "expect_events = [{ map = \"e\", type = \"event\", event = { pdi = 1 } }]",
            "expect_events = [{ map = \"e\", type = \"none\" }]",
            "[rodata]\npid = \"abc\"",
            "[rodata]\npid = 3000000000",
        ]
        .map(of);
        insta::assert_snapshot!(seen.join("\n"));
    }

    #[test]
    fn what_a_value_can_be_is_taken() {
        for lines in [
            "expect_maps = [{ map = \".bss\", value = { hits = 1 } }]",
            "expect_maps = [{ map = \".bss\", value = { hits = \"0xffffffffffffffff\" } }]",
            "expect_maps = [{ map = \".bss\", value = { hits = true } }]",
            "expect_maps = [{ map = \".bss\", value = { bytes = \"0a00\" } }]",
            "expect_maps = [{ map = \"stats\", grows = \"rx.packets\", value = { comm = \"x\", slots = [1, 2] } }]",
            "expect_maps = [{ map = \"opaque\", grows = \"any\", value = { thing = \"x\" } }]",
            "expect_events = [{ map = \"e\", type = \"event\", event = { pid = 1 } }]",
            "expect_events = [{ map = \"e\", event = { any = 1 } }]",
            "[rodata]\npid = 7",
        ] {
            assert_eq!(of(lines), "", "{lines}");
        }
    }
}
