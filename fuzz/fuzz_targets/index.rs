//! Reads any bytes as the indices of the four families of distributions, signed or not. Every path
//! of what they list stays below the archive's root.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_fuzz::leads_down;
use ukci_pin::fuzzing::{self, Listed};

/// Short names, so that they are found by chance, and real ones.
const NAMES: [&str; 4] = ["a", "linux", "kernel-core", "linux-virt"];

fuzz_target!(|bytes: &[u8]| {
    sound(fuzzing::pacman(bytes, &NAMES));
    sound(fuzzing::apk(bytes, &NAMES));
    let _ = fuzzing::apk_signatures(bytes);
    sound(fuzzing::rpm_md(bytes, bytes, &NAMES));
    sound(fuzzing::primary("primary.xml", bytes, &NAMES));
    let text = String::from_utf8_lossy(bytes);
    sound(Ok(fuzzing::deb(&text, &text, "linux-")));
    if let Some((one, other)) = text.split_once('\n') {
        let (order, ..) = fuzzing::versions(one, other);
        assert_eq!(fuzzing::versions(other, one).0, order.reverse());
    }
});

fn sound(listed: Result<Listed, String>) {
    for (path, _) in listed.unwrap_or_default() {
        assert!(leads_down(&path), "{path}");
    }
}
