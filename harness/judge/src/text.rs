//! Reading logs, the last resort: the verifier's own sentence, and the lines worth showing.
//!
//! A verifier log is a trace: instructions, register states and source lines, then the sentence
//! that says why, then statistics. Kernels from 7.3 append a report to the sentence (`Verification
//! failed: …`, `Reason:`, `At:`, `Causal path:`, `Suggestion:`), of which the kernel's reason is
//! shown and its suggestion never taken for a reason.

use ukci_schema::diagnosis::{Excerpt, SourceLine};
use ukci_schema::evidence::Log;

/// Most lines of an excerpt.
const SHOWN: usize = 8;
/// Most characters of one line of an excerpt, and of a sentence in a headline.
const WIDEST: usize = 240;

/// The verifier's own reason: its last prose before the statistics, with the line that leads to it
/// where they stand together.
pub(crate) fn sentence(log: &Log) -> Option<String> {
    let lines: Vec<&str> = log.lines().collect();
    let report = report_start(&lines);
    let classic = &lines[..report.unwrap_or(lines.len())];
    let Some(last) = classic.iter().rposition(|line| is_sentence(line)) else {
        let headline = lines[report?].trim();
        return Some(
            headline
                .split_once(": ")
                .map_or(headline, |(_, rest)| rest)
                .to_owned(),
        );
    };
    let mut found = clipped(classic[last].trim());
    // `func 'x' doesn't have 3-th argument`, then `invalid bpf_context access off=16 size=8`.
    if let Some(before) = last
        .checked_sub(1)
        .map(|n| classic[n])
        .filter(|line| is_sentence(line))
    {
        found = format!("{}; {found}", clipped(before.trim()));
    }
    Some(found)
}

fn report_start(lines: &[&str]) -> Option<usize> {
    lines
        .iter()
        .position(|line| line.starts_with("Verification failed"))
}

/// The first paragraph under `Reason:` of 7.3's report, as one line.
pub(crate) fn reason(log: &Log) -> Option<String> {
    let mut lines = log
        .lines()
        .skip_while(|line| !line.starts_with("Verification failed"));
    lines.find(|line| line.trim_end() == "Reason:")?;
    let words: Vec<&str> = lines
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// What the verifier prints whether it is content or not.
pub(crate) fn is_noise(line: &str) -> bool {
    let line = line.trim();
    let statistics = [
        "processed ",
        "verification time ",
        "stack depth ",
        "insns processed ",
        "max_states",
    ];
    line.is_empty() || statistics.iter().any(|start| line.starts_with(start))
}

/// Whether a line is prose and not an instruction, a state, a source line or a statistic.
fn is_sentence(line: &str) -> bool {
    let line = line.trim();
    if is_noise(line) || line.starts_with(';') || line.starts_with('<') {
        return false;
    }
    // Where the path came from and what is tried, not why it is refused.
    let remarks = [
        "from ",
        "caller:",
        "callee:",
        "returning from callee:",
        "frame",
        "propagating",
        "last_idx",
        "regs=",
        "parent ",
        "mark_precise:",
        "func#",
        "Func#",
        "Validating ",
        "arg#0 type is not a struct",
        "Unrecognized arg#0",
        "arg#0 reference type",
        "arg#0 is not a pointer",
        "reg type unsupported for arg#0",
        "to caller at",
        "The reg sizes",
        "stack=",
        "cur state:",
        "old state:",
        "btf_vmlinux is malformed",
    ];
    if remarks.iter().any(|start| line.starts_with(start)) {
        return false;
    }
    // `func 'x' arg0 has btf_id 12 type STRUCT 'file'` is a remark on a good access.
    if line.starts_with("func '") && line.contains(" has btf_id ") {
        return false;
    }
    match line.split_once(':') {
        Some((index, _)) if !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit()) => false,
        _ => !is_state(line),
    }
}

