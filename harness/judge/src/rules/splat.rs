//! The kernel's own reports of damage: WARN, BUG, oops, lockdep, KASAN and UBSAN.
//!
//! The input is the lines of the kernel's log that appeared during the cell, without those of the
//! boot, and what the agent did when each appeared. The output is the first report that was caused
//! by loading, attaching or firing the object. These are ignored: ordinary warning lines, reports
//! that `kernels/harmless_splats.toml` lists with a reason, reports caused by copies that were
//! loaded to find the refused programs, and reports caused by the agent's own probes.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::finding::{Found, diagnosis};
use crate::text;
use ukci_schema::diagnosis::{Code, Excerpt};
use ukci_schema::evidence::{Evidence, KmsgMark};
use ukci_schema::verdict::Stage;

/// Most lines of a report that are shown.
const SHOWN: usize = 8;
/// No report of a kernel is longer.
const LONGEST: usize = 120;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Harmless {
    splat: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    contains: String,
    #[serde(default)]
    kernels: Vec<String>,
    /// For those who read the file; a test demands one.
    #[cfg_attr(not(test), expect(dead_code, reason = "for people"))]
    reason: String,
}

static HARMLESS: LazyLock<Harmless> = LazyLock::new(|| {
    let text = include_str!("../../../../kernels/harmless_splats.toml");
    // Part of the program: a test reads it whole.
    toml::from_str(text).expect("harmless_splats.toml is well-formed")
});

/// The first report that the object causes.
pub(crate) fn caused(evidence: &Evidence) -> Option<Found> {
    let lines: Vec<&str> = (evidence.kmsg.iter())
        .map(|line| without_stamp(line))
        .collect();
    let starts = (0..lines.len()).filter(|n| is_report(lines[*n]));
    let release = &evidence.guest.release;
    let (start, mark) = starts
        .map(|n| (n, mark_of(evidence, n)))
        .find(|(n, mark)| {
            mark.is_none_or(is_of_the_object) && !is_harmless(report(&lines, *n), release)
        })?;
    let report = report(&lines, start);
    let (stage, during) = doing(evidence, mark);
    let headline = format!(
        "the kernel reported damage{during}: `{}`",
        gist(lines[start])
    );
    let mut found = diagnosis(
        Code::KernelSplat,
        stage,
        headline,
        vec![
            "this is a bug of the kernel that the object brings out: report it to the kernel's \
             maintainers, with `kmsg.log` of the cell"
                .into(),
            "if it is known and harmless, list it in `kernels/harmless_splats.toml` with a reason"
                .into(),
        ],
    );
    found.program = mark
        .map(|mark| &mark.doing)
        .filter(|doing| {
            evidence
                .programs
                .iter()
                .any(|program| program.name == **doing)
        })
        .cloned();
    let shown: Vec<&&str> = report.iter().filter(|line| !line.is_empty()).collect();
    found.excerpt = Some(Excerpt {
        of: "kernel".into(),
        lines: (shown.iter().take(SHOWN))
            .map(|line| text::clipped(line.trim_end()))
            .collect(),
        omitted: shown.len().saturating_sub(SHOWN),
    });
    Some(Found {
        rule: "kernel-splat",
        diagnosis: found,
    })
}

/// Whether a line begins a report. Many ordinary lines say "warning" or "error" too.
fn is_report(line: &str) -> bool {
    let begins = [
        "kernel BUG at ",
        "BUG: ",
        "Oops: ",
        "Internal error: Oops",
        "Unable to handle kernel ",
        "general protection fault",
        "UBSAN: ",
        "KCSAN: ",
        "INFO: trying to register non-static key",
        "watchdog: BUG: ",
    ];
    begins.iter().any(|start| line.starts_with(start)) || is_warn(line) || is_lockdep(line)
}

/// `WARNING: CPU: 0 PID: 77 at kernel/bpf/verifier.c:1234 f+0x1/0x2`, and without CPU and PID there
/// from 6.19 on.
fn is_warn(line: &str) -> bool {
    line.strip_prefix("WARNING: ")
        .is_some_and(|rest| place(rest).is_some())
}

/// lockdep's and RCU's reports begin with one of a few sentences.
fn is_lockdep(line: &str) -> bool {
    let sentences = [
        "possible circular locking dependency",
        "possible recursive locking",
        "possible irq lock inversion",
        "inconsistent lock state",
        "suspicious RCU usage",
        "bad unlock balance",
        "held lock freed",
        "lock held when returning to user space",
        "Nested lock was not taken",
    ];
    let rest = line.strip_prefix("WARNING: ");
    rest.is_some_and(|rest| sentences.iter().any(|words| rest.contains(words)))
        || line.starts_with("WARNING: nested lock")
        || line.contains("[ BUG: Invalid wait context ]")
}

