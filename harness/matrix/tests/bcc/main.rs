//! Which of bcc's loaders a manifest can describe: `loaders.tsv` has what each of them does, and each
//! kind of deed has a key.

use std::collections::{BTreeMap, BTreeSet};

use ukci_matrix::manifest::Manifest;

/// A manifest for each kind of deed. A key that a manifest does not know is refused.
const KINDS: &[(&str, &str)] = &[
    (
        "set_autoload",
        "[[programs]]\nname = \"p\"\nautoload = false\n",
    ),
    (
        "set_attach_target",
        "[[programs]]\nname = \"p\"\nattach = { kind = \"fentry\", symbol = \"vfs_read\" }\n",
    ),
    (
        "attach_kprobe",
        "[[programs]]\nname = \"p\"\nattach = { kind = \"kprobe\", symbol = \"vfs_read\" }\n",
    ),
    (
        "attach_uprobe",
        "[[programs]]\nname = \"p\"\nattach = { kind = \"uprobe\", binary = \"bash\", symbol = \"readline\" }\n",
    ),
    (
        "attach_usdt",
        "[[programs]]\nname = \"p\"\nattach = { kind = \"usdt\", binary = \"libjvm.so\", provider = \"hotspot\", name = \"gc__begin\" }\n",
    ),
    (
        "attach_perf_event",
        "[[programs]]\nname = \"p\"\nattach = { kind = \"perf_event\" }\n",
    ),
    (
        "set_max_entries",
        "[[maps]]\nname = \"m\"\nmax_entries = 1024\n",
    ),
    (
        "set_value_size",
        "[[maps]]\nname = \"m\"\nvalue_size = 1016\n",
    ),
    ("set_key_size", "[[maps]]\nname = \"m\"\nkey_size = 4\n"),
    (
        "set_type",
        "[[maps]]\nname = \"m\"\ntype = \"perf_event_array\"\n",
    ),
    (
        "set_autocreate",
        "[[maps]]\nname = \"m\"\nautocreate = false\n",
    ),
    ("rodata", "[rodata]\ntarg_pid = 1\n"),
    ("btf_custom_path", "btf_custom_path = \"vmlinux.btf\"\n"),
];

/// What each loader does.
fn loaders() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let lines = include_str!("loaders.tsv").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (tool, deeds) = line.split_once('\t').unwrap();
            (tool, deeds.split_ascii_whitespace().collect())
        })
        .collect()
}

fn is_described(deed: &str) -> bool {
    KINDS.iter().any(|(kind, _)| *kind == deed)
}

#[test]
fn each_kind_of_deed_has_a_key_that_is_understood() {
    for (kind, text) in KINDS {
        let manifest = Manifest::parse(text, "x.toml");
        let manifest = manifest.unwrap_or_else(|error| panic!("{kind}: {error}\n{text}"));
        assert_ne!(manifest, Manifest::default(), "{kind}");
    }
}

#[test]
fn the_table_and_the_kinds_have_nothing_that_the_other_lacks() {
    let loaders = loaders();
    let done: BTreeSet<&str> = loaders.values().flatten().copied().collect();
    let kinds: BTreeSet<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(done, kinds);
}

#[test]
fn the_page_says_how_many_loaders_can_be_described() {
    let loaders = loaders();
    let described = (loaders.values())
        .filter(|deeds| deeds.iter().all(|deed| is_described(deed)))
        .count();
    let uses = |deed: &str| {
        loaders
            .values()
            .filter(|deeds| deeds.contains(deed))
            .count()
    };
    let page = include_str!("../../../../docs/manifest.md");
    let page = page.split_whitespace().collect::<Vec<_>>().join(" ");
    for sentence in [
        format!(
            "everything that {described} of the {} loaders",
            loaders.len()
        ),
        format!("{} of them switch programs on or off", uses("set_autoload")),
        format!("{} set the target of a program", uses("set_attach_target")),
        format!("{} set the size of a value", uses("set_value_size")),
    ] {
        assert!(
            page.contains(&sentence),
            "docs/manifest.md does not say: {sentence}"
        );
    }
}
