//! One QEMU process and its helper processes: it watches, kills and reaps them.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};
use ukci_schema::message::FromGuest;

use super::interface::{Ending, Exited, Guest, NoConnection, Usage};
use super::private_dir::PrivateDir;
use super::process::{Exit, Process};
use super::qmp::Qmp;
use super::schedstat::SchedStat;
use crate::console::{CONSOLE_LOG, Follower, State, last_line};
use crate::deadline::WaitedForCpu;
use crate::timeline::CpuTime;
use crate::transport::{Listener, Stream};

/// What QEMU said.
pub(super) const QEMU_LOG: &str = "qemu.log";
/// What vhost-device-vsock said, where it said anything.
pub(super) const VSOCK_LOG: &str = "vhost-device-vsock.log";
/// How often the console file is looked at, for its length. A panic ends QEMU and is seen by that. inotify
/// would wake for each character, which is how QEMU writes a serial line.
const TICK: Duration = Duration::from_millis(50);

/// Most bytes of `console.log`. A kernel writes some 50 KB, and one that never stops writing would
/// fill the host's disk until its time is over.
const LONGEST_CONSOLE: u64 = 16 << 20;

/// After a panic on the console: how long QEMU may take to end, so that the trace is whole.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// One QEMU process and what was started for it.
#[derive(Debug)]
pub struct QemuGuest {
    // Dropped in this order: the directory goes when nobody uses it any more.
    pub(super) running: Running,
    pub(super) listener: Listener,
    /// What its agent said before it was saved, if it is a copy.
    pub(super) resumed: Option<Arc<FromGuest>>,
    pub(super) _dir: PrivateDir,
}

impl QemuGuest {
    /// Its QEMU's control connection.
    pub(super) fn qmp(&mut self) -> &mut Qmp {
        &mut self.running.qmp
    }
}

/// What runs, and the witnesses of its end.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) qemu: Process,
    pub(super) beside: Vec<Beside>,
    pub(super) qmp: Qmp,
    pub(super) console: Mutex<Follower>,
    pub(super) evidence: PathBuf,
}

/// A process that serves a device of QEMU's.
#[derive(Debug)]
pub(super) struct Beside {
    pub(super) process: Process,
    pub(super) program: &'static str,
    /// The name of the file with its complaints.
    pub(super) log: &'static str,
}

/// Cuts a log that is longer than `most`, and says so in its last line. Nobody writes to it any more.
fn cut(log: &Path, most: u64) -> io::Result<()> {
    let mut file = File::options().write(true).open(log)?;
    if file.metadata()?.len() <= most {
        return Ok(());
    }
    file.set_len(most)?;
    file.seek(SeekFrom::End(0))?;
    writeln!(file, "\n[ukci cut this file after {most} bytes]")
}

impl Running {
    /// What the console says of the kernel by now.
    fn state(&self) -> State {
        self.console
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .catch_up()
            .state()
            .clone()
    }

    /// The times of QEMU and of what runs beside it.
    fn sched_stats(&self) -> Vec<SchedStat> {
        let beside = self.beside.iter().map(|beside| &beside.process);
        [&self.qemu]
            .into_iter()
            .chain(beside)
            .filter_map(|process| SchedStat::of(process.pid()).ok())
            .collect()
    }

    /// Waits for the end, or for a sign of it. May be dropped and called again.
    async fn ended(&mut self) -> Ending {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                exit = self.qemu.exited() => return self.gone(exit).await,
                (program, log, exit) = first_exit(&mut self.beside) => {
                    return Ending::Exited(Exited {
                        program: program.to_owned(),
                        how: how(exit),
                        reason: None,
                        complaint: last_line(&self.evidence.join(log)),
                    });
                }
                _ = tick.tick() => {}
            }
            let log = self.evidence.join(CONSOLE_LOG);
            if std::fs::metadata(&log).is_ok_and(|log| log.len() > LONGEST_CONSOLE) {
                return Ending::Exited(Exited {
                    program: "QEMU".to_owned(),
                    how: format!(
                        "was stopped: the guest wrote more than {} MiB to its console",
                        LONGEST_CONSOLE >> 20
                    ),
                    reason: None,
                    complaint: None,
                });
            }
        }
    }

    /// QEMU is gone: what all the witnesses together say.
    async fn gone(&mut self, exit: io::Result<Exit>) -> Ending {
        // QEMU's last event is in the socket and so is its end, so this does not wait.
        let _ = timeout(LAST_WORDS, self.qmp.closed()).await;
        match self.state() {
            State::Panicked(line) => Ending::Panicked(line),
            State::Running => Ending::Exited(Exited {
                program: "QEMU".to_owned(),
                how: how(exit),
                reason: self.qmp.reason().map(ToOwned::to_owned),
                complaint: last_line(&self.evidence.join(QEMU_LOG)),
            }),
        }
    }
}

