//! Evidence without what differs from boot to boot.
//!
//! Two boots of one cell see the same things at other addresses and in other times. [`canonical`]
//! is the one place that says what counts as the same; a report's `evidence_digest` is SHA-256 of
//! its [`text`]. The raw evidence and logs stay beside it as they came. These are left out or
//! made alike, and nothing else:
//!
//! | Where | What | Why |
//! |---|---|---|
//! | every step | microseconds | the host's load |
//! | logs, `kmsg` | kernel addresses | KASLR, the allocator |
//! | logs, `kmsg` | numbers after words such as `time`, `fd`, `pid` and `prog_id` | times and ids |
//! | `kmsg` | time stamps; lines of the clock watchdogs; reports of stalls | the host's load |
//! | `kmsg` | registers, code, and frames that may not be of the call | what ran before |
//! | a command | its output, and what it left running | its own business |
//! | functional tests | what was seen becomes whether it is as expected | ids and times in it |
//! | programs | how often one fired becomes whether it did | as often as the kernel came by |
//! | programs | of what made one fire, only what was tried first | the others wait for it to fire |
//! | programs | bytes of machine code become whether there are any | constants are addresses |
//! | guest | memory in KiB | the image's place decides what is left |
//! | guest | the machine's own kernel arguments and transport modules | how the guest was reached |
//! | guest | boot id and clock | each guest has its own |
//! | a log that was cut | all but its ends | a longer number moves the cut |

use crate::{behavior, stall};
use ukci_schema::behavior::{TestEvidence, Text};
use ukci_schema::command::{CommandEvidence, Ended};
use ukci_schema::evidence::{Evidence, KmsgMark, Log, ProgramAttach, ProgramEvidence, Step};
use ukci_schema::report::TestReport;

/// Kernel arguments that a machine adds for itself. The host's clock rate is among them.
const OWN_ARGUMENTS: &[&str] = &[
    "console=",
    "maxcpus=1",
    "no_timer_check",
    "tsc_early_khz=",
    "ukci.",
];

/// Modules that a transport needs, by the beginning of their names.
const TRANSPORT: &[&str] = &["virtio", "vmw_vsock", "vsock"];

/// Words of lines that the kernel prints about clocks when the host is slow.
const CLOCKS: &[&str] = &[
    "TSC found unstable",
    "clocksource:",
    "hogged CPU for",
    "hrtimer:",
    "perf: interrupt took",
    "sched_clock",
    "tsc:",
];

/// Words that are followed by a number of this boot's.
const NUMBERED: &[&str] = &[
    "btf_id",
    "btf_obj_id",
    "fd",
    "link_id",
    "map_id",
    "pid",
    "prog_id",
    "time",
    "tid",
];

/// Lines kept of either side of a cut.
const KEPT: usize = 64;

/// How a command ended. How long one ran whose time was up depends on the host.
fn ended(ended: &Ended) -> Ended {
    match ended {
        Ended::TimedOut { .. } => Ended::TimedOut { seconds: 0 },
        other => other.clone(),
    }
}

/// The evidence as any boot of the same cell has it; see the [module](self) for what is left out.
pub fn canonical(evidence: &Evidence) -> Evidence {
    let mut same = evidence.clone();
    let guest = &mut same.guest;
    guest.memory_kib = 0;
    guest.boot_id = None;
    guest.clock = None;
    guest.cmdline = guest
        .cmdline
        .split_whitespace()
        .filter(|word| !OWN_ARGUMENTS.iter().any(|own| word.starts_with(own)))
        .collect::<Vec<&str>>()
        .join(" ");
    guest
        .modules
        .retain(|module| !TRANSPORT.iter().any(|own| module.name.starts_with(own)));
    timeless(&mut same.open);
    timeless(&mut same.load);
    if let Some(command) = &mut same.command {
        *command = CommandEvidence {
            arguments: std::mem::take(&mut command.arguments),
            expected_status: command.expected_status,
            ended: ended(&command.ended),
            out: std::mem::take(&mut command.out),
            ..CommandEvidence::default()
        };
    }
    let tests = behavior::tests(evidence);
    for (seen, report) in same.tests.iter_mut().zip(&tests) {
        tested(seen, report);
    }
    for why in same.unattached_in_tests.values_mut() {
        *why = line(why);
    }
    same.log = log(&same.log);
    for feature in &mut same.features {
        reword(&mut feature.detail);
    }
    same.programs.iter_mut().for_each(program);
    for map in &mut same.struct_ops {
        attachment(&mut map.attach);
    }
    kernel_log(&mut same);
    same
}

