//! Reads the packages of distributions in process, as a stream of files: `.deb`, `.rpm`, pacman's
//! `.pkg.tar.zst` and apk's `.apk`, each in whichever compression. The first bytes say which it is.
//!
//! Nothing is ever written under a name that the package chose: callers get each file's path and
//! a reader, and keep what they want under names of their own. A package with an absolute path or
//! a `..` is refused all the same, since no distribution makes one. Links are left out: each file
//! that a kernel boots from is one of its own.

mod deb;
pub(crate) mod files;
pub(crate) mod rpm;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use liblzma::stream::Stream;

use super::error::Error;
use crate::compression::Compression;
use files::Ends;

/// Largest single file that is read into memory. A `vmlinux` with debug information has 0.7 GiB.
pub(crate) const MAX_FILE: u64 = 1 << 30;

/// Memory that a stream of LZMA may ask for. The largest preset of `xz` needs 65 MiB.
const MAX_LZMA: u64 = 256 << 20;

/// What is called with a file's path, its size and its contents.
pub(crate) type Visit<'a> = dyn FnMut(&str, u64, &mut dyn Read) -> Result<(), Error> + 'a;

/// Calls `each` with the path (without a leading `./`) and the contents of every regular file.
pub(crate) fn walk(path: &Path, each: &mut Visit<'_>) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::on("open", path))?;
    let mut file = BufReader::with_capacity(256 * 1024, file);
    let start = file.fill_buf().map_err(Error::on("read", path))?;
    match *start {
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => deb::walk(path, file, each),
        [0xed, 0xab, 0xee, 0xdb, ..] => rpm::walk(path, file, each),
        [b'A', b'D', b'B', ..] => Err(refused(
            path,
            "it is a package of apk version 3, and ukci reads those of version 2".to_owned(),
        )),
        _ => match Compression::of(start) {
            // pacman's, until 2019 and since.
            Some(Compression::Xz) => tarball(path, ".xz", file, Ends::Once, each),
            Some(Compression::Zstd) => tarball(path, ".zst", file, Ends::Once, each),
            // apk's are three archives in a row, of which only the last one has an end.
            Some(Compression::Gzip) => tarball(path, ".gz", file, Ends::Anywhere, each),
            _ => Err(refused(
                path,
                "it is not a package of dpkg, RPM, pacman or apk".to_owned(),
            )),
        },
    }
}

/// A compressed tar archive that is the whole package.
fn tarball(
    path: &Path,
    compression: &str,
    file: impl Read,
    ends: Ends,
    each: &mut Visit<'_>,
) -> Result<(), Error> {
    let stream = decompressor(compression, file).map_err(|error| malformed(path, &error))?;
    let stream = stream.ok_or_else(|| refused(path, "unknown compression".to_owned()))?;
    files::walk_tar(path, stream, ends, each)
}

/// All of a file within the walk of `package`.
pub(crate) fn read_file(
    package: &Path,
    name: &str,
    size: u64,
    from: &mut dyn Read,
) -> Result<Vec<u8>, Error> {
    if size > MAX_FILE {
        return Err(refused(package, format!("`{name}` claims {size} bytes")));
    }
    let mut bytes = Vec::new();
    from.take(MAX_FILE)
        .read_to_end(&mut bytes)
        .map_err(|error| malformed(package, &error))?;
    if bytes.len() as u64 != size {
        return Err(refused(package, format!("`{name}` is cut short")));
    }
    Ok(bytes)
}

/// A reader of what `from` holds, by the ending of its name (`.xz`, `.zst`, `.gz`, `.bz2`, `.lzma`
/// or none); `None` for an ending that is unknown.
pub(crate) fn decompressor<'a>(
    ending: &str,
    from: impl Read + 'a,
) -> io::Result<Option<Box<dyn Read + 'a>>> {
    Ok(Some(match ending {
        "" => Box::new(from),
        ".xz" => Box::new(xz(from)?),
        ".lzma" => Box::new(lzma(from)?),
        ".zst" => Box::new(zstd::Decoder::new(from)?),
        ".gz" => Box::new(flate2::read::MultiGzDecoder::new(from)),
        ".bz2" => Box::new(bzip2::read::MultiBzDecoder::new(from)),
        _ => return Ok(None),
    }))
}

