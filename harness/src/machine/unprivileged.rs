//! The user that a guest's processes run as where ukci runs as root: one without an account, a group
//! or a capability, and another for each guest.
//!
//! Such a user cannot follow the paths of files below root's home. So the kernel, the initramfs and
//! the console's file are opened by ukci, and QEMU gets their descriptors.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{MemfdFlags, memfd_create};

use super::device::{Flag, with_path};
use super::guard::is_script;
use super::interface::Boot;

/// The users that systemd draws for services without an account. No distribution gives them to
/// anybody, and a container's map of users has them if it has more than root.
const IDS: RangeInclusive<u32> = 61_184..=65_519;

/// `CAP_CHOWN`, `CAP_KILL`, `CAP_SETGID` and `CAP_SETUID` of `linux/capability.h`.
const NEEDED: u64 = 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7;

/// A user that nobody else is, as far as the draw goes, and the group of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    /// The number of the user and of its group.
    pub(super) id: u32,
    /// Further groups: those that may open the devices of this guest.
    pub(super) groups: Vec<u32>,
}

/// Why a guest's processes run as root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    /// ukci does not.
    IsNot,
    /// Root may not change its user: a container has taken the capability, or has no other user.
    MayNotChange,
    /// No other user can open a device that the guest needs.
    Device(&'static str),
    /// QEMU is a script in a directory that is closed to others.
    Script,
}

impl Root {
    /// The reason, in words that follow "as root, because"; none where ukci is not root.
    pub(super) fn words(self) -> Option<String> {
        match self {
            Self::IsNot => None,
            Self::MayNotChange => Some("this root may not change to another user".into()),
            Self::Device(path) => Some(format!("no other user may open `{path}`")),
            Self::Script => Some("QEMU is a script that no other user can reach".into()),
        }
    }
}

impl User {
    /// A user for a guest whose QEMU is this program and opens these devices of the host.
    pub(super) fn draw(program: &Path, devices: &[&'static str]) -> Result<Self, Root> {
        if !rustix::process::geteuid().is_root() {
            return Err(Root::IsNot);
        }
        if !may_change() {
            return Err(Root::MayNotChange);
        }
        if is_script(program) && !is_reachable(program) {
            return Err(Root::Script);
        }
        let mut groups = Vec::new();
        for device in devices {
            match openers(Path::new(device)) {
                Openers::Everybody => {}
                Openers::Group(group) => groups.push(group),
                Openers::Root => return Err(Root::Device(device)),
            }
        }
        Ok(Self {
            id: draw_id(),
            groups,
        })
    }

    /// May also open this file, if it is one of a group that was drawn.
    pub(super) fn admit_to(&mut self, file: &Path) -> io::Result<()> {
        let group = fs::metadata(file)?.gid();
        if IDS.contains(&group) {
            self.groups.push(group);
        }
        Ok(())
    }
}

/// The number of a user or group that nobody else is, as far as the draw goes.
pub(super) fn draw_id() -> u32 {
    let drawn = RandomState::new().hash_one(std::process::id());
    let width = u64::from(IDS.end() - IDS.start() + 1);
    IDS.start() + u32::try_from(drawn % width).unwrap_or(0)
}

impl Boot {
    /// The same for a guest whose processes are this user's, or ours. Another user may not reach the root
    /// file system by its path, so that the process has to get its descriptor.
    pub(super) fn handed_to(&self, user: Option<&User>) -> io::Result<(Self, Option<OwnedFd>)> {
        let mut handed = self.clone();
        let mut disk = None;
        if user.is_some() {
            (handed.userland, disk) = self.userland.by_descriptor()?;
        }
        Ok((handed, disk))
    }
}

/// A command whose process gets descriptors of files that its user may not reach by their paths.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) command: Command,
    /// They must be open, under the same numbers, in the process.
    pub(super) descriptors: Vec<OwnedFd>,
}

impl Handed {
    /// `program` with `flags` as they are, or, for another user, with descriptors in place of paths.
    pub(super) fn to(
        user: Option<&User>,
        program: &Path,
        flags: &[Flag],
        read: &[&Path],
        written: Option<(&Path, File)>,
    ) -> io::Result<Self> {
        if user.is_some() {
            return Self::new(program, flags, read, written);
        }
        let mut command = Command::new(program);
        for (flag, value) in flags {
            command.arg(flag).args(value);
        }
        Ok(Self {
            command,
            descriptors: Vec::new(),
        })
    }

    /// `program` with `flags`, in which a value that is one of `read` becomes the path of a
    /// descriptor, and so does the end of a value that names the file `written`.
    fn new(
        program: &Path,
        flags: &[Flag],
        read: &[&Path],
        written: Option<(&Path, File)>,
    ) -> io::Result<Self> {
        let mut descriptors = Vec::new();
        let mut by_number = |file: File| {
            let path = format!("/proc/self/fd/{}", file.as_raw_fd());
            descriptors.push(OwnedFd::from(file));
            OsString::from(path)
        };
        let mut command = if is_reachable(program) {
            Command::new(program)
        } else {
            let mut command = Command::new(by_number(File::open(program)?));
            command.arg0(program);
            command
        };
        let mut handed = Vec::new();
        for path in read {
            handed.push((path.as_os_str(), by_number(readable(path)?)));
        }
        // A descriptor set, because `/proc` would ask for the right to write to the file itself.
        let written = written.map(|(path, file)| {
            let set = format!("fd={},set=1", file.as_raw_fd());
            command.arg("-add-fd").arg(set);
            descriptors.push(OwnedFd::from(file));
            with_path("=", path)
        });
        for (flag, value) in flags {
            command.arg(flag);
            let Some(value) = value else { continue };
            let of_written = written.as_ref().and_then(|end| {
                let start = value.as_bytes().strip_suffix(end.as_bytes())?;
                Some([start, b"=/dev/fdset/1"].concat())
            });
            let of_read = handed.iter().find(|(path, _)| path == value);
            match (of_written, of_read) {
                (Some(value), _) => command.arg(OsStr::from_bytes(&value)),
                (None, Some((_, descriptor))) => command.arg(descriptor),
                (None, None) => command.arg(value),
            };
        }
        Ok(Self {
            command,
            descriptors,
        })
    }
}

