//! A program that was refused alone.

use super::{diagnosis, features, map, text};
use crate::diagnosis::{Code, Diagnosis};
use crate::evidence::{Evidence, FeatureKind, ProgramEvidence, StepOutcome};
use crate::history;
use crate::verdict::Stage;

const EPERM: i32 = 1;
const ESRCH: i32 = 3;
const E2BIG: i32 = 7;
const ENOMEM: i32 = 12;

/// A rule: what it decides, or nothing where it does not apply.
type Rule = fn(&ProgramEvidence, &Evidence) -> Option<Diagnosis>;

/// In this order: what is asked for against what there is, then errno, then text.
const RULES: &[(&str, Rule)] = &[
    ("map", refused_map),
    ("kfunc", kfunc),
    ("program-type", program_type),
    ("helper", helper),
    ("policy", policy),
    ("target", target),
    ("memory", memory),
    ("core-relocation", core_relocation),
    ("license", license),
    ("jit", jit),
    ("sleepable", sleepable),
    ("limit", limit),
    ("helper-for-type", helper_for_type),
    ("capability", capability),
    ("verifier", verifier),
];

/// Why the program was refused.
pub(super) fn diagnose(program: &ProgramEvidence, evidence: &Evidence) -> Diagnosis {
    let mut found = RULES
        .iter()
        .find_map(|(_, rule)| rule(program, evidence))
        .unwrap_or_else(|| unclassified(program));
    found.program = Some(program.name.clone());
    if found.at.is_none() {
        found.at.clone_from(&program.load.at);
    }
    if found.excerpt.is_none() {
        found.excerpt = text::verifier_excerpt(&program.load.log)
            .or_else(|| text::libbpf_excerpt(&program.load.libbpf));
    }
    found
}

fn at_load(code: Code, headline: String, hints: &[&str]) -> Diagnosis {
    Diagnosis {
        hints: hints.iter().map(|hint| (*hint).to_owned()).collect(),
        ..diagnosis(code, Stage::Load, headline)
    }
}

fn since(release: Option<&str>) -> String {
    release
        .map(|release| format!(" (mainline {release})"))
        .unwrap_or_default()
}

fn refused_map(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let guilty = evidence.maps.iter().find(|map| {
        // Global data is named by its section in the ELF and after the object in libbpf.
        let uses = |name: &String| {
            *name == map.name || (name.starts_with('.') && map.name.ends_with(name.as_str()))
        };
        map.created == StepOutcome::Refused && program.maps.iter().any(uses)
    })?;
    Some(map::diagnose(guilty, evidence))
}

fn kfunc(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let logs = [&program.load.log, &program.load.libbpf, &evidence.log];
    let missing = program.kfuncs.iter().find(|name| {
        features(evidence, FeatureKind::Kfunc, name).any(|f| f.present == Some(false))
    });
    // A weak kfunc may be missing: the verifier must have stumbled over it.
    let named = |name: &str| text::line_with(&logs, &format!("'{name}'")).is_some();
    if let Some(name) = missing.filter(|name| named(name)) {
        let since = since(history::kfunc(name));
        let headline = format!(
            "the kernel has no kfunc `{name}`{since}, which `{}` calls",
            program.name
        );
        let hint =
            format!("declare it `__weak` and test `bpf_ksym_exists({name})` before the call");
        return Some(at_load(
            Code::MissingKfunc,
            headline,
            &[
                &hint,
                "put the program in an object of its own that is loaded where the kfunc exists",
            ],
        ));
    }
    let unfit = program.kfuncs.iter().find(|name| {
        let unresolved = format!("kfunc '{name}' is referenced but wasn't resolved");
        text::line_with(&logs, &unresolved).is_some()
    })?;
    let headline = format!(
        "the kernel has kfunc `{unfit}` with another prototype than `{}` declares",
        program.name
    );
    Some(at_load(
        Code::KfuncMismatch,
        headline,
        &[
            "declare it as the kernel's BTF has it (`bpftool btf dump file /sys/kernel/btf/vmlinux`)",
            "give the structs of its prototype a body: a forward declaration does not match",
        ],
    ))
}

