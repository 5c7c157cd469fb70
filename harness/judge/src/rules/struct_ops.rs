//! `struct_ops` maps that the kernel did not register, with or without programs.
//!
//! The input is the map's operations, the members that the object sets, the errno and the kernel's
//! log. The output names the value that is out of bounds if the kernel's bounds are known.
//! Otherwise it repeats what the kernel said, and says that the kernel gave no other reason.

use crate::case::Case;
use crate::errno::{self, E2BIG, EINVAL, ENOMEM};
use crate::finding::{Found, diagnosis};
use crate::text;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{AttachOutcome, Evidence, StructOpsEvidence};
use ukci_schema::verdict::Stage;

const EEXIST: i32 = 17;

/// What is wrong, and what helps.
type Cause = (String, String);

/// `SCX_WATCHDOG_MAX_TIMEOUT` of kernel/sched/ext.c (6.12 on), which is `30 * HZ`, in milliseconds.
const WATCHDOG_MAX_MS: u64 = 30_000;

/// A program of a map that was refused.
pub(crate) fn refused(case: &Case<'_>) -> Option<Diagnosis> {
    if case.program.program_type != "struct_ops" {
        return None;
    }
    let name = &case.program.name;
    let operations = (case.evidence.struct_ops.iter()).find(|of| of.programs.contains(name))?;
    (operations.attach.outcome == AttachOutcome::Refused).then(|| of(case.evidence, operations))
}

/// A program of a map whose scheduler did not stay.
pub(crate) fn disabled_program(case: &Case<'_>) -> Option<Diagnosis> {
    let name = &case.program.name;
    let mut maps = case.evidence.struct_ops.iter();
    disabled(case.evidence, maps.find(|of| of.programs.contains(name))?)
}

/// A scheduler that was registered and that the kernel then disabled by itself: since 6.12 `scx_enable`
/// answers success where `init` fails, and says in the log why the scheduler is not there any more.
fn disabled(evidence: &Evidence, operations: &StructOpsEvidence) -> Option<Diagnosis> {
    let is_scheduler = &*operations.operations == "sched_ext_ops";
    let attached = operations.attach.outcome == AttachOutcome::Attached;
    let name = operations
        .values
        .get("name")
        .filter(|_| is_scheduler && attached)?;
    let start = format!("BPF scheduler \"{name}\" disabled (");
    let why = evidence.kmsg.iter().find_map(|line| {
        let (_, why) = line.split_once(&start)?;
        let why = why.trim_end_matches(')');
        (!why.starts_with("unregistered")).then_some(why)
    })?;
    let start = format!("sched_ext: {name}: ");
    let mut lines = evidence.kmsg.iter();
    let more = lines.find_map(|line| Some(line.split_once(&start)?.1));
    let more = more.map_or_else(String::new, |more| format!(": `{}`", text::clipped(more)));
    Some(diagnosis(
        Code::AttachRefused,
        Stage::Attach,
        format!(
            "the kernel registered {} and disabled it again ({why}){more}",
            named(operations)
        ),
        vec![
            "mend what the kernel's log names: the kernel disables a scheduler whose `init` fails or that \
             breaks a rule while it runs, and the registration itself succeeds"
                .into(),
        ],
    ))
}

/// The first refused map that has no programs: no program's diagnosis tells of it.
pub(crate) fn without_programs(evidence: &Evidence, strict: bool) -> Option<Found> {
    let maps = || (evidence.struct_ops.iter()).filter(|of| of.programs.is_empty());
    if let Some(diagnosis) = maps().find_map(|operations| disabled(evidence, operations)) {
        return Some(Found {
            rule: "struct-ops-disabled",
            diagnosis,
        });
    }
    let refused = maps().find(|of| of.attach.outcome == AttachOutcome::Refused);
    if let Some(operations) = refused {
        let mut diagnosis = of(evidence, operations);
        diagnosis.excerpt = text::libbpf_excerpt(&operations.attach.libbpf);
        return Some(Found {
            rule: "struct-ops-map",
            diagnosis,
        });
    }
    let untried = maps().find(|of| of.attach.outcome == AttachOutcome::NotAttempted)?;
    strict.then(|| Found {
        rule: "strict",
        diagnosis: diagnosis(
            Code::AttachRefused,
            Stage::Attach,
            format!(
                "{} was not registered (strict): {}",
                named(untried),
                why_not(untried)
            ),
            vec!["leave out `--strict`".into()],
        ),
    })
}

