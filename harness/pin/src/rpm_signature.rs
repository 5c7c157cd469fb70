//! The signatures that RPM packages have within them.

use ukci_harness::catalogue::{digest, signed_rpm};

use crate::keyring::Keyrings;

/// Checks an RPM's own signature, of its header and through it of its payload.
pub(crate) fn verify(package: &[u8], keyrings: &Keyrings) -> Result<(), String> {
    let signed = signed_rpm(package)?;
    let mut reason = "it has no signature".to_owned();
    for signature in &signed.of_header {
        match keyrings.verify(signature, signed.header) {
            Ok(()) if signed.payload_sha256.as_ref() == Some(&digest::of(signed.payload)) => {
                return Ok(());
            }
            Ok(()) => {
                reason = String::from("its signed header does not have the digest of its payload");
            }
            Err(other) => reason = other,
        }
    }
    for signature in &signed.of_both {
        match keyrings.verify(signature, signed.both) {
            Ok(()) => return Ok(()),
            Err(other) => reason = other,
        }
    }
    Err(reason)
}
