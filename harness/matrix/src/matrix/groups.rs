//! Groups of kernels: one name for several, in `kernels/streams.toml`.
//!
//! `@name` stands for the kernels of that group that are locked for the architecture in question;
//! `@all` for every kernel of the lock. There is no other rule, so that Nix can follow it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::KnownKernel;
use crate::authored::{self, AuthoredError, Format};
use ukci_schema::cell::Arch;

/// The group that needs no entry.
const ALL: &str = "all";

/// The groups of `kernels/streams.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
}

impl Groups {
    /// Reads the file.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, AuthoredError> {
        let tree = authored::tree(text, file_name, Format::Toml)?;
        authored::value(&tree, text, file_name)
    }

    /// The names of all groups, with their `@`.
    pub fn names(&self) -> Vec<String> {
        let names = self.groups.keys().map(String::as_str);
        names.chain([ALL]).map(|name| format!("@{name}")).collect()
    }

    /// Every kernel that a group names, for a check against the lock.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.groups.values().flatten().map(String::as_str)
    }

    /// The kernels that an authored name stands for on `arch`: itself, where it names no group.
    /// None where there is no such group.
    pub(super) fn expand<'a>(
        &'a self,
        name: &'a str,
        arch: Arch,
        known: &[KnownKernel<'a>],
    ) -> Option<Vec<&'a str>> {
        let Some(group) = name.strip_prefix('@') else {
            return Some(vec![name]);
        };
        let locked = |name: &str| known.iter().any(|k| k.name == name && k.arch == arch);
        if let Some(kernels) = self.groups.get(group) {
            let kernels = kernels.iter().map(String::as_str);
            return Some(kernels.filter(|name| locked(name)).collect());
        }
        (group == ALL).then(|| {
            let here = known.iter().filter(|kernel| kernel.arch == arch);
            here.map(|kernel| kernel.name).collect()
        })
    }
}
