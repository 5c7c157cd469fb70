//! Knows on which kernels the version does not tell what there is. The quirks are data,
//! `kernels/quirks.toml`. What it says of a kernel is compared with the kernel's own configuration.

use std::sync::LazyLock;

use serde::Deserialize;
use ukci_schema::cell::Arch;
use ukci_schema::glob;

const QUIRKS: &str = include_str!("../../kernels/quirks.toml");

/// What is unlike other kernels of the same version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quirk {
    /// Names of kernels in the catalogue, or patterns.
    pub kernels: Vec<String>,
    /// Only on these architectures; none is all.
    #[serde(default)]
    pub arches: Vec<Arch>,
    /// An option of the configuration, with `CONFIG_`.
    pub option: String,
    /// Its value; `n` if it is not set.
    #[serde(default)]
    pub value: Option<String>,
    /// What is not in its list, which is separated by commas.
    #[serde(default)]
    pub without: Option<String>,
    /// What that means for eBPF: one or two sentences.
    pub what: String,
    /// Where it was seen.
    pub source: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quirks {
    quirk: Vec<Quirk>,
}

/// All that are known.
pub fn all() -> &'static [Quirk] {
    static ALL: LazyLock<Vec<Quirk>> = LazyLock::new(|| {
        let read: Result<Quirks, _> = toml::from_str(QUIRKS);
        read.expect("quirks.toml is well-formed").quirk
    });
    &ALL
}

/// Those of a kernel of the catalogue.
pub fn of(kernel: &str, arch: Arch) -> impl Iterator<Item = &'static Quirk> {
    all().iter().filter(move |quirk| quirk.covers(kernel, arch))
}

impl Quirk {
    /// Whether it is one of this kernel.
    pub fn covers(&self, kernel: &str, arch: Arch) -> bool {
        let on_arch = self.arches.is_empty() || self.arches.contains(&arch);
        on_arch && self.kernels.iter().any(|of| glob::covers(of, kernel))
    }

    /// What a kernel's configuration says otherwise; none if the quirk is true of it.
    pub fn contradiction(&self, config: &str) -> Option<String> {
        let line = |line: &str| {
            let value = line.strip_prefix(&self.option)?.strip_prefix('=')?;
            Some(value.trim_matches('"').to_owned())
        };
        let found = config.lines().find_map(line);
        let found = found.as_deref().unwrap_or("n");
        let differs = self.value.as_deref().is_some_and(|value| value != found);
        let contains = (self.without.as_deref())
            .is_some_and(|word| found == "n" || found.split(',').any(|one| one == word));
        (differs || contains).then(|| format!("{}={found}", self.option))
    }
}

#[cfg(test)]
mod tests {
    use ukci_schema::lock::Lock;

    use super::*;
    use crate::resolve::{FAMILIES, LOCK};

    fn quirk(text: &str) -> Quirk {
        let base = "kernels = [\"a-*\"]\nwhat = \"\"\nsource = \"\"\noption = \"CONFIG_A\"\n";
        toml::from_str(&format!("{base}{text}")).unwrap()
    }

    #[test]
    fn a_configuration_contradicts_what_is_false() {
        let on = "CONFIG_AB=m\nCONFIG_A=y\n";
        let off = "CONFIG_AB=y\n# CONFIG_A is not set\n";
        let list = "CONFIG_A=\"lockdown,bpf\"\n";
        assert_eq!(quirk("value = \"y\"").contradiction(on), None);
        assert_eq!(quirk("value = \"n\"").contradiction(off), None);
        let said = quirk("value = \"n\"").contradiction(on);
        assert_eq!(said.unwrap(), "CONFIG_A=y");
        assert!(quirk("value = \"y\"").contradiction(off).is_some());
        assert_eq!(quirk("without = \"yama\"").contradiction(list), None);
        assert!(quirk("without = \"bpf\"").contradiction(list).is_some());
        // Where there is no list, nothing is said about it.
        assert!(quirk("without = \"bpf\"").contradiction(off).is_some());
    }

    #[test]
    fn a_quirk_covers_the_kernels_that_it_names() {
        let of_arch = quirk("value = \"y\"\narches = [\"aarch64\"]");
        assert!(of_arch.covers("a-1", Arch::Aarch64));
        assert!(!of_arch.covers("a-1", Arch::X86_64));
        assert!(!of_arch.covers("b-1", Arch::Aarch64));
    }

    #[test]
    fn each_quirk_says_one_thing_about_kernels_of_the_lock() {
        let mut names = Vec::new();
        for text in [LOCK]
            .into_iter()
            .chain(FAMILIES.iter().map(|(_, text)| *text))
        {
            let lock: Lock = serde_json::from_str(text).unwrap();
            names.extend(
                lock.kernels
                    .into_iter()
                    .map(|kernel| (kernel.name, kernel.arch)),
            );
        }
        for quirk in all() {
            assert!(
                quirk.value.is_some() != quirk.without.is_some(),
                "{quirk:?}"
            );
            assert!(
                !quirk.source.is_empty() && quirk.what.ends_with('.'),
                "{quirk:?}"
            );
            for pattern in &quirk.kernels {
                let alone = Quirk {
                    kernels: vec![pattern.clone()],
                    ..quirk.clone()
                };
                let covered = names.iter().any(|(name, arch)| alone.covers(name, *arch));
                assert!(covered, "no kernel is `{pattern}`: {quirk:?}");
            }
        }
    }
}
