//! A probe that dies, and what its parent learns of it. One thread, for it forks.
#![expect(unsafe_code, reason = "a crash is provoked")]

use std::os::unix::net::UnixStream;

use ukci_guest::channel::{Arrived, Channel};
use ukci_guest::child::{fork, report_panics, tell_panics_to, wait};

fn main() {
    a_crash_is_told_apart_by_its_signal();
    a_panic_is_told_to_the_peer();
}

fn a_crash_is_told_apart_by_its_signal() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (child, ours) = fork(ours, theirs, |_| {
        // SAFETY: no page is mapped so low: the child dies here, as of a mistake of libbpf's.
        unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
    })
    .unwrap();
    assert!(Channel::new(ours).receive().is_err(), "it said nothing");
    assert_eq!(wait(child), "died of signal 11");
}

fn a_panic_is_told_to_the_peer() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (child, ours) = fork(ours, theirs, |_| {
        report_panics();
        panic!("out of ideas");
    })
    .unwrap();
    let Arrived::Json(said) = Channel::new(ours).receive().unwrap() else {
        panic!("bytes where a word was due")
    };
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("trouble") && said.contains("out of ideas"),
        "{said}"
    );
    assert_eq!(wait(child), "ended with status 101");
    // The child's choice of a listener is its own.
    tell_panics_to(-1);
}
