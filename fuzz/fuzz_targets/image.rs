//! Reads any bytes as the kernel image that a user gives by path. They are either a bootable image or
//! refused with a reason.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_harness::fuzzing;
use ukci_schema::cell::Arch;

fuzz_target!(|bytes: &[u8]| {
    for arch in Arch::ALL {
        match fuzzing::kernel_image(bytes.to_vec(), arch) {
            Ok((image, release)) => {
                assert!(!release.is_empty(), "a kernel has a release");
                assert!(!release.contains(['/', '\n']), "a release is no path");
                assert!(!image.is_empty());
            }
            Err(reason) => assert!(!reason.is_empty()),
        }
    }
    let _ = fuzzing::about_image(bytes);
});
