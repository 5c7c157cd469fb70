//! Reads any bytes as a kernel module on the host and in the guest, and as a pack of modules. What
//! was packed can be read from the pack.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_fuzz::file_of;
use ukci_harness::fuzzing;

fuzz_target!(|bytes: &[u8]| {
    for path in ["module.ko", "module.ko.xz", "module.ko.zst", "module.ko.gz"] {
        if let Ok(pack) = fuzzing::packed_module(path, bytes.to_vec()) {
            let (_file, path) = file_of(&pack);
            let found = fuzzing::pack(&path, "module").expect("our own pack");
            assert_eq!(found, 1);
        }
    }
    let _ = ukci_guest::fuzzing::module(bytes);
    // A pack whose index is these bytes: they would hardly ever be compressed.
    let index = zstd::bulk::compress(bytes, 1).expect("compression");
    let mut pack = b"ukci.modules/1\n".to_vec();
    pack.extend((index.len() as u64).to_le_bytes());
    pack.extend(index);
    let (_file, path) = file_of(&pack);
    let _ = fuzzing::pack(&path, "a");
});
