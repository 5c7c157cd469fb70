//! Attachments by hand: what the judge says of a refusal, and what it must not say.

use ukci_judge::judge;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{
    AttachOutcome, Evidence, FeatureKind, Log, Module, ProgramAttach, StepOutcome,
    StructOpsEvidence,
};
use ukci_schema::verdict::{Stage, Verdict};

use crate::hand::{
    alone, attaching, errs, fails, feature, good, program, rejected, skips, unattached,
};

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
        plain.contains("gives no other reason") && !plain.contains("does not accept"),
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

// Places in functions.

fn on_site(section: &str, kind: &str, errno: i32) -> Evidence {
    attaching(unattached(
        section,
        kind,
        errno,
        "libbpf: prog 'prog': failed to attach\n",
    ))
}

fn with_site(section: &str, kind: &str, errno: i32, has: bool) -> Evidence {
    let mut evidence = on_site(section, kind, errno);
    let name = section.split_once('/').unwrap().1;
    evidence.features = vec![
        feature(FeatureKind::Target, name, None, true),
        feature(FeatureKind::FtraceSite, name, None, has),
    ];
    evidence
}

/// sched-ext/scx#3745: EBUSY was told as "another program sits there already".
#[test]
fn a_function_without_an_ftrace_site_says_so_and_blames_no_other_program() {
    for (section, kind, errno) in [
        ("fentry/blk_account_io_start", "tracing", 16),
        ("fexit/blk_account_io_start", "tracing", 16),
        ("kprobe/blk_account_io_start", "kprobe", 22),
    ] {
        let mut evidence = with_site(section, kind, errno, false);
        evidence.features[1].detail = Some("near: blk_mq_start_request".into());
        let found = fails(&evidence, Code::AttachRefused);
        assert!(
            found
                .headline
                .starts_with("`blk_account_io_start` has no ftrace site"),
            "{}",
            found.headline
        );
        let hints = found.hints.join("\n");
        assert!(hints.contains("available_filter_functions") && hints.contains("blk_mq_start"));
        for untrue in ["another program", "blacklist"] {
            assert!(!hints.contains(untrue), "{hints}");
        }
    }
}

/// The same errno where the site is there: nothing is claimed.
#[test]
fn an_errno_alone_proves_neither_another_program_nor_a_blacklist() {
    for (section, kind, errno) in [
        ("fentry/vfs_read", "tracing", 16),
        ("kprobe/vfs_read", "kprobe", 22),
        ("kprobe/vfs_read", "kprobe", 16),
    ] {
        let evidence = with_site(section, kind, errno, true);
        let found = fails(&evidence, Code::AttachRefused);
        let said = format!("{}\n{}", found.headline, found.hints.join("\n"));
        for untrue in [
            "no ftrace site in",
            "another program",
            "sits there",
            "may not be probed",
        ] {
            assert!(!said.contains(untrue), "{said}");
        }
        // Nor where the guest could not look.
        let found = fails(&on_site(section, kind, errno), Code::AttachRefused);
        let said = format!("{}\n{}", found.headline, found.hints.join("\n"));
        assert!(
            !said.contains("ftrace site") && !said.contains("blacklist"),
            "{said}"
        );
    }
}

#[test]
fn the_kernels_own_line_proves_a_missing_site_of_that_function_alone() {
    let mut evidence = on_site("kprobe/blk_account_io_start", "kprobe", 22);
    evidence.kmsg =
        vec!["trace_kprobe: Could not probe notrace function blk_account_io_start".into()];
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        found.headline.contains("no ftrace site"),
        "{}",
        found.headline
    );
    evidence.kmsg =
        vec!["trace_kprobe: Could not probe notrace function blk_account_io_start_x".into()];
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        !found.headline.contains("no ftrace site"),
        "{}",
        found.headline
    );
}

#[test]
fn a_function_on_the_blacklist_is_named_as_that() {
    let mut evidence = with_site("kprobe/kprobe_int3_handler", "kprobe", 22, false);
    let listed = feature(FeatureKind::KprobeSite, "kprobe_int3_handler", None, false);
    evidence.features.push(listed);
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        found.headline.contains("kprobes/blacklist"),
        "{}",
        found.headline
    );
    evidence.features[1].present = Some(true);
    evidence.features[2].present = Some(true);
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        found.headline.starts_with("the kernel refused"),
        "{}",
        found.headline
    );
    assert!(
        found.hints[0].contains("so this is not the reason"),
        "{:?}",
        found.hints
    );
}

#[test]
fn several_functions_of_one_name_are_counted() {
    let mut evidence = with_site("kprobe/destroy", "kprobe", 99, true);
    let mut site = feature(FeatureKind::KprobeSite, "destroy", None, true);
    site.detail = Some("3 symbols of this name".into());
    evidence.features.push(site);
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        found.headline.contains("3 symbols of this kernel"),
        "{}",
        found.headline
    );
}

// Sections and files, of which the kernel knows nothing.

#[test]
fn what_libbpf_declines_is_no_refusal_of_the_kernels() {
    for words in [
        "libbpf: prog 'prog': section 'uretprobe/readline' missing ':function[+offset]' specification\n",
        "libbpf: kretprobes do not support offset specification\n",
    ] {
        let evidence = attaching(unattached("uretprobe/readline", "kprobe", 22, words));
        let found = fails(&evidence, Code::LoaderContract);
        assert!(
            found.headline.starts_with("libbpf cannot attach"),
            "{}",
            found.headline
        );
    }
    let evidence = attaching(unattached(
        "kretprobe/f",
        "kprobe",
        22,
        "libbpf: something else\n",
    ));
    fails(&evidence, Code::AttachRefused);
}

