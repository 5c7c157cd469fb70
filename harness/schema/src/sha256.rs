//! Digests as they are read: 64 lower-case hexadecimal digits, and nothing else.
//!
//! A digest becomes the name of a file in the store, so that what is no digest is refused where it
//! is read, with its line and column.

use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Whether this is a SHA-256 as locks, plans and reports write it.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Reads a digest.
pub(crate) fn one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check::<D::Error>(&text)?;
    Ok(text)
}

/// Reads digests by name.
pub(crate) fn map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let map = BTreeMap::<String, String>::deserialize(deserializer)?;
    map.values().try_for_each(|text| check::<D::Error>(text))?;
    Ok(map)
}

fn check<E: Error>(text: &str) -> Result<(), E> {
    if is_digest(text) {
        return Ok(());
    }
    let shown: String = text.chars().take(80).collect();
    Err(E::custom(format_args!(
        "{shown:?} is not a SHA-256 digest, which has 64 digits of 0-9 and a-f"
    )))
}

#[cfg(test)]
mod tests {
    use crate::lock::Package;
    use crate::plan::FileRef;

    #[test]
    fn what_is_no_digest_is_refused_where_it_is_read() {
        let good = "0123456789abcdef".repeat(4);
        let file = |sha256: &str| {
            let text = serde_json::json!({ "path": "/x", "sha256": sha256 }).to_string();
            serde_json::from_str::<FileRef>(&text)
        };
        assert_eq!(file(&good).unwrap().sha256, good);
        let bad = [
            "../../../../OUTSIDE/PWNED",
            "",
            &good[1..],
            &format!("{good}0"),
            &good.to_uppercase(),
            &format!("{}/", &good[1..]),
            &"é".repeat(32),
        ];
        for sha256 in bad {
            let error = file(sha256).unwrap_err().to_string();
            assert!(error.contains("is not a SHA-256 digest"), "{error}");
            assert!(error.contains("line 1 column"), "{error}");
            let package = serde_json::json!({
                "roles": ["image"], "name": "n", "version": "1", "archive": "debian",
                "path": "pool/n.deb", "size": 1, "sha256": sha256,
            });
            let error = serde_json::from_value::<Package>(package).unwrap_err();
            assert!(
                error.to_string().contains("is not a SHA-256 digest"),
                "{error}"
            );
        }
    }
}
