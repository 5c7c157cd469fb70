//! Starts the command, passes what it writes to the host as it comes, and what the host sends to
//! its standard input.
//!
//! Both directions are paced by acknowledgements: nothing is read from the command while the host
//! has not taken what came before, and the host is answered when the command has taken what it
//! sent. So a command that floods waits as it would for a slow terminal.
#![expect(
    unsafe_code,
    reason = "poll(2), and what a child does before it starts"
)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, WaitStatus};
use ukci_guest::channel::{Arrived, Frame};
use ukci_schema::command::{Command, CommandEvidence, Ended, Stdin};
use ukci_schema::message::{FRAME_LIMIT, FrameKind, FromGuest, FromHost};

use super::{processes, refused};
use crate::{HostChannel, lost, system};

/// Bytes kept of the end of each stream.
const TAIL: usize = 4096;

/// How long the pipes of a command that has ended may stay open: everything that could hold them
/// was killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the command to its end.
pub(super) fn run(channel: &mut HostChannel, command: &Command) -> Result<CommandEvidence, String> {
    let mut seen = CommandEvidence {
        arguments: command.arguments.clone(),
        expected_status: command.expected_status,
        ..CommandEvidence::default()
    };
    let signals =
        processes::ended_children().map_err(|error| format!("watch for its end: {error}"))?;
    let began = Instant::now();
    let child = match start(command) {
        Ok(child) => child,
        Err(error) => {
            seen.ended = Ended::NotStarted {
                errno: error.raw_os_error().unwrap_or(0),
                why: refused(command, &error),
            };
            say_ended(channel)?;
            return Ok(seen);
        }
    };
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or("the command has no process id")?;
    let running = Running {
        channel: &mut *channel,
        signals,
        pid,
        streams: [
            child
                .stdout
                .map(|pipe| Stream::new(FrameKind::Stdout, pipe.into())),
            child
                .stderr
                .map(|pipe| Stream::new(FrameKind::Stderr, pipe.into())),
        ],
        input: child
            .stdin
            .map(|pipe| Input::new(pipe.into()))
            .transpose()?,
        unacknowledged: false,
        status: None,
        timed_out: None,
        survivors: 0,
    };
    let Finished {
        streams,
        ended,
        survivors,
    } = running.finish()?;
    say_ended(channel)?;
    let [stdout, stderr] = streams;
    (seen.stdout_bytes, seen.stdout_tail) = stdout;
    (seen.stderr_bytes, seen.stderr_tail) = stderr;
    seen.ended = ended;
    seen.left_running = survivors;
    seen.micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(seen)
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

/// Starts it in a session of its own.
fn start(command: &Command) -> io::Result<Child> {
    let mut process = Process::new(&command.program);
    process
        .env_clear()
        .envs(&command.environment)
        .current_dir(&command.workdir)
        .stdin(match command.stdin {
            Stdin::Empty => Stdio::null(),
            Stdin::File { .. } | Stdin::Stream => Stdio::piped(),
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let [own, rest @ ..] = command.arguments.as_slice() {
        process.arg0(own).args(rest);
    }
    if let Some(user) = command.user {
        process.uid(user.uid).gid(user.gid);
    }
    let limits = system::limits_at_boot();
    // SAFETY: between fork and exec only system calls are made.
    unsafe {
        process.pre_exec(move || {
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&raw mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
            libc::umask(0o022);
            libc::setsid();
            system::restore_limits(limits);
            Ok(())
        });
    }
    process.spawn()
}

/// One of the two outputs, until it ends.
struct Stream {
    kind: FrameKind,
    pipe: Option<File>,
    bytes: u64,
    tail: Vec<u8>,
}

impl Stream {
    fn new(kind: FrameKind, pipe: OwnedFd) -> Self {
        Self {
            kind,
            pipe: Some(File::from(pipe)),
            bytes: 0,
            tail: Vec::new(),
        }
    }

    fn took(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.tail.extend_from_slice(bytes);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }

    /// How many bytes there were, and the last of them, from the beginning of a line if any begins
    /// there.
    fn end(&self) -> (u64, String) {
        let mut tail = &self.tail[self.tail.len().saturating_sub(TAIL)..];
        if self.bytes > tail.len() as u64
            && let Some(line) = tail.iter().position(|byte| *byte == b'\n')
        {
            tail = &tail[line + 1..];
        }
        (self.bytes, String::from_utf8_lossy(tail).into_owned())
    }
}

/// The way to the command's standard input.
struct Input {
    pipe: Option<File>,
    /// What the host sent and the command has not taken yet.
    pending: Vec<u8>,
    /// Nothing comes after it.
    ends: bool,
}

impl Input {
    fn new(pipe: OwnedFd) -> Result<Self, String> {
        // Its other end, which the command reads, stays as it is.
        let flags = fcntl_getfl(&pipe).map_err(|error| format!("open its input: {error}"))?;
        fcntl_setfl(&pipe, flags | OFlags::NONBLOCK)
            .map_err(|error| format!("open its input: {error}"))?;
        Ok(Self {
            pipe: Some(File::from(pipe)),
            pending: Vec::new(),
            ends: false,
        })
    }

    /// Writes what the command takes now. Returns whether all of it is gone: a command that has
    /// closed its input takes everything.
    fn write(&mut self) -> bool {
        while let Some(pipe) = &mut self.pipe {
            if self.pending.is_empty() {
                if self.ends {
                    self.pipe = None;
                }
                break;
            }
            match pipe.write(&self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.pipe = None,
            }
        }
        self.pending.clear();
        true
    }
}

/// A command that runs, or whose output is not all sent yet.
struct Running<'a> {
    channel: &'a mut HostChannel,
    signals: File,
    pid: Pid,
    streams: [Option<Stream>; 2],
    input: Option<Input>,
    /// Whether the host has not taken yet what was sent last.
    unacknowledged: bool,
    status: Option<WaitStatus>,
    timed_out: Option<u64>,
    survivors: u32,
}

struct Finished {
    streams: [(u64, String); 2],
    ended: Ended,
    survivors: u32,
}

impl Running<'_> {
    fn finish(mut self) -> Result<Finished, String> {
        let mut buffer = vec![0; FRAME_LIMIT];
        let mut over = None;
        loop {
            let ready = self.wait(over)?;
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
        let [stdout, stderr] = self.streams;
        let end = |stream: Option<Stream>| stream.map_or((0, String::new()), |s| s.end());
        Ok(Finished {
            streams: [end(stdout), end(stderr)],
            ended,
            survivors: self.survivors,
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
        let mut watched = [
            watch(self.channel.stream().as_raw_fd(), libc::POLLIN),
            watch(self.signals.as_raw_fd(), libc::POLLIN),
            watch(output(0), libc::POLLIN),
            watch(output(1), libc::POLLIN),
            watch(input.map_or(-1, AsRawFd::as_raw_fd), libc::POLLOUT),
        ];
        let patience = if over.is_some() { 1000 } else { -1 };
        loop {
            // SAFETY: the array and its length are right, and outlive the call.
            let ready = unsafe { libc::poll(watched.as_mut_ptr(), 5, patience) };
            if ready >= 0 {
                break;
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(format!("wait for the command: {error}"));
            }
        }
        let [channel, signals, stdout, stderr, input] = watched.map(|one| one.revents != 0);
        Ok(Ready {
            channel,
            signals,
            streams: [stdout, stderr],
            input,
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
                input.ends |= bytes.is_empty();
                input.pending = bytes;
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
                _ => return Err("expected input for the command, received a message".into()),
            },
        }
        self.channel.acknowledge().map_err(lost)
    }
}

/// What can be done without waiting.
struct Ready {
    channel: bool,
    signals: bool,
    streams: [bool; 2],
    input: bool,
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

#[cfg(test)]
mod tests {
    use ukci_schema::message::FrameKind;

    use super::{Input, Stream, TAIL};

    #[test]
    fn the_end_of_a_stream_begins_with_a_line() {
        let (_keep, pipe) = std::io::pipe().unwrap();
        let mut stream = Stream::new(FrameKind::Stdout, pipe.into());
        for n in 0..5000 {
            stream.took(format!("line {n}\n").as_bytes());
        }
        let (bytes, tail) = stream.end();
        assert_eq!(bytes, 48890);
        assert!(tail.len() <= TAIL && tail.ends_with("line 4999\n"));
        assert!(tail.starts_with("line "), "{tail}");
    }

    #[test]
    fn input_that_nobody_reads_waits_and_input_that_was_closed_is_dropped() {
        let (reader, writer) = std::io::pipe().unwrap();
        let mut input = Input::new(writer.into()).unwrap();
        input.pending = vec![7; 1 << 20];
        assert!(!input.write(), "a pipe has not that much room");
        assert!(!input.pending.is_empty());
        drop(reader);
        assert!(input.write());
        assert!(input.pending.is_empty() && input.pipe.is_none());
    }
}
