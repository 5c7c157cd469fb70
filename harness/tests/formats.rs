//! What others read: `report.json` against its published schema, `JUnit` against the rules of the
//! readers that Jenkins, GitLab and GitHub have.

use std::collections::BTreeMap;

use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde_json::Value;
use ukci_harness::render::{self, Shown};
use ukci_schema::artifact::Artifact;
use ukci_schema::json_schema;
use ukci_schema::report::Report;
use ukci_schema::verdict::Outcome;

fn fixture() -> Report {
    serde_json::from_str(include_str!("fixtures/report.json")).unwrap()
}

/// The published file, which anyone can fetch, is what the types say today.
#[test]
fn the_published_schema_is_the_types() {
    let published: Value =
        serde_json::from_str(include_str!("../../docs/report.schema.json")).unwrap();
    assert!(
        published == json_schema::report(),
        "docs/report.schema.json is stale: `ukci report schema > docs/report.schema.json`"
    );
}

#[test]
fn a_report_is_valid_and_a_broken_one_is_not() {
    let validator = jsonschema::validator_for(&json_schema::report()).unwrap();
    let report = serde_json::to_value(fixture()).unwrap();
    let complaints: Vec<String> = validator
        .iter_errors(&report)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert_eq!(complaints, Vec::<String>::new());

    let broken = |pointer: &str, value: Value| {
        let mut report = report.clone();
        *report.pointer_mut(pointer).unwrap() = value;
        report
    };
    for wrong in [
        broken("/schema", "ukci.report/2".into()),
        broken("/cells/0/outcome", "passed".into()),
        broken("/cells/0/arch", "amd64".into()),
        broken("/cells/2/diagnosis/code", "NO_SUCH_CODE".into()),
        broken("/cells/0/seconds", "1.5".into()),
        broken("/summary/pass", (-1).into()),
    ] {
        assert!(!validator.is_valid(&wrong));
    }
    let mut more = report.clone();
    more["cells"][0]["surprise"] = true.into();
    assert!(!validator.is_valid(&more), "unknown fields are refused");
    let mut less = report;
    less["cells"][0].as_object_mut().unwrap().remove("id");
    assert!(!validator.is_valid(&less));
}

/// An element: its name, its attributes, and where it stands.
struct Element {
    path: String,
    attributes: BTreeMap<String, String>,
}

fn elements(xml: &str) -> Vec<Element> {
    let mut reader = Reader::from_str(xml);
    let (mut stack, mut elements) = (Vec::<String>::new(), Vec::new());
    loop {
        let event = reader.read_event().unwrap();
        match &event {
            Event::Start(start) | Event::Empty(start) => {
                stack.push(String::from_utf8(start.name().as_ref().to_vec()).unwrap());
                let attributes = start.attributes().map(|attribute| {
                    let attribute = attribute.unwrap();
                    let key = String::from_utf8(attribute.key.as_ref().to_vec()).unwrap();
                    (key, String::from_utf8(attribute.value.to_vec()).unwrap())
                });
                elements.push(Element {
                    path: stack.join("/"),
                    attributes: attributes.collect(),
                });
                if matches!(event, Event::Empty(_)) {
                    stack.pop();
                }
            }
            Event::End(_) => drop(stack.pop()),
            Event::Eof => return elements,
            _ => {}
        }
    }
}

/// The elements that the strictest schema in use knows (`junit-10.xsd` of Jenkins' xUnit plug-in),
/// and for each the attributes it may have; those with a `!` it must have.
const JENKINS: &[(&str, &[&str])] = &[
    (
        "testsuites",
        &["name", "time", "tests", "failures", "errors"],
    ),
    (
        "testsuites/testsuite",
        &[
            "!name",
            "!tests",
            "!failures",
            "!errors",
            "group",
            "time",
            "skipped",
            "timestamp",
            "hostname",
            "id",
            "package",
            "file",
            "log",
            "url",
        ],
    ),
    ("testsuites/testsuite/properties", &[]),
    (
        "testsuites/testsuite/properties/property",
        &["!name", "!value"],
    ),
    (
        "testsuites/testsuite/testcase",
        &["!name", "time", "classname", "group"],
    ),
    (
        "testsuites/testsuite/testcase/skipped",
        &["type", "message"],
    ),
    (
        "testsuites/testsuite/testcase/failure",
        &["type", "message"],
    ),
    ("testsuites/testsuite/testcase/error", &["type", "message"]),
    ("testsuites/testsuite/testcase/system-out", &[]),
];

