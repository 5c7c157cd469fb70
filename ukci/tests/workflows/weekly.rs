//! Tests what happens to the reports of shards: they are merged into one report, which is compared
//! with that of the week before.

use std::path::Path;
use std::process::Output;

use super::place::{Place, said, script};
use super::{read, steps};

/// Merges two shards that have the cells of the fixture's report. `ukci list` prints these cells and
/// the lines of `extra`.
fn shards(place: &Place, extra: &str) -> Output {
    let whole: serde_json::Value =
        serde_json::from_str(include_str!("../../../harness/tests/fixtures/report.json")).unwrap();
    let cells = whole["cells"].as_array().unwrap();
    let (one, two) = cells.split_at(cells.len() / 2);
    for (name, cells) in [("a", one), ("b", two)] {
        let mut shard = whole.clone();
        shard["cells"] = cells.into();
        place.write(&format!("shards/{name}/report.json"), &shard.to_string());
    }
    // This job was lost before it had a report.
    place.write("shards/c/junit.xml", "");
    let ids: Vec<&str> = cells
        .iter()
        .filter_map(|cell| cell["id"].as_str())
        .collect();
    let listed = ids.join("  expect fail: MISSING_BTF\n");
    place.write("listed", &format!("{listed}\n{extra}"));
    place.program(
        "ukci",
        &format!(
            "[ \"$1\" = list ] || exec {} \"$@\"\necho \"$*\" >asked\nsort -r listed",
            env!("CARGO_BIN_EXE_ukci")
        ),
    );
    let ukci = place.path("ukci");
    place.run(
        &script("join"),
        &["shards", "out", "m.toml", "a.bpf.c", "b.bpf.c"],
        &[("UKCI", ukci.to_str().unwrap())],
    )
}

#[test]
fn shards_become_one_report_whatever_they_say() {
    let place = Place::new();
    let ran = shards(&place, "");
    // The fixture has cells of every outcome, so the run that it describes failed.
    assert_eq!(ran.status.code(), Some(2), "{}", said(&ran));
    assert_eq!(
        place.read("asked"),
        "list a.bpf.c b.bpf.c --matrix m.toml\n"
    );
    let summary = place.read("summary");
    assert!(summary.starts_with("## ukci: "), "{summary}");
    assert!(!summary.contains("in no shard"), "{summary}");
    assert!(place.read("out/report.html").starts_with("<!DOCTYPE html>"));
    let joined: serde_json::Value = serde_json::from_str(&place.read("out/report.json")).unwrap();
    let listed = place.read("listed");
    assert_eq!(
        joined["cells"].as_array().unwrap().len(),
        listed.lines().count()
    );
}

#[test]
fn a_lost_cell_is_told() {
    let place = Place::new();
    let ran = shards(&place, "x/debian-99/x86_64\n");
    assert!(!ran.status.success());
    let told = "**1 cells of the matrix are in no shard:**\n\n```text\nx/debian-99/x86_64\n```\n";
    assert!(
        place.read("summary").ends_with(told),
        "{}",
        place.read("summary")
    );
    assert!(said(&ran).contains("::error::1 cells"), "{}", said(&ran));

    let none = Place::new();
    std::fs::create_dir(none.path("shards")).unwrap();
    let ran = none.run(
        &script("join"),
        &["shards", "out", "m", "a"],
        &[("UKCI", "false")],
    );
    assert_eq!(ran.status.code(), Some(1));
    assert!(
        said(&ran).contains("no shard left a report"),
        "{}",
        said(&ran)
    );
}

#[test]
fn the_newest_earlier_report_is_taken() {
    // Run 9 is this one, 8 never had the artifact, and the artifact of 7 has no report. 6 has one.
    let gh = "case \"$1 $2\" in\n\"run list\") echo \"$*\" >asked; printf '9\\n8\\n7\\n6\\n5\\n';;\n\
              \"run download\") echo \"$3\" >>downloaded\n\
              case $3 in 8|5) exit 1;; esac\nmkdir last\n[ $3 = 7 ] || echo $3 >last/report.json;;\nesac";
    let env = [
        ("GITHUB_RUN_ID", "9"),
        ("GITHUB_REF_NAME", "main"),
        ("GITHUB_REPOSITORY", "o/r"),
    ];
    let args = ["weekly.yml", "weekly", "last"];
    let place = Place::new();
    place.program("bin/gh", gh);
    let ran = place.run(&script("last-report"), &args, &env);
    assert!(ran.status.success(), "{}", said(&ran));
    assert_eq!(place.read("downloaded"), "8\n7\n6\n");
    assert_eq!(place.read("last/report.json"), "6\n");
    assert_eq!(place.read("output"), "found=true\n");
    let asked = place.read("asked");
    assert!(
        asked.contains("--repo o/r --workflow weekly.yml --branch main"),
        "{asked}"
    );
    assert_eq!(place.read("summary"), "");

    // In the first week there is no report, or all reports have expired.
    let place = Place::new();
    place.program("bin/gh", &gh.replace("8|5", "*"));
    let ran = place.run(&script("last-report"), &args, &env);
    assert!(ran.status.success(), "{}", said(&ran));
    assert!(!place.path("last").exists());
    assert_eq!(place.read("output"), "found=false\n");
    assert_eq!(
        place.read("summary"),
        "There is no earlier report to compare with.\n"
    );
}

/// Runs the script of `weekly.yml` with the fixture's report, and with one in which a program costs
/// twice as much.
#[test]
fn a_program_that_costs_more_fails_the_week() {
    let workflow = read(".github/workflows/weekly.yml");
    let all = steps(&workflow);
    let by = |text: &str| {
        let mut steps = all.iter().map(|(_, step)| step);
        steps.find(|step| step["run"].as_str().unwrap_or_default().contains(text))
    };
    let compare = by("report diff").unwrap();
    assert_eq!(compare["if"], "steps.last.outputs.found == 'true'");
    assert_eq!(by("last-report").unwrap()["id"], "last");
    let compare = compare["run"].as_str().unwrap();
    let fixture = include_str!("../../../harness/tests/fixtures/report.json");
    let mut dearer: serde_json::Value = serde_json::from_str(fixture).unwrap();
    let insns = &mut dearer["cells"][1]["programs"][0]["verifier"]["insns"];
    *insns = (insns.as_u64().unwrap() * 2).into();
    for (now, status) in [(fixture.to_owned(), 0), (dearer.to_string(), 2)] {
        let place = Place::new();
        place.write("last/report.json", fixture);
        place.write("weekly/report.json", &now);
        let ran = place.run(
            Path::new("bash"),
            &["--noprofile", "--norc", "-eo", "pipefail", "-c", compare],
            &[("UKCI", env!("CARGO_BIN_EXE_ukci"))],
        );
        assert_eq!(ran.status.code(), Some(status), "{}", said(&ran));
        let summary = place.read("summary");
        assert_eq!(summary.contains("1 program grew"), status == 2, "{summary}");
    }
}
