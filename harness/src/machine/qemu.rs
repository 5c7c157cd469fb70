//! QEMU on this host: its program, the accelerator, the transport, and the devices of a machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::sync::watch;
use ukci_schema::cell::Arch;
use ukci_schema::command::WindowSize;
use ukci_schema::plan::PlannedKernel;
use ukci_schema::report::Choice;

use super::device::{self, Backend, Device, Emulated};
use super::emulator::{Emulator, find_program};
use super::error::Error;
use super::evidence_file;
use super::host_share::{self, Virtiofsd};
use super::interface::{Boot, Hardware};
use super::kvm::{self, Accelerator};
use super::private_dir::{self, PrivateDir};
use super::process::{Process, Rights};
use super::template::Place;
use super::unprivileged::{self, Handed, Root, User};
use crate::arch::{self, Accel, Accelerated};
use crate::catalogue::checked_file;
use crate::console::CONSOLE_LOG;
use crate::transport::{self, Available, Transport};

/// What the user requested.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The accelerator; `None` is `auto`.
    pub accel: Option<Accel>,
    /// The transport; `None` takes the first of vhost-vsock, vhost-user-vsock, virtio-serial and
    /// serial that this host and the kernel have.
    pub transport: Option<Transport>,
    /// The architectures that cells use.
    pub arches: Vec<Arch>,
    /// Where answers are remembered: the cache directory.
    pub cache: PathBuf,
}

/// QEMU on this host, and how it runs guests' code.
#[derive(Clone, Debug)]
pub struct Qemu {
    host: Host,
    accelerator: Accelerator,
}

/// What this host has to run guests with, whatever runs their code.
#[derive(Clone, Debug)]
struct Host {
    emulators: BTreeMap<Arch, Emulator>,
    versions: BTreeMap<Arch, String>,
    /// How guests reach the host, and why so.
    link: Transport,
    transport: Choice,
    vhost_device_vsock: Option<PathBuf>,
    /// Where guests' directories go.
    base: PathBuf,
    /// What was requested, if anything was.
    requested: Option<Transport>,
    /// The cache directory.
    cache: PathBuf,
}

impl Host {
    /// Finds the programs and decides about the transport.
    fn find(settings: &Settings) -> Result<Self, Error> {
        let mut emulators = BTreeMap::new();
        for arch in &settings.arches {
            let emulator = Emulator::find(arch::platform(*arch), &settings.cache)?;
            emulators.insert(*arch, emulator);
        }
        let tools = settings.cache.join("tools/bin");
        let vhost_device_vsock = find_program(
            "UKCI_VHOST_DEVICE_VSOCK",
            transport::VHOST_DEVICE_VSOCK,
            checked_tool(tools.join(transport::VHOST_DEVICE_VSOCK))?,
        )?;
        let available = Available::of_host(vhost_device_vsock.clone());
        let (link, transport) = available.choose(settings.transport)?;
        Ok(Self {
            versions: emulators
                .iter()
                .map(|(arch, e)| (*arch, e.banner.clone()))
                .collect(),
            emulators,
            link,
            transport,
            vhost_device_vsock,
            base: private_dir::base(unprivileged::may_draw()),
            requested: settings.transport,
            cache: settings.cache.clone(),
        })
    }
}

/// A tool of the cache, if it is the file whose digest was recorded where it was built. One without a
/// record is not used: nobody can say what it is.
fn checked_tool(path: PathBuf) -> Result<Option<PathBuf>, Error> {
    let Ok(recorded) = std::fs::read_to_string(path.with_added_extension("sha256")) else {
        return Ok(None);
    };
    match checked_file::digest(&path) {
        Ok(found) if found == recorded.trim() => Ok(Some(path)),
        Ok(found) => Err(Error::ToolChanged { path, found }),
        Err(_) => Ok(None),
    }
}

