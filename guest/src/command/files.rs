//! Makes the files of a command from what the host sends.
//!
//! A path that the host names is checked before it is used: it is absolute, leads nowhere but down,
//! and is none of the agent's own.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path};

use ukci_guest::channel::Arrived;
use ukci_schema::command::{Command, CommandFile, Content};

use crate::{HostChannel, lost};

/// What the kernel and the agent have there is not replaced.
const RESERVED: &[&str] = &["/dev", "/init", "/lib/ukci", "/proc", "/sys"];

/// Receives the content of every file, and makes the files.
pub(super) fn receive(channel: &mut HostChannel, command: &Command) -> Result<(), String> {
    for file in &command.files {
        check(&file.path)?;
    }
    for (sha256, size) in command.contents() {
        let mut of_it = command.files.iter().filter(|file| is_of(file, sha256));
        let Some(first) = of_it.next() else { continue };
        let path = Path::new(&first.path);
        let mut made = make(path)?;
        let mut left = size;
        while left > 0 {
            let Arrived::Bytes(bytes) = channel.receive().map_err(lost)? else {
                return Err(format!("expected `{}`, received a message", first.path));
            };
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| {
                format!("more bytes of `{}` arrived than were announced", first.path)
            })?;
            made.write_all(&bytes).map_err(|e| failed(path, &e))?;
        }
        permit(first)?;
        for other in of_it {
            let to = Path::new(&other.path);
            make(to)?;
            fs::copy(path, to).map_err(|error| failed(to, &error))?;
            permit(other)?;
        }
    }
    for file in &command.files {
        if let Content::Link { target } = &file.content {
            let path = Path::new(&file.path);
            parent(path)?;
            if fs::symlink_metadata(path).is_err() {
                symlink(target, path).map_err(|error| failed(path, &error))?;
            }
        }
    }
    Ok(())
}

fn is_of(file: &CommandFile, digest: &str) -> bool {
    matches!(&file.content, Content::Bytes { sha256, .. } if sha256 == digest)
}

fn failed(path: &Path, error: &std::io::Error) -> String {
    format!("write {}: {error}", path.display())
}

fn make(path: &Path) -> Result<File, String> {
    parent(path)?;
    File::create(path).map_err(|error| failed(path, &error))
}

fn parent(path: &Path) -> Result<(), String> {
    match path.parent() {
        Some(dir) => fs::create_dir_all(dir).map_err(|error| failed(dir, &error)),
        None => Ok(()),
    }
}

fn permit(file: &CommandFile) -> Result<(), String> {
    let Content::Bytes { mode, .. } = &file.content else {
        return Ok(());
    };
    let path = Path::new(&file.path);
    fs::set_permissions(path, Permissions::from_mode(mode & 0o777))
        .map_err(|error| failed(path, &error))
}

/// Refuses a path that is not absolute and plain, or that is the kernel's or the agent's.
fn check(path: &str) -> Result<(), String> {
    let plain = Path::new(path);
    let mut parts = plain.components();
    let rooted = parts.next() == Some(Component::RootDir);
    let down = parts.all(|part| matches!(part, Component::Normal(_)));
    if !rooted || !down || path.ends_with('/') || path.contains('\0') {
        return Err(format!("`{path}` is not an absolute path of a file"));
    }
    if RESERVED.iter().any(|reserved| plain.starts_with(reserved)) {
        return Err(format!("`{path}` cannot be replaced in the guest"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn paths_lead_down_and_spare_the_kernel_and_the_agent() {
        for path in ["/a", "/usr/lib/x.so.1", "/devel/x", "/initrd", "/tmp/..x"] {
            assert_eq!(check(path), Ok(()), "{path}");
        }
        for path in [
            "",
            "a",
            "/",
            "/a/",
            "/a/../b",
            "../a",
            "/proc/1/mem",
            "/sys",
            "/dev/x",
            "/init",
            "/lib/ukci/modules/x.ko",
            "/a\0b",
        ] {
            assert!(check(path).is_err(), "{path}");
        }
    }
}
