//! Attacks by text on the documents that are made of a report: every string of it is hostile, and none
//! is more than text in any of them.

mod hostile_report;

use pulldown_cmark::{Event, Options, Parser, Tag};
use quick_xml::events::Event as Xml;
use quick_xml::reader::Reader;
use ukci_harness::render;
use ukci_schema::report::Report;

use hostile_report::hostile;

fn report() -> Report {
    serde_json::from_value(hostile()).unwrap()
}

/// What a page has of ours, and nothing else: no image, no link, and of HTML only what folds a log.
fn assert_text(name: &str, page: &str) {
    assert!(page.contains("PWNED"), "{name}: the attack is shown");
    let mut heading = false;
    for event in Parser::new_ext(page, Options::all()) {
        match event {
            Event::Start(Tag::Image { .. } | Tag::Link { .. } | Tag::FootnoteDefinition(_)) => {
                panic!("{name}: {event:?}")
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let ours = ["<details><summary>", "</details>"];
                assert!(
                    ours.iter().any(|ours| html.starts_with(ours)),
                    "{name}: {html}"
                );
                assert!(!html.contains("<img"), "{name}: {html}");
            }
            Event::Start(Tag::Heading { .. }) => heading = true,
            Event::Text(text) if heading => {
                assert!(!text.starts_with("PWNED"), "{name}: {text}");
                heading = false;
            }
            _ => {}
        }
    }
    for line in page.lines() {
        let line = line.trim_start();
        assert!(
            !line.starts_with("# PWNED") && !line.starts_with("::"),
            "{name}: {line}"
        );
    }
}

#[test]
fn markdown_of_a_hostile_report_is_text() {
    let report = report();
    assert_text("markdown", &render::markdown(&report));
    assert_text("github", &render::github(&report, None));
    let rows = render::verifier_rows(std::slice::from_ref(&report), None);
    assert_text("verifier", &render::verifier_markdown(&rows));
}

#[test]
fn annotations_of_a_hostile_report_are_ours() {
    let commands = render::annotations(&report(), None);
    assert!(!commands.is_empty());
    for line in commands.lines() {
        let ours = line.starts_with("::error ") || line.starts_with("::warning ");
        assert!(ours && !line.starts_with("::error file=x:"), "{line}");
    }
}

#[test]
fn junit_of_a_hostile_report_is_xml() {
    let xml = render::junit(&report());
    let is_char = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert_eq!(xml.chars().find(|c| !is_char(*c)), None);
    let mut reader = Reader::from_str(&xml);
    reader.config_mut().enable_all_checks(true);
    let mut cases = 0;
    loop {
        match reader.read_event().unwrap() {
            Xml::Start(tag) => {
                cases += usize::from(tag.name().as_ref() == b"testcase");
                for attribute in tag.attributes() {
                    attribute.unwrap();
                }
            }
            Xml::Eof => break,
            _ => {}
        }
    }
    assert_eq!(cases, report().cells.len());
}

#[test]
fn html_of_a_hostile_report_has_no_element_of_it() {
    let html = render::html(&report());
    assert!(html.contains("PWNED &lt;img"));
    assert!(!html.contains("<img"));
    assert!(!html.chars().any(|c| c != '\n' && render::is_active(c)));
}

#[test]
fn a_name_of_60000_characters_is_cut_where_it_is_shown() {
    let mut value = hostile();
    let long = "x".repeat(70_000);
    value["cells"][0]["artifact"] = long.clone().into();
    value["artifacts"][0]["name"] = long.clone().into();
    value["cells"][0]["programs"][0]["name"] = long.into();
    let report: Report = serde_json::from_value(value).unwrap();
    for page in [
        render::markdown(&report),
        render::github(&report, None),
        render::junit(&report),
        render::html(&report),
    ] {
        assert!(!page.contains(&"x".repeat(1001)));
    }
}
