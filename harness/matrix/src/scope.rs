//! What a rule covers. Matrices and manifests share this one grammar.
//!
//! A rule names axes: `artifacts`, `kernels`, `llvms`, `arches`. Each is a string or a list of
//! strings. In the first three, `*` stands for any text, and a kernel may be a group (`@lts`). A
//! rule covers a cell if each axis that it names has an entry for that cell.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{SeqAccessDeserializer, StrDeserializer};
use serde::de::{Error, IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::authored::{Path, instead_of};
use crate::groups::Groups;
use crate::pattern::Pattern;
use ukci_schema::cell::{Arch, Cell};

/// A value that may be written alone, or as a list of one or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OneOrMany<T>(Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> std::ops::Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<Vec<T>> for OneOrMany<T> {
    fn from(values: Vec<T>) -> Self {
        Self(values)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                let text: StrDeserializer<'_, E> = text.into_deserializer();
                Ok(OneOrMany(vec![T::deserialize(text)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(OneOrMany)
            }
        }
        deserializer.deserialize_any(Either(PhantomData))
    }
}

/// The keys of the axes that a rule may name, in the order of a cell's id.
pub const AXES: [&str; 4] = ["artifacts", "kernels", "llvms", "arches"];

/// What a rule covers. An axis that is not named covers everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'r> {
    /// Artifacts.
    pub artifacts: Option<&'r [Pattern]>,
    /// Kernels, by name or by group.
    pub kernels: Option<&'r [Pattern]>,
    /// LLVM majors. A cell of a prebuilt object has none and is not covered.
    pub llvms: Option<&'r [Pattern]>,
    /// Architectures.
    pub arches: Option<&'r [Arch]>,
}

/// Why a scope makes no sense, and the way to what is wrong, from the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Senseless {
    /// The way to it.
    pub path: Path,
    /// What is wrong.
    pub message: String,
    /// An action that may help.
    pub hint: Option<String>,
}

impl Scope<'_> {
    /// Whether it names no axis.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it covers a cell.
    pub fn covers(&self, cell: &Cell, groups: &Groups) -> bool {
        self.covers_artifact(&cell.artifact)
            && self.covers_point(&cell.kernel, cell.llvm.as_deref(), cell.arch, groups)
    }

    /// Whether it covers an artifact's name.
    pub fn covers_artifact(&self, name: &str) -> bool {
        any(self.artifacts, |pattern| pattern.covers(name))
    }

    /// Whether it covers the axes other than the artifact.
    pub fn covers_point(
        &self,
        kernel: &str,
        llvm: Option<&str>,
        arch: Arch,
        groups: &Groups,
    ) -> bool {
        any(self.kernels, |pattern| groups.covers(pattern, kernel))
            && any(self.llvms, |pattern| {
                llvm.is_some_and(|llvm| pattern.covers(llvm))
            })
            && any(self.arches, |named| *named == arch)
    }

    /// This scope once for each entry of its axes but the artifacts, with that entry alone, and the
    /// way to the entry: each entry of a rule must cover something.
    pub fn entries(&self) -> Vec<(Path, String, Self)> {
        let mut entries = Vec::new();
        for (n, kernel) in self.kernels.unwrap_or_default().iter().enumerate() {
            let kernels = Some(std::slice::from_ref(kernel));
            let path = Path::from("kernels").then(n);
            entries.push((path, kernel.to_string(), Self { kernels, ..*self }));
        }
        for (n, llvm) in self.llvms.unwrap_or_default().iter().enumerate() {
            let llvms = Some(std::slice::from_ref(llvm));
            let path = Path::from("llvms").then(n);
            entries.push((path, llvm.to_string(), Self { llvms, ..*self }));
        }
        for (n, arch) in self.arches.unwrap_or_default().iter().enumerate() {
            let arches = Some(std::slice::from_ref(arch));
            let path = Path::from("arches").then(n);
            entries.push((path, arch.to_string(), Self { arches, ..*self }));
        }
        entries
    }

    /// As [`Self::entries`], each with its own axis alone.
    pub fn by_entry(&self) -> Vec<(Path, String, Self)> {
        let axes = [
            Self {
                kernels: self.kernels,
                ..Self::default()
            },
            Self {
                llvms: self.llvms,
                ..Self::default()
            },
            Self {
                arches: self.arches,
                ..Self::default()
            },
        ];
        axes.iter().flat_map(Self::entries).collect()
    }

    /// Refuses lists that are empty, and groups of anything but kernels.
    pub fn check(&self) -> Result<(), Senseless> {
        let wrong = |path: Path, message: String, hint: String| {
            let hint = Some(hint);
            Err(Senseless {
                path,
                message,
                hint,
            })
        };
        for (key, empty) in [
            ("artifacts", self.artifacts.is_some_and(<[_]>::is_empty)),
            ("kernels", self.kernels.is_some_and(<[_]>::is_empty)),
            ("llvms", self.llvms.is_some_and(<[_]>::is_empty)),
            ("arches", self.arches.is_some_and(<[_]>::is_empty)),
        ] {
            if empty {
                let message = format!("an empty list of `{key}` covers nothing");
                let hint = format!("leave `{key}` out to cover them all");
                return wrong(key.into(), message, hint);
            }
        }
        for (key, patterns) in [("artifacts", self.artifacts), ("llvms", self.llvms)] {
            for (n, pattern) in patterns.unwrap_or_default().iter().enumerate() {
                if let Some(group) = pattern.group() {
                    let message = format!("`{key}` names the group `{group}`");
                    let hint = "only `kernels` has groups; use `*` for any text".to_owned();
                    return wrong(Path::from(key).then(n), message, hint);
                }
            }
        }
        Ok(())
    }

    /// Refuses groups of kernels that do not exist.
    pub fn check_groups(&self, groups: &Groups) -> Result<(), Senseless> {
        for (n, pattern) in self.kernels.unwrap_or_default().iter().enumerate() {
            if pattern.group().is_some_and(|group| !groups.has(group)) {
                let path = Path::from("kernels").then(n);
                return Err(unknown_group(path, pattern.as_str(), groups));
            }
        }
        Ok(())
    }
}

