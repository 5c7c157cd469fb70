//! A process that cannot outlive ukci: it has its own process group, is killed when ukci dies, and
//! is always reaped.

mod system;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::{Mutex, mpsc};
use std::thread;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process, kill_process_group, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;

use super::guard::{Guard, is_script};
use super::host_share::Namespace;
use super::unprivileged::User;

/// How a process ended and what it cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    /// Exit status or signal.
    pub(super) status: ExitStatus,
    /// User and system seconds.
    pub(super) cpu_seconds: f64,
    /// Peak resident memory in KiB.
    pub(super) peak_kib: u64,
}

impl Exit {
    /// The status in words that follow a name: `exited with status 1`.
    pub(super) fn words(&self) -> String {
        match (self.status.code(), self.status.signal()) {
            (Some(code), _) => format!("exited with status {code}"),
            (_, Some(signal)) => format!("was killed by signal {signal}"),
            (None, None) => "ended".to_owned(),
        }
    }
}

/// A running process. Dropping it kills its group and reaps it.
#[derive(Debug)]
pub(super) struct Process {
    // Declared first, so that it leaves the runtime before its process is killed.
    pidfd: AsyncFd<OwnedFd>,
    child: Child,
}

impl Process {
    /// Starts `command`, with these rights. Its streams are the caller's to set.
    pub(super) async fn spawn(mut command: Command, rights: Rights) -> io::Result<Self> {
        command.process_group(0);
        confine(&mut command, rights);
        Self::start(command, true).await
    }

    /// Starts `command` in our own process group, which is the terminal's foreground: the kernel
    /// stops any other that reads from it.
    pub(super) async fn spawn_on_terminal(
        mut command: Command,
        rights: Rights,
    ) -> io::Result<Self> {
        confine(&mut command, rights);
        Self::start(command, false).await
    }

    async fn start(command: Command, leads: bool) -> io::Result<Self> {
        let (reply, child) = oneshot::channel();
        submit(Order {
            command,
            leads,
            reply,
        })?;
        let child = child
            .await
            .map_err(|_| io::Error::other("the spawning thread is gone"))??;
        let pidfd = pidfd_open(child.pid, PidfdFlags::NONBLOCK)?;
        Ok(Self {
            pidfd: system::register(pidfd)?,
            child,
        })
    }

    /// Its id, which is its own until it is reaped.
    pub(super) fn pid(&self) -> Pid {
        self.child.pid
    }

    /// Waits for the end. May be dropped and called again; the answer stays the same.
    pub(super) async fn exited(&mut self) -> io::Result<Exit> {
        if self.child.exit.is_none() {
            // A pidfd becomes readable when the process is a zombie, and stays so.
            let _ = self.pidfd.readable().await?;
        }
        self.child.reap()
    }

    /// Kills the group and reaps the process.
    pub(super) async fn kill(mut self) -> io::Result<Exit> {
        self.child.kill();
        self.exited().await
    }
}

/// What our processes find in their environment: where programs and libraries are, where files may
/// go, and how words are written. Never a token of the caller's.
const ENVIRONMENT: [&str; 10] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "TERM",
    "LD_LIBRARY_PATH",
    "QEMU_MODULE_DIR",
    "RUST_BACKTRACE",
    "RUST_LOG",
];

/// Who a process is and what it has of ours.
#[derive(Debug, Default)]
pub(super) struct Rights {
    /// The user that it runs as, if not ours.
    pub(super) user: Option<User>,
    /// Open in the process, under the same numbers.
    pub(super) descriptors: Vec<OwnedFd>,
    /// Namespaces of its own in which it can write nothing.
    pub(super) namespace: Option<Namespace>,
}

/// Leaves the process nothing of ours that it does not need.
fn confine(command: &mut Command, rights: Rights) {
    command.env_clear();
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    system::confine(command, rights);
}

/// A process that has not been reaped, or the answer that reaping gave.
#[derive(Debug)]
struct Child {
    pid: Pid,
    /// Whether it leads a process group of its own.
    leads: bool,
    exit: Option<Exit>,
    /// Kills the group if we die, where a script leads it.
    _guard: Option<Guard>,
}