impl Qemu {
    /// Finds the programs, and decides about accelerator and transport. Also removes what runs
    /// that were killed have left behind.
    ///
    /// `probe` is a kernel of the host's architecture that a time-boxed boot under KVM is tried
    /// with, unless the answer is remembered.
    pub async fn detect(settings: Settings, probe: Option<Boot>) -> Result<Self, Error> {
        let host = Host::find(&settings)?;
        let swept = private_dir::sweep(&host.base);
        let half = Place::of(&host.cache).sweep();
        if half > 0 {
            tracing::info!(half, "removed half-made templates of runs that were killed");
        }
        if swept > 0 {
            tracing::info!(swept, "removed directories of guests whose ukci was killed");
        }
        let native = arch::host().and_then(|arch| host.emulators.get(&arch));
        let under = |accelerator| Self {
            host: host.clone(),
            accelerator,
        };
        let decided = kvm::decide(settings.accel, native, &settings.cache, probe, under).await?;
        Ok(under(decided))
    }

    /// The accelerator, and why.
    pub fn accel(&self) -> &Choice {
        &self.accelerator.choice
    }

    /// The transport, and why.
    pub fn transport(&self) -> &Choice {
        &self.host.transport
    }

    /// How QEMU and the vsock device are confined on this host: `full` if all of it holds, `partial`
    /// otherwise, and what does hold.
    pub fn confinement(&self) -> Choice {
        let mut held =
            "no new privileges, an environment and descriptors of its own, no core files"
                .to_owned();
        let mut lacks = Vec::new();
        let arches = || self.host.emulators.iter();
        let without: Vec<&str> = arches()
            .filter(|(_, emulator)| !emulator.sandbox)
            .map(|(arch, _)| arch.name())
            .collect();
        if without.is_empty() {
            held.insert_str(0, "a seccomp sandbox, ");
        } else {
            let without = without.join(" and ");
            lacks.push(format!("QEMU for {without} was built without seccomp"));
        }
        let root = arches().find_map(|(arch, _)| self.user(*arch).err()?.words());
        if let Some(why) = root {
            lacks.push(format!(
                "it runs as root, without root's capabilities but for reading and writing any \
                 file, because {why}"
            ));
        } else if rustix::process::geteuid().is_root() {
            held.push_str(", a user without an account for each guest");
        }
        let name = if lacks.is_empty() { "full" } else { "partial" };
        lacks.insert(0, held);
        Choice {
            name: name.to_owned(),
            why: lacks.join("; "),
        }
    }

    /// The user that a guest's processes run as.
    pub(super) fn user(&self, arch: Arch) -> Result<User, Root> {
        let mut devices = Vec::new();
        if self.accelerated(arch) != Accelerated::Tcg {
            devices.push(arch::KVM_DEVICE);
        }
        if self.host.link == Transport::VhostVsock {
            devices.push(transport::VHOST_VSOCK_DEVICE);
        }
        let program = self.emulator(arch).map(|emulator| emulator.path.as_path());
        User::draw(program.unwrap_or(Path::new("")), &devices)
    }

    /// `QEMU emulator version …`, by architecture.
    pub fn versions(&self) -> &BTreeMap<Arch, String> {
        &self.host.versions
    }

