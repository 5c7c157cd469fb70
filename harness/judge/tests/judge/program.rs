//! Programs by hand: what passes and what never does, helpers, policies, BTF, maps, externs.

use ukci_judge::judge;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{
    AttachOutcome, Evidence, Extern, FeatureKind, Log, MapEvidence, Mode, StepOutcome,
};
use ukci_schema::verdict::Verdict;

use crate::hand::{
    MISSING_CALLBACK, NULL_VALUE, alone, attaching, caller_of_bpf_loop, errs, fails, feature, good,
    map, program, refused, rejected, skips, unattached,
};

// What passes, and what is never a pass.

#[test]
fn an_object_of_maps_alone_passes_by_its_load() {
    assert_eq!(judge(&good(), true).verdict, Verdict::Pass);
}

#[test]
fn an_object_whose_programs_are_all_switched_off_is_skipped() {
    let mut off = program("?xdp", "xdp");
    off.autoload = false;
    assert!(skips(&attaching(off)).contains("switched off"));
}

#[test]
fn what_was_not_attempted_is_no_pass_and_fails_when_strict() {
    let mut lirc = program("lirc_mode2", "lirc_mode2");
    lirc.attach.reason = Some("a guest has no lirc device".into());
    let mut evidence = attaching(lirc);
    assert!(skips(&evidence).contains("no lirc device"));
    let Verdict::Fail { diagnosis } = judge(&evidence, true).verdict else {
        panic!()
    };
    assert_eq!(diagnosis.code, Code::AttachRefused);
    assert!(diagnosis.headline.contains("no lirc device"));
    // Beside one that is attached it is counted, and not held against the object.
    let mut attached = program("kprobe/do_unlinkat", "kprobe");
    attached.attach.outcome = AttachOutcome::Attached;
    evidence.programs.push(attached);
    assert_eq!(judge(&evidence, false).verdict, Verdict::Pass);
    assert_eq!(
        judge(&evidence, true).verdict.code(),
        Some(Code::AttachRefused)
    );
}

#[test]
fn a_load_is_judged_without_its_attachments() {
    let mut evidence = attaching(unattached("kprobe/nope", "kprobe", 2, ""));
    evidence.mode = Mode::Load;
    assert_eq!(judge(&evidence, true).verdict, Verdict::Pass);
}

#[test]
fn one_refused_attachment_of_two_fails() {
    let mut attached = program("kprobe/do_unlinkat", "kprobe");
    attached.attach.outcome = AttachOutcome::Attached;
    let mut evidence = attaching(attached);
    evidence
        .programs
        .push(unattached("kprobe/nope", "kprobe", 2, "failed: -ENOENT"));
    fails(&evidence, Code::AttachTargetMissing);
    assert!(judge(&evidence, false).programs[0].is_none());
}

// Helpers.

#[test]
fn a_missing_callback_helper_is_named_whatever_the_verifier_says_of_it() {
    for log in [
        MISSING_CALLBACK,
        "unrecognized bpf_ld_imm64 insn\n",
        "unknown func bpf_loop#181\n",
        "",
    ] {
        let found = fails(&caller_of_bpf_loop(log), Code::UnsupportedHelper);
        assert_eq!(
            found.headline,
            "the kernel has no helper `bpf_loop` (mainline 5.17), which `prog` calls"
        );
    }
}

#[test]
fn a_missing_helper_that_the_verifier_did_not_come_to_is_not_the_reason() {
    let found = fails(&caller_of_bpf_loop(NULL_VALUE), Code::VerifierRejection);
    assert!(found.headline.contains("map_value_or_null"));
    assert!(
        found.hints.iter().any(|hint| hint.contains("bpf_loop")),
        "{:?}",
        found.hints
    );
}

#[test]
fn a_helper_that_is_there_and_not_for_this_type_says_so() {
    let mut caller = rejected(
        "kprobe/x",
        "kprobe",
        22,
        "unknown func bpf_skb_load_bytes#26\n",
    );
    caller.helpers = vec!["bpf_skb_load_bytes".into()];
    let mut evidence = alone(22, caller);
    evidence.features = vec![
        feature(FeatureKind::Helper, "bpf_skb_load_bytes", None, true),
        feature(
            FeatureKind::Helper,
            "bpf_skb_load_bytes",
            Some("kprobe"),
            false,
        ),
    ];
    let found = fails(&evidence, Code::UnsupportedHelper);
    assert!(
        found
            .headline
            .contains("does not let `kprobe` programs call"),
        "{}",
        found.headline
    );
}

