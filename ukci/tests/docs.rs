//! The commands in the README and in `docs/`: each is run here, or its block says why it is not.
//!
//! A block of commands is fenced as ```` ```sh ```` and run, or as ```` ```sh not-run: REASON ```` .
//! Even then the built binary must understand every `ukci` command in it: with `--help` behind its
//! words, clap reads all that is before, and nothing boots. The same goes for commands in backticks.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The README and every page, by name.
fn pages() -> Vec<(String, String)> {
    let mut paths = vec![root().join("README.md")];
    let entries = std::fs::read_dir(root().join("docs")).unwrap();
    paths.extend(entries.map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "md"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).unwrap())
    };
    paths.into_iter().map(read).collect()
}

/// A fenced block: what stands behind the fence, and its text.
struct Block<'a> {
    info: &'a str,
    text: &'a str,
}

/// The fenced blocks of a page, and its text without them.
fn blocks(page: &str) -> (Vec<Block<'_>>, String) {
    let mut blocks = Vec::new();
    let mut prose = String::new();
    let mut rest = page;
    while let Some((before, from)) = rest.split_once("\n```") {
        prose.push_str(before);
        prose.push('\n');
        let (info, from) = from.split_once('\n').unwrap();
        let (text, after) = from.split_once("```").expect("a fence that ends");
        blocks.push(Block { info, text });
        rest = after;
    }
    prose.push_str(rest);
    (blocks, prose)
}

/// The commands of a block: without prompts and comments, continued lines joined.
fn commands(text: &str) -> Vec<String> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(|line| {
        let line = line.split(" #").next().unwrap().trim();
        line.strip_prefix("$ ").unwrap_or(line).trim().to_owned()
    });
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// The words of a command as a shell splits them, up to a pipe or a redirection.
fn words(command: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '>') => break,
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

fn ukci(dir: &Path, words: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ukci"))
        .args(words)
        .current_dir(dir)
        .env_clear()
        .env("HOME", dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Whether the binary knows the command and every option and value in it.
fn assert_understood(page: &str, command: &str) {
    let words = words(command).split_off(1);
    let with = |more: &[&str]| {
        let more = more.iter().map(|word| (*word).to_owned());
        // After `--` come the words of a command that is run in a guest.
        let end = words.iter().position(|word| word == "--");
        let (before, after) = words.split_at(end.unwrap_or(words.len()));
        ukci(
            &root(),
            &[before, &more.collect::<Vec<_>>(), after].concat(),
        )
    };
    let mut output = with(&["--help"]);
    // An option that is mentioned without its value.
    if !output.status.success() && words.last().is_some_and(|word| word.starts_with("--")) {
        output = with(&["1", "--help"]);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{page}: `{command}`: {said}");
}

/// What the pages' commands find: the report of a run, and two to compare.
fn scratch() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let report = root().join("harness/tests/fixtures/report.json");
    for name in ["ukci-out", "old", "new"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
        std::fs::copy(&report, dir.path().join(name).join("report.json")).unwrap();
    }
    dir
}

#[test]
fn every_block_of_commands_runs_or_says_why_not() {
    let makefile = std::fs::read_to_string(root().join("Makefile")).unwrap();
    let (mut ran, mut not_run) = (0, 0);
    for (page, text) in pages() {
        let dir = scratch();
        for block in blocks(&text).0 {
            let (language, rest) = block.info.split_once(' ').unwrap_or((block.info, ""));
            if !matches!(language, "sh" | "console") {
                continue;
            }
            let reason = rest.strip_prefix("not-run: ");
            assert!(
                rest.is_empty() || reason.is_some_and(|reason| !reason.trim().is_empty()),
                "{page}: `{}` gives no reason",
                block.info
            );
            for command in commands(block.text) {
                let program = command.split(' ').next().unwrap();
                if program == "ukci" {
                    assert_understood(&page, &command);
                }
                if program == "make" {
                    let targets = words(&command).split_off(1);
                    for target in targets.iter().filter(|word| !word.contains('=')) {
                        let rule = format!("\n{target}:");
                        assert!(makefile.contains(&rule), "{page}: no target `{target}`");
                    }
                }
                if reason.is_some() {
                    not_run += 1;
                    continue;
                }
                assert_eq!(program, "ukci", "{page}: only ukci is run: `{command}`");
                let output = ukci(dir.path(), &words(&command)[1..]);
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{page}: `{command}`: {said}");
                ran += 1;
            }
        }
    }
    assert!(ran >= 10 && not_run >= 20, "{ran} ran, {not_run} did not");
}

/// In sentences and tables, and after the prompt in blocks that show output.
#[test]
fn every_command_in_passing_is_understood() {
    let mut checked = 0;
    for (page, text) in pages() {
        // One shows what is wrong as well, and the other is what the binary says of itself.
        if ["style.md", "cli.md"].contains(&page.as_str()) {
            continue;
        }
        let (blocks, prose) = blocks(&text);
        let inline = prose.lines().flat_map(|line| {
            let spans = line.split('`').skip(1).step_by(2);
            spans.filter(|span| span.starts_with("ukci "))
        });
        let prompted = (blocks.iter())
            .filter(|block| block.info == "text")
            .flat_map(|block| block.text.lines())
            .filter_map(|line| line.strip_prefix("$ "));
        for command in inline.chain(prompted) {
            assert_understood(&page, command);
            checked += 1;
        }
    }
    assert!(checked >= 20, "{checked} commands");
}

/// The blocks of output in the pages are shortened, so they are not compared whole: every label in
/// them is one that a report of today has.
#[test]
fn the_output_that_pages_show_has_the_labels_of_today() {
    let label = |line: &str| {
        let line = line.strip_prefix("  ")?;
        let word = line.split(' ').next()?;
        let is_label = word.starts_with(|c: char| c.is_ascii_lowercase());
        (is_label && !word.starts_with("debian-")).then(|| word.to_owned())
    };
    let dir = scratch();
    let render = ["report", "render", "ukci-out"].map(str::to_owned);
    let shown = String::from_utf8(ukci(dir.path(), &render).stdout).unwrap();
    let today: Vec<String> = shown.lines().filter_map(label).collect();
    let mut compared = 0;
    for (page, text) in pages() {
        for block in blocks(&text).0 {
            if block.info != "text" || !block.text.contains("\n  error: ") {
                continue;
            }
            for word in block.text.lines().filter_map(label) {
                assert!(today.contains(&word), "{page}: `{word}` in\n{shown}");
                compared += 1;
            }
        }
    }
    assert!(compared > 10, "{compared} labels");
}

/// The page about security names the test that repeats each attack.
#[test]
fn the_tests_of_attacks_exist() {
    let page = std::fs::read_to_string(root().join("docs/security.md")).unwrap();
    let rows = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.ends_with("` |"));
    let tests = rows
        .filter_map(|row| row.rsplit_once(" | "))
        .flat_map(|(_, tests)| tests.split('`').skip(1).step_by(2));
    let tests: Vec<String> = tests.map(|test| format!("fn {test}()")).collect();
    assert!(tests.len() > 20, "{tests:?}");
    let mut sources = String::new();
    let mut left: Vec<PathBuf> = ["guest", "harness", "ukci"]
        .map(|dir| root().join(dir))
        .to_vec();
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = std::fs::read_dir(&path).unwrap();
            left.extend(entries.map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    for test in tests {
        assert!(sources.contains(&test), "no `{test}`");
    }
}
