//! QEMU on this host: its program, the accelerator, the transport, and the devices of a machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::plan::PlannedKernel;
use ukci_schema::report::Choice;

use super::device::{Backend, Device, Emulated};
use super::emulator::{Emulator, find_program};
use super::error::Error;
use super::host_share::{self, Virtiofsd};
use super::interface::{Boot, Hardware};
use super::kvm::{self, Accelerator};
use super::private_dir::{self, PrivateDir};
use super::process::Process;
use super::processor;
use super::template::Place;
use super::unprivileged::{self, Root, User};
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
                Accelerated::Kvm { .. } => processor::model(),
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

    /// A machine for `boot` with this console, reached and controlled by `links`.
    pub(super) fn made_of(
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
            tsc_khz: processor::tsc_khz(),
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

#[cfg(test)]
mod tests {
    use super::{Error, checked_tool};

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
}
