//! Reading logs, the last resort: the verifier's own sentence, and the lines worth showing.

use crate::diagnosis::Excerpt;
use crate::evidence::Log;

/// Most lines of an excerpt.
const SHOWN: usize = 8;

/// The verifier's own reason, its last sentence before the statistics.
///
/// Kernels from 7.3 append a report (`Verification failed: …`, `Reason:`, `At:`, `Causal path:`,
/// `Suggestion:`) after the classic sentence: what comes before the report is the sentence, and
/// where nothing does, the report's own first line.
pub(super) fn sentence(log: &Log) -> Option<String> {
    let lines: Vec<&str> = log.lines().collect();
    let report = lines
        .iter()
        .position(|line| line.starts_with("Verification failed"));
    let classic = &lines[..report.unwrap_or(lines.len())];
    let found = classic.iter().rev().find(|line| is_sentence(line));
    found.map(|line| line.trim().to_owned()).or_else(|| {
        let headline = lines[report?].trim();
        Some(
            headline
                .split_once(": ")
                .map_or(headline, |(_, rest)| rest)
                .to_owned(),
        )
    })
}

/// Whether a line is prose and not an instruction, a state, a source line or a statistic.
fn is_sentence(line: &str) -> bool {
    let line = line.trim();
    if line.is_empty() || line.starts_with(';') || is_statistic(line) {
        return false;
    }
    // Where the path came from, not why it is refused.
    let origin = [
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
        "arg#0 type is not a struct",
        "Unrecognized arg#0",
        "arg#0 reference type",
        "reg type unsupported for arg#0",
        "to caller at",
        "The reg sizes",
    ];
    if origin.iter().any(|start| line.starts_with(start)) {
        return false;
    }
    match line.split_once(':') {
        Some((index, _)) if index.bytes().all(|b| b.is_ascii_digit()) => false,
        // A register's state: `R0_w=scalar() R10=fp0`.
        _ => !(line.starts_with('R') && line.split(' ').all(|word| word.contains('='))),
    }
}

fn is_statistic(line: &str) -> bool {
    [
        "processed ",
        "verification time ",
        "stack depth ",
        "insns processed ",
        "max_states",
    ]
    .iter()
    .any(|start| line.starts_with(start))
}

/// The last lines of the verifier's log that say something, without statistics and the report.
pub(super) fn verifier_excerpt(log: &Log) -> Option<Excerpt> {
    let lines: Vec<&str> = log
        .lines()
        .take_while(|line| !line.starts_with("Verification failed"))
        .filter(|line| !is_statistic(line) && !line.trim().is_empty())
        .collect();
    excerpt("verifier", &lines)
}

/// The last lines of libbpf's log.
pub(super) fn libbpf_excerpt(log: &Log) -> Option<Excerpt> {
    excerpt("libbpf", &log.lines().collect::<Vec<_>>())
}

fn excerpt(of: &str, lines: &[&str]) -> Option<Excerpt> {
    let shown = &lines[lines.len().saturating_sub(SHOWN)..];
    (!shown.is_empty()).then(|| Excerpt {
        of: of.into(),
        lines: shown
            .iter()
            .map(|line| line.trim_end().to_owned())
            .collect(),
        omitted: lines.len() - shown.len(),
    })
}

/// The line of any of these logs that contains `words`.
pub(super) fn line_with<'a>(logs: &[&'a Log], words: &str) -> Option<&'a str> {
    logs.iter()
        .flat_map(|log| log.lines())
        .find(|line| line.contains(words))
}

/// What stands between the first pair of single quotes.
pub(super) fn quoted(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once('\'')?;
    rest.split_once('\'').map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::sentence;
    use crate::evidence::Log;

    #[test]
    fn the_sentence_is_the_verifiers_and_never_its_suggestion() {
        let classic = "8: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n\
                       processed 8 insns (limit 1000000) max_states_per_insn 0\n";
        assert_eq!(
            sentence(&Log::bounded(classic)).unwrap(),
            "R0 invalid mem access 'map_value_or_null'"
        );
        let of_7_3 = "8: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'map_value_or_null'\n\
                      \nVerification failed: invalid dereference\n\nReason:\n  R0 may be NULL here\n\
                      \nSuggestion:\n  Add a NULL check before the access.\n\nprocessed 8 insns\n";
        assert_eq!(
            sentence(&Log::bounded(of_7_3)).unwrap(),
            "R0 invalid mem access 'map_value_or_null'"
        );
        let only_report =
            "0: R1=ctx() R10=fp0\nVerification failed: out of bounds\n\nSuggestion:\n  x\n";
        assert_eq!(
            sentence(&Log::bounded(only_report)).unwrap(),
            "out of bounds"
        );
        assert_eq!(
            sentence(&Log::bounded("0: R1=ctx() R10=fp0\n; a = b;\n")),
            None
        );
    }
}
