//! Starts guests: one that boots, one that boots to be saved, and a copy of a saved one.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::time::timeout;
use ukci_schema::verdict::{Fault, Stage};

use super::device::{Backend, Device, flags, shell};
use super::evidence_file::create;
use super::host_share::{self, VIRTIOFSD};
use super::interface::Boot;
use super::migration;
use super::private_dir::PrivateDir;
use super::process::{Process, Rights};
use super::qemu::Qemu;
use super::qemu_guest::{Beside, LAST_WORDS, QEMU_LOG, QemuGuest, Running, VSOCK_LOG};
use super::qmp::Qmp;
use super::template::Template;
use super::unprivileged::Handed;
use super::vhost_user::VhostUserVsock;
use crate::arch::platform;
use crate::console::{CONSOLE_LOG, Follower, TEMPLATE_CONSOLE_LOG, last_line};
use crate::transport::{Listener, Transport, VHOST_DEVICE_VSOCK};

/// The command that was run.
const COMMAND: &str = "command.txt";

/// Longest time until QEMU has made its devices and answers over QMP, or has restored a guest. Each
/// takes 30 to 70 ms.
const ANSWER: Duration = Duration::from_secs(30);

/// How often another address is tried, where a guest of another program has the one drawn.
const ADDRESSES: usize = 8;

/// Where a guest comes from.
#[derive(Clone, Copy, Debug)]
enum Origin<'a> {
    /// It boots.
    Boot,
    /// It boots with its memory in this file, to be saved.
    BootInto(&'a Path),
    /// It is a copy.
    Template(&'a Template),
}

impl Origin<'_> {
    /// How its agent reaches the host. A guest with vhost-user-vsock cannot be saved.
    fn link(self, machine: &Qemu, boot: &Boot) -> Transport {
        match self {
            Self::Boot => machine.link(&boot.no_driver_for),
            Self::BootInto(_) | Self::Template(_) => Transport::VirtioSerial,
        }
    }

    fn memory(self, link: Transport) -> Backend {
        match self {
            Self::Boot if link == Transport::VhostUserVsock => Backend::Shared,
            Self::Boot => Backend::Private,
            Self::BootInto(file) => Backend::Saved(file.to_owned()),
            Self::Template(template) => Backend::Copied(template.ram()),
        }
    }
}

/// Starts a guest.
pub(super) async fn guest(machine: &Qemu, boot: Boot) -> Result<QemuGuest, Fault> {
    let boot = absolute(boot)?;
    if let Some(template) = &boot.template {
        template.check().map_err(fault)?;
        return start(machine, &boot, Origin::Template(template)).await;
    }
    let transport = Origin::Boot.link(machine, &boot);
    for _ in 1..ADDRESSES {
        match start(machine, &boot, Origin::Boot).await {
            Err(fault) if transport == Transport::VhostVsock && is_taken(&fault) => {}
            done => return done,
        }
    }
    start(machine, &boot, Origin::Boot).await
}

/// Starts a guest whose memory is in the file `ram`, which QEMU makes.
pub(super) async fn to_be_saved(
    machine: &Qemu,
    boot: Boot,
    ram: &Path,
) -> Result<QemuGuest, Fault> {
    start(machine, &absolute(boot)?, Origin::BootInto(ram)).await
}

/// QEMU runs in our directory, but `command.txt` is run in the reader's.
fn absolute(mut boot: Boot) -> Result<Boot, Fault> {
    for path in [&mut boot.kernel, &mut boot.initramfs, &mut boot.evidence] {
        *path = std::path::absolute(&*path)
            .map_err(|error| fault(format!("cannot resolve `{}`: {error}", path.display())))?;
    }
    Ok(boot)
}

/// Whether QEMU found its vsock address in use. In its words: `vhost-vsock: unable to set guest
/// cid: Address already in use`.
fn is_taken(fault: &Fault) -> bool {
    fault.headline.contains("unable to set guest cid")
}

