//! Defines what a rule is and what it returns, and builds diagnoses.

use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::history;
use ukci_schema::verdict::Stage;

use crate::case::Case;

/// Most hints of one diagnosis.
pub(crate) const HINTS: usize = 3;

/// A rule: what it decides, or nothing where it does not apply.
pub(crate) type Rule = (&'static str, fn(&Case<'_>) -> Option<Diagnosis>);

/// A diagnosis and the name of the rule that made it.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) rule: &'static str,
    pub(crate) diagnosis: Diagnosis,
}

/// A diagnosis without program, source line or excerpt.
pub(crate) fn diagnosis(
    code: Code,
    stage: Stage,
    headline: String,
    hints: Vec<String>,
) -> Diagnosis {
    Diagnosis {
        code,
        stage,
        program: None,
        headline,
        at: None,
        excerpt: None,
        hints,
    }
}

/// The same with one hint.
pub(crate) fn of(code: Code, stage: Stage, headline: impl Into<String>, hint: &str) -> Diagnosis {
    diagnosis(code, stage, headline.into(), vec![hint.into()])
}

/// The same of the load, its hints borrowed.
pub(crate) fn at_load(code: Code, headline: String, hints: &[&str]) -> Diagnosis {
    let hints = hints.iter().map(|hint| (*hint).to_owned()).collect();
    diagnosis(code, Stage::Load, headline, hints)
}

/// Names as a sentence has them: `` `a` ``, `` `a` and `b` ``; of many, the first and how many more.
pub(crate) fn list<T: AsRef<str>>(names: &[T]) -> String {
    const SHOWN: usize = 6;
    let quoted = |name: &T| format!("`{}`", name.as_ref());
    match names {
        [] => "nothing".to_owned(),
        [one] => quoted(one),
        [firsts @ .., last] if names.len() <= SHOWN => {
            let firsts: Vec<String> = firsts.iter().map(quoted).collect();
            format!("{} and {}", firsts.join(", "), quoted(last))
        }
        many => {
            let firsts: Vec<String> = many[..SHOWN].iter().map(quoted).collect();
            format!("{} and {} more", firsts.join(", "), many.len() - SHOWN)
        }
    }
}

/// ` (mainline 5.17)` where the kernel is older than that. A kernel that is not lacks the thing for
/// another reason, and its reader must not be told that this release lacks what it brought.
pub(crate) fn brought(kernel: &str, release: Option<&str>) -> String {
    mainline(release.filter(|release| history::is_older(kernel, release)))
}

/// ` (mainline 5.17)`, or nothing.
fn mainline(release: Option<&str>) -> String {
    release
        .map(|release| format!(" (mainline {release})"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{brought, list};

    #[test]
    fn a_list_reads_as_a_sentence_and_is_bounded() {
        assert_eq!(list(&["a"]), "`a`");
        assert_eq!(list(&["a", "b", "c"]), "`a`, `b` and `c`");
        let many = ["a", "b", "c", "d", "e", "f", "g", "h"];
        assert_eq!(list(&many), "`a`, `b`, `c`, `d`, `e`, `f` and 2 more");
    }

    #[test]
    fn a_release_is_named_only_to_older_kernels() {
        let of = |kernel| brought(kernel, Some("6.12"));
        assert_eq!(of("6.1.0-56-amd64"), " (mainline 6.12)");
        assert_eq!(of("6.12.107+deb13-cloud-amd64"), "");
        assert_eq!(of("7.3-cloud-amd64"), "");
        assert_eq!(brought("6.1.0", None), "");
    }
}
