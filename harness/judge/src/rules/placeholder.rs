//! Sections that name a placeholder, which the object's own loader replaces with the real target
//! (`bpf_program__set_attach_target`, or options of the attachment). No kernel has a function of
//! that name.

use super::site::is_of_many;
use crate::case::Case;
use crate::finding::{Found, diagnosis, list};
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{FeatureKind, ProgramEvidence};
use ukci_schema::placeholder::is_placeholder;

/// Whether a target is a pattern. libbpf takes patterns only for programs that are attached to many
/// functions at once.
fn is_pattern(section: &str, target: &str) -> bool {
    let hook = section.split('/').next().unwrap_or_default();
    target.contains(['*', '?']) && !is_of_many(hook)
}

/// The same finding, as the loader's part where a missing target is a placeholder.
pub(crate) fn instead(case: &Case<'_>, found: Found) -> Found {
    let target = case.program.target.as_deref();
    let missing = found.diagnosis.code == Code::AttachTargetMissing;
    let of_loader = |target: &&str| is_placeholder(target) || is_pattern(case.section(), target);
    let Some(target) = target.filter(|target| missing && of_loader(target)) else {
        return found;
    };
    let (headline, hint) = if is_pattern(case.section(), target) {
        (
            format!(
                "`{target}` in the section of {} (`{}`) is a pattern, which libbpf takes only in \
                 sections such as `kprobe.multi/{target}`: the object's own loader has to choose \
                 the targets",
                case.name(),
                case.section()
            ),
            "name one real target in a manifest, as the loader does with \
             `bpf_program__set_attach_target()` or when it attaches",
        )
    } else {
        placeholders(case, target)
    };
    Found {
        rule: "placeholder",
        diagnosis: diagnosis(
            Code::LoaderContract,
            found.diagnosis.stage,
            headline,
            vec![hint.to_owned()],
        ),
    }
}

/// Headline and hint. All programs of the object that name a placeholder are one cause, in the same
/// words: their loader sets each target.
fn placeholders(case: &Case<'_>, target: &str) -> (String, &'static str) {
    let is_missing = |name: &str| {
        let mut answers = case.features(FeatureKind::Target, name);
        answers.any(|answer| answer.present == Some(false))
    };
    let of_program = |program: &'_ ProgramEvidence| {
        let target = program.target.clone().filter(|_| program.autoload)?;
        (is_placeholder(&target) && is_missing(&target)).then_some(target)
    };
    let all: Vec<String> = (case.evidence.programs.iter())
        .filter_map(of_program)
        .collect();
    if all.len() < 2 {
        let headline = format!(
            "`{target}` in the section of {} (`{}`) looks like a placeholder, which the object's own \
             loader replaces: this kernel has no such function",
            case.name(),
            case.section()
        );
        let hint = "name the real target in a manifest, as the loader does with \
                    `bpf_program__set_attach_target()` or when it attaches";
        return (headline, hint);
    }
    let count = all.len();
    let mut names: Vec<String> = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let (looks, function) = match names.as_slice() {
        [_] => ("looks like a placeholder", "function"),
        _ => ("look like placeholders", "functions"),
    };
    let headline = format!(
        "{} in the sections of {count} programs {looks}, which the object's own loader replaces: this \
         kernel has no such {function}",
        list(&names)
    );
    let hint = "name the real targets in a manifest, as the loader does with \
                `bpf_program__set_attach_target()` or when it attaches";
    (headline, hint)
}

#[cfg(test)]
mod tests {
    use super::is_pattern;

    #[test]
    fn a_pattern_is_the_loaders_business_unless_libbpf_expands_it() {
        assert!(is_pattern("fentry/vfs_*", "vfs_*"));
        assert!(is_pattern("tp_btf/sched_?", "sched_?"));
        assert!(!is_pattern("kprobe.multi/vfs_*", "vfs_*"));
        assert!(!is_pattern("kprobe.session/vfs_*", "vfs_*"));
        assert!(!is_pattern("fentry/vfs_read", "vfs_read"));
    }
}
