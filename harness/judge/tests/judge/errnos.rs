//! Where a rule has no more than an errno: its headline says so, and evidence outweighs the errno.

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{
    AttachOutcome, Evidence, FeatureKind, ProgramAttach, StructOpsEvidence,
};

use crate::hand::{alone, attaching, errs, fails, feature, good, refused, rejected, unattached};

const ONLY: &str = "only the errno says so (ENOENT)";

#[test]
fn a_target_that_nobody_could_look_up_is_told_as_such() {
    let probe = unattached("kprobe/do_thing", "kprobe", 2, "libbpf: x: -ENOENT\n");
    let mut evidence = attaching(probe);
    let found = fails(&evidence, Code::AttachTargetMissing);
    assert!(found.headline.contains(ONLY), "{}", found.headline);
    let looked_up = |present| feature(FeatureKind::Target, "do_thing", None, present);
    evidence.features = vec![looked_up(false)];
    let found = fails(&evidence, Code::AttachTargetMissing);
    assert!(!found.headline.contains(ONLY), "{}", found.headline);
    // The kernel has it: ENOENT is about something else.
    evidence.features = vec![looked_up(true)];
    fails(&evidence, Code::AttachRefused);
}

#[test]
fn enomem_is_told_with_what_the_kernel_logged() {
    let mut evidence = attaching(unattached("xdp", "xdp", 12, "libbpf: x: -ENOMEM\n"));
    evidence.guest.memory_kib = 200 * 1024;
    let fault = errs(&evidence);
    assert_eq!(fault.code, Some(Code::GuestResources));
    assert!(
        fault.headline.contains("(ENOMEM)") && fault.headline.contains("200 MiB"),
        "{}",
        fault.headline
    );
    assert!(!fault.headline.contains("log says"), "{}", fault.headline);
    evidence.kmsg = vec!["init: page allocation failure: order:4, mode:0xcc0".into()];
    let fault = errs(&evidence);
    assert!(
        fault.headline.contains("`init: page allocation failure"),
        "{}",
        fault.headline
    );
}

fn taken(operations: &str) -> Evidence {
    Evidence {
        struct_ops: vec![StructOpsEvidence {
            map: "ops".into(),
            operations: operations.into(),
            programs: Vec::new(),
            values: [("name".to_owned(), "mine".to_owned())].into(),
            attach: ProgramAttach {
                outcome: AttachOutcome::Refused,
                errno: Some(17),
                ..ProgramAttach::default()
            },
        }],
        ..good()
    }
}

#[test]
fn eexist_means_a_taken_name_only_where_the_kernel_has_no_other_use_of_it() {
    let known = fails(&taken("tcp_congestion_ops"), Code::AttachRefused);
    assert!(
        known.headline.contains("`mine` are registered already"),
        "{}",
        known.headline
    );
    let other = fails(&taken("hid_bpf_ops"), Code::AttachRefused);
    assert!(other.headline.contains("probably"), "{}", other.headline);
}

/// E2BIG is also what the kernel returns for load attributes that it does not know.
#[test]
fn e2big_without_a_word_is_no_limit_of_the_verifier() {
    let mut program = rejected("xdp", "xdp", 7, "");
    program.insns = 12;
    fails(&alone(7, program.clone()), Code::Unclassified);
    program.insns = 1_000_001;
    fails(&alone(7, program.clone()), Code::VerifierLimit);
    program.insns = 12;
    program.maps = (0..65).map(|n| format!("map{n}")).collect();
    fails(&alone(7, program), Code::VerifierLimit);
}

#[test]
fn a_kernel_without_the_system_call_is_told_by_enosys_or_its_configuration() {
    let words = "libbpf: Error in bpf_object__probe_loading(): -X. Couldn't load trivial BPF program. \
                 Make sure your kernel supports BPF (CONFIG_BPF_SYSCALL=y) and/or that RLIMIT_MEMLOCK is \
                 set to big enough value.\n";
    fails(&refused(38, words), Code::MissingKernelConfig);
    let mut evidence = refused(22, words);
    fails(&evidence, Code::Unclassified);
    evidence
        .guest
        .config
        .insert("BPF_SYSCALL".into(), "n".into());
    fails(&evidence, Code::MissingKernelConfig);
}
