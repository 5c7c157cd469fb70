//! A command: its exit status is the verdict.
//!
//! The input is what the guest saw of the command. The output is a pass, a diagnosis that says what
//! was expected, what came instead and what the command said last, or a fault where the command
//! could not be given what it needs.

use crate::finding::{Found, diagnosis, list};
use crate::text;
use ukci_schema::command::{CommandEvidence, Ended, signal_name};
use ukci_schema::diagnosis::{Code, Diagnosis, Excerpt};
use ukci_schema::evidence::Evidence;
use ukci_schema::verdict::{Fault, Stage};

/// Most lines of the command's output that are shown.
const SHOWN: usize = 12;

/// Most lines of the kernel's log that are shown with them.
const KERNEL: usize = 3;

/// What `mm/oom_kill.c` says of a process that it kills.
const OUT_OF_MEMORY: &str = "Out of memory: Killed process";

/// What became of a command.
pub(crate) enum Answer {
    /// It ended as expected.
    Pass,
    /// It did not.
    Fail(Box<Found>),
    /// It could not be run as it needs to be.
    Fault(Fault),
}

/// What the guest saw of the command means this.
pub(crate) fn answer(evidence: &Evidence, seen: &CommandEvidence) -> Answer {
    let expected = seen.expected_status;
    match &seen.ended {
        Ended::Exited { status } if *status == expected => Answer::Pass,
        Ended::NotStarted { why, .. } => Answer::Fault(Fault {
            hints: vec!["send what it needs with `--file`, or link it statically".into()],
            ..Fault::at(Stage::Behave, format!("the guest could not {why}"))
        }),
        ended => {
            if let Some(line) = killed_for_memory(evidence) {
                return Answer::Fault(Fault {
                    code: Some(Code::GuestResources),
                    hints: vec!["give the guest more memory with `--memory`".into()],
                    ..Fault::at(
                        Stage::Behave,
                        format!("the guest ran out of memory while the command ran: {line}"),
                    )
                });
            }
            let found = Found {
                rule: "command",
                diagnosis: unexpected(evidence, seen, ended),
            };
            Answer::Fail(Box::new(found))
        }
    }
}

fn killed_for_memory(evidence: &Evidence) -> Option<String> {
    let line = evidence
        .kmsg
        .iter()
        .find(|line| line.contains(OUT_OF_MEMORY));
    line.map(|line| text::clipped(line))
}

fn unexpected(evidence: &Evidence, seen: &CommandEvidence, ended: &Ended) -> Diagnosis {
    let name = seen.arguments.first().map_or("", String::as_str);
    let name = list(&[text::clipped(name)]);
    let expected = seen.expected_status;
    let mut hints = Vec::new();
    let headline = match ended {
        Ended::Exited { status } => {
            if *status == 127 {
                let unlinked = "error while loading shared libraries";
                let hint = if seen.stderr_tail.contains(unlinked) {
                    "send the library with `--file`: 127 is what the dynamic loader says if it does \
                     not find one"
                } else {
                    "127 is what a shell says of a command that it does not find"
                };
                hints.push(hint.into());
            }
            format!("expected exit status {expected} from {name}, but it was {status}")
        }
        Ended::Signaled { signal } => format!(
            "expected exit status {expected} from {name}, but {} killed it",
            signal_name(*signal)
        ),
        Ended::TimedOut { seconds } => {
            hints.push("give it more time with `--timeout`".into());
            format!(
                "expected exit status {expected} from {name}, but it had not ended after \
                 {seconds} s and was killed"
            )
        }
        Ended::NotStarted { why, .. } => why.clone(),
    };
    hints.push("read all that it wrote in `stdout.log` and `stderr.log` of the cell".into());
    let mut found = diagnosis(
        Code::CommandValidationFailure,
        Stage::Behave,
        headline,
        hints,
    );
    found.excerpt = last_lines(evidence, seen);
    found
}

/// What it said last, on its standard error or else on its standard output; and what the kernel said
/// meanwhile.
fn last_lines(evidence: &Evidence, seen: &CommandEvidence) -> Option<Excerpt> {
    // Colors and movements of the cursor are for a terminal.
    let shown = |tail: &str| anstream::adapter::strip_str(tail).to_string();
    let outputs = [
        ("stderr", shown(&seen.stderr_tail)),
        ("stdout", shown(&seen.stdout_tail)),
    ];
    let kernel = &evidence.kmsg[evidence.kmsg.len().saturating_sub(KERNEL)..];
    let said = outputs
        .into_iter()
        .find(|(_, tail)| !tail.trim().is_empty());
    if said.is_none() && kernel.is_empty() {
        return None;
    }
    let (of, tail) = said.unwrap_or(("kernel", String::new()));
    let lines: Vec<&str> = tail
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let first = lines.len().saturating_sub(SHOWN);
    Some(Excerpt {
        of: of.into(),
        lines: (lines[first..].iter().map(|line| text::clipped(line)))
            .chain(
                kernel
                    .iter()
                    .map(|line| text::clipped(&format!("kernel: {line}"))),
            )
            .collect(),
        omitted: first,
    })
}

