//! The verifier's own reason, which is the last message of its log.

use super::line::Line;
use super::report::{START, classic};
use crate::text::clipped;
use ukci_schema::evidence::Log;

/// Lines that stand together and are one sentence: how the first begins, and what the second has.
const PAIRS: &[(&str, &str)] = &[
    // `func 'x' doesn't have 3-th argument`, then the access that reads it.
    ("func '", "invalid bpf_context access"),
    ("invalid access to ", "is outside of the"),
    ("", "Caller passes invalid args"),
    ("", "memory, len pair leads to invalid memory access"),
    ("Unreleased reference", "would lead to reference leak"),
    // One message of two lines (6.8 on).
    (
        "global function calls are not allowed while",
        "use static function instead",
    ),
];

/// The verifier's own reason: its last prose before the statistics, with the line before it where
/// the two are one sentence.
pub(crate) fn sentence(log: &Log) -> Option<String> {
    let classic = end(log);
    let Some(last) = classic
        .iter()
        .rposition(|line| matches!(line, Line::Prose(_)))
    else {
        return remark(&classic).or_else(|| headline(log));
    };
    // A remark behind the last sentence is about what came after it.
    if let Some(found) = remark(&classic[last + 1..]) {
        return Some(found);
    }
    let (before, said) = (last.checked_sub(1).map(|n| &classic[n]), &classic[last]);
    let said = text(said)?;
    Some(match before.and_then(text) {
        Some(first) if says_all(first, said) => clipped(first),
        Some(first) if is_one(first, said) => {
            let first = first.trim_end_matches([',', '.']);
            format!("{}; {}", clipped(first), clipped(said))
        }
        _ => clipped(said),
    })
}

/// Whether the first line names the place and its fault, so that the second adds nothing: the call of a
/// global function that was named, and 7.x's general words behind the particular ones.
fn says_all(first: &str, second: &str) -> bool {
    const ENOUGH: &[(&str, &str)] = &[
        ("() is not supported yet", "Caller passes invalid args"),
        ("no write support to ", "cannot write into ptr_"),
    ];
    let is_one = |(one, other): &(&str, &str)| first.contains(one) && second.contains(other);
    ENOUGH.iter().any(is_one)
}

/// The lines of the classic log from the one before its last prose on, without noise; all of them
/// where there is no prose.
fn end(log: &Log) -> Vec<Line<'_>> {
    let mut found = Vec::new();
    let mut has_prose = false;
    for line in classic(log).rev().map(Line::of) {
        if line == Line::Noise {
            continue;
        }
        let is_before = has_prose;
        has_prose |= matches!(line, Line::Prose(_));
        found.push(line);
        if is_before {
            break;
        }
    }
    found.reverse();
    found
}

fn text<'a>(line: &Line<'a>) -> Option<&'a str> {
    match line {
        Line::Prose(text) | Line::Remark(text) => Some(text),
        _ => None,
    }
}

fn is_one(first: &str, second: &str) -> bool {
    PAIRS
        .iter()
        .any(|(start, words)| first.starts_with(start) && second.contains(words))
}

