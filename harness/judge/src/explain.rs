//! Lays out the explanation of each diagnosis code, for `ukci explain` and `docs/diagnoses.md`, and
//! the casebook's results, for `docs/casebook.md`.
//!
//! The text itself is in `explain.toml`.

mod casebook;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::LazyLock;

use serde::Deserialize;

use ukci_schema::diagnosis::Code;
use ukci_schema::history;

/// Most columns of the plain text.
const WIDTH: usize = 100;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Explanation {
    stage: String,
    summary: String,
    meaning: String,
    seen: Vec<String>,
    causes: Vec<String>,
    remedies: Vec<String>,
    #[serde(default)]
    since: Vec<String>,
}

static EXPLANATIONS: LazyLock<BTreeMap<Code, Explanation>> = LazyLock::new(|| {
    // Part of the program: a test reads it whole.
    toml::from_str(include_str!("explain.toml")).expect("explain.toml is well-formed")
});

fn explanation(code: Code) -> &'static Explanation {
    // A test finds one for every code.
    EXPLANATIONS
        .get(&code)
        .expect("every code has a explanation")
}

/// One line: what the code means.
pub fn summary(code: Code) -> &'static str {
    &explanation(code).summary
}

/// The text of one code: what it means, how it is seen, causes, remedies; plain text, at most 100
/// columns.
pub fn explain(code: Code) -> String {
    let explanation = explanation(code);
    let mut text = format!("{code} (stage: {})\n\n", explanation.stage);
    wrap(
        &mut text,
        "",
        "",
        &format!("{}.", capital(&explanation.summary)),
    );
    text.push('\n');
    wrap(&mut text, "", "", &explanation.meaning);
    text.push_str("\nSeen as\n");
    for line in &explanation.seen {
        let _ = writeln!(text, "  {line}");
    }
    text.push_str("\nUsual causes\n");
    for cause in &explanation.causes {
        wrap(&mut text, "  - ", "    ", cause);
    }
    text.push_str("\nRemedies\n");
    for (n, remedy) in explanation.remedies.iter().enumerate() {
        wrap(&mut text, &format!("  {}. ", n + 1), "     ", remedy);
    }
    for kind in &explanation.since {
        let _ = write!(text, "\nBrought by mainline ({kind}s)\n");
        for (release, names) in brought(kind) {
            wrap(
                &mut text,
                &format!("  {release:<5} "),
                "        ",
                &names.join(" "),
            );
        }
    }
    text
}

/// The end of `docs/diagnoses.md`: the rules that have no more than an errno.
const ERRNOS: &str = "\n## Reasons that rest on an errno\n\n\
    A rule needs more than an errno, because the kernel returns one errno for many reasons. The rules\n\
    below have nothing else in some cases. Their headlines then say so.\n\n\
    | Errno | Where | Why the rule stays |\n|---|---|---|\n\
    | ENOMEM | opening, loading, creating a map, attaching, registering operations | It means that an \
    allocation failed. The cell is booted once more with more memory, so that the second answer shows \
    whether memory was the reason. The headline adds what the kernel's log says of an allocation. |\n\
    | EEXIST | registering operations | For `tcp_congestion_ops` and `Qdisc_ops` the kernel has no other \
    use of it than a name that is taken. For others the headline says \"probably\". |\n\
    | ENOENT, ESRCH | attaching to a function, tracepoint or iterator | The guest looks the name up in \
    the kernel's own lists, and these decide. If it could not read them, the headline says that only \
    the errno says so. |\n\
    | EPERM | loading the smallest possible program | The guest knows which capabilities it lacks. If it \
    lacks none, a security module is what remains, and the hint says to look for one. |\n\
    | `LIBBPF_ERRNO__ENDIAN` | opening | It is libbpf's own number and has one meaning. |\n";

/// All codes as Markdown: the text of `docs/diagnoses.md`.
pub fn markdown() -> String {
    let mut text = String::from(
        "# Diagnoses\n\n\
         Every failure has a code. The names are part of the interface: matrices expect them, and\n\
         reports contain them. `ukci explain CODE` prints the same text in a terminal. This page is\n\
         generated from `harness/judge/src/explain.toml` and `history.tsv`, and a test checks that\n\
         it is up to date. [The casebook](casebook.md) shows which code each of its objects gets on\n\
         each kernel.\n\n\
         | Code | Stage | What it means |\n|---|---|---|\n",
    );
    for code in Code::ALL {
        let Explanation { stage, summary, .. } = explanation(*code);
        let _ = writeln!(
            text,
            "| [`{code}`](#{}) | {stage} | {summary} |",
            code.name().to_lowercase()
        );
    }
    for code in Code::ALL {
        let explanation = explanation(*code);
        let _ = write!(text, "\n## {code}\n\n");
        wrap(
            &mut text,
            "",
            "",
            &format!(
                "*{}.* {}",
                capital(&explanation.summary),
                explanation.meaning
            ),
        );
        text.push_str("\nSeen as:\n\n```text\n");
        for line in &explanation.seen {
            let _ = writeln!(text, "{line}");
        }
        text.push_str("```\n\nUsual causes:\n\n");
        for cause in &explanation.causes {
            wrap(&mut text, "- ", "  ", cause);
        }
        text.push_str("\nRemedies:\n\n");
        for (n, remedy) in explanation.remedies.iter().enumerate() {
            wrap(&mut text, &format!("{}. ", n + 1), "   ", remedy);
        }
        for kind in &explanation.since {
            let _ = write!(text, "\n| Mainline | {kind}s |\n|---|---|\n");
            for (release, names) in brought(kind) {
                let _ = writeln!(text, "| {release} | `{}` |", names.join("` `"));
            }
        }
    }
    text.push_str(ERRNOS);
    text
}