/// A register's or a stack slot's state: `R0_w=scalar(umax=7,var_off=(0x0; 0x7)) R10=fp0`.
fn is_state(line: &str) -> bool {
    let Some((name, _)) = line.split_once('=') else {
        return false;
    };
    let name = name
        .strip_prefix("fp-")
        .or_else(|| name.strip_prefix('R'))
        .unwrap_or("");
    let number = name.split('_').next().unwrap_or_default();
    !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
}

/// The last lines of the verifier's log up to its sentence, and the reason of 7.3's report.
pub(crate) fn verifier_excerpt(log: &Log) -> Option<Excerpt> {
    let lines: Vec<&str> = log
        .lines()
        .take_while(|line| !line.starts_with("Verification failed"))
        .filter(|line| !is_noise(line))
        .collect();
    let mut found = excerpt("verifier", &lines)?;
    if let Some(reason) = reason(log) {
        if found.lines.len() == SHOWN {
            found.lines.remove(0);
            found.omitted += 1;
        }
        found.lines.push(clipped(&format!("Reason: {reason}")));
    }
    Some(found)
}

/// The last lines of libbpf's log.
pub(crate) fn libbpf_excerpt(log: &Log) -> Option<Excerpt> {
    excerpt(
        "libbpf",
        &log.lines()
            .filter(|line| !line.trim().is_empty())
            .collect::<Vec<_>>(),
    )
}

fn excerpt(of: &str, lines: &[&str]) -> Option<Excerpt> {
    let shown = &lines[lines.len().saturating_sub(SHOWN)..];
    (!shown.is_empty()).then(|| Excerpt {
        of: of.into(),
        lines: shown.iter().map(|line| clipped(line.trim_end())).collect(),
        omitted: lines.len() - shown.len(),
    })
}

