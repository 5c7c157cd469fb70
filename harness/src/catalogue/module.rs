//! Kernel modules: what one depends on, and in which order a set of them loads.
//!
//! `modules.dep` is made by `depmod` when a package is installed and is in no package, so the
//! order comes from each module's own `.modinfo`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use object::read::{Object, ObjectSection};

use super::package;

/// Largest module that is unpacked; `amdgpu` with its symbols has about 40 MB.
const MAX_MODULE: u64 = 256 << 20;

/// A module, uncompressed: the guest must not have to, since kernels before 5.17 cannot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Module {
    pub(crate) bytes: Vec<u8>,
    /// Names of the modules that must be loaded before it.
    pub(crate) depends: Vec<String>,
    /// Names or aliases of those that should be loaded before it (`softdep=pre: …`): `libcrc32c`
    /// needs an implementation of `crc32c`, which the kernel asks modprobe for by that alias.
    pub(crate) soft: Vec<String>,
    /// What else it is asked for by, without patterns.
    pub(crate) aliases: Vec<String>,
    /// The release it was built for, where it says so.
    pub(crate) release: Option<String>,
}

impl Module {
    /// Reads the module that was found at `path`, which says how it is compressed. The error is a
    /// reason that reads behind a colon.
    pub(crate) fn read(path: &str, raw: Vec<u8>) -> Result<Self, String> {
        let (_, compression) = split(path).ok_or("its name does not end in `.ko`")?;
        let bytes = if compression.is_empty() {
            raw
        } else {
            let mut bytes = Vec::new();
            package::decompressor(compression, raw.as_slice())
                .and_then(|reader| match reader {
                    Some(reader) => reader.take(MAX_MODULE).read_to_end(&mut bytes),
                    None => Err(std::io::ErrorKind::Unsupported.into()),
                })
                .map_err(|error| format!("it is damaged: {error}"))?;
            bytes
        };
        let (mut depends, mut release) = (Vec::new(), None);
        let (mut soft, mut aliases) = (Vec::new(), Vec::new());
        {
            let elf = object::File::parse(bytes.as_slice())
                .map_err(|error| format!("it is not an ELF file: {error}"))?;
            let section = elf
                .section_by_name(".modinfo")
                .ok_or("it has no `.modinfo`")?;
            let modinfo = section.data().map_err(|error| error.to_string())?;
            for field in modinfo.split(|&byte| byte == 0) {
                let field = String::from_utf8_lossy(field);
                if let Some(names) = field.strip_prefix("depends=") {
                    depends = names
                        .split(',')
                        .filter(|name| !name.is_empty())
                        .map(name)
                        .collect();
                } else if let Some(words) = field.strip_prefix("softdep=") {
                    // `pre: a b post: c`; what comes after is no matter of ours.
                    let before = words.strip_prefix("pre:").unwrap_or_default();
                    let before = before.split("post:").next().unwrap_or_default();
                    soft.extend(before.split_ascii_whitespace().map(name));
                } else if let Some(alias) = field.strip_prefix("alias=") {
                    if !alias.contains(['*', '?', '[', '\t', '\n']) {
                        aliases.push(name(alias));
                    }
                } else if let Some(magic) = field.strip_prefix("vermagic=") {
                    release = magic.split(' ').next().map(str::to_owned);
                }
            }
        }
        Ok(Self {
            bytes,
            depends,
            soft,
            aliases,
            release,
        })
    }
}

/// A module's name by its file name, e.g. `virtio_pci` for `kernel/drivers/virtio/virtio_pci.ko.xz`;
/// `None` where the file is not a module.
pub(crate) fn name_of(path: &str) -> Option<String> {
    split(path).map(|(stem, _)| name(stem))
}

/// Files and the kernel disagree on `-` and `_`; the kernel's word is `_`.
fn name(stem: &str) -> String {
    stem.replace('-', "_")
}

/// The stem of a module's file name and the ending of its compression.
fn split(path: &str) -> Option<(&str, &str)> {
    let file = path.rsplit('/').next()?;
    let (stem, compression) = file.rsplit_once(".ko")?;
    (!stem.is_empty() && matches!(compression, "" | ".xz" | ".zst" | ".gz"))
        .then_some((stem, compression))
}

/// The names in `modules.builtin`.
pub(crate) fn builtin(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(name_of).collect()
}

/// What must be loaded for `root`, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// These, first to last; empty where all of it is built in.
    Load(Vec<String>),
    /// Not before these modules have been read, which are in the kernel's packages.
    Need(BTreeSet<String>),
    /// This kernel has no such module.
    Absent,
    /// A dependency is neither a module nor built in.
    Broken(String),
}

