//! One QEMU process and its helper processes: it starts, watches, kills and reaps them.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::{MissedTickBehavior, interval, timeout};
use ukci_schema::cell::Arch;
use ukci_schema::verdict::{Fault, Stage};

use super::device::{Device, flags, shell};
use super::evidence_file::create;
use super::interface::{Boot, Ending, Exited, Guest, Hardware, Machine, NoConnection, Usage};
use super::private_dir::PrivateDir;
use super::process::{Exit, Process, Rights};
use super::qemu::Qemu;
use super::qmp::Qmp;
use super::schedstat::SchedStat;
use super::unprivileged::Handed;
use super::vhost_user::VhostUserVsock;
use crate::console::{CONSOLE_LOG, Follower, State, last_line};
use crate::deadline::WaitedForCpu;
use crate::timeline::CpuTime;
use crate::transport::{Listener, Stream, Transport, VHOST_DEVICE_VSOCK};

/// What QEMU said.
const QEMU_LOG: &str = "qemu.log";
/// What vhost-device-vsock said, where it said anything.
const VSOCK_LOG: &str = "vhost-device-vsock.log";
/// The command that was run.
const COMMAND: &str = "command.txt";

/// Longest time until QEMU has made its devices and answers over QMP. It takes 30 to 70 ms.
const ANSWER: Duration = Duration::from_secs(30);

/// How often the console file is looked at. A panic ends QEMU and is seen by that, unless the
/// kernel hangs in its last words, which waits for the tick. inotify would wake for each character,
/// which is how QEMU writes a serial line.
const TICK: Duration = Duration::from_millis(50);

/// Most bytes of `console.log`. A kernel writes some 50 KB, and one that never stops writing would
/// fill the host's disk until its time is over.
const LONGEST_CONSOLE: u64 = 16 << 20;

/// After a panic on the console: how long QEMU may take to end, so that the trace is whole.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How often another address is tried, where a guest of another program has the one drawn.
const ADDRESSES: usize = 8;

impl Machine for Qemu {
    type Guest = QemuGuest;

    fn hardware(&self, arch: Arch, release: &str) -> Hardware {
        self.hardware_for(arch, release)
    }

    fn slowness(&self) -> u32 {
        // A boot is about ten times as long (0.13 s of firmware and kernel under KVM, 1.3 s
        // translated), but part of a cell is the host's work, and deadlines are generous.
        if self.translates() { 5 } else { 1 }
    }

    async fn boot(&self, boot: Boot) -> Result<QemuGuest, Fault> {
        start_at_free_address(self, boot).await
    }
}

/// One QEMU process and what was started for it.
#[derive(Debug)]
pub struct QemuGuest {
    // Dropped in this order: the directory goes when nobody uses it any more.
    running: Running,
    listener: Listener,
    _dir: PrivateDir,
}

/// What runs, and the witnesses of its end.
#[derive(Debug)]
struct Running {
    qemu: Process,
    vhost_device_vsock: Option<Process>,
    qmp: Qmp,
    console: Mutex<Follower>,
    evidence: PathBuf,
}

/// Starts a guest.
async fn start_at_free_address(machine: &Qemu, mut boot: Boot) -> Result<QemuGuest, Fault> {
    // QEMU runs in our directory, but `command.txt` is run in the reader's.
    for path in [&mut boot.kernel, &mut boot.initramfs, &mut boot.evidence] {
        *path = std::path::absolute(&*path)
            .map_err(|error| fault(format!("cannot resolve `{}`: {error}", path.display())))?;
    }
    for _ in 1..ADDRESSES {
        match start(machine, &boot).await {
            Err(fault) if machine.link() == Transport::VhostVsock && is_taken(&fault) => {}
            done => return done,
        }
    }
    start(machine, &boot).await
}

/// Whether QEMU found its vsock address in use. In its words: `vhost-vsock: unable to set guest
/// cid: Address already in use`.
fn is_taken(fault: &Fault) -> bool {
    fault.headline.contains("unable to set guest cid")
}