/// The remark that the trace ends with, if it is of a function other than the program itself: the
/// verifier was at work on a global function, or had come to a call.
fn remark(lines: &[Line<'_>]) -> Option<String> {
    let (Line::Remark(said), before) = lines.split_last()? else {
        return None;
    };
    let walked = before
        .iter()
        .rev()
        .find(|line| !matches!(line, Line::Remark(_)))?;
    matches!(walked, Line::Validating | Line::Instruction(..)).then(|| clipped(said))
}

/// What 7.3's report calls it, where nothing else was said.
fn headline(log: &Log) -> Option<String> {
    let line = log.lines().find(|line| line.starts_with(START))?.trim();
    Some(
        line.split_once(": ")
            .map_or(line, |(_, rest)| rest)
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::sentence;
    use ukci_schema::evidence::Log;

    fn said(log: &str) -> Option<String> {
        sentence(&Log::bounded(log))
    }

    #[test]
    fn a_message_behind_a_jump_is_the_reason() {
        let log = "2: (61) r2 = *(u32 *)(r1 +0)\n3: (15) if r2 == 0x0 goto pc-2 infinite loop detected at insn 2\n\
                   cur state: R1=ctx() R10=fp0\nprocessed 14 insns (limit 1000000)";
        assert_eq!(said(log).unwrap(), "infinite loop detected at insn 2");
    }

    #[test]
    fn it_is_the_last_prose_before_the_statistics() {
        let old = "arg#0 type is not a struct\nUnrecognized arg#0 type PTR\n; *count += 1;\n\
                   8: (79) r1 = *(u64 *)(r0 +0)\n R0_w=inv(id=0,var_off=(0x0; 0xff)) R10=fp0\n\
                   R0 invalid mem access 'map_value_or_null'\n\
                   processed 8 insns (limit 1000000) max_states_per_insn 0\n";
        assert_eq!(
            said(old).unwrap(),
            "R0 invalid mem access 'map_value_or_null'"
        );
        assert_eq!(said("0: R1=ctx() R10=fp0\n; a = b;\n"), None);
        assert_eq!(said("processed 0 insns (limit 1000000)\n"), None);
        // 6.12 adds the states that it compared.
        let log = "0: (05) goto pc-1\ninfinite loop detected at insn 0\ncur state: R1=ctx() R10=fp0\n\
                   old state: R1=ctx() R10=fp0\nprocessed 2 insns (limit 1000000)\n";
        assert_eq!(said(log).unwrap(), "infinite loop detected at insn 0");
    }

    #[test]
    fn two_lines_that_are_one_sentence_stay_together() {
        let log = "0: (79) r0 = *(u64 *)(r1 +16)\nfunc 'bpf_lsm_file_open' doesn't have 3-th \
                   argument\ninvalid bpf_context access off=16 size=8\nprocessed 1 insns\n";
        assert_eq!(
            said(log).unwrap(),
            "func 'bpf_lsm_file_open' doesn't have 3-th argument; invalid bpf_context access \
             off=16 size=8"
        );
        let log = "9: (79) r1 = *(u64 *)(r0 +16)\ninvalid access to map value, value_size=16 off=16 \
                   size=8\nR0 min value is outside of the allowed memory range\nprocessed 9 insns\n";
        assert_eq!(
            said(log).unwrap(),
            "invalid access to map value, value_size=16 off=16 size=8; R0 min value is outside of \
             the allowed memory range"
        );
    }

    #[test]
    fn two_lines_that_are_two_sentences_do_not() {
        let log =
            "btf_func_info: something else went by\nR1 type=scalar expected=fp\nprocessed 1\n";
        assert_eq!(said(log).unwrap(), "R1 type=scalar expected=fp");
    }

    #[test]
    fn a_second_line_that_adds_nothing_is_left_out() {
        let log = "2: (85) call pc+1\nArg#0 type STRUCT in sum() is not supported yet.\n\
                   Caller passes invalid args into func#1 ('sum')\nprocessed 3 insns\n";
        assert_eq!(
            said(log).unwrap(),
            "Arg#0 type STRUCT in sum() is not supported yet."
        );
        let log = "2: (63) *(u32 *)(r1 +1768) = r2\nno write support to tcp_sock at off 1768\n\
                   R1 cannot write into ptr_tcp_sock at off=1768 size=4\nprocessed 3 insns\n";
        assert_eq!(
            said(log).unwrap(),
            "no write support to tcp_sock at off 1768"
        );
        // Of another function than the one that is called, the call is told.
        let log = "2: (85) call pc+1\nR1 type=fp expected=ctx\n\
                   Caller passes invalid args into func#1 ('sum')\nprocessed 3 insns\n";
        assert!(said(log).unwrap().ends_with("into func#1 ('sum')"));
    }

    #[test]
    fn a_remark_is_the_verdict_behind_a_global_function_and_noise_before_the_program() {
        let remark = "arg#0 reference type('UNKNOWN ') size cannot be determined: -22";
        let validating = format!("Validating emit() func#1...\n{remark}\nprocessed 0 insns\n");
        assert_eq!(said(&validating).as_deref(), Some(remark));
        let called = format!(
            "{remark}\n0: R1=ctx() R10=fp0\n0: (85) call pc+2\n{remark}\nCaller passes invalid args \
             into func#1 ('emit')\nprocessed 1 insns\n"
        );
        assert_eq!(
            said(&called).unwrap(),
            format!("{remark}; Caller passes invalid args into func#1 ('emit')")
        );
        // Of the program itself it is a remark, whatever comes after.
        assert_eq!(said(&format!("{remark}\nprocessed 0 insns\n")), None);
        let accepted = format!("{remark}\n0: R1=ctx() R10=fp0\n0: (b7) r0 = 0\n1: (95) exit\n");
        assert_eq!(said(&accepted), None);
        let other = format!("{remark}\n0: (79) r1 = *(u64 *)(r0 +0)\nR0 !read_ok\nprocessed 1\n");
        assert_eq!(said(&other).unwrap(), "R0 !read_ok");
    }

    #[test]
    fn a_report_without_a_sentence_gives_its_headline() {
        let log = "0: R1=ctx() R10=fp0\nVerification failed: out of bounds\n\nSuggestion:\n  x\n";
        assert_eq!(said(log).unwrap(), "out of bounds");
    }
}
