//! What every command in a guest finds besides the files that it brings: the links in `/dev`, and a
//! shell with its applets.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use ukci_schema::command::BUSYBOX;

const LINKS: &[(&str, &str)] = &[
    ("/proc/self/fd", "/dev/fd"),
    ("/proc/self/fd/0", "/dev/stdin"),
    ("/proc/self/fd/1", "/dev/stdout"),
    ("/proc/self/fd/2", "/dev/stderr"),
];

/// Makes the links in `/dev`. The kernel may have made one, or a file that was sent.
pub fn link_devices() {
    for (target, link) in LINKS {
        let _ = symlink(target, link);
    }
}

/// Gives the applets of busybox their names in `/bin`, and says whether the guest was sent one. It
/// leaves the names that are taken alone.
pub fn install_shell() -> bool {
    if !Path::new(BUSYBOX).exists() {
        return false;
    }
    let mut install = Command::new(BUSYBOX);
    install
        .args(["--install", "-s", "/bin"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _ = install.status();
    let _ = fs::create_dir_all("/usr/bin");
    let _ = symlink(BUSYBOX, "/usr/bin/env");
    true
}

/// The state and the parent in a line of `/proc/PID/stat`.
pub fn state_and_parent(stat: &str) -> Option<(&str, &str)> {
    // The name before them may have spaces and parentheses of its own.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split_ascii_whitespace();
    Some((fields.next()?, fields.next()?))
}