async fn start(machine: &Qemu, boot: &Boot) -> Result<QemuGuest, Fault> {
    let arch = boot.cell.arch;
    let emulator = machine
        .emulator(arch)
        .ok_or_else(|| fault(format!("no QEMU for {arch} was looked for on this host")))?;
    let user = machine.user(arch).ok();
    let group = user.as_ref().map(|user| user.id);
    let dir = PrivateDir::create(machine.base(), group).map_err(|error| {
        let base = machine.base().display();
        fault(format!(
            "cannot make a directory for the guest's sockets below `{base}`: {error}"
        ))
    })?;
    let listening = |error: io::Error| {
        fault(format!(
            "cannot listen below `{}`: {error}",
            dir.path().display()
        ))
    };

    let sockets = dir.path().display();
    let mut prelude =
        format!("mkdir -m 700 {sockets}\ntrap 'kill $(jobs -p); rm -r {sockets}' EXIT\n")
            .into_bytes();
    let mut vhost_device_vsock = None;
    let (listener, link) = match machine.link() {
        Transport::VhostVsock => {
            let cid = draw_cid();
            let (listener, port) = Listener::vhost_vsock(cid)
                .map_err(|error| fault(format!("cannot listen on a vsock port: {error}")))?;
            (listener, Device::VhostVsock { cid, port })
        }
        Transport::VhostUserVsock => {
            let program = machine
                .vhost_device_vsock()
                .ok_or_else(|| fault("no vhost-device-vsock was found on this host".to_owned()))?;
            let listener = Listener::vhost_user_vsock(&dir.vsock_port()).map_err(listening)?;
            let device = VhostUserVsock {
                program,
                dir: &dir,
                user: user.as_ref(),
            };
            prelude.extend_from_slice(listen_by_hand(&dir.vsock_port()).as_bytes());
            prelude.extend_from_slice(device.shell().trim_ascii_end());
            prelude.extend_from_slice(b" &\n");
            let process = device
                .start(&boot.evidence.join(VSOCK_LOG))
                .await
                .map_err(|error| fault(format!("cannot start `{}`: {error}", program.display())))?;
            tracing::debug!("vhost-device-vsock listens");
            vhost_device_vsock = Some(process);
            (listener, Device::VhostUserVsock(dir.vhost_user()))
        }
        Transport::VirtioSerial => {
            let listener = Listener::virtio_serial(&dir.agent()).map_err(listening)?;
            prelude.extend_from_slice(listen_by_hand(&dir.agent()).as_bytes());
            (listener, Device::SerialPort(dir.agent()))
        }
    };
    let monitor = UnixListener::bind(dir.qmp()).map_err(listening)?;
    prelude.extend_from_slice(listen_by_hand(&dir.qmp()).as_bytes());
    prelude.extend_from_slice(b"sleep 1\n");

    let flags = flags(&machine.emulated(boot, link, dir.qmp()).devices(boot));
    let written = evidence(boot, prelude, &shell(&emulator.path, &flags))?;
    let (console, qemu_log, console_log) = written;
    let cannot_run =
        |error: io::Error| fault(format!("cannot run `{}`: {error}", emulator.path.display()));
    let Handed {
        command,
        descriptors,
    } = Handed::to(
        user.as_ref(),
        &emulator.path,
        &flags,
        &[&boot.kernel, &boot.initramfs],
        Some((&boot.evidence.join(CONSOLE_LOG), console_log)),
    )
    .map_err(cannot_run)?;
    if user.is_some() {
        dir.admit().map_err(listening)?;
    }
    let rights = Rights { user, descriptors };
    let mut qemu = Process::spawn(with_log(command, qemu_log), rights)
        .await
        .map_err(cannot_run)?;
    tracing::debug!(pid = qemu.pid().as_raw_nonzero(), "QEMU starts");
    let qmp = answer(&mut qemu, &monitor, &boot.evidence.join(QEMU_LOG))
        .await
        .map_err(fault)?;
    let running = Running {
        qemu,
        vhost_device_vsock,
        qmp,
        console: Mutex::new(console),
        evidence: boot.evidence.clone(),
    };
    Ok(QemuGuest {
        running,
        listener,
        _dir: dir,
    })
}

