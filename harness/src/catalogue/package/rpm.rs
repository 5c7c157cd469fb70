//! `.rpm`: a lead of 96 bytes, a header with the signature, a header with the metadata, and a
//! compressed cpio archive. The format is described in RPM's `docs/manual/format_v4.md`.
//!
//! The crate `rpm` reads all of the metadata, with 30 crates more; of it, two strings are needed
//! here.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::{Visit, decompressor, files, malformed, refused};
use crate::catalogue::Error;

const LEAD: usize = 96;
/// How a header begins: its magic with version 1, and four reserved bytes.
const HEADER: [u8; 8] = [0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
/// Limits of RPM's own (`lib/header.c`: `hdrchkTags`, `hdrchkData`).
const MAX_TAGS: u32 = 0xffff;
const MAX_DATA: u32 = 256 << 20;

const TYPE_STRING: u32 = 6;
const TYPE_BINARY: u32 = 7;
const TYPE_STRING_ARRAY: u32 = 8;
/// `RPMTAG_PAYLOADFORMAT`.
const PAYLOAD_FORMAT: u32 = 1124;
/// `RPMTAG_PAYLOADCOMPRESSOR`.
const PAYLOAD_COMPRESSOR: u32 = 1125;

pub(super) fn walk(path: &Path, mut file: impl Read, each: &mut Visit<'_>) -> Result<(), Error> {
    let mut read = || -> io::Result<Header> {
        file.read_exact(&mut [0; LEAD])?;
        let signature = Header::read(&mut file)?;
        // Only the signature is padded.
        let padding = signature.data.len().next_multiple_of(8) - signature.data.len();
        file.read_exact(&mut [0; 8][..padding])?;
        Header::read(&mut file)
    };
    let header = read().map_err(|error| malformed(path, &error))?;
    let format = header.string(PAYLOAD_FORMAT).unwrap_or("cpio");
    if format != "cpio" {
        return Err(refused(path, format!("its payload is in `{format}`")));
    }
    let mut file = BufReader::new(file);
    // The first RPMs left it out for gzip, and today's leave it out where nothing is compressed.
    let compressor = match header.string(PAYLOAD_COMPRESSOR) {
        Some(compressor) => compressor,
        None if peek(&mut file, path)?.starts_with(b"0707") => "none",
        None => "gzip",
    };
    let ending = match compressor {
        "none" | "identity" => "",
        "gzip" => ".gz",
        "bzip2" => ".bz2",
        "lzma" => ".lzma",
        "xz" => ".xz",
        "zstd" => ".zst",
        other => {
            let reason = format!("its payload is compressed with `{other}`");
            return Err(refused(path, reason));
        }
    };
    let stream = decompressor(ending, file).map_err(|error| malformed(path, &error))?;
    let stream = stream.ok_or_else(|| refused(path, "unknown compression".to_owned()))?;
    files::walk_cpio(path, stream, each)
}

/// The next bytes, which stay where they are.
fn peek<'a>(file: &'a mut impl BufRead, path: &Path) -> Result<&'a [u8], Error> {
    file.fill_buf().map_err(|error| malformed(path, &error))
}

/// `RPMSIGTAG_DSA` and `RPMSIGTAG_RSA`: an OpenPGP signature of the header.
const SIGNATURES_OF_HEADER: [u32; 2] = [267, 268];
/// `RPMTAG_PAYLOADDIGEST`, hex, and its algorithm, of which 8 is SHA-256 (since RPM 4.14).
const PAYLOAD_DIGEST: u32 = 5092;
/// `RPMSIGTAG_PGP`: one of the header and the payload, as before RPM 4.14.
const SIGNATURE_OF_BOTH: u32 = 1002;

/// What the signatures of a package are about. Nothing here has been verified.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    /// Signatures of [`Self::header`], each an OpenPGP packet.
    pub of_header: Vec<Vec<u8>>,
    /// Signatures of the header and the payload behind it.
    pub of_both: Vec<Vec<u8>>,
    /// The header as it was signed.
    pub header: &'a [u8],
    /// The header and all that follows it.
    pub both: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
    /// The payload's SHA-256 as the header says, in hex.
    pub payload_sha256: Option<String>,
}

/// Takes a package apart for a check of its signature. The error is a reason that reads behind a
/// colon.
pub fn signed(package: &[u8]) -> Result<Signed<'_>, String> {
    let mut rest = package;
    let read = |rest: &mut &[u8]| Header::read(rest).map_err(|error| error.to_string());
    rest.split_off(..LEAD).ok_or("it is cut short")?;
    let signature = read(&mut rest)?;
    let padding = signature.data.len().next_multiple_of(8) - signature.data.len();
    rest.split_off(..padding).ok_or("it is cut short")?;
    let both = rest;
    let header = read(&mut rest)?;
    let of = |tags: &[u32]| {
        let found = tags.iter().filter_map(|tag| signature.binary(*tag));
        found.map(<[u8]>::to_vec).collect()
    };
    Ok(Signed {
        of_header: of(&SIGNATURES_OF_HEADER),
        of_both: of(&[SIGNATURE_OF_BOTH]),
        header: &both[..both.len() - rest.len()],
        both,
        payload: rest,
        payload_sha256: header.string(PAYLOAD_DIGEST).map(str::to_owned),
    })
}

