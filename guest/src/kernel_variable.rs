//! Checks whether the kernel has the variables that an object refers to with `__ksym`. Typed
//! variables must be in the kernel's BTF. Variables without a type only need a symbol.

use std::collections::BTreeSet;
use std::fs;

use ukci_schema::evidence::{Extern, Feature, FeatureKind};

use crate::kernel::{self, Kernel};

/// Answers for the externs that are variables of the kernel.
pub(crate) fn ask(externs: &[Extern], kernel: &Kernel) -> Vec<Feature> {
    let wanted: BTreeSet<&str> = externs
        .iter()
        .filter(|one| one.kind == "ksym")
        .map(|one| one.name.as_str())
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let text = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let symbols = among(&text, &wanted);
    let answer = |name: &str| Feature {
        kind: FeatureKind::Variable,
        name: name.to_owned(),
        id: None,
        program_type: None,
        present: kernel.btf().map(|btf| kernel::has_variable(btf, name)),
        source: "vmlinux-btf".into(),
        detail: symbols
            .contains(name)
            .then(|| Feature::SYMBOL_WITHOUT_BTF.to_owned()),
    };
    wanted.iter().map(|name| answer(name)).collect()
}

/// Those of `wanted` that the kernel, or a module that is loaded, has; all of them where it does not say.
pub(crate) fn present(wanted: &BTreeSet<&str>) -> BTreeSet<String> {
    if wanted.is_empty() {
        return BTreeSet::new();
    }
    let text = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let found = if text.is_empty() {
        wanted.clone()
    } else {
        among(&text, wanted)
    };
    found.into_iter().map(str::to_owned).collect()
}

/// Those of `wanted` that are symbols: `ffffffff81000000 D name` or `… D name\t[module]`.
pub(crate) fn among<'a>(kallsyms: &'a str, wanted: &BTreeSet<&str>) -> BTreeSet<&'a str> {
    kallsyms
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(2))
        .filter(|name| wanted.contains(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    #[test]
    fn a_symbol_is_known_by_its_whole_name() {
        let text = "0000000000000000 A kernel_cpustat\nffffffff81000000 r __ksymtab_other\n\
                    ffffffff81000000 d of_module\t[x]\n";
        let wanted = BTreeSet::from(["kernel_cpustat", "other", "of_module"]);
        let found: Vec<&str> = super::among(text, &wanted).into_iter().collect();
        assert_eq!(found, ["kernel_cpustat", "of_module"]);
    }
}
