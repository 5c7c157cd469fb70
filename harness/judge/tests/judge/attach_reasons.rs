//! Reasons of refused attachments that an errno or one line of a log suggests wrongly: each with an
//! input near it that is what was suggested.

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{
    AttachOutcome, Evidence, Feature, FeatureKind, Module, ProgramAttach, StructOpsEvidence,
};
use ukci_schema::verdict::Verdict;

use crate::hand::{attaching, fails, feature, program, rejected, told, unattached, untold};

const EACCES: i32 = 13;
const EILSEQ: i32 = 84;
const EINVAL: i32 = 22;
const ENOENT: i32 = 2;
const ENOTSUPP: i32 = 524;
const EOPNOTSUPP: i32 = 95;

fn site(name: &str, present: bool) -> Feature {
    feature(FeatureKind::FtraceSite, name, None, present)
}

/// What 5.10 logs of a probe behind the end of a function that it can probe.
#[test]
fn a_line_of_the_log_about_a_function_with_a_site_is_about_the_offset() {
    let refused = |section: &str, errno| {
        let mut evidence = attaching(unattached(section, "kprobe", errno, ""));
        evidence.programs[0].target = Some("vfs_read".into());
        evidence.features = vec![site("vfs_read", true)];
        evidence.kmsg = vec!["trace_kprobe: Could not probe notrace function vfs_read".into()];
        evidence
    };
    let beyond = fails(
        &refused("kprobe/vfs_read+0x100000", EINVAL),
        Code::AttachRefused,
    );
    told(
        &beyond,
        &[
            "at `vfs_read+0x100000` is no function",
            "shorter than the offset",
        ],
    );
    untold(&beyond, &["has no ftrace site", "inlined"]);
    let between = fails(&refused("kprobe/vfs_read+3", EILSEQ), Code::AttachRefused);
    told(
        &between,
        &["no instruction of this kernel begins at `vfs_read+3`"],
    );
    untold(&between, &["has no ftrace site"]);
    let mut without = refused("kprobe/vfs_read", EINVAL);
    without.features = Vec::new();
    told(
        &fails(&without, Code::AttachRefused),
        &["`vfs_read` has no ftrace site"],
    );
}

/// fprobes are put into ftrace sites: the blacklist of kprobes says nothing of them.
#[test]
fn a_probe_of_many_functions_is_not_held_against_the_blacklist() {
    let refused = |section: &str| {
        let mut evidence = attaching(unattached(section, "kprobe", ENOENT, ""));
        evidence.features = vec![
            site("exc_int3", false),
            feature(FeatureKind::KprobeSite, "exc_int3", None, false),
            feature(FeatureKind::Target, "exc_int3", None, true),
        ];
        evidence.programs[0].target = Some("exc_int3".into());
        fails(&evidence, Code::AttachRefused)
    };
    let many = refused("kprobe.multi/exc_int3");
    told(&many, &["`exc_int3` has no ftrace site"]);
    untold(&many, &["blacklist"]);
    told(
        &refused("kprobe/exc_int3"),
        &["it is in `kprobes/blacklist`"],
    );
}

/// 5.10 has no option FPROBE that anybody could switch on.
#[test]
fn an_option_is_not_asked_of_a_release_that_has_none() {
    let refused = |release: &str, knows: bool| {
        let mut program = unattached("kprobe.multi/vfs_x*", "kprobe", ENOENT, "");
        program.attach_type = Some("trace_kprobe_multi".into());
        let mut evidence = attaching(program);
        evidence.guest.release = release.into();
        evidence.guest.config.insert("FPROBE".into(), "n".into());
        let known = feature(FeatureKind::AttachType, "trace_kprobe_multi", None, knows);
        evidence.features = vec![known];
        evidence
    };
    let old = fails(
        &refused("5.10.0-46-amd64", false),
        Code::UnsupportedAttachType,
    );
    told(&old, &["`trace_kprobe_multi` (mainline 5.18)"]);
    untold(&old, &["FPROBE"]);
    let off = fails(&refused("6.1.0-56-amd64", true), Code::MissingKernelConfig);
    told(&off, &["CONFIG_FPROBE"]);
}