/// The canonical form as text: JSON in the order of the fields. Digests are of these bytes.
pub fn text(evidence: &Evidence) -> String {
    // Its maps have string keys and it holds no floats, so it always serialises.
    serde_json::to_string(&canonical(evidence)).unwrap_or_default()
}

/// What was seen of a test becomes whether it is as expected, a line for each thing.
fn tested(seen: &mut TestEvidence, report: &TestReport) {
    let word = |met| {
        if met {
            "as expected"
        } else {
            "not as expected"
        }
    };
    let checks = report.checks.iter();
    let lines: Vec<String> = checks
        .map(|check| format!("{}: {}", check.what, word(check.met)))
        .collect();
    let mut not_run = seen.not_run.take();
    reword(&mut not_run);
    *seen = TestEvidence {
        not_run,
        ended: seen.ended.as_ref().map(ended),
        stdout: Text {
            text: lines.join("\n"),
            cut_bytes: 0,
        },
        ..TestEvidence::of(seen.test.clone())
    };
}

fn timeless(step: &mut Step) {
    step.micros = 0;
}

fn program(program: &mut ProgramEvidence) {
    let load = &mut program.load;
    if let Some(stats) = &mut load.verifier {
        stats.micros = 0;
        stats.jited_bytes = stats.jited_bytes.min(1);
    }
    load.log = log(&load.log);
    load.libbpf = log(&load.libbpf);
    reword(&mut load.reason);
    attachment(&mut program.attach);
}

fn attachment(attach: &mut ProgramAttach) {
    attach.libbpf = log(&attach.libbpf);
    attach.fired = attach.fired.map(|count| count.min(1));
    // What costs more is tried only if the program has not run by then.
    if attach.fired > Some(0)
        && let Some(stimulus) = &mut attach.stimulus
    {
        let first = stimulus.split(", ").next().unwrap_or_default();
        *stimulus = first.to_owned();
    }
    for words in [&mut attach.method, &mut attach.reason, &mut attach.stimulus] {
        reword(words);
    }
}

/// Leaves out the lines about clocks and the reports of stalls. The marks move with the lines that
/// stay, and go with those that do not.
fn kernel_log(evidence: &mut Evidence) {
    let lines: Vec<&str> = (evidence.kmsg.iter())
        .map(|text| without_stamp(text))
        .collect();
    let stalled = stall::of_stalls(lines.iter().copied());
    let stays: Vec<bool> = (lines.iter().zip(stalled))
        .map(|(text, stalled)| {
            !stalled && !CLOCKS.iter().any(|word| text.contains(word)) && !is_of_its_moment(text)
        })
        .collect();
    let kept = |end: usize| stays.iter().take(end).filter(|stays| **stays).count();
    let mut marks: Vec<KmsgMark> = Vec::new();
    for (n, mark) in evidence.kmsg_marks.iter().enumerate() {
        let next = evidence.kmsg_marks.get(n + 1);
        let end = next.map_or(evidence.kmsg.len(), |next| next.line);
        let first = kept(mark.line);
        if kept(end) > first {
            let mark = mark.clone();
            marks.push(KmsgMark {
                line: first,
                ..mark
            });
        }
    }
    let lines = (lines.into_iter().zip(&stays))
        .filter(|(_, stays)| **stays)
        .map(|(text, _)| line(text))
        .collect();
    evidence.kmsg_marks = marks;
    evidence.kmsg = lines;
}

/// Whether a line of a report shows registers, code, where user space was, or a frame that the kernel
/// marks as a guess (`?`): what the processor had in hand, or had left on the stack, at that moment.
fn is_of_its_moment(text: &str) -> bool {
    const X86: &[&str] = &[
        "RSP:", "RAX:", "RDX:", "RBP:", "R10:", "R13:", "FS:", "CS:", "CR2:", "DR0:", "DR3:",
        "PKRU:", "Code:",
    ];
    let is_name = |word: &str| {
        word.len() <= 4
            && word
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some("RIP:"), Some(place)) => place.starts_with("0033:"),
        // Functions: of arm64.
        (Some("pc" | "lr"), Some(":")) | (None, _) => false,
        (Some("?"), Some(frame)) => frame.contains("+0x"),
        // `sp : ffff800008`, of arm64 and riscv64.
        (Some(name), Some(":")) => is_name(name),
        // `x29: ffff800008 x28: 0`, of arm64.
        (Some(name), Some(_)) if name.starts_with('x') => {
            name.strip_suffix(':').is_some_and(is_name)
        }
        (Some(name), _) => X86.contains(&name),
    }
}