    /// Boots a machine whose console is our own standard input and output, and waits for its end,
    /// in words: `exited with status 0`. The guest is told whenever the window has another size.
    /// Dropping the future kills it.
    pub async fn boot_on_terminal(
        &self,
        boot: &Boot,
        window: watch::Receiver<WindowSize>,
    ) -> Result<String, Error> {
        let platform = arch::platform(boot.cell.arch);
        let emulator = self.emulator(boot.cell.arch).ok_or(Error::NoQemu {
            program: platform.qemu,
            package: platform.package,
        })?;
        let failed = |source| Error::Run {
            program: emulator.path.clone(),
            source,
        };
        let terminal = Device::Terminal {
            name: platform.console,
            log: boot.evidence.join(CONSOLE_LOG),
        };
        let user = self.user(boot.cell.arch).ok();
        let group = user.as_ref().map(|user| user.id);
        let dir = PrivateDir::create(self.base(), group).map_err(failed)?;
        let listener = UnixListener::bind(dir.agent()).map_err(failed)?;
        let mut links = vec![Device::SerialPort(dir.agent())];
        let mut memory = Backend::Private;
        // It ends with this function.
        let mut _files = None;
        if boot.userland.host_root {
            let arch = boot.cell.arch;
            let shared = self.share_files(arch, &dir, &boot.evidence).await;
            let (process, device) = shared.map_err(Error::Share)?;
            links.push(device);
            memory = Backend::Shared;
            _files = Some(process);
        }
        if user.is_some() {
            dir.admit().map_err(failed)?;
        }
        let machine = self.made_of(boot, terminal, links, memory);
        let (userland, disk) = match &user {
            Some(_) => boot.userland.by_descriptor().map_err(failed)?,
            None => (boot.userland.clone(), None),
        };
        let handed = Boot {
            userland,
            ..boot.clone()
        };
        let log = boot.evidence.join(CONSOLE_LOG);
        let written = evidence_file::create(&log).map_err(failed)?;
        let Handed {
            command,
            mut descriptors,
        } = Handed::to(
            user.as_ref(),
            &emulator.path,
            &device::flags(&machine.devices(&handed)),
            &[&boot.kernel, &boot.initramfs],
            Some((&log, written)),
        )
        .map_err(failed)?;
        descriptors.extend(disk);
        let rights = Rights {
            user,
            descriptors,
            namespace: None,
        };
        let process = Process::spawn_on_terminal(command, rights).await;
        let mut process = process.map_err(failed)?;
        let exit = tokio::select! {
            exit = process.exited() => exit,
            () = tell_sizes(&listener, window) => process.exited().await,
        };
        Ok(exit.map_err(failed)?.words())
    }

    /// Starts what reads this host's files for a guest. Returns it with the guest's device, or says why
    /// there is none, and what to do instead.
    pub(super) async fn share_files(
        &self,
        arch: Arch,
        dir: &PrivateDir,
        evidence: &Path,
    ) -> Result<(Process, Device), String> {
        let cannot = |error: &dyn std::fmt::Display| {
            format!(
                "cannot share this host's files with the guest: {error}; use `--rootfs` instead of \
                 `--host-root`"
            )
        };
        let virtiofsd = Virtiofsd::find().map_err(|error| cannot(&error))?;
        let user = self.user(arch);
        let listener = std::os::unix::net::UnixListener::bind(dir.files());
        let listener = listener.map_err(|error| cannot(&error))?;
        let log = evidence.join(host_share::LOG);
        let started = virtiofsd.start(
            user.as_ref().map_err(|why| *why),
            listener,
            dir.path(),
            &log,
        );
        let process = started.await.map_err(|error| cannot(&error))?;
        Ok((process, Device::HostFiles(dir.files())))
    }

    /// The QEMU of an architecture that [`Settings::arches`] had.
    pub(super) fn emulator(&self, arch: Arch) -> Option<&Emulator> {
        self.host.emulators.get(&arch)
    }

    /// How guests of a kernel without these drivers reach the host. What was requested stays.
    pub(super) fn link(&self, no_driver_for: &[String]) -> Transport {
        match self.host.requested {
            Some(requested) => requested,
            None => self.host.link.served(no_driver_for),
        }
    }

    /// The program, where this host has it.
    pub(super) fn vhost_device_vsock(&self) -> Option<&Path> {
        self.host.vhost_device_vsock.as_deref()
    }

    /// Where guests' directories go.
    pub(super) fn base(&self) -> &Path {
        &self.host.base
    }

    /// What a guest of this kernel runs on.
    pub(super) fn hardware_for(&self, kernel: &PlannedKernel) -> Hardware {
        let (arch, release) = (kernel.arch, &kernel.release);
        Hardware {
            accel: self.accelerated(arch).accel().name().to_owned(),
            cpu: self.cpu(arch, release),
            transport: self.link(&kernel.no_driver_for).name().to_owned(),
            emulator: self.host.versions.get(&arch).cloned().unwrap_or_default(),
            processor: match self.accelerated(arch) {
                Accelerated::Kvm { .. } => host_processor(),
                Accelerated::Tcg => String::new(),
            },
        }
    }

