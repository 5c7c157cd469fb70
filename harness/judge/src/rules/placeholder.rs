//! Sections that name a placeholder, which the object's own loader replaces with the real target
//! (`bpf_program__set_attach_target`, or options of the attachment). No kernel has a function of
//! that name.

use crate::case::Case;
use crate::finding::{Found, diagnosis};
use ukci_schema::diagnosis::Code;

/// Names that tools put into their sections for this, beside all that begin with `dummy_`: bcc's
/// `funclatency` and `fsdist`, bpftool's and xdpdump's.
const NAMES: &[&str] = &[
    "attach_me",
    "dummy",
    "foo",
    "func",
    "function",
    "handle_entry",
    "handle_exit",
    "placeholder",
    "to_be_set",
];

fn is_placeholder(target: &str) -> bool {
    target.starts_with("dummy_") || NAMES.contains(&target)
}

/// The same finding, as the loader's part where a missing target is a placeholder.
pub(crate) fn instead(case: &Case<'_>, found: Found) -> Found {
    let target = case.program.target.as_deref();
    let missing = found.diagnosis.code == Code::AttachTargetMissing;
    let Some(target) = target.filter(|target| missing && is_placeholder(target)) else {
        return found;
    };
    let headline = format!(
        "`{target}` in the section of {} (`{}`) looks like a placeholder, which the object's own loader \
         replaces: this kernel has no such function",
        case.name(),
        case.section()
    );
    let hints = vec![
        "name the real target in a manifest, as the loader does with \
         `bpf_program__set_attach_target()` or when it attaches"
            .to_owned(),
    ];
    Found {
        rule: "placeholder",
        diagnosis: diagnosis(Code::LoaderContract, found.diagnosis.stage, headline, hints),
    }
}

#[cfg(test)]
mod tests {
    use super::is_placeholder;

    #[test]
    fn only_names_that_tools_use_so_are_placeholders() {
        for name in ["dummy_kprobe", "dummy_file_read", "foo", "handle_entry"] {
            assert!(is_placeholder(name), "{name}");
        }
        for name in ["do_unlinkat", "food_chain", "vfs_func", "netif_dummy_"] {
            assert!(!is_placeholder(name), "{name}");
        }
    }
}