/// The source file and line of a WARN: a word `FILE.c:LINE` or `FILE.h:LINE`.
fn place(text: &str) -> Option<&str> {
    text.split_ascii_whitespace().find(|word| {
        word.rsplit_once(':').is_some_and(|(file, line)| {
            let is_source = [".c", ".h", ".S", ".rs"];
            is_source.iter().any(|end| file.ends_with(end))
                && !line.is_empty()
                && line.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

/// The line of a report without what differs from boot to boot, such as CPU and PID.
fn gist(line: &str) -> String {
    match line.strip_prefix("WARNING: CPU: ") {
        Some(rest) => match rest.split_once(" at ") {
            Some((_, place)) => format!("WARNING at {}", text::clipped(place)),
            None => text::clipped(line),
        },
        None => text::clipped(line),
    }
}

/// The lines of the report that begins at `start`.
fn report<'a, 'b>(lines: &'b [&'a str], start: usize) -> &'b [&'a str] {
    let rest = &lines[start..];
    let ends = |line: &&str| line.contains("---[ end trace");
    let next = |line: &&str| line.contains("[ cut here ]");
    let until = rest
        .iter()
        .position(ends)
        .map(|n| n + 1)
        .or_else(|| rest.iter().skip(1).position(next).map(|n| n + 1))
        .unwrap_or(rest.len());
    &rest[..until.min(LONGEST)]
}

fn is_harmless(report: &[&str], release: &str) -> bool {
    HARMLESS.splat.iter().any(|entry| {
        let here = entry.kernels.is_empty()
            || (entry.kernels.iter()).any(|start| release.starts_with(start));
        here && report.iter().any(|line| line.contains(&entry.contains))
    })
}

/// What the agent was doing when a line appeared.
fn mark_of(evidence: &Evidence, line: usize) -> Option<&KmsgMark> {
    let marks = evidence.kmsg_marks.iter();
    marks.take_while(|mark| mark.line <= line).last()
}

fn is_of_the_object(mark: &KmsgMark) -> bool {
    mark.doing != KmsgMark::OWN_QUESTIONS && !mark.doing.starts_with(KmsgMark::IN_A_COPY)
}

/// The stage of a report, and in words what was done meanwhile.
fn doing(evidence: &Evidence, mark: Option<&KmsgMark>) -> (Stage, String) {
    let Some(mark) = mark else {
        return (Stage::Load, String::new());
    };
    let known = (evidence.programs.iter().map(|program| &program.name))
        .chain(evidence.maps.iter().map(|map| &map.name))
        .any(|name| *name == mark.doing);
    let what = if known {
        format!("`{}`", mark.doing)
    } else {
        "the object".to_owned()
    };
    let done = match mark.stage {
        Stage::Attach => "was attached and made to run",
        Stage::Load => "was loaded",
        _ => "was opened",
    };
    (mark.stage, format!(" while {what} {done}"))
}

/// `[   12.345678] text` is `text`.
fn without_stamp(line: &str) -> &str {
    let stamp = (line.strip_prefix('[')).and_then(|rest| rest.split_once("] "));
    match stamp {
        Some((stamp, rest)) if stamp.trim().parse::<f64>().is_ok() => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::{HARMLESS, is_report};

    #[test]
    fn every_harmless_report_has_a_reason() {
        for entry in &HARMLESS.splat {
            assert!(
                entry.contains.len() > 8 && entry.reason.len() > 20,
                "{entry:?}"
            );
        }
    }

    #[test]
    fn reports_are_told_from_ordinary_warnings() {
        for report in [
            "WARNING: CPU: 0 PID: 77 at kernel/bpf/verifier.c:2123 f+0x1/0x2",
            "WARNING: kernel/trace/bpf_trace.c:99 at f+0x1/0x2, CPU#0: init/77",
            "WARNING: possible circular locking dependency detected",
            "WARNING: suspicious RCU usage",
            "BUG: KASAN: slab-out-of-bounds in f+0x1/0x2",
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "BUG: sleeping function called from invalid context at mm/slab.h:5",
            "kernel BUG at mm/slub.c:4000!",
            "UBSAN: array-index-out-of-bounds in kernel/bpf/x.c:1:2",
            "general protection fault, probably for non-canonical address 0x1",
            "Unable to handle kernel NULL pointer dereference at virtual address 08",
        ] {
            assert!(is_report(report), "{report}");
        }
        for line in [
            "clocksource: Long readout interval, skipping watchdog check",
            "TCP: trap_half does not implement required ops",
            "trace_kprobe: Could not probe notrace function blk_account_io_start",
            "lockdown_is_locked_down: 3 callbacks suppressed",
            "WARNING: the module x has no license",
            "Spectre V2 : WARNING: Unprivileged eBPF is enabled, data leaks possible",
            "warning: `init' uses deprecated feature",
            "loading out-of-tree module taints kernel.",
            "init[77] is installing a program with bpf_probe_write_user helper",
            "DEBUG: BUG is a word here",
            "------------[ cut here ]------------",
        ] {
            assert!(!is_report(line), "{line}");
        }
    }
}
