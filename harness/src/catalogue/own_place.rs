//! What the path of a user kernel leads to: an image, a build tree, or packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ukci_schema::cell::Arch;

use super::error::Error;
use super::image::raw;
use super::{own, own_packages};

/// Where a build leaves its image, below the build tree.
const IMAGES: [&str; 4] = [
    "arch/x86/boot/bzImage",
    "arch/arm64/boot/Image",
    "arch/riscv/boot/Image",
    "vmlinux",
];

/// How the names of packages end.
pub(super) const PACKAGES: [&str; 4] = [".deb", ".rpm", ".pkg.tar.zst", ".apk"];

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OwnPlace {
    /// An image, and the directories with its modules.
    Image {
        image: PathBuf,
        modules: Vec<PathBuf>,
    },
    /// The packages of one kernel.
    Packages(Vec<PathBuf>),
}

impl OwnPlace {
    /// What is at `path`, with what was given as its modules.
    pub(super) fn find(path: &Path, modules: &[PathBuf]) -> Result<Self, Error> {
        let given = || modules.iter().filter(|path| is_package(path)).cloned();
        if is_package(path) {
            return Ok(Self::Packages(
                [path.to_owned()].into_iter().chain(given()).collect(),
            ));
        }
        if !path.is_dir() {
            return Ok(Self::Image {
                image: path.to_owned(),
                modules: modules.to_vec(),
            });
        }
        if let Some(image) = built_in(path) {
            // A tree whose modules were built lists them.
            let has_modules = modules.is_empty() && path.join("modules.order").is_file();
            return Ok(Self::Image {
                image,
                modules: if has_modules {
                    vec![path.to_owned()]
                } else {
                    modules.to_vec()
                },
            });
        }
        let entries = fs::read_dir(path).map_err(Error::on("read", path))?;
        let mut packages: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        packages.retain(|path| is_package(path));
        packages.sort();
        if packages.is_empty() {
            return Err(Error::NoKernel {
                dir: path.to_owned(),
            });
        }
        packages.extend(given());
        Ok(Self::Packages(packages))
    }

    /// The architecture that it is made for.
    pub(super) fn arch(&self) -> Result<Arch, Error> {
        match self {
            Self::Image { image, .. } => arch_of(image, &own::read_file(image)?),
            Self::Packages(packages) => {
                let (package, image) = own_packages::image(packages)?;
                arch_of(&package, &image)
            }
        }
    }
}

fn arch_of(path: &Path, bytes: &[u8]) -> Result<Arch, Error> {
    raw::arch_of(bytes).ok_or_else(|| Error::Image {
        path: path.to_owned(),
        reason: "it is neither a `bzImage`, a `vmlinux` nor an `Image`".to_owned(),
    })
}

fn is_package(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.is_file() && PACKAGES.iter().any(|ending| name.ends_with(ending))
}

/// The image that was built last in a build tree: one tree may have been used for several
/// architectures.
fn built_in(tree: &Path) -> Option<PathBuf> {
    let images = IMAGES.iter().map(|image| tree.join(image));
    let built = images.filter_map(|image| {
        let time = fs::metadata(&image).ok()?.modified().ok()?;
        Some((image, time))
    });
    // `vmlinux` is the step before `bzImage` and `Image`, and older.
    let built: Vec<(PathBuf, SystemTime)> = built.collect();
    let newest = built.into_iter().max_by_key(|(_, time)| *time);
    newest.map(|(image, _)| image)
}

#[cfg(test)]
mod tests {
    use super::super::package::tests::deb;
    use super::super::testing::{bz_image, vmlinux};
    use super::*;

    const RELEASE: &str = "6.1.0-1-amd64";

    fn write(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_build_tree_is_its_newest_image() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path();
        let error = OwnPlace::find(tree, &[]).unwrap_err();
        assert!(matches!(error, Error::NoKernel { .. }), "{error}");
        assert!(error.hint().is_some());
        let bz = tree.join("arch/x86/boot/bzImage");
        write(&tree.join("vmlinux"), b"");
        write(&bz, &bz_image(RELEASE, &vmlinux(RELEASE, true)));
        let older = SystemTime::now() - std::time::Duration::from_mins(1);
        fs::File::open(tree.join("vmlinux"))
            .unwrap()
            .set_modified(older)
            .unwrap();
        let place = OwnPlace::find(tree, &[]).unwrap();
        assert_eq!(place.arch().unwrap(), Arch::X86_64);
        assert_eq!(
            place,
            OwnPlace::Image {
                image: bz.clone(),
                modules: Vec::new()
            }
        );
        // Its modules, once they were built.
        write(&tree.join("modules.order"), b"");
        let modules = vec![tree.to_owned()];
        assert_eq!(
            OwnPlace::find(tree, &[]).unwrap(),
            OwnPlace::Image { image: bz, modules }
        );
    }

    #[test]
    fn packages_are_told_by_their_names_and_belong_together() {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("linux-image.deb");
        let vmlinuz = bz_image(RELEASE, &vmlinux(RELEASE, true));
        write(
            &image,
            &deb(&[(&format!("boot/vmlinuz-{RELEASE}"), &vmlinuz)], ".xz"),
        );
        let modules = dir.path().join("linux-modules.deb");
        let module = format!("./lib/modules/{RELEASE}/kernel/a.ko");
        write(&modules, &deb(&[(&module, b"")], ""));
        write(&dir.path().join("README"), b"");
        let both = OwnPlace::Packages(vec![image.clone(), modules.clone()]);
        assert_eq!(OwnPlace::find(dir.path(), &[]).unwrap(), both);
        assert_eq!(
            OwnPlace::find(&image, std::slice::from_ref(&modules)).unwrap(),
            both
        );
        assert_eq!(both.arch().unwrap(), Arch::X86_64);
        let release = own_packages::release;
        assert_eq!(release(&[image.clone(), modules]).unwrap(), RELEASE);
        // Of two kernels, nobody knows which is meant.
        let other = dir.path().join("other.deb");
        write(
            &other,
            &deb(&[("lib/modules/5.4.0/modules.builtin", b"")], ""),
        );
        let error = release(&[image, other]).unwrap_err().to_string();
        assert!(
            error.ends_with("they are of 5.4.0 and 6.1.0-1-amd64"),
            "{error}"
        );
    }
}
