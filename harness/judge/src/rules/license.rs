//! Helpers, kfuncs and program types that only GPL-compatible programs may use.

use crate::case::Case;
use crate::finding::at_load;
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::FeatureKind;

/// A helper, a kfunc or a program type that the object's license does not allow.
pub(crate) fn refused(case: &Case<'_>) -> Option<Diagnosis> {
    let words = [
        "GPL-restricted",
        "GPL compatible",
        "GPL-compatible",
        "GPL-incompatible",
    ];
    let line = words.iter().find_map(|words| case.verifier_line(words))?;
    let license = case.evidence.object.license.as_deref().unwrap_or("");
    let license = if license.is_empty() {
        "none".into()
    } else {
        format!("`{license}`")
    };
    let what = match text::last_call(&case.program.load.log) {
        _ if line.contains("kernel function") => kfuncs(case),
        Some(helper) if line.contains("call") => format!("helper `{helper}`"),
        _ => "it".to_owned(),
    };
    let headline = if what == "it" {
        format!(
            "{} must be GPL-compatible, and its license is {license}: {line}",
            case.name()
        )
    } else {
        format!(
            "{what} is for GPL-compatible programs only, and the license of {} is {license}",
            case.name()
        )
    };
    Some(at_load(
        Code::LicenseRequired,
        headline,
        &[
            "if the license allows it, declare `char LICENSE[] SEC(\"license\") = \"GPL\";` (\"Dual BSD/GPL\" and \
         \"Dual MIT/GPL\" count too)",
        ],
    ))
}

/// The kfuncs that the kernel has: all of them are for GPL-compatible programs, and the kernel does
/// not say at which it stopped.
fn kfuncs(case: &Case<'_>) -> String {
    let absent = |name: &&String| {
        case.features(FeatureKind::Kfunc, name)
            .any(|f| f.present == Some(false))
    };
    let there: Vec<String> = (case.program.kfuncs.iter().filter(|name| !absent(name)))
        .map(|name| format!("`{name}`"))
        .take(3)
        .collect();
    match there.as_slice() {
        [] => "a kfunc".into(),
        [one] => format!("kfunc {one}"),
        several => format!("each kfunc ({})", several.join(", ")),
    }
}
