//! Judges a program that loaded: it is attached and called, refused, or not attempted.

use super::target::{self, missing_target, unknown_attach, unknown_attach_type};
use super::{attach_option, capability, hook, placeholder, site, struct_ops, user_probe};
use crate::case::Case;
use crate::errno::{self, EACCES, EINVAL, ENOENT, ENOMEM, ENOTSUPP, EOPNOTSUPP, EPERM, ESRCH};
use crate::finding::{Found, Rule, diagnosis};
use crate::said::Said;
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{AttachOutcome, FeatureKind, ProgramEvidence};
use ukci_schema::verdict::Stage;

/// For a refused attachment, in this order.
const RULES: &[Rule] = &[
    ("attach-type", attach_type),
    ("attach-mechanism", attach_option::mechanism),
    ("attach-target", target_probed),
    ("attach-jit", jit),
    ("attach-memory", memory),
    ("attach-section", section),
    ("attach-blacklist", site::blacklisted),
    ("attach-site", site::none),
    ("attach-config", attach_option::config),
    ("attach-user-probe", user_probe::refused),
    ("attach-struct-ops", struct_ops::refused),
    ("attach-hook", hook::refused),
    ("attach-missing", target_by_errno),
    ("attach-policy", policy),
    ("attach-capability", capability::to_attach),
];

/// Why it does not do its work where it should, if so.
pub(crate) fn diagnose(case: &Case<'_>, strict: bool) -> Option<Found> {
    let program = case.program;
    if !program.autoload {
        return None;
    }
    let mut found = match program.attach.outcome {
        AttachOutcome::Attached => match struct_ops::disabled_program(case) {
            Some(diagnosis) => Found {
                rule: "struct-ops-disabled",
                diagnosis,
            },
            None => Found {
                rule: "lsm-inactive",
                diagnosis: silent(case)?,
            },
        },
        AttachOutcome::NotAttempted if strict => {
            let headline = format!(
                "{} was not attached (strict): {}",
                case.name(),
                why_not(program)
            );
            let hint = "leave out `--strict`, or say in the manifest where it goes";
            let diagnosis = diagnosis(
                Code::AttachRefused,
                Stage::Attach,
                headline,
                vec![hint.into()],
            );
            Found {
                rule: "strict",
                diagnosis,
            }
        }
        AttachOutcome::NotAttempted => return None,
        AttachOutcome::Refused => RULES
            .iter()
            .find_map(|(rule, apply)| {
                Some(Found {
                    rule,
                    diagnosis: apply(case)?,
                })
            })
            .unwrap_or_else(|| Found {
                rule: "attach-refused",
                diagnosis: refused(case),
            }),
    };
    found = placeholder::instead(case, found);
    found.diagnosis.program = Some(program.name.clone());
    found
        .diagnosis
        .headline
        .push_str(&owner(case).unwrap_or_default());
    found.diagnosis.hints.truncate(crate::finding::HINTS);
    if found.diagnosis.excerpt.is_none() {
        found.diagnosis.excerpt = text::libbpf_excerpt(&program.attach.libbpf);
    }
    Some(found)
}

/// The end of a headline: a module was loaded because it has the target, and need not be what was
/// meant.
fn owner(case: &Case<'_>) -> Option<String> {
    let target = case.program.target.as_ref()?;
    let is_named = |module: &str| target.starts_with(&format!("{module}:"));
    let owner = target::owner(case).filter(|owner| !is_named(&owner.name))?;
    Some(format!("; `{target}` is of module `{}` here", owner.name))
}

/// Why a program was not attached, in the guest's words.
pub(crate) fn why_not(program: &ProgramEvidence) -> &str {
    program
        .attach
        .reason
        .as_deref()
        .unwrap_or("the guest gave no reason")
}

/// Attached is not enough: an LSM program on a kernel whose active list lacks `bpf` is never
/// called.
fn silent(case: &Case<'_>) -> Option<Diagnosis> {
    let active = case.evidence.guest.lsm.as_ref()?;
    let program = case.program;
    let called = program.attach.fired.unwrap_or(0) > 0;
    if program.program_type != "lsm" || called || active.iter().any(|name| name == "bpf") {
        return None;
    }
    let active = active.join(",");
    let headline = format!(
        "{} attaches and is never called: `bpf` is not among the active LSMs ({active})",
        case.name()
    );
    let hints = vec![
        format!("boot with `lsm={active},bpf`"),
        "or attach `fmod_ret/security_…`, which is called even if `lsm=` lacks `bpf`".to_owned(),
    ];
    Some(diagnosis(Code::LsmInactive, Stage::Attach, headline, hints))
}

fn errno_of(case: &Case<'_>) -> Option<i32> {
    case.program.attach.errno
}

/// A link or attachment that this kernel refuses because it does not know it. Its load asked
/// nothing of it.
fn attach_type(case: &Case<'_>) -> Option<Diagnosis> {
    let (name, release) = unknown_attach(case)?;
    let errno = errno_of(case);
    matches!(errno, Some(EINVAL | EOPNOTSUPP | ENOTSUPP))
        .then(|| unknown_attach_type(case, name, release, Stage::Attach, errno))
}

fn target_probed(case: &Case<'_>) -> Option<Diagnosis> {
    let name = case.program.target.as_deref()?;
    let missing = case
        .features(FeatureKind::Target, name)
        .find(|f| f.present == Some(false))?;
    Some(missing_target(
        case,
        name,
        missing.detail.as_deref(),
        Stage::Attach,
    ))
}

