//! Finds the module, among those that came with the request, that defines a function, tracepoint,
//! kfunc or variable that the kernel lacks.
//!
//! The input is the names that an object refers to. The output is the modules that were loaded for
//! them, each with the name that it was loaded for and the others that define the same name. A
//! target is missing only if no module has it: `nf_conntrack_in` is not in a kernel that has
//! connection tracking as a module, until that module is loaded. A function of the object itself is
//! never looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol};
use ukci_schema::evidence::Module;

use crate::feature_probe;
use crate::kernel::Kernel;
use crate::kernel_variable;
use crate::modules;
use crate::target::Target;

/// Something that an object asks of the kernel and a module may own.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// A function that programs call.
    Kfunc(String),
    /// What a program is attached to.
    Target(Target),
    /// A variable whose address or value programs use.
    Variable(String),
}

impl Wanted {
    /// `variables` are those of the object that the kernel has.
    fn is_missing(&self, kernel: &Kernel, variables: &BTreeSet<String>) -> bool {
        match self {
            Self::Kfunc(name) => feature_probe::kfunc(name, kernel.btf()).present == Some(false),
            Self::Target(target) => target.is_missing(kernel),
            Self::Variable(name) => !variables.contains(name),
        }
    }

    /// The symbol that its owner defines.
    fn symbol(&self) -> Option<String> {
        match self {
            Self::Kfunc(name) | Self::Variable(name) => Some(name.clone()),
            Self::Target(target) => target.symbol(),
        }
    }

    /// As the object has it.
    fn name(&self) -> &str {
        match self {
            Self::Kfunc(name) | Self::Variable(name) => name,
            Self::Target(target) => target.name(),
        }
    }

    /// The module that the object itself names as the owner.
    fn named_module(&self) -> Option<&str> {
        match self {
            Self::Kfunc(_) | Self::Variable(_) => None,
            Self::Target(target) => target.named_module(),
        }
    }
}

/// Loads the owners of what `wanted` names and the kernel does not have. Returns what was loaded, and
/// of each owner what it was loaded for. What `kernel` knows is forgotten if a module was loaded.
pub(crate) fn load(wanted: &[Wanted], kernel: &mut Kernel) -> Vec<Module> {
    // Nothing is looked up where there is no module to look in.
    if !modules::any() {
        return Vec::new();
    }
    let variables = wanted.iter().filter_map(|wanted| match wanted {
        Wanted::Variable(name) => Some(name.as_str()),
        Wanted::Kfunc(_) | Wanted::Target(_) => None,
    });
    let variables = kernel_variable::present(&variables.collect());
    let missing: Vec<&Wanted> = (wanted.iter())
        .filter(|wanted| wanted.is_missing(kernel, &variables))
        .collect();
    let mut loaded = Vec::new();
    for wanted in &missing {
        let Some(named) = wanted.named_module() else {
            continue;
        };
        for mut module in modules::load(named) {
            if module.name == named {
                module.wanted_for = vec![wanted.name().to_owned()];
            }
            loaded.push(module);
        }
    }
    let missing: BTreeMap<String, String> = (missing.into_iter())
        .filter(|wanted| wanted.named_module().is_none())
        .filter_map(|wanted| Some((wanted.symbol()?, wanted.name().to_owned())))
        .collect();
    loaded.extend(load_from(&missing, Path::new(modules::DIR), modules::load));
    if !loaded.is_empty() {
        *kernel = Kernel::default();
    }
    loaded
}

/// `missing` are symbols, with the names that stand for them in the object.
fn load_from(
    missing: &BTreeMap<String, String>,
    dir: &Path,
    mut load: impl FnMut(&str) -> Vec<Module>,
) -> Vec<Module> {
    let mut chosen: BTreeMap<String, Owner> = BTreeMap::new();
    for (symbol, owners) in owners(missing, dir) {
        let Some((owner, others)) = owners.split_first() else {
            continue;
        };
        let owner = chosen.entry(owner.clone()).or_default();
        owner.wanted_for.extend(missing.get(symbol).cloned());
        owner.also_in.extend(others.iter().cloned());
    }
    let mut done = Vec::new();
    for (name, owner) in chosen {
        for mut module in load(&name) {
            if module.name == name {
                module.wanted_for = owner.wanted_for.iter().cloned().collect();
                module.also_in = owner.also_in.iter().cloned().collect();
            }
            done.push(module);
        }
    }
    done
}

/// What a module is loaded for, and who else could have been.
#[derive(Default)]
struct Owner {
    wanted_for: BTreeSet<String>,
    also_in: BTreeSet<String>,
}

/// The modules that define each symbol: those first that let others use it, then by name, so that of
/// several it is always the same that is loaded.
fn owners<'a>(missing: &'a BTreeMap<String, String>, dir: &Path) -> BTreeMap<&'a str, Vec<String>> {
    let mut found: BTreeMap<&str, Vec<(bool, String)>> = BTreeMap::new();
    if missing.is_empty() {
        return BTreeMap::new();
    }
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = file.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
            continue;
        };
        let symbols = symbols(&fs::read(&path).unwrap_or_default());
        for symbol in missing.keys() {
            if let Some(is_static) = symbols.get(symbol) {
                let owners = found.entry(symbol).or_default();
                owners.push((*is_static, name.to_owned()));
            }
        }
    }
    let sorted = |mut owners: Vec<(bool, String)>| {
        owners.sort();
        owners.into_iter().map(|(_, name)| name).collect()
    };
    found
        .into_iter()
        .map(|(symbol, owners)| (symbol, sorted(owners)))
        .collect()
}

/// The names that a module defines, and whether each is its own alone.
pub(crate) fn symbols(module: &[u8]) -> BTreeMap<String, bool> {
    let Ok(elf) = ElfFile64::<Endianness>::parse(module) else {
        return BTreeMap::new();
    };
    elf.symbols()
        .filter(|symbol| !symbol.is_undefined())
        .filter_map(|symbol| Some((symbol.name().ok()?.to_owned(), symbol.is_local())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ukci_schema::evidence::Module;

    use super::load_from;

    /// This test's own executable replaces two modules: both define `main`.
    #[test]
    fn the_module_that_defines_a_name_is_loaded_and_says_for_what() {
        let dir = std::env::temp_dir().join(format!("ukci-owners-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["second.ko", "owner.ko"] {
            std::fs::copy("/proc/self/exe", dir.join(name)).unwrap();
        }
        let module = |name: &str| Module {
            name: name.into(),
            ..Module::default()
        };
        let load = |name: &str| vec![module("needed_by_it"), module(name)];
        let wanted =
            |symbol: &str, name: &str| BTreeMap::from([(symbol.to_owned(), name.to_owned())]);
        let owned = load_from(&wanted("main", "its_name"), &dir, load);
        let unknown = load_from(&wanted("no_such_function", "x"), &dir, load);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(owned.len(), 2);
        assert_eq!(
            (&*owned[0].name, &*owned[1].name),
            ("needed_by_it", "owner")
        );
        assert!(owned[0].wanted_for.is_empty() && owned[0].also_in.is_empty());
        assert_eq!(owned[1].wanted_for, ["its_name"]);
        assert_eq!(owned[1].also_in, ["second"]);
        assert!(unknown.is_empty());
    }
}