#[test]
fn a_helper_that_no_release_has_is_no_missing_release() {
    let mut caller = rejected(
        "raw_tp/x",
        "raw_tracepoint",
        22,
        "invalid func unknown#213\n",
    );
    caller.helpers = vec!["helper#213".into()];
    let mut evidence = alone(22, caller);
    evidence.features = vec![feature(FeatureKind::Helper, "helper#213", None, false)];
    assert!(
        fails(&evidence, Code::UnsupportedHelper)
            .headline
            .contains("213")
    );
    // Nor do probes that cannot tell hide it.
    evidence.features.clear();
    assert!(
        fails(&evidence, Code::UnsupportedHelper)
            .headline
            .contains("213")
    );
}

#[test]
fn override_return_without_its_option_names_the_option() {
    let mut caller = rejected(
        "kprobe/x",
        "kprobe",
        22,
        "unknown func bpf_override_return#58\n",
    );
    caller.helpers = vec!["bpf_override_return".into()];
    let mut evidence = alone(22, caller);
    evidence
        .guest
        .config
        .insert("BPF_KPROBE_OVERRIDE".into(), "n".into());
    evidence.features = vec![
        feature(FeatureKind::Helper, "bpf_override_return", None, true),
        feature(
            FeatureKind::Helper,
            "bpf_override_return",
            Some("kprobe"),
            false,
        ),
    ];
    let found = fails(&evidence, Code::MissingKernelConfig);
    assert!(found.headline.contains("CONFIG_BPF_KPROBE_OVERRIDE"));
}

// Policy.

#[test]
fn lockdown_is_named_where_libbpf_rewrote_the_helper() {
    for log in [
        "unknown func bpf_probe_read#4\n",
        "program of this type cannot use helper bpf_probe_read#4\n",
    ] {
        let mut caller = rejected("kprobe/x", "kprobe", 22, log);
        caller.helpers = vec!["bpf_probe_read_kernel".into()];
        let mut evidence = alone(22, caller);
        evidence.guest.lockdown = Some("confidentiality".into());
        evidence.features = vec![
            feature(FeatureKind::Helper, "bpf_probe_read_kernel", None, true),
            feature(
                FeatureKind::Helper,
                "bpf_probe_read_kernel",
                Some("kprobe"),
                false,
            ),
        ];
        let found = fails(&evidence, Code::PolicyDenied);
        assert!(
            found.headline.contains("lockdown") && found.headline.contains("bpf_probe_read_kernel")
        );
        // Integrity does not forbid to read.
        evidence.guest.lockdown = Some("integrity".into());
        fails(&evidence, Code::UnsupportedHelper);
    }
}

#[test]
fn lsm_in_a_log_is_no_policy_and_eacces_no_missing_capability() {
    let log = "0: (79) r0 = *(u64 *)(r1 +16)\nfunc 'bpf_lsm_file_open' doesn't have 3-th argument\n\
               invalid bpf_context access off=16 size=8\nprocessed 1 insns\n";
    let evidence = alone(13, rejected("lsm/file_open", "lsm", 13, log));
    let found = fails(&evidence, Code::VerifierRejection);
    assert!(found.headline.contains("bpf_lsm_file_open"));
}

#[test]
fn eperm_is_a_capability_only_where_one_is_missing() {
    let lacking = |mut evidence: Evidence| {
        evidence.guest.capabilities_missing = vec!["CAP_BPF".into(), "CAP_PERFMON".into()];
        evidence
    };
    let load = alone(1, rejected("kprobe/x", "kprobe", 1, ""));
    let found = fails(&lacking(load.clone()), Code::CapabilityFailure);
    assert!(
        found.headline.contains("CAP_BPF and CAP_PERFMON"),
        "{}",
        found.headline
    );
    let found = fails(&load, Code::Unclassified);
    assert!(
        found.hints[0].contains("no capability"),
        "{:?}",
        found.hints
    );
    let trivial = "libbpf: Error in bpf_object__probe_loading(): -EPERM. Couldn't load trivial BPF \
                   program. Make sure your kernel supports BPF (CONFIG_BPF_SYSCALL=y) and/or that \
                   RLIMIT_MEMLOCK is set to big enough value.\n";
    fails(&lacking(refused(1, trivial)), Code::CapabilityFailure);
    fails(&refused(1, trivial), Code::PolicyDenied);
}

// BTF.

