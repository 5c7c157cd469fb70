//! Builds the diagnosis of a rejected program: the verifier's message, and the best hints that the
//! evidence supports.

use super::rejection::Rejection;
use super::words;
use super::{
    argument, context, feature, function, held, kernel, kfunc_argument, memory, packet, pointer,
};
use super::{returned, size, stack};
use crate::case::Case;
use crate::finding::{HINTS, at_load};
use crate::text::clipped;
use crate::verifier_log;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::FeatureKind;

/// The families. The first that knows the message gives the hints.
const FAMILIES: &[fn(&Rejection<'_>) -> Vec<String>] = &[
    function::hints,
    argument::hints,
    kfunc_argument::hints,
    held::hints,
    returned::hints,
    kernel::hints,
    context::hints,
    packet::hints,
    size::hints,
    stack::hints,
    memory::hints,
    pointer::hints,
    feature::hints,
];

/// The verifier rejected the program.
pub(crate) fn rejected(case: &Case<'_>) -> Option<Diagnosis> {
    let sentence = case.sentence.as_deref()?;
    let rejection = Rejection::new(case, sentence);
    let headline = match argument::not_allowed(&rejection) {
        Some(what) => format!("the verifier rejected {}: {what}", case.name()),
        None => format!(
            "the verifier rejected {}: {}",
            case.name(),
            without_ids(sentence)
        ),
    };
    let mut found = at_load(Code::VerifierRejection, headline, &[]);
    found.hints = hints(&rejection);
    Some(found)
}

/// Returns the hints, best first. If no family knows the message, they are the kernel's own
/// suggestion and what the verifier compared. The kernel gives one suggestion for many mistakes (it
/// suggests a bounds check even if a constant offset is too large), so it is never shown beside the
/// hint of a family.
fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let mut found = specific(rejection);
    if found.is_empty() {
        let suggested = verifier_log::suggestion(&rejection.case.program.load.log);
        found.extend(
            suggested.map(|said| format!("consider what this kernel suggests: {}", clipped(&said))),
        );
        found.push(compared(rejection));
    }
    if let Some(absent) = absent_helper(rejection.case) {
        found.truncate(HINTS - 1);
        found.push(format!(
            "replace `{absent}` as well, which the program calls and this kernel does not have"
        ));
    }
    found
}

/// What the family of the sentence says.
pub(super) fn specific(rejection: &Rejection<'_>) -> Vec<String> {
    let spoken = FAMILIES.iter().map(|family| family(rejection));
    spoken
        .into_iter()
        .find(|hints| !hints.is_empty())
        .unwrap_or_default()
}

/// What the verifier had before it, where no family knows the sentence.
fn compared(rejection: &Rejection<'_>) -> String {
    let Some(step) = rejection.trace.last() else {
        return "see `ukci explain VERIFIER_REJECTION` for the usual causes".into();
    };
    let instruction = step.instruction;
    let held = rejection.register().and_then(|number| {
        let state = rejection.trace.register(number)?;
        let what = match words::range(state).filter(|_| state.is_scalar()) {
            Some(range) => format!("a number ({range})"),
            None => words::kind(state.kind),
        };
        Some(format!(", where R{number} holds {what}"))
    });
    format!(
        "look at instruction {}, `{}`{}",
        instruction.index,
        instruction.text,
        held.unwrap_or_default()
    )
}

/// A helper that the kernel lacks, though the verifier stopped for another reason.
fn absent_helper<'a>(case: &Case<'a>) -> Option<&'a str> {
    let absent = |name: &&String| {
        case.features(FeatureKind::Helper, name)
            .any(|f| f.program_type.is_none() && f.present == Some(false))
    };
    case.program.helpers.iter().find(absent).map(String::as_str)
}

/// The sentence without numbers that differ from kernel to kernel, so that one cause has one
/// headline: `attach_btf_id 56121 points to disabled hook`.
fn without_ids(sentence: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in sentence.split(' ') {
        let of_an_id = words.last().is_some_and(|last| last.ends_with("btf_id"));
        if of_an_id && !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        words.push(word);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::without_ids;

    #[test]
    fn ids_are_left_out_and_other_numbers_are_not() {
        assert_eq!(
            without_ids("attach_btf_id 56121 points to disabled hook bpf_lsm_x"),
            "attach_btf_id points to disabled hook bpf_lsm_x"
        );
        let kept = "R1 offset 8 is out of range, btf_id of R2";
        assert_eq!(without_ids(kept), kept);
    }
}