    /// How much longer than on bare hardware everything takes.
    pub(super) fn slowdown(&self) -> u32 {
        let mut arches = self.host.emulators.keys();
        let translates = arches.any(|arch| self.accelerated(*arch) == Accelerated::Tcg);
        // A boot is about ten times as long (0.13 s of firmware and kernel under KVM, 1.3 s
        // translated), but part of a cell is the host's work, and deadlines are generous.
        if translates { 5 } else { 1 }
    }

    /// The transport that was requested.
    pub(super) fn requested_link(&self) -> Option<Transport> {
        self.host.requested
    }

    /// The cache directory.
    pub(super) fn cache(&self) -> &Path {
        &self.host.cache
    }

    /// What tells the QEMU of an architecture from any other.
    pub(super) fn identity(&self, arch: Arch) -> String {
        self.emulator(arch).map_or(String::new(), |emulator| {
            format!("{} {}", emulator.sha256, emulator.banner)
        })
    }

    /// The firmware of an architecture's machines, where ukci names one.
    pub(super) fn firmware_file(&self, arch: Arch) -> Option<PathBuf> {
        let name = arch::platform(arch).firmware?;
        let data = self.emulator(arch)?.data.iter();
        data.map(|dir| dir.join(name)).find(|path| path.is_file())
    }

    /// A machine for `boot`, reached and controlled by `links`, with this memory.
    pub(super) fn emulated(&self, boot: &Boot, links: Vec<Device>, memory: Backend) -> Emulated {
        let console = Device::Console {
            name: arch::platform(boot.cell.arch).console,
            log: boot.evidence.join(CONSOLE_LOG),
        };
        self.made_of(boot, console, links, memory)
    }

    fn made_of(
        &self,
        boot: &Boot,
        console: Device,
        links: Vec<Device>,
        memory: Backend,
    ) -> Emulated {
        let arch = boot.cell.arch;
        let platform = arch::platform(arch);
        Emulated {
            platform,
            accel: self.accelerated(arch).accel(),
            cpu: self.cpu(arch, &boot.release),
            firmware: self
                .emulator(arch)
                .and_then(|e| e.firmware(platform.firmware)),
            sandbox: self.emulator(arch).is_some_and(|e| e.sandbox),
            tsc_khz: host_tsc_khz(),
            console,
            links,
            memory,
        }
    }

    /// How guests of an architecture run: KVM only runs the host's own.
    fn accelerated(&self, arch: Arch) -> Accelerated<'_> {
        match &self.accelerator.cpu {
            Some(cpu) if arch::host() == Some(arch) => Accelerated::Kvm { cpu },
            _ => Accelerated::Tcg,
        }
    }

    fn cpu(&self, arch: Arch, release: &str) -> String {
        let version = self
            .emulator(arch)
            .map_or(arch::Version(0, 0), Emulator::version);
        arch::cpu_model(arch, &self.accelerated(arch), version, release)
    }
}

/// Tells a guest the size of the window, and each that follows it, in a line each. Ends if the guest
/// cannot be told any more, which does no harm.
async fn tell_sizes(listener: &UnixListener, mut window: watch::Receiver<WindowSize>) {
    let Ok((mut guest, _)) = listener.accept().await else {
        return;
    };
    loop {
        let WindowSize { columns, rows } = *window.borrow_and_update();
        let line = format!("{columns}x{rows}\n");
        if guest.write_all(line.as_bytes()).await.is_err() || window.changed().await.is_err() {
            return;
        }
    }
}

/// The model of this host's processor: what `/proc/cpuinfo` says of the first one, without what
/// changes from moment to moment or differs between the cores.
fn host_processor() -> String {
    static PROCESSOR: OnceLock<String> = OnceLock::new();
    let read = || processor(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default());
    PROCESSOR.get_or_init(read).clone()
}

