//! The terminal of this process, for a command that has one in its guest.
//!
//! While the command runs, what is typed goes to it as it is (raw mode). The settings of the terminal
//! are kept in one place, from which every way out of this process restores them.

use std::fs::File;
use std::io::{self, IsTerminal, Read, stdin, stdout};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Signal, getpgrp};
use rustix::termios::{
    LocalModes, OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use ukci_harness::command::StdinReader;
use ukci_harness::event::Event;
use ukci_schema::command::WindowSize;
use ukci_schema::verdict::Stage;

use crate::args::Tty;

/// The settings of the terminal before it was made raw.
static SETTINGS: Mutex<Option<Termios>> = Mutex::new(None);

/// The size of a terminal whose size nobody knows.
const SIZE: WindowSize = WindowSize {
    columns: 80,
    rows: 24,
};

/// The size of the command's terminal, if it shall have one.
pub(crate) fn window(tty: Tty) -> Option<WindowSize> {
    let wanted = match tty {
        Tty::Auto => is_ours(),
        Tty::Always => true,
        Tty::Never => false,
    };
    wanted.then(|| size().unwrap_or(SIZE))
}

/// Whether this process is the one that a person types into: a job in the background would be stopped
/// if it changed the terminal, and where another program reads single keys, the terminal is its own.
fn is_ours() -> bool {
    stdin().is_terminal() && stdout().is_terminal() && is_foreground() && is_cooked()
}

fn is_foreground() -> bool {
    tcgetpgrp(stdin()).is_ok_and(|group| group == getpgrp())
}

fn is_cooked() -> bool {
    tcgetattr(stdin()).is_ok_and(|settings| settings.local_modes.contains(LocalModes::ICANON))
}

fn size() -> Option<WindowSize> {
    let size = tcgetwinsize(stdout()).or_else(|_| tcgetwinsize(stdin()));
    let size = size.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map(|size| WindowSize {
        columns: size.ws_col,
        rows: size.ws_row,
    })
}

/// A command's terminal as it is here.
#[derive(Clone, Debug)]
pub(crate) struct Attached(Arc<watch::Sender<WindowSize>>);

/// A terminal of this size for a command, and what is typed into it.
pub(crate) fn attach(window: WindowSize) -> (Attached, StdinReader) {
    let (attached, receiver) = sizes(window);
    let typed = StdinReader::of(input()).in_window(receiver);
    (attached, typed)
}

/// What this process reads. Every error is handed on: [`std::io::Stdin`] takes a descriptor that cannot be
/// read for one at its end.
pub(crate) fn input() -> impl Read + Send + 'static {
    Input {
        file: stdin().as_fd().try_clone_to_owned().map(File::from),
        is_terminal: stdin().is_terminal(),
    }
}

struct Input {
    /// The file, or why there is none.
    file: io::Result<File>,
    is_terminal: bool,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.file {
            Ok(file) => file.read(buffer),
            Err(error) => Err(error.kind().into()),
        };
        match read {
            // A terminal that was hung up has ended.
            Err(error) if self.is_terminal && Errno::from_io_error(&error) == Some(Errno::IO) => {
                Ok(0)
            }
            read => read,
        }
    }
}

/// A window of this size, and its sizes from now on.
fn sizes(window: WindowSize) -> (Attached, watch::Receiver<WindowSize>) {
    let (sender, receiver) = watch::channel(window);
    (Attached(Arc::new(sender)), receiver)
}

/// The size of this process's terminal, which is followed in a task of the runtime.
pub(crate) fn followed() -> watch::Receiver<WindowSize> {
    let (attached, receiver) = sizes(size().unwrap_or(SIZE));
    attached.follow();
    receiver
}

impl Attached {
    /// Follows the size of the window from now on, in a task of the runtime.
    pub(crate) fn follow(&self) {
        let window = Arc::clone(&self.0);
        tokio::spawn(async move {
            let continued = SignalKind::from_raw(Signal::CONT.as_raw());
            let (Ok(mut changed), Ok(mut continued)) =
                (signal(SignalKind::window_change()), signal(continued))
            else {
                return;
            };
            loop {
                tokio::select! {
                    _ = changed.recv() => {}
                    // The shell has restored its own settings while we were stopped.
                    _ = continued.recv() => again(),
                }
                if let Some(size) = size() {
                    window.send_replace(size);
                }
            }
        });
    }
}

/// The terminal is the command's while it runs, and ours before and after.
pub(crate) fn observe(event: &Event) {
    match event {
        Event::Stage {
            stage: Stage::Behave,
            ..
        } => take(),
        Event::Retry { .. } | Event::Finished { .. } | Event::Interrupted => restore(),
        _ => {}
    }
}

/// Hands what is typed through as it is, until [`restore`].
fn take() {
    if !stdin().is_terminal() || !is_foreground() {
        return;
    }
    let mut kept = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.is_none()
        && let Ok(settings) = tcgetattr(stdin())
    {
        make_raw(&settings);
        *kept = Some(settings);
    }
}

/// Makes the terminal raw again, if it was.
fn again() {
    let kept = SETTINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(settings) = &*kept
        && is_foreground()
    {
        make_raw(settings);
    }
}

fn make_raw(settings: &Termios) {
    let mut raw = settings.clone();
    raw.make_raw();
    // Without raw mode, lines still reach the command.
    let _ = tcsetattr(stdin(), OptionalActions::Now, &raw);
}

/// Gives the terminal the settings that it had before the command ran. Every way out of this process
/// calls it; it never waits.
pub(crate) fn restore() {
    let Ok(mut kept) = SETTINGS.try_lock() else {
        return;
    };
    if let Some(settings) = kept.take() {
        // Nobody is left to tell when the terminal is gone.
        let _ = tcsetattr(stdin(), OptionalActions::Now, &settings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_has_not_ended() {
        let dir = tempfile::tempdir().unwrap();
        let of = |file, is_terminal| {
            let mut input = Input { file, is_terminal };
            input.read(&mut [0; 8])
        };
        let directory = || File::open(dir.path());
        assert!(of(directory(), false).is_err());
        // One that can only be written.
        let written = File::create(dir.path().join("x"));
        assert!(of(written, false).is_err());
        let empty = File::open(dir.path().join("x"));
        assert_eq!(of(empty, false).unwrap(), 0);
        let none = || Err(Errno::IO.into());
        assert!(of(none(), false).is_err());
    }
}
