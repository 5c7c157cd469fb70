//! Reports with random hostile text in every string, through every renderer and its real readers:
//! xmllint, a Markdown parser, and a browser.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pulldown_cmark::{Event, Options, Parser, Tag};
use serde_json::Value;
use ukci_harness::render::is_active;

use super::hostile_report::hostile;
use super::random::Random;
use super::{Attack, assert_orderly, ended, start};

/// What means something to a terminal, a runner, a parser or a browser.
const PIECES: &[&str] = &[
    "\u{1b}[2J",
    "\u{1b}]0;t\u{7}",
    "\u{9b}31m",
    "\r",
    "\n",
    "\u{2028}",
    "\u{202e}",
    "\u{feff}",
    "\u{fffe}",
    "\u{0}",
    "\u{e0041}",
    "\t",
    "::error::PWNED",
    "##[add-mask]a",
    "# PWNED",
    "PWNED",
    "<img src=x onerror=document.title='PWNED'>",
    "<script>document.title='PWNED'</script>",
    "</title>",
    "</style>",
    "</details>",
    "-->",
    "]]>",
    "<![CDATA[",
    "&#x1b;",
    "&lt;",
    "\"",
    "'",
    "`",
    "```",
    "~~~~",
    "|",
    "[a](http://x)",
    "![a](http://x)",
    "<http://x>",
    "http://x",
    "[^1]",
    "$(id)",
    "; id",
    "\\",
    "*",
    "_",
    "- [ ] a",
    "===",
    "1. ",
    "    code",
    "@name",
    "é",
    "数",
];

#[test]
fn no_mixture_of_hostile_text_is_more_than_text() {
    let Some(mut attack) = Attack::begin("names", 15) else {
        return;
    };
    let xmllint = found("xmllint", "libxml2-utils");
    let browser = [
        "chromium-headless-shell",
        "chromium",
        "chromium-browser",
        "google-chrome",
    ]
    .into_iter()
    .find(|name| Command::new(name).arg("--version").output().is_ok());
    if browser.is_none() {
        eprintln!("skipped: no browser is installed, so no page is opened in one");
    }
    let dir = attack.path("report");
    fs::create_dir(&dir).unwrap();
    let mut reports = 0;
    while attack.goes_on() {
        let mut report = hostile();
        spoil(&mut report, &mut attack.random);
        fs::write(dir.join("report.json"), report.to_string()).unwrap();
        let page = |attack: &Attack, format: &str| {
            let mut render = vec!["--color", "never", "report", "render", "report"];
            if !format.is_empty() {
                render.extend(["--format", format]);
            }
            let mut render = attack.ukci(&render);
            let output = ended(start(&mut render), Duration::from_mins(2), format);
            assert_orderly(&output, format);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let text = String::from_utf8(output.stdout).unwrap();
            let active = text.chars().find(|c| *c != '\n' && is_active(*c));
            assert_eq!(active, None, "{format}");
            assert!(text.contains("PWNED"), "{format}: the attack is shown");
            text
        };
        let lines = page(&attack, "");
        assert!(
            !lines
                .lines()
                .any(|line| line.starts_with("::") || line.starts_with("# PWNED"))
        );
        for format in ["markdown", "github"] {
            assert_markdown(&page(&attack, format), format);
        }
        let junit = attack.path("junit.xml");
        fs::write(&junit, page(&attack, "junit")).unwrap();
        if xmllint {
            assert_xml(&junit);
        }
        let html = attack.path("report.html");
        fs::write(&html, page(&attack, "html")).unwrap();
        if let Some(browser) = browser {
            assert_page(browser, &html);
        }
        reports += 1;
    }
    eprintln!("hostile reports: {reports}");
}

fn found(program: &str, package: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        eprintln!("skipped: {program} is not installed (package {package})");
    }
    found
}

/// Adds pieces to every string that is hostile already, and so is free.
fn spoil(value: &mut Value, random: &mut Random) {
    match value {
        Value::String(text) if text.contains("PWNED") => {
            for _ in 0..random.below(6) {
                let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
                let (at, piece) = (*random.one(&places), *random.one(PIECES));
                text.insert_str(at, piece);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| spoil(value, random)),
        Value::Object(fields) => fields.values_mut().for_each(|value| spoil(value, random)),
        _ => {}
    }
}

fn assert_markdown(page: &str, format: &str) {
    for event in Parser::new_ext(page, Options::all()) {
        match event {
            Event::Start(Tag::Image { .. } | Tag::Link { .. } | Tag::FootnoteDefinition(_)) => {
                panic!("{format}: {event:?}")
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let ours = ["<details><summary>", "</details>"];
                let is_ours = ours.iter().any(|ours| html.starts_with(ours));
                assert!(is_ours && !html.contains("<img"), "{format}: {html}");
            }
            _ => {}
        }
    }
}

fn assert_xml(file: &Path) {
    let output = Command::new("xmllint")
        .args(["--noout", "--nonet"])
        .arg(file)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{words}");
}

/// Opens a page in a browser, and reads what became of it.
fn assert_page(browser: &str, file: &Path) {
    let mut open = Command::new(browser);
    open.args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]);
    open.arg(format!("file://{}", file.display()));
    let output = open.output().unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    assert!(
        dom.contains("<title>ukci "),
        "{browser} opened nothing: {output:?}"
    );
    for element in ["<img", "<script", "onerror=\"", "<iframe"] {
        assert!(!dom.contains(element), "{element} in the page");
    }
}