/// The load order of `root`'s closure over the modules that were read so far.
///
/// `exists` are the names of all of the kernel's modules.
pub(crate) fn load_order(
    root: &str,
    read: &BTreeMap<String, Module>,
    builtin: &BTreeSet<String>,
    exists: &BTreeSet<String>,
) -> Order {
    if builtin.contains(root) {
        return Order::Load(Vec::new());
    }
    if !exists.contains(root) {
        return Order::Absent;
    }
    let mut walk = Closure {
        read,
        builtin,
        exists,
        order: Vec::new(),
        seen: BTreeSet::new(),
        need: BTreeSet::new(),
    };
    match walk.visit(root) {
        Err(broken) => Order::Broken(broken),
        Ok(()) if walk.need.is_empty() => Order::Load(walk.order),
        Ok(()) => Order::Need(walk.need),
    }
}

struct Closure<'a> {
    read: &'a BTreeMap<String, Module>,
    builtin: &'a BTreeSet<String>,
    exists: &'a BTreeSet<String>,
    order: Vec<String>,
    seen: BTreeSet<String>,
    need: BTreeSet<String>,
}

impl Closure<'_> {
    /// Depth first, each module behind what it depends on. A circle ends at `seen`.
    fn visit(&mut self, name: &str) -> Result<(), String> {
        if self.builtin.contains(name) || !self.seen.insert(name.to_owned()) {
            return Ok(());
        }
        let Some(module) = self.read.get(name) else {
            if !self.exists.contains(name) {
                return Err(name.to_owned());
            }
            self.need.insert(name.to_owned());
            return Ok(());
        };
        for dependency in &module.depends {
            self.visit(dependency)?;
        }
        self.order.push(name.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::testing::module;
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn read(modules: &[(&str, &str)]) -> BTreeMap<String, Module> {
        let read = |(name, depends): &(&str, &str)| {
            let path = format!("kernel/{name}.ko");
            (
                (*name).to_owned(),
                Module::read(&path, module(depends, "6.1.0")).unwrap(),
            )
        };
        modules.iter().map(read).collect()
    }

    #[test]
    fn a_module_is_read_in_every_compression() {
        let plain = module("virtio-ring,virtio", "6.1.0-1-amd64");
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&plain).unwrap();
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&plain).unwrap();
        for (path, raw) in [
            ("kernel/a/virtio-pci.ko", plain.clone()),
            ("virtio_pci.ko.xz", xz.finish().unwrap()),
            (
                "virtio_pci.ko.zst",
                zstd::encode_all(plain.as_slice(), 1).unwrap(),
            ),
            ("virtio_pci.ko.gz", gz.finish().unwrap()),
        ] {
            assert_eq!(name_of(path).unwrap(), "virtio_pci");
            let module = Module::read(path, raw).unwrap();
            assert_eq!(module.depends, ["virtio_ring", "virtio"]);
            assert_eq!(module.release.as_deref(), Some("6.1.0-1-amd64"));
            assert_eq!(module.bytes, plain);
        }
        assert_eq!(name_of("modules.builtin"), None);
        assert_eq!(name_of("a.ko.debug"), None);
        assert!(
            Module::read("a.ko.xz", plain.clone())
                .unwrap_err()
                .starts_with("it is damaged")
        );
        assert!(Module::read("a.ko", plain[..70].to_vec()).is_err());
    }

    #[test]
    fn dependencies_come_first_and_what_is_built_in_is_left_out() {
        let modules = read(&[("a", "b,c"), ("b", "d,builtin"), ("c", "d"), ("d", "")]);
        let exists = modules.keys().cloned().collect();
        let order = |root| load_order(root, &modules, &set(&["builtin"]), &exists);
        let load = |names: &[&str]| Order::Load(names.iter().map(|&n| n.to_owned()).collect());
        assert_eq!(order("a"), load(&["d", "b", "c", "a"]));
        assert_eq!(order("builtin"), load(&[]));
        assert_eq!(order("nosuch"), Order::Absent);
    }

    #[test]
    fn what_was_not_read_is_asked_for_and_what_is_nowhere_is_named() {
        let modules = read(&[("a", "b,c")]);
        let order = |exists| load_order("a", &modules, &set(&[]), &set(exists));
        assert_eq!(order(&["a", "b", "c"]), Order::Need(set(&["b", "c"])));
        assert_eq!(order(&["a", "b"]), Order::Broken("c".into()));
    }

    #[test]
    fn a_circle_ends() {
        let modules = read(&[("a", "b"), ("b", "a")]);
        let exists = modules.keys().cloned().collect();
        let order = load_order("a", &modules, &set(&[]), &exists);
        assert_eq!(order, Order::Load(vec!["b".into(), "a".into()]));
    }

    #[test]
    fn soft_dependencies_and_aliases_are_read() {
        let fields = "\0softdep=pre: crypto-crc32c other post: later\0softdep=post: later\0\
                      alias=crc32c\0alias=pci:v0000*";
        let module = Module::read("a.ko", module(fields, "6.1.0")).unwrap();
        assert_eq!(module.soft, ["crypto_crc32c", "other"]);
        assert_eq!(module.aliases, ["crc32c"]);
        assert!(module.depends.is_empty());
    }

    #[test]
    fn builtin_names_are_read() {
        let text = "kernel/drivers/virtio/virtio-ring.ko\nkernel/net/vsock.ko\n";
        assert_eq!(builtin(text), set(&["virtio_ring", "vsock"]));
    }
}
