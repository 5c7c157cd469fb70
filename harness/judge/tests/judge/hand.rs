//! Evidence written by hand, for what no locked kernel shows and for mistakes that must never be
//! made. The texts are those that kernels and libbpf print.

use ukci_judge::judge;
use ukci_schema::diagnosis::{Code, Diagnosis};
use ukci_schema::evidence::{
    AttachOutcome, Evidence, Extern, Feature, FeatureKind, Log, MapEvidence, Mode, ProgramAttach,
    ProgramEvidence, ProgramLoad, Step, StepOutcome, VerifierStats,
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

const MISSING_CALLBACK: &str =
    "number of funcs in func_info doesn't match number of subprogs\nprocessed 0 insns\n";
const NULL_VALUE: &str = "7: (85) call bpf_map_lookup_elem#1\n8: (79) r1 = *(u64 *)(r0 +0)\n\
                          R0 invalid mem access 'map_value_or_null'\nprocessed 8 insns\n";

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

fn caller_of_bpf_loop(log: &str) -> Evidence {
    let mut caller = rejected("kprobe/x", "kprobe", 22, log);
    caller.helpers = vec!["bpf_map_lookup_elem".into(), "bpf_loop".into()];
    let mut evidence = alone(22, caller);
    evidence.features = vec![
        feature(FeatureKind::Helper, "bpf_map_lookup_elem", None, true),
        feature(FeatureKind::Helper, "bpf_loop", None, false),
        feature(FeatureKind::Helper, "bpf_loop", Some("kprobe"), false),
    ];
    evidence
}

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
fn eperm_without_a_policy_is_a_capability() {
    fails(
        &alone(1, rejected("kprobe/x", "kprobe", 1, "")),
        Code::CapabilityFailure,
    );
    let trivial = "libbpf: Error in bpf_object__probe_loading(): -EPERM. Couldn't load trivial BPF \
                   program. Make sure your kernel supports BPF (CONFIG_BPF_SYSCALL=y) and/or that \
                   RLIMIT_MEMLOCK is set to big enough value.\n";
    fails(&refused(1, trivial), Code::CapabilityFailure);
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

// The failures of the field that the locked amd64 kernels do not show.

#[test]
fn callbacks_with_the_jit_off_name_the_sysctl() {
    let log = "callbacks are not allowed in non-JITed programs\nprocessed 42321 insns\n";
    let mut evidence = alone(22, rejected("kprobe/x", "kprobe", 22, log));
    evidence.guest.jit = Some("0".into());
    let found = fails(&evidence, Code::MissingKernelConfig);
    assert!(found.headline.contains("bpf_jit_enable=0") && found.hints[0].contains("sysctl"));
}

#[test]
fn fentry_without_direct_calls_names_the_option() {
    let words = "libbpf: prog 'sys_execve': failed to attach: -ENOTSUPP\n";
    let mut evidence = attaching(unattached(
        "fentry/__arm64_sys_execve",
        "tracing",
        524,
        words,
    ));
    evidence.guest.machine = "aarch64".into();
    evidence
        .guest
        .config
        .insert("DYNAMIC_FTRACE_WITH_DIRECT_CALLS".into(), "n".into());
    let found = fails(&evidence, Code::MissingKernelConfig);
    assert!(
        found
            .headline
            .contains("CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS")
    );
    assert!(found.headline.contains("ENOTSUPP") && found.hints[0].contains("6.4"));
}

#[test]
fn a_kprobe_on_an_ftrace_location_names_the_option() {
    let words =
        "libbpf: prog 'x': failed to create kprobe '__riscv_sys_execve+0x0' perf event: -EINVAL\n";
    let mut evidence = attaching(unattached("kprobe/__riscv_sys_execve", "kprobe", 22, words));
    evidence.guest.machine = "riscv64".into();
    evidence
        .guest
        .config
        .insert("KPROBES_ON_FTRACE".into(), "n".into());
    evidence.features = vec![feature(
        FeatureKind::Target,
        "__riscv_sys_execve",
        None,
        true,
    )];
    assert!(
        fails(&evidence, Code::MissingKernelConfig)
            .headline
            .contains("CONFIG_KPROBES_ON_FTRACE")
    );
}

#[test]
fn a_system_call_by_the_wrong_name_hears_the_right_one() {
    let words =
        "libbpf: prog 'x': failed to create kprobe '__se_sys_execve+0x0' perf event: -ENOENT\n";
    for (machine, name) in [
        ("x86_64", "__x64_sys_execve"),
        ("aarch64", "__arm64_sys_execve"),
        ("riscv64", "__riscv_sys_execve"),
    ] {
        let mut evidence = attaching(unattached("kprobe/__se_sys_execve", "kprobe", 2, words));
        evidence.guest.machine = machine.into();
        evidence.features = vec![feature(FeatureKind::Target, "__se_sys_execve", None, false)];
        let found = fails(&evidence, Code::AttachTargetMissing);
        assert!(found.hints[0].contains(name), "{:?}", found.hints);
    }
}

#[test]
fn a_kernel_without_32_bit_system_calls_names_the_option() {
    let words = "libbpf: prog 'x': failed to create kprobe '__ia32_compat_sys_execve+0x0' perf event: -ENOENT\n";
    let mut evidence = attaching(unattached(
        "kprobe/__ia32_compat_sys_execve",
        "kprobe",
        2,
        words,
    ));
    evidence
        .guest
        .config
        .insert("IA32_EMULATION".into(), "n".into());
    let found = fails(&evidence, Code::AttachTargetMissing);
    assert!(
        found.hints[0].contains("CONFIG_IA32_EMULATION"),
        "{:?}",
        found.hints
    );
}

#[test]
fn sleepable_fentry_without_error_injection_names_the_option() {
    let log = "__x64_sys_execve is not sleepable\nprocessed 0 insns\n";
    let mut evidence = alone(
        22,
        rejected("fentry.s/__x64_sys_execve", "tracing", 22, log),
    );
    evidence
        .guest
        .config
        .insert("FUNCTION_ERROR_INJECTION".into(), "n".into());
    fails(&evidence, Code::MissingKernelConfig);
    // An LSM hook that may not sleep is another matter.
    evidence.programs = vec![rejected(
        "lsm.s/file_open",
        "lsm",
        22,
        "bpf_lsm_file_open is not sleepable\n",
    )];
    fails(&evidence, Code::VerifierRejection);
}

/// What libbpf said of objects that packages ship; `ukci/tests/foreign.rs` has the objects.
#[test]
fn objects_that_libbpf_does_not_open_say_what_is_wrong_with_them() {
    let cases = [
        (
            "libbpf: elf: skipping unrecognized data section(5) lirc_mode2/maps\n\
             libbpf: prog 'bpf_decoder': bad map relo against 'decoder_state_map' in section \
             'lirc_mode2/maps'",
            Code::LoaderContract,
            "`decoder_state_map` in section `lirc_mode2/maps`",
        ),
        (
            "libbpf: prog 'p': bad map relo against 'tcpsock' in section 'maps/tcpsock'",
            Code::LoaderContract,
            "`tcpsock` in section `maps/tcpsock`",
        ),
        // In `.maps` it is damage, and no other loader's habit.
        (
            "libbpf: prog 'p': bad map relo against 'm' in section '.maps'",
            Code::InvalidObject,
            "bad map relo against 'm'",
        ),
        (
            "libbpf: sec 'static': program 'static_fn' is static and not supported",
            Code::LoaderContract,
            "`static_fn` in section `static`",
        ),
        (
            "libbpf: failed to find BTF for extern 'fwd': -2",
            Code::InvalidObject,
            "an extern `fwd`",
        ),
    ];
    for (said, code, words) in cases {
        let evidence = Evidence {
            open: step(StepOutcome::Refused, Some(22)),
            load: Step::default(),
            log: Log::bounded(said),
            ..good()
        };
        let found = fails(&evidence, code);
        assert!(found.headline.contains(words), "{}", found.headline);
    }
}

#[test]
fn fmod_ret_of_a_system_call_without_error_injection_names_the_option() {
    let log = "__x64_sys_nanosleep() is not modifiable\nprocessed 0 insns\n";
    let refused = |log| rejected("fmod_ret/__x64_sys_nanosleep", "tracing", 22, log);
    let mut evidence = alone(22, refused(log));
    fails(&evidence, Code::VerifierRejection);
    let off = ("FUNCTION_ERROR_INJECTION".into(), "n".into());
    evidence.guest.config.extend([off]);
    let found = fails(&evidence, Code::MissingKernelConfig);
    assert!(found.headline.contains("CONFIG_FUNCTION_ERROR_INJECTION"));
    // No option makes any other function's result modifiable.
    evidence.programs = vec![refused("vfs_read() is not modifiable\n")];
    fails(&evidence, Code::VerifierRejection);
}

#[test]
fn limits_are_known_by_errno_and_by_words() {
    let too_large = "999999: (07) r1 += 1\nBPF program is too large. Processed 1000001 insn\n";
    let mut evidence = alone(7, rejected("raw_tp/x", "raw_tracepoint", 7, too_large));
    evidence.programs[0].load.verifier = Some(VerifierStats {
        insns: 1_000_001,
        limit: 1_000_000,
        ..VerifierStats::default()
    });
    assert!(
        fails(&evidence, Code::VerifierLimit)
            .headline
            .contains("1000001")
    );
    let jumps = "The sequence of 8193 jumps is too complex.\n";
    fails(
        &alone(14, rejected("raw_tp/x", "raw_tracepoint", 14, jumps)),
        Code::VerifierLimit,
    );
}

#[test]
fn a_license_is_named_with_what_needs_it() {
    let log = "3: (85) call bpf_probe_read_kernel#113\n\
               cannot call GPL-restricted function from non-GPL compatible program\n";
    let mut evidence = alone(22, rejected("kprobe/x", "kprobe", 22, log));
    evidence.object.license = Some("Proprietary".into());
    let found = fails(&evidence, Code::LicenseRequired);
    assert!(
        found.headline.contains("bpf_probe_read_kernel") && found.headline.contains("Proprietary")
    );
}

// Attachments.

#[test]
fn an_lsm_program_that_is_never_called_fails_and_one_that_fired_does_not() {
    let mut program = program("lsm/file_open", "lsm");
    program.attach.outcome = AttachOutcome::Attached;
    program.attach.fired = Some(0);
    let mut evidence = attaching(program);
    assert_eq!(
        judge(&evidence, false).verdict,
        Verdict::Pass,
        "`bpf` is active here"
    );
    evidence.guest.lsm = Some(vec!["lockdown".into(), "apparmor".into()]);
    let found = fails(&evidence, Code::LsmInactive);
    assert!(found.hints[0].contains("lsm=lockdown,apparmor,bpf"));
    evidence.programs[0].attach.fired = Some(3);
    assert_eq!(
        judge(&evidence, false).verdict,
        Verdict::Pass,
        "the kernel ran it"
    );
}

#[test]
fn an_attach_type_is_unknown_only_to_kernels_before_it() {
    let mut refused = unattached(
        "kprobe.multi/vfs_*",
        "kprobe",
        22,
        "libbpf: prog 'prog': failed to attach: -EINVAL\n",
    );
    refused.attach_type = Some("trace_kprobe_multi".into());
    let mut evidence = attaching(refused);
    evidence.guest.release = "5.10.0-46-amd64".into();
    evidence.guest.config.insert("FPROBE".into(), "n".into());
    let found = fails(&evidence, Code::UnsupportedAttachType);
    assert!(found.headline.contains("trace_kprobe_multi") && found.headline.contains("5.18"));
    evidence.guest.release = "6.1.0-56-amd64".into();
    assert!(
        fails(&evidence, Code::MissingKernelConfig)
            .headline
            .contains("CONFIG_FPROBE")
    );
    evidence.guest.config.insert("FPROBE".into(), "y".into());
    fails(&evidence, Code::AttachRefused);
    // A vendor's 5.14 may well have what came with 5.18: its own list decides.
    evidence.guest.release = "5.14.0-503.el9.x86_64".into();
    evidence.features = vec![feature(
        FeatureKind::AttachType,
        "trace_kprobe_multi",
        None,
        true,
    )];
    fails(&evidence, Code::AttachRefused);
    evidence.features[0].present = Some(false);
    fails(&evidence, Code::UnsupportedAttachType);
}

/// Whether the option or the target is missed first is chance: without the option there is no
/// attachment of the kind, whatever the target.
#[test]
fn a_kind_of_attachment_that_is_off_goes_before_a_target_that_is_missing() {
    let mut refused = unattached("kprobe.multi/no_such_function", "kprobe", 2, "");
    refused.target = Some("no_such_function".into());
    let mut evidence = attaching(refused);
    evidence.features = vec![feature(
        FeatureKind::Target,
        "no_such_function",
        None,
        false,
    )];
    fails(&evidence, Code::AttachTargetMissing);
    evidence.guest.config.insert("FPROBE".into(), "n".into());
    let found = fails(&evidence, Code::MissingKernelConfig);
    assert!(
        found
            .hints
            .iter()
            .any(|hint| hint.contains("no_such_function"))
    );
}

/// 6.12 takes a sleepable `fsession` for a kind of tracing program that cannot sleep.
#[test]
fn a_sleepable_program_of_an_unknown_attach_type_is_no_matter_of_sleep() {
    let sentence = "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be \
                    sleepable\nprocessed 0 insns\n";
    let mut program = rejected("fsession.s/bpf_fentry_test1", "tracing", 22, sentence);
    program.attach_type = Some("trace_fsession".into());
    let mut evidence = alone(22, program);
    evidence.guest.release = "6.12.107+deb13-amd64".into();
    fails(&evidence, Code::UnsupportedAttachType);
    // Of a type that the kernel knows it is what it says.
    let mut program = rejected("kprobe.s/x", "kprobe", 22, sentence);
    program.attach_type = Some("trace_uprobe_multi".into());
    let mut evidence = alone(22, program);
    evidence.guest.release = "5.10.0-46-amd64".into();
    fails(&evidence, Code::VerifierRejection);
}

#[test]
fn each_program_is_blamed_for_its_own_missing_extern() {
    let reads = |name: &str, extern_: &str| {
        let mut program = rejected("raw_tp/sched_switch", "raw_tracepoint", 3, "");
        program.name = name.into();
        let words = format!("libbpf: extern '{extern_}' (strong): not resolved\n");
        program.load.libbpf = Log::bounded(&words);
        program.load.isolated = true;
        program
    };
    let mut evidence = alone(3, reads("one", "CONFIG_ONE"));
    evidence.programs.push(reads("two", "CONFIG_TWO"));
    evidence.programs.push(reads("three", "no_such_variable"));
    // The whole stopped over something else.
    evidence.log =
        Log::bounded("libbpf: extern (func ksym) 'bpf_none': not found in kernel or module BTFs\n");
    let found = judge(&evidence, false).programs;
    let said: Vec<_> = (found.iter().flatten())
        .map(|found| (found.code, found.headline.as_str()))
        .collect();
    assert_eq!(said.len(), 3, "{said:?}");
    for ((code, headline), (expected, word)) in said.iter().zip([
        (Code::MissingKernelConfig, "CONFIG_ONE"),
        (Code::MissingKernelConfig, "CONFIG_TWO"),
        (Code::MissingKfunc, "no_such_variable"),
    ]) {
        assert_eq!(*code, expected, "{headline}");
        assert!(headline.contains(word), "{headline}");
    }
}

#[test]
fn a_function_that_exists_and_may_not_be_probed_is_no_missing_target() {
    let words = "libbpf: prog 'prog': failed to create kprobe 'kprobe_int3_handler+0x0' perf event: -EINVAL\n";
    let mut evidence = attaching(unattached(
        "kprobe/kprobe_int3_handler",
        "kprobe",
        22,
        words,
    ));
    evidence.features = vec![feature(
        FeatureKind::Target,
        "kprobe_int3_handler",
        None,
        true,
    )];
    evidence
        .guest
        .config
        .insert("KPROBES_ON_FTRACE".into(), "y".into());
    assert!(
        fails(&evidence, Code::AttachRefused)
            .headline
            .contains("EINVAL")
    );
}

// What nobody knows.

#[test]
fn a_silent_refusal_is_unclassified_and_says_so() {
    let found = fails(
        &alone(22, rejected("kprobe/x", "kprobe", 22, "")),
        Code::Unclassified,
    );
    assert!(found.headline.contains("EINVAL") && found.hints[0].contains("report"));
}
