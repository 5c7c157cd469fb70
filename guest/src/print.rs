//! Prints evidence as text, for a person in `ukci shell`.
//!
//! The input is evidence, and the output is lines. The verdict is never printed, because only the
//! host decides it.

use std::fmt::Write;

use ukci_schema::evidence::{
    AttachOutcome, Evidence, Log, ProgramAttach, ProgramEvidence, StepOutcome,
};

/// Maps, programs and what was said of those that were refused.
pub(crate) fn text(evidence: &Evidence) -> String {
    let mut text = String::new();
    for edit in &evidence.edits {
        let _ = writeln!(text, "edit     {edit}");
    }
    let steps = [("open", &evidence.open), ("load", &evidence.load)];
    for (name, step) in steps {
        let _ = writeln!(text, "{name:<8} {}", outcome(step.outcome, step.errno));
    }
    for map in &evidence.maps {
        let created = outcome(map.created, map.errno);
        let _ = writeln!(text, "map      {} ({}): {created}", map.name, map.map_type);
    }
    for program in &evidence.programs {
        print_program(&mut text, program);
    }
    for operations in &evidence.struct_ops {
        let _ = writeln!(
            text,
            "map      {} ({}): registration {}",
            operations.map,
            operations.operations,
            attachment(&operations.attach)
        );
    }
    let refused = [evidence.open.outcome, evidence.load.outcome].contains(&StepOutcome::Refused);
    let of_programs = |program: &ProgramEvidence| program.load.outcome == StepOutcome::Refused;
    // What libbpf said of a program stands with it already.
    if refused && !evidence.programs.iter().any(of_programs) {
        quote(&mut text, "libbpf", &evidence.log);
    }
    for line in &evidence.kmsg {
        let _ = writeln!(text, "kernel   {line}");
    }
    text
}

fn attachment(attach: &ProgramAttach) -> String {
    match attach.outcome {
        AttachOutcome::NotAttempted => "not attempted".to_owned(),
        AttachOutcome::Attached => "ok".to_owned(),
        AttachOutcome::Refused => refused(attach.errno),
    }
}

fn print_program(text: &mut String, program: &ProgramEvidence) {
    let ProgramEvidence { load, attach, .. } = program;
    let _ = write!(
        text,
        "program  {} ({}): load {}",
        program.name,
        program.section,
        outcome(load.outcome, load.errno)
    );
    if let Some(stats) = &load.verifier {
        let _ = write!(text, ", {} instructions", stats.insns);
    }
    let _ = write!(text, "; attach {}", attachment(attach));
    if let Some(fired) = attach.fired {
        let _ = write!(text, ", ran {fired} times");
    }
    text.push('\n');
    for reason in [&load.reason, &attach.reason].into_iter().flatten() {
        let _ = writeln!(text, "         {reason}");
    }
    if load.outcome == StepOutcome::Refused {
        quote(text, "verifier", &load.log);
        quote(text, "libbpf", &load.libbpf);
    }
    if attach.outcome == AttachOutcome::Refused {
        quote(text, "libbpf", &attach.libbpf);
    }
}

/// A log, each line after whose it is.
fn quote(text: &mut String, whose: &str, log: &Log) {
    for line in log.head.lines() {
        let _ = writeln!(text, "{whose:<8} {line}");
    }
    if log.cut_bytes > 0 {
        let _ = writeln!(text, "{whose:<8} ({} bytes are left out)", log.cut_bytes);
    }
    for line in log.tail.lines() {
        let _ = writeln!(text, "{whose:<8} {line}");
    }
}

fn outcome(outcome: StepOutcome, errno: Option<i32>) -> String {
    match outcome {
        StepOutcome::NotAttempted => "not attempted".to_owned(),
        StepOutcome::Ok => "ok".to_owned(),
        StepOutcome::Refused => refused(errno),
    }
}

fn refused(errno: Option<i32>) -> String {
    errno.map_or_else(
        || "refused".to_owned(),
        |errno| format!("refused: {}", std::io::Error::from_raw_os_error(errno)),
    )
}
