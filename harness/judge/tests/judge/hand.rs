//! Evidence by hand, for the tests beside this file: an object that is good, and ways in which it
//! is not. The texts are those that kernels and libbpf print.

use ukci_judge::judge;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{
    AttachOutcome, Evidence, Feature, FeatureKind, Log, MapEvidence, Mode, ProgramAttach,
    ProgramEvidence, ProgramLoad, Step, StepOutcome,
};
use ukci_schema::verdict::{Fault, Verdict};

pub(crate) fn step(outcome: StepOutcome, errno: Option<i32>) -> Step {
    Step {
        outcome,
        errno,
        micros: 1,
    }
}

/// An object that opened, loaded and has no programs yet.
pub(crate) fn good() -> Evidence {
    let mut evidence = Evidence {
        mode: Mode::Attach,
        open: step(StepOutcome::Ok, None),
        load: step(StepOutcome::Ok, None),
        ..Evidence::default()
    };
    evidence.guest.release = "6.1.0-56-amd64".into();
    evidence.guest.machine = "x86_64".into();
    evidence.guest.btf_bytes = Some(5_000_000);
    evidence.guest.jit = Some("1".into());
    evidence.guest.lockdown = Some("none".into());
    evidence.guest.lsm = Some(vec!["lockdown".into(), "bpf".into()]);
    evidence.object.license = Some("GPL".into());
    evidence
}

/// The same, of which libbpf refused the load with these words.
pub(crate) fn refused(errno: i32, libbpf: &str) -> Evidence {
    Evidence {
        load: step(StepOutcome::Refused, Some(errno)),
        log: Log::bounded(libbpf),
        ..good()
    }
}

pub(crate) fn program(section: &str, kind: &str) -> ProgramEvidence {
    ProgramEvidence {
        name: "prog".into(),
        section: section.into(),
        program_type: kind.into(),
        target: section.split_once('/').map(|(_, target)| target.to_owned()),
        autoload: true,
        load: ProgramLoad {
            outcome: StepOutcome::Ok,
            ..ProgramLoad::default()
        },
        ..ProgramEvidence::default()
    }
}

/// A program that was refused alone, with the verifier's log.
pub(crate) fn rejected(section: &str, kind: &str, errno: i32, log: &str) -> ProgramEvidence {
    let load = ProgramLoad {
        outcome: StepOutcome::Refused,
        isolated: true,
        errno: Some(errno),
        log: Log::bounded(log),
        ..ProgramLoad::default()
    };
    ProgramEvidence {
        load,
        ..program(section, kind)
    }
}

pub(crate) fn unattached(section: &str, kind: &str, errno: i32, libbpf: &str) -> ProgramEvidence {
    let attach = ProgramAttach {
        outcome: AttachOutcome::Refused,
        errno: Some(errno),
        libbpf: Log::bounded(libbpf),
        ..ProgramAttach::default()
    };
    ProgramEvidence {
        attach,
        ..program(section, kind)
    }
}

pub(crate) fn feature(
    kind: FeatureKind,
    name: &str,
    program_type: Option<&str>,
    present: bool,
) -> Feature {
    Feature {
        kind,
        name: name.into(),
        id: None,
        program_type: program_type.map(Into::into),
        present: Some(present),
        source: "hand-written".into(),
        detail: None,
    }
}

pub(crate) fn map(name: &str, kind: &str, max_entries: u32, errno: i32) -> MapEvidence {
    MapEvidence {
        name: name.into(),
        map_type: kind.into(),
        key_size: 4,
        value_size: 8,
        max_entries,
        autocreate: true,
        created: StepOutcome::Refused,
        errno: Some(errno),
        ..MapEvidence::default()
    }
}

pub(crate) fn fails(evidence: &Evidence, code: Code) -> Diagnosis {
    match judge(evidence, false).verdict {
        Verdict::Fail { diagnosis } => {
            assert_eq!(diagnosis.code, code, "{}", diagnosis.headline);
            diagnosis
        }
        other => panic!("expected {code}: {other:?}"),
    }
}

pub(crate) fn errs(evidence: &Evidence) -> Fault {
    match judge(evidence, false).verdict {
        Verdict::Error { fault } => fault,
        other => panic!("expected an error: {other:?}"),
    }
}

pub(crate) fn skips(evidence: &Evidence) -> String {
    match judge(evidence, false).verdict {
        Verdict::Skip { reason } => reason,
        other => panic!("expected a skip: {other:?}"),
    }
}

pub(crate) fn alone(errno: i32, program: ProgramEvidence) -> Evidence {
    let mut evidence = refused(errno, "libbpf: failed to load object 'x'\n");
    evidence.programs = vec![program];
    evidence
}

pub(crate) fn attaching(program: ProgramEvidence) -> Evidence {
    Evidence {
        programs: vec![program],
        ..good()
    }
}

pub(crate) const MISSING_CALLBACK: &str =
    "number of funcs in func_info doesn't match number of subprogs\nprocessed 0 insns\n";
pub(crate) const NULL_VALUE: &str = "7: (85) call bpf_map_lookup_elem#1\n8: (79) r1 = *(u64 *)(r0 +0)\n\
                          R0 invalid mem access 'map_value_or_null'\nprocessed 8 insns\n";

pub(crate) fn caller_of_bpf_loop(log: &str) -> Evidence {
    let mut caller = rejected("kprobe/x", "kprobe", 22, log);
    caller.helpers = vec!["bpf_map_lookup_elem".into(), "bpf_loop".into()];
    let mut evidence = alone(22, caller);
    evidence.guest.release = "5.10.0-46-amd64".into();
    evidence.features = vec![
        feature(FeatureKind::Helper, "bpf_map_lookup_elem", None, true),
        feature(FeatureKind::Helper, "bpf_loop", None, false),
        feature(FeatureKind::Helper, "bpf_loop", Some("kprobe"), false),
    ];
    evidence
}

/// The headline and the hints have all of these words.
pub(crate) fn told(found: &Diagnosis, words: &[&str]) {
    let said = format!("{}\n{}", found.headline, found.hints.join("\n"));
    for words in words {
        assert!(said.contains(words), "`{words}` is not in {said}");
    }
}

/// They have none of these.
pub(crate) fn untold(found: &Diagnosis, words: &[&str]) {
    let said = format!("{}\n{}", found.headline, found.hints.join("\n"));
    for words in words {
        assert!(!said.contains(words), "`{words}` is in {said}");
    }
}