#[test]
fn enoent_of_a_file_is_no_missing_function_of_the_kernel() {
    let evidence = attaching(unattached(
        "usdt//bin/x:p:n",
        "kprobe",
        2,
        "libbpf: usdt: x\n",
    ));
    fails(&evidence, Code::AttachRefused);
    let evidence = attaching(unattached("kprobe/gone", "kprobe", 2, "libbpf: x\n"));
    fails(&evidence, Code::AttachTargetMissing);
}

#[test]
fn want_of_memory_while_attaching_is_an_error_whatever_is_attached() {
    for (section, kind) in [
        ("fentry/vfs_read", "tracing"),
        ("kprobe/vfs_read", "kprobe"),
        ("raw_tp/sched_switch", "raw_tracepoint"),
        ("tp/a/b", "tracepoint"),
        ("xdp", "xdp"),
    ] {
        let evidence = attaching(unattached(section, kind, 12, "libbpf: x: -ENOMEM\n"));
        assert_eq!(
            errs(&evidence).code,
            Some(Code::GuestResources),
            "{section}"
        );
    }
}

// Modules that own a target.

fn owner(name: &str, of: &str) -> Module {
    Module {
        name: name.into(),
        wanted_for: vec![of.into()],
        ..Module::default()
    }
}

#[test]
fn the_module_that_was_loaded_for_a_targets_name_is_in_the_headline() {
    let mut evidence = with_site("kprobe/target", "kprobe", 22, true);
    evidence.guest.modules = vec![owner("arpt_mangle", "target")];
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        found.headline.contains("module `arpt_mangle`"),
        "{}",
        found.headline
    );
    evidence.guest.modules = vec![owner("arpt_mangle", "another")];
    let found = fails(&evidence, Code::AttachRefused);
    assert!(
        !found.headline.contains("arpt_mangle"),
        "{}",
        found.headline
    );
}

/// cilium/ebpf's `fentry_fexit`: its loader attaches `fentry/target` to its own program `target`.
#[test]
fn a_target_that_is_a_program_of_the_object_is_its_loaders_business() {
    let words = "libbpf: failed to find kernel BTF type ID of 'filter': -3\n";
    let mut tracer = rejected("fentry/filter", "tracing", 3, "");
    tracer.load.libbpf = Log::bounded(words);
    let mut evidence = alone(3, tracer);
    let mut target = program("socket", "socket_filter");
    target.name = "filter".into();
    evidence.programs.push(target);
    let found = fails(&evidence, Code::LoaderContract);
    assert!(
        found.headline.contains("is a program of this object"),
        "{}",
        found.headline
    );
    evidence.programs.pop();
    fails(&evidence, Code::AttachTargetMissing);
}

// Causes behind the first.

/// truth F7: a kprobe on nothing was not judged because another program was refused.
#[test]
fn a_program_that_loads_and_would_not_attach_is_told_behind_the_reason() {
    let mut evidence = alone(
        13,
        rejected("raw_tp/sys_enter", "raw_tracepoint", 13, UNCHECKED),
    );
    let mut lost = unattached("kprobe/no_such", "kprobe", 2, "libbpf: x\n");
    lost.name = "lost".into();
    lost.load.isolated = true;
    lost.attach.isolated = true;
    // First in the object's order, and still not the reason.
    evidence.programs.insert(0, lost);
    let found = fails(&evidence, Code::VerifierRejection);
    assert_eq!(found.program.as_deref(), Some("prog"));
    let of_programs = judge(&evidence, false).programs;
    let lost = of_programs[0].as_ref().unwrap();
    assert_eq!(
        (lost.code, lost.stage),
        (Code::AttachTargetMissing, Stage::Attach)
    );
    assert_eq!(lost.program.as_deref(), Some("lost"));
}

#[test]
fn what_attached_in_a_copy_makes_no_pass() {
    let mut evidence = alone(
        13,
        rejected("raw_tp/sys_enter", "raw_tracepoint", 13, UNCHECKED),
    );
    let mut good = program("kprobe/vfs_read", "kprobe");
    good.load.isolated = true;
    good.attach.outcome = AttachOutcome::Attached;
    good.attach.isolated = true;
    evidence.programs.push(good);
    fails(&evidence, Code::VerifierRejection);
    assert_eq!(judge(&evidence, false).programs[1], None);
}

const UNCHECKED: &str = "8: (79) r1 = *(u64 *)(r0 +0)\nR0 invalid mem access 'scalar'\n";

// Kernels that lack what any kernel must have.

/// A kernel without SHMEM: told as `INVALID_OBJECT`, "compile it anew".
#[test]
fn a_kernel_without_a_system_call_that_opening_needs_is_no_fault_of_the_object() {
    let mut evidence = good();
    evidence.open.outcome = StepOutcome::Refused;
    evidence.open.errno = Some(38);
    evidence.log = Log::bounded("libbpf: failed to create memfd\n");
    let fault = errs(&evidence);
    assert!(fault.headline.contains("ENOSYS") && fault.headline.contains("memfd"));
    assert!(fault.hints[0].contains("CONFIG_MEMFD_CREATE"));
    // Any other errno is of the object's reading.
    evidence.open.errno = Some(22);
    fails(&evidence, Code::InvalidObject);
}
