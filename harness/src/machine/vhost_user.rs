//! Runs rust-vmm's `vhost-device-vsock` beside QEMU. Each guest has its own process and Unix
//! socket, so that addresses cannot collide and no privilege is needed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use std::{fs, io};

use tokio::time::{Instant, sleep};

use super::device::{Flag, shell};
use super::evidence_file::create;
use super::private_dir::PrivateDir;
use super::process::{Process, Rights};
use super::unprivileged::{Handed, User};
use crate::console::last_line;

/// The guest's address. Each guest has its own device and so its own address space.
const GUEST_CID: u32 = 3;

/// Longest time until it listens; it takes some 10 ms.
const READY: Duration = Duration::from_secs(10);

/// The device of one guest, before it runs.
#[derive(Debug)]
pub(super) struct VhostUserVsock<'a> {
    /// The program.
    pub(super) program: &'a Path,
    /// The guest's directory.
    pub(super) dir: &'a PrivateDir,
    /// The user that it runs as, if not ours.
    pub(super) user: Option<&'a User>,
}

impl VhostUserVsock<'_> {
    fn flags(&self) -> Vec<Flag> {
        let cid = GUEST_CID.to_string().into();
        vec![
            ("--guest-cid", Some(cid)),
            ("--socket", Some(self.dir.vhost_user().into_os_string())),
            ("--uds-path", Some(self.dir.vsock().into_os_string())),
        ]
    }

    /// The command as a shell takes it.
    pub(super) fn shell(&self) -> Vec<u8> {
        shell(self.program, &self.flags())
    }

    /// Starts it with its complaints in `log` and waits until it listens for QEMU.
    pub(super) async fn start(&self, log: &Path) -> io::Result<Process> {
        let Handed {
            mut command,
            descriptors,
        } = Handed::to(self.user, self.program, &self.flags(), &[], None)?;
        let rights = Rights {
            user: self.user.cloned(),
            descriptors,
            namespace: None,
        };
        let file = create(log)?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let mut process = Process::spawn(command, rights).await?;
        let exited = tokio::select! {
            biased;
            exit = process.exited() => Some(exit?),
            listening = listening(self.dir.vhost_user()) => { listening?; None }
        };
        match exited {
            Some(exit) => {
                let words = exit.words();
                let complaint = last_line(log).unwrap_or_default();
                Err(io::Error::other(format!("it {words}: {complaint}")))
            }
            None => Ok(process),
        }
    }
}

/// Waits until somebody listens on the socket at `path`.
///
/// Connecting to find out would use up the one connection that the device serves, and the file is
/// there before anybody listens: so the kernel's table of sockets is asked, again and again, for
/// the few milliseconds that it takes.
async fn listening(path: PathBuf) -> io::Result<()> {
    let deadline = Instant::now() + READY;
    loop {
        let table = fs::read("/proc/net/unix")?;
        if listens(&table, &path) {
            return Ok(());
        }
        if Instant::now() > deadline {
            let limit = READY.as_secs();
            return Err(io::Error::other(format!(
                "it did not listen within {limit} s"
            )));
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Whether the table of Unix sockets has a listening one at `path`.
fn listens(table: &[u8], path: &Path) -> bool {
    /// `__SO_ACCEPTCON` of `linux/net.h`.
    const ACCEPTS: u32 = 1 << 16;
    let path: OsString = path.into();
    let path = path.as_encoded_bytes();
    table.split(|byte| *byte == b'\n').any(|line| {
        let Some(rest) = line
            .strip_suffix(path)
            .and_then(|rest| rest.strip_suffix(b" "))
        else {
            return false;
        };
        let text = String::from_utf8_lossy(rest);
        let flags = text.split_ascii_whitespace().nth(3);
        flags
            .and_then(|flags| u32::from_str_radix(flags, 16).ok())
            .is_some_and(|f| f & ACCEPTS != 0)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    #[test]
    fn only_a_listening_socket_listens() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let table = || fs::read("/proc/net/unix").unwrap();
        assert!(!listens(&table(), &path));
        let listener = UnixListener::bind(&path).unwrap();
        assert!(listens(&table(), &path));
        let _client = UnixStream::connect(&path).unwrap();
        let (_accepted, _) = listener.accept().unwrap();
        drop(listener);
        assert!(!listens(&table(), &path), "its connections do not count");
    }
}
