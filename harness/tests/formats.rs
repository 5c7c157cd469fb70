//! What others read: `report.json` against its published schema, `JUnit` against the rules of the
//! readers that Jenkins, GitLab and GitHub have.

use std::collections::BTreeMap;

use quick_xml::events::Event;
use quick_xml::reader::Reader;
use serde_json::Value;
use ukci_harness::render;
use ukci_schema::artifact::Artifact;
use ukci_schema::json_schema;
use ukci_schema::report::Report;

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

#[test]
fn junit_has_only_what_readers_know_and_its_counts_are_right() {
    let mut report = fixture();
    // What a kernel prints need not be XML.
    for cell in &mut report.cells {
        if let Some(diagnosis) = &mut cell.diagnosis {
            diagnosis
                .headline
                .push_str(" \u{1b}[31m]]> & <x> \u{0} \"quoted\"");
        }
    }
    let xml = render::junit(&report);
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
        for number in ["tests", "failures", "errors", "time"] {
            if let Some(value) = element.attributes.get(number) {
                assert!(value.parse::<f64>().unwrap() >= 0.0);
            }
        }
    }
    let of = |path: &'static str| elements.iter().filter(move |e| e.path == path);
    let case = "testsuites/testsuite/testcase";
    assert_eq!(of(case).count(), report.cells.len());
    let summary = &report.summary;
    let count = |kind: &str| {
        elements
            .iter()
            .filter(|e| e.path == format!("{case}/{kind}"))
            .count()
    };
    assert_eq!(count("failure"), summary.fail + summary.xpass);
    assert_eq!(
        (count("error"), count("skipped")),
        (summary.error, summary.skip)
    );
    let sum = |name: &str| -> usize {
        of("testsuites/testsuite")
            .map(|suite| suite.attributes[name].parse::<usize>().unwrap())
            .sum()
    };
    assert_eq!(sum("tests"), report.cells.len());
    assert_eq!(
        (sum("failures"), sum("errors")),
        (summary.fail + summary.xpass, summary.error)
    );
    assert!(!xml.contains('\u{1b}') && !xml.contains('\u{0}'));
    // Readers tell cases apart by these two.
    let mut names: Vec<_> = of(case)
        .map(|case| (&case.attributes["classname"], &case.attributes["name"]))
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), report.cells.len());
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
                diagnosis.headline = format!("{} ({n})", diagnosis.headline);
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
    let github = render::github(&report);
    assert!(github.len() < 1024 * 1024, "{}", github.len());
    assert!(github.contains("further problems do not fit on this page"));
    assert!(render::annotations(&report, None).lines().count() <= 20);
    for text in [
        render::markdown(&report),
        render::junit(&report),
        render::html(&report),
    ] {
        assert!(text.contains("artifact_99"));
    }
}
