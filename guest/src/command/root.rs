//! Enters the root file system that a command brings, or that of the host.
//!
//! The one is the image on a read-only disk, the other a directory that the host shares read-only. A file
//! system in memory lies over it, so that the command can write
//! wherever it likes, and what the agent has mounted moves along. From then on, every path is one of
//! the new root, as after the initramfs of a distribution.

use std::ffi::CString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_bind, mount_move};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use ukci_guest::modules;
use ukci_schema::evidence::Module;
use ukci_schema::userland::host_root;
use ukci_schema::userland::root_image::{DRIVER, MODULES, OVERLAY, SERIAL, TYPE};

/// How long the driver may take to find the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the image, the file system in memory and what they make together are mounted.
const IMAGE: &str = "/.ukci/image";
const MEMORY: &str = "/.ukci/memory";
const ROOT: &str = "/.ukci/root";

/// What moves to the new root.
const MOVED: &[&str] = &["dev", "proc", "run", "sys"];

/// Makes the image the root of this process and of all that it starts. Returns the modules that were
/// loaded.
pub(crate) fn enter() -> Result<Vec<Module>, String> {
    enter_kind(&MODULES, |lacks| {
        let disk = disk()
            .ok_or_else(|| lacks("driver for the disk of the root file system", "VIRTIO_BLK"))?;
        mount(&disk, IMAGE, TYPE, MountFlags::RDONLY, None).map_err(|error| {
            format!(
                "mount the root file system: {error}: {}",
                lacks(TYPE, "SQUASHFS")
            )
        })
    })
}

/// The same with the root file system of the host.
pub(crate) fn enter_hosts() -> Result<Vec<Module>, String> {
    enter_kind(&host_root::MODULES, |lacks| {
        let flags = MountFlags::RDONLY | MountFlags::NODEV;
        // The driver finds the device some time after it was loaded.
        let mounted = modules::found_by(host_root::DRIVER, PATIENCE, || {
            let mounted = mount(host_root::TAG, IMAGE, host_root::DRIVER, flags, None);
            match mounted {
                Err(Errno::INVAL | Errno::NODEV) => None,
                done => Some(done),
            }
        });
        let mounted = mounted.ok_or_else(|| {
            lacks(
                "driver for the files of the host; use `--rootfs` with this kernel",
                "VIRTIO_FS",
            )
        })?;
        mounted.map_err(|error| format!("mount the files of the host: {error}"))?;
        // Without an overlay, nothing lies over it, and it is read as it is.
        let _ = without_noatime();
        Ok(())
    })
}

/// Mounts an overlay that only reads over the files of the host.
///
/// The overlay over it opens every file with `O_NOATIME`, which the host permits only to the owner of a
/// file, and virtiofsd is the owner of few. Overlayfs leaves the flag out if whoever mounted it may not
/// use it either, which is somebody without `CAP_FOWNER`. The overlay that is written to cannot do without
/// that, so there are two.
fn without_noatime() -> io::Result<()> {
    let empty = "/.ukci/empty";
    fs::create_dir_all(empty)?;
    let options = CString::new(format!("lowerdir={IMAGE}:{empty}"))?;
    let held = capabilities(None)?;
    let mut fewer = held;
    fewer.effective.remove(CapabilitySet::FOWNER);
    set_capabilities(None, fewer)?;
    let mounted = mount(
        OVERLAY,
        IMAGE,
        OVERLAY,
        MountFlags::RDONLY,
        Some(options.as_c_str()),
    );
    set_capabilities(None, held)?;
    Ok(mounted?)
}

/// Loads modules, mounts with `mounting` what is read, and makes it the root. `mounting` is handed what
/// words a driver that the kernel lacks.
fn enter_kind(
    names: &[&str],
    mounting: impl Fn(&dyn Fn(&str, &str) -> String) -> Result<(), String>,
) -> Result<Vec<Module>, String> {
    let loaded: Vec<Module> = names.iter().copied().flat_map(modules::load).collect();
    let lacks = |what: &str, option: &str| {
        let errors = loaded.iter().filter_map(|module| {
            let error = module.error.as_deref()?;
            Some(format!("{}: {error}", module.name))
        });
        let errors: Vec<String> = errors.collect();
        format!(
            "the kernel has no {what} (CONFIG_{option}); {}",
            errors.join("; ")
        )
    };
    for dir in [IMAGE, MEMORY, ROOT] {
        fs::create_dir_all(dir).map_err(|error| format!("create {dir}: {error}"))?;
    }
    mounting(&lacks)?;
    let writable = over();
    if writable.is_err() {
        mount_bind(IMAGE, ROOT).map_err(|error| format!("mount the root file system: {error}"))?;
    }
    move_in(writable.is_ok()).map_err(|error| format!("enter the root file system: {error}"))?;
    Ok(loaded)
}

/// The device of the disk with the image.
fn disk() -> Option<PathBuf> {
    modules::found_by(DRIVER, PATIENCE, || {
        let mut blocks = fs::read_dir("/sys/block").ok()?.flatten();
        let block = blocks.find(|block| {
            let serial = fs::read_to_string(block.path().join("serial")).unwrap_or_default();
            serial.trim_end_matches(['\0', '\n']) == SERIAL
        })?;
        Some(Path::new("/dev").join(block.file_name()))
    })
}

/// Mounts a file system in memory over the image.
fn over() -> io::Result<()> {
    mount(
        "tmpfs",
        MEMORY,
        "tmpfs",
        MountFlags::empty(),
        Some(c"mode=755"),
    )?;
    let (upper, work) = (format!("{MEMORY}/upper"), format!("{MEMORY}/work"));
    fs::create_dir(&upper)?;
    fs::create_dir(&work)?;
    let options = format!("lowerdir={IMAGE},upperdir={upper},workdir={work}");
    let options = CString::new(options)?;
    mount(
        OVERLAY,
        ROOT,
        OVERLAY,
        MountFlags::empty(),
        Some(options.as_c_str()),
    )?;
    Ok(())
}

/// Moves what is mounted into the new root, and the new root to `/`.
fn move_in(is_writable: bool) -> io::Result<()> {
    let kept = (!is_writable).then_some("tmp");
    for name in MOVED.iter().copied().chain(kept) {
        let to = format!("{ROOT}/{name}");
        // A link would lead out of the new root, because it is not entered yet.
        if fs::symlink_metadata(&to).is_ok_and(|there| !there.is_dir()) {
            fs::remove_file(&to)?;
        }
        if is_writable {
            fs::create_dir_all(&to)?;
        }
        mount_move(format!("/{name}"), &to).map_err(|error| {
            io::Error::new(io::Error::from(error).kind(), format!("/{name}: {error}"))
        })?;
    }
    std::env::set_current_dir(ROOT)?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    std::env::set_current_dir("/")
}
