//! A report whose every string is hostile; used by the tests of two crates.

use serde_json::Value;
use ukci_schema::report::Report;

/// A title, a cleared screen, colors, a C1 control, a return, forged lines, commands of GitHub's
/// runner, marks of direction, a noncharacter, Markdown and HTML.
pub(crate) const EVIL: &str = "\u{1b}]0;title\u{7}\u{1b}[2J\u{1b}[31m\u{9b}31m\r\n     Summary [   1.000s] 10 \
                    cells: 10 passed\n::error file=x::pwned\n  ::set-output name=x::pwned\n\
                    ##[add-mask]a\u{202e}\u{2066}\u{2028}\u{fffe}\n# PWNED <img src=x onerror=a>\
                    \n```\n~~~~~\n</details>\n| [click](http://x) ![i](http://x)";

/// The fixture with every string hostile that may be so: those that are words of ours or digests
/// are refused by their types, and stay.
pub(crate) fn hostile() -> Value {
    let text = include_str!("../fixtures/report.json");
    let mut report: Value = serde_json::from_str(text).unwrap();
    let mut pointers = Vec::new();
    strings(&report, &mut String::new(), &mut pointers);
    let mut spoiled = 0;
    for pointer in pointers.iter().filter(|pointer| *pointer != "/schema") {
        let good = report.pointer(pointer).unwrap().clone();
        let evil = format!("{}{EVIL}", good.as_str().unwrap());
        *report.pointer_mut(pointer).unwrap() = evil.into();
        if serde_json::from_value::<Report>(report.clone()).is_ok() {
            spoiled += 1;
        } else {
            *report.pointer_mut(pointer).unwrap() = good;
        }
    }
    assert!(spoiled > 100, "only {spoiled} strings are free");
    let kernels = report["kernels"].as_object_mut().unwrap();
    *kernels = std::mem::take(kernels)
        .into_iter()
        .map(|(name, kernel)| (format!("{name}{EVIL}"), kernel))
        .collect();
    report
}

fn strings(value: &Value, at: &mut String, found: &mut Vec<String>) {
    let len = at.len();
    match value {
        Value::String(_) => found.push(at.clone()),
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                at.push_str(&format!("/{n}"));
                strings(value, at, found);
                at.truncate(len);
            }
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                at.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                strings(value, at, found);
                at.truncate(len);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
