//! A program that loaded: attached and alive, refused, or not attempted.

use super::{diagnosis, features, load, text};
use crate::diagnosis::{Code, Diagnosis};
use crate::evidence::{AttachOutcome, Evidence, FeatureKind, ProgramEvidence};
use crate::verdict::Stage;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ESRCH: i32 = 3;
const EOPNOTSUPP: i32 = 95;
/// The kernel's own, which user space has no name for.
const ENOTSUPP: i32 = 524;

/// Why it does not do its work where it should, if so.
pub(super) fn diagnose(
    program: &ProgramEvidence,
    evidence: &Evidence,
    strict: bool,
) -> Option<Diagnosis> {
    if !program.autoload {
        return None;
    }
    let mut found = match program.attach.outcome {
        AttachOutcome::Attached => silent(program, evidence)?,
        AttachOutcome::NotAttempted if strict => {
            let why = program
                .attach
                .reason
                .as_deref()
                .unwrap_or("no reason was given");
            let headline = format!("`{}` was not attached (strict): {why}", program.name);
            diagnosis(Code::AttachRefused, Stage::Attach, headline)
        }
        AttachOutcome::NotAttempted => return None,
        AttachOutcome::Refused => refused(program, evidence),
    };
    found.program = Some(program.name.clone());
    if found.excerpt.is_none() {
        found.excerpt = text::libbpf_excerpt(&program.attach.libbpf);
    }
    Some(found)
}

/// Attached is not enough: an LSM program on a kernel whose active list lacks `bpf` is never
/// called.
fn silent(program: &ProgramEvidence, evidence: &Evidence) -> Option<Diagnosis> {
    let active = evidence.guest.lsm.as_ref()?;
    let is_lsm = program.program_type == "lsm" && !program.section.starts_with("lsm_cgroup");
    if !is_lsm || active.iter().any(|name| name == "bpf") || program.attach.fired.unwrap_or(0) > 0 {
        return None;
    }
    let headline = format!(
        "`{}` attaches and is never called: `bpf` is not among the active LSMs ({})",
        program.name,
        active.join(",")
    );
    let all = active.join(",");
    Some(Diagnosis {
        hints: vec![
            format!("boot with `lsm={all},bpf`"),
            "or attach `fmod_ret/security_…`, which is called without it".into(),
        ],
        ..diagnosis(Code::LsmInactive, Stage::Attach, headline)
    })
}

fn refused(program: &ProgramEvidence, evidence: &Evidence) -> Diagnosis {
    let errno = program.attach.errno.unwrap_or(0);
    let off = |option: &str| {
        evidence
            .guest
            .config
            .get(option)
            .is_some_and(|value| value == "n")
    };
    let section = program.section.trim_start_matches('?');
    let target = program.target.as_deref();
    let missing = target.and_then(|name| {
        features(evidence, FeatureKind::Target, name).find(|f| f.present == Some(false))
    });
    if let (Some(name), Some(feature)) = (target, missing) {
        return load::missing_target(program, name, feature.detail.as_deref(), Stage::Attach);
    }
    let config = |option: &str, hint: &str| {
        let headline = format!(
            "`{}` (`{section}`) needs CONFIG_{option}, which this kernel has not (errno {errno})",
            program.name
        );
        Diagnosis {
            hints: vec![hint.into()],
            ..diagnosis(Code::MissingKernelConfig, Stage::Attach, headline)
        }
    };
    if section.contains(".multi") || section.contains(".session") {
        if section.starts_with('k') && off("FPROBE") {
            return config("FPROBE", "attach single kprobes where the option is off");
        }
    }
    let traces = section.starts_with("fentry")
        || section.starts_with("fexit")
        || section.starts_with("fmod_ret");
    if traces && matches!(errno, ENOTSUPP | EOPNOTSUPP) && off("DYNAMIC_FTRACE_WITH_DIRECT_CALLS") {
        return config(
            "DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
            "use kprobes there: arm64 has it since 6.4, riscv64 since 6.5",
        );
    }
    if matches!(errno, ENOENT | ESRCH) {
        let name = target.unwrap_or(section);
        return load::missing_target(program, name, None, Stage::Attach);
    }
    let lockdown = evidence
        .guest
        .lockdown
        .as_deref()
        .filter(|mode| *mode != "none");
    let headline = match (errno, lockdown) {
        (EPERM, Some(mode)) => {
            let headline = format!(
                "kernel lockdown (`{mode}`) forbids to attach `{}` (`{section}`)",
                program.name
            );
            return diagnosis(Code::PolicyDenied, Stage::Attach, headline);
        }
        _ => {
            let said = program
                .attach
                .libbpf
                .lines()
                .next_back()
                .unwrap_or_default();
            let said = said.strip_prefix("libbpf: ").unwrap_or(said).trim();
            let said = if said.is_empty() {
                String::new()
            } else {
                format!(": {said}")
            };
            format!(
                "the kernel refused to attach `{}` (`{section}`): errno {errno}{said}",
                program.name
            )
        }
    };
    diagnosis(Code::AttachRefused, Stage::Attach, headline)
}
