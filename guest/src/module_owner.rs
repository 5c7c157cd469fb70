//! Which module of the initramfs owns a function, tracepoint or kfunc that the kernel lacks.
//!
//! A target is missing only if no module has it: `nf_conntrack_in` is not in any kernel that has
//! connection tracking as a module, until that is loaded.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSymbol};
use ukci_schema::evidence::Module;

use crate::feature_probe;
use crate::kernel::Kernel;
use crate::modules;
use crate::target::Target;

/// Something that an object asks of the kernel and a module may own.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// A function that programs call.
    Kfunc(String),
    /// What a program is attached to.
    Target(Target),
}

impl Wanted {
    fn is_missing(&self, kernel: &Kernel) -> bool {
        match self {
            Self::Kfunc(name) => feature_probe::kfunc(name, kernel.btf()).present == Some(false),
            Self::Target(target) => target.is_missing(kernel),
        }
    }

    /// The symbol that its owner defines.
    fn symbol(&self) -> Option<String> {
        match self {
            Self::Kfunc(name) => Some(name.clone()),
            Self::Target(target) => target.symbol(),
        }
    }
}

/// Loads the owners of what `wanted_names` name and the kernel does not have. Returns what was loaded.
pub(crate) fn load(wanted_names: &[Wanted]) -> Vec<Module> {
    load_from(wanted_names, Path::new(modules::DIR), modules::load)
}

fn load_from(
    wanted_names: &[Wanted],
    dir: &Path,
    mut load: impl FnMut(&str) -> Vec<Module>,
) -> Vec<Module> {
    let mut done = Vec::new();
    // Nothing is looked up where there is no module to look in.
    let mut files: Vec<_> = fs::read_dir(dir).into_iter().flatten().flatten().collect();
    // Of several owners of one name it is always the same that is loaded.
    files.sort_by_key(fs::DirEntry::file_name);
    if files.is_empty() {
        return done;
    }
    let kernel = Kernel::default();
    let mut missing: Vec<String> = wanted_names
        .iter()
        .filter(|wanted| wanted.is_missing(&kernel))
        .filter_map(Wanted::symbol)
        .collect();
    for file in files {
        if missing.is_empty() {
            break;
        }
        let path = file.path();
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else {
            continue;
        };
        let symbols = symbols(&fs::read(&path).unwrap_or_default());
        let before = missing.len();
        missing.retain(|symbol| !symbols.contains(symbol));
        if missing.len() < before {
            done.extend(load(name));
        }
    }
    done
}

/// The names that a module defines.
fn symbols(module: &[u8]) -> BTreeSet<String> {
    let Ok(elf) = ElfFile64::<Endianness>::parse(module) else {
        return BTreeSet::new();
    };
    elf.symbols()
        .filter(|symbol| !symbol.is_undefined())
        .filter_map(|symbol| Some(symbol.name().ok()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use ukci_schema::evidence::Module;

    use super::{Wanted, load_from};

    /// This test's own executable stands in for a module: it defines `main`.
    #[test]
    fn the_module_that_defines_a_name_is_loaded() {
        let dir = std::env::temp_dir().join(format!("ukci-owners-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::copy("/proc/self/exe", dir.join("owner.ko")).unwrap();
        let load = |name: &str| {
            vec![Module {
                name: name.into(),
                ..Module::default()
            }]
        };
        let owned = load_from(&[Wanted::Kfunc("main".into())], &dir, load);
        let unknown = load_from(&[Wanted::Kfunc("no_such_function".into())], &dir, load);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(owned.len(), 1);
        assert_eq!(owned[0].name, "owner");
        assert!(unknown.is_empty());
    }
}
