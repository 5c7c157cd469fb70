//! Imports any archive into a cache, and reads it as a remembered verdict. Nothing of an archive is
//! written elsewhere. The input is a tar archive, which is compressed here.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ukci_fuzz::{directory, file_of};
use ukci_harness::{cache, fuzzing};

fuzz_target!(|bytes: &[u8]| {
    let archive = zstd::bulk::compress(bytes, 1).expect("compression");
    let outside = directory();
    let cache_dir = outside.path().join("cache");
    let (_file, path) = file_of(&archive);
    if cache::import(&path, &cache_dir).is_err() {
        assert!(!has_files(&cache_dir), "a refused archive left something");
    }
    let cell = outside.path().join("cell");
    std::fs::create_dir(&cell).expect("memory");
    let _ = fuzzing::remembered(archive.as_slice(), "key", &cell);
    let there = std::fs::read_dir(outside.path()).expect("the directory");
    assert!(there.count() <= 2, "something was written outside");
});

fn has_files(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .any(|path| path.is_file() || has_files(&path))
}
