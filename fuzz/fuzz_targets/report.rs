//! Renders a report of which every string is any text, in every format: the first byte of an input
//! says in which, because all of them take six times as long. JUnit is well-formed XML, Markdown has no
//! link, image or element of the text, and HTML has as many elements as it has without it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::Value;
use ukci_harness::render::{self, Shown};
use ukci_schema::report::Report;

/// A report, and where in it a string may be anything.
static REPORT: LazyLock<(Value, Vec<String>)> = LazyLock::new(|| {
    let text = include_str!("../../harness/tests/fixtures/report.json");
    let report: Value = serde_json::from_str(text).expect("the report");
    let mut all = Vec::new();
    strings(&report, "", &mut all);
    all.retain(|pointer| {
        let mut spoiled = report.clone();
        *spoiled.pointer_mut(pointer).expect("a string") = "x".into();
        pointer != "/schema" && serde_json::from_value::<Report>(spoiled).is_ok()
    });
    (report, all)
});

fn strings(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                strings(value, &format!("{at}/{n}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                strings(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The report with this behind every string.
fn with(text: &str) -> Report {
    let (mut report, pointers) = REPORT.clone();
    for pointer in &pointers {
        let place = report.pointer_mut(pointer).expect("a string");
        *place = format!("{}x{text}", place.as_str().expect("a string")).into();
    }
    serde_json::from_value(report).expect("a report")
}

static ELEMENTS: LazyLock<usize> = LazyLock::new(|| elements(&render::html(&Shown::of(&with("")))));

/// The elements, but for those that a text may have: code, which our sentences have between backticks,
/// and the places where a name may be broken.
fn elements(page: &str) -> usize {
    let count = |of: &str| page.matches(of).count();
    count("<") - count("<code>") - count("</code>") - count("<wbr>")
}

fuzz_target!(|input: (u8, &str)| {
    let (format, text) = input;
    let report = with(text);
    let shown = Shown::of(&report);
    match format % 6 {
        0 => markdown(&render::markdown(&shown)),
        1 => markdown(&render::github(&shown, None)),
        2 => {
            for line in render::annotations(&shown, None).lines() {
                assert!(
                    line.starts_with("::error ") || line.starts_with("::warning "),
                    "{line}"
                );
            }
        }
        3 => xml(&render::junit(&shown)),
        4 => assert_eq!(elements(&render::html(&shown)), *ELEMENTS),
        _ => {
            let json = render::json(&report);
            assert!(!json.chars().any(|c| c != '\n' && render::is_active(c)));
            assert_eq!(
                serde_json::from_str::<Report>(&json).expect("its JSON"),
                report
            );
        }
    }
});

fn markdown(page: &str) {
    for event in Parser::new_ext(page, Options::all()) {
        match event {
            Event::Start(Tag::Image { .. } | Tag::Link { .. } | Tag::FootnoteDefinition(_)) => {
                panic!("{event:?}")
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let ours = ["<details><summary>", "</details>"];
                assert!(ours.iter().any(|ours| html.starts_with(ours)), "{html}");
            }
            _ => {}
        }
    }
}

fn xml(text: &str) {
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    loop {
        match reader.read_event().expect("XML") {
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                for attribute in tag.attributes() {
                    attribute.expect("an attribute");
                }
            }
            quick_xml::events::Event::Eof => return,
            _ => {}
        }
    }
}
