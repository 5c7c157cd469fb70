//! Architectures as data: what QEMU and the kernel call things on each of them.
//!
//! There is one [`Platform`] per row. Which CPU a guest sees is decided by [`cpu_model`] and nowhere else,
//! because the CPU model can fake or hide a kernel bug.

use ukci_schema::cell::Arch;

/// An architecture in QEMU's and Debian's words.
#[derive(Debug, PartialEq, Eq)]
pub struct Platform {
    /// The architecture, in our own words.
    pub arch: Arch,
    /// QEMU's binary.
    pub qemu: &'static str,
    /// Environment variable that names another one.
    pub variable: &'static str,
    /// The Debian package that has it.
    pub package: &'static str,
    /// QEMU's machine type and its options: a PCI machine, so that stock kernels find its devices
    /// (their `VIRTIO_MMIO_CMDLINE_DEVICES` is off).
    pub machine: &'static str,
    /// The serial console as the kernel names it.
    pub console: &'static str,
    /// The UART beside the console. It needs no driver but that of the 8250, which has it built in
    /// wherever there is a console of that kind or PCI.
    pub serial_line: &'static str,
    /// Firmware that starts faster than QEMU's own choice, looked for in QEMU's data directories.
    pub firmware: Option<&'static str>,
    /// The form of kernel image that `-kernel` boots fastest.
    pub image: Image,
    /// Kernel arguments that only this architecture needs.
    pub kernel: &'static [&'static str],
}

/// A form of kernel image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    /// An uncompressed ELF with a PVH note. A `bzImage` boots too, and unpacks itself for 0.8 CPU
    /// seconds under TCG.
    Vmlinux,
    /// The raw `Image` of arm64 and riscv64.
    Raw,
}

/// The rows, in the order of [`Arch::ALL`].
const PLATFORMS: [Platform; 3] = [
    Platform {
        arch: Arch::X86_64,
        qemu: "qemu-system-x86_64",
        variable: "UKCI_QEMU_X86_64",
        package: "qemu-system-x86",
        // Not microvm: under TCG on a busy host its PIT calibration fails and the guest hangs for
        // ever (QEMU 7.2), or hangs each time in ACPI (10.0 and 11.1).
        machine: "q35,usb=off,sata=off,smbus=off",
        console: "ttyS0",
        // The second port of a PC, which needs no PCI.
        serial_line: "isa-serial,index=1",
        firmware: Some("qboot.rom"),
        image: Image::Vmlinux,
        // A triple fault resets at once; the default tries ACPI and the keyboard controller first.
        kernel: &["reboot=t"],
    },
    Platform {
        arch: Arch::Aarch64,
        qemu: "qemu-system-aarch64",
        variable: "UKCI_QEMU_AARCH64",
        package: "qemu-system-arm",
        // The default, a GICv2, ends at 8 CPUs, and KVM on a host with a GICv3 may not have one.
        // `max` is a GICv3 under TCG, at the same cost, and what the host has under KVM.
        machine: "virt,gic-version=max",
        console: "ttyAMA0",
        // `virt` has one PL011.
        serial_line: "pci-serial",
        firmware: None,
        image: Image::Raw,
        kernel: &[],
    },
    Platform {
        arch: Arch::Riscv64,
        qemu: "qemu-system-riscv64",
        variable: "UKCI_QEMU_RISCV64",
        package: "qemu-system-misc",
        machine: "virt",
        console: "ttyS0",
        serial_line: "pci-serial",
        firmware: None,
        image: Image::Raw,
        kernel: &[],
    },
];

/// The row of an architecture.
pub const fn platform(arch: Arch) -> &'static Platform {
    match arch {
        Arch::X86_64 => &PLATFORMS[0],
        Arch::Aarch64 => &PLATFORMS[1],
        Arch::Riscv64 => &PLATFORMS[2],
    }
}

/// The architecture of this host, if cells can have it.
pub fn host() -> Option<Arch> {
    std::env::consts::ARCH.parse().ok()
}

/// The CPU a guest sees: QEMU's `-cpu`.
///
/// `qemu` is QEMU's version, `release` the kernel's `uname -r`. Under KVM the model is the one a
/// kernel was seen to boot on, so it is not decided here but handed in with `accel`.
///
/// On x86 under TCG two defects pull in opposite directions:
///
/// - QEMU 7.2's `cmpxchg16b` now and then corrupts a guest's flags: 6.12 guests crashed in 7 of 70
///   boots on a busy host and in none of 70 without cx16; QEMU 10.0 and 11.1 never did.
/// - From 6.19 BPF task storage allocates with `kmalloc_nolock`, which needs `cmpxchg16b`: without
///   cx16 `bpf_task_storage_get` returns NULL, a bug of the CPU model and not of the kernel.
///
/// So cx16 goes away only on a QEMU that corrupts and a kernel known not to need it. A release
/// that says nothing keeps it: a crash is an Error, a faked kernel bug would be a wrong verdict.
pub fn cpu_model(arch: Arch, accel: &Accelerated<'_>, qemu: Version, release: &str) -> String {
    match (arch, accel) {
        (_, Accelerated::Kvm { cpu }) => (*cpu).to_owned(),
        (Arch::X86_64, Accelerated::Tcg) => {
            let corrupts = qemu < Version(8, 0);
            let needs_cx16 = kernel_version(release).is_none_or(|kernel| kernel >= Version(6, 19));
            if corrupts && !needs_cx16 {
                "qemu64,-cx16".to_owned()
            } else {
                "qemu64".to_owned()
            }
        }
        // `max` is three times slower: it translates pointer authentication. The A57 lacks what servers
        // have: LSE atomics (ARMv8.1), without which the JIT refuses atomics in an arena, and pages of
        // 16 KiB (`TGran16` of its `ID_AA64MMFR0_EL1`), without which such a kernel is silent for ever.
        // The A76 has both and is as fast. QEMU has it since 7.1.
        (Arch::Aarch64, Accelerated::Tcg) if qemu < Version(7, 1) && !release.ends_with("-16k") => {
            "cortex-a57".to_owned()
        }
        (Arch::Aarch64, Accelerated::Tcg) => "cortex-a76".to_owned(),
        (Arch::Riscv64, Accelerated::Tcg) => "rv64".to_owned(),
    }
}

