//! Options, instructions and members that were explained by something near them.

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Extern, Feature, FeatureKind, MapEvidence};

use crate::hand::{alone, fails, feature, map, refused, rejected, told, untold};

/// libbpf warns of a string that it cuts, and goes on: the next line is the reason.
#[test]
fn a_string_that_libbpf_cuts_is_no_reason() {
    let warned = "libbpf: extern (kcfg) 'CONFIG_CC_VERSION_TEXT': long string '\"gcc\"' of (5 bytes) \
                  truncated to 3 bytes\n";
    let failed = "libbpf: extern (kcfg) 'CONFIG_HZ': value '250' implies integer type\n";
    let found = fails(
        &refused(22, &format!("{warned}{failed}")),
        Code::MissingKernelConfig,
    );
    told(
        &found,
        &[
            "`CONFIG_HZ`",
            "value '250' implies integer",
            "`extern int CONFIG_HZ __kconfig`",
        ],
    );
    untold(&found, &["CC_VERSION_TEXT"]);
}

#[test]
fn a_value_that_does_not_fit_is_told_with_what_to_declare() {
    let hint = |why: &str| {
        let line = format!("libbpf: extern (kcfg) 'CONFIG_X': {why}\n");
        let found = fails(&refused(22, &line), Code::MissingKernelConfig);
        found.hints.join("\n")
    };
    assert!(hint("value '250' doesn't fit in 1 bytes").contains("a wider type"));
    assert!(hint("value '\"\"' implies char array type").contains("const char CONFIG_X[16]"));
    assert!(hint("value 'm' implies tristate or char type").contains("as a module here"));
    assert!(
        hint("value 'y' implies bool, tristate, or char type").contains("extern bool CONFIG_X")
    );
}

#[test]
fn operations_that_no_kernel_lets_programs_implement_are_not_promised() {
    let words = |name: &str| {
        let line = format!(
            "libbpf: struct_ops init_kern: struct bpf_struct_ops_{name} is not found in kernel BTF\n"
        );
        fails(&refused(2, &line), Code::AttachTargetMissing)
    };
    let files = words("file_operations");
    told(&files, &["lets programs implement these operations"]);
    untold(&files, &["has the struct", "mainline"]);
    told(
        &words("Qdisc_ops"),
        &["(mainline 6.16)", "CONFIG_NET_SCH_BPF"],
    );
}

#[test]
fn a_member_that_may_not_sleep_is_told_to_drop_the_s() {
    let log = "attach to unsupported member enqueue of struct sched_ext_ops\nprocessed 0 insns\n";
    let found = |section: &str| {
        fails(
            &alone(524, rejected(section, "struct_ops", 524, log)),
            Code::VerifierRejection,
        )
    };
    told(&found("struct_ops.s/enqueue"), &["drop `.s`"]);
    let plain = found("struct_ops/enqueue");
    told(&plain, &["leave the member out"]);
    untold(&plain, &["drop `.s`"]);
}

/// The cast of an arena pointer is encoded as a move that extends the sign is.
#[test]
fn the_cast_of_an_arena_pointer_is_no_extension_of_the_sign() {
    let log = "4: (bf) r1 = r1\nBPF_MOV uses reserved fields\nprocessed 4 insns\n";
    let with = |maps: &[&str]| {
        let mut program = rejected("socket", "socket_filter", 22, log);
        program.maps = maps.iter().map(|&name| name.into()).collect();
        let mut evidence = alone(22, program);
        evidence.maps = vec![MapEvidence {
            name: "arena".into(),
            map_type: "arena".into(),
            ..MapEvidence::default()
        }];
        fails(&evidence, Code::VerifierRejection)
    };
    let cast = with(&["arena"]);
    told(&cast, &["the cast of an arena pointer", "mainline 6.9"]);
    untold(&cast, &["extends the sign", "compile with `-mcpu=v3`"]);
    told(
        &with(&[]),
        &["extends the sign", "or casts an arena pointer", "-mcpu=v3"],
    );
}

/// A field that came with a later release, of a struct that one program type alone has.
#[test]
fn no_other_program_type_is_offered_for_a_context_that_only_one_has() {
    let log = "0: (79) r1 = *(u64 *)(r1 +48)\ninvalid bpf_context access off=48 size=8\n";
    let found = |section: &str, kind: &str| {
        fails(
            &alone(13, rejected(section, kind, 13, log)),
            Code::VerifierRejection,
        )
    };
    untold(
        &found("sk_reuseport", "sk_reuseport"),
        &["another program type"],
    );
}

/// A weak kfunc that is called without a test: to declare it weak once more does not help.
#[test]
fn a_weak_kfunc_that_is_called_unguarded_is_told_to_be_tested() {
    let log = "kfunc 'bpf_nothing' is referenced but wasn't resolved\nprocessed 2 insns\n";
    let found = |weak: bool| {
        let mut program = rejected("tc", "sched_cls", 22, log);
        program.kfuncs = vec!["bpf_nothing".into()];
        let mut evidence = alone(22, program);
        evidence.object.externs = vec![Extern {
            name: "bpf_nothing".into(),
            kind: "kfunc".into(),
            weak,
        }];
        evidence.features = vec![feature(FeatureKind::Kfunc, "bpf_nothing", None, false)];
        fails(&evidence, Code::MissingKfunc)
    };
    let weak = found(true);
    told(&weak, &["it is declared `__weak`, and no test keeps"]);
    untold(&weak, &["declare it `__weak` and test"]);
    told(&found(false), &["declare it `__weak` and test"]);
}

