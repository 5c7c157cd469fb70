//! Sizes that are passed to a helper but whose bounds the verifier does not know well enough.

use super::rejection::Rejection;
use super::words::{bytes, range};
use crate::verifier_log::{Origin, Register};

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let (Some(helper), Some(register)) = (rejection.helper(), size_register(rejection)) else {
        return Vec::new();
    };
    if rejection.says("invalid zero-sized read") {
        return vec![format!(
            "skip the call where the size is 0: {helper} takes no size of 0, and argument {register} may \
             be 0"
        )];
    }
    let constant = [
        "is not a known constant",
        "must be a known constant",
        "is not a const",
    ];
    // 5.10 says so of the size of a ring buffer's record, of which a bounded one is refused as well.
    let reserved = rejection.says("unbounded size") && helper == "`bpf_ringbuf_reserve`";
    if reserved || constant.iter().any(|words| rejection.says(words)) {
        return vec![format!(
            "pass a constant as argument {register} of {helper}, such as the largest size that is needed: \
             here it is a number that is known at run time only"
        )];
    }
    let negative = rejection.says("min value is negative");
    if !negative && !(rejection.says("unbounded memory access, use")) {
        return Vec::new();
    }
    let state = rejection.trace.register(register);
    let known = state.filter(|state| state.is_scalar()).and_then(range);
    let known = known.map_or_else(String::new, |range| format!(": it may be {range}"));
    let buffer = buffer(rejection, register);
    let limit = buffer.map_or_else(
        || "the size of the buffer".into(),
        |(size, what)| format!("{}, the size of {what}", bytes(size)),
    );
    if let Some(Origin::Call(callee)) = rejection.trace.origin(register)
        && negative
        && (may_fail(callee) || state.is_some_and(|state| state.signed.0 > i64::MIN))
    {
        return vec![format!(
            "compare what `{callee}` returned with 0 before it becomes the size (argument {register}) of \
                 {helper}{known}{} a negative number is an error",
            if known.is_empty() { ":" } else { ", and" }
        )];
    }
    vec![
        format!(
            "bound argument {register} of {helper} just before the call, to at least 0 and at most \
             {limit}{known}"
        ),
        "keep it in an unsigned variable, and compare the same variable that is passed: `if (n > \
         sizeof(buf)) n = sizeof(buf);`, or mask it (`n &= sizeof(buf) - 1`)"
            .into(),
    ]
}

/// Helpers that return a length or a negative error, which kernels before 5.11 do not say.
fn may_fail(helper: &str) -> bool {
    helper.ends_with("_str") || helper.starts_with("bpf_get_stack") || helper == "bpf_d_path"
}

/// The register with the size: the one that is named. 5.10 and 6.1 do not name that of a zero size,
/// which is the last of the arguments that may be 0.
fn size_register(rejection: &Rejection<'_>) -> Option<u8> {
    let may_be_zero =
        |state: &Register<'_>| state.is_scalar() && state.signed.0 <= 0 && state.signed.1 >= 0;
    rejection.named().or_else(|| {
        (1..=5)
            .rev()
            .find(|number| rejection.trace.register(*number).is_some_and(may_be_zero))
    })
}

/// The buffer whose size it is, which is the argument before: its bytes, and what it is.
fn buffer(rejection: &Rejection<'_>, register: u8) -> Option<(i64, String)> {
    let state = rejection.trace.register(register.checked_sub(1)?)?;
    let left = state.value_size.and_then(|size| i64::try_from(size).ok());
    match state.kind {
        "map_value" => Some((left?.saturating_sub(state.offset), rejection.region(state))),
        "fp" if state.offset < 0 => Some((
            state.offset.checked_neg()?,
            "what is left of the stack there".into(),
        )),
        _ => None,
    }
}
