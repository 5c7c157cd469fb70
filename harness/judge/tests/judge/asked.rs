//! What a program asks of the kernel that has no sentence of the verifier.

use crate::hand::{alone, fails, rejected, told, untold};
use ukci_schema::diagnosis::Code;

#[test]
fn a_function_that_trampolines_call_takes_no_tracing_program() {
    let on = |target: &str, kind: &str| {
        let mut program = rejected(&format!("fentry/{target}"), kind, 22, "");
        program.target = Some(target.into());
        alone(22, program)
    };
    let found = fails(&on("migrate_disable", "tracing"), Code::VerifierRejection);
    told(
        &found,
        &["onto `migrate_disable`", "such as one that calls it"],
    );
    // Another function that is refused without a word, and another type of program.
    fails(&on("vfs_read", "tracing"), Code::Unclassified);
    fails(&on("migrate_disable", "kprobe"), Code::Unclassified);
}

#[test]
fn a_function_that_may_not_sleep_is_no_matter_of_an_option() {
    let sleeping = |target: &str| {
        let log = format!("{target} is not sleepable\nprocessed 0 insns\n");
        let mut program = rejected(&format!("fentry.s/{target}"), "tracing", 22, &log);
        program.target = Some(target.into());
        let mut evidence = alone(22, program);
        let config = &mut evidence.guest.config;
        config.insert("FUNCTION_ERROR_INJECTION".into(), "n".into());
        evidence
    };
    let found = fails(&sleeping("do_nanosleep"), Code::VerifierRejection);
    told(&found, &["`do_nanosleep` is not among them"]);
    untold(&found, &["7.1", "CONFIG_"]);
    // System calls are, with the option.
    let found = fails(&sleeping("__x64_sys_execve"), Code::MissingKernelConfig);
    told(&found, &["CONFIG_FUNCTION_ERROR_INJECTION", "7.1"]);
}

#[test]
fn a_kfunc_that_sleeps_is_told_as_that() {
    let log = "6: (85) call bpf_arena_alloc_pages#54815\n\
               program must be sleepable to call sleepable kfunc bpf_arena_alloc_pages\nprocessed 7 insns\n";
    let found = fails(
        &alone(13, rejected("xdp", "xdp", 13, log)),
        Code::VerifierRejection,
    );
    told(&found, &["may not sleep, and `bpf_arena_alloc_pages` may"]);
    let other = log
        .replace("sleepable kfunc", "destructive kfunc")
        .replace("be sleepable", "have CAP_SYS_BOOT");
    untold(
        &fails(
            &alone(13, rejected("xdp", "xdp", 13, &other)),
            Code::VerifierRejection,
        ),
        &["may not sleep"],
    );
}