fn reword(text: &mut Option<String>) {
    if let Some(text) = text {
        *text = line(text);
    }
}

fn log(log: &Log) -> Log {
    let lines = |text: &str| text.lines().map(line).collect::<Vec<String>>();
    let mut head = lines(&log.head);
    let mut tail = lines(&log.tail);
    if log.cut_bytes > 0 {
        head.truncate(KEPT);
        tail.drain(..tail.len().saturating_sub(KEPT));
    }
    Log {
        head: head.join("\n"),
        tail: tail.join("\n"),
        cut_bytes: log.cut_bytes.min(1),
    }
}

/// `[   12.345678] text` is `text`.
fn without_stamp(line: &str) -> &str {
    let stamp = line
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    match stamp {
        Some((stamp, rest)) if stamp.trim().parse::<f64>().is_ok() => rest,
        _ => line,
    }
}

/// One line with addresses, times and ids made alike.
fn line(text: &str) -> String {
    let mut same = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(length) = address(rest, &same) {
            same.push_str("ADDRESS");
            rest = &rest[length..];
        } else if first.is_ascii_digit() && numbered(&same) {
            same.push('N');
            rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        } else {
            same.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    same
}

/// The length of a kernel address that `rest` begins with: sixteen hexadecimal digits from the
/// upper half, `0x` before them or not.
///
/// The verifier's bounds look alike and mean something: they follow a `=`, a `(` or `; ` at once
/// (`umax=0xffffffff00000000`, `var_off=(0x0; 0xffffffffffffffff)`).
fn address(rest: &str, before: &str) -> Option<usize> {
    if before.ends_with(|c: char| c.is_ascii_alphanumeric() || "=(_".contains(c))
        || before.ends_with("; ")
    {
        return None;
    }
    let prefix = if rest.starts_with("0x") { 2 } else { 0 };
    let digits = rest[prefix..]
        .bytes()
        .take_while(u8::is_ascii_hexdigit)
        .count();
    let upper = rest[prefix..].starts_with("ff");
    (digits == 16 && upper).then_some(prefix + digits)
}

/// Whether what was written ends in a word that an id or a time follows: `fd=`, `PID: `, `time `.
fn numbered(before: &str) -> bool {
    let word = before.trim_end_matches([' ', '=', ':', '#']);
    if word.len() == before.len() {
        return false;
    }
    let word = word
        .rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .next()
        .unwrap_or_default();
    NUMBERED.contains(&word.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::{canonical, is_of_its_moment, line, text, without_stamp};
    use ukci_schema::evidence::{Evidence, KmsgMark, Log};

    #[test]
    fn addresses_times_and_ids_are_alike_and_bounds_are_kept() {
        for (raw, same) in [
            ("4: (18) r1 = 0xffff8880046cd000", "4: (18) r1 = ADDRESS"),
            (
                "4: (18) r1 = 0xffff88800537bc00       ; R1_w=map_ptr(map=counts,ks=4,vs=8)",
                "4: (18) r1 = ADDRESS       ; R1_w=map_ptr(map=counts,ks=4,vs=8)",
            ),
            ("verification time 822 usec", "verification time N usec"),
            ("stack depth 16+0", "stack depth 16+0"),
            (
                "R2=inv(id=3,umax=0xffffffff00000000,var_off=(0x0; 0xffffffffffffffff))",
                "R2=inv(id=3,umax=0xffffffff00000000,var_off=(0x0; 0xffffffffffffffff))",
            ),
            (
                "CPU: 0 PID: 93 Comm: ukci-guest",
                "CPU: 0 PID: N Comm: ukci-guest",
            ),
            (
                "RSP: 0018:ffffc900001b7d48 EFLAGS: 00010246",
                "RSP: 0018:ADDRESS EFLAGS: 00010246",
            ),
            ("created map 'm', fd=5", "created map 'm', fd=N"),
            ("5: (b7) r0 = 0x1234", "5: (b7) r0 = 0x1234"),
            ("timer 5", "timer 5"),
            ("; int größe = 5;", "; int größe = 5;"),
            ("ß time 5", "ß time N"),
        ] {
            assert_eq!(line(raw), same);
        }
        assert_eq!(without_stamp("[    1.250000] WARNING: x"), "WARNING: x");
        assert_eq!(without_stamp("[drm] x"), "[drm] x");
    }

    #[test]
    fn registers_and_guessed_frames_are_of_their_moment() {
        for text in [
            "RSP: 0018:ffffc900003d7978 EFLAGS: 00000246",
            "RAX: 000000000000000b RBX: 00000000c0798fab RCX: 00000000ffffffff",
            "FS:  000055557e79f440(0000) GS:ffff88800f400000(0000) knlGS:0000000000000000",
            "RIP: 0033:0x7fef41ec8f89",
            "Code: ff 64 89 02 eb bd cc cc",
            " ? do_syscall_64+0x93/0x180",
            "sp : ffff80000a1cbb50",
            "x29: ffff80000a1cbb50 x28: ffff0000c0a8a040 x27: 0000000000000000",
            " gp : ffffffff81a5c0b8 tp : ff60000001648000 t0 : 0000000000000000",
        ] {
            assert!(is_of_its_moment(text), "{text}");
        }
        for text in [
            "",
            "------------[ cut here ]------------",
            "WARNING: CPU: 0 PID: 120 at include/net/tcp.h:1322 tcp_slow_start+0x38/0x50",
            "RIP: 0010:tcp_slow_start+0x38/0x50",
            "pc : tcp_slow_start+0x38/0x50",
            "Call Trace:",
            " <TASK>",
            " tcp_ack+0xd96/0x14b0",
            "Oops: general protection fault",
        ] {
            assert!(!is_of_its_moment(text), "{text}");
        }
    }

    #[test]
    fn what_was_tried_after_a_program_fired_depends_on_the_host() {
        use ukci_schema::evidence::{ProgramAttach, ProgramEvidence};
        let of = |fired, stimulus: &str| {
            let attach = ProgramAttach {
                fired: Some(fired),
                stimulus: Some(stimulus.into()),
                ..ProgramAttach::default()
            };
            let program = ProgramEvidence {
                attach,
                ..ProgramEvidence::default()
            };
            text(&Evidence {
                programs: vec![program],
                ..Evidence::default()
            })
        };
        let (few, many) = ("makes system calls", "makes system calls, runs a program");
        assert_eq!(of(1, few), of(6, many));
        assert_ne!(of(0, many), of(6, many));
        assert_ne!(of(0, few), of(0, many));
    }

    #[test]
    fn the_canonical_form_is_its_own_canonical_form() {
        let raw = Evidence {
            kmsg: vec![
                "clocksource: late".into(),
                "TSC found unstable after boot, most likely due to broken BIOS.".into(),
                "[ 1.5] at 0xffffffff81000000".into(),
            ],
            log: Log {
                head: "fd=3\nverification time 7 usec\n".into(),
                tail: "end".into(),
                cut_bytes: 99,
            },
            ..Evidence::default()
        };
        let once = canonical(&raw);
        assert_eq!(canonical(&once), once);
        assert_eq!(once.kmsg, ["at ADDRESS"]);
        assert_eq!(once.log.head, "fd=N\nverification time N usec");
        assert!(!text(&raw).contains("ffffffff8"));
    }

    /// A slow host's lines about clocks move no mark and leave none behind.
    #[test]
    fn marks_stay_with_their_lines() {
        let mark = |line, doing: &str| KmsgMark {
            line,
            stage: ukci_schema::verdict::Stage::Attach,
            doing: doing.into(),
        };
        let raw = Evidence {
            kmsg: ["clocksource: late", "one", "tsc: unstable", "two"]
                .map(Into::into)
                .to_vec(),
            kmsg_marks: vec![mark(0, "first"), mark(2, "second"), mark(3, "third")],
            ..Evidence::default()
        };
        let same = canonical(&raw);
        assert_eq!(same.kmsg, ["one", "two"]);
        assert_eq!(same.kmsg_marks, [mark(0, "first"), mark(1, "third")]);
    }

    /// A host at a load of 16 makes RCU report a stall in one of two boots.
    #[test]
    fn a_stall_in_one_of_two_boots_changes_nothing() {
        let of = |kmsg: &[&str]| Evidence {
            kmsg: kmsg.iter().map(|line| (*line).into()).collect(),
            ..Evidence::default()
        };
        let calm = of(&["[ 1.5] trace_kprobe: error"]);
        let stalled = of(&[
            "[    1.500000] rcu: INFO: rcu_sched detected stalls on CPUs/tasks:",
            "[    1.500000] \t(detected by 0, t=5252 jiffies, g=-1179, q=3)",
            "[    1.500000] rcu: rcu_sched kthread starved for 5252 jiffies!",
            "[    2.500000] trace_kprobe: error",
        ]);
        assert_eq!(text(&stalled), text(&calm));
        let damaged = of(&["WARNING: CPU: 0 PID: 77 at kernel/bpf/x.c:5 f+0x1/0x2"]);
        assert_ne!(text(&damaged), text(&of(&[])));
    }
}