/// A header: what it lists, and where the values lie.
struct Header {
    tags: Vec<[u32; 4]>,
    data: Vec<u8>,
}

impl Header {
    fn read(from: &mut impl Read) -> io::Result<Self> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
        let mut start = [0; 16];
        from.read_exact(&mut start)?;
        if start[..8] != HEADER {
            return Err(invalid("it has no header of an RPM package"));
        }
        let word = |bytes: &[u8]| bytes.try_into().map_or(u32::MAX, u32::from_be_bytes);
        let (count, size) = (word(&start[8..12]), word(&start[12..]));
        if count > MAX_TAGS || size > MAX_DATA {
            return Err(invalid("its header claims too much"));
        }
        // Grows as bytes come, not as the header claims.
        let mut take = |length: u32| {
            let mut bytes = Vec::new();
            from.take(u64::from(length)).read_to_end(&mut bytes)?;
            if bytes.len() as u64 == u64::from(length) {
                Ok(bytes)
            } else {
                Err(io::Error::from(io::ErrorKind::UnexpectedEof))
            }
        };
        let tags = take(count * 16)?;
        let data = take(size)?;
        let tags = tags
            .chunks_exact(16)
            .map(|tag| std::array::from_fn(|at| word(&tag[at * 4..at * 4 + 4])))
            .collect();
        Ok(Self { tags, data })
    }

    /// A string, or the first of several.
    fn string(&self, tag: u32) -> Option<&str> {
        let [_, _, offset, _] = self
            .tags
            .iter()
            .find(|found| found[0] == tag && matches!(found[1], TYPE_STRING | TYPE_STRING_ARRAY))?;
        let value = self.data.get(usize::try_from(*offset).ok()?..)?;
        let end = value.iter().position(|&byte| byte == 0)?;
        std::str::from_utf8(&value[..end]).ok()
    }
}

impl Header {
    fn binary(&self, tag: u32) -> Option<&[u8]> {
        let found = |found: &&[u32; 4]| found[0] == tag && found[1] == TYPE_BINARY;
        let [_, _, offset, length] = self.tags.iter().find(found)?;
        let offset = usize::try_from(*offset).ok()?;
        let end = offset.checked_add(usize::try_from(*length).ok()?)?;
        self.data.get(offset..end)
    }
}

#[cfg(test)]
pub(in crate::catalogue) mod tests {
    use std::io::Write;

    use super::*;

    fn header(strings: &[(u32, &str)]) -> Vec<u8> {
        let (mut tags, mut data) = (Vec::new(), Vec::new());
        for (tag, value) in strings {
            let offset = u32::try_from(data.len()).unwrap();
            for word in [*tag, TYPE_STRING, offset, 1] {
                tags.extend(word.to_be_bytes());
            }
            data.extend(value.as_bytes());
            data.push(0);
        }
        let mut header = HEADER.to_vec();
        header.extend(u32::try_from(strings.len()).unwrap().to_be_bytes());
        header.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        header.extend(tags);
        header.extend(data);
        header
    }

    /// A package with these files, compressed as `compressor` says.
    pub(in crate::catalogue) fn rpm(files: &[(&str, &[u8])], compressor: &str) -> Vec<u8> {
        let mut archive = Vec::new();
        for (name, bytes) in files {
            let builder = cpio::NewcBuilder::new(name).mode(0o100_644);
            let size = u32::try_from(bytes.len()).unwrap();
            let mut writer = builder.write(&mut archive, size);
            writer.write_all(bytes).unwrap();
            writer.finish().unwrap();
        }
        cpio::newc::trailer(&mut archive).unwrap();
        let payload = match compressor {
            "none" => archive,
            "xz" => {
                let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
                xz.write_all(&archive).unwrap();
                xz.finish().unwrap()
            }
            "zstd" => zstd::encode_all(archive.as_slice(), 1).unwrap(),
            "gzip" => {
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gz.write_all(&archive).unwrap();
                gz.finish().unwrap()
            }
            "bzip2" => {
                let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                bz.write_all(&archive).unwrap();
                bz.finish().unwrap()
            }
            other => panic!("{other}"),
        };
        let mut rpm = vec![0xed, 0xab, 0xee, 0xdb, 3, 0];
        rpm.resize(LEAD, 0);
        rpm.extend(header(&[(1000, "a signature, of odd length")]));
        rpm.resize(LEAD + (rpm.len() - LEAD).next_multiple_of(8), 0);
        let mut tags = vec![(1000, "kernel-core"), (PAYLOAD_FORMAT, "cpio")];
        if compressor != "none" {
            tags.push((PAYLOAD_COMPRESSOR, compressor));
        }
        rpm.extend(header(&tags));
        rpm.extend(payload);
        rpm
    }
}
