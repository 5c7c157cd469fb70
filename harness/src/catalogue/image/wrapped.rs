//! Takes a kernel image out of what it is wrapped in: a compressed file (`Image.gz`, `vmlinux.xz`),
//! an EFI application that unpacks itself (`EFI_ZBOOT`, since 6.1), a unified kernel image, or
//! Android's `boot.img`.

use object::read::pe::PeFile64;
use object::read::{Object, ObjectSection};

use super::{payload, u32_at};

/// How many wrappings may lie around each other: a unified kernel image of arm64 holds an EFI
/// application with a compressed `Image` in it.
const MAX_LAYERS: usize = 4;

const CUT_SHORT: &str = "it is cut short";

/// The image without its wrappings.
pub(super) fn unwrap(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    for _ in 0..MAX_LAYERS {
        match inner(&bytes) {
            Some(inner) => bytes = inner?,
            None => return Ok(bytes),
        }
    }
    Err(format!("it is wrapped more than {MAX_LAYERS} times"))
}

/// What the outermost wrapping holds; `None` for what has none.
fn inner(bytes: &[u8]) -> Option<Result<Vec<u8>, String>> {
    if payload::is_compressed(bytes) {
        return Some(unpack(bytes));
    }
    if bytes.starts_with(b"ANDROID!") {
        return Some(android(bytes).map_or_else(|| Err(CUT_SHORT.to_owned()), Ok));
    }
    if !bytes.starts_with(b"MZ") {
        return None;
    }
    if bytes.get(4..8) == Some(b"zimg") {
        return Some(zboot(bytes));
    }
    unified(bytes).map(Ok)
}

fn unpack(bytes: &[u8]) -> Result<Vec<u8>, String> {
    payload::unpack(bytes, 0)?.ok_or_else(|| "it is compressed with LZO".to_owned())
}

/// The payload of `drivers/firmware/efi/libstub/zboot-header.S`.
fn zboot(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let find = || {
        let start = u32_at(bytes, 8)?;
        bytes.get(start..start.checked_add(u32_at(bytes, 12)?)?)
    };
    // Its size leaves the four bytes behind the data out.
    unpack(find().ok_or(CUT_SHORT)?)
}

/// The kernel in Android's `boot.img`. Up to version 2 of its header the size of a page is written
/// there; since version 3, which Android 11 brought, a page has 4,096 bytes.
fn android(bytes: &[u8]) -> Option<Vec<u8>> {
    let size = u32_at(bytes, 8)?;
    let page = match u32_at(bytes, 40)? {
        0..=2 => u32_at(bytes, 36)?,
        _ => 4096,
    };
    let kernel = bytes.get(page..page.checked_add(size)?)?;
    // An image without a page or a kernel would be its own inside.
    (page > 0 && size > 0).then(|| kernel.to_vec())
}

/// The section `.linux` of a unified kernel image, as the UAPI group specifies it.
fn unified(bytes: &[u8]) -> Option<Vec<u8>> {
    let pe = PeFile64::parse(bytes).ok()?;
    let section = pe.section_by_name(".linux")?;
    // Padded to the alignment of the file; the size in memory is the exact one.
    let data = section.data().ok()?;
    let size = usize::try_from(section.size()).unwrap_or(usize::MAX);
    Some(data[..size.min(data.len())].to_vec())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::super::payload::tests::{lz4_legacy, lzma};
    use super::*;

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

    /// A `boot.img` with this version of the header.
    fn boot_img(kernel: &[u8], version: u32, page: u32) -> Vec<u8> {
        let mut image = b"ANDROID!".to_vec();
        image.extend(u32::try_from(kernel.len()).unwrap().to_le_bytes());
        image.resize(36, 0);
        image.extend((if version < 3 { page } else { 0 }).to_le_bytes());
        image.extend(version.to_le_bytes());
        image.resize(page as usize, 0);
        image.extend(kernel);
        image
    }

    /// A PE file of two sections, the second of them `.linux`.
    pub(crate) fn unified(kernel: &[u8]) -> Vec<u8> {
        const FILE_ALIGNMENT: usize = 512;
        let mut image = b"MZ".to_vec();
        image.resize(0x3c, 0);
        image.extend(0x40_u32.to_le_bytes());
        image.extend(b"PE\0\0");
        // COFF: x86_64, two sections, an optional header of 240 bytes.
        image.extend(0x8664_u16.to_le_bytes());
        image.extend(2_u16.to_le_bytes());
        image.extend([0; 12]);
        image.extend(240_u16.to_le_bytes());
        image.extend(0x22_u16.to_le_bytes());
        let optional = image.len();
        image.extend(0x20b_u16.to_le_bytes());
        image.resize(optional + 108, 0);
        image.extend(16_u32.to_le_bytes());
        image.resize(optional + 240, 0);
        let start = 2 * FILE_ALIGNMENT;
        for (name, address, offset, size) in [
            (b".osrel\0\0", 0x1000, FILE_ALIGNMENT, 8),
            (b".linux\0\0", 0x2000, start, kernel.len()),
        ] {
            image.extend(name);
            for word in [
                size,
                address,
                size.next_multiple_of(FILE_ALIGNMENT),
                offset,
                0,
                0,
                0,
                0x4000_0040,
            ] {
                image.extend(u32::try_from(word).unwrap().to_le_bytes());
            }
        }
        image.resize(start, b' ');
        image.extend(kernel);
        image.resize(start + kernel.len().next_multiple_of(FILE_ALIGNMENT), 0);
        image
    }

    /// Every form in which this image is known to be shipped.
    pub(crate) fn wrappings(raw: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(raw).unwrap();
        let gz = gz.finish().unwrap();
        let zstd = zstd::encode_all(raw, 1).unwrap();
        let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
        xz.write_all(raw).unwrap();
        let xz = xz.finish().unwrap();
        vec![
            ("Image", raw.to_vec()),
            ("Image.gz", gz.clone()),
            ("Image.zst", zstd.clone()),
            ("Image.xz", xz.clone()),
            ("Image.lz4", lz4_legacy(raw)),
            ("zboot, gzip", zboot(&gz, b"gzip")),
            ("zboot, zstd", zboot(&zstd, b"zstd22")),
            ("zboot, xz", zboot(&xz, b"xzkern")),
            ("zboot, lzma", zboot(&lzma(raw), b"lzma")),
            ("unified", unified(raw)),
            ("unified, zboot", unified(&zboot(&gz, b"gzip"))),
            ("boot.img 4", boot_img(raw, 4, 4096)),
            ("boot.img 4, lz4", boot_img(&lz4_legacy(raw), 4, 4096)),
            ("boot.img 2", boot_img(&gz, 2, 2048)),
        ]
    }

    #[test]
    fn wrappings_without_end_are_refused() {
        let mut gz = b"kernel".to_vec();
        for _ in 0..=MAX_LAYERS {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&gz).unwrap();
            gz = encoder.finish().unwrap();
        }
        let reason = unwrap(gz).unwrap_err();
        assert_eq!(reason, "it is wrapped more than 4 times");
        let reason = unwrap(boot_img(b"", 4, 4096)).unwrap_err();
        assert_eq!(reason, "it is cut short");
    }
}
