//! EPERM where the agent lacks a capability.
//!
//! The input is the errno and the capabilities that the agent found to be missing. The errno alone
//! proves nothing: a process with every capability gets EPERM from security modules, from limits, and
//! from programs that are attached already.

use crate::case::Case;
use crate::errno::EPERM;
use crate::finding::diagnosis;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::Evidence;
use ukci_schema::verdict::Stage;

/// What helps where no capability is missing.
pub(crate) const NOT_MISSING: &str = "no capability is missing here: look for a security module or a \
                                      policy that answers EPERM";

/// What the agent lacks, as `CAP_BPF and CAP_PERFMON`; `None` if it has all.
pub(crate) fn missing(evidence: &Evidence) -> Option<String> {
    let missing = &evidence.guest.capabilities_missing;
    (!missing.is_empty()).then(|| missing.join(" and "))
}

/// A program that may not be loaded.
pub(crate) fn to_load(case: &Case<'_>) -> Option<Diagnosis> {
    let refused = case.program.load.errno == Some(EPERM);
    let missing = missing(case.evidence).filter(|_| refused)?;
    let headline = format!(
        "the kernel did not permit {} to be loaded (EPERM): the loader lacks {missing}",
        case.name()
    );
    Some(of(Stage::Load, headline))
}

/// A program that may not be attached.
pub(crate) fn to_attach(case: &Case<'_>) -> Option<Diagnosis> {
    let refused = case.program.attach.errno == Some(EPERM);
    let missing = missing(case.evidence).filter(|_| refused)?;
    let headline = format!(
        "the kernel did not permit {} (`{}`) to be attached (EPERM): the loader lacks {missing}",
        case.name(),
        case.section()
    );
    Some(of(Stage::Attach, headline))
}

fn of(stage: Stage, headline: String) -> Diagnosis {
    let hint = "give the loader CAP_BPF with CAP_PERFMON (CAP_NET_ADMIN for network programs), or \
                CAP_SYS_ADMIN below 5.8";
    diagnosis(
        Code::CapabilityFailure,
        stage,
        headline,
        vec![hint.to_owned()],
    )
}
