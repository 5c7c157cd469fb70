//! The kernel's own verifier selftests (`progs/verifier_*.c` of Debian's `linux-source-6.12`)
//! against ukci's verdicts on the 6.12 kernel.
//!
//! `make selftests` fetches and compiles them and sets `UKCI_SELFTESTS` to the directory. What is
//! expected of each program stands in the object itself, as BTF declaration tags, which are read
//! here as the kernel's `test_loader.c` reads them. Only privileged expectations are compared.

#![expect(
    clippy::print_stderr,
    reason = "a skip and the figures are told to people"
)]

#[path = "selftests/annotation.rs"]
mod annotation;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::Regex;
use serde::Deserialize;
use ukci_schema::evidence::StepOutcome;
use ukci_schema::report::{CellReport, ProgramReport, Report};
use ukci_schema::verdict::VerdictKind;

use annotation::{Annotation, annotations};

/// A program that is known to differ.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    /// Whose fault it is, and why.
    reason: String,
}

/// What became of one program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// Same verdict; a refusal's last message is in the diagnosis.
    Agrees,
    /// Same verdict; the annotation has no message, or only ones of a log level that ukci does not
    /// load good programs at.
    AgreesWithoutMessage,
    /// Both refuse, and the message is not in the diagnosis.
    OtherSentence(String),
    /// One accepts, the other refuses.
    OtherVerdict(String),
    /// Cannot be compared, and why.
    Apart(&'static str),
}

fn root() -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    dir.canonicalize().unwrap()
}

fn run(objects: &[PathBuf], kernel: &str, out: &Path) -> Report {
    let agent = root().join("target/release/ukci-guest-x86_64");
    let output = Command::new(env!("CARGO_BIN_EXE_ukci"))
        .env("NO_COLOR", "1")
        // A test of what kernels answer asks them.
        .env("UKCI_NO_CACHE", "1")
        .env("UKCI_AGENT_X86_64", agent)
        .stdin(Stdio::null())
        // The verifier walks a million instructions of some, and prints them when it refuses.
        .args(["--quiet", "check", "--mode", "load", "--timeout", "5m"])
        .args(["--kernel", kernel, "--out"])
        .arg(out)
        .args(objects)
        .output()
        .unwrap();
    let text = std::fs::read(out.join("report.json"))
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    serde_json::from_slice(&text).unwrap()
}

/// A message as `test_loader.c` takes it: literal, but for `{{…}}`, an extended regular expression.
fn pattern(message: &str) -> Regex {
    let mut pattern = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("{{") {
        let (expression, left) = after.split_once("}}").unwrap_or((after, ""));
        pattern.push_str(&regex::escape(before));
        pattern.push_str(expression);
        rest = left;
    }
    pattern.push_str(&regex::escape(rest));
    Regex::new(&pattern).unwrap()
}

/// Whether it can be compared at all; the reason if not.
fn apart(annotation: &Annotation) -> Option<&'static str> {
    if annotation.auxiliary {
        return Some("no test of its own (__auxiliary)");
    }
    if !annotation.privileged {
        return Some("unprivileged only");
    }
    if !annotation.arches.is_empty() && !annotation.arches.iter().any(|arch| arch == "X86_64") {
        return Some("other architecture");
    }
    // Without effect where unaligned access is efficient, as on x86.
    let harmless = |flag: &String| flag.starts_with('!') || flag == "BPF_F_ANY_ALIGNMENT";
    if !annotation.flags.iter().all(harmless) || annotation.custom_btf {
        return Some("special load flags (__flag, __btf_path)");
    }
    None
}

fn compare(
    annotation: &Annotation,
    program: &ProgramReport,
    testmod: &BTreeSet<String>,
) -> Outcome {
    if let Some(reason) = apart(annotation) {
        return Outcome::Apart(reason);
    }
    let mut said = program.reason.clone().unwrap_or_default();
    if let Some(diagnosis) = &program.diagnosis {
        let excerpt = diagnosis.excerpt.iter().flat_map(|excerpt| &excerpt.lines);
        let lines: Vec<&str> = excerpt.map(String::as_str).collect();
        said = format!("{}\n{}", diagnosis.headline, lines.join("\n"));
    }
    let refused = match program.load {
        StepOutcome::Ok => false,
        StepOutcome::Refused => true,
        StepOutcome::NotAttempted => return Outcome::Apart("not attempted by ukci"),
    };
    let words = said.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    if refused && !annotation.failure && words.into_iter().any(|word| testmod.contains(word)) {
        return Outcome::Apart("needs bpf_testmod");
    }
    if refused != annotation.failure {
        let headline = said.lines().next().unwrap_or_default();
        return Outcome::OtherVerdict(if refused {
            format!("refused, expected to load: {headline}")
        } else {
            format!("loads, expected `{}`", annotation.messages.join("`, `"))
        });
    }
    let Some(last) = annotation.messages.last().filter(|_| refused) else {
        return Outcome::AgreesWithoutMessage;
    };
    if annotation
        .messages
        .iter()
        .any(|message| pattern(message).is_match(&said))
    {
        return Outcome::Agrees;
    }
    Outcome::OtherSentence(format!(
        "expected `{last}`, said `{}`",
        said.replace('\n', " | ")
    ))
}