fn program_type(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let kind = &program.program_type;
    features(evidence, FeatureKind::ProgramType, kind).find(|f| f.present == Some(false))?;
    let since = since(history::program_type(kind));
    let headline = format!(
        "the kernel has no program type `{kind}`{since}, which `{}` is of",
        program.name
    );
    Some(at_load(
        Code::UnsupportedProgramType,
        headline,
        &["switch the program off where the kernel lacks the type (`bpf_program__set_autoload`)"],
    ))
}

fn helper(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let name = program.helpers.iter().find(|name| {
        features(evidence, FeatureKind::Helper, name)
            .any(|f| f.program_type.is_none() && f.present == Some(false))
    })?;
    let since = since(history::helper(name));
    let headline = format!(
        "the kernel has no helper `{name}`{since}, which `{}` calls",
        program.name
    );
    let instead = helper_instead(name);
    Some(at_load(
        Code::UnsupportedHelper,
        headline,
        &[
            instead,
            "or load a variant without it where `libbpf_probe_bpf_helper` says no",
        ],
    ))
}

fn helper_instead(name: &str) -> &'static str {
    match name {
        "bpf_loop" | "bpf_for_each_map_elem" => {
            "use a loop with a constant bound (`for`, `#pragma unroll`) for kernels without it"
        }
        "bpf_ringbuf_reserve" | "bpf_ringbuf_output" => {
            "fall back to `bpf_perf_event_output` for kernels without ring buffers"
        }
        "bpf_probe_read_kernel" | "bpf_probe_read_user" => {
            "fall back to `bpf_probe_read` for kernels without it"
        }
        "bpf_get_current_task_btf" => "fall back to `bpf_get_current_task` and BPF_CORE_READ",
        _ => "test `bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_…)` before the call",
    }
}

/// The kernel knows the helper, and says itself that this program may not call it.
fn helper_for_type(program: &ProgramEvidence, _: &Evidence) -> Option<Diagnosis> {
    let log = [&program.load.log];
    let line = text::line_with(&log, "program of this type cannot use helper")
        .or_else(|| text::line_with(&log, "unknown func bpf_"))
        .or_else(|| text::line_with(&log, "cannot use helper bpf_"))?;
    let name = line
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .find(|word| word.starts_with("bpf_"))?;
    let headline = format!(
        "programs of type `{}` may not call helper `{name}` on this kernel, and `{}` does",
        program.program_type, program.name
    );
    Some(at_load(
        Code::UnsupportedHelper,
        headline,
        &["use a program type that may call it, or another helper"],
    ))
}

/// Lockdown takes helpers away; libbpf then rewrites probe_read_kernel to probe_read, which the
/// verifier does not know either.
fn policy(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let lockdown = evidence
        .guest
        .lockdown
        .as_deref()
        .filter(|mode| *mode != "none")?;
    let reads =
        |name: &String| name.starts_with("bpf_probe_read") || name == "bpf_probe_write_user";
    let name = program.helpers.iter().find(|name| reads(name));
    let log = [&program.load.log];
    let denied = text::line_with(&log, "unknown func bpf_probe_")
        .or_else(|| text::line_with(&log, "cannot use helper bpf_probe_"));
    if denied.is_none() && program.load.errno != Some(EPERM) {
        return None;
    }
    let thing = name.map_or_else(
        || "the program".to_owned(),
        |name| format!("helper `{name}`"),
    );
    let headline = format!(
        "kernel lockdown (`{lockdown}`) forbids {thing}, which `{}` needs",
        program.name
    );
    Some(at_load(
        Code::PolicyDenied,
        headline,
        &["boot without `lockdown=`, or use program types that read through BTF (fentry, tp_btf)"],
    ))
}

fn target(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let name = program.target.as_deref()?;
    let logs = [&program.load.libbpf, &evidence.log];
    let unfound = text::line_with(&logs, "failed to find kernel BTF type ID of").is_some()
        || program.load.errno == Some(ESRCH);
    let feature = features(evidence, FeatureKind::Target, name).find(|f| f.present == Some(false));
    if !unfound || feature.is_none() {
        return None;
    }
    Some(missing_target(
        program,
        name,
        feature.and_then(|f| f.detail.as_deref()),
        Stage::Load,
    ))
}