/// EACCES of other hooks has nothing to do with lockdown.
#[test]
fn lockdown_forbids_only_what_needs_tracefs_or_perf_events() {
    let refused = |section: &str, kind: &str| {
        let mut evidence = attaching(unattached(section, kind, EACCES, ""));
        evidence.guest.lockdown = Some("confidentiality".into());
        evidence
    };
    fails(&refused("kprobe/vfs_read", "kprobe"), Code::PolicyDenied);
    let socket = fails(&refused("sk_lookup", "sk_lookup"), Code::AttachRefused);
    untold(&socket, &["lockdown", "fentry"]);
}

/// "Attach in an older way" where there is none.
#[test]
fn an_attach_type_without_an_older_way_is_switched_off() {
    let refused = |section: &str, name: &str| {
        let mut program = unattached(section, "cgroup_sock_addr", EINVAL, "");
        program.attach_type = Some(name.into());
        let mut evidence = attaching(program);
        evidence.features = vec![feature(FeatureKind::AttachType, name, None, false)];
        fails(&evidence, Code::UnsupportedAttachType)
    };
    let unix = refused("cgroup/connect_unix", "cgroup_unix_connect");
    told(
        &unix,
        &["the LSM hook or to the function of `AF_UNIX` sockets"],
    );
    let migrate = refused("sk_reuseport/migrate", "sk_reuseport_select_or_migrate");
    told(&migrate, &["attach as `sk_reuseport`"]);
    let verdict = refused("sk_skb/verdict", "sk_skb_verdict");
    told(&verdict, &["sk_skb/stream_verdict"]);
    untold(&verdict, &["older way"]);
}

#[test]
fn a_missing_iterator_is_told_with_its_release_and_without_another_target() {
    let refused = |section: &str, name: &str| {
        let mut evidence = attaching(unattached(section, "tracing", ENOENT, ""));
        evidence.features = vec![feature(FeatureKind::Target, name, None, false)];
        fails(&evidence, Code::AttachTargetMissing)
    };
    let found = refused("iter/kmem_cache", "kmem_cache");
    told(
        &found,
        &[
            "iterator `kmem_cache` (mainline 6.13)",
            "switch the program off",
        ],
    );
    untold(&found, &["set_attach_target"]);
}

/// libbpf takes `MODULE:FUNCTION` where it looks into BTF, and a plain name in a kprobe's section.
#[test]
fn a_kprobe_names_no_module() {
    let name = "nf_conntrack:nf_ct_delete";
    let refused = |hook: &str, kind: &str| {
        let mut evidence = attaching(unattached(&format!("{hook}/{name}"), kind, ENOENT, ""));
        evidence.features = vec![feature(FeatureKind::Target, name, None, false)];
        fails(&evidence, Code::AttachTargetMissing)
    };
    let words = [
        "`SEC(\"kprobe/nf_ct_delete\")`",
        "once `nf_conntrack` is loaded",
    ];
    told(&refused("kprobe", "kprobe"), &words);
    untold(&refused("fentry", "tracing"), &words);
}

/// Debian's 5.10 loads the module and has no BTF of it.
#[test]
fn a_tracepoint_of_a_module_without_btf_is_told_as_that() {
    let mut program = rejected("tp_btf/xfs_read_agf", "tracing", 3, "");
    program.target = Some("xfs_read_agf".into());
    let mut evidence = crate::hand::refused(
        3,
        "libbpf: prog 'prog': failed to find kernel BTF type ID of 'xfs_read_agf': -ESRCH\n",
    );
    evidence.programs = vec![program];
    evidence.guest.modules = vec![Module {
        name: "xfs".into(),
        wanted_for: vec!["xfs_read_agf".into()],
        ..Module::default()
    }];
    evidence.features = vec![Feature {
        detail: Some(Feature::SYMBOL_WITHOUT_BTF.into()),
        ..feature(FeatureKind::Target, "xfs_read_agf", None, false)
    }];
    let found = fails(&evidence, Code::MissingBtf);
    told(
        &found,
        &[
            "module `xfs` has the tracepoint `xfs_read_agf` and no BTF",
            "`raw_tp` or `tp`",
        ],
    );
    untold(&found, &["kprobe"]);
}

