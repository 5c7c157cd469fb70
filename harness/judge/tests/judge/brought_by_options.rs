//! What an option of the kernel's configuration brings, by hand.

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Evidence, Extern, FeatureKind};

use crate::hand::{alone, fails, feature, rejected, told, untold};

fn caller_of(kfunc: &str, release: &str, option: Option<(&str, &str)>) -> Evidence {
    let log =
        format!("1: <invalid kfunc call>\nkfunc '{kfunc}' is referenced but wasn't resolved\n");
    let mut caller = rejected("syscall", "syscall", 22, &log);
    caller.kfuncs = vec![kfunc.into()];
    let mut evidence = alone(22, caller);
    evidence.guest.release = release.into();
    evidence.object.externs = vec![Extern {
        name: kfunc.into(),
        kind: "kfunc".into(),
        weak: false,
    }];
    evidence.features = vec![feature(FeatureKind::Kfunc, kfunc, None, false)];
    if let Some((option, value)) = option {
        evidence.guest.config.insert(option.into(), value.into());
    }
    evidence
}

/// `scx_bpfland` on Debian 13.
#[test]
fn a_kfunc_behind_an_option_that_is_off_names_the_option_and_no_release() {
    let kfunc = "scx_bpf_dsq_nr_queued";
    let off = Some(("SCHED_CLASS_EXT", "n"));
    let evidence = caller_of(kfunc, "6.12.117-amd64", off);
    let found = fails(&evidence, Code::MissingKernelConfig);
    told(&found, &["CONFIG_SCHED_CLASS_EXT", kfunc]);
    untold(&found, &["6.12"]);
    // A kernel from before it has neither.
    let found = fails(&caller_of(kfunc, "6.1.0-56-amd64", off), Code::MissingKfunc);
    told(&found, &["(mainline 6.12)"]);
    untold(&found, &["CONFIG_"]);
    // With the option on, or unknown, or for a kfunc of no option, nothing is said of one.
    let on = Some(("SCHED_CLASS_EXT", "y"));
    for evidence in [
        caller_of(kfunc, "6.12.117-amd64", on),
        caller_of(kfunc, "6.12.117-amd64", None),
        caller_of("bpf_cpumask_create", "6.12.117-amd64", off),
    ] {
        let found = fails(&evidence, Code::MissingKfunc);
        untold(&found, &["CONFIG_", "mainline"]);
    }
}

#[test]
fn an_option_that_this_release_does_not_have_is_not_asked_for() {
    let of = |release: &str| {
        let mut evidence = alone(22, rejected("netfilter", "netfilter", 22, ""));
        evidence.guest.release = release.into();
        evidence
            .guest
            .config
            .insert("NETFILTER_BPF_LINK".into(), "n".into());
        evidence.features = vec![feature(FeatureKind::ProgramType, "netfilter", None, false)];
        fails(&evidence, Code::UnsupportedProgramType)
    };
    let old = of("5.10.0-46-amd64");
    told(&old, &["(mainline 6.4)"]);
    untold(&old, &["CONFIG_"]);
    let new = of("6.12.117-amd64");
    told(&new, &["CONFIG_NETFILTER_BPF_LINK"]);
    untold(&new, &["mainline"]);
}
