//! QEMU on this host: where it is, how guest code runs, how the agent reaches us, and what a
//! machine is made of.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use ukci_schema::cell::Arch;
use ukci_schema::report::Choice;
use ukci_schema::verdict::Fault;

use super::device::{self, Device};
use super::guest;
use super::process::Process;
use super::program::{self, Emulator};
use super::{Boot, Hardware, Machine, accel, private_dir};
use crate::arch::{self, Accelerated, Platform};
use crate::transport::{self, Offer};

pub use super::accel::Accel;
pub use super::guest::QemuGuest;
pub use crate::transport::Transport;

/// What the user asked for.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The accelerator; `None` is `auto`.
    pub accel: Option<Accel>,
    /// The transport; `None` takes the first usable of vhost-vsock, vhost-user-vsock,
    /// virtio-serial.
    pub transport: Option<Transport>,
    /// The architectures that cells use.
    pub arches: Vec<Arch>,
    /// Where answers are remembered: the cache directory.
    pub cache: PathBuf,
}

/// This host cannot run machines, or not as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no QEMU for an architecture.
    #[error("find the program `{program}`")]
    NoQemu {
        /// Its name.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// An environment variable names what cannot be run.
    #[error("run `{path}`, which `{variable}` names: it is not an executable file")]
    NotAProgram {
        /// The variable.
        variable: &'static str,
        /// What it names.
        path: PathBuf,
    },
    /// A program could not be started.
    #[error("run `{program}`")]
    Run {
        /// Which.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program is not the QEMU that it should be.
    #[error("learn the version of `{program}`: it said `{said}`")]
    NotQemu {
        /// Which.
        program: PathBuf,
        /// What it said instead.
        said: String,
    },
    /// KVM was asked for and its device does not open.
    #[error("open `{}` for the accelerator kvm", accel::KVM)]
    OpenKvm {
        /// Why.
        source: io::Error,
    },
    /// KVM was asked for and no kernel boots on it.
    #[error("boot a kernel under the accelerator kvm: {attempts}")]
    Kvm {
        /// What each attempt came to.
        attempts: String,
    },
    /// KVM was asked for and can run no cell.
    #[error("use the accelerator kvm: no cell is of this host's architecture")]
    KvmArch,
    /// The transport that was asked for is not to be had.
    #[error(transparent)]
    Transport(#[from] transport::Unusable),
}

impl Error {
    /// An action that may help.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoQemu { package, .. } => Some(format!("`apt-get install {package}`")),
            Self::OpenKvm { source } if source.kind() == io::ErrorKind::PermissionDenied => Some(
                format!("join the group that owns `{}`, often kvm", accel::KVM),
            ),
            Self::OpenKvm { .. } | Self::Kvm { .. } | Self::KvmArch => {
                Some("`--accel auto` falls back to tcg, which runs everywhere".to_owned())
            }
            Self::Transport(unusable) => Some(unusable.hint()),
            Self::NotAProgram { variable, .. } => {
                Some(format!("name another one by `{variable}`, or unset it"))
            }
            Self::NotQemu { program, .. } | Self::Run { program, .. } => {
                let of = |arch: &Arch| program.ends_with(arch::platform(*arch).qemu);
                let arch = Arch::ALL.into_iter().find(of).unwrap_or(Arch::X86_64);
                let variable = arch::platform(arch).variable;
                Some(format!("name another one, e.g. by `{variable}`"))
            }
        }
    }
}

/// QEMU on this host.
#[derive(Clone, Debug)]
pub struct Qemu {
    accel: Choice,
    transport: Choice,
    versions: BTreeMap<Arch, String>,
    emulators: BTreeMap<Arch, Emulator>,
    /// With KVM: the CPU model that a kernel booted on.
    kvm: Option<String>,
    pub(super) link: Transport,
    pub(super) vhost_device_vsock: Option<PathBuf>,
    /// Where guests' directories go.
    pub(super) base: PathBuf,
}

