//! Makes the guest look to a command as a booted distribution does: the remaining file systems, the
//! links in `/dev`, the loopback device, and the few files in `/etc` that C libraries read.
//!
//! Each step is done as far as the kernel permits it, and none replaces a file that the command
//! brought.

use std::ffi::CStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use rustix::mount::{MountFlags, mount};
use ukci_guest::userland;
use ukci_schema::command::Command;

use crate::network;

/// Source, target, type and options.
type Mount = (
    &'static str,
    &'static str,
    &'static str,
    Option<&'static CStr>,
);

const OF_KERNEL: &[Mount] = &[
    ("debugfs", "/sys/kernel/debug", "debugfs", None),
    ("configfs", "/sys/kernel/config", "configfs", None),
];

const BELOW_DEV: &[Mount] = &[
    (
        "devpts",
        "/dev/pts",
        "devpts",
        Some(c"gid=5,mode=620,ptmxmode=666"),
    ),
    ("tmpfs", "/dev/shm", "tmpfs", Some(c"mode=1777")),
    ("mqueue", "/dev/mqueue", "mqueue", None),
    ("hugetlbfs", "/dev/hugepages", "hugetlbfs", None),
];

const LINKS: &[(&str, &str)] = &[("/proc/self/mounts", "/etc/mtab"), ("/run", "/var/run")];

const DIRS: &[&str] = &["/root", "/etc", "/var/tmp", "/home", "/mnt", "/run/lock"];

const FILES: &[(&str, &str)] = &[
    (
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n",
    ),
    ("/etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("/etc/hosts", "127.0.0.1 localhost ukci\n::1 localhost\n"),
    (
        "/etc/nsswitch.conf",
        "passwd: files\ngroup: files\nhosts: files dns\n",
    ),
    ("/etc/shells", "/bin/sh\n"),
];

/// What there is before the command's own files.
pub(super) fn make() {
    mounts(OF_KERNEL);
    below_dev();
    for dir in DIRS {
        let _ = fs::create_dir_all(dir);
    }
    for (target, link) in LINKS {
        let _ = symlink(target, link);
    }
    userland::link_devices();
    for dir in ["/tmp", "/var/tmp"] {
        let _ = fs::set_permissions(dir, Permissions::from_mode(0o1777));
    }
    let _ = rustix::system::sethostname(b"ukci");
    network::loopback_up();
}

/// Mounts what programs expect below `/dev`: terminals, shared memory and the like.
pub(crate) fn below_dev() {
    mounts(BELOW_DEV);
}

fn mounts(mounts: &[Mount]) {
    for (source, target, kind, options) in mounts {
        let _ = fs::create_dir_all(target);
        let _ = mount(*source, *target, *kind, MountFlags::empty(), *options);
    }
}

/// Lets every user pass through the directories above this one, such as the home of `root`.
fn for_all_to_pass(dir: &Path) {
    for above in dir.ancestors().skip(1) {
        if let Ok(found) = fs::metadata(above) {
            let mode = found.permissions().mode() & 0o7777;
            if mode & 0o111 != 0o111 {
                let _ = fs::set_permissions(above, Permissions::from_mode(mode | 0o111));
            }
        }
    }
}

/// What is made around the command's own files.
pub(super) fn complete(command: &Command) -> Result<(), String> {
    for (path, text) in FILES {
        if !Path::new(path).exists() {
            let _ = fs::write(path, text);
        }
    }
    if command.user.is_some_and(|user| user.uid != 0) {
        for_all_to_pass(Path::new(&command.workdir));
    }
    for dir in [&command.workdir, &command.out] {
        if Path::new(dir).is_dir() {
            continue;
        }
        fs::create_dir_all(dir).map_err(|error| format!("create {dir}: {error}"))?;
        if let Some(user) = command.user {
            chown(dir, Some(user.uid), Some(user.gid))
                .map_err(|error| format!("give {dir} to user {}: {error}", user.uid))?;
        }
    }
    // A busybox of another root file system has the names that its owner gave it.
    if command.root.is_none() && !command.host_root {
        userland::install_shell();
    }
    Ok(())
}
