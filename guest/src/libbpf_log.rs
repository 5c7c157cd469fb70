//! Captures what libbpf prints.
//!
//! The input is a function to run. The output is its result, with the lines that libbpf printed
//! while it ran. libbpf has one print callback per process, so all of its text goes through this
//! module. Nothing is dropped or interpreted here.

use std::sync::Mutex;

use libbpf_rs::{PrintLevel, set_print};
use ukci_schema::evidence::Log;

static TEXT: Mutex<String> = Mutex::new(String::new());

#[expect(
    clippy::needless_pass_by_value,
    reason = "libbpf-rs asks for this signature"
)]
fn keep(_: PrintLevel, line: String) {
    let mut text = TEXT
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    text.push_str(&line);
}

/// Runs `act` and returns what libbpf printed meanwhile, at level info or worse. The callback
/// that was set before is put back.
pub fn captured<T>(act: impl FnOnce() -> T) -> (T, Log) {
    let before = set_print(Some((PrintLevel::Info, keep)));
    let outer = take();
    let result = act();
    let log = Log::bounded(&take());
    TEXT.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .push_str(&outer);
    set_print(before);
    (result, log)
}

/// Adds a line of ours to what is captured.
pub(crate) fn note(line: &str) {
    keep(PrintLevel::Warn, format!("{line}\n"));
}

fn take() -> String {
    std::mem::take(
        &mut *TEXT
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner),
    )
}
