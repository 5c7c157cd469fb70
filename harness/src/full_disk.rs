//! The advice on a disk that is full: one place for all errors that one can be the cause of.

use std::error::Error;
use std::io::{self, ErrorKind};

/// Whether the system refused to write because there is no room, on the disk or in the user's quota.
pub fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// What helps if a full disk is the cause of an error, however deep: to free some space, or what
/// stands in `otherwise`.
pub fn advice(error: &(dyn Error + 'static), otherwise: Option<&str>) -> Option<String> {
    let mut next = Some(error);
    while let Some(error) = next {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind.is_some_and(is_full) {
            return Some(words(otherwise));
        }
        next = error.source();
    }
    None
}

/// The same if a full disk is what a program printed as its error.
pub fn advice_on_words(said: &str, otherwise: Option<&str>) -> Option<String> {
    // As `strerror` has them.
    ["No space left on device", "Disk quota exceeded"]
        .iter()
        .any(|words| said.contains(words))
        .then(|| words(otherwise))
}

fn words(otherwise: Option<&str>) -> String {
    match otherwise {
        Some(otherwise) => format!("free some space, or {otherwise}"),
        None => "free some space, or write to another file system".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to write the image")]
    struct Outer(#[source] Box<dyn Error + Send + Sync>);

    #[test]
    fn a_full_disk_is_found_below_every_other_error() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let error = Outer(Box::new(Outer(Box::new(io::Error::from(kind)))));
            assert_eq!(
                advice(&error, Some("use another")).as_deref(),
                Some("free some space, or use another")
            );
        }
        let other = Outer(Box::new(io::Error::from(ErrorKind::NotFound)));
        assert_eq!(advice(&other, None), None);
        // What the system itself says.
        let full = io::Error::from_raw_os_error(libc::ENOSPC);
        assert!(advice(&full, None).is_some());
        assert!(advice_on_words(&format!("cc1: fatal: {full}"), None).is_some());
        assert!(advice_on_words("cc1: fatal: no such file", None).is_none());
    }
}
