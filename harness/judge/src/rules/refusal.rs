//! Judges a program that was refused: first by what it needs, then by the errno and by what the
//! kernel said.

use super::asked;
use super::{
    capability, core, helper, instruction, kernel_name, license, limit, placeholder, sleep, target,
    verifier,
};
use crate::case::Case;
use crate::errno::{self, EACCES, ENOMEM, EPERM};
use crate::finding::{Found, Rule, at_load};
use crate::said::Said;
use crate::text;
use crate::verifier_log::{self, Trace};
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::ProgramLoad;
use ukci_schema::verdict::Stage;

/// After the rules of [`asked`].
const RULES: &[Rule] = &[
    ("memory", memory),
    ("name", kernel_name::of_program),
    ("core-relocation", core::relocation),
    ("license", license::refused),
    ("jit", jit),
    ("sleepable", sleep::sleepable),
    ("modifiable", sleep::modifiable),
    ("target-address", target::without_address),
    ("device-bound", device_bound),
    ("kfunc-call", instruction::kfunc_call),
    ("instruction", instruction::unknown),
    ("limit", limit::diagnose),
    ("sleeps", sleep::sleeps),
    ("helper-by-log", helper_by_log),
    ("verifier", verifier::rejected),
    ("capability", capability::to_load),
    ("helper-silent", helper::silent),
    ("instruction-silent", at_an_instruction),
];

/// Why the program was refused; nothing where it is no fault of its own.
pub(crate) fn diagnose(case: &Case<'_>) -> Option<Found> {
    let first: &[Rule] = &[("accepted-from-agent", accepted_from_agent)];
    let rules = first.iter().chain(asked::RULES).chain(RULES);
    let spoken = rules.into_iter().find_map(|(rule, apply)| {
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
    found = placeholder::instead(case, found);
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
    let stops = |said: &Said<'_>| {
        matches!(
            said,
            Said::Kconfig { .. }
                | Said::Unresolved(_)
                | Said::KfuncMissing(_)
                | Said::KfuncMismatch { .. }
                | Said::VariableMissing(_)
                | Said::VariableMismatch(_)
                | Said::OperationsMissing(_)
                | Said::OperationsMismatch { .. }
        )
    };
    case.said.iter().any(stops) && case.is_silent()
}

/// A process of a command was refused what the kernel accepts of the agent: it lacked a right, or a
/// limit of its own was too small.
fn accepted_from_agent(case: &Case<'_>) -> Option<Diagnosis> {
    let load = &case.program.load;
    if load.reason.as_deref() != Some(ProgramLoad::ACCEPTED_FROM_AGENT) {
        return None;
    }
    let headline = format!(
        "the kernel refused {} ({}), and accepts the same load of root without limits",
        case.name(),
        errno::name(load.errno)
    );
    Some(match load.errno {
        Some(EPERM | EACCES) => at_load(
            Code::CapabilityFailure,
            headline,
            &[
                "give the loader CAP_BPF with CAP_PERFMON (CAP_NET_ADMIN for network programs), or \
                 CAP_SYS_ADMIN below 5.8",
                "raise RLIMIT_MEMLOCK in the loader below 5.11, before its first map",
            ],
        ),
        _ => at_load(
            Code::Unclassified,
            headline,
            &["report this to the ukci project, with the cell's evidence directory"],
        ),
    })
}

fn memory(case: &Case<'_>) -> Option<Diagnosis> {
    (case.program.load.errno == Some(ENOMEM)).then(|| {
        let purpose = format!("load {}", case.name());
        super::memory::too_little(case.evidence, &purpose, Stage::Load)
    })
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
            &["avoid it on this architecture, or on kernels whose JIT does not support it yet"],
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
            "or avoid callbacks and kfuncs if the JIT is off",
        ],
    ))
}

/// The kernel says itself that this program may not call the helper; the probes had no answer.
fn helper_by_log(case: &Case<'_>) -> Option<Diagnosis> {
    let line = case
        .verifier_line("program of this type cannot use helper ")
        .or_else(|| case.verifier_line("unknown func bpf_"))
        .or_else(|| case.verifier_line("invalid func unknown#"))
        .or_else(|| case.verifier_line(" not supported for program type "))?;
    let word = line.split(' ').find(|word| word.contains('#'))?;
    let (name, number) = word.split_once('#')?;
    let thing = if name == "unknown" {
        format!("number {number}")
    } else {
        format!("`{name}`")
    };
    let headline = format!(
        "this kernel does not let `{}` programs call helper {thing}, which {} calls",
        case.program.program_type,
        case.name()
    );
    let hint = helper::places(name)
        .unwrap_or_else(|| "use a program type that may call it, or another helper".to_owned());
    Some(at_load(Code::UnsupportedHelper, headline, &[&hint]))
}

/// The kfuncs that read an interface's metadata are compiled for one interface, which the loader names
/// (2b3486bc2d23, mainline 6.3).
fn device_bound(case: &Case<'_>) -> Option<Diagnosis> {
    case.verifier_line("metadata kfuncs require device-bound program")?;
    let headline = format!(
        "{} calls a kfunc that reads an interface's metadata, so its loader must load it for one interface",
        case.name()
    );
    Some(at_load(
        Code::LoaderContract,
        headline,
        &[
            "call `bpf_program__set_ifindex()` and set BPF_F_XDP_DEV_BOUND_ONLY with \
             `bpf_program__set_flags()` before the load",
        ],
    ))
}

/// The verifier stopped at an instruction and printed no reason, as it does where it checks the size of
/// `bpf_snprintf`'s data. The log ends with that instruction.
fn at_an_instruction(case: &Case<'_>) -> Option<Diagnosis> {
    let log = &case.program.load.log;
    let last = log
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !verifier_log::is_statistic(line))?;
    let trace = Trace::of(log, &case.program.program_type);
    let step = trace.last()?;
    let ends_there = last
        .trim_start()
        .starts_with(&format!("{}: (", step.instruction.index));
    if case.sentence.is_some() || !ends_there {
        return None;
    }
    let headline = format!(
        "the verifier refused {} at instruction {}, `{}`, and gave no reason ({})",
        case.name(),
        step.instruction.index,
        step.instruction.text,
        errno::name(case.program.load.errno)
    );
    let hint = match trace.callee() {
        Some("bpf_snprintf" | "bpf_seq_printf" | "bpf_trace_vprintk") => {
            "give the size of the data as a constant multiple of 8, at most 96: 8 bytes for each argument"
                .to_owned()
        }
        Some(helper) => format!("compare the arguments with what `{helper}` demands of them"),
        None => "compare the instruction with what the kernel's verifier checks of it".to_owned(),
    };
    Some(at_load(Code::VerifierRejection, headline, &[&hint]))
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
        "the kernel refused {} ({errno}), and ukci does not know why{said}",
        case.name()
    );
    let report = "report this to the ukci project, with the cell's evidence directory";
    let hints = [capability::NOT_MISSING, report];
    let eperm = case.program.load.errno == Some(EPERM);
    at_load(
        Code::Unclassified,
        headline,
        if eperm { &hints } else { &hints[1..] },
    )
}
