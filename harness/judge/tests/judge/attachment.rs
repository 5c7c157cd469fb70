//! Attachments by hand: what the judge says of a refusal, and what it must not say.

use ukci_judge::judge;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{AttachOutcome, Evidence, Log, ProgramAttach, StructOpsEvidence};
use ukci_schema::verdict::Verdict;

use crate::hand::{attaching, errs, fails, good, program, skips};

fn refused_with(errno: i32) -> ProgramAttach {
    ProgramAttach {
        outcome: AttachOutcome::Refused,
        errno: Some(errno),
        ..ProgramAttach::default()
    }
}

fn operations(kind: &str, values: &[(&str, &str)], attach: ProgramAttach) -> StructOpsEvidence {
    StructOpsEvidence {
        map: "ops".into(),
        operations: kind.into(),
        programs: Vec::new(),
        values: (values.iter())
            .map(|(member, value)| ((*member).into(), (*value).into()))
            .collect(),
        attach,
    }
}

fn with_operations(of: StructOpsEvidence) -> Evidence {
    Evidence {
        struct_ops: vec![of],
        ..good()
    }
}

// Maps of operations.

/// sched-ext/scx#151: a map without programs was neither registered nor counted.
#[test]
fn a_refused_map_without_programs_fails_and_names_the_member_out_of_bounds() {
    let values = [("timeout_ms", "60000"), ("name", "slow")];
    let evidence = with_operations(operations("sched_ext_ops", &values, refused_with(7)));
    let found = fails(&evidence, Code::AttachRefused);
    for words in ["`ops`", "`timeout_ms` is 60000", "30000", "E2BIG"] {
        assert!(
            found.headline.contains(words),
            "{words}: {}",
            found.headline
        );
    }
    assert_eq!(found.program, None);
    // Within the bound nothing is claimed of it.
    let values = [("timeout_ms", "30000"), ("name", "slow")];
    let evidence = with_operations(operations("sched_ext_ops", &values, refused_with(7)));
    let found = fails(&evidence, Code::AttachRefused);
    assert!(!found.headline.contains("maximum"), "{}", found.headline);
    assert!(
        found.headline.contains("`timeout_ms` = `30000`"),
        "{}",
        found.headline
    );
    // Nor where the errno is another.
    let values = [("timeout_ms", "60000"), ("name", "slow")];
    let evidence = with_operations(operations("sched_ext_ops", &values, refused_with(16)));
    let found = fails(&evidence, Code::AttachRefused);
    assert!(!found.headline.contains("maximum"), "{}", found.headline);
}

#[test]
fn a_map_beside_a_program_that_attaches_is_not_hidden_by_it() {
    let mut attached = program("tp/a/b", "tracepoint");
    attached.attach.outcome = AttachOutcome::Attached;
    let mut evidence = attaching(attached);
    let ops = operations("tcp_congestion_ops", &[("name", "half")], refused_with(22));
    evidence.struct_ops = vec![ops];
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        found.headline.contains("lacks `ssthresh`, `undo_cwnd`"),
        "{}",
        found.headline
    );
    evidence.struct_ops[0].attach.outcome = AttachOutcome::Attached;
    assert_eq!(judge(&evidence, true).verdict, Verdict::Pass);
}

#[test]
fn a_program_of_a_refused_map_is_told_the_map_and_the_member() {
    let mut member = program("struct_ops/running", "struct_ops");
    member.attach = refused_with(7);
    let mut evidence = attaching(member);
    let values = [
        ("timeout_ms", "60000"),
        ("running", "prog"),
        ("name", "slow"),
    ];
    let mut ops = operations("sched_ext_ops", &values, refused_with(7));
    ops.programs = vec!["prog".into()];
    evidence.struct_ops = vec![ops];
    let found = fails(&evidence, Code::AttachRefused);
    assert_eq!(found.program.as_deref(), Some("prog"));
    assert!(
        found.headline.contains("`timeout_ms` is 60000"),
        "{}",
        found.headline
    );
}

#[test]
fn a_name_that_the_kernel_does_not_take_is_named() {
    let all = [("ssthresh", "a"), ("undo_cwnd", "b"), ("cong_avoid", "c")];
    let named = |name: &'static str| {
        let values = [&all[..], &[("name", name)]].concat();
        fails(
            &with_operations(operations("tcp_congestion_ops", &values, refused_with(22))),
            Code::AttachRefused,
        )
        .headline
    };
    assert!(named("two words").contains("does not take ` `"));
    let plain = named("plain_name");
    assert!(
        plain.contains("says no more") && !plain.contains("does not take"),
        "{plain}"
    );
    let nameless = with_operations(operations("tcp_congestion_ops", &all, refused_with(22)));
    assert!(
        fails(&nameless, Code::AttachRefused)
            .headline
            .contains("has no `name`")
    );
}

#[test]
fn a_map_that_nothing_was_tried_with_is_no_pass() {
    let untried = ProgramAttach {
        reason: Some("the guest has no HID device to attach to".into()),
        ..ProgramAttach::default()
    };
    let evidence = with_operations(operations("hid_bpf_ops", &[], untried));
    assert!(skips(&evidence).contains("map `ops`: the guest has no HID device"));
    let Verdict::Fail { diagnosis } = judge(&evidence, true).verdict else {
        panic!("strict");
    };
    assert!(diagnosis.headline.contains("`ops`"));
}

/// Want of guest memory is no answer about the artifact.
#[test]
fn a_map_for_which_memory_was_short_is_an_error() {
    let evidence = with_operations(operations("sched_ext_ops", &[], refused_with(12)));
    assert_eq!(errs(&evidence).code, Some(Code::GuestResources));
}

#[test]
fn the_kernels_own_line_about_the_operations_is_told() {
    let values = [
        ("ssthresh", "a"),
        ("undo_cwnd", "b"),
        ("cong_avoid", "c"),
        ("name", "mine"),
    ];
    let mut evidence = with_operations(operations("tcp_congestion_ops", &values, refused_with(22)));
    evidence.kmsg = vec![
        "TCP: determined something else".into(),
        "TCP: mine does not implement required ops".into(),
    ];
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        found.headline.contains("mine does not implement"),
        "{}",
        found.headline
    );
    evidence.struct_ops[0].attach.libbpf = Log::bounded("libbpf: x\n");
    assert!(fails(&evidence, Code::AttachRefused).excerpt.is_some());
}
