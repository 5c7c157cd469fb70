//! Options, instructions and members that were explained by something near them.

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::MapEvidence;

use crate::hand::{alone, fails, refused, rejected, told, untold};

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
