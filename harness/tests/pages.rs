//! What the pages say of the tree is true: links lead somewhere, files are there, code is compiled.
//! `ukci/tests/docs.rs` has the commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The README and every page.
fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md")];
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            pages.push(path);
        }
    }
    pages
}

/// As GitHub names a heading: lower case, spaces as dashes, punctuation gone.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}

#[test]
fn links_lead_somewhere() {
    let mut followed = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1) {
            let link = link.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            assert!(target.exists(), "{}: {link}", page.display());
            if !part.is_empty() {
                let text = std::fs::read_to_string(&target).unwrap();
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#')));
                assert!(anchors.any(|a| a == part), "{}: {link}", page.display());
            }
            followed += 1;
        }
    }
    assert!(followed > 10, "{followed} links");
}

#[test]
fn the_readme_leads_to_every_page() {
    let readme = read("README.md");
    for page in pages().iter().skip(1) {
        let name = page.file_name().unwrap().to_str().unwrap();
        let link = format!("](docs/{name})");
        assert!(readme.contains(&link), "README.md has no link to {name}");
    }
}

/// What a page writes in backticks and looks like a path of the repository is one. So a page that
/// says which file to edit is noticed when the file moves.
#[test]
fn files_that_pages_name_are_there() {
    // What a build or a run leaves in the tree is none of its files.
    let ignored = std::fs::read_to_string(root().join(".gitignore")).unwrap();
    let is_left = |name: &String| ignored.lines().any(|line| line == format!("/{name}"));
    let tops: BTreeSet<String> = std::fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !is_left(name))
        .collect();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
    let mut found = 0;
    for page in pages() {
        // The help names files of its reader's.
        if page.ends_with("cli.md") {
            continue;
        }
        let text = std::fs::read_to_string(&page).unwrap();
        // Every second part is within a fence.
        for prose in text.split("```").step_by(2) {
            for span in prose
                .lines()
                .flat_map(|line| line.split('`').skip(1).step_by(2))
            {
                let Some((top, rest)) = span.split_once('/') else {
                    continue;
                };
                // `NAME` stands for a name of the reader's.
                let is_path = tops.contains(top) && rest.chars().all(is_plain);
                if is_path && !rest.contains("NAME") {
                    assert!(root().join(span).exists(), "{}: {span}", page.display());
                    found += 1;
                }
            }
        }
    }
    assert!(found > 40, "{found} paths");
}

#[test]
fn the_architecture_describes_every_crate() {
    let page = read("docs/architecture.md");
    let manifest = read("Cargo.toml");
    let (_, members) = manifest.split_once("members = [").unwrap();
    let members = members.split(']').next().unwrap();
    let members: Vec<&str> = members.split('"').skip(1).step_by(2).collect();
    assert!(members.len() >= 4, "{members:?}");
    for member in members {
        let row = format!("\n| `{member}` (");
        let row = format!("{row}`{}`) |", name_of(member));
        assert!(page.contains(&row), "no row for the crate in {member}");
    }
}

/// The name of the crate in a directory.
fn name_of(member: &str) -> String {
    let manifest = read(&format!("{member}/Cargo.toml"));
    let (_, name) = manifest.split_once("name = \"").unwrap();
    name.split('"').next().unwrap().to_owned()
}

/// `docs/style.md` has the reasons.
#[test]
fn pages_are_written_with_the_words_of_the_style() {
    for page in pages() {
        let name = page.file_name().unwrap().to_str().unwrap();
        // It shows what is wrong as well.
        if name == "style.md" {
            continue;
        }
        let text = std::fs::read_to_string(&page).unwrap();
        for word in [
            "at hand",
            "colour",
            "licence",
            "flavour ",
            "one a cell",
            "partition of",
        ] {
            assert!(!text.contains(word), "{name}: `{word}`");
        }
    }
}

/// `results.tsv` is what a whole run of the casebook gave; matrices state facts of kernels, too.
#[test]
fn the_quirks_matrix_says_rightly_which_kernels_have_bpf_among_their_lsms() {
    let results = read("guest/tests/casebook/results.tsv");
    let rows = results
        .lines()
        .filter_map(|row| row.strip_prefix("type_lsm\t"));
    let inactive = rows.filter(|row| row.contains("LSM_INACTIVE"));
    let kernels: Vec<&str> = inactive.filter_map(|row| row.split('\t').next()).collect();
    assert_eq!(kernels, ["debian-11-5.10-cloud"]);
    let matrix = read("matrices/quirks.toml");
    assert!(matrix.contains("from Debian 12 (6.1) on. Debian 11 (5.10)"));
}

#[test]
fn the_page_about_embedding_shows_the_parts_of_the_example() {
    let example = read("harness/examples/check.rs");
    let page = read("docs/embedding.md");
    for part in ["resolve", "run", "report"] {
        let mark = format!("// [{part}]\n");
        let within: Vec<&str> = example.split(&mark).collect();
        let [_, code, _] = within.as_slice() else {
            panic!("`[{part}]` does not stand around one part of the example");
        };
        assert!(
            page.contains(&format!("```rust\n{code}```\n")),
            "docs/embedding.md shows another `{part}`:\n{code}"
        );
    }
}
