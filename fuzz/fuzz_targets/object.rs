//! Reads any bytes as the object that a user gives. They are read or refused as malformed, and what
//! the reader says about them is true.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use ukci_guest::requirements;
use ukci_harness::object_file;

fuzz_target!(|bytes: &[u8]| {
    let read = requirements::read(bytes);
    assert_eq!(
        format!("{read:?}"),
        format!("{:?}", requirements::read(bytes))
    );
    for (name, offset) in &read.strong_externs {
        assert!(*offset < bytes.len(), "{name} lies outside");
    }
    // Nothing but the kind of a symbol's binding may change, nor the length.
    let none = BTreeSet::new();
    let copy = requirements::with_weak_externs(bytes, &read, &none);
    assert_eq!(copy.len(), bytes.len());
    let changed: BTreeSet<usize> = (0..copy.len()).filter(|n| copy[*n] != bytes[*n]).collect();
    let told: BTreeSet<usize> = read.strong_externs.iter().map(|(_, at)| *at).collect();
    assert!(changed.is_subset(&told));
    let all = read.strong_externs.iter().map(|(name, _)| name.clone());
    let kept = requirements::with_weak_externs(bytes, &read, &all.collect());
    assert_eq!(kept, bytes, "what is kept stays as it is");
    let _ = ukci_guest::fuzzing::object(bytes);
    assert_eq!(object_file::facts(bytes), object_file::facts(bytes));
});