/// What runs the code of guests: QEMU's `-accel`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accel {
    /// KVM: the host's CPU runs it.
    Kvm,
    /// TCG: QEMU translates it.
    Tcg,
}

impl Accel {
    /// QEMU's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// KVM's device.
pub const KVM_DEVICE: &str = "/dev/kvm";

/// How a guest's code runs, and with KVM on which CPU model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accelerated<'a> {
    /// In hardware, on the model that a probe kernel booted on.
    Kvm {
        /// QEMU's `-cpu`.
        cpu: &'a str,
    },
    /// Translated.
    Tcg,
}

impl Accelerated<'_> {
    /// The bare accelerator.
    pub const fn accel(&self) -> Accel {
        match self {
            Self::Kvm { .. } => Accel::Kvm,
            Self::Tcg => Accel::Tcg,
        }
    }
}

/// Major and minor version, of QEMU or of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// The version of `uname -r`: 6.12 of `6.12.117+deb13-cloud-amd64`, 7.3 of `7.3-cloud-amd64` and
/// of `7.3-rc7`.
pub fn kernel_version(release: &str) -> Option<Version> {
    let (major, rest) = release.split_once('.')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    Some(Version(major.parse().ok()?, rest[..digits].parse().ok()?))
}

/// The version in the first line of `qemu --version`, e.g. 7.2 of
/// `QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)`.
pub fn qemu_version(line: &str) -> Option<Version> {
    kernel_version(line.split_once("version ")?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcg(qemu: &str, release: &str) -> String {
        let qemu = qemu_version(&format!("QEMU emulator version {qemu} (Debian)")).unwrap();
        cpu_model(Arch::X86_64, &Accelerated::Tcg, qemu, release)
    }

    #[test]
    fn every_arch_has_its_own_row() {
        for arch in Arch::ALL {
            assert_eq!(platform(arch).arch, arch);
        }
    }

    #[test]
    fn cx16_goes_only_where_qemu_corrupts_and_the_kernel_does_without() {
        assert_eq!(tcg("7.2.22", "5.10.0-46-cloud-amd64"), "qemu64,-cx16");
        assert_eq!(tcg("7.2.22", "6.12.117+deb13-cloud-amd64"), "qemu64,-cx16");
        assert_eq!(tcg("7.2.22", "6.18.9"), "qemu64,-cx16");
        assert_eq!(tcg("7.2.22", "6.19.0"), "qemu64");
        assert_eq!(tcg("7.2.22", "7.3-cloud-amd64"), "qemu64");
        assert_eq!(tcg("10.0.13", "6.12.117+deb13-cloud-amd64"), "qemu64");
        assert_eq!(tcg("7.2.22", "vmlinux"), "qemu64");
    }

    #[test]
    fn arm64_gets_a_cpu_with_lse_and_large_pages_where_qemu_has_one() {
        let cpu = |minor, release| {
            cpu_model(Arch::Aarch64, &Accelerated::Tcg, Version(7, minor), release)
        };
        assert_eq!(cpu(2, "6.12.118+deb13-arm64"), "cortex-a76");
        assert_eq!(cpu(0, "6.12.118+deb13-arm64"), "cortex-a57");
        assert_eq!(cpu(0, "6.12.118+deb13-arm64-16k"), "cortex-a76");
    }

    #[test]
    fn kvm_takes_the_model_that_was_seen_to_boot() {
        let kvm = Accelerated::Kvm { cpu: "max" };
        assert_eq!(cpu_model(Arch::X86_64, &kvm, Version(7, 2), "6.1.0"), "max");
    }

    #[test]
    fn releases_are_read_whatever_follows_the_minor_version() {
        assert_eq!(
            kernel_version("6.12.117+deb13-cloud-amd64"),
            Some(Version(6, 12))
        );
        assert_eq!(kernel_version("7.3-cloud-amd64"), Some(Version(7, 3)));
        assert_eq!(kernel_version("7.3-rc7"), Some(Version(7, 3)));
        assert_eq!(kernel_version("6.10"), Some(Version(6, 10)));
        assert_eq!(kernel_version("bzImage"), None);
        assert_eq!(kernel_version("6."), None);
    }
}
