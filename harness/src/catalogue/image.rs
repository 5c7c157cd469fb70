//! Converts the kernel image of a package to the form that QEMU boots fastest.
//!
//! On `x86_64` that is the uncompressed `vmlinux`, which is entered through its PVH note: a
//! `bzImage` under TCG spends 0.8 CPU seconds unpacking itself. The payload of a `bzImage` is this
//! ELF file, followed by its relocation table. The setup header of
//! `Documentation/arch/x86/boot.rst` says where it is.
//!
//! On arm64 and riscv64 it is the raw `Image`. Debian packages that file. Others wrap it, which
//! QEMU accepts only on some architectures and only in newer versions. [`wrapped`] takes it out.

mod ikconfig;
mod payload;
pub(crate) mod raw;
mod wrapped;

use ukci_schema::cell::Arch;

pub(crate) use ikconfig::config;

/// The ELF note by which a `vmlinux` says where its PVH entry is: `XEN_ELFNOTE_PHYS32_ENTRY` of
/// `include/xen/interface/elfnote.h`.
const XEN_ELFNOTE_PHYS32_ENTRY: object::elf::NoteType = object::elf::NoteType(18);

/// What QEMU's `-kernel` takes, and what `uname -r` will say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) release: String,
}

/// Makes a bootable image of `bytes`. The error is a reason that reads behind a colon.
pub(crate) fn bootable(bytes: Vec<u8>, arch: Arch) -> Result<Image, String> {
    let bytes = wrapped::unwrap(bytes)?;
    match arch {
        Arch::X86_64 => x86(bytes),
        Arch::Aarch64 | Arch::Riscv64 => raw::image(bytes, arch),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_le_bytes(bytes.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    usize::try_from(u32::from_le_bytes(bytes.try_into().ok()?)).ok()
}

const NO_RELEASE: &str = "it does not say its release";

fn x86(bytes: Vec<u8>) -> Result<Image, String> {
    if bytes.starts_with(b"\x7fELF") {
        let release = banner_release(&bytes)
            .ok_or("it is an ELF file, but no kernel: it does not say its release")?;
        if !has_pvh_entry(&bytes) {
            return Err("this `vmlinux` has no PVH entry".to_owned());
        }
        return Ok(Image { bytes, release });
    }
    let setup = Setup::read(&bytes).ok_or("it is neither a `bzImage` nor a `vmlinux`")?;
    let release = setup.release().ok_or(NO_RELEASE)?;
    let Some(vmlinux) = payload::unpack(setup.payload()?, 4)? else {
        // LZO, for which there is no well-kept crate. The kernel itself can unpack it.
        return Ok(Image { bytes, release });
    };
    if !vmlinux.starts_with(b"\x7fELF") {
        return Err("its payload is not an ELF file".to_owned());
    }
    // A kernel without CONFIG_PVH boots as the bzImage it is, only slower.
    let bytes = if has_pvh_entry(&vmlinux) {
        vmlinux
    } else {
        bytes
    };
    Ok(Image { bytes, release })
}

/// The setup header of a `bzImage`, boot protocol 2.08 (Linux 2.6.26) or later.
struct Setup<'a> {
    bytes: &'a [u8],
}

impl<'a> Setup<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let setup = Self { bytes };
        let magic = bytes.get(0x202..0x206)? == b"HdrS";
        (magic && u16_at(bytes, 0x206)? >= 0x208).then_some(setup)
    }

    /// `kernel_version` points at a string that starts with the release.
    fn release(&self) -> Option<String> {
        let at = usize::from(u16_at(self.bytes, 0x20e)?);
        release_at(self.bytes.get(at.checked_add(0x200)?..)?)
    }

    /// `payload_offset` counts from the protected-mode code, which follows the setup sectors.
    fn payload(&self) -> Result<&'a [u8], String> {
        let find = || {
            let sectors = match *self.bytes.get(0x1f1)? {
                0 => 4,
                sectors => usize::from(sectors),
            };
            let start = ((sectors + 1) * 512).checked_add(u32_at(self.bytes, 0x248)?)?;
            self.bytes
                .get(start..start.checked_add(u32_at(self.bytes, 0x24c)?)?)
        };
        find().ok_or_else(|| "it is cut short".to_owned())
    }
}

/// The release in the kernel's banner, `Linux version 6.1.0 (…`, which every image carries.
fn banner_release(bytes: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    let mut from = 0;
    while let Some(at) = find(&bytes[from..], BANNER) {
        from += at + BANNER.len();
        // Also there: the format string, `Linux version %s`.
        if bytes.get(from).is_some_and(u8::is_ascii_digit) {
            return release_at(&bytes[from..]);
        }
    }
    None
}

