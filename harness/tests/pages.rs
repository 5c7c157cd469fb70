//! What the pages say of the tree is true: links lead somewhere, paths are there, code is compiled.

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

/// Each row names files that are there, and every module of the two host crates has its place.
#[test]
fn the_architecture_is_that_of_the_tree() {
    let page = read("docs/architecture.md");
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    let mut named = Vec::new();
    for row in rows {
        let mut dir = PathBuf::new();
        let first = row.split('|').nth(1).unwrap();
        for path in first.split('`').skip(1).step_by(2) {
            // What has no directory of its own lies beside the one before.
            let beside = dir.join(path);
            let path = if root().join(path).exists() {
                PathBuf::from(path)
            } else {
                beside
            };
            assert!(root().join(&path).exists(), "{}: {row}", path.display());
            dir = path.parent().unwrap().to_owned();
            named.push(path);
        }
    }
    for dir in ["harness/src", "ukci/src"] {
        for entry in std::fs::read_dir(root().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.extension().is_none_or(|ending| ending != "rs") || name == "lib.rs" {
                continue;
            }
            let known = named.contains(&Path::new(dir).join(name));
            assert!(known || name == "main.rs", "{dir}/{name} has no row");
        }
    }
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
