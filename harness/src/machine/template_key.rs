//! What a template depends on, and its key: the digest of all of that.
//!
//! A copy runs only on the very QEMU, machine, host CPU and files that the guest was saved with.
//! Whatever differs gives another key, so that a template never has to be checked against them.

use std::io;
use std::path::{Path, PathBuf};

use ukci_schema::message::PROTOCOL;

use super::device::{Backend, Device, flags, shell};
use super::interface::Boot;
use super::kvm::{host_cpu, host_kernel};
use super::qemu::Qemu;
use super::template::SCHEMA;
use crate::arch::Accel;
use crate::catalogue::{checked_file, digest};

/// The inputs of a guest that boots like this, one sentence each, and their digest. An error names
/// the file that cannot be read.
pub(super) fn of(qemu: &Qemu, boot: &Boot) -> io::Result<(String, Vec<String>)> {
    let of_path = |path: &Path, digest: fn(&Path) -> io::Result<String>| {
        let named = |error: io::Error| {
            io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
        };
        digest(path).map_err(named)
    };
    let arch = boot.cell.arch;
    // The command with digests for files, and with the same names for what is another for each guest.
    let boot = Boot {
        kernel: boot.image.clone().into(),
        initramfs: of_path(&boot.initramfs, checked_file::digest)?.into(),
        evidence: PathBuf::new(),
        userland: boot.userland.by_digest(),
        ..boot.clone()
    };
    let machine = qemu.emulated(
        &boot,
        vec![
            Device::Qmp("qmp".into()),
            Device::SerialPort("agent".into()),
        ],
        Backend::Saved("ram".into()),
    );
    let firmware = (qemu.firmware_file(arch)).map(|path| of_path(&path, digest::of_file));
    let mut inputs = vec![
        format!("{SCHEMA}, protocol {PROTOCOL}"),
        format!("QEMU {}", qemu.identity(arch)),
        format!("firmware {}", firmware.transpose()?.unwrap_or_default()),
        format!("host CPU {}", host_cpu()),
        String::from_utf8_lossy(&shell(Path::new(""), &flags(&machine.devices(&boot))))
            .into_owned(),
    ];
    if machine.accel == Accel::Kvm {
        inputs.push(format!("host kernel {}", host_kernel()));
    }
    let mut key = digest::Hasher::default();
    for input in &inputs {
        key.field(input.as_bytes());
    }
    Ok((key.finish(), inputs))
}
