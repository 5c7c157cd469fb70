//! Runs a test's command with the guest's shell, beside the attached programs.
//!
//! When it has ended or its time is up, everything that it started is killed: also what has left
//! its process group and its parent.
#![expect(
    unsafe_code,
    reason = "poll(2), and what a child does before it starts"
)]

use std::fs::{self, Permissions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};
use ukci_schema::behavior::{DIRECTORY, TEXT_LIMIT};
use ukci_schema::command::{BUSYBOX, CommandFile, Content, Ended};

use super::MOMENT;
use crate::userland;

/// What programs are looked up in, after the directory.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Most bytes of an output that are kept in memory.
const LONGEST: usize = 64 * TEXT_LIMIT;

/// How long the outputs of a command that has ended may stay open.
const PATIENCE: Duration = Duration::from_secs(2);

/// A line for the shell.
pub(super) struct ShellCommand<'a> {
    pub(super) line: &'a str,
    /// The file by which it comes under the cgroup programs.
    pub(super) members: Option<&'a Path>,
    pub(super) timeout: Duration,
}

/// How it ended, and what it wrote.
pub(super) struct Done {
    pub(super) ended: Ended,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

/// Runs it to its end. `watch` is called again and again meanwhile. The error says why it did not
/// start.
pub(super) fn run(command: &ShellCommand<'_>, watch: &mut dyn FnMut()) -> Result<Done, String> {
    // What loses its parent becomes a child of this process, which can then kill it.
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    let mut child = start(command).map_err(|error| format!("start the guest's shell: {error}"))?;
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let began = Instant::now();
    let mut status = None;
    let mut timed_out = false;
    let mut end = None;
    while out.is_some() || err.is_some() || end.is_none() {
        wait_for(
            out.as_ref().map(AsRawFd::as_raw_fd),
            err.as_ref().map(AsRawFd::as_raw_fd),
        );
        read(&mut out, &mut stdout);
        read(&mut err, &mut stderr);
        watch();
        if end.is_none() {
            status = child
                .try_wait()
                .map_err(|error| format!("wait for the command: {error}"))?;
            timed_out = status.is_none() && began.elapsed() >= command.timeout;
            if status.is_some() || timed_out {
                kill_all();
                end = Some(Instant::now());
            }
        }
        if end.is_some_and(|end| end.elapsed() > PATIENCE) {
            break;
        }
    }
    if timed_out {
        // It was killed; only its entry is left.
        let _ = child.wait();
    }
    kill_all();
    // Those that were left to this process.
    while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
    Ok(Done {
        ended: match status {
            _ if timed_out => Ended::TimedOut {
                seconds: command
                    .timeout
                    .as_millis()
                    .div_ceil(1000)
                    .try_into()
                    .unwrap_or(u64::MAX),
            },
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => Ended::Exited {
                    status: u8::try_from(code & 0xff).unwrap_or(u8::MAX),
                },
                (None, signal) => Ended::Signaled {
                    signal: signal.unwrap_or_default(),
                },
            },
            None => return Err("the command ended without a status".into()),
        },
        stdout,
        stderr,
    })
}

/// Makes what commands find: files, each with the one here that has its bytes, and the shell. No
/// program is attached yet that could see it.
pub(super) fn prepare(placed: &[(&CommandFile, Option<&Path>)]) -> Result<(), String> {
    for (file, source) in placed {
        place(file, *source).map_err(|error| format!("write {}: {error}", file.path))?;
    }
    if !userland::install_shell() {
        return Err("the guest was sent no shell".into());
    }
    userland::link_devices();
    for dir in ["/root", DIRECTORY] {
        fs::create_dir_all(dir).map_err(|error| format!("create {dir}: {error}"))?;
    }
    Ok(())
}

fn place(file: &CommandFile, source: Option<&Path>) -> std::io::Result<()> {
    let to = Path::new(&file.path);
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    match (&file.content, source) {
        (Content::Bytes { mode, .. }, Some(source)) => {
            fs::copy(source, to)?;
            fs::set_permissions(to, Permissions::from_mode(mode & 0o777))
        }
        (Content::Bytes { .. }, None) => Err(std::io::ErrorKind::NotFound.into()),
        (Content::Link { target }, _) => match symlink(target, to) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        },
    }
}

fn start(command: &ShellCommand<'_>) -> std::io::Result<Child> {
    let mut process = Command::new(BUSYBOX);
    process
        .args(["sh", "-c", command.line])
        .env_clear()
        .env("PATH", format!("{DIRECTORY}:{PATH}"))
        .env("HOME", "/root")
        .env("USER", "root")
        .env("LANG", "C.UTF-8")
        .current_dir(DIRECTORY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let members = command
        .members
        .and_then(|file| fs::File::options().write(true).open(file).ok());
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        process.pre_exec(move || {
            libc::setsid();
            if let Some(members) = &members {
                libc::write(members.as_raw_fd(), c"0".as_ptr().cast(), 1);
            }
            Ok(())
        });
    }
    process.spawn()
}

/// Waits a moment, or until one of the outputs has something.
fn wait_for(out: Option<i32>, err: Option<i32>) {
    let watch = |fd: Option<i32>| libc::pollfd {
        // One below zero is not watched.
        fd: fd.unwrap_or(-1),
        events: libc::POLLIN,
        revents: 0,
    };
    let mut watched = [watch(out), watch(err)];
    let moment = i32::try_from(MOMENT.as_millis()).unwrap_or(20);
    // SAFETY: the array and its length are right, and outlive the call.
    unsafe { libc::poll(watched.as_mut_ptr(), 2, moment) };
}

/// Reads what one output has. What is over the limit is taken and dropped.
fn read<R: Read + AsRawFd>(from: &mut Option<R>, into: &mut Vec<u8>) {
    let Some(pipe) = from else { return };
    let mut ready = [libc::pollfd {
        fd: pipe.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    }];
    // SAFETY: as above.
    if unsafe { libc::poll(ready.as_mut_ptr(), 1, 0) } <= 0 {
        return;
    }
    let mut buffer = [0; 16 * 1024];
    match pipe.read(&mut buffer) {
        Ok(0) => *from = None,
        Ok(length) => {
            let room = LONGEST - into.len().min(LONGEST);
            into.extend_from_slice(&buffer[..length.min(room)]);
        }
        Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
        Err(_) => *from = None,
    }
}

/// Kills every process that this one is the parent of, until there is none any more: the children
/// of one that was killed are then its own.
fn kill_all() {
    let own = std::process::id().to_string();
    for _ in 0..1000 {
        let mut found = false;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
                continue;
            };
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let is_child = userland::state_and_parent(&stat)
                .is_some_and(|(state, parent)| parent == own && state != "Z");
            if is_child {
                found = true;
                if let Some(pid) = Pid::from_raw(pid) {
                    let _ = rustix::process::kill_process(pid, Signal::KILL);
                }
            }
        }
        if !found {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
