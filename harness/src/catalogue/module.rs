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
        {
            let elf = object::File::parse(bytes.as_slice())
                .map_err(|error| format!("it is not an ELF file: {error}"))?;
            let section = elf.section_by_name(".modinfo").ok_or("it has no `.modinfo`")?;
            let modinfo = section.data().map_err(|error| error.to_string())?;
            for field in modinfo.split(|&byte| byte == 0) {
                let field = String::from_utf8_lossy(field);
                if let Some(names) = field.strip_prefix("depends=") {
                    depends = names.split(',').filter(|name| !name.is_empty()).map(name).collect();
                } else if let Some(magic) = field.strip_prefix("vermagic=") {
                    release = magic.split(' ').next().map(str::to_owned);
                }
            }
        }
        Ok(Self { bytes, depends, release })
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
    let mut walk =
        Closure { read, builtin, exists, order: Vec::new(), seen: BTreeSet::new(), need: BTreeSet::new() };
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
