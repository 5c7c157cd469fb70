//! What a user can hand in as a kernel: any bytes are a bootable image or refused with a reason.
#![no_main]
#![allow(unreachable_pub, dead_code, reason = "the reader is a private file of the harness")]

use libfuzzer_sys::fuzz_target;
use ukci_schema::cell::Arch;

#[path = "../../harness/src/catalogue/image.rs"]
mod image;

fuzz_target!(|bytes: &[u8]| {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        match image::bootable(bytes.to_vec(), arch) {
            Ok(image) => {
                assert!(!image.release.is_empty(), "a kernel has a release");
                assert!(!image.release.contains(['/', '\n']), "a release is no path");
                assert!(!image.bytes.is_empty());
            }
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
});
