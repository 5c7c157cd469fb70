//! Failures of the field by hand, most of which the locked kernels of x86-64 do not show.

use ukci_judge::judge;
use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{
    AttachOutcome, Evidence, FeatureKind, Log, Step, StepOutcome, VerifierStats,
};
use ukci_schema::verdict::Verdict;

use crate::hand::{alone, attaching, fails, feature, good, program, rejected, step, unattached};

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
