//! The kernel's own log: what fails a cell, and what must not.

use ukci_judge::judge;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{AttachOutcome, Evidence, KmsgMark};
use ukci_schema::verdict::{Stage, Verdict};

use crate::hand::{alone, attaching, fails, program, rejected};

/// A WARN as 6.12 prints it.
const WARN: &[&str] = &[
    "------------[ cut here ]------------",
    "WARNING: CPU: 0 PID: 77 at kernel/bpf/trampoline.c:512 bpf_trampoline_put+0x1f/0x90",
    "Modules linked in: virtio_net",
    "CPU: 0 UID: 0 PID: 77 Comm: init Not tainted 6.12.117-cloud-amd64 #1",
    "RIP: 0010:bpf_trampoline_put+0x1f/0x90",
    "Call Trace:",
    " <TASK>",
    " bpf_link_free+0x44/0x80",
    " </TASK>",
    "---[ end trace 0000000000000000 ]---",
];

fn marked(lines: &[&str], stage: Stage, doing: &str) -> Evidence {
    let mut attached = program("fentry/vfs_read", "tracing");
    attached.attach.outcome = AttachOutcome::Attached;
    let mut evidence = attaching(attached);
    evidence.guest.release = "6.12.117-cloud-amd64".into();
    evidence.kmsg = lines.iter().map(|line| (*line).to_owned()).collect();
    evidence.kmsg_marks = vec![KmsgMark {
        line: 0,
        stage,
        doing: doing.into(),
    }];
    evidence
}

#[test]
fn a_warn_while_a_program_is_attached_fails_the_cell_and_names_both() {
    let found = fails(&marked(WARN, Stage::Attach, "prog"), Code::KernelSplat);
    assert_eq!(found.stage, Stage::Attach);
    assert_eq!(found.program.as_deref(), Some("prog"));
    let headline = &found.headline;
    assert!(headline.contains("while `prog` was attached"), "{headline}");
    assert!(
        headline.contains("bpf_trampoline_put (kernel/bpf/trampoline.c)"),
        "{headline}"
    );
    assert!(!headline.contains("PID"), "boots differ in it: {headline}");
    let excerpt = found.excerpt.unwrap();
    // The calls are shown; the list of modules and the tags are not.
    assert_eq!(excerpt.lines.len(), 5);
    assert!(excerpt.lines[0].starts_with("WARNING: CPU"));
    assert!(
        excerpt
            .lines
            .iter()
            .any(|line| line.contains("bpf_link_free"))
    );
    assert_eq!(excerpt.omitted, 0);
}

#[test]
fn a_report_of_the_load_names_the_object() {
    let lines = ["BUG: KASAN: slab-out-of-bounds in check_helper_call+0x1/0x2"];
    let found = fails(&marked(&lines, Stage::Load, "x.bpf.o"), Code::KernelSplat);
    assert_eq!(found.program, None);
    assert!(
        found.headline.contains("while the object was loaded"),
        "{}",
        found.headline
    );
}

#[test]
fn time_stamps_do_not_hide_a_report() {
    let lines = ["[   12.345678] kernel BUG at mm/slub.c:4000!"];
    fails(&marked(&lines, Stage::Attach, "prog"), Code::KernelSplat);
}

#[test]
fn ordinary_warnings_of_a_cell_fail_nothing() {
    let lines = [
        "clocksource: Long readout interval, skipping watchdog check: cs_nsec: 1 wd_nsec: 2",
        "trace_kprobe: Could not probe notrace function blk_account_io_start",
        "TCP: trap_half does not implement required ops",
        "lockdown_is_locked_down: 3 callbacks suppressed",
        "init[77] is installing a program with bpf_probe_write_user helper that may corrupt user memory!",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on, data leaks possible",
        "WARNING: CPU features are missing",
        "sched_ext: BPF scheduler \"by_default\" enabled",
    ];
    let evidence = marked(&lines, Stage::Attach, "prog");
    assert_eq!(judge(&evidence, true).verdict, Verdict::Pass);
}

/// `kernels/harmless_splats.toml` has the reasons.
#[test]
fn reports_that_are_listed_as_harmless_fail_nothing() {
    let lines = ["watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [init:77]"];
    let evidence = marked(&lines, Stage::Attach, "prog");
    assert_eq!(judge(&evidence, true).verdict, Verdict::Pass);
    // One that follows is not covered by it.
    let lines = [&lines[..], WARN].concat();
    fails(&marked(&lines, Stage::Attach, "prog"), Code::KernelSplat);
}

#[test]
fn what_the_agent_asks_the_kernel_itself_is_not_the_objects_doing() {
    for doing in [KmsgMark::OWN_QUESTIONS, "in a copy: prog alone"] {
        let evidence = marked(WARN, Stage::Load, doing);
        assert_eq!(judge(&evidence, true).verdict, Verdict::Pass, "{doing}");
    }
    // A report before it is.
    let mut evidence = marked(WARN, Stage::Load, "x.bpf.o");
    evidence
        .kmsg
        .extend(WARN.iter().map(|line| (*line).to_owned()));
    evidence.kmsg_marks.push(KmsgMark {
        line: WARN.len(),
        stage: Stage::Load,
        doing: KmsgMark::OWN_QUESTIONS.into(),
    });
    fails(&evidence, Code::KernelSplat);
}

/// Damage goes before a refusal, whose program keeps its own diagnosis.
#[test]
fn a_refused_object_that_damages_the_kernel_is_told_so() {
    let refusal = "R0 invalid mem access 'scalar'\n";
    let mut evidence = alone(13, rejected("raw_tp/x", "raw_tracepoint", 13, refusal));
    fails(&evidence, Code::VerifierRejection);
    evidence.kmsg = WARN.iter().map(|line| (*line).to_owned()).collect();
    fails(&evidence, Code::KernelSplat);
    let of_programs = judge(&evidence, false).programs;
    assert_eq!(
        of_programs[0].as_ref().unwrap().code,
        Code::VerifierRejection
    );
}
