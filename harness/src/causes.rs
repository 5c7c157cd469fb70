//! Follows an error to its causes.

use std::error::Error;

/// The causes of an error, the nearest first, each as its text. A cause that the text above it already
/// ends with is left out: some errors carry their cause in their own text, and transparent ones are
/// their cause.
pub fn of(error: &dyn Error) -> Vec<String> {
    let mut last = error.to_string();
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !last.ends_with(&text) {
            causes.push(text.clone());
        }
        last = text;
        cause = error.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::of;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failed {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    #[test]
    fn a_cause_that_stands_in_the_text_above_it_is_told_once() {
        let failed = |text, source: Option<Failed>| Failed {
            text,
            source: source.map(Box::new),
        };
        let disk = failed("the disk is full", None);
        let carries = failed("write `x`: the disk is full", Some(disk));
        let error = failed("no report", Some(carries));
        assert_eq!(of(&error), ["write `x`: the disk is full"]);
    }
}
