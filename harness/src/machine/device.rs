//! QEMU's command as a list of values.
//!
//! Each [`Device`] has its QEMU arguments and the kernel arguments that it needs. No flag is
//! written anywhere else. The snapshots beside the tests show whole commands.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use ukci_schema::cell::Arch;
use ukci_schema::message::SERIAL_PORT;
use ukci_schema::userland::host_root::TAG;
use ukci_schema::userland::root_image::SERIAL;

use super::interface::Boot;
use crate::arch::{Accel, Platform};

/// Neither old system calls, nor other rights, nor processes, nor priorities: a machine needs none of
/// them once it runs.
pub(super) const SANDBOX: &str =
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny";

/// A part of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// The machine type, without QEMU's default devices.
    Board(&'static Platform),
    /// How guest code runs.
    Accelerator {
        /// What runs it.
        accel: Accel,
        /// Whose code it is.
        arch: Arch,
        /// The virtual CPUs that run it.
        cpus: u32,
    },
    /// The rate in kHz of the host's time stamp counter, which translated guests read.
    HostTsc(u32),
    /// Virtual CPUs.
    Cpus {
        /// QEMU's `-cpu`.
        model: String,
        /// How many; two are slower than one under TCG.
        count: u32,
    },
    /// Guest memory.
    Memory {
        /// In MiB.
        mib: u32,
        /// What it is made of.
        backend: Backend,
    },
    /// The guest does not boot: its state comes over QMP.
    Incoming,
    /// Firmware: a file in QEMU's data directories.
    Firmware(&'static str),
    /// What is booted.
    Kernel {
        /// The image.
        image: PathBuf,
        /// The initramfs.
        initramfs: PathBuf,
    },
    /// The serial console, written to a file.
    Console {
        /// As the kernel names it.
        name: &'static str,
        /// The file, which QEMU truncates.
        log: PathBuf,
    },
    /// The serial console on QEMU's own standard streams, for a person.
    Terminal {
        /// As the kernel names it.
        name: &'static str,
        /// The file that keeps what was shown.
        log: PathBuf,
    },
    /// A kernel that fails ends QEMU.
    DieOnPanic,
    /// No boot-time self-tests of the kernel's ciphers.
    NoCryptoTests,
    /// What QEMU's process may not do, by seccomp.
    Sandbox,
    /// QEMU's control socket: the host listens there and QEMU dials.
    Qmp(PathBuf),
    /// vsock through the host's kernel.
    VhostVsock {
        /// The guest's address.
        cid: u32,
        /// The port on which the host listens for this guest.
        port: u32,
    },
    /// vsock through a vhost-user process that listens on this socket.
    VhostUserVsock(PathBuf),
    /// A virtio-serial port: the host listens on this socket and QEMU dials.
    SerialPort(PathBuf),
    /// A UART beside the console: the host listens on this socket and QEMU dials.
    SerialLine {
        /// QEMU's device.
        device: &'static str,
        /// The socket.
        path: PathBuf,
    },
    /// A network card whose connections QEMU makes as its own user.
    UserNetwork,
    /// A disk that cannot be written, with the image of a root file system.
    RootDisk(PathBuf),
    /// This host's files, which a vhost-user process reads that listens on this socket.
    HostFiles(PathBuf),
    /// Kernel arguments of the plan.
    KernelArguments(Vec<String>),
}

/// What a guest's memory is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// QEMU's own pages.
    Private,
    /// Pages that another process maps too, as a vhost-user device does. Were they private, the
    /// guest's writes would go to copies that the process never sees, and the connection would hang
    /// without an error.
    Shared,
    /// A file that has the guest's memory when it is saved.
    Saved(PathBuf),
    /// The memory of a saved guest, copied page by page as this guest writes.
    Copied(PathBuf),
}

