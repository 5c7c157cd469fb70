//! The eBPF thing under test.

use serde::{Deserialize, Serialize};

/// A `.bpf.o`, or a `.bpf.c` that is compiled once per LLVM and architecture; or a command that is
/// run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub struct Artifact {
    /// File name without `.bpf.o`, `.bpf.c`, `.o` or `.c`; the first part of a cell's id.
    pub name: String,
    /// Where the file was read, as the user wrote it.
    pub path: String,
    /// SHA-256 of the bytes, hex.
    #[serde(deserialize_with = "crate::sha256::one")]
    pub sha256: String,
    /// Length in bytes.
    pub size: u64,
    /// Prebuilt or compiled by `ukci`.
    pub form: Form,
    /// Its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestRef>,
}

/// A manifest that says what the artifact's own loader does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ManifestRef {
    /// Where the file was read, as the user wrote it.
    pub path: String,
    /// SHA-256 of its bytes, hex.
    #[serde(deserialize_with = "crate::sha256::one")]
    pub sha256: String,
}

/// Whether an artifact needs a compiler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "json-schema", derive(schemars::JsonSchema))]
pub enum Form {
    /// A compiled object.
    Object,
    /// C source.
    Source,
    /// A program that is run in the guest.
    Command,
}

/// The artifact's name for a file name: what is left without its endings.
pub fn name_of(file_name: &str) -> &str {
    [".bpf.o", ".bpf.c", ".o", ".c"]
        .iter()
        .find_map(|ending| file_name.strip_suffix(ending))
        .filter(|stem| !stem.is_empty())
        .unwrap_or(file_name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_lose_their_endings() {
        assert_eq!(super::name_of("execsnoop.bpf.o"), "execsnoop");
        assert_eq!(super::name_of("execsnoop.o"), "execsnoop");
        assert_eq!(super::name_of(".bpf.o"), ".bpf.o");
        assert_eq!(super::name_of("notes.txt"), "notes.txt");
    }
}