/// Why maps without programs were not registered, one sentence each.
pub(crate) fn untried(evidence: &Evidence) -> impl Iterator<Item = String> {
    (evidence.struct_ops.iter())
        .filter(|of| of.programs.is_empty() && of.attach.outcome == AttachOutcome::NotAttempted)
        .map(|of| format!("map `{}`: {}", of.map, why_not(of)))
}

fn why_not(operations: &StructOpsEvidence) -> &str {
    let reason = operations.attach.reason.as_deref();
    reason.unwrap_or("the guest gave no reason")
}

/// The map and what it fills.
fn named(operations: &StructOpsEvidence) -> String {
    format!("the map `{}` (`{}`)", operations.map, operations.operations)
}

fn of(evidence: &Evidence, operations: &StructOpsEvidence) -> Diagnosis {
    let errno = operations.attach.errno;
    if errno == Some(ENOMEM) {
        let purpose = format!("register {}", named(operations));
        return super::memory::too_little(evidence, &purpose, Stage::Attach);
    }
    let (why, hint) = out_of_bounds(operations)
        .or_else(|| missing_operation(operations))
        .or_else(|| said_by_the_kernel(evidence, operations))
        .unwrap_or_else(|| unexplained(operations));
    let headline = format!(
        "the kernel refused to register {}: {why} ({})",
        named(operations),
        errno::name(errno)
    );
    diagnosis(Code::AttachRefused, Stage::Attach, headline, vec![hint])
}

/// Members that the kernel holds against a bound of its own when the map is registered:
/// `bpf_scx_init_member` of `kernel/sched/ext.c` (6.12 on), `bpf_tcp_ca_init_member` of
/// `net/ipv4/bpf_tcp_ca.c` (5.6 on).
fn out_of_bounds(operations: &StructOpsEvidence) -> Option<Cause> {
    let number = |member: &str| operations.values.get(member)?.parse::<u64>().ok();
    let text = |member: &str| operations.values.get(member).map(String::as_str);
    match (&*operations.operations, operations.attach.errno?) {
        ("sched_ext_ops", E2BIG) => {
            let timeout = number("timeout_ms").filter(|ms| *ms > WATCHDOG_MAX_MS);
            let batch = number("dispatch_max_batch").filter(|n| *n > i32::MAX as u64);
            if let Some(ms) = timeout {
                return Some((
                    format!(
                        "its `timeout_ms` is {ms}, over the watchdog's maximum of {WATCHDOG_MAX_MS}"
                    ),
                    format!(
                        "set `timeout_ms` to at most {WATCHDOG_MAX_MS}; 0 stands for that maximum"
                    ),
                ));
            }
            batch.map(|n| {
                (
                    format!(
                        "its `dispatch_max_batch` is {n}, over the maximum of {}",
                        i32::MAX
                    ),
                    "set a smaller `dispatch_max_batch`; 0 stands for the kernel's default".into(),
                )
            })
        }
        ("sched_ext_ops", EINVAL) => bad_name(text("name")),
        ("tcp_congestion_ops", EINVAL) => bad_name(text("name")).or_else(|| tcp_value(operations)),
        _ => None,
    }
}

/// `bpf_tcp_ca_init_member` takes `flags` within `TCP_CONG_MASK`, of which no release has more than these bits,
/// and `bpf_struct_ops_map_update_elem` no other value than a program and the name.
fn tcp_value(operations: &StructOpsEvidence) -> Option<Cause> {
    const FLAGS: u64 = 0xf;
    let numbers = operations.values.iter();
    let mut numbers =
        numbers.filter_map(|(member, value)| Some((member, value.parse::<u64>().ok()?)));
    let (member, value) = numbers.find(|(member, value)| match member.as_str() {
        "name" => false,
        "flags" => value & !FLAGS != 0,
        _ => *value != 0,
    })?;
    Some(match member.as_str() {
        "flags" => (
            format!(
                "its `flags` has bits that no congestion control has ({:#x})",
                value & !FLAGS
            ),
            "set only bits that begin with `TCP_CONG_` in this kernel's BTF or sources".into(),
        ),
        member => (
            format!(
                "its `{member}` is {value}, and of this member the kernel takes no value but 0"
            ),
            format!("leave `{member}` out: the kernel sets it by itself"),
        ),
    })
}

