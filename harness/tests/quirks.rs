//! The quirks of Debian's kernels, compared with the configurations of the kernels in the cache.

#![expect(clippy::print_stderr, reason = "what was skipped is told")]

use ukci_harness::catalogue::{Catalogue, cache_dir};
use ukci_harness::kernel_quirks;
use ukci_harness::resolve::LOCK;
use ukci_schema::lock::Lock;

#[test]
fn what_is_said_of_the_kernels_of_debian_is_true() {
    let lock: Lock = serde_json::from_str(LOCK).unwrap();
    let catalogue = Catalogue::open(lock, &cache_dir()).unwrap();
    let mut seen = Vec::new();
    for kernel in &catalogue.lock().kernels {
        let Some(config) = catalogue.config(kernel) else {
            continue;
        };
        for quirk in kernel_quirks::of(&kernel.name, kernel.arch) {
            let said = quirk.contradiction(&config);
            assert_eq!(
                said, None,
                "{} on {}: {}",
                kernel.name, kernel.arch, quirk.what
            );
            if !seen.contains(&quirk) {
                seen.push(quirk);
            }
        }
    }
    let of_debian = |quirk: &&kernel_quirks::Quirk| quirk.kernels[0].starts_with("debian-");
    for quirk in kernel_quirks::all().iter().filter(of_debian) {
        if !seen.contains(&quirk) {
            eprintln!(
                "not compared: {:?}: no kernel of it is in the cache",
                quirk.kernels
            );
        }
    }
    // `make test` fetches the kernels of `quick` and `archs`.
    if std::env::var_os("UKCI_TEST_REAL").is_some() {
        assert!(seen.len() >= 7, "only {} quirks were compared", seen.len());
    }
}
