//! A program that was refused: by what it asks for, then by errno and by what the kernel said.

use super::asked;
use super::{helper, instruction, license, limit, sleep, verifier};
use crate::case::Case;
use crate::errno::{self, ENOMEM, EPERM};
use crate::finding::{Found, Rule, at_load};
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};

/// After the rules of [`asked`].
const RULES: &[Rule] = &[
    ("memory", memory),
    ("core-relocation", core_relocation),
    ("license", license::refused),
    ("jit", jit),
    ("sleepable", sleep::sleepable),
    ("modifiable", sleep::modifiable),
    ("kfunc-call", instruction::kfunc_call),
    ("instruction", instruction::unknown),
    ("limit", limit::diagnose),
    ("sleeps", sleep::sleeps),
    ("helper-by-log", helper_by_log),
    ("verifier", verifier::rejected),
    ("capability", capability),
    ("helper-silent", helper::silent),
];

/// Why the program was refused; nothing where it is no fault of its own.
pub(crate) fn diagnose(case: &Case<'_>) -> Option<Found> {
    let spoken = asked::RULES.iter().chain(RULES).find_map(|(rule, apply)| {
        Some(Found {
            rule,
            diagnosis: apply(case)?,
        })
    });
    let mut found = match spoken {
        Some(found) => found,
        None if is_bystander(case) => return None,
        None => Found {
            rule: "unexplained",
            diagnosis: unexplained(case),
        },
    };
    let load = &case.program.load;
    let diagnosis = &mut found.diagnosis;
    diagnosis.program = Some(case.program.name.clone());
    diagnosis.hints.truncate(crate::finding::HINTS);
    if diagnosis.at.is_none() && is_of_an_instruction(diagnosis.code) {
        diagnosis.at = load.at.clone().or_else(|| text::source_line(&load.log));
    }
    if diagnosis.excerpt.is_none() {
        diagnosis.excerpt = text::verifier_excerpt(&load.log)
            .or_else(|| text::libbpf_excerpt(&load.libbpf))
            .or_else(|| text::libbpf_excerpt(&case.evidence.log));
    }
    Some(found)
}

/// Whether the fault lies at the instruction that the verifier had come to; else the line would
/// mislead: a map or an attach target is at fault wherever it is used.
fn is_of_an_instruction(code: Code) -> bool {
    matches!(
        code,
        Code::VerifierRejection
            | Code::VerifierLimit
            | Code::CoreRelocationFailure
            | Code::UnsupportedHelper
            | Code::MissingKfunc
            | Code::KfuncMismatch
            | Code::LicenseRequired
            | Code::PolicyDenied
            | Code::Unclassified
    )
}

/// libbpf gave up before it came to the program, over something that the program does not use.
fn is_bystander(case: &Case<'_>) -> bool {
    let words = ["extern (", "extern '", "struct_ops init_kern"];
    let libbpf = [&case.program.load.libbpf];
    let stopped = words
        .iter()
        .any(|words| text::line_with(&libbpf, words).is_some());
    stopped && case.is_silent()
}

fn memory(case: &Case<'_>) -> Option<Diagnosis> {
    (case.program.load.errno == Some(ENOMEM)).then(|| {
        let headline = format!("the guest has too little memory to load {}", case.name());
        at_load(
            Code::GuestResources,
            headline,
            &["give the guest more memory (`memory` in the matrix)"],
        )
    })
}

