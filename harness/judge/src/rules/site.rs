//! Functions that exist but cannot be attached to: they have no ftrace site, or are on the
//! blacklist of kprobes.
//!
//! The input is what the guest found in `available_filter_functions` and `kprobes/blacklist`, and
//! the kernel's own line in its log. The output is which of the two applies to the function. An
//! errno alone proves neither, because EBUSY and EINVAL have other causes too.

use crate::case::Case;
use crate::errno;
use crate::finding::diagnosis;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{Feature, FeatureKind};
use ukci_schema::verdict::Stage;

/// Whether a section is that of a probe of the kernel.
pub(crate) fn is_kprobe(section: &str) -> bool {
    let starts = ["kprobe", "kretprobe", "ksyscall", "kretsyscall"];
    starts.iter().any(|start| section.starts_with(start))
}

/// Whether a section is that of a probe of many functions at once.
pub(crate) fn is_of_many(section: &str) -> bool {
    section.contains(".multi") || section.contains(".session")
}

/// Whether a section needs a trampoline in the function.
pub(crate) fn is_trampoline(section: &str) -> bool {
    let starts = ["fentry", "fexit", "fmod_ret", "lsm", "fsession"];
    starts.iter().any(|start| section.starts_with(start))
}

/// What the guest found about the function's place.
fn site<'a>(case: &Case<'a>, kind: FeatureKind) -> Option<&'a Feature> {
    case.features(kind, case.program.target.as_deref()?).next()
}

/// Whether the guest looked and found nothing in the way of attaching there.
pub(crate) fn is_clear(case: &Case<'_>) -> bool {
    let is_there = |kind| site(case, kind).and_then(|site| site.present) == Some(true);
    is_there(FeatureKind::FtraceSite)
        && (!is_kprobe(case.section()) || is_there(FeatureKind::KprobeSite))
}

/// How many symbols have the target's name, where they are several.
pub(crate) fn of_this_name<'a>(case: &Case<'a>) -> Option<&'a str> {
    let site = site(case, FeatureKind::KprobeSite)?;
    site.detail.as_deref()?.strip_suffix(Feature::OF_THIS_NAME)
}

/// The function has no ftrace site: trampolines are patched into one, and kprobes are not put into
/// functions without one unless `CONFIG_KPROBE_EVENTS_ON_NOTRACE` is on.
pub(crate) fn none(case: &Case<'_>) -> Option<Diagnosis> {
    let section = case.section();
    if !is_kprobe(section) && !is_trampoline(section) {
        return None;
    }
    let target = case.program.target.as_deref()?;
    let site = site(case, FeatureKind::FtraceSite);
    let listed = site.and_then(|site| site.present);
    // Of a function that has a site, the kernel says so too where an offset leads out of it.
    let said = notrace_line(case, target).filter(|_| listed != Some(true));
    if listed != Some(false) && said.is_none() {
        return None;
    }
    let headline = format!(
        "`{target}` has no ftrace site in this kernel, which {} (`{section}`) needs ({})",
        case.name(),
        errno::name(case.program.attach.errno)
    );
    let known = match (listed, said) {
        (Some(false), Some(line)) => {
            format!("it is not in `available_filter_functions`, and the kernel's log says `{line}`")
        }
        (Some(false), None) => "it is not in `available_filter_functions`".to_owned(),
        (_, line) => format!("the kernel's log says `{}`", line.unwrap_or_default()),
    };
    let mut hints = vec![format!(
        "{known}: the compiler inlined it and left a copy, or it is marked `notrace`; attach to a \
         function that calls it, or to a tracepoint"
    )];
    let near = site.and_then(|site| site.detail.as_deref()?.strip_prefix("near: "));
    hints.extend(near.map(|near| format!("functions of similar names that have one: {near}")));
    Some(diagnosis(
        Code::AttachRefused,
        Stage::Attach,
        headline,
        hints,
    ))
}

/// Whether the kernel says `notrace` of a function that has an ftrace site: an offset leads out of it, and
/// the line names the symbol that was given, whatever the address is of.
pub(crate) fn leads_out_of_it(case: &Case<'_>, function: &str) -> bool {
    let listed = site(case, FeatureKind::FtraceSite).and_then(|site| site.present);
    listed == Some(true) && notrace_line(case, function).is_some()
}

/// `trace_kprobe: Could not probe notrace function blk_account_io_start` (5.10 to 7.3).
fn notrace_line<'a>(case: &Case<'a>, target: &str) -> Option<&'a str> {
    let lines = case.evidence.kmsg.iter();
    lines
        .map(String::as_str)
        .find(|line| {
            (line.split_once("Could not probe notrace function "))
                .is_some_and(|(_, name)| name.split_ascii_whitespace().next() == Some(target))
        })
        .filter(|_| is_kprobe(case.section()))
}

/// The kernel keeps a list of functions that no kprobe may be put into.
pub(crate) fn blacklisted(case: &Case<'_>) -> Option<Diagnosis> {
    // Probes of many functions are put into ftrace sites, and the list is not asked.
    let is_single = is_kprobe(case.section()) && !is_of_many(case.section());
    let site = site(case, FeatureKind::KprobeSite).filter(|_| is_single)?;
    if site.present != Some(false) {
        return None;
    }
    let headline = format!(
        "this kernel lets no kprobe into `{}`, which {} (`{}`) needs: it is in `kprobes/blacklist` \
         ({})",
        site.name,
        case.name(),
        case.section(),
        errno::name(case.program.attach.errno)
    );
    let hint = "attach to a function that calls it, or to a tracepoint";
    Some(diagnosis(
        Code::AttachRefused,
        Stage::Attach,
        headline,
        vec![hint.into()],
    ))
}
