//! `ukci sweep` and `ukci bisect` over versions of one real kernel.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::fixture::{machine, report, root, text, ukci};

const STREAM: &str = "debian-12-6.1-cloud";

fn planted(name: &str) -> PathBuf {
    root().join(format!("ukci/tests/real/{name}.bpf.c"))
}

fn bisect(source: &str, on: &str, out: &Path) -> (String, String) {
    let source = planted(source);
    let (output, stderr) = ukci(&[
        "bisect",
        text(&source),
        "--stream",
        STREAM,
        "--good",
        "6.1.172",
        "--bad",
        "6.1.180",
        "--on",
        on,
        "--out",
        text(out),
    ]);
    assert!(output.status.success(), "{stderr}");
    (String::from_utf8(output.stdout).unwrap(), stderr)
}

/// The kernel is 6.1.177 where the program of this source starts to be refused, or to cost more. Five
/// versions are pinned from 6.1.172 to 6.1.180, so that four boots find it.
#[test]
fn a_planted_change_is_found_in_as_few_boots_as_can_be() {
    let Some(_machine) = machine() else { return };
    for (source, on, what) in [
        ("planted_verdict", "verdict", "pass became fail"),
        ("planted_cost", "insns=1.5x", "more instructions"),
    ] {
        let out = tempfile::tempdir().unwrap();
        let (stdout, stderr) = bisect(source, on, out.path());
        assert!(
            stdout.starts_with(&format!("The first bad version is {STREAM}@6.1.177-1.\n")),
            "{stdout}"
        );
        assert!(stdout.contains(what), "{stdout}");
        assert!(stdout.contains("6.1.176-1"), "the last good one: {stdout}");
        for title in [
            "Difference of the verifier's logs",
            "Changes of the configuration",
        ] {
            assert!(stdout.contains(title), "{stdout}");
        }
        // A version that was not in the cache has lines of its own before.
        let boots = stderr.matches("/4  debian-12-6.1-cloud@").count();
        assert_eq!(boots, 4, "boots: {stderr}");
        // Each step is a cell that can be run again.
        let cells = report(out.path()).cells;
        assert_eq!(cells.len(), 4);
        assert!(cells.iter().all(|cell| cell.kernel.starts_with(STREAM)));
    }
}

#[test]
fn a_sweep_has_a_line_for_each_version_and_says_where_it_changed() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let source = planted("planted_verdict");
    let (output, stderr) = ukci(&[
        "sweep",
        text(&source),
        STREAM,
        "--between",
        "6.1.176..6.1.177",
        "--print",
        "json",
        "--out",
        text(out.path()),
    ]);
    // A version that refuses it does not meet the expectation.
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    let lines: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [good, bad] = [0, 1].map(|n| &lines["versions"][n]);
    assert_eq!(
        (&good["version"], &bad["version"]),
        (&"6.1.176-1".into(), &"6.1.177-1".into())
    );
    assert_eq!(
        (&good["verdict"], &bad["verdict"]),
        (&"pass".into(), &"fail".into())
    );
    assert_eq!(good["changes"], Value::Array(Vec::new()));
    assert_eq!(bad["changes"][0], "pass became fail");
    assert!(good["insns"]["breaks"].as_u64().unwrap() > 5, "{good}");
    let built = good["built"].as_str().unwrap();
    assert!(built.starts_with("2026-"), "{built}");
}