/// `failed to resolve CO-RE relocation <byte_off> [5] struct task_struct.shoe_size (0:0 @ offset 0)`.
/// Where libbpf did not get to say so, the poison is left that it put in the instruction's place:
/// a call of helper 195896080 (`0xbad2310`).
fn core_relocation(case: &Case<'_>) -> Option<Diagnosis> {
    let Some(line) = case.verifier_line("failed to resolve CO-RE relocation") else {
        case.verifier_line("unknown#195896080")?;
        let headline = format!(
            "{} reads a type or field that the kernel's BTF does not have",
            case.name()
        );
        return Some(at_load(
            Code::CoreRelocationFailure,
            headline,
            &["test `bpf_core_field_exists()` or `bpf_core_type_exists()` before the read"],
        ));
    };
    let kind = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(k, _)| k);
    let spec = line.split_once("] ").map_or(line, |(_, rest)| rest);
    let spec = spec.split_once(" (").map_or(spec, |(spec, _)| spec).trim();
    let (missing, hint) = if let Some((owner, value)) = spec.split_once("::") {
        let value = value.split(" = ").next().unwrap_or(value);
        (
            format!("no `{value}` in `{owner}`"),
            "test `bpf_core_enum_value_exists()` before its use",
        )
    } else if let Some((owner, field)) = spec.split_once('.') {
        (
            format!("no field `{field}` in `{owner}`"),
            "test `bpf_core_field_exists()` before the read",
        )
    } else if kind.is_some_and(|kind| kind.starts_with("enumval")) {
        (
            format!("no such value in `{spec}`"),
            "test `bpf_core_enum_value_exists()` before its use",
        )
    } else {
        (
            format!("no type `{spec}`"),
            "test `bpf_core_type_exists()` before its use",
        )
    };
    let headline = format!("the kernel's BTF has {missing}, which {} uses", case.name());
    Some(at_load(
        Code::CoreRelocationFailure,
        headline,
        &[
            hint,
            "where it was renamed, declare both: `struct task_struct___old { … }` matches \
         `task_struct` too",
        ],
    ))
}

fn jit(case: &Case<'_>) -> Option<Diagnosis> {
    let words = [
        "non-JITed",
        "JIT is required",
        "requires BPF JIT",
        "JIT does not support",
    ];
    let line = words.iter().find_map(|words| case.verifier_line(words))?;
    let enabled = case.evidence.guest.jit.as_deref();
    if enabled.is_some_and(|value| value != "0") {
        let machine = &case.evidence.guest.machine;
        let headline = format!(
            "the JIT of this kernel for {machine} cannot do what {} needs: {line}",
            case.name()
        );
        return Some(at_load(
            Code::VerifierRejection,
            headline,
            &["do without it on this architecture, or on kernels before its JIT learnt it"],
        ));
    }
    let headline = format!(
        "{} needs the JIT, which is off (net.core.bpf_jit_enable=0): {line}",
        case.name()
    );
    Some(at_load(
        Code::MissingKernelConfig,
        headline,
        &[
            "switch the JIT on: `sysctl net.core.bpf_jit_enable=1`",
            "or do without callbacks and kfuncs where it is off",
        ],
    ))
}

/// The kernel says itself that this program may not call the helper; the probes had no answer.
fn helper_by_log(case: &Case<'_>) -> Option<Diagnosis> {
    let line = case
        .verifier_line("program of this type cannot use helper ")
        .or_else(|| case.verifier_line("unknown func bpf_"))
        .or_else(|| case.verifier_line("invalid func unknown#"))?;
    let word = line.split(' ').find(|word| word.contains('#'))?;
    let (name, number) = word.split_once('#')?;
    let thing = if name == "unknown" {
        format!("number {number}")
    } else {
        format!("`{name}`")
    };
    let headline = format!(
        "this kernel does not let `{}` programs call helper {thing}, as {} does",
        case.program.program_type,
        case.name()
    );
    Some(at_load(
        Code::UnsupportedHelper,
        headline,
        &["use a program type that may call it, or another helper"],
    ))
}

fn capability(case: &Case<'_>) -> Option<Diagnosis> {
    (case.program.load.errno == Some(EPERM)).then(|| {
        let headline = format!(
            "the kernel did not permit {} to be loaded (EPERM)",
            case.name()
        );
        at_load(
            Code::CapabilityFailure,
            headline,
            &[
                "give the loader CAP_BPF and CAP_PERFMON (CAP_NET_ADMIN for network programs), or \
             CAP_SYS_ADMIN below 5.8",
            ],
        )
    })
}

fn unexplained(case: &Case<'_>) -> Diagnosis {
    let errno = errno::name(case.program.load.errno);
    let said = case.program.load.libbpf.lines().next().unwrap_or_default();
    let said = said.strip_prefix("libbpf: ").unwrap_or(said).trim();
    let said = if said.is_empty() {
        String::new()
    } else {
        format!(": {}", text::clipped(said))
    };
    let headline = format!(
        "{} was refused ({errno}) and no rule says why{said}",
        case.name()
    );
    at_load(
        Code::Unclassified,
        headline,
        &["please report it, with the cell's evidence directory"],
    )
}