impl Qemu {
    /// Finds the programs, and decides about accelerator and transport. Also removes what runs
    /// that were killed have left behind.
    ///
    /// `probe` is a kernel of the host's architecture that a time-boxed boot under KVM is tried
    /// with, unless the answer is remembered.
    pub async fn detect(settings: Settings, probe: Option<Boot>) -> Result<Self, Error> {
        let base = private_dir::base();
        let swept = private_dir::sweep(&base);
        if swept > 0 {
            tracing::info!(swept, "removed directories of guests whose ukci was killed");
        }
        let mut emulators = BTreeMap::new();
        for arch in &settings.arches {
            emulators.insert(
                *arch,
                Emulator::find(arch::platform(*arch), &settings.cache)?,
            );
        }
        let vhost_device_vsock = program::program(
            "UKCI_VHOST_DEVICE_VSOCK",
            transport::VHOST_DEVICE_VSOCK,
            Some(
                settings
                    .cache
                    .join("tools/bin")
                    .join(transport::VHOST_DEVICE_VSOCK),
            ),
        )?;
        let (link, transport) =
            Offer::of_host(vhost_device_vsock.clone()).choose(settings.transport)?;
        let mut qemu = Self {
            accel: Choice::default(),
            transport,
            versions: emulators
                .iter()
                .map(|(arch, e)| (*arch, e.banner.clone()))
                .collect(),
            emulators,
            kvm: None,
            link,
            vhost_device_vsock,
            base,
        };
        let decision = accel::decide(settings.accel, &qemu, &settings.cache, probe).await?;
        qemu.accel = decision.choice;
        qemu.kvm = decision.cpu;
        Ok(qemu)
    }

    /// The accelerator, and why.
    pub fn accel(&self) -> &Choice {
        &self.accel
    }

    /// The transport, and why.
    pub fn transport(&self) -> &Choice {
        &self.transport
    }

    /// `QEMU emulator version …`, by architecture.
    pub fn versions(&self) -> &BTreeMap<Arch, String> {
        &self.versions
    }

    /// The QEMU of an architecture that [`Settings::arches`] had.
    pub(super) fn emulator(&self, arch: Arch) -> Option<&Emulator> {
        self.emulators.get(&arch)
    }

    /// Boots a machine whose console is our own standard input and output, and waits for its end,
    /// in words: `exited with status 0`. Dropping the future kills it.
    pub async fn sit_at(&self, boot: &Boot) -> Result<String, Error> {
        let arch = boot.cell.arch;
        let emulator = self.emulator(arch).ok_or(Error::NoQemu {
            program: arch::platform(arch).qemu,
            package: arch::platform(arch).package,
        })?;
        let failed = |source| Error::Run {
            program: emulator.path.clone(),
            source,
        };
        let mut command = Command::new(&emulator.path);
        for (flag, value) in device::flags(&self.seated(boot).devices(boot)) {
            command.arg(flag).args(value);
        }
        let process = Process::spawn_on_terminal(command).await;
        let exit = process.map_err(failed)?.exited().await.map_err(failed)?;
        Ok(exit.words())
    }

    /// The same under KVM, with this CPU model.
    pub(super) fn accelerated(&self, cpu: &str) -> Self {
        Self {
            kvm: Some(cpu.to_owned()),
            ..self.clone()
        }
    }