/// At most [`WIDEST`] characters of it.
pub(crate) fn clipped(line: &str) -> String {
    match line.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

/// The source line that the trace last named, with its file: `; x = *p; @ prog.bpf.c:18`, as
/// kernels since 6.10 print it.
pub(crate) fn source_line(log: &Log) -> Option<SourceLine> {
    let stop = |line: &&str| !line.starts_with("Verification failed");
    let lines: Vec<&str> = log.lines().take_while(stop).collect();
    lines.iter().rev().find_map(|line| {
        let (text, place) = line.strip_prefix("; ")?.rsplit_once(" @ ")?;
        let (file, line) = place.trim().rsplit_once(':')?;
        let line = line.parse().ok()?;
        Some(SourceLine {
            file: file.into(),
            line,
            column: 0,
            text: text.trim().into(),
        })
    })
}

/// The helper or kfunc of the last call in the trace: `7: (85) call bpf_map_lookup_elem#1`.
pub(crate) fn last_call(log: &Log) -> Option<&str> {
    let calls = |line: &'_ str| line.contains("(85) call ");
    let line = log.lines().rev().find(|line| calls(line))?;
    let (_, call) = line.split_once("(85) call ")?;
    let name = call.split(['#', ' ', ';']).next()?;
    (!name.is_empty() && !name.starts_with("pc")).then_some(name)
}

/// The first line of libbpf's log that tells of a failure, for what no rule knows.
pub(crate) fn first_failure(log: &Log) -> Option<&str> {
    let line = log.lines().find(|line| line.contains("failed"))?;
    Some(line.strip_prefix("libbpf: ").unwrap_or(line).trim())
}

/// What stands between the first pair of single quotes after `words`.
pub(crate) fn quoted_after<'a>(line: &'a str, words: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(words)?;
    let (_, rest) = rest.split_once('\'')?;
    rest.split_once('\'').map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::{is_sentence, last_call, reason, sentence, source_line, verifier_excerpt};
    use ukci_schema::evidence::Log;

    fn said(log: &str) -> Option<String> {
        sentence(&Log::bounded(log))
    }

    #[test]
    fn the_sentence_is_the_last_prose_before_the_statistics() {
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
    }

    /// 6.12 adds the states that it compared.
    #[test]
    fn an_infinite_loop_is_named_before_its_states() {
        let log = "0: (05) goto pc-1\ninfinite loop detected at insn 0\ncur state: R1=ctx() R10=fp0\n\
                   old state: R1=ctx() R10=fp0\nprocessed 2 insns (limit 1000000)\n";
        assert_eq!(said(log).unwrap(), "infinite loop detected at insn 0");
    }

    #[test]
    fn two_lines_that_belong_together_stay_together() {
        let log = "0: (79) r0 = *(u64 *)(r1 +16)\nfunc 'bpf_lsm_file_open' doesn't have 3-th \
                   argument\ninvalid bpf_context access off=16 size=8\nprocessed 1 insns\n";
        assert_eq!(
            said(log).unwrap(),
            "func 'bpf_lsm_file_open' doesn't have 3-th argument; invalid bpf_context access \
             off=16 size=8"
        );
    }

    #[test]
    fn states_are_no_sentences() {
        assert!(!is_sentence(" R0_rw=inv(id=0) R6_w=invP999298 R10=fp0"));
        assert!(!is_sentence(
            "R1=ctx() R2_w=scalar(umax=7,var_off=(0x0; 0x7)) R10=fp0"
        ));
        assert!(!is_sentence("12: (85) call bpf_loop#181"));
        assert!(!is_sentence("; if (x) @ a.bpf.c:3"));
        assert!(is_sentence("R1 type=scalar expected=fp"));
        assert!(is_sentence(
            "R2 min value is negative, either use unsigned or 'var &= const'"
        ));
        assert!(is_sentence(
            "invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)"
        ));
    }

    #[test]
    fn the_report_of_7_3_gives_its_reason_and_never_its_suggestion() {
        let log = Log::bounded(
            "7: (85) call bpf_map_lookup_elem#1    ; R0=map_value_or_null(id=1,ks=4,vs=8)\n\
             ; *count += 1; @ unchecked_deref.bpf.c:18\n8: (79) r1 = *(u64 *)(r0 +0)\n\
             R0 invalid mem access 'map_value_or_null'\n\n\
             Verification failed: Register Type Safety: Invalid dereference\n\n\
             Reason:\n  R0 may be NULL here (a nullable map value pointer). The program could\n  \
             dereference NULL.\n\nAt:\n  handle @ unchecked_deref.bpf.c:18:9\n\n\
             Suggestion:\n  Add a NULL check before the access.\n\nprocessed 8 insns\n",
        );
        assert_eq!(
            sentence(&log).unwrap(),
            "R0 invalid mem access 'map_value_or_null'"
        );
        let reason = reason(&log).unwrap();
        assert!(reason.starts_with("R0 may be NULL here") && reason.ends_with("dereference NULL."));
        let excerpt = verifier_excerpt(&log).unwrap();
        assert_eq!(excerpt.lines.last().unwrap(), &format!("Reason: {reason}"));
        assert!(
            !excerpt
                .lines
                .iter()
                .any(|line| line.contains("Add a NULL check"))
        );
        assert_eq!(last_call(&log), Some("bpf_map_lookup_elem"));
        let at = source_line(&log).unwrap();
        assert_eq!(
            (at.file.as_str(), at.line, at.text.as_str()),
            ("unchecked_deref.bpf.c", 18, "*count += 1;")
        );
        let only_report =
            "0: R1=ctx() R10=fp0\nVerification failed: out of bounds\n\nSuggestion:\n  x\n";
        assert_eq!(said(only_report).unwrap(), "out of bounds");
    }

    #[test]
    fn an_excerpt_is_short_and_says_what_it_leaves_out() {
        let mut log = "0: (b7) r0 = 1\n".repeat(100);
        log.push_str(&"x".repeat(1000));
        log.push_str("\nprocessed 100 insns\n");
        let excerpt = verifier_excerpt(&Log::bounded(&log)).unwrap();
        assert_eq!(excerpt.lines.len(), 8);
        assert_eq!(excerpt.omitted, 93);
        assert!(excerpt.lines.iter().all(|line| line.chars().count() <= 241));
    }
}
