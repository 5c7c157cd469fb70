//! Groups of kernels: one name for several, in `kernels/groups.toml`.
//!
//! `@name` stands for the kernels of that group that are locked for the architecture in question;
//! `@all` for every kernel whose pin has been verified. There is no other rule, so that Nix can
//! follow it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::authored::{self, AuthoredError};
use crate::pattern::Pattern;
use ukci_schema::cell::Arch;
use ukci_schema::lock::VERSION_MARK;

/// The group that needs no entry.
const ALL: &str = "all";

/// A kernel of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownKernel<'a> {
    /// Its name.
    pub name: &'a str,
    /// The version of its package, for which a matrix must name it as `NAME@VERSION`. None for the
    /// present pin of its name.
    pub version: Option<&'a str>,
    /// An architecture it is locked for.
    pub arch: Arch,
    /// Whether its pin has been verified. Otherwise it is in no group, and must be named.
    pub is_verified: bool,
}

impl KnownKernel<'_> {
    /// Whether a name means this kernel.
    pub fn is(&self, name: &str) -> bool {
        match (name.split_once(VERSION_MARK), self.version) {
            (Some((name, version)), Some(of)) => name == self.name && version == of,
            (None, None) => name == self.name,
            _ => false,
        }
    }

    /// The name that means it.
    pub(crate) fn full_name(&self) -> String {
        match self.version {
            Some(version) => format!("{}{VERSION_MARK}{version}", self.name),
            None => self.name.to_owned(),
        }
    }
}

/// The groups of `kernels/groups.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    #[serde(default)]
    groups: BTreeMap<String, Vec<String>>,
}

impl Groups {
    /// Reads the file.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, AuthoredError> {
        authored::read(text, file_name)
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

    /// Whether there is a group of this name, which begins with `@`.
    pub fn has(&self, group: &str) -> bool {
        let name = group.trim_start_matches('@');
        name == ALL || self.groups.contains_key(name)
    }

    /// Whether a pattern, which may be a group, covers a kernel. What covers a kernel covers all of
    /// its versions, such as `debian-12-6.1@6.1.176-1`.
    pub fn covers(&self, pattern: &Pattern, kernel: &str) -> bool {
        self.covers_name(pattern, kernel)
            || kernel
                .split_once(VERSION_MARK)
                .is_some_and(|(name, _)| self.covers_name(pattern, name))
    }

    fn covers_name(&self, pattern: &Pattern, kernel: &str) -> bool {
        let Some(group) = pattern.group() else {
            return pattern.covers(kernel);
        };
        match self.groups.get(&group[1..]) {
            Some(kernels) => kernels.iter().any(|name| name == kernel),
            None => &group[1..] == ALL,
        }
    }

    /// The kernels that a pattern stands for on `arch`: itself, if it is the name of one. None if
    /// there is no such group.
    pub fn expand<'a>(
        &'a self,
        pattern: &'a Pattern,
        arch: Arch,
        known: &[KnownKernel<'a>],
    ) -> Option<Vec<&'a str>> {
        let here = || known.iter().filter(|kernel| kernel.arch == arch);
        let present = |kernel: &&KnownKernel<'_>| kernel.is_verified && kernel.version.is_none();
        let verified = || here().filter(present);
        let Some(group) = pattern.group() else {
            return Some(if pattern.is_glob() {
                let names = verified().map(|kernel| kernel.name);
                names.filter(|name| pattern.covers(name)).collect()
            } else {
                vec![pattern.as_str()]
            });
        };
        if let Some(kernels) = self.groups.get(&group[1..]) {
            // In the order of the group.
            let kernels = kernels.iter().map(String::as_str);
            let locked = kernels.filter(|name| here().any(|kernel| kernel.is(name)));
            return Some(locked.collect());
        }
        self.has(group)
            .then(|| verified().map(|kernel| kernel.name).collect())
    }
}
