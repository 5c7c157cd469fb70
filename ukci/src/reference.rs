//! docs/cli.md and the sections of README that repeat the help: written from the command line's
//! own declarations, so that neither can say anything else.
//!
//! `UKCI_UPDATE=1 cargo test -p ukci reference` writes them anew.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::args::Cli;
use crate::{environment, exit};

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Holds a file against what it should be, or writes it.
fn hold(name: &str, expected: &str) {
    let path = tree().join(name);
    if std::env::var_os("UKCI_UPDATE").is_some() {
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).find(|(a, b)| a != b);
    assert!(
        found == expected,
        "{name} is not current: {differs:?}; write it with \
         `UKCI_UPDATE=1 cargo test -p ukci reference`"
    );
}

#[test]
fn the_page_about_the_command_line_is_current() {
    hold("docs/cli.md", &page());
}

#[test]
fn the_sections_of_the_readme_are_current() {
    let found = std::fs::read_to_string(tree().join("README.md")).unwrap();
    let mut expected = found.clone();
    for (name, text) in [
        ("exit-status", exit_statuses()),
        ("commands", commands()),
        ("environment", variables()),
    ] {
        let start = format!("<!-- ukci help: {name} -->\n");
        let from = expected.find(&start).expect(&start) + start.len();
        let to = from + expected[from..].find("<!-- end -->").expect("an end");
        expected.replace_range(from..to, &format!("\n{text}\n"));
    }
    hold("README.md", &expected);
}

/// A variable that is read and not declared would be known to nobody.
#[test]
fn every_variable_that_is_read_is_declared() {
    let declared: Vec<&str> = environment::VARIABLES
        .iter()
        .flat_map(|variable| variable.names.iter().copied())
        .collect();
    let is_declared = |name: &str| {
        let stem = name.trim_end_matches('_');
        declared.contains(&stem)
            // `UKCI_CLANG_{}` and `UKCI_AGENT_{}` are completed where they are read.
            || (name.ends_with('_') && declared.iter().any(|d| d.starts_with(name)))
    };
    let literal = regex::Regex::new(r#""(UKCI_[A-Z0-9_]+)"#).unwrap();
    let mut read = Vec::new();
    for dir in ["ukci/src", "harness/src"] {
        for file in sources(&tree().join(dir)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for found in literal.captures_iter(&text) {
                read.push(found[1].to_owned());
            }
        }
    }
    assert!(read.len() > 20, "{read:?}");
    // The tests' own, what the build tells the executable, and what a command is told in a guest.
    let own = [
        "UKCI_TEST_",
        "UKCI_X",
        "UKCI_VERSION",
        "UKCI_UPDATE",
        "UKCI_ARTIFACT",
        "UKCI_BIN",
        "UKCI_CELL",
        "UKCI_KERNEL",
        "UKCI_WORKDIR",
    ];
    let unknown: Vec<&String> = read
        .iter()
        .filter(|name| !is_declared(name) && !own.iter().any(|own| name.starts_with(own)))
        .collect();
    assert!(unknown.is_empty(), "not in environment.rs: {unknown:?}");
    for name in declared.iter().filter(|name| name.starts_with("UKCI_")) {
        let stem = name.rsplit_once('_').map_or(*name, |(stem, _)| stem);
        let is_read = read
            .iter()
            .any(|r| r == name || r.trim_end_matches('_') == stem);
        assert!(is_read, "`{name}` is declared, and nothing reads it");
    }
}

/// A break within a paragraph would be one more than those of the wrap, and at the wrong place at every
/// width but one. A row of a table that is wrapped is no row.
#[test]
fn only_the_wrap_breaks_the_paragraphs_of_a_help() {
    let mut broken = Vec::new();
    let mut commands = vec![Cli::command().term_width(0).max_term_width(0)];
    commands[0].build();
    let mut seen = 0;
    while let Some(mut command) = commands.pop() {
        commands.extend(shown(&command));
        for help in [command.render_help(), command.render_long_help()] {
            let help = help.to_string();
            let lines: Vec<&str> = help.lines().collect();
            seen += lines.len();
            broken.extend(unfinished(&lines).map(|line| format!("{command}: {line}")));
        }
        let after = command.get_after_help().map(ToString::to_string);
        for line in after.iter().flat_map(|text| text.lines()) {
            // A command is as long as it is, and what is said beside it fits.
            let is_row = line.starts_with("  ") && line.trim().contains("  ");
            broken.extend((is_row && line.len() > 80).then(|| format!("{command}: {line}")));
        }
    }
    assert!(seen > 2000, "{seen} lines were looked at");
    assert!(broken.is_empty(), "{broken:#?}");
}

/// The lines of a help, not wrapped, after which a paragraph goes on.
fn unfinished<'a>(lines: &'a [&str]) -> impl Iterator<Item = &'a str> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    // Options of `-h` and what follows `Examples:` stand two or six columns to the right.
    let is_text = move |line: &str| !line.trim().is_empty() && ![2, 6].contains(&indent(line));
    let goes_on = lines.windows(2).filter(move |pair| {
        pair.iter().all(|line| is_text(line))
            && indent(pair[0]) == indent(pair[1])
            && !pair[1].trim().starts_with(['-', '['])
    });
    goes_on.map(|pair| pair[0])
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
    found
}

fn exit_statuses() -> String {
    let mut text = String::from("| Status | Meaning |\n|---|---|\n");
    for (status, meaning) in exit::STATUSES {
        let _ = writeln!(text, "| {status} | {meaning} |");
    }
    text
}

