//! Evidence of real kernels, and the picture of every judgement.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use ukci_judge::{canonical, judge, rules};
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Evidence, StepOutcome};
use ukci_schema::verdict::{Stage, Verdict};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/evidence")
}

fn sorted(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// Every recorded case, by kernel and name.
pub(crate) fn all() -> BTreeMap<String, BTreeMap<String, Evidence>> {
    let mut kernels = BTreeMap::new();
    for kernel in sorted(&root()).into_iter().filter(|path| path.is_dir()) {
        let mut cases = BTreeMap::new();
        for path in sorted(&kernel) {
            let text = fs::read_to_string(&path).unwrap();
            let evidence = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            cases.insert(stem(&path), evidence);
        }
        kernels.insert(
            kernel.file_name().unwrap().to_string_lossy().into_owned(),
            cases,
        );
    }
    kernels
}

fn case(kernel: &str, name: &str) -> Evidence {
    let path = root().join(kernel).join(format!("{name}.json"));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// The judgement of one case, without its words: verdict, rule, code, stage and program, and what
/// each refused program is blamed for.
fn picture(name: &str, evidence: &Evidence) -> String {
    let judgement = judge(evidence, false);
    let (rule, by_program) = rules(evidence, false);
    let mut text = format!("{name}: {:?} by `{rule}`", judgement.verdict.kind()).to_lowercase();
    let _ = match &judgement.verdict {
        Verdict::Pass | Verdict::Skip { .. } => writeln!(text),
        Verdict::Fail { diagnosis: found } => {
            let program = found.program.as_deref().unwrap_or("-");
            writeln!(text, ": {} ({}, {program})", found.code, found.stage)
        }
        Verdict::Error { fault } => {
            let code = fault.code.map_or("-", Code::name);
            writeln!(text, ": {code} ({})", fault.stage)
        }
    };
    for ((program, found), rule) in evidence
        .programs
        .iter()
        .zip(&judgement.programs)
        .zip(by_program)
    {
        if let (Some(found), Some(rule)) = (found, rule) {
            let _ = writeln!(text, "  {}: {} by `{rule}`", program.name, found.code);
        }
    }
    text
}

fn snapshots() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../evidence");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

/// `INSTA_UPDATE=always cargo test -p ukci-judge --test judge` takes the pictures anew.
#[test]
fn every_recorded_case_is_judged_as_before() {
    snapshots().bind(|| {
        for (kernel, cases) in all() {
            let pictures: Vec<String> = cases
                .iter()
                .map(|(name, evidence)| picture(name, evidence))
                .collect();
            insta::assert_snapshot!(kernel, pictures.concat());
        }
    });
}

/// What a reader sees of each rule, once for each code that it gives: the headline, the source
/// line, the last line of the excerpt and the hints of the first recorded case.
#[test]
fn every_rule_has_its_words() {
    let mut words = BTreeMap::new();
    for (kernel, cases) in all() {
        for (name, evidence) in cases {
            let judgement = judge(&evidence, false);
            let (rule, by_program) = rules(&evidence, false);
            let whole = match judgement.verdict {
                Verdict::Fail { diagnosis } => Some((rule, diagnosis)),
                _ => None,
            };
            let programs = by_program.into_iter().zip(judgement.programs);
            let programs = programs.filter_map(|(rule, found)| Some((rule?, found?)));
            for (rule, found) in whole.into_iter().chain(programs) {
                words
                    .entry((rule, found.code))
                    .or_insert_with(|| words_of(&format!("{kernel}/{name}"), &found));
            }
        }
    }
    let lines: Vec<String> = words
        .into_iter()
        .map(|((rule, code), words)| format!("{rule} {code}\n{words}"))
        .collect();
    snapshots().bind(|| insta::assert_snapshot!("words", lines.join("\n")));
}

fn words_of(case: &str, found: &Diagnosis) -> String {
    let mut text = format!("  {case}\n  {}\n", found.headline);
    if let Some(at) = &found.at {
        let _ = writeln!(text, "  at {}:{}: {}", at.file, at.line, at.text);
    }
    if let Some(excerpt) = &found.excerpt {
        let last = excerpt.lines.last().map(String::as_str).unwrap_or_default();
        let _ = writeln!(text, "  {} log: … {last}", excerpt.of);
    }
    for hint in &found.hints {
        let _ = writeln!(text, "  hint: {hint}");
    }
    text
}

/// Recordings are kept in the form that digests are made of, so that recording one again changes
/// only what the kernel said otherwise. `UKCI_UPDATE=1` writes them so.
#[test]
fn recordings_are_canonical() {
    for (kernel, cases) in all() {
        for (name, evidence) in cases {
            let path = root().join(&kernel).join(format!("{name}.json"));
            let text = canonical::text(&evidence) + "\n";
            if std::env::var_os("UKCI_UPDATE").is_some() {
                fs::write(&path, &text).unwrap();
            }
            let kept = fs::read_to_string(&path).unwrap();
            assert!(kept == text, "{}: run with UKCI_UPDATE=1", path.display());
        }
    }
}

/// A pass teaches the judge little: one or two of a kernel are enough.
#[test]
fn plain_passes_are_few() {
    for (kernel, cases) in all() {
        let plain = (cases.iter())
            .filter(|(_, evidence)| judge(evidence, true).verdict == Verdict::Pass)
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>();
        assert!(
            (1..=2).contains(&plain.len()),
            "{kernel} keeps {} plain passes: {plain:?}",
            plain.len()
        );
    }
}

#[test]
fn five_series_are_recorded_and_no_case_of_them_is_unclassified() {
    let kernels = all();
    assert_eq!(kernels.len(), 5);
    for (kernel, cases) in &kernels {
        assert!(cases.len() >= 20, "{kernel} has {} cases", cases.len());
        for (name, evidence) in cases {
            assert!(
                kernel.contains(series(&evidence.guest.release)),
                "{kernel}/{name}"
            );
            let verdict = judge(evidence, false).verdict;
            assert_ne!(verdict.code(), Some(Code::Unclassified), "{kernel}/{name}");
        }
    }
}

fn series(release: &str) -> &str {
    let end = release
        .match_indices(['.', '-'])
        .map(|(at, _)| at)
        .nth(1)
        .unwrap_or(release.len());
    &release[..end]
}

/// What a release rests on: who is refused by the kernel is refused here, and the reverse.
#[test]
fn no_refused_load_passes_and_no_good_one_fails_at_load() {
    for (kernel, cases) in all() {
        for (name, evidence) in cases {
            let judgement = judge(&evidence, false);
            let refused = [&evidence.open, &evidence.load]
                .iter()
                .any(|step| step.outcome == StepOutcome::Refused);
            if refused {
                let bad = matches!(
                    judgement.verdict,
                    Verdict::Fail { .. } | Verdict::Error { .. }
                );
                assert!(bad, "{kernel}/{name}");
            }
            for (program, found) in evidence.programs.iter().zip(&judgement.programs) {
                let loaded = program.load.outcome == StepOutcome::Ok;
                if loaded && refused {
                    // It may be told that it would not attach; never that it was refused.
                    assert!(
                        (found.as_ref()).is_none_or(|found| found.stage == Stage::Attach),
                        "{kernel}/{name}: {} is blamed",
                        program.name
                    );
                }
            }
        }
    }
}

fn failure(kernel: &str, name: &str) -> Diagnosis {
    match judge(&case(kernel, name), false).verdict {
        Verdict::Fail { diagnosis } => diagnosis,
        other => panic!("{kernel}/{name}: {other:?}"),
    }
}

const V5_10: &str = "debian-11-5.10-cloud";
const V6_1: &str = "debian-12-6.1-cloud";
const V6_12: &str = "debian-13-6.12-cloud";
const V7_2: &str = "debian-sid-7.2-cloud";
const V7_3: &str = "debian-experimental-7.3-cloud";
const ALL: [&str; 5] = [V5_10, V6_1, V6_12, V7_2, V7_3];

#[test]
fn the_ring_buffer_passes_everywhere() {
    for kernel in ALL {
        assert_eq!(
            judge(&case(kernel, "ringbuf"), true).verdict,
            Verdict::Pass,
            "{kernel}"
        );
    }
}

#[test]
fn bpf_loop_is_named_with_its_release_and_only_its_caller_is_blamed() {
    let found = failure(V5_10, "bpf_loop");
    assert_eq!(found.code, Code::UnsupportedHelper);
    assert!(found.headline.contains("bpf_loop") && found.headline.contains("5.17"));
    let two = case(V5_10, "two_programs");
    let judgement = judge(&two, false);
    let blamed: Vec<_> = two
        .programs
        .iter()
        .zip(&judgement.programs)
        .filter(|(_, found)| found.is_some())
        .map(|(program, _)| program.name.as_str())
        .collect();
    assert_eq!(blamed, ["loops"]);
    for kernel in [V6_1, V6_12, V7_2, V7_3] {
        assert_eq!(
            judge(&case(kernel, "bpf_loop"), true).verdict,
            Verdict::Pass,
            "{kernel}"
        );
    }
}

#[test]
fn a_bloom_filter_is_missing_on_5_10() {
    let found = failure(V5_10, "bloom_filter");
    assert_eq!(found.code, Code::UnsupportedMapType);
    assert!(found.headline.contains("bloom_filter") && found.headline.contains("5.16"));
    assert_eq!(found.program.as_deref(), Some("handle_getppid"));
}

#[test]
fn a_new_kfunc_is_named() {
    for kernel in [V5_10, V6_1] {
        let found = failure(kernel, "kfunc");
        assert_eq!(found.code, Code::MissingKfunc, "{kernel}");
        assert!(found.headline.contains("bpf_") && found.headline.contains("mainline"));
    }
}

#[test]
fn a_missing_field_is_named_with_its_type_on_every_kernel() {
    for kernel in ALL {
        let found = failure(kernel, "core_missing_field");
        assert_eq!(found.code, Code::CoreRelocationFailure, "{kernel}");
        assert!(found.headline.contains("shoe_size") && found.headline.contains("task_struct"));
    }
}

#[test]
fn an_unchecked_value_has_the_verifiers_sentence_and_the_source_line() {
    for kernel in ALL {
        let found = failure(kernel, "unchecked_deref");
        assert_eq!(found.code, Code::VerifierRejection, "{kernel}");
        assert!(
            found
                .headline
                .ends_with("R0 invalid mem access 'map_value_or_null'"),
            "{kernel}"
        );
        let at = found
            .at
            .unwrap_or_else(|| panic!("{kernel}: no source line"));
        assert!(
            at.file.ends_with("unchecked_deref.bpf.c") && at.text == "*count += 1;",
            "{kernel}"
        );
        assert!(found.hints[0].contains("NULL"), "{kernel}");
    }
}

/// Of 7.3's appended report the reason is shown and the suggestion is not taken for it.
#[test]
fn the_report_of_7_3_is_read() {
    let lines = failure(V7_3, "unchecked_deref").excerpt.unwrap().lines;
    assert!(
        lines.iter().any(|line| line.starts_with("Reason: ")),
        "{lines:?}"
    );
    assert!(
        !lines.iter().any(|line| line.contains("Suggestion")),
        "{lines:?}"
    );
}

#[test]
fn excerpts_are_short() {
    for (kernel, cases) in all() {
        for (name, evidence) in cases {
            for found in judge(&evidence, true).programs.into_iter().flatten() {
                let lines = found
                    .excerpt
                    .map(|excerpt| excerpt.lines)
                    .unwrap_or_default();
                assert!(lines.len() <= 8, "{kernel}/{name}");
                assert!(
                    (1..=3).contains(&found.hints.len()),
                    "{kernel}/{name}: {:?}",
                    found.hints
                );
            }
        }
    }
}

/// Recorded evidence holds no path of the machine that it was recorded on.
#[test]
fn fixtures_are_clean() {
    let mut seen = BTreeSet::new();
    for (kernel, cases) in all() {
        for name in cases.keys() {
            let text =
                fs::read_to_string(root().join(&kernel).join(format!("{name}.json"))).unwrap();
            assert!(
                !text.contains("/tmp/") && !text.contains("/home/"),
                "{kernel}/{name}"
            );
            seen.insert(name.clone());
        }
    }
    assert!(seen.len() >= 25, "{} cases", seen.len());
}