#[test]
fn a_rejection_on_a_kernel_without_btf_is_a_rejection() {
    let mut evidence = alone(13, rejected("kprobe/x", "kprobe", 13, NULL_VALUE));
    evidence.guest.btf_bytes = None;
    evidence.object.has_btf = true;
    evidence.object.has_btf_ext = true;
    fails(&evidence, Code::VerifierRejection);
}

#[test]
fn a_kernel_without_btf_is_named_where_libbpf_needs_it() {
    let words = "libbpf: kernel BTF is missing at '/sys/kernel/btf/vmlinux', was CONFIG_DEBUG_INFO_BTF \
                 enabled?\nlibbpf: failed to find valid kernel BTF\n\
                 libbpf: Error loading vmlinux BTF: -ESRCH\n";
    let mut evidence = refused(3, words);
    evidence.guest.btf_bytes = None;
    let mut fentry = rejected("fentry/vfs_read", "tracing", 3, "");
    fentry.load.libbpf = Log::bounded(words);
    evidence.programs = vec![fentry];
    let found = fails(&evidence, Code::MissingBtf);
    assert_eq!(found.program.as_deref(), Some("prog"));
    assert!(found.hints[0].contains("btf_custom_path"));
}

// Maps.

#[test]
fn want_of_memory_is_an_error_and_never_the_maps_fault() {
    let mut evidence = refused(12, "libbpf: map 'big': failed to create: -ENOMEM\n");
    evidence.maps = vec![map("big", "array", 1 << 30, 12)];
    evidence.features = vec![feature(FeatureKind::MapType, "array", None, true)];
    let fault = errs(&evidence);
    assert_eq!(fault.code, Some(Code::GuestResources));
    assert!(fault.headline.contains("`big`"));
}

#[test]
fn a_program_that_is_refused_whatever_the_memory_fails() {
    let mut evidence = caller_of_bpf_loop(MISSING_CALLBACK);
    evidence.maps = vec![map("big", "array", 1 << 30, 12)];
    fails(&evidence, Code::UnsupportedHelper);
}

#[test]
fn a_map_that_is_too_large_for_any_memory_is_refused() {
    let mut evidence = refused(7, "libbpf: map 'big': failed to create: -E2BIG\n");
    evidence.maps = vec![map("big", "array", 1 << 30, 7)];
    evidence.features = vec![feature(FeatureKind::MapType, "array", None, true)];
    let found = fails(&evidence, Code::MapRefused);
    assert!(found.headline.contains("E2BIG"), "{}", found.headline);
    assert!(found.hints[0].contains("more memory does not help"));
}

#[test]
fn a_missing_type_goes_before_all_that_a_refused_map_can_mean() {
    let mut evidence = refused(22, "libbpf: map 'seen': failed to create: -EINVAL\n");
    evidence.maps = vec![map("seen", "bloom_filter", 0, 22)];
    evidence.features = vec![feature(FeatureKind::MapType, "bloom_filter", None, false)];
    let mut user = rejected(
        "kprobe/x",
        "kprobe",
        22,
        "BPF map 'seen' is referenced but wasn't created\n",
    );
    user.maps = vec!["seen".into()];
    user.name = "user".into();
    evidence.programs = vec![program("kprobe/y", "kprobe"), user];
    let found = fails(&evidence, Code::UnsupportedMapType);
    assert_eq!(found.program.as_deref(), Some("user"));
    assert!(judge(&evidence, false).programs[0].is_none());
    // A map that nobody uses still refuses the object.
    evidence.programs.pop();
    assert_eq!(fails(&evidence, Code::UnsupportedMapType).program, None);
}

#[test]
fn sizes_and_inner_maps_are_the_loaders() {
    let mut evidence = refused(22, "libbpf: map 'm': failed to create: -EINVAL\n");
    evidence.maps = vec![map("m", "percpu_array", 0, 22)];
    evidence.features = vec![feature(FeatureKind::MapType, "percpu_array", None, true)];
    assert!(
        fails(&evidence, Code::LoaderContract)
            .headline
            .contains("max_entries")
    );
    evidence.maps = vec![map("m", "hash_of_maps", 64, 22)];
    assert!(
        fails(&evidence, Code::LoaderContract)
            .headline
            .contains("inner")
    );
    evidence.maps = vec![map("m", "task_storage", 0, 22)];
    fails(&evidence, Code::MapRefused);
}

