//! The digests that only the metadata of some vendors has.

use rsa::sha2::{Digest, Sha512};
use sha1::Sha1;

/// SHA-512, hex.
pub(crate) fn sha512(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha512::digest(bytes))
}

/// SHA-1. It is what apk's index has; the data behind it is named by SHA-256.
pub(crate) fn sha1(bytes: &[u8]) -> Vec<u8> {
    Sha1::digest(bytes).to_vec()
}