#[cfg(test)]
mod tests {
    use ukci_schema::verdict::Verdict;

    use super::*;
    use crate::judge;

    fn evidence(ended: Ended) -> Evidence {
        let lines: Vec<String> = (0..20).map(|n| format!("line {n}")).collect();
        Evidence {
            command: Some(CommandEvidence {
                arguments: vec!["./test".into()],
                ended,
                stderr_tail: lines.join("\n"),
                stdout_tail: "out\n".into(),
                ..CommandEvidence::default()
            }),
            ..Evidence::default()
        }
    }

    fn headline(evidence: &Evidence) -> String {
        match judge(evidence, false).verdict {
            Verdict::Pass => "pass".into(),
            Verdict::Fail { diagnosis } => format!("{} {}", diagnosis.code, diagnosis.headline),
            Verdict::Error { fault } => format!("error {}", fault.headline),
            Verdict::Skip { reason } => format!("skip {reason}"),
        }
    }

    #[test]
    fn the_exit_status_is_the_verdict() {
        let of = |ended| headline(&evidence(ended));
        assert_eq!(of(Ended::Exited { status: 0 }), "pass");
        insta::assert_snapshot!(of(Ended::Exited { status: 3 }), @"COMMAND_VALIDATION_FAILURE expected exit status 0 from `./test`, but it was 3");
        insta::assert_snapshot!(of(Ended::Signaled { signal: 11 }), @"COMMAND_VALIDATION_FAILURE expected exit status 0 from `./test`, but SIGSEGV killed it");
        insta::assert_snapshot!(of(Ended::TimedOut { seconds: 9 }), @"COMMAND_VALIDATION_FAILURE expected exit status 0 from `./test`, but it had not ended after 9 s and was killed");
        let why = "start `/test`: no".to_owned();
        insta::assert_snapshot!(of(Ended::NotStarted { errno: 8, why }), @"error the guest could not start `/test`: no");
        let mut expected = evidence(Ended::Exited { status: 3 });
        expected.command.as_mut().unwrap().expected_status = 3;
        assert_eq!(headline(&expected), "pass");
    }

    /// A shell and the dynamic loader end with the same status.
    #[test]
    fn who_did_not_find_what_is_told_apart() {
        let of = |stderr: &str| {
            let mut failed = evidence(Ended::Exited { status: 127 });
            failed.command.as_mut().unwrap().stderr_tail = stderr.into();
            match judge(&failed, false).verdict {
                Verdict::Fail { diagnosis } => diagnosis.hints[0].clone(),
                _ => String::new(),
            }
        };
        let unlinked = "./ml: error while loading shared libraries: libmine.so: cannot open";
        assert!(of(unlinked).starts_with("send the library with `--file`"));
        assert!(of("sh: nocmd: not found").contains("a shell says"));
    }

    #[test]
    fn the_last_lines_are_shown() {
        let mut failed = evidence(Ended::Exited { status: 1 });
        let seen = failed.command.clone().unwrap();
        let excerpt = last_lines(&failed, &seen).unwrap();
        assert_eq!((excerpt.of.as_str(), excerpt.omitted), ("stderr", 8));
        assert_eq!(excerpt.lines.last().unwrap(), "line 19");
        let quiet = CommandEvidence {
            stderr_tail: " \n\u{1b}[6n\u{1b}[0m\n".into(),
            stdout_tail: "\u{1b}[1;32mout\u{1b}[0m\n".into(),
            ..seen
        };
        failed.kmsg = vec!["one".into()];
        let excerpt = last_lines(&failed, &quiet).unwrap();
        assert_eq!((excerpt.of.as_str(), excerpt.omitted), ("stdout", 0));
        assert_eq!(excerpt.lines, ["out", "kernel: one"]);
    }

    #[test]
    fn damage_to_the_kernel_goes_before_a_pass_and_want_of_memory_is_no_failure() {
        let mut damaged = evidence(Ended::Exited { status: 0 });
        damaged.kmsg = vec!["WARNING: kernel/bpf/x.c:1 at f+0x1/0x2".into()];
        damaged.kmsg_marks = vec![ukci_schema::evidence::KmsgMark {
            line: 0,
            stage: Stage::Behave,
            doing: "command".into(),
        }];
        insta::assert_snapshot!(headline(&damaged), @"KERNEL_SPLAT the kernel reported damage while the command ran: `WARNING in f (kernel/bpf/x.c)`");
        let mut starved = evidence(Ended::Signaled { signal: 9 });
        starved.kmsg = vec!["Out of memory: Killed process 91 (test)".into()];
        insta::assert_snapshot!(headline(&starved), @"error the guest ran out of memory while the command ran: Out of memory: Killed process 91 (test)");
    }
}