/// The first occurrence. `windows` would take a second for an image of 60 MB in a debug build.
fn find(within: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    while let Some(at) = within[from..].iter().position(|&byte| byte == first) {
        if within[from + at..].starts_with(wanted) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn release_at(bytes: &[u8]) -> Option<String> {
    // __NEW_UTS_LEN
    let end = bytes
        .iter()
        .take(65)
        .position(|byte| matches!(byte, b' ' | 0))?;
    let release = std::str::from_utf8(&bytes[..end]).ok()?;
    let sound = release.starts_with(|c: char| c.is_ascii_digit())
        && release
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._+-~".contains(c));
    sound.then(|| release.to_owned())
}

fn has_pvh_entry(vmlinux: &[u8]) -> bool {
    use object::elf::{FileHeader64, PT_NOTE};
    use object::read::elf::{FileHeader, ProgramHeader};
    let search = || -> object::Result<bool> {
        let elf = FileHeader64::<object::Endianness>::parse(vmlinux)?;
        let endian = elf.endian()?;
        for segment in elf.program_headers(endian, vmlinux)? {
            if segment.p_type(endian) != PT_NOTE {
                continue;
            }
            let Some(mut notes) = segment.notes(endian, vmlinux)? else {
                continue;
            };
            while let Some(note) = notes.next()? {
                if note.name() == b"Xen" && note.n_type(endian) == XEN_ELFNOTE_PHYS32_ENTRY {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    };
    search().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::testing::{bz_image, vmlinux};
    use super::*;

    const RELEASE: &str = "6.1.0-1-amd64";

    fn sized(mut payload: Vec<u8>, size: usize) -> Vec<u8> {
        payload.extend(u32::try_from(size).unwrap().to_le_bytes());
        payload
    }

    #[test]
    fn every_payload_of_a_bzimage_is_unpacked() {
        let elf = vmlinux(RELEASE, true);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(&elf).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(&elf).unwrap();
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bz.write_all(&elf).unwrap();
        for (format, payload) in [
            ("none", elf.clone()),
            ("gzip", gz.finish().unwrap()),
            ("xz", sized(xz.finish().unwrap(), elf.len())),
            (
                "zstd",
                sized(zstd::encode_all(elf.as_slice(), 1).unwrap(), elf.len()),
            ),
            ("lz4", sized(payload::tests::lz4_legacy(&elf), elf.len())),
            ("lzma", sized(payload::tests::lzma(&elf), elf.len())),
            ("bzip2", sized(bz.finish().unwrap(), elf.len())),
        ] {
            let image = bootable(bz_image(RELEASE, &payload), Arch::X86_64).unwrap();
            assert_eq!(image.release, RELEASE, "{format}");
            assert_eq!(image.bytes, elf, "{format}");
            // Damage is an error or, where it hits the release alone, another image; no panic.
            let whole = bz_image(RELEASE, &payload);
            for length in 0..whole.len() {
                let cut = bootable(whole[..length].to_vec(), Arch::X86_64);
                assert!(cut.is_err(), "{format}: {length} of {}", whole.len());
            }
        }
    }

    #[test]
    fn a_kernel_without_pvh_boots_as_bzimage_only() {
        let elf = vmlinux(RELEASE, false);
        let bz = bz_image(RELEASE, &elf);
        assert_eq!(bootable(bz.clone(), Arch::X86_64).unwrap().bytes, bz);
        let reason = bootable(elf, Arch::X86_64).unwrap_err();
        assert_eq!(reason, "this `vmlinux` has no PVH entry");
    }

    #[test]
    fn a_payload_in_lzo_is_left_to_the_kernel() {
        let bz = bz_image(RELEASE, b"\x89LZO\0\r\n\x1a\n....");
        let image = bootable(bz.clone(), Arch::X86_64).unwrap();
        assert_eq!((image.bytes, image.release.as_str()), (bz, RELEASE));
    }

    #[test]
    fn a_vmlinux_says_its_release_in_its_banner() {
        let image = bootable(vmlinux("7.3-cloud-amd64", true), Arch::X86_64).unwrap();
        assert_eq!(image.release, "7.3-cloud-amd64");
    }

    #[test]
    fn other_files_are_refused() {
        for (bytes, reason) in [
            (b"".to_vec(), "it is neither a `bzImage` nor a `vmlinux`"),
            (vec![0; 4096], "it is neither a `bzImage` nor a `vmlinux`"),
            (
                b"\x7fELF of a program".to_vec(),
                "it is an ELF file, but no kernel: it does not say its release",
            ),
            (
                bz_image(RELEASE, b"BZh91AY...."),
                "its payload is damaged: decompression not finished but EOF reached",
            ),
            (
                bz_image(RELEASE, b"not compressed"),
                "its payload has an unknown compression",
            ),
            (bz_image("../../etc", b""), "it does not say its release"),
            (bz_image(RELEASE, b""), "it is cut short"),
        ] {
            assert_eq!(bootable(bytes, Arch::X86_64).unwrap_err(), reason);
        }
    }
}
