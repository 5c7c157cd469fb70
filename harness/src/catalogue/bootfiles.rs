//! Builds the files of a store entry: the bootable image, and the kernel's segment of the initramfs
//! with the modules of each transport and the kernel's configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;

use super::error::Error;
use super::image::{self, Image};
use super::layout::{ImageForm, Place, place};
use super::module::{self, Module, Order};
use super::pack;
use super::package;
use super::store;
use crate::cpio::Archive;
use crate::transport::{VIRTIO_SERIAL_DRIVER, VSOCK_DRIVER};

/// Goes into every store key: raised when the same packages would give other boot files.
pub(crate) const RECIPE: &[u8] = b"ukci.bootfiles/3";

/// The transports, each with the modules at its end and the configuration option of each. The
/// agent loads every file of `/lib/ukci/<transport>` in the order of the names.
const TRANSPORTS: [(&str, &[(&str, &str)]); 2] = [
    (
        VIRTIO_SERIAL_DRIVER,
        &[
            ("virtio_pci", "CONFIG_VIRTIO_PCI"),
            ("virtio_console", "CONFIG_VIRTIO_CONSOLE"),
        ],
    ),
    (
        VSOCK_DRIVER,
        &[
            ("virtio_pci", "CONFIG_VIRTIO_PCI"),
            ("vmw_vsock_virtio_transport", "CONFIG_VIRTIO_VSOCKETS"),
        ],
    ),
];

/// Shortest `System.map` that is one: Debian ships a one-line stub that names the debug package.
const REAL_SYSTEM_MAP: usize = 4096;

/// What was found of a kernel.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The best image so far: its form, where it came from, and its bytes.
    pub(crate) image: Option<(ImageForm, PathBuf, Vec<u8>)>,
    pub(crate) config: Option<Vec<u8>>,
    pub(crate) system_map: Option<Vec<u8>>,
    /// Names of the modules that are built in.
    pub(crate) builtin: BTreeSet<String>,
    /// Names of all of its modules.
    pub(crate) exists: BTreeSet<String>,
    /// The modules that were read.
    pub(crate) modules: BTreeMap<String, Module>,
    /// All of its modules.
    pub(crate) pack: pack::Writer,
}

/// Reads the boot files of `release` out of its packages.
pub(crate) fn unpack(packages: &[PathBuf], release: &str) -> Result<Found, Error> {
    let mut found = Found::default();
    // The closure is known only when all of it has been read, and unpacking a package costs
    // seconds: the first walk takes what is likely to be in it.
    let likely = |name: &str| name.contains("virtio") || name.contains("vsock");
    for package in packages {
        read_package(package, release, &likely, &mut found)?;
    }
    loop {
        let need = found.need(release, packages)?;
        if need.is_empty() {
            return Ok(found);
        }
        for package in packages {
            read_package(package, release, &|name| need.contains(name), &mut found)?;
        }
    }
}

fn read_package(
    package: &Path,
    release: &str,
    wanted: &dyn Fn(&str) -> bool,
    found: &mut Found,
) -> Result<(), Error> {
    package::walk(package, &mut |path, size, from| {
        let mut read = || package::read_file(package, path, size, from);
        match place(path, release) {
            Some(Place::Image(form))
                if found.image.as_ref().is_none_or(|(best, ..)| form < *best) =>
            {
                found.image = Some((form, package.to_owned(), read()?));
            }
            Some(Place::Config) => found.config = Some(read()?),
            Some(Place::SystemMap) => found.system_map = Some(read()?),
            Some(Place::Builtin) => {
                found.builtin = module::builtin(&String::from_utf8_lossy(&read()?));
            }
            Some(Place::Module(name)) => {
                let new = found.exists.insert(name.clone());
                let wanted = wanted(&name) && !found.modules.contains_key(&name);
                if new || wanted {
                    let refuse = |reason| Error::Module {
                        path: package.join(path),
                        reason,
                    };
                    let module = Module::read(path, read()?).map_err(refuse)?;
                    if new {
                        (found.pack.add(&name, &module))
                            .map_err(|error| refuse(error.to_string()))?;
                    }
                    if wanted {
                        found.modules.insert(name, module);
                    }
                }
            }
            Some(Place::Image(_)) | None => {}
        }
        Ok(())
    })
}

