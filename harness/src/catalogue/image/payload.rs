//! Unpacks what a kernel's build compressed, in any of the compressions that it offers.

use std::io::{self, Read};

use super::super::package;
use crate::compression::Compression;

/// Largest image that is unpacked; a distribution's has about 65 MB.
const MAX_IMAGE: u64 = 1 << 30;

/// Whether `bytes` begin as something that [`unpack`] takes.
pub(super) fn is_compressed(bytes: &[u8]) -> bool {
    Compression::of(bytes).is_some()
}

/// Unpacks a payload; `None` for LZO, which is not supported. Behind the compressed data stand
/// `behind` bytes: the uncompressed size, which the kernel's build appends where the format has
/// none of its own.
pub(super) fn unpack(payload: &[u8], behind: usize) -> Result<Option<Vec<u8>>, String> {
    let sized = payload
        .len()
        .checked_sub(behind)
        .map(|end| &payload[..end])
        .ok_or("it is cut short")?;
    let mut image = Vec::new();
    let read = match Compression::of(payload) {
        Some(Compression::Gzip) => limited(flate2::read::GzDecoder::new(payload), &mut image),
        Some(Compression::Bzip2) => limited(bzip2::read::BzDecoder::new(sized), &mut image),
        Some(Compression::Lzma) => {
            package::lzma(sized).and_then(|decoder| limited(decoder, &mut image))
        }
        Some(Compression::Xz) => {
            package::xz(sized).and_then(|decoder| limited(decoder, &mut image))
        }
        Some(Compression::Zstd) => zstd::Decoder::new(sized)
            .and_then(|decoder| limited(decoder.single_frame(), &mut image)),
        Some(Compression::Lz4) => {
            return lz4_legacy(sized.get(4..).unwrap_or_default()).map(Some);
        }
        Some(Compression::Lzo) => return Ok(None),
        None if payload.starts_with(b"\x7fELF") => return Ok(Some(payload.to_vec())),
        None => return Err("its payload has an unknown compression".to_owned()),
    };
    read.map_err(|error| format!("its payload is damaged: {error}"))?;
    Ok(Some(image))
}

fn limited(from: impl Read, into: &mut Vec<u8>) -> io::Result<()> {
    let read = from.take(MAX_IMAGE + 1).read_to_end(into)?;
    if read as u64 > MAX_IMAGE {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it unpacks to more than 1 GiB",
        ));
    }
    Ok(())
}

/// The legacy LZ4 format that `lz4 -l` writes for the kernel: a magic, then blocks of at most
/// 8 MiB of data, each behind its compressed size.
fn lz4_legacy(mut blocks: &[u8]) -> Result<Vec<u8>, String> {
    const BLOCK: usize = 8 << 20;
    let damaged = |what: &str| format!("its payload is damaged: {what}");
    let mut image = Vec::new();
    while let Some((size, rest)) = blocks.split_first_chunk::<4>() {
        let size = usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX);
        let block = rest
            .get(..size)
            .ok_or_else(|| damaged("an LZ4 block is cut short"))?;
        let data = lz4_flex::block::decompress(block, BLOCK)
            .map_err(|error| damaged(&error.to_string()))?;
        image.extend_from_slice(&data);
        if image.len() as u64 > MAX_IMAGE {
            return Err(damaged("it unpacks to more than 1 GiB"));
        }
        blocks = &rest[size..];
    }
    Ok(image)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::*;

    /// What `lz4 -l` makes.
    pub(crate) fn lz4_legacy(bytes: &[u8]) -> Vec<u8> {
        let block = lz4_flex::block::compress(bytes);
        let mut lz4 = 0x184c_2102_u32.to_le_bytes().to_vec();
        lz4.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        lz4.extend(block);
        lz4
    }

    /// What `lzma` makes.
    pub(crate) fn lzma(bytes: &[u8]) -> Vec<u8> {
        let options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
        let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
        let mut lzma = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        lzma.write_all(bytes).unwrap();
        lzma.finish().unwrap()
    }

    #[test]
    fn an_image_made_to_fill_the_memory_is_refused() {
        let zeros = io::repeat(0).take(MAX_IMAGE + 2);
        let bomb = zstd::encode_all(zeros, 1).unwrap();
        let reason = unpack(&bomb, 0).unwrap_err();
        assert_eq!(
            reason,
            "its payload is damaged: it unpacks to more than 1 GiB"
        );
    }
}
