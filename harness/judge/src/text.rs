//! Reads logs as the last resort, and selects the lines worth showing.
//!
//! The lines of a verifier log are parsed in [`verifier_log`](crate::verifier_log).

use crate::verifier_log;
use ukci_schema::diagnosis::{Excerpt, SourceLine};
use ukci_schema::evidence::Log;

/// Most lines of an excerpt.
const SHOWN: usize = 8;
/// Most characters of one line of an excerpt, and of a sentence in a headline.
const WIDEST: usize = 240;

/// The last lines of the verifier's log up to its sentence, and the reason of 7.3's report.
pub(crate) fn verifier_excerpt(log: &Log) -> Option<Excerpt> {
    let lines: Vec<&str> = verifier_log::classic(log)
        .filter(|line| !verifier_log::is_statistic(line) && !verifier_log::is_backtracking(line))
        .collect();
    let mut found = excerpt("verifier", &lines)?;
    if let Some(reason) = verifier_log::reason(log) {
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
    verifier_log::classic(log).rev().find_map(|line| {
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
    let line = verifier_log::classic(log).rev().find(|line| calls(line))?;
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
    use super::{last_call, source_line, verifier_excerpt};
    use crate::verifier_log::{reason, sentence};
    use ukci_schema::evidence::Log;

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