fn variables() -> String {
    let mut text = String::from("| Variable | Meaning | Default |\n|---|---|---|\n");
    for variable in environment::VARIABLES {
        let names: Vec<String> = variable.names.iter().map(|n| format!("`{n}`")).collect();
        let (names, default) = (names.join(", "), variable.default);
        let _ = writeln!(text, "| {names} | {} | {default} |", variable.meaning);
    }
    text
}

fn commands() -> String {
    let mut text = String::from("| Command | What it does |\n|---|---|\n");
    for command in shown(&Cli::command()) {
        let about = command.get_about().map(ToString::to_string);
        let about = about.unwrap_or_default();
        let _ = writeln!(text, "| `ukci {}` | {about}. |", command.get_name());
    }
    text
}

fn shown(command: &Command) -> Vec<Command> {
    let commands = command.get_subcommands().filter(|c| !c.is_hide_set());
    commands.cloned().collect()
}

fn page() -> String {
    let mut root = Cli::command();
    root.build();
    let mut text = String::from(
        "# Command line\n\n\
         This page is written from the help of the program. The option `--help` prints the same, \
         and `-h` prints a short form.\n\n\
         ## Commands\n\n",
    );
    text.push_str(&commands());
    text.push_str("\n## Global options\n\nEvery command has these options.\n\n");
    let (global, _): (Vec<&Arg>, Vec<&Arg>) =
        root.get_arguments().partition(|arg| arg.is_global_set());
    for arg in global {
        describe_option(&mut text, arg);
    }
    for command in shown(&root) {
        describe(&mut text, &command, 2);
    }
    let _ = write!(
        text,
        "\n## Exit status\n\n{}\n{}\n\n## Environment\n\n{}",
        exit_statuses(),
        exit::HANDED_THROUGH,
        variables()
    );
    text
}

fn describe(text: &mut String, command: &Command, level: usize) {
    let name = command.get_bin_name().unwrap_or_default();
    let _ = writeln!(text, "\n{} `{name}`\n", "#".repeat(level));
    let about = command.get_long_about().or(command.get_about());
    let _ = writeln!(
        text,
        "{}",
        sentences(&about.map_or(String::new(), ToString::to_string))
    );
    let subcommands = shown(command);
    if subcommands.is_empty() {
        let usage = command.clone().render_usage().to_string();
        let _ = writeln!(
            text,
            "\n```text\n{}\n```\n",
            usage.trim_start_matches("Usage: ")
        );
        let own = |arg: &&Arg| !arg.is_global_set() && !arg.is_hide_set() && arg.get_id() != "help";
        for arg in command.get_arguments().filter(own) {
            describe_option(text, arg);
        }
    }
    for subcommand in subcommands {
        describe(text, &subcommand, level + 1);
    }
    if let Some(after) = command.get_after_help() {
        text.push_str(&paragraphs(&after.to_string()));
    }
}

/// Sentences as text, and examples and tables, whose lines are indented, as blocks.
fn paragraphs(help: &str) -> String {
    let mut text = String::new();
    let mut is_block = false;
    for paragraph in help.trim_end().split("\n\n") {
        let was_block = is_block;
        is_block = paragraph.lines().any(|line| line.starts_with("  "));
        text.push_str(match (was_block, is_block) {
            (true, false) => "```\n\n",
            (false, true) => "\n```text\n",
            _ => "\n",
        });
        text.push_str(paragraph);
        text.push('\n');
    }
    text.push_str(if is_block { "```\n" } else { "" });
    text
}

fn describe_option(text: &mut String, arg: &Arg) {
    let values = arg.get_value_names().unwrap_or_default().join(" ");
    let takes = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
    let mut name = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        _ => format!("<{values}>"),
    };
    if takes && arg.get_long().is_some() {
        let _ = write!(name, " <{values}>");
    }
    let help = arg.get_long_help().or(arg.get_help());
    let help = sentences(&help.map_or(String::new(), ToString::to_string));
    let mut notes = Vec::new();
    let defaults: Vec<String> = arg
        .get_default_values()
        .iter()
        .map(|value| format!("`{}`", value.to_string_lossy()))
        .collect();
    if takes && !defaults.is_empty() {
        notes.push(format!("The default is {}.", defaults.join(", ")));
    }
    if let Some(variable) = arg.get_env() {
        notes.push(format!("Environment: `{}`.", variable.to_string_lossy()));
    }
    let _ = writeln!(text, "- **`{name}`**: {}", indented(&help));
    if !notes.is_empty() {
        let _ = writeln!(text, "\n  {}", notes.join(" "));
    }
    if takes {
        let possible = arg.get_possible_values();
        if !possible.is_empty() {
            text.push('\n');
        }
        for value in possible {
            let help = value
                .get_help()
                .map_or(String::new(), |help| format!(": {help}"));
            let _ = writeln!(text, "  - `{}`{help}", value.get_name());
        }
    }
}

/// Below the mark of a list.
fn indented(help: &str) -> String {
    help.replace('\n', "\n  ").replace("\n  \n", "\n\n")
}

/// Help as Markdown: a first line gets the full stop that help leaves out.
fn sentences(help: &str) -> String {
    let (first, rest) = help.split_once("\n\n").unwrap_or((help, ""));
    let stop = if first.is_empty() || first.ends_with(['.', ']', '?']) {
        ""
    } else {
        "."
    };
    let rest = rest.trim_end();
    if rest.is_empty() {
        format!("{first}{stop}")
    } else {
        format!("{first}{stop}\n\n{rest}")
    }
}