/// `bpf_obj_name_cpy` takes letters, digits, `_` and `.`; both kinds of operations need a name.
fn bad_name(name: Option<&str>) -> Option<Cause> {
    let hint = "give it a `.name` of letters, digits, `_` and `.`";
    let Some(name) = name else {
        return Some(("it has no `name`".into(), hint.into()));
    };
    let is_good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let bad = name.chars().find(|c| !is_good(*c))?;
    Some((
        format!("its `name` is `{name}`, in which the kernel does not take `{bad}`"),
        hint.into(),
    ))
}

/// `tcp_validate_congestion_control` and `bpf_qdisc_validate` demand these.
fn missing_operation(operations: &StructOpsEvidence) -> Option<Cause> {
    if operations.attach.errno != Some(EINVAL) {
        return None;
    }
    let has = |member: &str| operations.values.contains_key(member);
    let (of, demanded) = match &*operations.operations {
        "tcp_congestion_ops" => ("congestion control", &["ssthresh", "undo_cwnd"][..]),
        "Qdisc_ops" => (
            "queueing discipline",
            &["enqueue", "dequeue", "init", "reset", "destroy"][..],
        ),
        _ => return None,
    };
    let mut missing: Vec<&str> = demanded
        .iter()
        .copied()
        .filter(|member| !has(member))
        .collect();
    let of_tcp = &*operations.operations == "tcp_congestion_ops";
    if of_tcp && !has("cong_avoid") && !has("cong_control") {
        missing.push("cong_avoid` or `cong_control");
    }
    (!missing.is_empty()).then(|| {
        let hint = if of_tcp {
            "set `ssthresh`, `undo_cwnd` and one of `cong_avoid` and `cong_control`".to_owned()
        } else {
            format!("set {}", crate::finding::list(demanded))
        };
        (
            format!(
                "it lacks `{}`, which the kernel demands of a {of}",
                missing.join("`, `")
            ),
            hint,
        )
    })
}

/// What the kernel wrote into its log about these operations, by their name.
fn said_by_the_kernel(evidence: &Evidence, operations: &StructOpsEvidence) -> Option<Cause> {
    let name = operations.values.get("name").map(String::as_str);
    if operations.attach.errno == Some(EEXIST) {
        let name = name.map(|name| format!(" `{name}`")).unwrap_or_default();
        // `tcp_register_congestion_control` and `bpf_qdisc_reg` answer so for a name that is taken, and
        // for nothing else. Of other operations the errno is all there is.
        let certain = matches!(&*operations.operations, "tcp_congestion_ops" | "Qdisc_ops");
        let why = if certain {
            format!("operations of the same name{name} are registered already")
        } else {
            format!(
                "something like it exists already, probably operations of the same name{name}: the kernel gives \
                 no other reason"
            )
        };
        return Some((
            why,
            "give them a name of their own: that of the struct's `name` member".into(),
        ));
    }
    let line = line_about(evidence, name?)?;
    Some((
        format!("the kernel's log says `{}`", text::clipped(line)),
        "change what the kernel's log names".into(),
    ))
}

/// The first line of the kernel's log that has the operations' name as a word.
fn line_about<'a>(evidence: &'a Evidence, name: &str) -> Option<&'a str> {
    let about = |line: &&String| line.split(|c: char| !is_word(c)).any(|word| word == name);
    (name.len() > 2)
        .then(|| evidence.kmsg.iter().find(about))?
        .map(String::as_str)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}

/// The kernel said no more than its errno.
fn unexplained(operations: &StructOpsEvidence) -> Cause {
    let set: Vec<String> = (operations.values.iter())
        .take(8)
        .map(|(member, value)| format!("`{member}` = `{value}`"))
        .collect();
    let set = match set.as_slice() {
        [] => "it sets no member".to_owned(),
        set => format!("it sets {}", set.join(", ")),
    };
    let has = |member: &str| operations.values.contains_key(member);
    let hint = if &*operations.operations == "sched_ext_ops" && has("flags") {
        "compare `flags` with `enum scx_ops_flags` of this kernel: it refuses a bit that the enum lacks"
    } else {
        "compare the members with what the kernel's `init_member`, `validate` and `reg` functions \
         of these operations check"
    };
    (
        format!("the kernel gives no other reason; {set}"),
        hint.into(),
    )
}