#[test]
fn a_flag_newer_than_the_kernel_is_named() {
    let mut evidence = refused(22, "libbpf: map 'm': failed to create: -EINVAL\n");
    evidence.maps = vec![MapEvidence {
        flags: 1 << 13,
        ..map("m", "struct_ops", 1, 22)
    }];
    evidence.maps[0].created = StepOutcome::NotAttempted;
    evidence.maps[0].errno = None;
    let found = fails(&evidence, Code::MapRefused);
    assert!(
        found.headline.contains("BPF_F_LINK (mainline 6.4)"),
        "{}",
        found.headline
    );
}

// Kfuncs, variables, configuration.

#[test]
fn a_weak_kfunc_is_blamed_only_where_the_verifier_stumbled_over_it() {
    let mut caller = rejected("tp_btf/x", "tracing", 13, NULL_VALUE);
    caller.kfuncs = vec!["bpf_cpumask_create".into()];
    let mut evidence = alone(13, caller);
    let weak = Extern {
        name: "bpf_cpumask_create".into(),
        kind: "kfunc".into(),
        weak: true,
    };
    evidence.object.externs = vec![weak];
    evidence.features = vec![feature(
        FeatureKind::Kfunc,
        "bpf_cpumask_create",
        None,
        false,
    )];
    fails(&evidence, Code::VerifierRejection);
    evidence.programs[0].load.log = Log::bounded(
        "0: <invalid kfunc call>\nkfunc 'bpf_cpumask_create' is referenced but wasn't resolved\n",
    );
    let found = fails(&evidence, Code::MissingKfunc);
    assert!(
        found.headline.contains("(mainline 6.3)"),
        "{}",
        found.headline
    );
}

#[test]
fn a_mismatch_blames_the_caller_and_no_bystander() {
    let words = "libbpf: extern (func ksym) 'bpf_rcu_read_lock': func_proto [6] incompatible with vmlinux [49]\n";
    let mut evidence = refused(22, words);
    let mut caller = rejected("tp_btf/x", "tracing", 22, "");
    caller.kfuncs = vec!["bpf_rcu_read_lock".into()];
    caller.load.libbpf = Log::bounded(words);
    let mut other = rejected("tp_btf/y", "tracing", 22, "");
    other.load.libbpf = Log::bounded(words);
    evidence.programs = vec![other, caller];
    evidence.features = vec![feature(FeatureKind::Kfunc, "bpf_rcu_read_lock", None, true)];
    fails(&evidence, Code::KfuncMismatch);
    let programs = judge(&evidence, false).programs;
    assert!(programs[0].is_none() && programs[1].is_some());
}

#[test]
fn a_missing_variable_is_the_reason_and_not_what_its_absence_does_to_the_copy() {
    let mut evidence = refused(
        22,
        "libbpf: extern (var ksym) 'no_such_variable': not found in kernel BTF\n",
    );
    let log = "3: (61) r0 = *(u32 *)(r1 +0)\nR1 invalid mem access 'scalar'\nprocessed 4 insns\n";
    evidence.programs = vec![
        program("raw_tp/y", "raw_tracepoint"),
        rejected("raw_tp/x", "raw_tracepoint", 13, log),
    ];
    let found = fails(&evidence, Code::MissingKfunc);
    assert!(found.headline.contains("no_such_variable"));
    assert!(judge(&evidence, false).programs[0].is_none());
}

#[test]
fn options_that_are_off_are_named() {
    let mut evidence = refused(
        3,
        "libbpf: extern 'CONFIG_FUNCTION_ERROR_INJECTION' (strong): not resolved\n",
    );
    evidence
        .guest
        .config
        .insert("FUNCTION_ERROR_INJECTION".into(), "n".into());
    let found = fails(&evidence, Code::MissingKernelConfig);
    assert!(
        found
            .headline
            .starts_with("`CONFIG_FUNCTION_ERROR_INJECTION` is off")
    );
}

#[test]
fn a_guest_without_a_configuration_is_no_answer() {
    let fault = errs(&refused(22, "libbpf: failed to open system Kconfig\n"));
    assert!(fault.headline.contains("/boot/config-6.1.0-56-amd64"));
}

#[test]
fn a_release_candidate_whose_version_libbpf_cannot_read_says_so() {
    let mut evidence = refused(
        22,
        "libbpf: extern (kcfg) 'LINUX_KERNEL_VERSION': failed to get kernel version\n",
    );
    evidence.guest.release = "7.3-cloud-amd64".into();
    let found = fails(&evidence, Code::LoaderContract);
    assert!(found.headline.contains("7.3-cloud-amd64"));
    assert!(found.hints.iter().any(|hint| hint.contains(".rodata")));
}
