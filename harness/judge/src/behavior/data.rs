//! Compares values that were seen with those that are expected.

use serde_json::Value;
use ukci_schema::behavior::{Amount, Datum, Entry, MapExpected, raw};

/// Whether something is as expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// Not all of it was seen.
    Unknown,
}

impl From<bool> for Answer {
    fn from(is_so: bool) -> Self {
        if is_so { Self::Yes } else { Self::No }
    }
}

/// Whether a number is right that was counted in what was seen. More may have been there, if not all
/// was seen.
pub(super) fn counted(amount: Amount, number: u64, incomplete: bool) -> Answer {
    let too_many = amount.at_most.is_some_and(|most| number > most);
    if !incomplete || too_many {
        return amount.fits(number).into();
    }
    // Enough were seen, and no number is too large.
    if amount.fits(number) && amount.at_most.is_none() {
        return Answer::Yes;
    }
    Answer::Unknown
}

/// Whether bytes are what is expected. Raw bytes must begin it.
pub(super) fn is(expected: &Value, seen: &Datum) -> bool {
    match raw(expected) {
        Some(digits) => seen.hex.starts_with(&digits.to_ascii_lowercase()),
        None => (seen.value.as_ref()).is_some_and(|value| within(expected, value)),
    }
}

/// Whether a value has everything that is expected of it. It may have more fields.
fn within(expected: &Value, seen: &Value) -> bool {
    match (expected, seen) {
        (Value::Object(fields), Value::Object(seen)) => fields
            .iter()
            .all(|(name, expected)| (seen.get(name)).is_some_and(|seen| within(expected, seen))),
        (Value::Array(expected), Value::Array(seen)) => {
            expected.len() == seen.len()
                && expected
                    .iter()
                    .zip(seen)
                    .all(|(one, other)| within(one, other))
        }
        // TOML has no numbers of 64 bits without a sign.
        (Value::String(digits), Value::Number(number)) => {
            let digits = digits
                .strip_prefix("0x")
                .map(|hex| u64::from_str_radix(hex, 16));
            digits.and_then(Result::ok) == number.as_u64() && number.is_u64()
        }
        (Value::Bool(on), Value::Number(number)) | (Value::Number(number), Value::Bool(on)) => {
            number.as_u64() == Some(u64::from(*on))
        }
        (expected, seen) => expected == seen,
    }
}

/// Whether an entry of a map is one of those that are expected.
pub(super) fn entry_is(expected: &MapExpected, entry: &Entry, before: &[Entry]) -> bool {
    if expected
        .key
        .as_ref()
        .is_some_and(|key| !is(key, &entry.key))
    {
        return false;
    }
    let value_is = |wanted: &Value| {
        let by_itself = entry.values.iter().any(|value| is(wanted, value));
        let sum = total(entry, &[]).filter(|_| entry.values.len() > 1);
        match (wanted.as_i64(), sum) {
            // The numbers of all CPUs are one number.
            (Some(wanted), Some(sum)) => i128::from(wanted) == sum,
            _ => by_itself,
        }
    };
    if expected
        .value
        .as_ref()
        .is_some_and(|value| !value_is(value))
    {
        return false;
    }
    if !expected.grows {
        return true;
    }
    let same = before.iter().find(|old| old.key.hex == entry.key.hex);
    let old = same.map_or(Some(0), |old| total(old, &expected.field));
    match (total(entry, &expected.field), old) {
        (Some(now), Some(old)) => now > old,
        _ => false,
    }
}

/// The number that a path of fields leads to in an entry's value, over all CPUs.
pub(super) fn total(entry: &Entry, path: &[String]) -> Option<i128> {
    let mut sum = 0;
    for value in &entry.values {
        let mut at = value.value.as_ref()?;
        for field in path {
            at = at.get(field)?;
        }
        sum += (at.as_i64().map(i128::from)).or_else(|| at.as_u64().map(i128::from))?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use ukci_schema::behavior::{Amount, Datum, Entry, MapExpected};

    use super::{Answer, counted, entry_is, is, within};

    #[test]
    fn fields_that_nobody_named_do_not_matter() {
        let seen = json!({"pid": 7, "comm": "sh", "inner": {"a": 1, "b": 2}, "list": [1, 2]});
        assert!(within(&json!({"pid": 7, "inner": {"b": 2}}), &seen));
        assert!(!within(&json!({"pid": 8}), &seen));
        assert!(!within(&json!({"uid": 0}), &seen));
        assert!(within(&json!({"list": [1, 2]}), &seen));
        assert!(!within(&json!({"list": [1]}), &seen));
        assert!(within(&json!("0xffffffffffffffff"), &json!(u64::MAX)));
        assert!(!within(&json!("0xff"), &json!(-1)));
        assert!(within(&json!(true), &json!(1)));
    }

    #[test]
    fn raw_bytes_begin_what_was_seen() {
        let seen = Datum {
            hex: "0aff00".into(),
            value: None,
        };
        assert!(is(&json!({"bytes": "0AFF"}), &seen));
        assert!(!is(&json!({"bytes": "ff"}), &seen));
        assert!(!is(&json!(10), &seen));
    }

    #[test]
    fn what_was_not_seen_whole_is_never_certain_to_be_too_little() {
        let amount = |at_least, at_most| Amount { at_least, at_most };
        assert_eq!(counted(amount(Some(2), None), 1, false), Answer::No);
        assert_eq!(counted(amount(Some(2), None), 1, true), Answer::Unknown);
        assert_eq!(counted(amount(Some(2), None), 2, true), Answer::Yes);
        assert_eq!(counted(amount(None, Some(2)), 2, true), Answer::Unknown);
        assert_eq!(counted(amount(None, Some(2)), 3, true), Answer::No);
    }

    fn entry(key: u32, values: &[u64]) -> Entry {
        let datum = |number: u64| Datum {
            hex: format!("{number:08x}"),
            value: Some(json!({"n": number})),
        };
        Entry {
            key: datum(key.into()),
            values: values.iter().copied().map(datum).collect(),
        }
    }

    #[test]
    fn a_number_grows_if_its_sum_over_the_cpus_does() {
        let expected = MapExpected {
            grows: true,
            field: vec!["n".into()],
            ..MapExpected::default()
        };
        let before = [entry(1, &[5, 5])];
        assert!(entry_is(&expected, &entry(1, &[11, 0]), &before));
        assert!(!entry_is(&expected, &entry(1, &[10, 0]), &before));
        // One that was not there before had nothing.
        assert!(entry_is(&expected, &entry(2, &[1, 0]), &before));
        assert!(!entry_is(&expected, &entry(2, &[0, 0]), &before));
    }
}
