//! Nix's store paths, as far as `ukci` needs them: where a file of a known digest lies, and
//! whether a path is one. To be replaced by the `nix-compat` crate when that is published.
//!
//! The form is Nix's own (`src/libstore/store-api.cc`, `makeFixedOutputPath`, 2.8 and on): a path
//! is named by the first 160 folded bits of the SHA-256 of a sentence about its contents.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Where Nix keeps everything. Stores elsewhere name their paths by another sentence.
pub const STORE: &str = "/nix/store";

/// Nix's digits: no `e`, `o`, `t` and `u`, so that no word comes out.
const DIGITS: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Digits of a path's digest: 160 bits.
const DIGEST_LENGTH: usize = 32;

/// Longest name after the digest.
const LONGEST_NAME: usize = 211;

/// A path of [`STORE`]'s: `/nix/store/<digest>-<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePath {
    digest: String,
    name: String,
}

impl StorePath {
    /// Where Nix keeps a file of this SHA-256 (hex), fetched or added as it is under this name;
    /// `None` if either is not one.
    pub fn of_file(name: &str, sha256: &str) -> Option<Self> {
        if !is_digest(sha256) || !is_name(name) {
            return None;
        }
        let contents = HEXLOWER.encode(&Sha256::digest(format!("fixed:out:sha256:{sha256}:")));
        let sentence = format!("output:out:sha256:{contents}:{STORE}:{name}");
        let digest = base32(&folded(&Sha256::digest(sentence)));
        let name = name.to_owned();
        Some(Self { digest, name })
    }

    /// The store path that `path` is or lies in; `None` if it is outside of the store or the
    /// store would not have it.
    pub fn holding(path: &Path) -> Option<Self> {
        let below = path.strip_prefix(STORE).ok()?;
        let mut components = below.components();
        let Some(Component::Normal(first)) = components.next() else {
            return None;
        };
        if !components.all(|rest| matches!(rest, Component::Normal(_))) {
            return None;
        }
        let (digest, name) = first.to_str()?.split_once('-')?;
        let is_base32 = digest.bytes().all(|digit| DIGITS.contains(&digit));
        (digest.len() == DIGEST_LENGTH && is_base32 && is_name(name)).then(|| Self {
            digest: digest.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The path.
    pub fn path(&self) -> PathBuf {
        Path::new(STORE).join(format!("{}-{}", self.digest, self.name))
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}/{}-{}", self.digest, self.name)
    }
}

/// A file name as a store path can have it: what Nix refuses becomes `-`. `nix/storeName.nix` does
/// the same.
pub fn store_name(file_name: &str) -> String {
    file_name
        .chars()
        .map(|c| if is_name_character(c) { c } else { '-' })
        .collect()
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+-._?=".contains(c)
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && !name.starts_with('.')
        && name.chars().all(is_name_character)
}

fn is_digest(sha256: &str) -> bool {
    let lower_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    sha256.len() == 64 && sha256.bytes().all(lower_hex)
}

/// A digest in Nix's base 32: five bits a digit, the last bits first.
pub fn base32(bytes: &[u8]) -> String {
    let length = (bytes.len() * 8).div_ceil(5);
    let digit = |n: usize| {
        let (byte, shift) = (n * 5 / 8, n * 5 % 8);
        let pair = [bytes.get(byte), bytes.get(byte + 1)].map(|b| b.copied().unwrap_or(0));
        let bits = u16::from_le_bytes(pair) >> shift;
        char::from(DIGITS[usize::from(bits & 31)])
    };
    (0..length).rev().map(digit).collect()
}

/// 256 bits folded to 160.
fn folded(digest: &[u8]) -> [u8; 20] {
    let mut folded = [0; 20];
    for (n, byte) in digest.iter().enumerate() {
        folded[n % 20] ^= byte;
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of `hello\n`.
    const HELLO: &str = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

    #[test]
    fn base_32_is_nix_s() {
        // What `nix-hash --type sha256 --flat --base32` of 2.8 says of the file.
        let digest = Sha256::digest(b"hello\n");
        assert_eq!(
            base32(&digest),
            "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq"
        );
        assert_eq!(base32(&[0; 20]), "0".repeat(32));
        assert_eq!(base32(&[]), "");
    }

    #[test]
    fn paths_are_recognised() {
        let path = StorePath::of_file("hello", HELLO).unwrap();
        let file = path.path().join("bin/hello");
        assert_eq!(StorePath::holding(&file), Some(path.clone()));
        assert_eq!(StorePath::holding(&path.path()), Some(path));
        let digest = "0".repeat(32);
        for wrong in [
            "/tmp/x".to_owned(),
            "/nix/store".to_owned(),
            "/nix/store/.links".to_owned(),
            format!("/nix/store/{digest}"),
            format!("/nix/store/{digest}-"),
            format!("/nix/store/{digest}-.x"),
            format!("/nix/store/{digest}-x/../../../etc/passwd"),
            format!("/nix/store/{}-x", "e".repeat(32)),
        ] {
            assert_eq!(StorePath::holding(Path::new(&wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn what_nix_refuses_has_no_path() {
        assert_eq!(StorePath::of_file("hello", &HELLO.to_uppercase()), None);
        assert_eq!(StorePath::of_file("hello", &HELLO[1..]), None);
        assert_eq!(StorePath::of_file("a~b", HELLO), None);
        assert_eq!(StorePath::of_file("", HELLO), None);
        let name = store_name("linux-image-7.2_7.2~rc1-1:2_amd64.deb");
        assert_eq!(name, "linux-image-7.2_7.2-rc1-1-2_amd64.deb");
        assert!(StorePath::of_file(&name, HELLO).is_some());
    }
}