    /// How guests of an architecture run: KVM only runs the host's own.
    fn accelerated_for(&self, arch: Arch) -> Accelerated<'_> {
        match &self.kvm {
            Some(cpu) if arch::host() == Some(arch) => Accelerated::Kvm { cpu },
            _ => Accelerated::Tcg,
        }
    }

    fn cpu(&self, arch: Arch, release: &str) -> String {
        let version = self
            .emulator(arch)
            .map_or(arch::Version(0, 0), Emulator::version);
        arch::cpu_model(arch, &self.accelerated_for(arch), version, release)
    }

    /// A machine for `boot`, reached by `link`.
    pub(super) fn emulated(&self, boot: &Boot, link: Device, qmp: PathBuf) -> Emulated {
        let platform = arch::platform(boot.cell.arch);
        let console = Device::Console {
            name: platform.console,
            log: boot.evidence.join(guest::CONSOLE_LOG),
        };
        self.made_of(boot, console, vec![Device::Qmp(qmp), link])
    }

    /// A machine for `boot` that a person sits at.
    pub(super) fn seated(&self, boot: &Boot) -> Emulated {
        let platform = arch::platform(boot.cell.arch);
        let terminal = Device::Terminal {
            name: platform.console,
            log: boot.evidence.join(guest::CONSOLE_LOG),
        };
        self.made_of(boot, terminal, Vec::new())
    }

    fn made_of(&self, boot: &Boot, console: Device, links: Vec<Device>) -> Emulated {
        let arch = boot.cell.arch;
        let platform = arch::platform(arch);
        Emulated {
            platform,
            accel: self.accelerated_for(arch).accel(),
            cpu: self.cpu(arch, &boot.release),
            firmware: self
                .emulator(arch)
                .and_then(|e| e.firmware(platform.firmware)),
            tsc_khz: host_tsc_khz(),
            console,
            links,
        }
    }
}

impl Machine for Qemu {
    type Guest = QemuGuest;

    fn hardware(&self, arch: Arch, release: &str) -> Hardware {
        Hardware {
            accel: self.accelerated_for(arch).accel().name().to_owned(),
            cpu: self.cpu(arch, release),
            transport: self.link.name().to_owned(),
        }
    }

    fn slowness(&self) -> u32 {
        // A boot is about ten times as long (0.13 s of firmware and kernel under KVM, 1.3 s
        // translated), but part of a cell is the host's work, and deadlines are generous.
        let translates = self
            .emulators
            .keys()
            .any(|arch| self.accelerated_for(*arch) == Accelerated::Tcg);
        if translates { 5 } else { 1 }
    }

    async fn boot(&self, boot: Boot) -> Result<QemuGuest, Fault> {
        guest::boot(self, boot).await
    }
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

/// What a machine is made of, beside what it boots.
#[derive(Debug)]
pub(super) struct Emulated {
    pub(super) platform: &'static Platform,
    pub(super) accel: Accel,
    pub(super) cpu: String,
    pub(super) firmware: Option<&'static str>,
    /// The rate of the host's time stamp counter, where it is known.
    pub(super) tsc_khz: Option<u32>,
    pub(super) console: Device,
    /// How it is reached and controlled.
    pub(super) links: Vec<Device>,
}

impl Emulated {
    /// The whole list.
    pub(super) fn devices(&self, boot: &Boot) -> Vec<Device> {
        let shared = |link: &Device| matches!(link, Device::VhostUserVsock(_));
        let mut devices = vec![
            Device::Board(self.platform),
            Device::Accelerator(self.accel, self.platform.arch),
            Device::Cpus {
                model: self.cpu.clone(),
                count: boot.cpus,
            },
            Device::Memory {
                mib: boot.memory,
                shared: self.links.iter().any(shared),
            },
        ];
        if (self.accel, self.platform.arch) == (Accel::Tcg, Arch::X86_64) {
            devices.extend(self.tsc_khz.map(Device::HostTsc));
        }
        devices.extend(self.firmware.map(Device::Firmware));
        devices.extend([
            Device::Kernel {
                image: boot.kernel.clone(),
                initramfs: boot.initramfs.clone(),
            },
            self.console.clone(),
            Device::DieOnPanic,
            Device::NoCryptoTests,
        ]);
        devices.extend(self.links.iter().cloned());
        devices.push(Device::KernelArguments(boot.cmdline.clone()));
        devices
    }
}

#[cfg(test)]
mod tests {
    use super::tsc_khz;

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
