//! Attacks by text on the documents that are made of a report: every string of it is hostile, and none
//! is more than text in any of them.

mod hostile_report;

use std::collections::BTreeMap;

use pulldown_cmark::{Event, Options, Parser, Tag};
use quick_xml::events::Event as Xml;
use quick_xml::reader::Reader;
use ukci_harness::render::{self, Shown};
use ukci_schema::features::{KernelFeatures, Kind, Offered};
use ukci_schema::report::Report;

use hostile_report::{EVIL, hostile};

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
    assert_text("markdown", &render::markdown(&Shown::of(&report)));
    assert_text("github", &render::github(&Shown::of(&report), None));
    let rows = render::verifier_rows(std::slice::from_ref(&report), None);
    assert_text("verifier", &render::verifier_markdown(&Shown::of(&rows)));
}

#[test]
fn annotations_of_a_hostile_report_are_ours() {
    let commands = render::annotations(&Shown::of(&report()), None);
    assert!(!commands.is_empty());
    for line in commands.lines() {
        let ours = line.starts_with("::error ") || line.starts_with("::warning ");
        assert!(ours && !line.starts_with("::error file=x:"), "{line}");
        // The runner ends the properties at `::`, and parts them at each comma.
        let (_, rest) = line.split_once(' ').unwrap();
        let (properties, _) = rest.split_once("::").unwrap();
        let mut names = Vec::new();
        for property in properties.split(',') {
            let (name, value) = property.split_once('=').unwrap();
            assert!(!value.contains(':'), "{property} of {line}");
            names.push(name);
        }
        let expected = [&["title"][..], &["file", "line", "col", "title"]];
        assert!(expected.contains(&&*names), "{names:?} of {line}");
    }
}

/// A summary is HTML, in which a backtick makes no code. `make torture` found this.
#[test]
fn a_backtick_in_the_title_of_a_log_keeps_no_element() {
    let mut value = hostile();
    let mut spoiled = 0;
    for cell in value["cells"].as_array_mut().unwrap() {
        if let Some(of) = cell.pointer_mut("/diagnosis/excerpt/of") {
            *of = format!("a ` PWNED <img src=x onerror=a> ` {EVIL}").into();
            spoiled += 1;
        }
    }
    assert!(spoiled > 0);
    let report: Report = serde_json::from_value(value).unwrap();
    assert_text("markdown", &render::markdown(&Shown::of(&report)));
    assert_text("github", &render::github(&Shown::of(&report), None));
}

/// What a guest says of its kernel is as foreign as what it says of an object.
#[test]
fn features_of_a_hostile_guest_stay_on_their_lines() {
    let offered = |present| Offered {
        kind: Kind::Helper,
        name: format!("bpf_loop{EVIL}"),
        present: Some(present),
        mainline: Some(format!("5.17{EVIL}")),
        module: Some(EVIL.into()),
        program_types: vec![EVIL.into()],
        id: None,
        source: EVIL.into(),
    };
    let kernel = |present| {
        let mut kernel = KernelFeatures {
            kernel: format!("k{EVIL}"),
            features: vec![offered(present)],
            ..KernelFeatures::default()
        };
        kernel.guest.release = EVIL.into();
        kernel
    };
    let (old, new) = (kernel(false), kernel(true));
    let settings = BTreeMap::from([(EVIL.to_owned(), EVIL.to_owned())]);
    let differences = old.differences(&new);
    assert!(!differences.is_empty());
    let settings = &Shown::of(&settings);
    let (old, new) = (Shown::of(&old), Shown::of(&new));
    let page = render::features(&old, settings);
    let both = render::differences([&old, &new], [settings; 2], &Shown::of(&differences));
    for page in [page, both] {
        assert!(page.contains("10 passed"), "{page}");
        assert!(!page.chars().any(|c| c != '\n' && render::is_active(c)));
        for line in page.lines() {
            assert!(!line.starts_with("     Summary ["), "{line}");
            assert!(
                !line.starts_with("::") && !line.starts_with("# PWNED"),
                "{line}"
            );
        }
    }
}

#[test]
fn junit_of_a_hostile_report_is_xml() {
    let xml = render::junit(&Shown::of(&report()));
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
    let html = render::html(&Shown::of(&report()));
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
        render::markdown(&Shown::of(&report)),
        render::github(&Shown::of(&report), None),
        render::junit(&Shown::of(&report)),
        render::html(&Shown::of(&report)),
    ] {
        assert!(!page.contains(&"x".repeat(1001)));
    }
}
