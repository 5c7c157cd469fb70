//! Reads any bytes as what is said to the host and to the agent: lines of a console, of QEMU, of a
//! compiler, of the kernel and of libbpf, and the names of files that a command left.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ukci_fuzz::leads_down;
use ukci_guest::{fuzzing as guest, verifier};
use ukci_harness::console::{self, Console};
use ukci_harness::fuzzing as host;
use ukci_harness::render;
use ukci_schema::evidence::Log;

fuzz_target!(|bytes: &[u8]| {
    // In pieces and whole, a console says the same.
    let (mut whole, mut pieces) = (Console::default(), Console::default());
    whole.push(bytes);
    for piece in bytes.chunks(7) {
        pieces.push(piece);
    }
    assert_eq!(whole.state(), pieces.state());
    assert_eq!(whole.excerpt(), pieces.excerpt());
    for line in whole.excerpt() {
        assert!(!line.chars().any(render::is_active), "{line:?}");
        let _ = console::splat(&line);
    }
    let _ = guest::warning(bytes);
    let _ = host::program(bytes);

    let text = String::from_utf8_lossy(bytes);
    let _ = host::qmp(&text);
    let diagnosis = host::compile_refusal(&text);
    assert!(!diagnosis.headline.is_empty());
    let path = host::out_file(&text);
    let path = path.to_str().expect("UTF-8");
    assert!(!path.is_empty() && leads_down(path), "{path}");
    for part in path.split('/') {
        assert!(!part.is_empty() && part.len() <= 255, "{path}");
    }

    let _ = guest::libbpf_words(&Log::bounded(&text));
    let _ = guest::kernel_files(&text);
    let _ = (
        verifier::statistics(&text),
        verifier::last_instruction(&text),
    );
    if let Some((wanted, rest)) = text.split_once('\n') {
        let names: Vec<&str> = rest.lines().take(32).collect();
        assert!(guest::nearest(wanted, &names).len() <= 3);
    }
    let shown = render::harmless(&text);
    assert!(!shown.chars().any(render::is_active), "{shown:?}");
});
