//! Reads any bytes as keys, as a signed text, as a signature and as a signed package. Nothing that a
//! key has not signed is trusted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_fuzz::file_of;
use ukci_pin::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    let (_file, path) = file_of(bytes);
    let _ = fuzzing::signed_text(path.clone(), bytes);
    let _ = fuzzing::detached(path.clone(), bytes);
    let _ = fuzzing::rpm(path, bytes);
});
