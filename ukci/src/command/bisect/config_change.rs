//! The differences between two configurations of a kernel.

use std::collections::{BTreeMap, BTreeSet};

/// Parts of the names of options that matter to BPF. Their changes come first.
const FIRST: [&str; 9] = [
    "BPF",
    "BTF",
    "PROBE",
    "FTRACE",
    "TRACING",
    "LSM",
    "CGROUP",
    "PERF_EVENTS",
    "KALLSYMS",
];

/// Each option that differs, as `CONFIG_BPF_LSM: n became y`. What is not set is `n`.
pub(super) fn between(was: &str, is: &str) -> Vec<String> {
    let (was, is) = (options(was), options(is));
    let names: BTreeSet<&str> = was.keys().chain(is.keys()).copied().collect();
    let value = |of: &BTreeMap<&str, &str>, name: &str| of.get(name).map_or("n", |v| v).to_owned();
    let mut changed: Vec<(bool, String)> = Vec::new();
    for name in names {
        let (before, after) = (value(&was, name), value(&is, name));
        if before != after {
            let is_later = !FIRST.iter().any(|part| name.contains(part));
            changed.push((is_later, format!("{name}: {before} became {after}")));
        }
    }
    changed.sort();
    changed.into_iter().map(|(_, line)| line).collect()
}

fn options(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| name.starts_with("CONFIG_"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_matters_to_bpf_comes_first() {
        let was = "# CONFIG_BPF_LSM is not set\nCONFIG_A=y\nCONFIG_B=m\nCONFIG_LSM=\"yama\"\n";
        let is = "CONFIG_BPF_LSM=y\nCONFIG_A=m\nCONFIG_B=m\nCONFIG_LSM=\"yama,bpf\"\n";
        assert_eq!(
            between(was, is),
            [
                "CONFIG_BPF_LSM: n became y",
                "CONFIG_LSM: \"yama\" became \"yama,bpf\"",
                "CONFIG_A: y became m"
            ]
        );
        assert_eq!(between(is, is), [""; 0]);
    }
}