/// Waits until QEMU has made its devices and answers on its control socket, or says why it ended.
async fn answer(qemu: &mut Process, monitor: &UnixListener, log: &Path) -> Result<Qmp, String> {
    let failed = tokio::select! {
        answered = timeout(ANSWER, Qmp::accept(monitor)) => match answered {
            Ok(Ok(qmp)) => return Ok(qmp),
            Ok(Err(error)) => format!("QEMU's control socket failed: {error}"),
            Err(_) => {
                let limit = ANSWER.as_secs();
                return Err(format!("QEMU did not answer on its control socket within {limit} s"));
            }
        },
        _ = qemu.exited() => "QEMU ended".to_owned(),
    };
    // An exit closes the socket a moment before the process is gone.
    match timeout(LAST_WORDS, qemu.exited()).await {
        Ok(Ok(exit)) => {
            let complaint = last_line(log)
                .map(|line| format!(": {line}"))
                .unwrap_or_default();
            Err(format!(
                "QEMU {} before the guest ran{complaint}",
                exit.words()
            ))
        }
        Ok(Err(_)) | Err(_) => Err(failed),
    }
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

/// The line of `command.txt` that listens in place of ukci when the file is run by hand.
fn listen_by_hand(path: &Path) -> String {
    format!("socat -u UNIX-LISTEN:{} STDOUT &\n", path.display())
}

/// Writes `command.txt`, and makes the files of QEMU and of the console, to follow and to write.
fn evidence(
    boot: &Boot,
    mut prelude: Vec<u8>,
    command: &[u8],
) -> Result<(Follower, File, File), Fault> {
    let at = |name: &str| boot.evidence.join(name);
    let cannot = |path: PathBuf| {
        move |error: io::Error| fault(format!("cannot write `{}`: {error}", path.display()))
    };
    prelude.extend_from_slice(command);
    let written = create(&at(COMMAND)).and_then(|mut file| file.write_all(&prelude));
    written.map_err(cannot(at(COMMAND)))?;
    let console_log = create(&at(CONSOLE_LOG)).map_err(cannot(at(CONSOLE_LOG)))?;
    let console = Follower::open(&at(CONSOLE_LOG)).map_err(cannot(at(CONSOLE_LOG)))?;
    let log = create(&at(QEMU_LOG)).map_err(cannot(at(QEMU_LOG)))?;
    Ok((console, log, console_log))
}

fn with_log(mut command: Command, log: File) -> Command {
    // One writer is enough: QEMU prints nothing on stdout, and complains on stderr.
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command
}

/// A guest address that is likely free: they are unique on the host, and 0 to 2 are taken.
fn draw_cid() -> u32 {
    let drawn = RandomState::new().hash_one(std::process::id());
    // Stays below 2^31, which some tools read as a signed number.
    u32::try_from(drawn >> 33).unwrap_or(0).max(1 << 16)
}

fn fault(headline: String) -> Fault {
    Fault::at(Stage::Boot, headline)
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
        let processes = [Some(&self.qemu), self.vhost_device_vsock.as_ref()];
        let processes = processes.into_iter().flatten();
        processes
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
                exit = exited(self.vhost_device_vsock.as_mut()) => {
                    return Ending::Exited(Exited {
                        program: VHOST_DEVICE_VSOCK.to_owned(),
                        how: how(exit),
                        reason: None,
                        complaint: last_line(&self.evidence.join(VSOCK_LOG)),
                    });
                }
                _ = tick.tick() => {}
            }
            if let State::Panicked(line) = self.state() {
                return match timeout(LAST_WORDS, self.qemu.exited()).await {
                    Ok(exit) => self.gone(exit).await,
                    Err(_) => Ending::Panicked(line),
                };
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

/// Waits for the end of a process. Without a process, it waits forever.
async fn exited(process: Option<&mut Process>) -> io::Result<Exit> {
    match process {
        Some(process) => process.exited().await,
        None => std::future::pending().await,
    }
}

impl Guest for QemuGuest {
    type Stream = Stream;

    async fn connect(&mut self) -> Result<Stream, NoConnection> {
        tokio::select! {
            biased;
            stream = self.listener.accept() => stream.map_err(|error| {
                NoConnection::Failed(format!("cannot accept the agent's connection: {error}"))
            }),
            ending = self.running.ended() => Err(NoConnection::Ended(ending)),
        }
    }

    async fn ended(&mut self) -> Ending {
        self.running.ended().await
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
            vhost_device_vsock,
            evidence,
            ..
        } = self.running;
        let qemu = qemu.kill().await.ok();
        let beside = match vhost_device_vsock {
            Some(process) => process.kill().await.ok(),
            None => None,
        };
        let _ = cut(&evidence.join(CONSOLE_LOG), LONGEST_CONSOLE);
        let log = evidence.join(VSOCK_LOG);
        if std::fs::metadata(&log).is_ok_and(|metadata| metadata.len() == 0) {
            // It has nothing to say unless it fails. Where it cannot be removed, it stays, empty.
            let _ = std::fs::remove_file(&log);
        }
        Usage {
            cpu_seconds: qemu
                .iter()
                .chain(&beside)
                .map(|exit| exit.cpu_seconds)
                .sum(),
            peak_kib: qemu.map_or(0, |exit| exit.peak_kib),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_in_use_is_known_by_qemus_words() {
        let said = "QEMU exited with status 1 before the guest ran: qemu-system-x86_64: -device \
                    vhost-vsock-pci,guest-cid=77123: vhost-vsock: unable to set guest cid: \
                    Address already in use";
        assert!(is_taken(&fault(said.to_owned())));
        assert!(!is_taken(&fault(
            "QEMU exited with status 1 before the guest ran".to_owned()
        )));
    }

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

    #[test]
    fn addresses_are_drawn_afresh_above_the_reserved_ones() {
        let drawn: std::collections::BTreeSet<u32> = (0..32).map(|_| draw_cid()).collect();
        assert!(drawn.len() > 16, "{drawn:?}");
        assert!(drawn.iter().all(|cid| (1 << 16..1 << 31).contains(cid)));
    }
}