impl Backend {
    /// The same by the number of a descriptor, which QEMU's process has to get: its user may not
    /// reach the file by its path, and opens it again.
    pub(super) fn by_descriptor(self) -> io::Result<(Self, Option<OwnedFd>)> {
        let open = |path: &Path| -> io::Result<(PathBuf, OwnedFd)> {
            let fd = OwnedFd::from(File::open(path)?);
            Ok((format!("/proc/self/fd/{}", fd.as_raw_fd()).into(), fd))
        };
        Ok(match self {
            Self::Private | Self::Shared => (self, None),
            Self::Saved(path) => {
                let (path, fd) = open(&path)?;
                (Self::Saved(path), Some(fd))
            }
            Self::Copied(path) => {
                let (path, fd) = open(&path)?;
                (Self::Copied(path), Some(fd))
            }
        })
    }
}

impl Device {
    fn describe(&self, line: &mut Line) {
        match self {
            Self::Board(platform) => {
                line.machine.insert(0, platform.machine.to_owned());
                // Without `-nodefaults` QEMU adds a disk controller, a network card and a VGA
                // card, which the kernel then probes.
                line.flag("-nodefaults");
                line.flag("-no-user-config");
                line.option("-display", "none");
                line.kernel
                    .extend(platform.kernel.iter().map(ToString::to_string));
            }
            Self::Accelerator { accel, arch, cpus } => {
                match accel {
                    Accel::Kvm => line.option("-accel", accel.name()),
                    Accel::Tcg => {
                        // Without a size, QEMU takes 1 GiB for translated code. A boot fills 44 MiB
                        // of it and takes as long with 32, and a copy of a saved guest fills 25.
                        let mut value = format!("{},tb-size=32", accel.name());
                        // Code for several threads is slower: its atomic operations and barriers
                        // are the host's. A CPU that never starts needs no thread.
                        if *cpus == 1 {
                            value.push_str(",thread=single");
                        }
                        line.option("-accel", value);
                    }
                }
                // A vCPU that the host keeps waiting misses the ticks with which an x86 kernel
                // checks that its timer works: 1 of 20 boots, ten at once on two busy cores,
                // panicked with "IO-APIC + timer doesn't work". KVM guests skip it by themselves.
                if (*accel, *arch) == (Accel::Tcg, Arch::X86_64) {
                    line.kernel("no_timer_check");
                }
            }
            Self::HostTsc(khz) => {
                // Translated code reads the host's counter. The guest measures its rate against
                // the PIT, and a host that is busy in those 50 ms gives it a rate far too low: its
                // clock then runs many times too fast, and healthy CPUs look locked up.
                line.kernel(format!("tsc_early_khz={khz}"));
                // A vCPU that the host keeps waiting is no lockup before 2 × 60 s.
                line.kernel("watchdog_thresh=60");
            }
            Self::Cpus { model, count } => {
                line.option("-cpu", model);
                // With one possible CPU, the verifier knows from 6.6 on that
                // `bpf_get_smp_processor_id` is 0, and does not look at code for other CPUs. So there
                // is a second one, which the kernel never starts.
                line.option("-smp", (*count).max(2).to_string());
                if *count == 1 {
                    line.kernel("maxcpus=1");
                }
            }
            Self::Memory { mib, backend } => {
                line.option("-m", mib.to_string());
                let object: OsString = match backend {
                    Backend::Private => return,
                    Backend::Shared => {
                        format!("memory-backend-memfd,id=ram,size={mib}M,share=on").into()
                    }
                    Backend::Saved(file) | Backend::Copied(file) => {
                        // Without `share`, the guest's writes go to pages of its own, and the file
                        // stays as it was saved.
                        let share = match backend {
                            Backend::Saved(_) => "on",
                            _ => "off",
                        };
                        let start = format!(
                            "memory-backend-file,id=ram,size={mib}M,share={share},mem-path="
                        );
                        with_path(&start, file)
                    }
                };
                line.machine.push("memory-backend=ram".to_owned());
                line.option("-object", object);
            }
            Self::Incoming => line.option("-incoming", "defer"),
            Self::Firmware(name) => line.option("-bios", *name),
            Self::Kernel { image, initramfs } => {
                line.option("-kernel", image);
                line.option("-initrd", initramfs);
            }
            Self::Console { name, log } => {
                line.option("-chardev", with_path("file,id=console,path=", log));
                line.option("-serial", "chardev:console");
                line.kernel(format!("console={name}"));
                // `quiet` is level 4, which hides KERN_WARNING and so the first line of every
                // WARN. Level 5 shows them and costs nothing that can be measured.
                line.kernel("loglevel=5");
            }
            Self::Terminal { name, log } => {
                // `mux` is what makes Ctrl-A X end QEMU; Ctrl-C is the guest's.
                let stdio = "stdio,id=console,mux=on,signal=off,logfile=";
                line.option("-chardev", with_path(stdio, log));
                line.option("-serial", "chardev:console");
                line.kernel(format!("console={name}"));
                // Only a dying kernel may write between a person's lines.
                line.kernel("loglevel=1");
            }
            Self::DieOnPanic => {
                // The kernel resets at once after a panic, and a reset ends QEMU: with status 0,
                // as a power-off does.
                line.flag("-no-reboot");
                line.kernel("panic=-1");
                // What a kernel says after an oops is worth nothing.
                line.kernel("oops=panic");
            }
            // A fifth of a boot's time under TCG.
            Self::NoCryptoTests => line.kernel("cryptomgr.notests"),
            Self::Sandbox => line.option("-sandbox", SANDBOX),
            Self::Qmp(path) => {
                line.option("-chardev", with_path("socket,id=qmp,path=", path));
                line.option("-mon", "chardev=qmp,mode=control");
            }
            Self::VhostVsock { cid, port } => {
                // The address is unique on the host: QEMU exits with status 1 where it is taken.
                line.option("-device", format!("vhost-vsock-pci,guest-cid={cid}"));
                line.kernel("ukci.transport=vsock");
                // The host's ports are shared by all its guests, so each guest has its own.
                line.kernel(format!("ukci.port={port}"));
            }
            Self::VhostUserVsock(path) => {
                line.option("-chardev", with_path("socket,id=vsock,path=", path));
                line.option("-device", "vhost-user-vsock-pci,chardev=vsock");
                line.kernel("ukci.transport=vsock");
            }
            Self::SerialPort(path) => {
                line.option("-device", "virtio-serial-pci,id=serial");
                line.option("-chardev", with_path("socket,id=agent,path=", path));
                // Port 0 is reserved for a console.
                line.option(
                    "-device",
                    format!("virtserialport,bus=serial.0,nr=1,chardev=agent,name={SERIAL_PORT}"),
                );
                line.kernel("ukci.transport=serial");
            }
            Self::SerialLine { device, path } => {
                line.option("-chardev", with_path("socket,id=agent,path=", path));
                line.option("-device", format!("{device},chardev=agent"));
                line.kernel("ukci.transport=uart");
            }
            Self::UserNetwork => {
                // Without IPv6 no program waits for answers that never come: few hosts have a route.
                line.option("-netdev", "user,id=net,ipv6=off");
                // No option ROM: it is in a package of its own, and nothing boots from this card.
                line.option("-device", "virtio-net-pci,netdev=net,romfile=");
            }
            Self::RootDisk(path) => {
                // Several guests read the same image, which nobody writes to: no lock is needed.
                let image = "driver=raw,node-name=root,read-only=on,file.driver=file,\
                             file.read-only=on,file.locking=off,file.filename=";
                line.option("-blockdev", with_path(image, path));
                line.option(
                    "-device",
                    format!("virtio-blk-pci,drive=root,serial={SERIAL}"),
                );
            }
            Self::HostFiles(path) => {
                line.option("-chardev", with_path("socket,id=files,path=", path));
                line.option(
                    "-device",
                    format!("vhost-user-fs-pci,chardev=files,tag={TAG}"),
                );
            }
            Self::KernelArguments(arguments) => line.kernel.extend(arguments.iter().cloned()),
        }
    }
}

