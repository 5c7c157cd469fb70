//! Unpacks the raw `Image` of arm64 and riscv64.

use ukci_schema::cell::Arch;

use super::wrapped::unwrap;
use super::{Image, NO_RELEASE, Setup, banner_release, u16_at};

/// The architecture that an image is made for, as far as its first bytes tell. What is wrapped too
/// often has none: a file of gzip may even unpack to itself.
pub(crate) fn arch_of(bytes: &[u8]) -> Option<Arch> {
    match unwrap(bytes.to_vec()) {
        Ok(bytes) => arch_of_unwrapped(&bytes),
        Err(_) => None,
    }
}

fn arch_of_unwrapped(bytes: &[u8]) -> Option<Arch> {
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

pub(super) fn image(bytes: Vec<u8>, arch: Arch) -> Result<Image, String> {
    match raw_arch(&bytes) {
        Some(made_for) if made_for == arch => {}
        Some(made_for) => return Err(format!("it is made for {made_for}, not for {arch}")),
        None => return Err(format!("it is not an `Image` for {arch}")),
    }
    let release = banner_release(&bytes).ok_or(NO_RELEASE)?;
    Ok(Image { bytes, release })
}

#[cfg(test)]
mod tests {
    use super::super::bootable;
    use super::super::wrapped::tests::wrappings;
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

    #[test]
    fn every_wrapping_of_an_image_is_taken_off() {
        for (magic, arch) in [(*b"ARM\x64", Arch::Aarch64), (*b"RSC\x05", Arch::Riscv64)] {
            let raw = raw_image(magic);
            for (form, bytes) in wrappings(&raw) {
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
        assert_eq!(reason, "it is not an `Image` for aarch64");
    }

    /// A file of gzip may unpack to itself, and then to itself again.
    #[test]
    fn an_image_that_is_wrapped_without_end_is_given_up() {
        use std::io::Write;
        let mut bytes = vmlinux(RELEASE, true);
        for layer in 1..=5 {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&bytes).unwrap();
            bytes = gz.finish().unwrap();
            let found = (layer < 4).then_some(Arch::X86_64);
            assert_eq!(arch_of(&bytes), found, "{layer} layers");
            assert_eq!(bootable(bytes.clone(), Arch::X86_64).is_ok(), layer < 4);
        }
    }
}
