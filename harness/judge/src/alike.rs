//! Finds out whether two headlines are about one cause, although two kernels word it differently.
//!
//! The verifier's sentences changed from release to release: what was `inv` is `scalar` since 5.18, and
//! the list of what a helper accepts grew with almost every release. A headline comes in, and the
//! form that all kernels share goes out. It is for comparison only and never shown.

use ukci_schema::diagnosis::{Code, Diagnosis};

/// Words that were exchanged for others, in the order in which they are replaced.
const WORDS: &[(&str, &str)] = &[
    // 5.18: 7c696732425d.
    ("'inv'", "'scalar'"),
    ("type=inv", "type=scalar"),
    // 5.12: 91c960b00566.
    ("BPF_XADD", "BPF_ATOMIC"),
    ("untrusted_ptr_", "ptr_"),
    ("trusted_ptr_", "ptr_"),
    ("rcu_ptr_", "ptr_"),
    ("alloc_mem", "ringbuf_mem"),
    // What is accessed indirectly is read or written, which 7.x says.
    (
        "invalid indirect access to stack",
        "invalid access to stack",
    ),
    ("invalid read from stack", "invalid access to stack"),
    ("invalid write to stack", "invalid access to stack"),
    ("off (0x0; 0x0)+", "off 0+"),
    ("any array access", "any such access"),
    ("trusted arg0", "trusted R1"),
    ("trusted arg1", "trusted R2"),
    ("trusted arg2", "trusted R3"),
    ("trusted arg3", "trusted R4"),
    ("trusted arg4", "trusted R5"),
];

/// What stands before a number that differs between kernels: an id that the verifier gave, or the
/// place of a member in the kernel's own struct.
const BEFORE_NUMBERS: &[&str] = &["reference id=", "(id=", " at off ", " at off="];

/// A headline in the form that it has on all kernels.
pub fn alike(headline: &str) -> String {
    let mut text = headline.to_owned();
    for (old, new) in WORDS {
        text = text.replace(old, new);
    }
    for before in BEFORE_NUMBERS {
        text = without_number(&text, before);
    }
    // Of the types that a helper accepts, the first says which kind is meant.
    if let Some(at) = text.find("expected=")
        && let Some(end) = text[at..].find(", ")
    {
        text.truncate(at + end);
    }
    // The second line says at which of its bounds the access is outside, in words of its own.
    if text.contains("invalid access to ")
        && let Some(at) = text.find("; R")
    {
        text.truncate(at);
    }
    // Since 6.8 the number of a function has its name behind it.
    if let Some(at) = text.find("into func#")
        && let Some(name) = text[at..].find(" ('")
    {
        text.truncate(at + name);
    }
    text
}

/// The advice that makes two refusals of one program one cause, whatever each kernel printed: it rests
/// on what the program does. `None` where it is general, or where the kernel's words decide.
pub fn advice(found: &Diagnosis) -> Option<&str> {
    const GENERAL: &[&str] = &["see `ukci explain", "look at instruction", "consider what"];
    let first = found.hints.first()?;
    let of_the_verifier = matches!(found.code, Code::VerifierRejection | Code::VerifierLimit);
    let is_general = GENERAL.iter().any(|general| first.starts_with(general));
    (of_the_verifier && !is_general).then_some(first)
}

/// Takes out the numbers that follow these words.
fn without_number(text: &str, before: &str) -> String {
    let mut parts = text.split(before);
    let mut found = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        found.push_str(before);
        let signless = part.strip_prefix('-').unwrap_or(part);
        found.push_str(signless.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{advice, alike};
    use crate::finding::at_load;
    use ukci_schema::diagnosis::Code;

    #[test]
    fn one_cause_in_the_words_of_two_kernels_is_one() {
        for (old, new) in [
            (
                "`on`: R1 invalid mem access 'inv'",
                "`on`: R1 invalid mem access 'scalar'",
            ),
            (
                "R2 type=inv expected=ptr_",
                "R2 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_",
            ),
            (
                "BPF_XADD stores into R1 pkt is not allowed",
                "BPF_ATOMIC stores into R1 pkt is not allowed",
            ),
            (
                "invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0); R1 offset is outside of the packet",
                "invalid access to packet, off=0 size=1, R1(id=2,off=0,r=0); R1 min value is outside of the \
                 allowed memory range",
            ),
            (
                "no write support to tcp_sock at off 1424",
                "no write support to tcp_sock at off 1712",
            ),
            (
                "Possibly NULL pointer passed to trusted arg0",
                "Possibly NULL pointer passed to trusted R1",
            ),
            (
                "invalid indirect access to stack R1 off=-64 size=127",
                "invalid write to stack R1 off=-64 size=127",
            ),
            (
                "Unreleased reference id=2 alloc_insn=1",
                "Unreleased reference id=4 alloc_insn=1",
            ),
        ] {
            assert_eq!(alike(old), alike(new), "{old}");
        }
    }

    #[test]
    fn two_causes_stay_two() {
        for (one, other) in [
            (
                "R1 invalid mem access 'inv'",
                "R1 invalid mem access 'map_value_or_null'",
            ),
            ("R1 type=inv expected=fp", "R1 type=inv expected=map_ptr"),
            (
                "invalid access to packet, off=0 size=1, R1",
                "invalid access to packet, off=4 size=1, R1",
            ),
            (
                "invalid access to stack R1 off=-64 size=127",
                "invalid indirect read from stack R1 off -64+4 size 127",
            ),
            (
                "no write support to tcp_sock at off 4",
                "no write support to sock at off 4",
            ),
            (
                "Unreleased reference id=2 alloc_insn=1",
                "Unreleased reference id=2 alloc_insn=7",
            ),
        ] {
            assert_ne!(alike(one), alike(other), "{one}");
        }
    }

    #[test]
    fn advice_on_what_the_program_does_is_compared_and_no_other() {
        let advice_of =
            |code, hint: &'static str| advice(&at_load(code, String::new(), &[hint])).is_some();
        assert!(advice_of(
            Code::VerifierRejection,
            "return 0 or 1 only: this path returns 5"
        ));
        let general = "see `ukci explain VERIFIER_REJECTION` for the usual causes";
        assert!(!advice_of(Code::VerifierRejection, general));
        let of_a_helper = "do without it on kernels that lack it";
        assert!(!advice_of(Code::UnsupportedHelper, of_a_helper));
    }
}
