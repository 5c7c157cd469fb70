//! Commands with a terminal: ukci in a pseudoterminal of this host, and its command in one of the guest.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

use crate::fixture::{K61, command, machine, object, text};

/// How long anything may take to appear.
const LIMIT: Duration = Duration::from_mins(2);

/// A terminal of this host in which ukci runs.
struct Session {
    keyboard: File,
    /// The other end, which stays open so that its settings can be read after the end.
    theirs: OwnedFd,
    shown: Receiver<Vec<u8>>,
    seen: String,
    child: Child,
}

impl Session {
    fn start(args: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let ours = openpt(flags).unwrap();
        unlockpt(&ours).unwrap();
        let theirs = ioctl_tiocgptpeer(&ours, flags).unwrap();
        let ukci = command(args);
        // It makes the terminal that of a new session, as a login does, and becomes ukci.
        let mut setsid = Command::new("setsid");
        setsid.arg("--ctty").arg(ukci.get_program()).args(args);
        for (name, value) in ukci.get_envs() {
            setsid.env(name, value.unwrap());
        }
        let end = || theirs.try_clone().unwrap();
        setsid.env("TERM", "xterm").stdin(end()).stdout(end());
        let child = setsid.stderr(end()).spawn().unwrap();
        let keyboard = File::from(ours);
        let mut screen = keyboard.try_clone().unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let session = Self {
            keyboard,
            theirs,
            shown,
            seen: String::new(),
            child,
        };
        session.resize(91, 30);
        session
    }

    fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.keyboard, size).unwrap();
    }

    fn settings(&self) -> Termios {
        tcgetattr(&self.theirs).unwrap()
    }

    fn is_cooked(&self) -> bool {
        self.settings().local_modes.contains(LocalModes::ICANON)
    }

    fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this was shown.
    fn until(&mut self, wanted: &str) {
        while !self.seen.contains(wanted) {
            let Ok(bytes) = self.shown.recv_timeout(LIMIT) else {
                panic!("no `{wanted}` in {:?}", self.seen);
            };
            self.seen += &String::from_utf8_lossy(&bytes);
        }
    }

    fn end(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A test that failed leaves no machine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_command_has_the_terminal_of_the_person_who_runs_it() {
    let Some(_machine) = machine() else { return };
    let script = "trap 'echo interrupted; exit 7' INT; trap 'stty size' WINCH; tty; stty size; \
                  echo $TERM; test -t 0 && test -t 1 && test -t 2 && echo three; echo rea''dy; \
                  read line; echo \"line=$line\"; while :; do sleep 0.1; done";
    let mut session = Session::start(&["runner", "--kernel", K61, "sh", "-c", script]);
    let before = session.settings();
    session.until("ready");
    for wanted in ["/dev/pts/0", "30 91", "xterm", "three"] {
        assert!(session.seen.contains(wanted), "{wanted}: {}", session.seen);
    }
    assert!(!session.is_cooked(), "keys go to the command as they are");
    session.type_in("typed\r");
    session.until("line=typed");
    session.resize(123, 40);
    session.until("40 123");
    session.type_in("\u{3}");
    session.until("interrupted");
    assert_eq!(session.end().code(), Some(7));
    assert_eq!(format!("{:?}", session.settings()), format!("{before:?}"));
}

#[test]
fn a_shell_follows_the_size_of_the_window() {
    let Some(_machine) = machine() else { return };
    let out = tempfile::tempdir().unwrap();
    let ran = crate::fixture::check(out.path(), |command| {
        command.arg(object("ringbuf")).args(["--kernel", K61]);
    });
    let cell = &ran.report.cells[0].id;
    let mut session = Session::start(&["shell", cell, "--report", text(out.path())]);
    session.until("/cell # ");
    // The line editor of an interactive shell keeps the signal for itself.
    let doing = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.1; done";
    session.type_in(&format!("sh -c \"{doing}\"\r"));
    session.until("\nready");
    assert!(session.seen.contains("30 91"), "{}", session.seen);
    session.resize(123, 40);
    session.until("40 123");
    session.type_in("\u{3}exit\r");
    assert_eq!(session.end().code(), Some(0));
    assert!(session.is_cooked());
}

#[test]
fn the_terminal_is_as_before_whatever_ends_the_command() {
    let Some(_machine) = machine() else { return };
    let ends = |args: &[&str], act: &dyn Fn(&mut Session)| {
        let mut session = Session::start(args);
        session.until("running");
        assert!(!session.is_cooked());
        act(&mut session);
        let status = session.end();
        assert!(session.is_cooked(), "{args:?}: {status:?}");
        status
    };
    let script = "echo runn''ing; exec sleep 1000";
    let runner = |more: &[&'static str]| {
        let words = ["runner", "--kernel", K61];
        [&words[..], more, &["sh", "-c", script]].concat()
    };
    // The command's own signal, which Ctrl-\ sends it.
    let quit = ends(&runner(&[]), &|session| session.type_in("\u{1c}"));
    assert_eq!(quit.signal(), Some(3));
    let late = ends(&runner(&["--timeout", "1s"]), &|_| {});
    assert_eq!(late.code(), Some(124));
    let stopped = ends(&runner(&[]), &|session| {
        let pid = Pid::from_child(&session.child);
        kill_process(pid, Signal::TERM).unwrap();
    });
    assert_eq!(stopped.code(), Some(130));
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let mut exec = vec!["exec", "--kernel", K61, "--out", text(&out)];
    exec.extend(["--shell", "echo runn''ing; read line; reboot -f"]);
    let gone = ends(&exec, &|session| session.type_in("\r"));
    assert_eq!(gone.code(), Some(2));
}

#[test]
fn a_terminal_can_be_refused_and_given_without_one() {
    let Some(_machine) = machine() else { return };
    let script = "test -t 0 || test -t 1 && exit 3; exit 4";
    let mut session = Session::start(&[
        "runner", "--kernel", K61, "--tty", "never", "sh", "-c", script,
    ]);
    assert_eq!(session.end().code(), Some(4));
    let mut always = command(&["runner", "--kernel", K61, "--tty", "always"]);
    // The end of the input is typed, even in a line that has begun.
    let ran = always.args(["sh", "-c", "tty; cat"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
    assert_eq!(ran.stdout, b"/dev/pts/0\r\n");
    let mut several = command(&[
        "exec", "--tty", "always", "--kernel", K61, "--kernel", "6.12",
    ]);
    let refused = several.args(["--shell", "true"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(64));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("only one can have the terminal"), "{said}");
}
