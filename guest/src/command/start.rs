//! Starts a command: its first process, with its standard streams or its terminal.
#![expect(unsafe_code, reason = "what a child does before it starts")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command as Process, Stdio};

use ukci_guest::watch::Filter;
use ukci_schema::command::{Command, Stdin, User};
use ukci_schema::message::FrameKind;

use super::pipes::{Input, Stream};
use super::terminal::Terminal;
use crate::system;

/// A command that has started.
pub(super) struct Started {
    pub(super) child: Child,
    /// Standard output and standard error; of a terminal the first only.
    pub(super) streams: [Option<Stream>; 2],
    pub(super) input: Option<Input>,
    pub(super) terminal: Option<Terminal>,
}

/// Starts it in a session of its own, with a filter that has it watched.
pub(super) fn start(command: &Command, filter: Option<Filter>) -> io::Result<Started> {
    let mut process = Process::new(&command.program);
    process
        .env_clear()
        .envs(&command.environment)
        .current_dir(&command.workdir);
    let terminal = if let Some(window) = command.terminal {
        let (terminal, theirs) = Terminal::open(window, command.user)?;
        process
            .stdin(theirs.try_clone()?)
            .stdout(theirs.try_clone()?)
            .stderr(theirs);
        Some(terminal)
    } else {
        process
            .stdin(match command.stdin {
                Stdin::Empty => Stdio::null(),
                Stdin::File { .. } | Stdin::Stream => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        None
    };
    if let [own, rest @ ..] = command.arguments.as_slice() {
        process.arg0(own).args(rest);
    }
    let (user, limits) = (command.user, system::limits_at_boot());
    let has_terminal = terminal.is_some();
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        process.pre_exec(move || {
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            libc::umask(0o022);
            libc::setsid();
            if has_terminal && libc::ioctl(0, libc::TIOCSCTTY, 0) < 0 {
                return Err(io::Error::last_os_error());
            }
            system::restore_limits(limits);
            if let Some(filter) = &filter {
                // Only root may without PR_SET_NO_NEW_PRIVS, which the command would see.
                filter.install();
            }
            match user {
                Some(user) => become_user(user),
                None => Ok(()),
            }
        });
    }
    let mut child = process.spawn()?;
    // Its ends of the terminal are its own alone: what it leaves open ends with it.
    drop(process);
    let mut input = child.stdin.take().map(Into::into);
    let mut streams = [
        (child.stdout.take()).map(|pipe| Stream::new(FrameKind::Stdout, pipe.into())),
        (child.stderr.take()).map(|pipe| Stream::new(FrameKind::Stderr, pipe.into())),
    ];
    if let Some(terminal) = &terminal {
        streams[0] = Some(Stream::new(FrameKind::Stdout, terminal.duplicate()?));
        input = Some(terminal.duplicate()?);
    }
    Ok(Started {
        child,
        streams,
        input: input.map(Input::new).transpose()?,
        terminal,
    })
}

/// Gives up root for good.
fn become_user(user: User) -> io::Result<()> {
    // SAFETY: each takes numbers; no group is read.
    let failed = unsafe {
        libc::setgroups(0, std::ptr::null()) < 0
            || libc::setgid(user.gid) < 0
            || libc::setuid(user.uid) < 0
    };
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