impl Child {
    /// Kills the group. Until the process is reaped its id cannot be another's.
    fn kill(&self) {
        if self.exit.is_some() {
            return;
        }
        // Both fail if the process is already a zombie and the last of its group.
        let _ = if self.leads {
            kill_process_group(self.pid, Signal::KILL)
        } else {
            kill_process(self.pid, Signal::KILL)
        };
    }

    /// Waits for the end, which blocks unless the process is a zombie.
    fn reap(&mut self) -> io::Result<Exit> {
        if let Some(exit) = self.exit {
            return Ok(exit);
        }
        let exit = system::wait4(self.pid)?;
        self.exit = Some(exit);
        Ok(exit)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        // A killed process is gone in milliseconds: this hardly blocks.
        if let Err(error) = self.reap() {
            tracing::warn!(%error, pid = self.pid.as_raw_nonzero(), "cannot reap a process");
        }
    }
}

/// A command to start, and who is sent its process. A process that nobody awaits any more is
/// dropped, which kills it.
struct Order {
    command: Command,
    leads: bool,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Hands an order to the thread that starts processes.
///
/// The parent-death signal is sent when the *thread* that forked ends, so threads of a pool must
/// not fork: this one lives as long as we do.
fn submit(order: Order) -> io::Result<()> {
    static SPAWNER: Mutex<Option<mpsc::Sender<Order>>> = Mutex::new(None);
    let mut spawner = SPAWNER
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let sender = if let Some(sender) = &*spawner {
        sender
    } else {
        let (sender, orders) = mpsc::channel::<Order>();
        thread::Builder::new()
            .name("ukci-spawn".to_owned())
            .spawn(move || {
                for order in orders {
                    let _ = order.reply.send(start(order.command, order.leads));
                }
            })?;
        spawner.insert(sender)
    };
    sender
        .send(order)
        .map_err(|_| io::Error::other("the spawning thread is gone"))
}

fn start(mut command: Command, leads: bool) -> io::Result<Child> {
    system::die_with_parent(&mut command);
    let child = command.spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed())
        .ok_or_else(|| io::Error::other("a process without an id"))?;
    let guard = if leads && is_script(Path::new(command.get_program())) {
        Some(Guard::of(pid)?)
    } else {
        None
    };
    Ok(Child {
        pid,
        leads,
        exit: None,
        _guard: guard,
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn an_end_is_told_twice_alike_with_its_cost() {
        let mut process = Process::spawn(shell("exit 3"), Rights::default())
            .await
            .unwrap();
        let exit = process.exited().await.unwrap();
        assert_eq!(exit.words(), "exited with status 3");
        assert!(exit.peak_kib > 100, "{exit:?}");
        assert_eq!(process.exited().await.unwrap().status, exit.status);
    }

    #[tokio::test]
    async fn a_missing_program_is_an_error() {
        let error = Process::spawn(Command::new("/nonexistent"), Rights::default())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn killing_takes_the_whole_group_and_dropping_does_too() {
        let exit = Process::spawn(shell("sleep 600 & wait"), Rights::default())
            .await
            .unwrap()
            .kill()
            .await
            .unwrap();
        assert_eq!(exit.words(), "was killed by signal 9");

        let process = Process::spawn(shell("sleep 600 & wait"), Rights::default())
            .await
            .unwrap();
        let pid = process.child.pid;
        drop(process);
        // The others of its group are reaped by init when it gets to it, and zombies take signals.
        assert!(!std::path::Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists());
    }

    #[tokio::test]
    async fn a_process_has_no_more_than_it_needs() {
        // A descriptor that a caller left open for us, and for whatever we start.
        let (kept, _other) = io::pipe().unwrap();
        let inherited = rustix::io::dup(&kept).unwrap();
        rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
        let out = tempfile::NamedTempFile::new().unwrap();
        let mut command = shell(
            "cat /proc/self/status; ulimit -c; env; for fd in /proc/self/fd/*; do echo $fd; done",
        );
        command
            .env("SECRET_TOKEN", "x")
            .stdout(out.reopen().unwrap());
        let mut process = Process::spawn(command, Rights::default()).await.unwrap();
        assert_eq!(
            process.exited().await.unwrap().words(),
            "exited with status 0"
        );
        let text = std::fs::read_to_string(out.path()).unwrap();
        assert!(text.contains("NoNewPrivs:\t1\n"), "{text}");
        assert!(text.contains("\n0\n"), "core files: {text}");
        assert!(!text.contains("SECRET_TOKEN"), "{text}");
        assert!(!text.contains("CARGO_MANIFEST_DIR"), "{text}");
        let bounds = text
            .lines()
            .find(|line| line.starts_with("CapEff:"))
            .unwrap();
        let bits = u64::from_str_radix(bounds.split_whitespace().nth(1).unwrap(), 16).unwrap();
        assert_eq!(bits & !0b110, 0, "{bounds}");
        let inherited = format!("/proc/self/fd/{}\n", inherited.as_raw_fd());
        assert!(!text.contains(&inherited), "{text}");
    }

    /// As root: the files are given, and nothing else is.
    #[tokio::test]
    async fn another_user_has_what_it_was_handed_and_dies_with_us() {
        let Ok(user) = User::draw(Path::new("/bin/sh"), &[]) else {
            #[expect(clippy::print_stderr, reason = "a skipped test says why")]
            return eprintln!("skipped: this user may not become another");
        };
        let secret = tempfile::NamedTempFile::new().unwrap();
        let out = tempfile::NamedTempFile::new().unwrap();
        let given = rustix::fs::memfd_create("given", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&given, b"given\n").unwrap();
        let script = format!(
            "cat /proc/self/status; cat /proc/self/fd/{}; cat {}; kill -9 {}",
            given.as_raw_fd(),
            secret.path().display(),
            std::process::id(),
        );
        let mut command = shell(&script);
        let both = out.reopen().unwrap();
        command.stdout(both.try_clone().unwrap()).stderr(both);
        let rights = Rights {
            user: Some(user.clone()),
            descriptors: vec![given],
            namespace: None,
        };
        let mut process = Process::spawn(command, rights).await.unwrap();
        process.exited().await.unwrap();
        let text = std::fs::read_to_string(out.path()).unwrap();
        let ids = format!("Uid:\t{id}\t{id}\t{id}\t{id}\n", id = user.id);
        assert!(text.contains(&ids), "{text}");
        assert!(text.contains("CapEff:\t0000000000000000"), "{text}");
        assert!(text.contains("Groups:\t \n"), "{text}");
        assert!(text.contains("\ngiven\n"), "{text}");
        assert!(text.to_lowercase().contains("permission denied"), "{text}");
        assert!(text.to_lowercase().contains("not permitted"), "{text}");

        // Changing the user makes the kernel forget this, so it must be asked for afterwards.
        let rights = Rights {
            user: Some(user),
            ..Rights::default()
        };
        let (mut end, held) = io::pipe().unwrap();
        let mut command = Command::new("sleep");
        command.arg("600").stdout(held);
        system::confine(&mut command, rights);
        system::die_with_parent(&mut command);
        let mut child = thread::spawn(move || command.spawn().unwrap())
            .join()
            .unwrap();
        assert_eq!(end.read(&mut [0; 1]).unwrap(), 0);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_process_outlives_the_thread_that_asked_for_it() {
        let (stdin, mut to) = io::pipe().unwrap();
        let (mut from, stdout) = io::pipe().unwrap();
        let (child, thread) = thread::spawn(move || {
            let mut command = Command::new("cat");
            command.process_group(0).stdin(stdin).stdout(stdout);
            let (reply, child) = oneshot::channel();
            submit(Order {
                command,
                leads: true,
                reply,
            })
            .unwrap();
            (
                child.blocking_recv().unwrap().unwrap(),
                rustix::thread::gettid(),
            )
        })
        .join()
        .unwrap();
        // The signal is sent before the thread's entry goes away.
        let task = format!("/proc/self/task/{}", thread.as_raw_nonzero());
        while std::path::Path::new(&task).exists() {
            thread::yield_now();
        }
        to.write_all(b"alive\n").unwrap();
        let mut answer = [0; 6];
        from.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"alive\n");
        drop(child);
    }
}