/// A reader of an xz stream that does not take as much memory as the stream wants.
pub(crate) fn xz<R: Read>(from: R) -> io::Result<liblzma::read::XzDecoder<R>> {
    let stream = Stream::new_stream_decoder(MAX_LZMA, 0)?;
    Ok(liblzma::read::XzDecoder::new_stream(from, stream))
}

/// A reader of the format before xz, which has no checksum.
pub(crate) fn lzma<R: Read>(from: R) -> io::Result<liblzma::read::XzDecoder<R>> {
    let stream = Stream::new_lzma_decoder(MAX_LZMA)?;
    Ok(liblzma::read::XzDecoder::new_stream(from, stream))
}

fn malformed(path: &Path, error: &io::Error) -> Error {
    refused(path, error.to_string())
}

fn refused(path: &Path, reason: String) -> Error {
    Error::Package {
        path: path.to_owned(),
        reason,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write;

    use super::files::MAX_TOTAL;
    use super::rpm::tests::rpm;
    use super::*;

    /// An archive with these files.
    fn tar(files: &[(&str, &[u8])], is_whole: bool) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            // Written raw: `set_path` refuses what the tests must be able to make.
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_cksum();
            tar.append(&header, *bytes).unwrap();
        }
        if is_whole {
            tar.into_inner().unwrap()
        } else {
            // As `abuild-tar --cut` does.
            tar.get_ref().clone()
        }
    }

    /// A package of apk: its signature, its description and its files, each compressed alone.
    pub(crate) fn apk(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut apk = Vec::new();
        let parts = [
            tar(&[(".SIGN.RSA.key.rsa.pub", b"signature")], false),
            tar(&[(".PKGINFO", b"pkgname = linux-lts")], false),
            tar(files, true),
        ];
        for part in parts {
            let mut gz = flate2::write::GzEncoder::new(apk, flate2::Compression::fast());
            gz.write_all(&part).unwrap();
            apk = gz.finish().unwrap();
        }
        apk
    }

    /// A package with these files, its `data.tar` compressed as `ending` says.
    pub(crate) fn deb(files: &[(&str, &[u8])], ending: &str) -> Vec<u8> {
        let tar = tar(files, true);
        let data = match ending {
            "" => tar,
            ".xz" => {
                let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
                xz.write_all(&tar).unwrap();
                xz.finish().unwrap()
            }
            ".zst" => zstd::encode_all(tar.as_slice(), 1).unwrap(),
            ".gz" => {
                let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gz.write_all(&tar).unwrap();
                gz.finish().unwrap()
            }
            other => panic!("{other}"),
        };
        let mut ar = ar::Builder::new(Vec::new());
        for (name, bytes) in [
            ("debian-binary".to_owned(), b"2.0\n".as_slice()),
            ("control.tar.xz".to_owned(), b"".as_slice()),
            (format!("data.tar{ending}"), data.as_slice()),
        ] {
            let header = ar::Header::new(name.into_bytes(), bytes.len() as u64);
            ar.append(&header, bytes).unwrap();
        }
        ar.into_inner().unwrap()
    }

    fn listing(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut seen = Vec::new();
        walk(file.path(), &mut |name, size, from| {
            seen.push((name.to_owned(), read_file(file.path(), name, size, from)?));
            Ok(())
        })?;
        Ok(seen)
    }

    /// A package of every format with these files.
    fn packages(files: &[(&str, &[u8])]) -> Vec<(&'static str, Vec<u8>)> {
        let mut all: Vec<_> = ["", ".xz", ".zst", ".gz"]
            .map(|ending| ("deb", deb(files, ending)))
            .into();
        all.extend(["none", "gzip", "xz", "zstd", "bzip2"].map(|how| ("rpm", rpm(files, how))));
        let pacman = zstd::encode_all(tar(files, true).as_slice(), 1).unwrap();
        all.extend([("pacman", pacman), ("apk", apk(files))]);
        all
    }

    #[test]
    fn every_format_in_every_compression_is_read() {
        for (format, package) in packages(&[("./boot/vmlinuz-1", b"kernel"), ("./etc/x", b"")]) {
            let mut files = listing(&package).unwrap();
            files.retain(|(name, _)| !name.starts_with('.'));
            assert_eq!(
                files,
                [
                    ("boot/vmlinuz-1".into(), b"kernel".to_vec()),
                    ("etc/x".into(), Vec::new())
                ],
                "{format}"
            );
        }
    }

    #[test]
    fn paths_out_of_the_package_are_refused() {
        for name in ["../x", "./boot/../../x", "/etc/passwd"] {
            for (format, package) in packages(&[(name, b"")]) {
                let error = listing(&package).unwrap_err().to_string();
                assert!(
                    error.contains("points outside of the archive"),
                    "{format}: {error}"
                );
            }
        }
    }

    #[test]
    fn damage_is_an_error_at_every_length() {
        let noise: Vec<u8> = (0..2000_u32)
            .map(|n| ((n * n) >> 3).to_le_bytes()[0])
            .collect();
        for (format, package) in packages(&[("./boot/vmlinuz-1", &noise)]) {
            // An uncompressed tar archive has no checksum that could miss.
            if package.ends_with(&[0; 512]) && format == "deb" {
                continue;
            }
            for length in 0..package.len() - 1 {
                let cut = listing(&package[..length]);
                // Between two of apk's archives, nothing says that another one should follow.
                let is_seen = cut.is_err()
                    || cut.is_ok_and(|files| files.iter().all(|(name, _)| name.starts_with('.')));
                assert!(is_seen, "{format}: {length} of {}", package.len());
            }
        }
        let error = listing(b"not a package").unwrap_err();
        assert!(matches!(error, Error::Package { .. }), "{error}");
        assert!(error.hint().unwrap().starts_with("remove `"));
        let error = listing(b"ADBd....").unwrap_err().to_string();
        assert!(error.contains("apk version 3"), "{error}");
    }

    #[test]
    fn a_name_made_to_fill_the_memory_is_refused() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_path("././@LongLink").unwrap();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(64 << 20);
        header.set_cksum();
        tar.append(&header, io::repeat(b'a').take(64 << 20))
            .unwrap();
        let tar = tar.into_inner().unwrap();
        let error = listing(&zstd::encode_all(tar.as_slice(), 1).unwrap()).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("more than 1 MiB stands between"), "{error}");
    }

    #[test]
    fn a_package_of_more_entries_than_any_has_is_refused() {
        let many: Vec<(&str, &[u8])> = vec![("usr/x", b"".as_slice()); 200_001];
        let pacman = zstd::encode_all(tar(&many, true).as_slice(), 1).unwrap();
        for package in [pacman, rpm(&many, "zstd")] {
            let error = listing(&package).unwrap_err().to_string();
            assert!(error.contains("more than 200000 entries"), "{error}");
        }
    }

    #[test]
    fn a_file_that_claims_too_much_is_refused() {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_path("boot/vmlinuz-1").unwrap();
        header.set_size(MAX_TOTAL + 1);
        header.set_cksum();
        tar.append(&header, io::empty()).unwrap();
        let data = tar.into_inner().unwrap();
        let mut ar = ar::Builder::new(Vec::new());
        ar.append(
            &ar::Header::new(b"data.tar".to_vec(), data.len() as u64),
            data.as_slice(),
        )
        .unwrap();
        let error = listing(&ar.into_inner().unwrap()).unwrap_err().to_string();
        assert!(error.contains("claims 8589934593 bytes"), "{error}");
    }
}