fn scheduler(kmsg: &[&str], programs: &[&str]) -> Evidence {
    let mut member = program("struct_ops.s/init", "struct_ops");
    member.attach.outcome = AttachOutcome::Attached;
    let mut evidence = Evidence {
        struct_ops: vec![StructOpsEvidence {
            map: "so".into(),
            operations: "sched_ext_ops".into(),
            programs: programs.iter().map(|&name| name.into()).collect(),
            values: [("name".to_owned(), "tiny".to_owned())].into(),
            attach: ProgramAttach {
                outcome: AttachOutcome::Attached,
                ..ProgramAttach::default()
            },
        }],
        ..attaching(member)
    };
    evidence.kmsg = kmsg.iter().map(|&line| line.to_owned()).collect();
    evidence
}

/// 6.12 and later answer success where `init` fails, and say so in the log.
#[test]
fn a_scheduler_that_the_kernel_disabled_by_itself_is_no_pass() {
    let lines = [
        "sched_ext: BPF scheduler \"tiny\" disabled (runtime error)",
        "sched_ext: tiny: ops.init() failed (-22)",
    ];
    for programs in [&["prog"][..], &[]] {
        let found = fails(&scheduler(&lines, programs), Code::AttachRefused);
        told(
            &found,
            &["`so`", "runtime error", "ops.init() failed (-22)"],
        );
    }
    let ended = ["sched_ext: BPF scheduler \"tiny\" disabled (unregistered from user space)"];
    let other = ["sched_ext: BPF scheduler \"tiny2\" disabled (runtime error)"];
    for lines in [&ended[..], &other, &[]] {
        let judged = ukci_judge::judge(&scheduler(lines, &["prog"]), false);
        assert_eq!(judged.verdict, Verdict::Pass, "{lines:?}");
    }
}

/// An attach type of tcx on a kernel that knows it: the refusal has another reason.
#[test]
fn an_attach_type_that_the_kernel_knows_is_not_blamed() {
    let mut program = unattached("tcx/ingress", "sched_cls", EOPNOTSUPP, "");
    program.attach_type = Some("tcx_ingress".into());
    let mut evidence = attaching(program);
    evidence.guest.release = "5.10.0-46-amd64".into();
    evidence.features = vec![feature(FeatureKind::AttachType, "tcx_ingress", None, true)];
    fails(&evidence, Code::AttachRefused);
    evidence.features[0].present = Some(false);
    evidence.programs[0].attach.errno = Some(ENOTSUPP);
    fails(&evidence, Code::UnsupportedAttachType);
}

/// Kernels of one's own: the option that is off is the reason, and nothing that is missing because of it.
#[test]
fn an_option_that_is_off_is_named_before_what_is_missing_for_it() {
    let refused = |section: &str, kind: &str, errno, off: &str| {
        let mut evidence = attaching(unattached(section, kind, errno, ""));
        evidence.guest.config.insert(off.into(), "n".into());
        evidence
    };
    for (section, kind, errno, option) in [
        ("kprobe/vfs_read", "kprobe", ENOENT, "KPROBE_EVENTS"),
        ("cgroup_skb/egress", "cgroup_skb", EINVAL, "CGROUP_BPF"),
        ("sockops", "sock_ops", EINVAL, "CGROUP_BPF"),
        ("fentry/vfs_read", "tracing", ENOTSUPP, "BPF_JIT"),
        (
            "tp/syscalls/sys_enter_read",
            "tracepoint",
            ENOENT,
            "FTRACE_SYSCALLS",
        ),
    ] {
        let found = fails(
            &refused(section, kind, errno, option),
            Code::MissingKernelConfig,
        );
        told(&found, &[&format!("CONFIG_{option}")]);
        let on = refused(section, kind, errno, "NOTHING");
        let judged = ukci_judge::judge(&on, false);
        let Verdict::Fail { diagnosis } = judged.verdict else {
            panic!("{section}");
        };
        assert_ne!(diagnosis.code, Code::MissingKernelConfig, "{section}");
    }
    let many = refused("kprobe.multi/vfs_read", "kprobe", ENOENT, "KPROBE_EVENTS");
    fails(&many, Code::AttachTargetMissing);
    let other = refused("tp/sched/x", "tracepoint", ENOENT, "FTRACE_SYSCALLS");
    fails(&other, Code::AttachTargetMissing);
}

