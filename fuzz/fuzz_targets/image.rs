//! Reads any bytes as the kernel image that a user gives by path. They are either a bootable image or
//! refused with a reason.
#![no_main]
#![allow(unreachable_pub, dead_code, reason = "the reader is a private file of the harness")]

use libfuzzer_sys::fuzz_target;
use ukci_schema::cell::Arch;

// The path is that of the directory, so that `image.rs` finds the modules that are below it.
#[path = "../../harness/src/catalogue"]
mod catalogue {
    pub mod image;
}
use catalogue::image;

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
