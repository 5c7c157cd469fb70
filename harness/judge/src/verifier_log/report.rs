//! The report that kernels from 7.3 append to the classic log: `Verification failed: …`, then
//! paragraphs under `Reason:`, `At:`, `Causal path:` and `Suggestion:`.

use super::line::apart;
use ukci_schema::evidence::Log;

pub(super) const START: &str = "Verification failed";

/// The log up to the report. A message that the kernel put behind a jump is a line of its own.
pub(crate) fn classic(log: &Log) -> impl DoubleEndedIterator<Item = &str> {
    let lines: Vec<&str> = log
        .lines()
        .take_while(|line| !line.starts_with(START))
        .flat_map(apart)
        .collect();
    lines.into_iter()
}

/// The first paragraph under `Reason:`, as one line.
pub(crate) fn reason(log: &Log) -> Option<String> {
    paragraph(log, "Reason:")
}

/// The first paragraph under `Suggestion:`, as one line.
pub(crate) fn suggestion(log: &Log) -> Option<String> {
    paragraph(log, "Suggestion:")
}

fn paragraph(log: &Log, title: &str) -> Option<String> {
    let mut lines = log.lines().skip_while(|line| !line.starts_with(START));
    lines.find(|line| line.trim_end() == title)?;
    let words: Vec<&str> = lines
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    (!words.is_empty()).then(|| words.join(" "))
}