/// The refusal of a group that does not exist.
pub(crate) fn unknown_group(path: Path, name: &str, groups: &Groups) -> Senseless {
    let names = groups.names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hint = instead_of(name, &names)
        .or_else(|| Some("`kernels/groups.toml` defines the groups".to_owned()));
    Senseless {
        path,
        message: format!("unknown group `{name}`"),
        hint,
    }
}

/// Whether an axis is not named, or has an entry that fits.
fn any<T>(axis: Option<&[T]>, fits: impl Fn(&T) -> bool) -> bool {
    axis.is_none_or(|entries| entries.iter().any(fits))
}

#[cfg(test)]
mod tests {
    use super::Scope;
    use crate::groups::Groups;
    use crate::pattern::Pattern;
    use ukci_schema::cell::{Arch, Cell};

    fn pattern(text: &str) -> Pattern {
        serde_json::from_value(text.into()).unwrap()
    }

    #[test]
    fn every_axis_that_is_named_must_have_an_entry_for_the_cell() {
        let groups = "[groups]\nlts = [\"debian-12-6.1\"]\n";
        let groups = Groups::parse(groups, "groups.toml").unwrap();
        let cell = Cell {
            artifact: "execsnoop".into(),
            kernel: "debian-12-6.1".into(),
            llvm: Some("19".into()),
            arch: Arch::X86_64,
            btf: None,
        };
        let covers = |scope: Scope<'_>| scope.covers(&cell, &groups);
        let none = Scope::default();
        assert!(covers(none));
        let (exec, tcp) = ([pattern("tcp*"), pattern("exec*")], [pattern("tcp*")]);
        assert!(covers(Scope {
            artifacts: Some(&exec),
            ..none
        }));
        assert!(!covers(Scope {
            artifacts: Some(&tcp),
            ..none
        }));
        let (lts, other) = (
            [pattern("@lts")],
            [pattern("@next"), pattern("debian-13-*")],
        );
        assert!(covers(Scope {
            kernels: Some(&lts),
            ..none
        }));
        assert!(covers(Scope {
            kernels: Some(&[pattern("@all")]),
            ..none
        }));
        assert!(!covers(Scope {
            kernels: Some(&other),
            ..none
        }));
        let (llvm, arches) = ([pattern("19")], [Arch::Aarch64, Arch::X86_64]);
        let both = Scope {
            llvms: Some(&llvm),
            arches: Some(&arches),
            ..none
        };
        assert!(covers(both));
        let object = Cell {
            llvm: None,
            ..cell.clone()
        };
        assert!(!both.covers(&object, &groups), "an object has no LLVM");
        assert!(!covers(Scope {
            arches: Some(&arches[..1]),
            ..both
        }));
    }
}