/// Also of a refused attachment.
pub(super) fn missing_target(
    program: &ProgramEvidence,
    name: &str,
    near: Option<&str>,
    stage: Stage,
) -> Diagnosis {
    let headline = format!(
        "the kernel has no `{name}` for `{}` (`{}`)",
        program.name, program.section
    );
    let mut hints = Vec::new();
    if let Some(near) = near.and_then(|near| near.strip_prefix("near: ")) {
        hints.push(format!("it has {near}"));
    }
    hints.push(
        "functions are inlined and renamed from release to release: choose the target in the \
         loader, or mark the program optional with `SEC(\"?…\")`"
            .into(),
    );
    Diagnosis {
        hints,
        ..diagnosis(Code::AttachTargetMissing, stage, headline)
    }
}

fn memory(program: &ProgramEvidence, _: &Evidence) -> Option<Diagnosis> {
    (program.load.errno == Some(ENOMEM)).then(|| {
        let headline = format!("the guest has too little memory to load `{}`", program.name);
        at_load(
            Code::GuestResources,
            headline,
            &["give the guest more memory (`memory` in the matrix)"],
        )
    })
}

fn core_relocation(program: &ProgramEvidence, _: &Evidence) -> Option<Diagnosis> {
    let log = [&program.load.log];
    let line = text::line_with(&log, "failed to resolve CO-RE relocation")?;
    // `… CO-RE relocation <byte_off> [5] struct task_struct.shoe_size (0:0 @ offset 0)`
    let spec = line.split_once("] ").map_or(line, |(_, rest)| rest);
    let spec = spec.split_once(" (").map_or(spec, |(spec, _)| spec).trim();
    let kind = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map(|(k, _)| k);
    let (missing, hint) = match (spec.split_once('.'), kind) {
        (_, Some("enumval_value" | "enumval_exists")) => {
            let spec = spec.replace("::", "` of `");
            (
                format!("no enumerator `{spec}`"),
                "test `bpf_core_enum_value_exists()` before use",
            )
        }
        (Some((owner, field)), _) => (
            format!("no field `{field}` in `{owner}`"),
            "test `bpf_core_field_exists()` and read the field's older or newer name instead",
        ),
        (None, _) => (
            format!("no type `{spec}`"),
            "test `bpf_core_type_exists()` before use",
        ),
    };
    let headline = format!(
        "the kernel's BTF has {missing}, which `{}` reads",
        program.name
    );
    Some(at_load(Code::CoreRelocationFailure, headline, &[hint]))
}

fn license(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let log = [&program.load.log];
    let line = text::line_with(&log, "GPL-restricted")
        .or_else(|| text::line_with(&log, "GPL compatible"))
        .or_else(|| text::line_with(&log, "GPL-incompatible"))?;
    let license = evidence.object.license.as_deref().unwrap_or("none");
    let headline = format!(
        "`{}` uses what only GPL-compatible programs may, and its license is `{license}`: {}",
        program.name,
        line.trim()
    );
    Some(at_load(
        Code::LicenseRequired,
        headline,
        &[
            "declare `char LICENSE[] SEC(\"license\") = \"GPL\";` (or \"Dual BSD/GPL\"), if that is so",
        ],
    ))
}

fn jit(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let log = [&program.load.log, &program.load.libbpf];
    let line = text::line_with(&log, "non-JITed")
        .or_else(|| text::line_with(&log, "requires BPF JIT"))
        .or_else(|| text::line_with(&log, "JIT is disabled"))
        .or_else(|| text::line_with(&log, "JIT does not support"))?;
    let jit = evidence.guest.jit.as_deref().unwrap_or("unknown");
    let headline = format!(
        "`{}` needs the JIT, and net.core.bpf_jit_enable is {jit}: {}",
        program.name,
        line.trim()
    );
    Some(at_load(
        Code::MissingKernelConfig,
        headline,
        &["set net.core.bpf_jit_enable=1, where this architecture's JIT has the feature"],
    ))
}