/// `fexit/vfs_read` reads far behind the returned value: the function is no candidate for one that
/// returns nothing.
#[test]
fn an_argument_behind_the_returned_value_is_told_with_their_number() {
    let log = "func 'vfs_read' doesn't have 6-th argument\n\
               invalid bpf_context access off=40 size=8\nprocessed 1 insns\n";
    let found = |log: &str| {
        let program = rejected("fexit/vfs_read", "tracing", 13, log);
        let mut evidence = alone(13, program);
        evidence.features = vec![Feature {
            detail: Some(format!("4{}", Feature::ARGUMENTS)),
            ..feature(FeatureKind::Target, "vfs_read", None, true)
        }];
        fails(&evidence, Code::VerifierRejection)
    };
    let beyond = found(log);
    told(
        &beyond,
        &["`vfs_read` has 4 arguments here", "follows as number 5"],
    );
    untold(&beyond, &["returns nothing"]);
    let fifth = log.replace("6-th", "5-th").replace("off=40", "off=32");
    told(
        &found(&fifth),
        &["`vfs_read` returns nothing in this kernel"],
    );
}

#[test]
fn two_cgroup_storages_of_a_type_are_told_to_be_one() {
    let log = "only one cgroup storage of each type is allowed\nprocessed 0 insns\n";
    let program = rejected("cgroup_skb/egress", "cgroup_skb", 16, log);
    let found = fails(&alone(16, program), Code::VerifierRejection);
    told(&found, &["into one struct, in one map"]);
}

/// Of a release that has the type: an option, and no release, is what the kernel lacks.
#[test]
fn a_type_of_maps_that_an_option_brings_is_told_with_the_option() {
    let found = |value: &str, release: &str| {
        let mut evidence = refused(22, "libbpf: map 'm': failed to create: -EINVAL\n");
        evidence.maps = vec![map("m", "xskmap", 4, 22)];
        evidence.features = vec![feature(FeatureKind::MapType, "xskmap", None, false)];
        evidence.guest.release = release.into();
        let config = &mut evidence.guest.config;
        config.insert("XDP_SOCKETS".into(), value.into());
        fails(&evidence, Code::UnsupportedMapType)
    };
    told(
        &found("n", "6.1.0"),
        &["needs CONFIG_XDP_SOCKETS, which is off"],
    );
    untold(&found("y", "6.1.0"), &["XDP_SOCKETS"]);
    untold(&found("n", "4.9.0"), &["XDP_SOCKETS"]);
}

/// libbpf gives a `struct_ops` program one place: nothing of the struct's shape is wrong.
#[test]
fn a_program_for_two_members_is_told_as_that() {
    let line = "libbpf: struct_ops init_kern c1 func ptr undo_cwnd: invalid reuse of prog a in sec \
                struct_ops/a with type 27: expected_attach_type 0 != kern_member_idx 8\n";
    let found = fails(&refused(22, line), Code::InvalidObject);
    told(
        &found,
        &["map `c1` gives program `a` to a second member, `undo_cwnd`"],
    );
    untold(&found, &["declare the struct", "func ptr"]);
}

/// What an operation is handed with a reference is acquired by no instruction.
#[test]
fn a_packet_that_an_operation_is_handed_is_to_be_given_back() {
    let log = "0: R1=ctx() R10=fp0\n0: (b7) r0 = 1\n1: (95) exit\n\
               Unreleased reference id=1 alloc_insn=0\nprocessed 2 insns\n";
    let program = rejected("struct_ops/enqueue", "struct_ops", 22, log);
    let found = fails(&alone(22, program), Code::VerifierRejection);
    told(
        &found,
        &["the argument that the kernel hands over with a reference"],
    );
    untold(&found, &["instruction 0"]);
}

/// A bitwise operator is refused in 64 bits too.
#[test]
fn bits_of_a_pointer_are_not_to_be_computed_in_64_bits() {
    let found = |instruction: &str| {
        let log = format!(
            "0: R1=ctx() R10=fp0\n0: (79) r0 = *(u64 *)(r1 +0)\n1: R0_w=ptr_pt_regs()\n\
             1: {instruction}\nR0 32-bit pointer arithmetic prohibited\nprocessed 2 insns\n"
        );
        let program = rejected("fentry/x", "tracing", 13, &log);
        fails(&alone(13, program), Code::VerifierRejection)
    };
    untold(
        &found("(54) w0 &= 1"),
        &["compute with the pointer in 64 bits"],
    );
    told(
        &found("(04) w0 += 1"),
        &["compute with the pointer in 64 bits"],
    );
}