fn cell<'a>(report: &'a Report, artifact: &str) -> Option<&'a CellReport> {
    let mut cells = report.cells.iter();
    cells.find(|cell| cell.artifact == artifact && cell.verdict != VerdictKind::Error)
}

#[test]
fn verdicts_and_sentences_agree_with_the_kernels_own_selftests() {
    let Some(dir) = std::env::var_os("UKCI_SELFTESTS").map(PathBuf::from) else {
        eprintln!("skipped: UKCI_SELFTESTS is not set; `make selftests` sets it");
        return;
    };
    let kernel = std::env::var("UKCI_SELFTESTS_KERNEL").unwrap();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let testmod: BTreeSet<String> = read("testmod").lines().map(str::to_owned).collect();
    let not_compiled: Vec<String> = read("not-compiled").lines().map(str::to_owned).collect();
    let mut objects: Vec<PathBuf> = std::fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(".bpf.o"))
        .collect();
    objects.sort();
    let known: BTreeMap<String, BTreeMap<String, Known>> =
        toml::from_str(include_str!("selftests.toml")).unwrap();

    let report = match std::env::var_os("UKCI_SELFTESTS_REPORT") {
        // Compares a run that there is already.
        Some(path) => serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap(),
        None => run(&objects, &kernel, &dir.join("out")),
    };
    let mut outcomes: BTreeMap<(String, String), Outcome> = BTreeMap::new();
    for path in &objects {
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = file.strip_suffix(".bpf.o").unwrap().to_owned();
        let bytes = std::fs::read(path).unwrap();
        let expected = annotations(&bytes).unwrap_or_else(|| panic!("{file}: no BTF"));
        let Some(cell) = cell(&report, &file) else {
            let outcome = Outcome::Apart("no verdict on its object");
            outcomes.insert((file, "*".into()), outcome);
            continue;
        };
        for program in &cell.programs {
            let none = Annotation::default();
            let annotation = expected.get(&program.name).unwrap_or(&none);
            let outcome = compare(annotation, program, &testmod);
            outcomes.insert((file.clone(), program.name.clone()), outcome);
        }
    }
    let wrong = tell(&outcomes, &known, &not_compiled, &kernel);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(outcomes.len() > 500, "only {} programs", outcomes.len());
}

/// Prints the figures; returns the differences that are not known, and the known ones that are
/// none any more.
fn tell(
    outcomes: &BTreeMap<(String, String), Outcome>,
    known: &BTreeMap<String, BTreeMap<String, Known>>,
    not_compiled: &[String],
    kernel: &str,
) -> Vec<String> {
    let count = |wanted: fn(&Outcome) -> bool| outcomes.values().filter(|o| wanted(o)).count();
    let sentences = count(|o| matches!(o, Outcome::Agrees));
    let plain = count(|o| matches!(o, Outcome::AgreesWithoutMessage));
    let other_sentence = count(|o| matches!(o, Outcome::OtherSentence(_)));
    let other_verdict = count(|o| matches!(o, Outcome::OtherVerdict(_)));
    let same = sentences + plain + other_sentence;
    eprintln!("{} programs on {kernel}", outcomes.len());
    eprintln!(
        "{:>5} of {} compared: same verdict",
        same,
        same + other_verdict
    );
    eprintln!(
        "{sentences:>5} of {} refusals with a message: the diagnosis has it",
        sentences + other_sentence
    );
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for outcome in outcomes.values() {
        if let Outcome::Apart(reason) = outcome {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    for (reason, count) in reasons {
        eprintln!("{count:>5} apart: {reason}");
    }
    eprintln!(
        "{:>5} files not compiled: {}",
        not_compiled.len(),
        not_compiled.join(" ")
    );

    let mut wrong = Vec::new();
    for ((file, program), outcome) in outcomes {
        let (Outcome::OtherSentence(why) | Outcome::OtherVerdict(why)) = outcome else {
            continue;
        };
        match known.get(file).and_then(|programs| programs.get(program)) {
            Some(known) => eprintln!("known: {file}/{program}: {why} ({})", known.reason),
            None => wrong.push(format!("{file}/{program}: {why}")),
        }
    }
    for (file, programs) in known {
        for program in programs.keys() {
            let outcome = outcomes.get(&(file.clone(), program.clone()));
            let differs =
                |o: &Outcome| matches!(o, Outcome::OtherSentence(_) | Outcome::OtherVerdict(_));
            if !outcome.is_some_and(differs) {
                wrong.push(format!(
                    "{file}/{program}: agrees now; take it off selftests.toml"
                ));
            }
        }
    }
    wrong
}

#[test]
fn messages_are_literal_but_for_expressions_in_double_braces() {
    assert!(pattern("R{{[0-9]+}} !read_ok").is_match("R12 !read_ok"));
    assert!(!pattern("R. !read_ok").is_match("R1 !read_ok"));
    assert!(pattern("map_value(off=8)").is_match("type map_value(off=8) expected"));
}
