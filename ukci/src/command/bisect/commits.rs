//! The commits of Linux between two versions that concern BPF.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::{indented, number};
use crate::diagnostic::{Action, Failure};
use crate::exit::Exit;
use crate::text::{Text, text};
use ukci_harness::render::harmless;

/// Where the verifier, the helpers and the interface of the loader are.
const PATHS: [&str; 8] = [
    "kernel/bpf",
    "include/linux/bpf.h",
    "include/linux/bpf_verifier.h",
    "include/linux/filter.h",
    "include/uapi/linux/bpf.h",
    "kernel/trace/bpf_trace.c",
    "net/core/filter.c",
    "net/bpf",
];

/// Where functions of the kernel are looked for by their names.
const SOURCES: [&str; 7] = [
    "kernel",
    "net",
    "fs",
    "mm",
    "security",
    "drivers/net",
    "include",
];

/// More commits than these are not searched for the names of functions: git reads every one of them.
const MOST_SEARCHED: usize = 20_000;

/// What git found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Commits {
    range: String,
    all: usize,
    /// Hash, day and subject, newest first.
    of_bpf: Vec<String>,
    /// The same of those that change a function, by its name.
    of_functions: Vec<(String, Vec<String>)>,
}

impl Commits {
    /// For people, with at most so many of each kind.
    pub(super) fn text(&self, most: usize) -> Text {
        let mut text = text!(
            "  {} commits in {}, of which {} touch BPF:\n",
            number(self.all),
            harmless(&self.range),
            number(self.of_bpf.len())
        );
        let some = |commits: &[String]| {
            let mut text = indented(commits.iter().take(most).cloned());
            if commits.len() > most {
                let more = number(commits.len() - most);
                text.push_line(&text!("  … {} more are in commits.txt", more));
            }
            text
        };
        text.push(&some(&self.of_bpf));
        for (name, commits) in &self.of_functions {
            text.push_line(&text!("  Those that change lines with {}:", harmless(name)));
            text.push(&some(commits));
        }
        text
    }

    /// All of them, for a file.
    pub(super) fn lines(&self) -> String {
        let mut lines = self.of_bpf.join("\n");
        for (name, commits) in &self.of_functions {
            lines.push_str(&format!("\n\n# {name}\n{}", commits.join("\n")));
        }
        lines.push('\n');
        lines
    }
}

/// The commits between the upstream versions of two packages.
pub(super) fn between(
    repository: &Path,
    versions: [&str; 2],
    functions: &BTreeSet<String>,
) -> Result<Commits, Failure> {
    let mut tags = Vec::new();
    for version in versions {
        let tag = tag(version);
        let name = format!("refs/tags/{tag}^{{commit}}");
        git(repository, &["rev-parse", "--verify", "--quiet", &name]).map_err(|_| {
            let message = format!(
                "the repository `{}` has no tag `{tag}` for version `{version}`",
                repository.display()
            );
            let hint = "fetch the tags of the stable tree: `git fetch --tags stable`".to_owned();
            Failure::says(Exit::NoVerdict, &message, Some(hint))
        })?;
        tags.push(tag);
    }
    let range = format!("{}..{}", tags[0], tags[1]);
    let count = git(repository, &["rev-list", "--count", "--no-merges", &range])?;
    let all = count.trim().parse().unwrap_or(0);
    let log = |options: &[&str], paths: &[&str]| -> Result<Vec<String>, Failure> {
        let mut words = vec!["log", "--no-merges", "--date=short", "--format=%h %cd %s"];
        words.extend(options);
        words.extend([range.as_str(), "--"]);
        words.extend(paths);
        let text = git(repository, &words)?;
        Ok(text.lines().map(ToOwned::to_owned).collect())
    };
    let of_bpf = log(&[], &PATHS)?;
    let mut of_functions = Vec::new();
    if all <= MOST_SEARCHED {
        for name in functions {
            let commits = log(&[&format!("-G\\b{name}\\b")], &SOURCES)?;
            of_functions.push((name.clone(), commits));
        }
    }
    Ok(Commits {
        range,
        all,
        of_bpf,
        of_functions,
    })
}

/// The tag of the upstream version of a package: `v6.12.101` of `6.12.101-1~bpo12+1`, and `v7.3-rc7` of
/// `7.3~rc7-1~exp1`.
fn tag(version: &str) -> String {
    let upstream = version
        .split_once('-')
        .map_or(version, |(upstream, _)| upstream);
    format!("v{}", upstream.replace('~', "-"))
}

fn git(repository: &Path, words: &[&str]) -> Result<String, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::failed_to(Action::on("run git in", repository), error)
    };
    let ran = Command::new("git")
        .arg("-C")
        .arg(repository)
        .args(words)
        .output();
    let ran = ran.map_err(|error| failed(&error))?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
    Err(failed(&std::io::Error::other(said)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_is_that_of_the_upstream_version() {
        for (version, expected) in [
            ("6.12.101-1", "v6.12.101"),
            ("6.12.95-1~bpo12+1", "v6.12.95"),
            ("7.3~rc7-1~exp1", "v7.3-rc7"),
            ("5.14.0-611.26.1.el9_7", "v5.14.0"),
        ] {
            assert_eq!(tag(version), expected);
        }
    }

    #[test]
    fn commits_between_two_tags_are_listed_if_they_touch_bpf_or_name_the_function() {
        let dir = tempfile::tempdir().unwrap();
        let run = |words: &[&str]| git(dir.path(), words).unwrap();
        run(&["init", "--quiet"]);
        let commit = |path: &str, text: &str, subject: &str| {
            let file = dir.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(&file, text).unwrap();
            run(&["add", "."]);
            let identity = [
                "-c",
                "user.name=a",
                "-c",
                "user.email=a@b",
                "commit",
                "--quiet",
            ];
            run(&[&identity[..], &["-m", subject]].concat());
        };
        commit("kernel/bpf/verifier.c", "1", "before");
        run(&["tag", "v6.12.1"]);
        commit("kernel/bpf/verifier.c", "2", "bpf: prune less");
        commit("drivers/gpu/x.c", "int bpf_loop;", "drm: nothing of ours");
        commit("net/sched/a.c", "int bpf_loop;", "net: use the helper");
        run(&["tag", "v6.12.2"]);
        commit("kernel/bpf/verifier.c", "3", "bpf: after");
        let functions = BTreeSet::from(["bpf_loop".to_owned()]);
        let found = between(dir.path(), ["6.12.1-1", "6.12.2-1"], &functions).unwrap();
        let subjects = |commits: &[String]| -> Vec<String> {
            let subject = |line: &String| line.splitn(3, ' ').nth(2).unwrap().to_owned();
            commits.iter().map(subject).collect()
        };
        assert_eq!(found.all, 3);
        assert_eq!(subjects(&found.of_bpf), ["bpf: prune less"]);
        assert_eq!(subjects(&found.of_functions[0].1), ["net: use the helper"]);
        let text = found.text(40);
        assert!(text.contains("3 commits in v6.12.1..v6.12.2, of which 1 touch BPF"));
        let missing = between(dir.path(), ["6.12.1-1", "6.12.9-1"], &functions).unwrap_err();
        assert!(missing.message().contains("no tag `v6.12.9`"));
    }
}