/// `JUnit` as those readers take it, and every cell told as what it is.
fn assert_junit(report: &Report) {
    let xml = render::junit(&Shown::of(report));
    let elements = elements(&xml);
    for element in &elements {
        let known = JENKINS.iter().find(|(path, _)| *path == element.path);
        let (_, known) = known.unwrap_or_else(|| panic!("unknown element {}", element.path));
        for name in element.attributes.keys() {
            let known = known.iter().any(|k| k.trim_start_matches('!') == name);
            assert!(known, "{} has `{name}`", element.path);
        }
        for required in known.iter().filter_map(|name| name.strip_prefix('!')) {
            assert!(
                element.attributes.contains_key(required),
                "{}",
                element.path
            );
        }
        for number in ["tests", "failures", "errors", "skipped", "time"] {
            if let Some(value) = element.attributes.get(number) {
                // A decimal of XML Schema: no sign, no exponent, no infinity.
                let decimal = value.bytes().all(|b| b.is_ascii_digit() || b == b'.');
                assert!(decimal && value.parse::<f64>().is_ok(), "{number}={value}");
            }
        }
    }
    assert!(!xml.contains('\u{1b}') && !xml.contains('\u{0}'));

    // Suite by suite: what its attributes count is what it holds.
    let suites = elements.split(|e| e.path == "testsuites/testsuite").skip(1);
    let heads = elements.iter().filter(|e| e.path == "testsuites/testsuite");
    for (suite, head) in suites.zip(heads) {
        let count = |kind: &str| suite.iter().filter(|e| e.path.ends_with(kind)).count();
        for (attribute, kind) in [
            ("tests", "/testcase"),
            ("failures", "/failure"),
            ("errors", "/error"),
            ("skipped", "/skipped"),
        ] {
            let told = head.attributes.get(attribute).map_or("0", String::as_str);
            assert_eq!(told, count(kind).to_string(), "{attribute}");
        }
    }

    // Case by case; readers tell cases apart by class and name.
    let mut told = BTreeMap::new();
    let cases = elements.split(|e| e.path == "testsuites/testsuite/testcase");
    let heads = elements.iter();
    let heads = heads.filter(|e| e.path == "testsuites/testsuite/testcase");
    for (children, head) in cases.skip(1).zip(heads) {
        let within = |e: &&Element| e.path.starts_with("testsuites/testsuite/testcase/");
        let mut kinds = Vec::new();
        for child in children.iter().take_while(within) {
            let kind = child.path.rsplit('/').next().unwrap();
            kinds.push(kind.to_owned());
            // Ant's schema, which Azure and Bitbucket read by, wants a type of each.
            if kind == "failure" || kind == "error" {
                assert!(child.attributes.contains_key("type"), "{kind} has no type");
                assert!(!child.attributes["message"].is_empty());
            }
        }
        let of = &head.attributes;
        let key = (of["classname"].clone(), of["name"].clone());
        assert!(told.insert(key, kinds).is_none(), "a case twice");
    }
    assert_eq!(told.len(), report.cells.len());
    for cell in &report.cells {
        let class = cell.artifact.clone();
        let llvm = (cell.llvm.as_ref()).map_or(String::new(), |llvm| format!(" llvm-{llvm}"));
        let name = format!("{} {}{llvm}", cell.kernel, cell.arch);
        let expected: &[&str] = match cell.outcome {
            Outcome::Pass | Outcome::Xfail => &["system-out"],
            Outcome::Fail | Outcome::Xpass => &["failure", "system-out"],
            Outcome::Error => &["error", "system-out"],
            Outcome::Skip => &["skipped", "system-out"],
        };
        assert_eq!(told[&(class, name)], expected, "{}", cell.id);
    }
}

#[test]
fn junit_has_only_what_readers_know_and_every_cell_as_what_it_is() {
    let mut report = fixture();
    assert_junit(&report);
    // What a kernel prints need not be XML.
    for cell in &mut report.cells {
        if let Some(diagnosis) = &mut cell.diagnosis {
            diagnosis
                .headline
                .push_str(" \u{1b}[31m]]> & <x> \u{0} \"quoted\"");
        }
    }
    assert_junit(&report);
    // Sources: a case for each LLVM.
    let seeds = report.cells.clone();
    report.cells.clear();
    for llvm in ["14", "19", "22"] {
        for mut cell in seeds.clone() {
            cell.llvm = Some(llvm.into());
            cell.id = cell.cell().id();
            report.cells.push(cell);
        }
    }
    assert_junit(&report);
}

/// A report of ten thousand cells stays below what GitHub shows, and takes no time to speak of.
#[test]
fn ten_thousand_cells_are_rendered() {
    let mut report = fixture();
    let seeds = report.cells.clone();
    report.cells = (0..10_000)
        .map(|n| {
            let mut cell = seeds[n % seeds.len()].clone();
            cell.artifact = format!("artifact_{}", n / 100);
            cell.kernel = format!("kernel-{}", n % 100);
            if let Some(diagnosis) = &mut cell.diagnosis {
                // Neither words nor advice make one cause of two.
                diagnosis.headline = format!("{} ({n})", diagnosis.headline);
                for hint in &mut diagnosis.hints {
                    *hint = format!("{hint} ({n})");
                }
            }
            cell.id = cell.cell().id();
            cell
        })
        .collect();
    report.artifacts = (0..100)
        .map(|n| Artifact {
            name: format!("artifact_{n}"),
            ..report.artifacts[0].clone()
        })
        .collect();
    let github = render::github(&Shown::of(&report), None);
    assert!(github.len() < 1024 * 1024, "{}", github.len());
    assert!(github.contains("further causes do not fit on this page"));
    assert!(
        render::annotations(&Shown::of(&report), None)
            .lines()
            .count()
            <= 20
    );
    for text in [
        render::markdown(&Shown::of(&report)),
        render::junit(&Shown::of(&report)),
        render::html(&Shown::of(&report)),
    ] {
        assert!(text.contains("artifact_99"));
    }
}