impl Found {
    /// The modules that must be read before the transports' load orders are known.
    fn need(&self, release: &str, within: &[PathBuf]) -> Result<BTreeSet<String>, Error> {
        let mut need = BTreeSet::new();
        for (_, ends) in TRANSPORTS {
            for &(root, _) in ends {
                match self.load_order(root) {
                    Order::Need(more) => need.extend(more),
                    Order::Broken(name) => {
                        return Err(Error::Missing {
                            release: release.to_owned(),
                            what: format!("module `{name}`, which `{root}` needs,"),
                            within: within.to_vec(),
                        });
                    }
                    Order::Load(_) | Order::Absent => {}
                }
            }
        }
        Ok(need)
    }

    /// Reads what the transports need by `read`, until nothing is missing.
    pub(crate) fn complete(
        &mut self,
        release: &str,
        within: &[PathBuf],
        read: &mut dyn FnMut(&str) -> Result<Module, Error>,
    ) -> Result<(), Error> {
        loop {
            let need = self.need(release, within)?;
            if need.is_empty() {
                return Ok(());
            }
            for name in need {
                let module = read(&name)?;
                self.modules.insert(name, module);
            }
        }
    }

    fn load_order(&self, root: &str) -> Order {
        module::load_order(root, &self.modules, &self.builtin, &self.exists)
    }

    /// What to load for a transport, in order; `None` where the kernel has not got it.
    fn transport(&self, ends: &[(&str, &str)]) -> Option<Vec<String>> {
        let mut order: Vec<String> = Vec::new();
        for &(root, option) in ends {
            match self.load_order(root) {
                Order::Load(names) => {
                    let new: Vec<_> = names.into_iter().filter(|n| !order.contains(n)).collect();
                    order.extend(new);
                }
                // Without `modules.builtin` the configuration knows.
                Order::Absent if self.is_built_in(option) => {}
                Order::Absent | Order::Need(_) | Order::Broken(_) => return None,
            }
        }
        Some(order)
    }

    fn is_built_in(&self, option: &str) -> bool {
        let config = String::from_utf8_lossy(self.config.as_deref().unwrap_or_default());
        config
            .lines()
            .any(|line| line.strip_prefix(option) == Some("=y"))
    }

    /// The contents of the store's entry, made of the unpacked image and the rest.
    pub(crate) fn contents(
        mut self,
        image: Image,
        arch: Arch,
        packages: BTreeMap<String, store::StoredPackage>,
    ) -> store::Contents {
        let transports: BTreeMap<String, Option<Vec<String>>> = TRANSPORTS
            .iter()
            .map(|&(transport, ends)| (transport.to_owned(), self.transport(ends)))
            .collect();
        let segment = self.segment(&image.release, &transports);
        let mut files = BTreeMap::from([(store::IMAGE, image.bytes), (store::SEGMENT, segment)]);
        if let Some(config) = self.config.take() {
            files.insert(store::CONFIG, config);
        }
        if let Some(pack) = self.pack.finish() {
            files.insert(store::MODULES, pack);
        }
        if let Some(map) = self
            .system_map
            .take()
            .filter(|map| map.len() >= REAL_SYSTEM_MAP)
        {
            files.insert("System.map", map);
        }
        store::Contents {
            release: image.release,
            arch,
            files,
            transports,
            packages,
        }
    }

    /// The kernel's part of the initramfs.
    fn segment(
        &self,
        release: &str,
        transports: &BTreeMap<String, Option<Vec<String>>>,
    ) -> Vec<u8> {
        let mut archive = Archive::default();
        for (transport, order) in transports {
            let dir = format!("lib/ukci/{transport}");
            archive.directory(&dir);
            for (number, name) in order.iter().flatten().enumerate() {
                let bytes = self.modules[name].bytes.clone();
                archive.file(&format!("{dir}/{number:02}-{name}.ko"), bytes, false);
            }
        }
        archive.directory("boot");
        if let Some(config) = &self.config {
            archive.file(&format!("boot/config-{release}"), config.clone(), false);
        }
        archive.finish()
    }
}

/// Makes the image bootable and checks that it is the kernel it should be.
pub(crate) fn image(
    found: &mut Found,
    arch: Arch,
    release: &str,
    within: &[PathBuf],
) -> Result<Image, Error> {
    let Some((_, path, bytes)) = found.image.take() else {
        return Err(Error::Missing {
            release: release.to_owned(),
            what: "kernel image".to_owned(),
            within: within.to_vec(),
        });
    };
    let refuse = |reason| Error::Image {
        path: path.clone(),
        reason,
    };
    let image = image::bootable(bytes, arch).map_err(refuse)?;
    if image.release == release {
        found.config = found.config.take().or_else(|| image::config(&image.bytes));
        Ok(image)
    } else {
        Err(refuse(format!("it is {}, not {release}", image.release)))
    }
}
