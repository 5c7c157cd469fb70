//! The value that a program returns.

use super::rejection::{Rejection, leading_number};
use super::words::range;

pub(super) fn hints(rejection: &Rejection<'_>) -> Vec<String> {
    let exits = [
        "At program exit",
        "At async callback",
        "At callback return",
        "At subprogram exit",
    ];
    if !exits
        .iter()
        .any(|words| rejection.sentence.starts_with(words))
    {
        return Vec::new();
    }
    let Some((low, high)) = allowed(rejection.sentence) else {
        return vec![
            "return a number that was set on this path: here R0 holds none that the verifier knows"
                .into(),
        ];
    };
    let wanted = match high.checked_sub(low) {
        Some(0) => format!("{low}"),
        Some(1) => format!("{low} or {high}"),
        _ => format!("{low} to {high}"),
    };
    let program = rejection.case.program;
    let kind = match &program.attach_type {
        _ if rejection.says("callback") => "a callback".into(),
        Some(attach) => format!(
            "`{}` programs with attach type `{attach}`",
            program.program_type
        ),
        None => format!("`{}` programs", program.program_type),
    };
    let got = rejection
        .trace
        .register(0)
        .filter(|state| state.is_scalar());
    let got = match (got.and_then(range), returned(rejection.sentence)) {
        (_, Some(value)) => format!("this path returns {value}"),
        (Some(range), _) => format!("this path may return {range}"),
        (None, None) => "the verifier does not know what this path returns".into(),
    };
    let mut found = vec![format!("return {wanted} only, as {kind} must: {got}")];
    if returned(rejection.sentence).is_none() {
        found.push("compare the value with these bounds before it is returned".into());
    }
    found
}

/// `should have been in (0x0; 0x1)`, the known bits and the others, or `[-4095, 0]`.
fn allowed(sentence: &str) -> Option<(i64, i64)> {
    let (_, rest) = sentence.split_once("should have been ")?;
    let rest = rest.strip_prefix("in ").unwrap_or(rest);
    if let Some(inside) = rest.strip_prefix('[') {
        let (low, high) = inside.split_once(", ")?;
        return Some((leading_number(low)?, leading_number(high)?));
    }
    let (known, mask) = rest.strip_prefix('(')?.split_once("; ")?;
    let (known, mask) = (leading_number(known)?, leading_number(mask)?);
    Some((known, known | mask))
}

/// The one value that is returned: `has value (0x2; 0x0)`, `has smin=2 smax=2`.
fn returned(sentence: &str) -> Option<i64> {
    if let Some((_, rest)) = sentence.split_once("has value (") {
        let (value, mask) = rest.split_once("; ")?;
        return (leading_number(mask)? == 0)
            .then(|| leading_number(value))
            .flatten();
    }
    let (_, least) = sentence.split_once("smin=")?;
    let (_, most) = sentence.split_once("smax=")?;
    let (least, most) = (leading_number(least)?, leading_number(most)?);
    (least == most).then_some(least)
}

#[cfg(test)]
mod tests {
    use super::{allowed, returned};

    #[test]
    fn old_and_new_words_for_a_range() {
        let old =
            "At program exit the register R0 has value (0x2; 0x0) should have been in (0x0; 0x1)";
        assert_eq!((allowed(old), returned(old)), (Some((0, 1)), Some(2)));
        let new = "At program exit the register R0 has smin=2 smax=2 should have been in [0, 1]";
        assert_eq!((allowed(new), returned(new)), (Some((0, 1)), Some(2)));
        let lsm = "At program exit the register R0 has unknown scalar value should have been in [-4095, 0]";
        assert_eq!((allowed(lsm), returned(lsm)), (Some((-4095, 0)), None));
        assert_eq!(
            allowed("At program exit the register R0 is not a known value (ctx)"),
            None
        );
    }
}
