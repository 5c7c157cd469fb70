//! Keeps the kernel modules that came with a request, and loads those that a hook needs, together
//! with everything that they depend on.
//!
//! The input is a module's bytes, as plain ELF, and later its name. The output is what was loaded for
//! it, and why anything was not. Nothing is unloaded.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection};
use ukci_schema::evidence::Module;

/// Where those of a request are kept, each as `NAME.ko`.
pub const DIR: &str = "/lib/ukci/modules";

/// Keeps a module, so that it can be loaded by its name.
pub fn keep(name: &str, module: &[u8]) -> Result<(), String> {
    keep_in(Path::new(DIR), name, module)
}

fn keep_in(dir: &Path, name: &str, module: &[u8]) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(format!("`{}` is no name of a module", name.escape_debug()));
    }
    let path = dir.join(format!("{name}.ko"));
    let written = fs::create_dir_all(dir).and_then(|()| fs::write(&path, module));
    written.map_err(|error| format!("write {}: {error}", path.display()))
}

/// Whether the module is loaded, or built in with parameters of its own.
pub fn is_there(name: &str) -> bool {
    fs::exists(format!("/sys/module/{name}")).unwrap_or(false)
}

/// What `find` finds once a driver has found its device. None if the kernel has no such driver, or if
/// it finds nothing for `patience`.
pub fn found_by<T>(driver: &str, patience: Duration, find: impl Fn() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = find() {
            return Some(found);
        }
        if start.elapsed() > patience || !is_there(driver) {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether any module was kept.
pub(crate) fn any() -> bool {
    let mut files = fs::read_dir(DIR).into_iter().flatten();
    files.next().is_some()
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
            for wanted in soft(&bytes) {
                for provider in providers(&wanted, dir) {
                    load_into(&provider, dir, done, depth + 1);
                }
            }
            insert(&path).err()
        }
    };
    done.push(Module {
        name: name.to_owned(),
        error,
        ..Module::default()
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
pub(crate) fn depends(module: &[u8]) -> Vec<String> {
    let fields = info(module, "depends=");
    let names = fields.iter().flat_map(|names| names.split(','));
    names
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

/// What a module wants to be loaded before it (`softdep=pre: …`), which may be aliases: `libcrc32c`
/// asks for an implementation of `crc32c`. In a kernel at large modprobe finds it; here nothing
/// would.
fn soft(module: &[u8]) -> Vec<String> {
    let fields = info(module, "softdep=");
    let before = fields.iter().filter_map(|words| words.strip_prefix("pre:"));
    before
        .filter_map(|words| words.split("post:").next())
        .flat_map(str::split_ascii_whitespace)
        .map(str::to_owned)
        .collect()
}

/// The modules of `dir` that have this name, or this alias.
fn providers(wanted: &str, dir: &Path) -> Vec<String> {
    if dir.join(format!("{wanted}.ko")).exists() {
        return vec![wanted.to_owned()];
    }
    let has = |path: &Path| {
        let bytes = fs::read(path).unwrap_or_default();
        info(&bytes, "alias=").iter().any(|alias| alias == wanted)
    };
    let files = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<String> = files
        .map(|file| file.path())
        .filter(|path| has(path))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    found.sort();
    found
}

/// The values of a field of a module's `.modinfo`, with `_` for `-`: files and the kernel disagree.
fn info(module: &[u8], field: &str) -> Vec<String> {
    let Ok(elf) = ElfFile64::<Endianness>::parse(module) else {
        return Vec::new();
    };
    let Some(info) = elf.section_by_name(".modinfo") else {
        return Vec::new();
    };
    info.data()
        .unwrap_or_default()
        .split(|byte| *byte == 0)
        .filter_map(|text| text.strip_prefix(field.as_bytes()))
        .map(|value| String::from_utf8_lossy(value).replace('-', "_"))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_module_is_kept_by_a_name_that_cannot_be_a_path() {
        let dir = std::env::temp_dir().join(format!("ukci-modules-{}", std::process::id()));
        let kept = super::keep_in(&dir, "nf_conntrack", b"elf");
        let bytes = std::fs::read(dir.join("nf_conntrack.ko"));
        let refused = ["../x", "a/b", "", "a.ko"].map(|name| super::keep_in(&dir, name, b""));
        let files = std::fs::read_dir(&dir).map(Iterator::count);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!((kept, bytes.unwrap().as_slice()), (Ok(()), &b"elf"[..]));
        assert!(refused.iter().all(Result::is_err), "{refused:?}");
        assert_eq!(files.unwrap(), 1);
    }

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