/// The casebook's `results.tsv` as Markdown: the text of `docs/casebook.md`.
pub fn casebook(results: &str) -> String {
    let mut text = String::from(
        "# The casebook\n\n\
         The casebook is a collection of small eBPF programs in `guest/tests/casebook`, each with\n\
         its expected result on each kernel. These tables show what `ukci check` says of each of\n\
         them on the pinned kernels. For x86-64 these are the kernels of the cloud flavor. Run\n\
         `make casebook` to run them all: it fails if a result has changed. This page is generated\n\
         from `guest/tests/casebook/results.tsv`, and a test checks that it is up to date.\n",
    );
    text.push_str(&casebook::tables(results));
    text
}

/// What each release brought of a kind, oldest first.
fn brought(kind: &str) -> Vec<(&'static str, Vec<&'static str>)> {
    let mut releases: BTreeMap<_, (&'static str, Vec<&'static str>)> = BTreeMap::new();
    for fact in history::facts().iter().filter(|fact| fact.kind == kind) {
        let entry = releases.entry(history::series(fact.release));
        entry
            .or_insert((fact.release, Vec::new()))
            .1
            .push(fact.name);
    }
    releases.into_values().collect()
}

/// Writes `words` in lines of at most [`WIDTH`] columns, the first behind `first`, the others
/// behind `rest`.
fn wrap(text: &mut String, first: &str, rest: &str, words: &str) {
    let mut line = first.to_owned();
    let mut empty = true;
    for word in words.split(' ') {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            rest.clone_into(&mut line);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    let _ = writeln!(text, "{line}");
}

fn capital(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{EXPLANATIONS, casebook, explain, explanation, markdown, summary};
    use ukci_schema::diagnosis::Code;

    #[test]
    fn every_code_has_its_story_with_all_parts() {
        assert_eq!(EXPLANATIONS.len(), Code::ALL.len());
        for code in Code::ALL {
            let explanation = explanation(*code);
            assert!(
                !explanation.summary.is_empty() && !explanation.summary.ends_with('.'),
                "{code}"
            );
            assert!(explanation.meaning.ends_with('.'), "{code}");
            assert!(
                !explanation.stage.is_empty() && !explanation.seen.is_empty(),
                "{code}"
            );
            assert!(
                !explanation.causes.is_empty() && !explanation.remedies.is_empty(),
                "{code}"
            );
            let sentences = explanation.causes.iter().chain(&explanation.remedies);
            assert!(
                sentences
                    .into_iter()
                    .all(|sentence| sentence.ends_with('.')),
                "{code}"
            );
        }
    }

    #[test]
    fn no_line_is_wider_than_a_hundred_columns() {
        for code in Code::ALL {
            for line in explain(*code).lines() {
                assert!(line.chars().count() <= 100, "{code}: {line}");
                assert_eq!(line, line.trim_end(), "{code}");
            }
            assert!(
                code.name().len() + 1 + summary(*code).len() <= 100,
                "{code}"
            );
        }
    }

    #[test]
    fn what_mainline_brought_stands_with_the_code() {
        let text = explain(Code::UnsupportedMapType);
        assert!(text.contains("  5.16  bloom_filter\n"), "{text}");
        assert!(explain(Code::UnsupportedHelper).contains("bpf_loop"));
    }

    #[test]
    fn one_code_as_a_reader_sees_it() {
        insta::assert_snapshot!(explain(Code::LsmInactive));
    }

    fn kept(page: &str, text: &str) {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/");
        let path = format!("{root}{page}");
        if std::env::var_os("UKCI_UPDATE").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == text,
            "docs/{page} is stale: run `UKCI_UPDATE=1 cargo test -p ukci-judge`"
        );
    }

    #[test]
    fn the_page_in_docs_is_made_of_these_stories() {
        kept("diagnoses.md", &markdown());
    }

    #[test]
    fn the_page_of_the_casebook_is_made_of_its_last_run() {
        let results = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../guest/tests/casebook/results.tsv"
        );
        kept(
            "casebook.md",
            &casebook(&std::fs::read_to_string(results).unwrap()),
        );
    }
}
