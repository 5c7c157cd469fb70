//! Reads any bytes as each of the JSON documents that come from elsewhere: a lock, a plan, evidence,
//! a report, features, a command, a store's manifest. What is read says the same again.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;
use ukci_fuzz::leads_down;
use ukci_harness::fuzzing;
use ukci_schema::command::{Command, CommandRequest};
use ukci_schema::evidence::Evidence;
use ukci_schema::features::KernelFeatures;
use ukci_schema::lock::Lock;
use ukci_schema::message::Request;
use ukci_schema::plan::Plan;
use ukci_schema::report::Report;

fuzz_target!(|bytes: &[u8]| {
    same::<Plan>(bytes);
    same::<Report>(bytes);
    same::<Command>(bytes);
    same::<CommandRequest>(bytes);
    same::<Request>(bytes);
    if let Some(features) = same::<KernelFeatures>(bytes) {
        let _ = features.settings();
        assert!(features.differences(&features).is_empty());
    }
    if let Some(evidence) = same::<Evidence>(bytes) {
        let _ = ukci_judge::judge(&evidence, true);
        let canonical = ukci_judge::canonical::canonical(&evidence);
        assert_eq!(ukci_judge::canonical::canonical(&canonical), canonical);
    }
    if let Some(lock) = same::<Lock>(bytes) {
        let kernels = lock.kernels.len();
        for kernel in &lock.kernels {
            for package in &kernel.packages {
                assert_eq!(package.sha256.len(), 64);
            }
        }
        let files = lock.into_files();
        let total: usize = files.values().map(|file| file.kernels.len()).sum();
        assert_eq!(total, kernels);
        for name in files.keys() {
            assert!(leads_down(name), "{name}");
        }
    }
    if let Some(again) = fuzzing::store_manifest(bytes) {
        assert_eq!(fuzzing::store_manifest(&again), Some(again.clone()));
    }
});

/// What the bytes are, if they are that. It survives its own JSON.
fn same<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(bytes).ok()?;
    let json = serde_json::to_vec(&read).expect("JSON");
    assert_eq!(
        serde_json::from_slice::<T>(&json).expect("its own JSON"),
        read
    );
    Some(read)
}