/// What a machine is made of, beside what it boots.
#[derive(Debug)]
pub(super) struct Emulated {
    pub(super) platform: &'static Platform,
    pub(super) accel: Accel,
    pub(super) cpu: String,
    pub(super) firmware: Option<&'static str>,
    /// Whether this QEMU has seccomp.
    pub(super) sandbox: bool,
    /// The rate of the host's time stamp counter, where it is known.
    pub(super) tsc_khz: Option<u32>,
    pub(super) console: Device,
    /// How it is reached and controlled.
    pub(super) links: Vec<Device>,
    /// What its memory is made of.
    pub(super) memory: Backend,
}

impl Emulated {
    /// All its devices, in the order of their flags.
    pub(super) fn devices(&self, boot: &Boot) -> Vec<Device> {
        let mut devices = vec![
            Device::Board(self.platform),
            Device::Accelerator {
                accel: self.accel,
                arch: self.platform.arch,
                cpus: boot.cpus,
            },
            Device::Cpus {
                model: self.cpu.clone(),
                count: boot.cpus,
            },
            Device::Memory {
                mib: boot.memory,
                backend: self.memory.clone(),
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
        if self.sandbox {
            devices.push(Device::Sandbox);
        }
        devices.extend(self.links.iter().cloned());
        devices.extend(boot.userland.devices());
        devices.push(Device::KernelArguments(boot.cmdline.clone()));
        if matches!(self.memory, Backend::Copied(_)) {
            devices.push(Device::Incoming);
        }
        devices
    }
}

/// `prefix` and a path in the syntax of QEMU's options, where a comma is written twice.
pub(super) fn with_path(prefix: &str, path: &Path) -> OsString {
    let mut value = prefix.as_bytes().to_vec();
    for byte in path.as_os_str().as_bytes() {
        value.push(*byte);
        if *byte == b',' {
            value.push(b',');
        }
    }
    OsString::from_vec(value)
}

/// QEMU's command line in the making.
#[derive(Debug, Default)]
struct Line {
    machine: Vec<String>,
    flags: Vec<Flag>,
    kernel: Vec<String>,
}

/// A flag of QEMU's, and its value if it takes one.
pub type Flag = (&'static str, Option<OsString>);

impl Line {
    fn flag(&mut self, flag: &'static str) {
        self.flags.push((flag, None));
    }

    fn option(&mut self, flag: &'static str, value: impl Into<OsString>) {
        self.flags.push((flag, Some(value.into())));
    }

    fn kernel(&mut self, argument: impl Into<String>) {
        self.kernel.push(argument.into());
    }
}

/// QEMU's flags for a machine of these devices.
pub fn flags(devices: &[Device]) -> Vec<Flag> {
    let mut line = Line::default();
    for device in devices {
        device.describe(&mut line);
    }
    let mut flags = vec![("-machine", Some(line.machine.join(",").into()))];
    flags.append(&mut line.flags);
    flags.push(("-append", Some(line.kernel.join(" ").into())));
    flags
}

/// A command as a shell takes it, with one flag per line.
pub fn shell(program: &Path, flags: &[Flag]) -> Vec<u8> {
    let mut text = quote(program.as_os_str());
    for (flag, value) in flags {
        text.extend_from_slice(b" \\\n  ");
        text.extend_from_slice(flag.as_bytes());
        if let Some(value) = value {
            text.push(b' ');
            text.append(&mut quote(value));
        }
    }
    text.push(b'\n');
    text
}

/// A word in single quotes, unless it is plain.
fn quote(word: &OsStr) -> Vec<u8> {
    let bytes = word.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=,:@%".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return bytes.to_vec();
    }
    let mut quoted = vec![b'\''];
    for byte in bytes {
        match byte {
            b'\'' => quoted.extend_from_slice(b"'\\''"),
            byte => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests;
