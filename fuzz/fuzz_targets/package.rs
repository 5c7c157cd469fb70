//! Reads any bytes as the package of a distribution: a `.deb`, an `.rpm`, pacman's or apk's. Its
//! files are read or refused, and no path leads out of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_fuzz::{file_of, leads_down};
use ukci_harness::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    let (_file, path) = file_of(bytes);
    match fuzzing::package(&path, 1 << 16) {
        Ok(files) => {
            for (name, _) in files {
                assert!(leads_down(&name), "{name}");
            }
        }
        Err(reason) => assert!(!reason.is_empty()),
    }
    let _ = fuzzing::boot_files(&path, "6.1.0-1-amd64");
    let _ = fuzzing::signed_rpm(bytes);
});