/// How a process ended, in words that follow its name.
fn how(exit: io::Result<Exit>) -> String {
    match exit {
        Ok(exit) => exit.words(),
        Err(error) => format!("ended, and its status cannot be read ({error})"),
    }
}

/// Waits for the end of any of these processes: the program, the name of its log, and how it ended.
/// Without a process, it waits forever.
async fn first_exit(beside: &mut [Beside]) -> (&'static str, &'static str, io::Result<Exit>) {
    let mut ends: Vec<_> = (beside.iter_mut())
        .map(|beside| {
            Box::pin(async { (beside.program, beside.log, beside.process.exited().await) })
        })
        .collect();
    std::future::poll_fn(|context| {
        let mut ready = (ends.iter_mut()).map(|end| end.as_mut().poll(context));
        ready.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

impl Guest for QemuGuest {
    type Stream = Stream;

    fn resumed(&self) -> Option<&FromGuest> {
        self.resumed.as_deref()
    }

    async fn connect(&mut self) -> Result<Stream, NoConnection> {
        let copied = self.resumed.is_some();
        let accept = async {
            if copied {
                // Its agent waits to be spoken to.
                self.listener.accept_silent().await
            } else {
                self.listener.accept().await
            }
        };
        tokio::select! {
            biased;
            stream = accept => stream.map_err(|error| {
                NoConnection::Failed(format!("cannot accept the agent's connection: {error}"))
            }),
            ending = self.running.ended() => Err(NoConnection::Ended(ending)),
        }
    }

    async fn ended(&mut self) -> Ending {
        self.running.ended().await
    }

    fn panic(&self) -> Option<String> {
        match self.running.state() {
            State::Panicked(line) => Some(line),
            State::Running => None,
        }
    }

    fn console_tail(&self) -> Vec<String> {
        let mut console = self
            .running
            .console
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        console.catch_up().excerpt()
    }

    fn stall(&self) -> Option<String> {
        let console = self.running.console.lock();
        let mut console = console.unwrap_or_else(PoisonError::into_inner);
        console.catch_up().stall().map(str::to_owned)
    }

    fn waited_for_cpu(&self) -> WaitedForCpu {
        let processes = self.running.sched_stats();
        Box::new(move || {
            let longest = processes.iter().map(SchedStat::longest_delay).max();
            longest.unwrap_or_default()
        })
    }

    fn cpu_time(&self) -> CpuTime {
        let processes = self.running.sched_stats();
        Box::new(move || processes.iter().map(SchedStat::ran).sum())
    }

    async fn stop(self) -> Usage {
        let Running {
            qemu,
            beside,
            evidence,
            ..
        } = self.running;
        let qemu = qemu.kill().await.ok();
        let mut ends = Vec::new();
        for Beside { process, log, .. } in beside {
            ends.extend(process.kill().await.ok());
            let log = evidence.join(log);
            if std::fs::metadata(&log).is_ok_and(|metadata| metadata.len() == 0) {
                // It has nothing to say unless it fails. Where it cannot be removed, it stays, empty.
                let _ = std::fs::remove_file(&log);
            }
        }
        let _ = cut(&evidence.join(CONSOLE_LOG), LONGEST_CONSOLE);
        Usage {
            cpu_seconds: qemu.iter().chain(&ends).map(|exit| exit.cpu_seconds).sum(),
            peak_kib: qemu.map_or(0, |exit| exit.peak_kib),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::evidence_file::create;

    #[test]
    fn a_link_is_replaced_and_a_long_log_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let (log, target) = (dir.path().join("log"), dir.path().join("target"));
        std::fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, &log).unwrap();
        create(&log).unwrap().write_all(b"0123456789").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"kept");
        cut(&log, 10).unwrap();
        assert_eq!(std::fs::read(&log).unwrap(), b"0123456789");
        cut(&log, 4).unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text, "0123\n[ukci cut this file after 4 bytes]\n");
    }
}
