//! The object as a whole: it cannot be opened, or not loaded without any one program's fault.

use super::{diagnosis, text};
use crate::diagnosis::{Code, Diagnosis};
use crate::evidence::Evidence;
use crate::verdict::Stage;

/// libbpf did not open it.
pub(super) fn unopened(evidence: &Evidence) -> Diagnosis {
    let logs = &[&evidence.log];
    let last = evidence.log.lines().next_back().unwrap_or_default();
    let said = last.strip_prefix("libbpf: ").unwrap_or(last).trim();
    let (code, headline, hint) = if let Some(why) = &evidence.object.malformed {
        let headline = format!("the file is not a BPF object: {}", lowercase(why));
        (
            Code::InvalidObject,
            headline,
            "compile with `clang -g -O2 -target bpf -c`",
        )
    } else if text::line_with(logs, "BTF is required, but is missing").is_some() {
        let headline = "the object has no BTF, which its maps in `.maps` need".to_owned();
        (
            Code::MissingBtf,
            headline,
            "compile with `-g`, and do not strip `.BTF`",
        )
    } else if text::line_with(logs, "legacy map definitions").is_some() {
        let headline =
            "the object defines maps in `SEC(\"maps\")`, which libbpf 1.0 and later refuse"
                .to_owned();
        (
            Code::InvalidObject,
            headline,
            "define them in `SEC(\".maps\")` with BTF (`__uint`, `__type`)",
        )
    } else if said.is_empty() {
        (
            Code::InvalidObject,
            "libbpf cannot read the object".to_owned(),
            "compile it anew",
        )
    } else {
        let headline = format!("libbpf cannot read the object: {said}");
        (
            Code::InvalidObject,
            headline,
            "compile it anew, with the clang that its project uses",
        )
    };
    Diagnosis {
        excerpt: text::libbpf_excerpt(&evidence.log),
        hints: vec![hint.into()],
        ..diagnosis(code, Stage::Open, headline)
    }
}

/// The whole was refused, and every map and program alone was not.
pub(super) fn unloaded(evidence: &Evidence) -> Diagnosis {
    let logs = &[&evidence.log];
    let errno = evidence.load.errno.unwrap_or(0);
    let kernel_btf = text::line_with(logs, "Error loading vmlinux BTF")
        .or_else(|| text::line_with(logs, "kernel BTF is missing"));
    let (code, headline, hint) = if let Some(line) = text::line_with(logs, "extern (kcfg) '") {
        let name = text::quoted(line).unwrap_or("?");
        let headline =
            format!("the kernel's configuration does not say `{name}`, which the object needs");
        let hint = "declare it `__weak` and test it, or give it a value in the loader";
        (Code::MissingKernelConfig, headline, hint)
    } else if let Some(line) = text::line_with(logs, "extern (var ksym) '") {
        let name = text::quoted(line).unwrap_or("?");
        let headline = format!("the kernel has no symbol `{name}`, which the object refers to");
        (
            Code::MissingKfunc,
            headline,
            "declare it `__weak` and test its address before use",
        )
    } else if let Some(line) = text::line_with(logs, "extern (func ksym) '") {
        let name = text::quoted(line).unwrap_or("?");
        let headline = format!("the kernel's kfunc `{name}` does not fit, and no program uses it");
        (
            Code::KfuncMismatch,
            headline,
            "remove the declaration, or make it `__weak`",
        )
    } else if kernel_btf.is_some() || evidence.guest.btf_bytes.is_none() {
        let headline = "the kernel has no BTF (`/sys/kernel/btf/vmlinux`), which the object needs";
        let hint = "give libbpf a BTF file of this kernel (`btf_custom_path`), as BTFHub has them";
        (Code::MissingBtf, headline.to_owned(), hint)
    } else if errno == 12 {
        let headline = "the guest has too little memory to load the object".to_owned();
        (
            Code::GuestResources,
            headline,
            "give the guest more memory (`memory` in the matrix)",
        )
    } else {
        let headline = format!(
            "the whole object was refused (errno {errno}), each map and program alone was not"
        );
        (
            Code::Unclassified,
            headline,
            "please report it, with the cell's evidence directory",
        )
    };
    Diagnosis {
        excerpt: text::libbpf_excerpt(&evidence.log),
        hints: vec![hint.into()],
        ..diagnosis(code, Stage::Load, headline)
    }
}

fn lowercase(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| {
        // `ELF` stays.
        let keep = chars.clone().next().is_some_and(char::is_uppercase);
        if keep {
            text.to_owned()
        } else {
            first.to_lowercase().chain(chars).collect()
        }
    })
}