fn processor(cpuinfo: &str) -> String {
    const OF_THE_MODEL: &[&str] = &[
        // x86: the microcode adds and hides features.
        "vendor_id",
        "cpu family",
        "model",
        "model name",
        "stepping",
        "microcode",
        "flags",
        // arm64
        "Features",
        "CPU implementer",
        "CPU architecture",
        "CPU variant",
        "CPU part",
        "CPU revision",
        // riscv64
        "isa",
        "mmu",
        "uarch",
        "mvendorid",
        "marchid",
        "mimpid",
    ];
    let first = cpuinfo.split("\n\n").next().unwrap_or_default();
    let lines = first.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.trim(), value.trim());
        OF_THE_MODEL
            .contains(&name)
            .then(|| format!("{name}: {value}"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The rate of this host's time stamp counter in kHz, if it is an x86 one that never stops. The
/// kernel states it as `bogomips`, which is twice the rate in MHz where the TSC is the delay timer.
fn host_tsc_khz() -> Option<u32> {
    if arch::host() != Some(Arch::X86_64) {
        return None;
    }
    tsc_khz(&std::fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn tsc_khz(cpuinfo: &str) -> Option<u32> {
    let value = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
        line.split_once(':').map(|(_, value)| value.trim())
    };
    let flags = value("flags")?;
    if !["constant_tsc", "nonstop_tsc"]
        .iter()
        .all(|flag| flags.split(' ').any(|f| f == *flag))
    {
        return None;
    }
    let (whole, part) = value("bogomips")?.split_once('.')?;
    let hundredths: u32 = format!("{whole}{part:0<2}").parse().ok()?;
    // Hundredths of bogomips are 10 kHz of bogomips, and 5 of the counter.
    hundredths.checked_mul(5).filter(|khz| *khz > 100_000)
}

#[cfg(test)]
mod tests {
    use super::{Error, checked_tool, processor, tsc_khz};

    #[test]
    fn a_processor_is_its_model_and_not_its_momentary_clock() {
        let of = |mhz: &str, model: &str| {
            let core = format!(
                "processor\t: 0\nmodel name\t: {model}\ncpu MHz\t\t: {mhz}\nflags\t\t: fpu avx\n\n"
            );
            processor(&core.repeat(2))
        };
        assert_eq!(of("2600.0", "Xeon"), "model name: Xeon\nflags: fpu avx");
        assert_eq!(of("2600.0", "Xeon"), of("3100.5", "Xeon"));
        assert_ne!(of("2600.0", "Xeon"), of("2600.0", "EPYC"));
        assert_eq!(processor(""), "");
    }

    #[test]
    fn a_tool_runs_only_as_it_was_built() {
        let dir = tempfile::tempdir().unwrap();
        let tool = dir.path().join("vhost-device-vsock");
        assert_eq!(checked_tool(tool.clone()).unwrap(), None);
        std::fs::write(&tool, "built").unwrap();
        assert_eq!(
            checked_tool(tool.clone()).unwrap(),
            None,
            "without a record"
        );
        let digest = crate::catalogue::digest::of(b"built");
        std::fs::write(dir.path().join("vhost-device-vsock.sha256"), digest + "\n").unwrap();
        assert_eq!(checked_tool(tool.clone()).unwrap().as_ref(), Some(&tool));
        std::fs::write(&tool, "other").unwrap();
        let error = checked_tool(tool).unwrap_err();
        assert!(matches!(error, Error::ToolChanged { .. }), "{error}");
    }

    #[test]
    fn the_hosts_counter_is_read_where_it_never_stops() {
        let cpuinfo = "flags\t\t: fpu constant_tsc nonstop_tsc\nbogomips\t: 5192.26\n";
        assert_eq!(tsc_khz(cpuinfo), Some(2_596_130));
        assert_eq!(
            tsc_khz("flags : fpu constant_tsc\nbogomips : 5192.26\n"),
            None
        );
        assert_eq!(
            tsc_khz("flags : constant_tsc nonstop_tsc\nbogomips : ?\n"),
            None
        );
        assert_eq!(tsc_khz(""), None);
    }
}
