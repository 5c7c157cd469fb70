//! Starts the command, passes what it writes to the host as it comes, and what the host sends to
//! its standard input.
//!
//! Both directions are paced by acknowledgements: nothing is read from the command while the host
//! has not taken what came before, and the host is answered when the command has taken what it
//! sent. So a command that floods waits as it would for a slow terminal.
#![expect(unsafe_code, reason = "poll(2)")]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitStatus};
use ukci_guest::channel::{Arrived, Frame};
use ukci_guest::watch::{self, Watcher};
use ukci_schema::command::{Command, CommandEvidence, Ended};
use ukci_schema::message::{FRAME_LIMIT, FrameKind, FromGuest, FromHost};

use super::libbpf_lines::LibbpfLines;
use super::pipes::{Input, Stream};
use super::start::{self, Started};
use super::terminal::Terminal;
use super::{processes, refused};
use crate::{HostChannel, lost};

/// How long the pipes of a command that has ended may stay open: everything that could hold them
/// was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was seen of a command, and of what it asked the kernel if it was watched.
pub(super) struct Run {
    pub(super) seen: CommandEvidence,
    pub(super) watcher: Option<Watcher>,
    /// What libbpf printed on its standard error.
    pub(super) libbpf: String,
}

/// Runs the command to its end.
pub(super) fn run(channel: &mut HostChannel, command: &Command) -> Result<Run, String> {
    let mut seen = CommandEvidence {
        arguments: command.arguments.clone(),
        expected_status: command.expected_status,
        ..CommandEvidence::default()
    };
    let signals =
        processes::ended_children().map_err(|error| format!("watch for its end: {error}"))?;
    let watched = command.watched.then(watch::prepare).transpose();
    let (filter, receiver) = watched
        .map_err(|error| format!("make a socket: {error}"))?
        .unzip();
    let began = Instant::now();
    let started = match start::start(command, filter) {
        Ok(started) => started,
        Err(error) => {
            seen.ended = Ended::NotStarted {
                errno: error.raw_os_error().unwrap_or(0),
                why: refused(command, &error),
            };
            say_ended(channel)?;
            return Ok(Run {
                seen,
                watcher: None,
                libbpf: String::new(),
            });
        }
    };
    let Started {
        child,
        streams,
        input,
        terminal,
    } = started;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or("the command has no process id")?;
    let running = Running {
        channel: &mut *channel,
        signals,
        pid,
        streams,
        input,
        terminal,
        unacknowledged: false,
        status: None,
        timed_out: None,
        survivors: 0,
        watcher: receiver.map(Watcher::begin),
    };
    let Finished {
        streams,
        ended,
        survivors,
        watcher,
        libbpf,
    } = running.finish()?;
    say_ended(channel)?;
    let [stdout, stderr] = streams;
    (seen.stdout_bytes, seen.stdout_tail) = stdout;
    (seen.stderr_bytes, seen.stderr_tail) = stderr;
    seen.ended = ended;
    seen.left_running = survivors;
    seen.micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(Run {
        seen,
        watcher,
        libbpf,
    })
}

/// Says that the command has ended. What the host sent before it knew of that arrives here.
fn say_ended(channel: &mut HostChannel) -> Result<(), String> {
    let ended = serde_json::to_vec(&FromGuest::Ended).map_err(|error| error.to_string())?;
    channel.post(FrameKind::Json, &ended).map_err(lost)?;
    while let Frame::Message(_) = channel.take().map_err(lost)? {
        channel.acknowledge().map_err(lost)?;
    }
    Ok(())
}

/// A command that runs, or whose output is not all sent yet.
struct Running<'a> {
    channel: &'a mut HostChannel,
    signals: File,
    pid: Pid,
    streams: [Option<Stream>; 2],
    input: Option<Input>,
    terminal: Option<Terminal>,
    /// Whether the host has not taken yet what was sent last.
    unacknowledged: bool,
    status: Option<WaitStatus>,
    timed_out: Option<u64>,
    survivors: u32,
    watcher: Option<Watcher>,
}