/// `bpf_program__set_attach_target` looks into BTF: of a kprobe it breaks the load.
#[test]
fn a_loader_chooses_the_target_with_the_call_that_fits_the_program() {
    for (section, kind, call) in [
        ("kprobe/gone", "kprobe", "attach_kprobe`"),
        (
            "kretprobe.multi/gone",
            "kprobe",
            "attach_kprobe_multi_opts`",
        ),
        ("tp/a/gone", "tracepoint", "attach_tracepoint`"),
        ("raw_tp/gone", "raw_tracepoint", "attach_raw_tracepoint`"),
        ("fentry/gone", "tracing", "set_attach_target`"),
        ("lsm/gone", "lsm", "set_attach_target`"),
    ] {
        let program = unattached(section, kind, ENOENT, "");
        let target = program.target.clone().unwrap();
        let mut evidence = attaching(program);
        evidence.features = vec![feature(FeatureKind::Target, &target, None, false)];
        let found = fails(&evidence, Code::AttachTargetMissing);
        told(&found, &[&format!("`bpf_program__{call}")]);
    }
}

#[test]
fn a_section_that_ends_before_its_target_is_the_loaders() {
    let mut evidence = crate::hand::refused(
        3,
        "libbpf: prog 'prog': failed to find kernel BTF type ID of '': -ESRCH\n",
    );
    evidence.programs = vec![rejected("fentry/", "tracing", 3, "")];
    evidence.features = vec![feature(FeatureKind::Target, "", None, false)];
    let found = fails(&evidence, Code::LoaderContract);
    told(&found, &["`fentry/` of `prog` names no target"]);
}

#[test]
fn a_kretprobe_has_no_offset() {
    let libbpf = "libbpf: prog 'prog': kretprobes do not support offset specification\n";
    let evidence = attaching(unattached("kretprobe/vfs_read+8", "kprobe", EINVAL, libbpf));
    let found = fails(&evidence, Code::LoaderContract);
    told(&found, &["leave out the offset"]);
}

/// The values that the kernel takes of a congestion control are few.
#[test]
fn a_value_that_a_congestion_control_may_not_set_is_named() {
    let refused = |member: &str, value: &str| {
        let mut evidence = attaching(program("xdp", "xdp"));
        evidence.programs[0].attach.outcome = AttachOutcome::Attached;
        let values = [
            (member, value),
            ("name", "tiny"),
            ("ssthresh", "a"),
            ("undo_cwnd", "b"),
        ];
        let values = values.iter().chain(&[("cong_avoid", "c")]);
        evidence.struct_ops = vec![StructOpsEvidence {
            map: "cc".into(),
            operations: "tcp_congestion_ops".into(),
            programs: Vec::new(),
            values: values
                .map(|&(name, value)| (name.into(), value.into()))
                .collect(),
            attach: ProgramAttach {
                outcome: AttachOutcome::Refused,
                errno: Some(EINVAL),
                ..ProgramAttach::default()
            },
        }];
        fails(&evidence, Code::AttachRefused)
    };
    told(&refused("flags", "128"), &["its `flags` has bits", "0x80"]);
    told(&refused("key", "77"), &["its `key` is 77"]);
    untold(&refused("flags", "2"), &["has bits"]);
}
