//! The door of the fuzz targets in `fuzz/`: readers of foreign text that are private to this crate.
//! It is there only with the feature `fuzzing` and promises nothing to anyone else.

use std::collections::{BTreeMap, BTreeSet};

use ukci_schema::evidence::Log;

use crate::{core_member, foreign, guest_facts, isolation, kernel, kernel_variable, kmsg};
use crate::{module_owner, modules, nearest_names};

/// The warning of a record of `/dev/kmsg`.
pub fn warning(record: &[u8]) -> Option<String> {
    kmsg::warning(record)
}

/// Everything that is read of a log of libbpf or of the verifier.
pub fn libbpf_words(log: &Log) -> (bool, Option<&str>, Log, bool) {
    (
        isolation::libbpf_words::left_out_slot(log),
        isolation::libbpf_words::blamed(log),
        isolation::libbpf_words::without_verifier_log(log),
        log.lines().any(core_member::is_access),
    )
}

/// What is read of a module: what it depends on, and its symbols.
pub fn module(bytes: &[u8]) -> (Vec<String>, BTreeMap<String, bool>) {
    (modules::depends(bytes), module_owner::symbols(bytes))
}

/// What is read of an object that libbpf may refuse.
pub fn object(bytes: &[u8]) -> String {
    let mut facts = ukci_schema::evidence::ObjectFacts::default();
    foreign::read(bytes, &mut facts);
    format!("{facts:?}")
}

/// What is read of the kernel's files: the settings, the capabilities, the chosen word and a symbol.
pub fn kernel_files(text: &str) -> (BTreeMap<String, String>, Vec<String>, Option<String>) {
    let _ = text.lines().filter_map(kernel::text_symbol).count();
    let _ = kernel_variable::among(text, &BTreeSet::from(["jiffies"]));
    (
        guest_facts::chosen(text),
        guest_facts::capabilities_missing(text),
        guest_facts::bracketed(text),
    )
}

/// The names nearest to a wanted one.
pub fn nearest<'a>(wanted: &str, names: &[&'a str]) -> Vec<&'a str> {
    nearest_names::nearest(wanted, names.iter().copied(), |_| true)
}
