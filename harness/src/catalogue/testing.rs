//! What the catalogue's tests stand on: a mirror with faults, and a kernel made of a few bytes.

mod mirror;

use std::collections::BTreeMap;
use std::io::Write;

use ukci_schema::cell::Arch;
use ukci_schema::lock::{LockedKernel, Package, Provenance, Role, Verified};

use super::digest;
use super::package::tests::deb;
pub(crate) use mirror::{Mirror, Reply};

/// An ELF file with sections or segments that the caller laid out: just the header.
fn elf_header(kind: u16, segments: u16, section_offset: u64, sections: u16) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend(kind.to_le_bytes());
    elf.extend(62_u16.to_le_bytes());
    elf.extend(1_u32.to_le_bytes());
    elf.extend(0_u64.to_le_bytes());
    elf.extend((if segments > 0 { 64_u64 } else { 0 }).to_le_bytes());
    elf.extend(section_offset.to_le_bytes());
    elf.extend(0_u32.to_le_bytes());
    for half in [64, 56, segments, 64, sections, sections.saturating_sub(1)] {
        elf.extend(half.to_le_bytes());
    }
    elf
}

/// A `vmlinux` with the note by which QEMU enters it, or without.
pub(crate) fn vmlinux(release: &str, has_pvh: bool) -> Vec<u8> {
    let mut elf = elf_header(2, 1, 0, 0);
    elf.extend(4_u32.to_le_bytes());
    elf.extend(0_u32.to_le_bytes());
    for word in [120_u64, 0, 0, 24, 24, 4] {
        elf.extend(word.to_le_bytes());
    }
    for word in [4_u32, 8, if has_pvh { 18 } else { 1 }] {
        elf.extend(word.to_le_bytes());
    }
    elf.extend(b"Xen\0\0\0\0\0\0\0\0\0");
    elf.extend(format!("Linux version %s\0Linux version {release} (x@y) #1\0").into_bytes());
    elf
}

/// A `bzImage` with this payload.
pub(crate) fn bz_image(release: &str, payload: &[u8]) -> Vec<u8> {
    let mut image = vec![0; 1024];
    image[0x1f1] = 1;
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&0x20f_u16.to_le_bytes());
    image[0x20e..0x210].copy_from_slice(&0x100_u16.to_le_bytes());
    image[0x24c..0x250].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_le_bytes());
    let version = format!("{release} (x@y) #1\0");
    image[0x300..0x300 + version.len()].copy_from_slice(version.as_bytes());
    image.extend_from_slice(payload);
    image
}

/// A `bzImage` as a package has it.
pub(crate) fn vmlinuz(release: &str) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&vmlinux(release, true)).unwrap();
    bz_image(release, &gz.finish().unwrap())
}

/// A kernel module: an ELF file with a `.modinfo`.
pub(crate) fn module(depends: &str, release: &str) -> Vec<u8> {
    let modinfo = format!("license=GPL\0depends={depends}\0vermagic={release} SMP mod_unload \0");
    let names = b"\0.modinfo\0.shstrtab\0";
    let data = 64 + modinfo.len() + names.len();
    let mut elf = elf_header(1, 0, u64::try_from(data).unwrap(), 3);
    elf.extend(modinfo.as_bytes());
    elf.extend(names);
    elf.extend([0; 64]);
    for (name, kind, offset, size) in [
        (1_u32, 1_u32, 64, modinfo.len()),
        (10, 3, 64 + modinfo.len(), names.len()),
    ] {
        elf.extend(name.to_le_bytes());
        elf.extend(kind.to_le_bytes());
        for word in [0, 0, offset as u64, size as u64, 0, 1, 0] {
            elf.extend(word.to_le_bytes());
        }
    }
    elf
}

/// The one package of a kernel whose transports are modules but for `virtio_console`.
pub(crate) fn kernel_package(release: &str) -> Vec<u8> {
    let xz = |bytes: Vec<u8>| {
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&bytes).unwrap();
        xz.finish().unwrap()
    };
    let modules = format!("./usr/lib/modules/{release}");
    let kernel = format!("{modules}/kernel");
    // `hv_sock`-like: its name does not say that it is in the closure.
    let odd = xz(module("", release));
    let pci = xz(module("virtio,virtio_ring,odd-dep", release));
    let files: Vec<(String, Vec<u8>)> = vec![
        (format!("./boot/vmlinuz-{release}"), vmlinuz(release)),
        (
            format!("./boot/config-{release}"),
            b"CONFIG_BPF=y\n".to_vec(),
        ),
        (
            format!("./boot/System.map-{release}"),
            b"The real one is elsewhere\n".to_vec(),
        ),
        (
            format!("{modules}/modules.builtin"),
            b"kernel/drivers/char/virtio_console.ko\n".to_vec(),
        ),
        (format!("{kernel}/odd-dep.ko.xz"), odd),
        (
            format!("{kernel}/virtio.ko"),
            module("virtio_ring", release),
        ),
        (format!("{kernel}/virtio_pci.ko.xz"), pci),
        (format!("{kernel}/virtio_ring.ko"), module("", release)),
        (
            format!("{kernel}/vmw_vsock_virtio_transport.ko"),
            module("vsock", release),
        ),
        (format!("{kernel}/vsock.ko"), module("", release)),
        (format!("{kernel}/other.ko"), module("", release)),
    ];
    let files: Vec<(&str, &[u8])> = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    deb(&files, ".xz")
}

/// The lock's entry for such a package.
pub(crate) fn locked(release: &str, version: &str, package: &[u8]) -> LockedKernel {
    LockedKernel {
        name: "debian-12-6.1".into(),
        distro: "debian".into(),
        release: "12".into(),
        series: "6.1".into(),
        flavour: String::new(),
        arch: Arch::X86_64,
        uname: release.into(),
        packages: vec![Package {
            roles: vec![Role::Image, Role::Modules, Role::Config],
            name: format!("linux-image-{release}"),
            version: version.into(),
            archive: "debian".into(),
            path: format!("pool/linux-image-{release}.deb"),
            size: package.len() as u64,
            sha256: digest::of(package),
        }],
        provenance: Provenance {
            source: "apt-signed".into(),
            suite: "bookworm".into(),
            date: "2026-11-21".into(),
            inrelease: BTreeMap::new(),
        },
        verified: Verified::Metadata,
        verified_on: None,
    }
}