struct Finished {
    streams: [(u64, String); 2],
    ended: Ended,
    survivors: u32,
    watcher: Option<Watcher>,
    libbpf: String,
}

impl Running<'_> {
    fn finish(mut self) -> Result<Finished, String> {
        let mut buffer = vec![0; FRAME_LIMIT];
        let mut over = None;
        loop {
            let ready = self.wait(over)?;
            if let Some(watcher) = &mut self.watcher {
                watcher.serve(ready.calls);
            }
            if ready.signals {
                self.reap();
            }
            if ready.channel {
                self.hear()?;
            }
            if ready.input && self.input.as_mut().is_some_and(Input::write) {
                self.channel.acknowledge().map_err(lost)?;
            }
            for (n, stream) in ready.streams.iter().enumerate() {
                if *stream && !self.unacknowledged {
                    self.pass(n, &mut buffer)?;
                }
            }
            if self.status.is_some() {
                let over = *over.get_or_insert_with(Instant::now);
                let open = self.streams.iter().flatten().any(|s| s.pipe.is_some());
                if !self.unacknowledged && (!open || over.elapsed() > PATIENCE) {
                    break;
                }
            }
        }
        let ended = match (self.timed_out, self.status) {
            (Some(seconds), _) => Ended::TimedOut { seconds },
            (None, Some(status)) => how(status),
            (None, None) => return Err("the command ended without a status".into()),
        };
        let [mut stdout, mut stderr] = self.streams;
        // A terminal has both in one.
        let errors = stderr.as_mut().or(stdout.as_mut());
        let libbpf = errors.map(|s| std::mem::take(&mut s.libbpf));
        let end = |stream: Option<Stream>| stream.map_or((0, String::new()), |s| s.end());
        Ok(Finished {
            streams: [end(stdout), end(stderr)],
            ended,
            survivors: self.survivors,
            watcher: self.watcher,
            libbpf: libbpf.map_or(String::new(), LibbpfLines::text),
        })
    }

    /// Waits until something can be done.
    fn wait(&self, over: Option<Instant>) -> Result<Ready, String> {
        let watch = |fd: RawFd, events| libc::pollfd {
            fd,
            events,
            revents: 0,
        };
        let pipe = |n: usize| self.streams[n].as_ref().and_then(|s| s.pipe.as_ref());
        // A descriptor below zero is not watched.
        let output = |n: usize| match pipe(n) {
            Some(pipe) if !self.unacknowledged => pipe.as_raw_fd(),
            _ => -1,
        };
        let input = self
            .input
            .as_ref()
            .filter(|input| !input.pending.is_empty());
        let input = input.and_then(|input| input.pipe.as_ref());
        let mut watched = vec![
            watch(self.channel.stream().as_raw_fd(), libc::POLLIN),
            watch(self.signals.as_raw_fd(), libc::POLLIN),
            watch(output(0), libc::POLLIN),
            watch(output(1), libc::POLLIN),
            watch(input.map_or(-1, AsRawFd::as_raw_fd), libc::POLLOUT),
        ];
        let calls = self.watcher.as_ref().map(Watcher::descriptors);
        let calls = calls.unwrap_or_default();
        watched.extend(calls.into_iter().map(|fd| watch(fd, libc::POLLIN)));
        let count = libc::nfds_t::try_from(watched.len()).map_err(|error| error.to_string())?;
        let patience = if over.is_some() { 1000 } else { -1 };
        loop {
            // SAFETY: the array and its length are right, and outlive the call.
            let ready = unsafe { libc::poll(watched.as_mut_ptr(), count, patience) };
            if ready >= 0 {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(format!("wait for the command: {error}"));
            }
        }
        let is_ready = |n: usize| watched.get(n).is_some_and(|one| one.revents != 0);
        Ok(Ready {
            channel: is_ready(0),
            signals: is_ready(1),
            streams: [is_ready(2), is_ready(3)],
            input: is_ready(4),
            calls: watched.get(5).map_or(0, |one| one.revents),
        })
    }

    /// Takes note of children that have ended. With the command ends all that it has started.
    fn reap(&mut self) {
        let mut drained = [0; 128];
        while self.signals.read(&mut drained).is_ok_and(|read| read > 0) {}
        let Some(status) = processes::reap(self.pid) else {
            return;
        };
        self.status = Some(status);
        self.survivors += processes::kill_all();
    }

    /// Passes on what one of the outputs has.
    fn pass(&mut self, n: usize, buffer: &mut [u8]) -> Result<(), String> {
        let Some(stream) = &mut self.streams[n] else {
            return Ok(());
        };
        let Some(pipe) = &mut stream.pipe else {
            return Ok(());
        };
        match pipe.read(buffer) {
            Ok(0) => stream.pipe = None,
            Ok(read) => {
                stream.took(&buffer[..read]);
                self.channel
                    .post(stream.kind, &buffer[..read])
                    .map_err(lost)?;
                self.unacknowledged = true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Nobody has the other end of a terminal open any more.
            Err(error) if error.raw_os_error() == Some(libc::EIO) => stream.pipe = None,
            Err(error) => return Err(format!("read the command's output: {error}")),
        }
        Ok(())
    }

    /// Takes what the host sent: an acknowledgement, input, or the end of the command's time.
    fn hear(&mut self) -> Result<(), String> {
        match self.channel.take().map_err(lost)? {
            Frame::Acknowledged => {
                self.unacknowledged = false;
                return Ok(());
            }
            Frame::Message(Arrived::Bytes(bytes)) => {
                let Some(input) = &mut self.input else {
                    return self.channel.acknowledge().map_err(lost);
                };
                input.take(bytes, self.terminal.as_ref());
                if !input.write() {
                    // It is acknowledged when the command has taken all of it.
                    return Ok(());
                }
            }
            Frame::Message(Arrived::Json(text)) => match serde_json::from_slice(&text) {
                Ok(FromHost::Kill { seconds }) => {
                    if self.status.is_none() {
                        self.timed_out = Some(seconds);
                    }
                    self.survivors += processes::kill_all();
                }
                Ok(FromHost::CloseStdout) => self.close(0)?,
                Ok(FromHost::CloseStderr) => self.close(1)?,
                Ok(FromHost::Resize { window }) => {
                    if let Some(terminal) = &self.terminal {
                        terminal.resize(window);
                    }
                }
                _ => return Err("expected input for the command, received a message".into()),
            },
        }
        self.channel.acknowledge().map_err(lost)
    }

    /// Closes one of the outputs, as a reader that goes away does. A terminal is closed as a whole.
    fn close(&mut self, n: usize) -> Result<(), String> {
        if let Some(stream) = &mut self.streams[n] {
            stream.pipe = None;
        }
        if self.terminal.take().is_none() {
            return Ok(());
        }
        match self.input.take() {
            // The host waits until the command has taken it.
            Some(input) if !input.pending.is_empty() => self.channel.acknowledge().map_err(lost),
            _ => Ok(()),
        }
    }
}

/// What can be done without waiting.
struct Ready {
    channel: bool,
    signals: bool,
    streams: [bool; 2],
    input: bool,
    /// What poll(2) says of the first descriptor of the watcher.
    calls: i16,
}

fn how(status: WaitStatus) -> Ended {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Ended::Exited {
            // The kernel keeps eight bits.
            status: u8::try_from(status & 0xff).unwrap_or(u8::MAX),
        },
        (None, Some(signal)) => Ended::Signaled { signal },
        (None, None) => Ended::Signaled { signal: 0 },
    }
}
