//! Kernel modules that a hook needs, from the initramfs: `/lib/ukci/modules/NAME.ko`, plain ELF,
//! with all that they depend on beside them.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use ukci_schema::evidence::Module;

/// Where a kernel's part of the initramfs keeps them.
pub const DIR: &str = "/lib/ukci/modules";

/// Whether the module is loaded, or built in with parameters of its own.
pub fn is_there(name: &str) -> bool {
    fs::exists(format!("/sys/module/{name}")).unwrap_or(false)
}

/// The modules that the initramfs has, by name.
pub fn at_hand() -> Vec<String> {
    let mut names: Vec<String> = (fs::read_dir(DIR).into_iter().flatten())
        .flatten()
        .filter_map(|file| Some(file.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Loads a module after those it depends on. Says of each how it went; nothing of those that were
/// there already.
pub fn load(name: &str) -> Vec<Module> {
    let mut done = Vec::new();
    load_into(name, Path::new(DIR), &mut done, 0);
    done
}

fn load_into(name: &str, dir: &Path, done: &mut Vec<Module>, depth: usize) {
    // The kernel's own longest chain is a handful; deeper is a circle.
    if depth > 16 || is_there(name) || done.iter().any(|module| module.name == name) {
        return;
    }
    let path = dir.join(format!("{name}.ko"));
    let error = match fs::read(&path) {
        Err(error) => Some(format!("read {}: {error}", path.display())),
        Ok(bytes) => {
            for needed in depends(&bytes) {
                load_into(&needed, dir, done, depth + 1);
            }
            insert(&path).err()
        }
    };
    done.push(Module {
        name: name.to_owned(),
        error,
    });
}

/// Loads one module file. That it is loaded already is fine.
pub fn insert(path: &Path) -> Result<(), String> {
    let file = fs::File::open(path).map_err(|error| format!("open {}: {error}", path.display()))?;
    match rustix::system::finit_module(file.as_fd(), c"", 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// The names in a module's `depends=`.
fn depends(module: &[u8]) -> Vec<String> {
    let Ok(elf) = ElfFile64::<Endianness>::parse(module) else {
        return Vec::new();
    };
    let Some(info) = elf.section_by_name(".modinfo") else {
        return Vec::new();
    };
    info.data()
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .filter_map(|field| field.strip_prefix(b"depends="))
        .flat_map(|names| names.split(|byte| *byte == b','))
        .filter(|name| !name.is_empty())
        .map(|name| String::from_utf8_lossy(name).replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_module_that_is_not_there_says_so() {
        let done = super::load("no_such_module");
        assert_eq!(done.len(), 1);
        assert!(
            done[0]
                .error
                .as_ref()
                .unwrap()
                .contains("no_such_module.ko")
        );
        assert!(super::depends(b"not a module").is_empty());
    }
}
