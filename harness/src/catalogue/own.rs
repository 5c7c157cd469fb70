//! User kernels: an image and, if there are any, directories with its modules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;

use super::bootfiles::{self, Found};
use super::digest::Hasher;
use super::error::Error;
use super::image;
use super::module::{self, Module};
use super::pack;
use super::package::MAX_FILE;
use super::store::{self, Contents};
use crate::input_file;

/// How deep module directories are searched: `kernel/drivers/net/ethernet/mellanox/mlx5/core/…`.
const MAX_DEPTH: usize = 12;

/// What was read of the user's kernel.
#[derive(Debug)]
pub(crate) struct OwnKernel {
    /// The store key: a digest of all that was read.
    pub(crate) key: String,
    contents: Contents,
    pub(crate) warnings: Vec<String>,
    /// The files of its modules, by name.
    modules: BTreeMap<String, PathBuf>,
}

impl OwnKernel {
    /// What its store entry is filled with. Reads all of its modules, which takes a while.
    pub(crate) fn into_contents(mut self) -> Result<Contents, Error> {
        let mut writer = pack::Writer::default();
        for (name, path) in &self.modules {
            let refuse = |reason| Error::Module {
                path: path.clone(),
                reason,
            };
            let module = Module::read(&path.to_string_lossy(), read_file(path)?).map_err(refuse)?;
            // What was built for another kernel cannot be loaded into this one.
            if module
                .release
                .as_ref()
                .is_none_or(|r| *r == self.contents.release)
            {
                writer
                    .add(name, &module)
                    .map_err(|error| refuse(error.to_string()))?;
            }
        }
        if let Some(pack) = writer.finish() {
            self.contents.files.insert(store::MODULES, pack);
        }
        Ok(self.contents)
    }
}

/// Reads a kernel and the modules that ukci needs of it.
pub(crate) fn read(image: &Path, modules: &[PathBuf], arch: Arch) -> Result<OwnKernel, Error> {
    let bytes = read_file(image)?;
    let image_file = image::bootable(bytes, arch).map_err(|reason| Error::Image {
        path: image.to_owned(),
        reason,
    })?;
    let release = image_file.release.clone();

    let mut files = BTreeMap::new();
    let mut trees = Vec::new();
    for dir in modules {
        let tree = tree(dir, &release)?;
        collect(&tree, MAX_DEPTH, &mut files)?;
        trees.push(tree);
    }
    let mut found = Found {
        exists: files.keys().cloned().collect(),
        ..Found::default()
    };
    for tree in &trees {
        let list = tree.join("modules.builtin");
        if list.is_file() {
            let text = read_file(&list)?;
            found
                .builtin
                .extend(module::builtin(&String::from_utf8_lossy(&text)));
        }
    }
    found.complete(&release, modules, &mut |name| {
        let path = &files[name];
        let refuse = |reason| Error::Module {
            path: path.clone(),
            reason,
        };
        let module = Module::read(&path.to_string_lossy(), read_file(path)?).map_err(refuse)?;
        match &module.release {
            Some(other) if *other != release => Err(refuse(format!(
                "it was built for {other}, the kernel is {release}"
            ))),
            _ => Ok(module),
        }
    })?;
    let mut warnings = Vec::new();
    found.config = config(image, &release, &trees)?.or_else(|| image::config(&image_file.bytes));
    if found.config.is_none() {
        warnings.push(format!(
            "no `config-{release}` beside `{}`: programs with `__kconfig` externs will not load",
            image.display()
        ));
    }

    let mut key = Hasher::default();
    key.field(bootfiles::RECIPE);
    key.field(b"own");
    key.field(arch.name().as_bytes());
    key.field(&image_file.bytes);
    key.field(found.config.as_deref().unwrap_or_default());
    for (name, module) in &found.modules {
        key.field(name.as_bytes());
        key.field(&module.bytes);
    }
    // Whether something is built in or absent decides what is loaded, too.
    for (name, path) in &files {
        key.field(name.as_bytes());
        key.field(version(path)?.as_bytes());
    }
    let contents = found.contents(image_file, arch, BTreeMap::new());
    for (transport, order) in &contents.transports {
        key.field(transport.as_bytes());
        key.field(format!("{order:?}").as_bytes());
    }
    Ok(OwnKernel {
        key: key.finish(),
        contents,
        warnings,
        modules: files,
    })
}

/// The directory with the modules of `release` in or below `dir`: `lib/modules/<release>` of an
/// installed tree, or `dir` itself where
/// it is one, a build tree, or has modules in it.
fn tree(dir: &Path, release: &str) -> Result<PathBuf, Error> {
    let mut found = Vec::new();
    for root in ["lib/modules", "usr/lib/modules", "."] {
        let root = dir.join(root);
        let tree = root.join(release);
        if tree.is_dir() {
            return Ok(tree);
        }
        if root.ends_with("modules") && root.is_dir() {
            for entry in fs::read_dir(&root).map_err(Error::on("read", &root))? {
                let entry = entry.map_err(Error::on("read", &root))?;
                found.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    // A missing directory is an error of its own.
    for entry in fs::read_dir(dir).map_err(Error::on("read", dir))? {
        let name = entry.map_err(Error::on("read", dir))?.file_name();
        let name = name.to_string_lossy();
        if name == "modules.builtin" || name == "modules.order" || module::name_of(&name).is_some()
        {
            return Ok(dir.to_owned());
        }
    }
    found.sort();
    Err(Error::NoModules {
        dir: dir.to_owned(),
        release: release.to_owned(),
        found,
    })
}

/// The modules below `dir` by name. Symbolic links are not followed: `build` and `source` lead to
/// whole source trees.
fn collect(dir: &Path, depth: usize, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Error> {
    for entry in fs::read_dir(dir).map_err(Error::on("read", dir))? {
        let entry = entry.map_err(Error::on("read", dir))?;
        let kind = entry.file_type().map_err(Error::on("read", dir))?;
        if kind.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, files)?;
        } else if kind.is_file()
            && let Some(name) = module::name_of(&entry.file_name().to_string_lossy())
        {
            files.insert(name, entry.path());
        }
    }
    Ok(())
}

/// The kernel's configuration: beside the image as distributions install it, in the module tree,
/// or in the build tree that the image lies in (`arch/x86/boot/bzImage`).
fn config(image: &Path, release: &str, trees: &[PathBuf]) -> Result<Option<Vec<u8>>, Error> {
    let beside = image.parent().unwrap_or(Path::new("."));
    let mut places = vec![
        beside.join(format!("config-{release}")),
        beside.join(".config"),
    ];
    if beside.ends_with("boot") {
        places.push(beside.join("../../../.config"));
    }
    for tree in trees {
        places.extend([tree.join("config"), tree.join(".config")]);
    }
    places
        .iter()
        .find(|path| path.is_file())
        .map(|path| read_file(path))
        .transpose()
}

/// What changes when a file is built anew: reading thousands of modules on every run is too slow.
fn version(path: &Path) -> Result<String, Error> {
    let found = fs::metadata(path).map_err(Error::on("read", path))?;
    Ok(format!("{} {:?}", found.len(), found.modified().ok()))
}

pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Error> {
    input_file::read(path, MAX_FILE).map_err(|refused| Error::on("read", path)(refused.into()))
}