fn is_trampoline(case: &Case<'_>) -> bool {
    site::is_trampoline(case.section())
}

/// libbpf declined the section before it asked the kernel: that says nothing about the kernel.
fn section(case: &Case<'_>) -> Option<Diagnosis> {
    let line = case.heard_alone(|said| match *said {
        Said::SectionDeclined(line) => Some(line),
        _ => None,
    })?;
    let headline = format!(
        "libbpf cannot attach {} by its section `{}`: {}",
        case.name(),
        case.section(),
        text::clipped(line)
    );
    let hint = if line.contains("kretprobes do not support offset") {
        "leave out the offset: a kretprobe runs when the function returns, so it is for the whole function"
    } else {
        "write the section as libbpf reads it, or say in the manifest where the program goes \
         (`attach = { … }`)"
    };
    let hints = vec![hint.to_owned()];
    Some(diagnosis(
        Code::LoaderContract,
        Stage::Attach,
        headline,
        hints,
    ))
}

/// Trampolines are machine code.
fn jit(case: &Case<'_>) -> Option<Diagnosis> {
    if !is_trampoline(case) || case.evidence.guest.jit.as_deref() != Some("0") {
        return None;
    }
    let headline = format!(
        "{} (`{}`) needs the JIT, which is off (net.core.bpf_jit_enable=0): {}",
        case.name(),
        case.section(),
        errno::name(errno_of(case))
    );
    let hints = vec!["switch the JIT on: `sysctl net.core.bpf_jit_enable=1`".to_owned()];
    Some(diagnosis(
        Code::MissingKernelConfig,
        Stage::Attach,
        headline,
        hints,
    ))
}

/// ENOENT and ESRCH mean one thing where a name is looked up in the kernel; of other places, such as
/// a file's symbols or a device, they do not speak.
fn target_by_errno(case: &Case<'_>) -> Option<Diagnosis> {
    let section = case.section();
    let looked_up = ["tp", "tracepoint", "raw_tp", "raw_tracepoint", "iter"];
    let in_the_kernel = site::is_kprobe(section)
        || is_trampoline(case)
        || looked_up.iter().any(|start| section.starts_with(start));
    if !in_the_kernel || !matches!(errno_of(case), Some(ENOENT | ESRCH)) {
        return None;
    }
    let after = section.split_once('/').map_or(section, |(_, name)| name);
    let name = case.program.target.as_deref().unwrap_or(after);
    // What was probed to be there is not missing.
    let there = case
        .features(FeatureKind::Target, name)
        .any(|f| f.present == Some(true));
    (!there).then(|| {
        let mut found = missing_target(case, name, None, Stage::Attach);
        let unknown = !case
            .features(FeatureKind::Target, name)
            .any(|f| f.present.is_some());
        if unknown {
            found.headline.push_str(&format!(
                "; only the errno says so ({}), because the guest could not look the name up",
                errno::name(errno_of(case))
            ));
        }
        found
    })
}

/// Lockdown for confidentiality forbids kprobes, tracefs and perf events of kernel addresses.
fn policy(case: &Case<'_>) -> Option<Diagnosis> {
    let mode = case.lockdown()?;
    let kind = case.program.program_type.as_str();
    let is_forbidden = matches!(kind, "kprobe" | "tracepoint" | "perf_event");
    if !is_forbidden || !matches!(errno_of(case), Some(EPERM | EACCES)) {
        return None;
    }
    let headline = format!(
        "kernel lockdown (`{mode}`) forbids to attach {} (`{}`)",
        case.name(),
        case.section()
    );
    let hints = vec![
        "boot without `lockdown=`, or attach as `fentry` or `tp_btf`, which need neither tracefs nor perf events"
            .to_owned(),
    ];
    Some(diagnosis(
        Code::PolicyDenied,
        Stage::Attach,
        headline,
        hints,
    ))
}

fn memory(case: &Case<'_>) -> Option<Diagnosis> {
    (errno_of(case) == Some(ENOMEM)).then(|| {
        let purpose = format!("attach {}", case.name());
        super::memory::too_little(case.evidence, &purpose, Stage::Attach)
    })
}

fn refused(case: &Case<'_>) -> Diagnosis {
    let program = case.program;
    let said = program
        .attach
        .libbpf
        .lines()
        .rfind(|line| !line.trim().is_empty());
    let said = said.map(|line| line.strip_prefix("libbpf: ").unwrap_or(line).trim());
    let said = said
        .map(|line| format!(": {}", text::clipped(line)))
        .unwrap_or_default();
    let headline = format!(
        "the kernel refused to attach {} (`{}`): {}{said}",
        case.name(),
        case.section(),
        errno::name(errno_of(case))
    );
    let mut hints = Vec::new();
    if site::is_clear(case) {
        let target = program.target.as_deref().unwrap_or_default();
        let list = if site::is_kprobe(case.section()) {
            " and is not in `kprobes/blacklist`"
        } else {
            ""
        };
        hints.push(format!(
            "note that `{target}` has an ftrace site{list}, so this is not the reason"
        ));
    }
    if is_trampoline(case) && errno_of(case) == Some(ENOTSUPP) {
        hints.push("attach a kprobe there: it needs no trampoline".into());
    }
    if errno_of(case) == Some(EPERM) {
        hints.push(capability::NOT_MISSING.into());
    }
    hints.push(
        "the kernel gave no other reason; read in `evidence.json` of the cell what libbpf \
         printed and what the kernel logged"
            .into(),
    );
    diagnosis(Code::AttachRefused, Stage::Attach, headline, hints)
}