/// Whether guests may run as other users here.
pub(super) fn may_draw() -> bool {
    rustix::process::geteuid().is_root() && may_change()
}

/// Whether root may become one of [`IDS`].
fn may_change() -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let status = read("/proc/self/status");
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let capabilities = capabilities.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    capabilities.is_some_and(|held| held & NEEDED == NEEDED)
        && has_ids(&read("/proc/self/uid_map"))
        && has_ids(&read("/proc/self/gid_map"))
        && read("/proc/self/setgroups").trim() != "deny"
}

/// Whether one range of a namespace's map has all of [`IDS`].
fn has_ids(map: &str) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        let (Some(Ok(first)), _, Some(Ok(count))) =
            (numbers.next(), numbers.next(), numbers.next())
        else {
            return false;
        };
        first <= u64::from(*IDS.start()) && u64::from(*IDS.end()) < first + count
    })
}

/// Who may open a device.
#[derive(Debug, PartialEq, Eq)]
enum Openers {
    Everybody,
    Group(u32),
    /// Or root's group, which is not given away.
    Root,
}

fn openers(device: &Path) -> Openers {
    let Ok(there) = fs::metadata(device) else {
        return Openers::Root;
    };
    match (there.mode() & 0o006, there.mode() & 0o060, there.gid()) {
        (0o006, _, _) => Openers::Everybody,
        (_, 0o060, group) if group != 0 => Openers::Group(group),
        _ => Openers::Root,
    }
}

/// Whether everybody can run or list what is at `path`.
pub(super) fn is_reachable(path: &Path) -> bool {
    let Ok(path) = fs::canonicalize(path) else {
        return false;
    };
    let everybody = |path: &Path, right: u32| {
        fs::metadata(path).is_ok_and(|there| there.mode() & right == right)
    };
    everybody(&path, 0o005) && path.ancestors().skip(1).all(|dir| everybody(dir, 0o001))
}

/// A file that everybody can open again by its descriptor: itself, or a copy in memory where its
/// mode does not let them, as under a umask of 077.
fn readable(path: &Path) -> io::Result<File> {
    let mut file = File::open(path).map_err(|error| {
        let what = format!("failed to open `{}`: {error}", path.display());
        io::Error::new(error.kind(), what)
    })?;
    if file.metadata()?.mode() & 0o004 != 0 {
        return Ok(file);
    }
    let mut copy = File::from(memfd_create("ukci", MemfdFlags::CLOEXEC)?);
    io::copy(&mut file, &mut copy)?;
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_map_has_the_users_or_it_has_not() {
        assert!(has_ids("         0          0 4294967295\n"));
        assert!(has_ids("0 1000 1\n1 100000 65536\n"));
        assert!(!has_ids("0 1000 1\n"));
        assert!(!has_ids(""));
    }

    #[test]
    fn paths_that_the_user_cannot_reach_become_descriptors() {
        let dir = tempfile::tempdir().unwrap();
        let [program, kernel, other, log] =
            ["program", "kernel", "other", "a,log"].map(|name| dir.path().join(name));
        for path in [&program, &kernel] {
            fs::write(path, "bytes").unwrap();
        }
        fs::set_permissions(&kernel, fs::Permissions::from_mode(0o600)).unwrap();
        let flags: [Flag; 4] = [
            ("-kernel", Some(kernel.clone().into())),
            ("-other", Some(other.clone().into())),
            ("-chardev", Some(with_path("file,id=console,path=", &log))),
            ("-nodefaults", None),
        ];
        let file = File::create(&log).unwrap();
        let number = file.as_raw_fd();
        let handed = Handed::new(&program, &flags, &[&kernel], Some((&log, file))).unwrap();
        let numbers: Vec<String> = (handed.descriptors.iter())
            .map(|fd| format!("/proc/self/fd/{}", fd.as_raw_fd()))
            .collect();
        // No other user can run the file by its path.
        assert_eq!(handed.command.get_program(), OsStr::new(&numbers[0]));
        let arguments: Vec<String> = (handed.command.get_args())
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect();
        let set = format!("fd={number},set=1");
        let other = other.to_string_lossy();
        let expected = [
            "-add-fd",
            &set,
            "-kernel",
            &numbers[1],
            "-other",
            &other,
            "-chardev",
            "file,id=console,path=/dev/fdset/1",
            "-nodefaults",
        ];
        assert_eq!(arguments, expected);
        // The copy of a file that is closed to others.
        assert_eq!(fs::read(&numbers[1]).unwrap(), b"bytes");
        assert_eq!(fs::metadata(&numbers[1]).unwrap().mode() & 0o004, 0o004);
    }

    #[test]
    fn a_device_is_opened_by_everybody_or_by_a_group_that_is_not_roots() {
        assert_eq!(openers(Path::new("/dev/null")), Openers::Everybody);
        assert_eq!(openers(Path::new("/nonexistent")), Openers::Root);
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(openers(file.path()), Openers::Root, "mode 600");
    }

    #[test]
    fn what_lies_in_a_closed_directory_is_out_of_reach() {
        assert!(is_reachable(Path::new("/bin/sh")));
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        fs::write(&program, "").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&program, 0o755);
        mode(dir.path(), 0o700);
        assert!(!is_reachable(&program));
    }
}
