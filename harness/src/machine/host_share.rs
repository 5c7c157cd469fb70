//! Shares this host's files with a guest: virtiofsd reads them, in namespaces of its own in which
//! nothing can be written.
//!
//! The process is root of a user namespace at most, and outside of it the user that the guest's QEMU
//! runs as. So it reads what that user may read, and less: every mount that it sees is made read-only
//! by the kernel before virtiofsd starts, and what is
//! [hidden](HIDDEN) has an empty directory over it.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Error;
use super::emulator::{ask, find_program};
use super::evidence_file::create;
use super::process::{Process, Rights};
use super::unprivileged::{Root, User};

/// The name of the program.
pub(super) const VIRTIOFSD: &str = "virtiofsd";

/// The variable that names it.
pub(super) const VARIABLE: &str = "UKCI_VIRTIOFSD";

/// What it said, where it said anything.
pub(super) const LOG: &str = "virtiofsd.log";

/// Where distributions have it, because it is no command for people: Debian 13 and Fedora, Debian 12,
/// Arch Linux.
const PLACES: [&str; 3] = [
    "/usr/libexec/virtiofsd",
    "/usr/lib/qemu/virtiofsd",
    "/usr/lib/virtiofsd",
];

/// Directories of this host that no guest sees: what the kernel tells, the devices, the sockets of
/// services, and the files of root.
const HIDDEN: [&str; 5] = ["/dev", "/proc", "/run", "/sys", "/root"];

/// The same below the home directory of whoever runs ukci: where programs keep keys and tokens.
const HIDDEN_AT_HOME: [&str; 12] = [
    ".aws",
    ".azure",
    ".cargo/credentials.toml",
    ".config/gcloud",
    ".config/gh",
    ".docker",
    ".git-credentials",
    ".gnupg",
    ".kube",
    ".netrc",
    ".password-store",
    ".ssh",
];

/// A virtiofsd of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Virtiofsd {
    path: PathBuf,
    /// Whether it is the one in C that QEMU had up to 7.2, which has other options.
    is_qemus: bool,
}

impl Virtiofsd {
    /// The one that the environment names, on `PATH`, or where distributions have it.
    pub(super) fn find() -> Result<Self, Error> {
        let last = PLACES.iter().map(PathBuf::from).find(|path| path.is_file());
        let path = find_program(VARIABLE, VIRTIOFSD, last)?.ok_or(Error::NoVirtiofsd)?;
        let asked = ask(&path, &["--version"])?;
        let said = [asked.stdout, asked.stderr].concat();
        let is_qemus = String::from_utf8_lossy(&said).contains("FUSE kernel interface");
        Ok(Self { path, is_qemus })
    }

    fn command(&self, socket: &OwnedFd, tree: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.arg(format!("--fd={}", socket.as_raw_fd()));
        if self.is_qemus {
            // It must be root, if only of a namespace, and gives up the rest of that by itself.
            command.args([
                "-f",
                "--rlimit-nofile=0",
                "-o",
                "sandbox=chroot,log_level=warn",
                "-o",
            ]);
            let mut source = OsString::from("source=");
            source.push(tree);
            command.arg(source);
        } else {
            command.args(["--sandbox=none", "--rlimit-nofile=0", "--shared-dir"]);
            command.arg(tree);
        }
        command
    }

    /// Starts it for the one QEMU that connects to `listener`, with its complaints in `log`. In its
    /// namespaces, the directory `tree` has this host's files.
    pub(super) async fn start(
        &self,
        user: Result<&User, Root>,
        listener: UnixListener,
        tree: &Path,
        log: &Path,
    ) -> io::Result<Process> {
        let user = match user {
            Ok(user) => Some(user.clone()),
            Err(Root::IsNot) => None,
            Err(why) => {
                let why = why.words().unwrap_or_default();
                return Err(io::Error::other(format!(
                    "it would share the files of root, because {why}"
                )));
            }
        };
        let socket = OwnedFd::from(listener);
        let mut command = self.command(&socket, tree);
        let file = create(log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let (uid, gid) = match &user {
            Some(user) => (user.id, user.id),
            None => (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            ),
        };
        let inside = |id| if self.is_qemus { 0 } else { id };
        let rights = Rights {
            user: user.map(|user| User {
                groups: Vec::new(),
                ..user
            }),
            descriptors: vec![socket],
            namespace: Some(Namespace {
                users: format!("{} {uid} 1", inside(uid)).into_bytes(),
                groups: format!("{} {gid} 1", inside(gid)).into_bytes(),
                tree: CString::new(tree.as_os_str().as_bytes())?,
                hidden: hidden(tree, std::env::home_dir().as_deref())?,
            }),
        };
        let started = Process::spawn(command, rights).await;
        started.map_err(|error| {
            let what = format!("no process gets namespaces of its own on this host: {error}");
            io::Error::new(error.kind(), what)
        })
    }
}

/// Namespaces in which nothing can be written, as system calls take them.
#[derive(Debug)]
pub(super) struct Namespace {
    /// Lines of `/proc/self/uid_map` and `/proc/self/gid_map`.
    pub(super) users: Vec<u8>,
    pub(super) groups: Vec<u8>,
    /// The directory that becomes another name of `/`.
    pub(super) tree: CString,
    /// What is hidden in it, and whether it is a directory.
    pub(super) hidden: Vec<(CString, bool)>,
}

/// What is hidden in `tree` and exists.
fn hidden(tree: &Path, home: Option<&Path>) -> io::Result<Vec<(CString, bool)>> {
    let at_home = home.map(|home| HIDDEN_AT_HOME.map(|name| home.join(name)));
    let paths = at_home.into_iter().flatten();
    let mut hidden = Vec::new();
    for path in paths.chain(HIDDEN.map(PathBuf::from)) {
        // The mount would be at what a link leads to.
        if let Ok(path) = path.canonicalize() {
            let is_dir = path.is_dir();
            let path = tree.join(path.strip_prefix("/").unwrap_or(&path));
            hidden.push((CString::new(path.as_os_str().as_bytes())?, is_dir));
        }
    }
    Ok(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hidden_if_they_exist() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".ssh")).unwrap();
        std::fs::write(home.path().join(".netrc"), "").unwrap();
        let hidden = hidden(Path::new("/tree"), Some(home.path())).unwrap();
        let is_dir = |path: &Path| {
            let path = Path::new("/tree").join(path.strip_prefix("/").unwrap());
            let mut hidden = hidden.iter();
            let found = hidden.find(|(hidden, _)| hidden.as_bytes() == path.as_os_str().as_bytes());
            found.map(|(_, is_dir)| *is_dir)
        };
        let home = home.path().canonicalize().unwrap();
        assert_eq!(is_dir(&home.join(".netrc")), Some(false));
        assert_eq!(is_dir(&home.join(".ssh")), Some(true));
        assert_eq!(is_dir(&home.join(".gnupg")), None);
        for path in ["/proc", "/sys", "/dev"] {
            assert_eq!(is_dir(Path::new(path)), Some(true), "{path}");
        }
    }
}