async fn start(machine: &Qemu, boot: &Boot, origin: Origin<'_>) -> Result<QemuGuest, Fault> {
    let arch = boot.cell.arch;
    let emulator = machine
        .emulator(arch)
        .ok_or_else(|| fault(format!("no QEMU for {arch} was looked for on this host")))?;
    let mut user = machine.user(arch).ok();
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
    let transport = origin.link(machine, boot);
    let (listener, link) = match transport {
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
        Transport::Serial => {
            let listener = Listener::serial(&dir.agent()).map_err(listening)?;
            prelude.extend_from_slice(listen_by_hand(&dir.agent()).as_bytes());
            let device = platform(arch).serial_line;
            (
                listener,
                Device::SerialLine {
                    device,
                    path: dir.agent(),
                },
            )
        }
    };
    let (shared, link_of_files) = if boot.userland.host_root {
        let shared = machine.share_files(arch, &dir, &boot.evidence).await;
        let (process, device) = shared.map_err(fault)?;
        (Some(process), Some(device))
    } else {
        (None, None)
    };
    let monitor = UnixListener::bind(dir.qmp()).map_err(listening)?;
    prelude.extend(match origin {
        Origin::Template(template) => restore_by_hand(&dir, template),
        Origin::Boot | Origin::BootInto(_) => listen_by_hand(&dir.qmp()).into_bytes(),
    });
    prelude.extend_from_slice(b"sleep 1\n");

    let links: Vec<Device> = [Device::Qmp(dir.qmp()), link]
        .into_iter()
        .chain(link_of_files)
        .collect();
    let cannot_run =
        |error: io::Error| fault(format!("cannot run `{}`: {error}", emulator.path.display()));
    let memory = match origin.memory(transport) {
        Backend::Private if shared.is_some() => Backend::Shared,
        memory => memory,
    };
    let command_of = |boot: &Boot, memory: Backend| {
        flags(&machine.emulated(boot, links.clone(), memory).devices(boot))
    };
    let by_hand = shell(&emulator.path, &command_of(boot, memory.clone()));
    let (console, qemu_log, console_log) = evidence(boot, prelude, &by_hand)?;
    let (memory, ram) = match &mut user {
        Some(user) => {
            if let Backend::Saved(file) | Backend::Copied(file) = &memory {
                user.admit_to(file).map_err(cannot_run)?;
            }
            memory.by_descriptor().map_err(cannot_run)?
        }
        None => (memory, None),
    };
    let (handed, disk) = boot.handed_to(user.as_ref()).map_err(cannot_run)?;
    let Handed {
        command,
        mut descriptors,
    } = Handed::to(
        user.as_ref(),
        &emulator.path,
        &command_of(&handed, memory),
        &[&boot.kernel, &boot.initramfs],
        Some((&boot.evidence.join(CONSOLE_LOG), console_log)),
    )
    .map_err(cannot_run)?;
    descriptors.extend(ram.into_iter().chain(disk));
    if user.is_some() {
        dir.admit().map_err(listening)?;
    }
    let rights = Rights {
        user,
        descriptors,
        namespace: None,
    };
    let mut qemu = Process::spawn(with_log(command, qemu_log), rights)
        .await
        .map_err(cannot_run)?;
    tracing::debug!(pid = qemu.pid().as_raw_nonzero(), "QEMU starts");
    let log = boot.evidence.join(QEMU_LOG);
    let mut qmp = answer(&mut qemu, &monitor, &log).await.map_err(fault)?;
    let mut resumed = None;
    if let Origin::Template(template) = origin {
        restore(&mut qemu, &mut qmp, template, &log)
            .await
            .map_err(fault)?;
        keep_console(template, &boot.evidence);
        resumed = Some(Arc::new(template.hello().clone()));
    }
    let vsock = vhost_device_vsock.map(|process| Beside {
        process,
        program: VHOST_DEVICE_VSOCK,
        log: VSOCK_LOG,
    });
    let files = shared.map(|process| Beside {
        process,
        program: VIRTIOFSD,
        log: host_share::LOG,
    });
    let running = Running {
        qemu,
        beside: vsock.into_iter().chain(files).collect(),
        qmp,
        console: Mutex::new(console),
        evidence: boot.evidence.clone(),
    };
    Ok(QemuGuest {
        running,
        listener,
        resumed,
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
    Err(ended(qemu, log).await.unwrap_or(failed))
}

/// Has QEMU continue the guest that was saved, or says why it did not.
async fn restore(
    qemu: &mut Process,
    qmp: &mut Qmp,
    template: &Template,
    log: &Path,
) -> Result<(), String> {
    match timeout(ANSWER, migration::restore(qmp, template.state())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ended(qemu, log).await.unwrap_or_else(|| error.to_string())),
        Err(_) => Err(format!(
            "QEMU did not continue the saved guest within {} s",
            ANSWER.as_secs()
        )),
    }
}

/// How QEMU ended, and its last words. It may be about to: an exit closes the sockets a moment before
/// the process is gone.
async fn ended(qemu: &mut Process, log: &Path) -> Option<String> {
    let exit = timeout(LAST_WORDS, qemu.exited()).await.ok()?.ok()?;
    let complaint = last_line(log).map_or(String::new(), |line| format!(": {line}"));
    Some(format!(
        "QEMU {} before the guest ran{complaint}",
        exit.words()
    ))
}

/// Puts the console of the guest that was saved beside that of its copy.
fn keep_console(template: &Template, evidence: &Path) {
    let kept = fs::read(template.console())
        .and_then(|text| create(&evidence.join(TEMPLATE_CONSOLE_LOG))?.write_all(&text));
    if let Err(error) = kept {
        tracing::warn!(%error, "the console of the saved guest is not beside the evidence");
    }
}

/// The line of `command.txt` that listens in place of ukci when the file is run by hand.
fn listen_by_hand(path: &Path) -> String {
    format!("socat -u UNIX-LISTEN:{} STDOUT &\n", path.display())
}

/// The lines of `command.txt` that restore the guest in place of ukci when the file is run by hand.
fn restore_by_hand(dir: &PrivateDir, template: &Template) -> Vec<u8> {
    let (sockets, qmp) = (dir.path().display(), dir.qmp());
    let saved = template.dir().display();
    let commands = migration::by_hand(&format!("{sockets}/migration"));
    format!(
        "# The guest does not boot. It continues the one that was saved in\n\
         # {saved}\n\
         # and waits for a request. To see it boot, run the cell with --cold.\n\
         {{ printf '{commands}'; sleep 3600; }} | socat - UNIX-LISTEN:{} &\n\
         socat -u FILE:{saved}/state UNIX-CONNECT:{sockets}/migration,retry=100,interval=0.1 &\n",
        qmp.display(),
    )
    .into_bytes()
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
    fn addresses_are_drawn_afresh_above_the_reserved_ones() {
        let drawn: std::collections::BTreeSet<u32> = (0..32).map(|_| draw_cid()).collect();
        assert!(drawn.len() > 16, "{drawn:?}");
        assert!(drawn.iter().all(|cid| (1 << 16..1 << 31).contains(cid)));
    }
}
