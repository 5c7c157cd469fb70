//! Unpacks the raw `Image` of arm64 and riscv64.

use ukci_schema::cell::Arch;

use super::{Image, NO_RELEASE, Setup, banner_release, u16_at, u32_at, unpack};

/// The architecture that an image is made for, as far as its first bytes tell.
pub(crate) fn arch_of(bytes: &[u8]) -> Option<Arch> {
    if let Some(packed) = packed(bytes) {
        return arch_of(&packed.ok()?);
    }
    if bytes.starts_with(b"\x7fELF") {
        // e_machine: EM_X86_64, EM_AARCH64, EM_RISCV.
        return match u16_at(bytes, 18)? {
            62 => Some(Arch::X86_64),
            183 => Some(Arch::Aarch64),
            243 => Some(Arch::Riscv64),
            _ => None,
        };
    }
    raw_arch(bytes).or_else(|| Setup::read(bytes).map(|_| Arch::X86_64))
}

/// The architecture of a raw `Image`, by the magic of `Documentation/arch/arm64/booting.rst` and
/// of `Documentation/arch/riscv/boot-image-header.rst`.
fn raw_arch(bytes: &[u8]) -> Option<Arch> {
    match bytes.get(0x38..0x3c)? {
        b"ARM\x64" => Some(Arch::Aarch64),
        b"RSC\x05" => Some(Arch::Riscv64),
        _ => None,
    }
}

/// What an `Image.gz`, or the EFI application of `drivers/firmware/efi/libstub/zboot-header.S`,
/// has inside; `None` for what is neither.
fn packed(bytes: &[u8]) -> Option<Result<Vec<u8>, String>> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Some(unpack(bytes, 0));
    }
    if !bytes.starts_with(b"MZ") || bytes.get(4..8)? != b"zimg" {
        return None;
    }
    let find = || {
        let start = u32_at(bytes, 8)?;
        bytes.get(start..start.checked_add(u32_at(bytes, 12)?)?)
    };
    // Its size leaves the four bytes behind the data out.
    let payload = find().ok_or_else(|| "it is cut short".to_owned());
    Some(payload.and_then(|payload| unpack(payload, 0)))
}

pub(super) fn image(bytes: Vec<u8>, arch: Arch) -> Result<Image, String> {
    let bytes = packed(&bytes).unwrap_or(Ok(bytes))?;
    match raw_arch(&bytes) {
        Some(made_for) if made_for == arch => {}
        Some(made_for) => return Err(format!("it is made for {made_for}, not for {arch}")),
        None => return Err(format!("it is no `Image` of {arch}")),
    }
    let release = banner_release(&bytes).ok_or(NO_RELEASE)?;
    Ok(Image { bytes, release })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::bootable;
    use super::*;
    use crate::catalogue::testing::{bz_image, vmlinux};

    const RELEASE: &str = "6.1.0-1-amd64";

    /// An `Image` with this magic.
    fn raw_image(magic: [u8; 4]) -> Vec<u8> {
        let mut image = b"MZ".to_vec();
        image.resize(0x38, 0);
        image.extend(magic);
        image.extend(b"Linux version %s\0Linux version 6.12.1-x (a@b) #1\0");
        image
    }

    /// An EFI application with this inside, as the kernel's build makes it.
    fn zboot(payload: &[u8], kind: &[u8]) -> Vec<u8> {
        let mut image = b"MZ\0\0zimg".to_vec();
        image.extend(0x40_u32.to_le_bytes());
        image.extend(u32::try_from(payload.len()).unwrap().to_le_bytes());
        image.extend([0; 8]);
        image.extend(kind);
        image.resize(0x40, 0);
        image.extend(payload);
        image.extend(4096_u32.to_le_bytes());
        image
    }

    #[test]
    fn every_wrapping_of_an_image_is_taken_off() {
        for (magic, arch) in [(*b"ARM\x64", Arch::Aarch64), (*b"RSC\x05", Arch::Riscv64)] {
            let raw = raw_image(magic);
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&raw).unwrap();
            let gz = gz.finish().unwrap();
            let zstd = zstd::encode_all(raw.as_slice(), 1).unwrap();
            for (form, bytes) in [
                ("Image", raw.clone()),
                ("Image.gz", gz.clone()),
                ("zboot, gzip", zboot(&gz, b"gzip")),
                ("zboot, zstd", zboot(&zstd, b"zstd")),
            ] {
                assert_eq!(arch_of(&bytes), Some(arch), "{form}");
                let image = bootable(bytes.clone(), arch).unwrap();
                assert_eq!(image.release, "6.12.1-x", "{form}");
                assert_eq!(image.bytes, raw, "{form}");
                for length in 0..bytes.len() {
                    let _ = bootable(bytes[..length].to_vec(), arch);
                }
            }
            let other = [Arch::Riscv64, Arch::Aarch64][usize::from(arch == Arch::Riscv64)];
            let reason = bootable(raw, other).unwrap_err();
            assert_eq!(reason, format!("it is made for {arch}, not for {other}"));
        }
    }

    #[test]
    fn an_image_says_what_it_is_made_for() {
        assert_eq!(arch_of(&vmlinux(RELEASE, true)), Some(Arch::X86_64));
        assert_eq!(arch_of(&bz_image(RELEASE, b"")), Some(Arch::X86_64));
        assert_eq!(arch_of(b"MZ"), None);
        assert_eq!(arch_of(b"\x7fELF"), None);
        let reason = bootable(vmlinux(RELEASE, true), Arch::Aarch64).unwrap_err();
        assert_eq!(reason, "it is no `Image` of aarch64");
    }
}
