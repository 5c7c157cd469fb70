//! Reads a `.deb` in process: `ar`, then `data.tar` in whichever compression, as a stream of files.
//!
//! Nothing is ever written under a name that the package chose: callers get each file's path and
//! a reader, and keep what they want under names of their own. A package with an absolute path or
//! a `..` is refused all the same, since no distribution makes one.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::error::Error;

/// Uncompressed size that no kernel package reaches (the largest seen, Debian's generic 6.1, has
/// 0.4 GiB); more is an archive made to fill the disk.
const MAX_TOTAL: u64 = 8 << 30;

/// Largest single file that is read into memory. A `vmlinux` with debug information has 0.7 GiB.
pub(crate) const MAX_FILE: u64 = 1 << 30;

/// What is called with a file's path, its size and its contents.
pub(crate) type Visit<'a> = dyn FnMut(&str, u64, &mut dyn Read) -> Result<(), Error> + 'a;

/// Calls `each` with the path (without a leading `./`) and the contents of every regular file.
pub(crate) fn walk(path: &Path, each: &mut Visit<'_>) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::on("open", path))?;
    let mut archive = ar::Archive::new(BufReader::with_capacity(256 * 1024, file));
    while let Some(member) = archive.next_entry() {
        let member = member.map_err(|error| malformed(path, &error))?;
        let name = String::from_utf8_lossy(member.header().identifier()).into_owned();
        let Some(compression) = name.trim_end_matches('/').strip_prefix("data.tar") else {
            continue;
        };
        let stream = decompressor(compression, member)
            .map_err(|error| malformed(path, &error))?
            .ok_or_else(|| refused(path, format!("unknown compression of `{name}`")))?;
        return walk_tar(
            path,
            Limited {
                inner: stream,
                left: MAX_TOTAL,
            },
            each,
        );
    }
    Err(refused(path, "it holds no `data.tar`".to_owned()))
}

fn walk_tar(path: &Path, stream: impl Read, each: &mut Visit<'_>) -> Result<(), Error> {
    let mut tar = tar::Archive::new(stream);
    for entry in tar.entries().map_err(|error| malformed(path, &error))? {
        let mut entry = entry.map_err(|error| malformed(path, &error))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name.starts_with('/') || name.split('/').any(|part| part == "..") {
            return Err(refused(
                path,
                format!("`{name}` points outside of the package"),
            ));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let size = entry.size();
        if size > MAX_TOTAL {
            return Err(refused(path, format!("`{name}` claims {size} bytes")));
        }
        each(name.trim_start_matches("./"), size, &mut entry)?;
    }
    // The archive ends before the compression's own checksum does.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(|error| malformed(path, &error))?;
    Ok(())
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

/// A reader of what `from` holds, by the ending of its name (`.xz`, `.zst`, `.gz`, or none); `None`
/// for an ending that is unknown.
pub(crate) fn decompressor<'a>(
    ending: &str,
    from: impl Read + 'a,
) -> io::Result<Option<Box<dyn Read + 'a>>> {
    Ok(Some(match ending {
        "" => Box::new(from),
        ".xz" => Box::new(liblzma::read::XzDecoder::new(from)),
        ".zst" => Box::new(zstd::Decoder::new(from)?),
        ".gz" => Box::new(flate2::read::MultiGzDecoder::new(from)),
        _ => return Ok(None),
    }))
}

/// Ends in an error, not in silence, where more comes than allowed.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::new(io::ErrorKind::FileTooLarge, "it unpacks to more than 8 GiB")
        })?;
        Ok(read)
    }
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

    use super::*;

    /// A package with these files, its `data.tar` compressed as `ending` says.
    pub(crate) fn deb(files: &[(&str, &[u8])], ending: &str) -> Vec<u8> {
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
        let tar = tar.into_inner().unwrap();
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

    #[test]
    fn every_compression_of_data_tar_is_read() {
        for ending in ["", ".xz", ".zst", ".gz"] {
            let package = deb(&[("./boot/vmlinuz-1", b"kernel"), ("./etc/x", b"")], ending);
            assert_eq!(
                listing(&package).unwrap(),
                [
                    ("boot/vmlinuz-1".into(), b"kernel".to_vec()),
                    ("etc/x".into(), Vec::new())
                ],
                "{ending}"
            );
        }
    }

    #[test]
    fn paths_out_of_the_package_are_refused() {
        for name in ["../x", "./boot/../../x", "/etc/passwd"] {
            let error = listing(&deb(&[(name, b"")], ".xz"))
                .unwrap_err()
                .to_string();
            assert!(error.contains("points outside of the package"), "{error}");
        }
    }

    #[test]
    fn damage_is_an_error_at_every_length() {
        let package = deb(&[("./boot/vmlinuz-1", &[7; 5000])], ".xz");
        for length in 0..package.len() - 1 {
            assert!(
                listing(&package[..length]).is_err(),
                "{length} of {}",
                package.len()
            );
        }
        let error = listing(b"not a package").unwrap_err();
        assert!(matches!(error, Error::Package { .. }), "{error}");
        assert!(error.hint().unwrap().starts_with("remove `"));
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
