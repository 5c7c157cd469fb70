//! Manifests that are written down: the examples of the documentation, and errors as people see
//! them.

use ukci_matrix::manifest::{Manifest, ManifestError, import};
use ukci_schema::cell::{Arch, Cell};

/// The examples of the documentation as a manifest of bpfcompat has them.
pub(super) const YAML: &str = include_str!("full.yaml");

const DOCS: &str = include_str!("../../../../docs/manifest.md");

/// The fenced blocks of a language in the documentation.
pub(super) fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    DOCS.split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect()
}

pub(super) fn toml(text: &str) -> Result<Manifest, ManifestError> {
    Manifest::parse(text, "manifest.toml")
}

pub(super) fn yaml(text: &str) -> Result<Manifest, ManifestError> {
    import(text, "manifest.yaml").map(|imported| imported.manifest)
}

/// An error as the command line shows it.
pub(super) fn shown(error: &ManifestError) -> String {
    let hint = error
        .hint()
        .map(|hint| format!("\n\nhint: {hint}"))
        .unwrap_or_default();
    format!("{error}{hint}")
}

/// Both examples of the documentation as one manifest, with every key there is.
pub(super) fn full() -> Manifest {
    // A TOML file's bare keys come before its tables.
    let [lists, rest, ..] = blocks("toml")[..] else {
        panic!("two examples")
    };
    let (bare, tables) = rest.split_at(rest.find("[rodata]").unwrap());
    toml(&format!("{bare}\n{lists}\n{tables}")).unwrap()
}

/// The cell of an object on a kernel.
pub(super) fn on(kernel: &str, arch: Arch) -> Cell {
    Cell {
        artifact: "x".to_owned(),
        kernel: kernel.to_owned(),
        llvm: None,
        arch,
        btf: None,
    }
}
