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
    let shown: Vec<&&str> = report.iter().filter(|line| is_telling(line)).collect();
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

/// The line of a report without what differs from kernel to kernel and from boot to boot: CPU and
/// PID, the line of the source, offsets and addresses. So the same report is one cause on all kernels.
fn gist(line: &str) -> String {
    if let Some((file, function)) = (is_warn(line)).then(|| warned(line)).flatten() {
        return format!("WARNING in {function} ({file})");
    }
    let line = line.split(", address: ").next().unwrap_or(line);
    let words = line.split(' ').map(|word| match word.split_once("+0x") {
        Some((function, _)) => function,
        None => word,
    });
    text::clipped(&words.collect::<Vec<_>>().join(" "))
}

/// The file and the function of a WARN: `FILE:LINE FUNCTION+0x1/0x2`, with `at` between them from
/// 6.19 on.
fn warned(line: &str) -> Option<(&str, &str)> {
    let place = place(line)?;
    let (file, _) = place.rsplit_once(':')?;
    let (_, after) = line.split_once(place)?;
    let function = after
        .split_ascii_whitespace()
        .find(|word| word.contains("+0x"))?;
    Some((file, function.split_once("+0x")?.0))
}

/// Whether a line of a report tells a reader where it came from. Registers, code and the list of
/// modules do not, and they would push the calls out of what is shown.
fn is_telling(line: &str) -> bool {
    let dropped = [
        "Modules linked in:",
        "Hardware name:",
        "Code: ",
        "Call Trace:",
    ];
    let is_register = line.split_once(':').is_some_and(|(name, _)| {
        (2..=3).contains(&name.len())
            && name != "RIP"
            && name != "CPU"
            && name
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    });
    let is_tag = matches!(line.trim(), "<TASK>" | "</TASK>" | "<IRQ>" | "</IRQ>");
    !(line.is_empty()
        || is_register
        || is_tag
        || dropped.iter().any(|start| line.starts_with(start)))
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
        .chain(evidence.tests.iter().map(|seen| &seen.test.name))
        .any(|name| *name == mark.doing);
    let what = if evidence.command.is_some() {
        "the command".to_owned()
    } else if known {
        format!("`{}`", mark.doing)
    } else {
        "the object".to_owned()
    };
    let done = match mark.stage {
        Stage::Attach => "was attached and made to run",
        Stage::Load => "was loaded",
        Stage::Behave if evidence.command.is_none() && !known => "was tested",
        Stage::Behave => "ran",
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
    use super::{HARMLESS, gist, is_report, is_telling};

    #[test]
    fn every_harmless_report_has_a_reason() {
        for entry in &HARMLESS.splat {
            assert!(
                entry.contains.len() > 8 && entry.reason.len() > 20,
                "{entry:?}"
            );
        }
    }

    /// As 6.1 and 7.2 write it of `code_kernel_splat` of the casebook.
    #[test]
    fn the_same_report_has_one_gist_on_all_kernels() {
        for line in [
            "WARNING: CPU: 0 PID: 79 at include/net/tcp.h:1260 tcp_slow_start+0x34/0x50",
            "WARNING: include/net/tcp.h:1524 at tcp_slow_start+0x38/0x50, CPU#0: init/95",
        ] {
            assert_eq!(gist(line), "WARNING in tcp_slow_start (include/net/tcp.h)");
        }
        assert_eq!(
            gist("BUG: kernel NULL pointer dereference, address: 0000000000000008"),
            "BUG: kernel NULL pointer dereference"
        );
        assert_eq!(
            gist("BUG: KASAN: slab-out-of-bounds in f+0x1/0x2"),
            "BUG: KASAN: slab-out-of-bounds in f"
        );
        assert_eq!(
            gist("kernel BUG at mm/slub.c:4000!"),
            "kernel BUG at mm/slub.c:4000!"
        );
    }

    #[test]
    fn the_calls_of_a_report_are_shown_and_its_registers_are_not() {
        for line in [
            "RIP: 0010:tcp_slow_start+0x34/0x50",
            "CPU: 0 PID: 79 Comm: init Not tainted 6.1.0-56-cloud-amd64 #1  Debian 6.1.192-2",
            " bpf_prog_b8dc9836c33b5a80_cong_avoid+0x23/0x26",
            " ? tcp_ack+0xdba/0x14c0",
        ] {
            assert!(is_telling(line), "{line}");
        }
        for line in [
            "RAX: 000000000000000b RBX: 000000071e343f4f RCX: 00000000ffffffff",
            "R10: ffff888005562900 R11: 0000000000000000 R12: 0000000048f558a8",
            "FS:  000055555a5073c0(0000) GS:ffff88800f600000(0000) knlGS:0000000000000000",
            "CR2: 000055555a50f850 CR3: 00000000055e6000 CR4: 00000000000006b0",
            "Code: 00 8b 97 ec 06 00 00",
            "Modules linked in: vsock",
            " <TASK>",
        ] {
            assert!(!is_telling(line), "{line}");
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
