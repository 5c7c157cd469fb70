//! The story of each diagnosis code, for `ukci explain` and `docs/diagnoses.md`.

use crate::diagnosis::Code;

/// The text of one code: what it means, how it is seen, causes, remedies; plain text, at most 100
/// columns.
pub fn explain(code: Code) -> String {
    code.name().to_owned()
}