fn sleepable(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let log = [&program.load.log];
    let line = text::line_with(&log, "is not sleepable")?;
    let off = evidence
        .guest
        .config
        .get("FUNCTION_ERROR_INJECTION")
        .is_some_and(|v| v == "n");
    if off && program.section.starts_with("f") {
        let headline = format!(
            "`{}` is sleepable, and without CONFIG_FUNCTION_ERROR_INJECTION this kernel lets no \
             such program attach there: {}",
            program.name,
            line.trim()
        );
        return Some(at_load(
            Code::MissingKernelConfig,
            headline,
            &["use `fentry` without `.s`, or a sleepable LSM hook, on kernels without the option"],
        ));
    }
    let headline = format!("`{}` may not sleep there: {}", program.name, line.trim());
    Some(at_load(
        Code::VerifierRejection,
        headline,
        &["use a hook that may sleep, or drop `.s`"],
    ))
}

fn limit(program: &ProgramEvidence, _: &Evidence) -> Option<Diagnosis> {
    let log = [&program.load.log];
    let words = [
        "BPF program is too large",
        "The sequence of",
        "too many states",
        "is too complex",
    ];
    let line = words.iter().find_map(|words| text::line_with(&log, words));
    if line.is_none() && program.load.errno != Some(E2BIG) {
        return None;
    }
    let insns = program
        .load
        .verifier
        .as_ref()
        .map_or(0, |stats| stats.insns);
    let why = line
        .map(|line| format!(": {}", line.trim()))
        .unwrap_or_default();
    let headline = format!(
        "the verifier gave up on `{}` after {insns} instructions{why}",
        program.name
    );
    Some(at_load(
        Code::VerifierLimit,
        headline,
        &[
            "bound loops more tightly, or use `bpf_loop()` (5.17) whose body is verified once",
            "split the program with tail calls or global functions, which are verified apart",
        ],
    ))
}

fn capability(program: &ProgramEvidence, _: &Evidence) -> Option<Diagnosis> {
    (program.load.errno == Some(EPERM)).then(|| {
        let headline = format!("the kernel did not permit `{}` to be loaded", program.name);
        at_load(
            Code::CapabilityFailure,
            headline,
            &["load it with CAP_BPF and CAP_PERFMON"],
        )
    })
}

fn verifier(program: &ProgramEvidence, _: &Evidence) -> Option<Diagnosis> {
    let sentence = text::sentence(&program.load.log)?;
    let hint = hint_for(&sentence);
    let headline = format!("the verifier rejected `{}`: {sentence}", program.name);
    Some(at_load(Code::VerifierRejection, headline, &[hint]))
}

fn hint_for(sentence: &str) -> &'static str {
    if sentence.contains("_or_null") || sentence.contains("possibly NULL") {
        "compare the pointer with NULL before you use it"
    } else if sentence.contains("min value is negative") || sentence.contains("unbounded") {
        "bound the value before its use: compare it, or mask it (`n &= SIZE - 1`)"
    } else if sentence.contains("invalid access to packet") {
        "compare the end of the access with `data_end` before it"
    } else if sentence.contains("invalid access to map value") {
        "bound the offset by the value's size before the access"
    } else if sentence.contains("back-edge") || sentence.contains("infinite loop") {
        "give the loop a bound that the verifier can see"
    } else if sentence.contains("stack") {
        "keep the stack below 512 bytes: move large buffers to a per-CPU array"
    } else if sentence.contains("!read_ok") {
        "initialise the value on every path that reads it"
    } else {
        "`ukci explain VERIFIER_REJECTION` lists the usual causes"
    }
}

fn unclassified(program: &ProgramEvidence) -> Diagnosis {
    let errno = program.load.errno.unwrap_or(0);
    let headline = format!(
        "the kernel refused `{}` (errno {errno}) and did not say why",
        program.name
    );
    at_load(
        Code::Unclassified,
        headline,
        &["please report it, with the cell's evidence directory"],
    )
}
