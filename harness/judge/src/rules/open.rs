//! Files that libbpf does not open.

use super::object::{other_byte_order, with_excerpt};
use crate::case::Whole;
use crate::errno::{self, ENOMEM};
use crate::finding::{Found, diagnosis, list, of};
use crate::said::Said;
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::Evidence;
use ukci_schema::verdict::Stage;

const STAGE: Stage = Stage::Open;

/// Why libbpf did not open it.
pub(crate) fn unopened(whole: &Whole<'_>) -> Found {
    let evidence = whole.evidence;
    let found = malformed(evidence)
        .or_else(|| other_loader(whole))
        .or_else(|| without_btf(whole))
        .or_else(|| memory(evidence))
        .unwrap_or_else(|| unreadable(evidence));
    with_excerpt("unopened", found, &evidence.log)
}

fn malformed(evidence: &Evidence) -> Option<Diagnosis> {
    let why = evidence.object.malformed.as_deref()?;
    if why == "it is big-endian" {
        return Some(other_byte_order(STAGE));
    }
    let headline = format!("the file is not a BPF object: {}", in_a_sentence(why));
    let hint = if why.contains("LLVM bitcode") {
        "compile without `-emit-llvm` or `-flto`: `clang -g -O2 -target bpf -c`"
    } else {
        "compile with `clang -g -O2 -target bpf -c`"
    };
    Some(of(Code::InvalidObject, STAGE, headline, hint))
}

/// What is written for another loader: `static` programs, maps in sections of their own. All of it
/// is reported at once, because libbpf stops at the first.
fn other_loader(whole: &Whole<'_>) -> Option<Diagnosis> {
    let object = &whole.evidence.object;
    let headline = if let Some((function, section)) = static_program(whole) {
        format!(
            "`{function}` in section `{section}` is `static`, and libbpf loads no `static` programs"
        )
    } else if whole.has_said(&Said::LegacyMaps) {
        "the object defines maps in section `maps`, which libbpf does not read since 1.0".to_owned()
    } else {
        let (map, section) = map_elsewhere(whole)?;
        format!(
            "the object defines the map `{map}` in section `{section}`, which libbpf does not read"
        )
    };
    let mut hints = Vec::new();
    let statics = &object.static_programs;
    if !statics.is_empty() || static_program(whole).is_some() {
        let of = match statics.as_slice() {
            [] => "the program".to_owned(),
            names => list(names),
        };
        hints.push(format!(
            "for libbpf, remove `static` from {of}, or the section if it is a subprogram"
        ));
    }
    let maps = &object.legacy_maps;
    if !maps.is_empty() || static_program(whole).is_none() {
        let of = match maps.as_slice() {
            [] => "its maps".to_owned(),
            names => list(names),
        };
        hints.push(format!(
            "for libbpf, define {of} in `SEC(\".maps\")` with BTF (`__uint`, `__type`)"
        ));
    }
    hints.push(
        "otherwise test it with its own loader (cilium/ebpf, aya and others accept it): this says \
         nothing about the kernel"
            .into(),
    );
    Some(diagnosis(Code::LoaderContract, STAGE, headline, hints))
}

/// A map that a program uses and that lies in a section of another loader's, and the section:
/// libbpf reads maps from `.maps` alone since 1.0 (`lirc_mode2/maps` is that of ir-keytable,
/// `maps/NAME` of gobpf).
fn map_elsewhere<'a>(whole: &Whole<'a>) -> Option<(&'a str, &'a str)> {
    whole.heard(|said| match *said {
        Said::MapElsewhere { map, section } if section != ".maps" && section.contains("maps") => {
            Some((map, section))
        }
        _ => None,
    })
}

fn static_program<'a>(whole: &Whole<'a>) -> Option<(&'a str, &'a str)> {
    whole.heard(|said| match *said {
        Said::StaticProgram { function, section } => Some((function, section)),
        _ => None,
    })
}

fn without_btf(whole: &Whole<'_>) -> Option<Diagnosis> {
    if whole.has_said(&Said::OwnBtfMissing) {
        let headline = "the object has no BTF, which its maps in `.maps` need";
        let hint = "compile with `-g`, and do not strip `.BTF`";
        return Some(of(Code::MissingBtf, STAGE, headline, hint));
    }
    let name = whole.heard(|said| match *said {
        Said::ExternWithoutBtf(name) => Some(name),
        _ => None,
    })?;
    let headline = format!("the object has an extern `{name}` that its BTF does not describe");
    let hint = "link the object that defines it (`bpftool gen object`), or declare it `__ksym` or \
                `__kconfig`";
    Some(of(Code::InvalidObject, STAGE, headline, hint))
}

fn memory(evidence: &Evidence) -> Option<Diagnosis> {
    (evidence.open.errno == Some(ENOMEM))
        .then(|| super::memory::too_little(evidence, "open the object", STAGE))
}

fn unreadable(evidence: &Evidence) -> Diagnosis {
    let last = evidence.log.lines().next_back().unwrap_or_default();
    let said = text::clipped(last.strip_prefix("libbpf: ").unwrap_or(last).trim());
    let errno = errno::name(evidence.open.errno);
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {said}")
    };
    let headline = format!("libbpf cannot read the object ({errno}){said}");
    // What libbpf says of a map is about its declaration; of others the compiler may be the cause.
    let hint = if said.starts_with(": map '") && said.contains("multi-level inner maps") {
        "declare the map of maps with an inner map that is no map of maps itself: there are two levels"
    } else if said.starts_with(": map '") {
        "change the declaration of the map in the source: libbpf read the file, and does not take what it says \
         of this map"
    } else if said.starts_with(": prog '") || said.starts_with(": sec '") {
        "change the section or the program in the source: libbpf read the file, and does not take what it says \
         of it"
    } else {
        "compile it again, with the version of clang that its project uses"
    };
    of(Code::InvalidObject, STAGE, headline, hint)
}

/// `Invalid ELF header` → `invalid ELF header`; `ELF…` stays.
fn in_a_sentence(text: &str) -> String {
    let mut chars = text.chars();
    match (chars.next(), chars.clone().next()) {
        (Some(first), Some(second)) if first.is_uppercase() && second.is_lowercase() => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => text.to_owned(),
    }
}
