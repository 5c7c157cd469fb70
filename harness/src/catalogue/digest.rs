//! SHA-256 digests in the form that locks and plans use.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::input_file;

/// SHA-256 while bytes pass.
#[derive(Clone, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Takes in a value and its length, so that two values never run into one another.
    pub(crate) fn field(&mut self, value: &[u8]) {
        self.update(&(value.len() as u64).to_le_bytes());
        self.update(value);
    }

    /// The digest, 64 lower-case hex digits.
    pub(crate) fn finish(self) -> String {
        HEXLOWER.encode(&self.0.finalize())
    }
}

/// The digest of `bytes`.
pub fn of(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// The digest of the regular file at `path`, read from its beginning. A device, which would never
/// end, and a pipe are refused.
pub fn of_file(path: &Path) -> io::Result<String> {
    of_metered(path, |file| file)
}

/// The same, read through what `metered` makes of the file.
pub(crate) fn of_metered<R: Read>(
    path: &Path,
    metered: impl FnOnce(File) -> R,
) -> io::Result<String> {
    let mut hasher = Hasher::default();
    absorb(&mut hasher, &mut metered(input_file::open(path, u64::MAX)?))?;
    Ok(hasher.finish())
}

/// Feeds all of `from` to `hasher` and returns how many bytes that were.
pub(crate) fn absorb(hasher: &mut Hasher, from: &mut impl Read) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                total += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn digests_are_lower_case_hex() {
        assert_eq!(
            super::of(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
