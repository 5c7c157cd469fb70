//! Hints that once told the reader to do the wrong thing, each with a log that is like it and is
//! about something else. The logs are of Debian's kernels.

use ukci_schema::diagnosis::Code;
use ukci_schema::evidence::{Feature, FeatureKind, Log};

use crate::hand::{alone, fails, feature, rejected as refused};
use crate::rejected::{Rejected, tracing};

#[test]
fn a_function_call_that_may_have_moved_the_packet_is_named() {
    let tc = Rejected::of("sched_cls", "tc");
    let path = "1: (61) r7 = *(u32 *)(r1 +76) ; R7_w=pkt(r=0)\n4: (2d) if r1 > r2 goto pc+5 ; R7=pkt(r=40)\n\
                ; if (pull(skb)) return 0; @ a.bpf.c:8\n6: (85) call pc+4\n\
                Func#1 ('pull') is global and assumed valid.\n7: R0=scalar()\n\
                8: (71) r6 = *(u8 *)(r7 +23)\n";
    let moved = format!("{path}R7 invalid mem access 'scalar'\n");
    tc.told(
        &moved,
        &["instruction 6, `if (pull(skb)) return 0;`", "`data_end`"],
    );
    tc.not_told(&moved, &["bpf_probe_read_kernel"]);
    // Another register, which never pointed into the packet.
    let other = path.replace("(r7 +23)", "(r8 +23)") + "R8 invalid mem access 'scalar'\n";
    tc.not_told(&other, &["may move the packet"]);
}

#[test]
fn metadata_ends_where_the_packet_begins() {
    let xdp = Rejected::of("xdp", "xdp");
    let read = |kind: &str| {
        format!(
            "0: (61) r1 = *(u32 *)(r1 +8) ; R1_w={kind}(r=0)\n1: (61) r1 = *(u32 *)(r1 +0)\n\
             invalid access to packet, off=0 size=4, R1(id=0,off=0,r=0)\nR1 offset is outside of the packet\n"
        )
    };
    xdp.told(
        &read("pkt_meta"),
        &["`data_meta` + 4 with `data`", "no byte is"],
    );
    xdp.told(&read("pkt"), &["`data` + 4 with `data_end`"]);
    xdp.not_told(&read("pkt"), &["data_meta"]);
    // 5.10 prints no state here.
    let silent = "0: (61) r1 = *(u32 *)(r1 +8)\n1: (61) r1 = *(u32 *)(r1 +0)\n\
                  invalid access to packet, off=0 size=4, R1(id=0,off=0,r=0)\nR1 offset is outside of the packet\n";
    xdp.told(silent, &["`data_meta` + 4 with `data`"]);
}

#[test]
fn a_part_of_a_field_is_told_from_a_field_that_may_not_be_touched() {
    let part = "0: (71) r0 = *(u8 *)(r1 +76)\ninvalid bpf_context access off=76 size=1\n";
    let tc = Rejected::of("sched_cls", "tc");
    tc.told(part, &["all 4 bytes of `data`", "1 byte"]);
    tc.not_told(part, &["no direct access"]);
    Rejected::of("socket_filter", "socket").told(part, &["no direct access"]);
    let address = Rejected::of("cgroup_sock_addr", "cgroup/connect4");
    let narrow = "1: (6b) *(u16 *)(r1 +24) = r2\ninvalid bpf_context access off=24 size=2\n";
    address.told(narrow, &["write all 4 bytes of `user_port`", "2 bytes"]);
    address.not_told(narrow, &["do not write"]);
    // `family` may only be read, in whatever width.
    let family = "1: (6b) *(u16 *)(r1 +28) = r2\ninvalid bpf_context access off=28 size=2\n";
    address.told(family, &["do not write to `family`"]);
}

#[test]
fn text_that_must_not_change_lies_in_rodata() {
    let program = tracing().with_map("object.bss", "array", 20);
    let text = "7: (18) r3 = 0xffffc900005ce000 ; R3_w=map_value(map=object.bss,ks=4,vs=20)\n\
                9: (85) call bpf_strncmp#182\nR3 does not point to a readonly map'\n";
    program.told(
        text,
        &["argument 3 of `bpf_strncmp`", "`.rodata`", "section `.bss`"],
    );
    let format = "10: (85) call bpf_snprintf#165\nInvalid format string\n";
    program.told(format, &["`bpf_snprintf`", "%d", "floating point"]);
    program.not_told(format, &["`.rodata`"]);
    let end = "9: (85) call bpf_strncmp#182\nstring is not zero-terminated\n";
    program.told(end, &["zero byte"]);
}

#[test]
fn a_map_is_not_a_value_of_it() {
    let program = tracing();
    let map = "0: (18) r1 = 0xffff8880 ; R1_w=map_ptr(map=m,ks=4,vs=8)\n3: (63) *(u32 *)(r1 +0) = r2\n\
               only read from bpf_htab is supported\n";
    program.told(map, &["`bpf_map_lookup_elem`", "the map itself"]);
    let kernel = "2: (63) *(u32 *)(r1 +16) = r2 ; R1=ptr_sock()\nonly read is supported\n";
    program.not_told(kernel, &["bpf_map_lookup_elem"]);
    program.told(kernel, &["do not write"]);
}

#[test]
fn a_timer_or_lock_and_its_map_are_told_apart() {
    let program = || Rejected::of("sched_cls", "tc").with_map("m", "hash", 16);
    let refused = program()
        .with_log("libbpf: Error loading .BTF into kernel: -E2BIG. BTF is optional, ignoring.\n");
    let program = program();
    let other = "9: (85) call bpf_timer_init#169\n\
                 timer pointer in R1 map_uid=0 doesn't match map pointer in R2 map_uid=0\n";
    program.told(other, &["in whose value the timer lies"]);
    let missing = "9: (85) call bpf_spin_lock#93\n\
                   map 'm' has to have BTF in order to use bpf_spin_lock\n";
    program.told(missing, &["`__type(value"]);
    refused.told(
        missing,
        &["no more than one `struct bpf_spin_lock`", "E2BIG"],
    );
    refused.not_told(missing, &["`__type(value"]);
    // The same of kernels before 6.2.
    let two = "9: (85) call bpf_spin_lock#93\nmap 'm' has more than one 'struct bpf_spin_lock'\n";
    program.told(two, &["one `struct bpf_spin_lock`", "no more than one"]);
    let none = "9: (85) call bpf_spin_lock#93\nmap 'm' doesn't have 'struct bpf_spin_lock'\n";
    program.told(
        none,
        &["one `struct bpf_spin_lock`", "into the map's value"],
    );
}

#[test]
fn functions_that_walk_maps_and_iterators_that_were_not_made() {
    let program = Rejected::of("sched_cls", "tc").with_map("q", "queue", 4);
    let walk = "4: (18) r1 = 0xffff8880 ; R1_w=map_ptr(map=q,ks=0,vs=4)\n\
                6: (85) call bpf_for_each_map_elem#164\ncallback function not allowed for map\n";
    program.told(walk, &["map `q` is of type `queue`", "a hash or an array"]);
    let iterator =
        "3: (85) call bpf_iter_num_next#70000\nexpected an initialized iter_num as arg #0\n";
    program.told(iterator, &["`bpf_iter_num_new`", "`bpf_iter_num_next`"]);
    let dynptr = "3: (85) call bpf_dynptr_read#201\nExpected an initialized dynptr as arg #2\n";
    program.told(dynptr, &["`bpf_dynptr_from_mem`"]);
    program.not_told(dynptr, &["bpf_iter_"]);
}

#[test]
fn shifts_sizes_and_instructions_name_what_is_allowed() {
    let program = tracing();
    let wide = "1: (67) r0 <<= 77\ninvalid shift 77\n";
    program.told(wide, &["the amount here is 77", "0 to 63"]);
    program.told("1: (64) w0 <<= 40\ninvalid shift 40\n", &["0 to 31"]);
    let atomic = "1: (cb) lock *(u16 *)(r1 +0) += r2\ninvalid atomic operand size\n";
    program.told(atomic, &["4 or 8 bytes"]);
    let found = program.diagnosis("unknown opcode cb\n");
    assert_eq!(found.code, Code::VerifierRejection);
    program.told("unknown opcode cb\n", &["older instruction set"]);
    let kptr = "5: (7b) *(u64 *)(r7 +0) = r0\n\
                invalid kptr access, R0 type=ptr_file expected=ptr_task_struct\n";
    program.told(kptr, &["the struct that the map's value declares"]);
    program.not_told(kptr, &["bpf_kptr_xchg"]);
}

#[test]
fn a_value_is_named_by_its_size_where_the_log_does_not_name_the_map() {
    let program = tracing().with_map("object.rodata", "array", 64);
    let old = "6: (61) r1 = *(u32 *)(r2 +0)\ninvalid access to map value, value_size=64 off=124 size=4\n\
               R2 max value is outside of the allowed memory range\n";
    program.told(old, &["the object's section `.rodata` has 64 bytes"]);
    let two = program.with_map("table", "array", 64);
    two.told(old, &["the map's value has 64 bytes"]);
}

/// 5.10: `rcu_dynticks_eqs_enter` is `noinstr`, so that a kprobe is refused as well, and it is in no
/// module.
#[test]
fn a_kprobe_is_offered_for_a_function_without_btf_only_where_it_can_be_placed() {
    let mut program = refused("fexit/eqs_enter", "tracing", 3, "");
    program.load.libbpf = Log::bounded(
        "libbpf: prog 'prog': failed to find kernel BTF type ID of 'eqs_enter': -ESRCH\n",
    );
    let mut evidence = alone(3, program);
    evidence
        .guest
        .config
        .insert("DEBUG_INFO_BTF_MODULES".into(), "n".into());
    evidence.features = vec![Feature {
        detail: Some(Feature::SYMBOL_WITHOUT_BTF.into()),
        ..feature(FeatureKind::Target, "eqs_enter", None, false)
    }];
    let found = fails(&evidence, Code::MissingBtf);
    assert_eq!(
        found.hints,
        ["attach a kprobe there: it needs only the symbol"]
    );
    let site = feature(FeatureKind::FtraceSite, "eqs_enter", None, false);
    evidence.features.push(site);
    let found = fails(&evidence, Code::MissingBtf);
    assert!(
        found.hints[0].contains("no place for a probe"),
        "{:?}",
        found.hints
    );
}

#[test]
fn arguments_and_results_of_functions_are_told_apart() {
    let log = "0: (79) r1 = *(u64 *)(r1 +8)\nfunc 'exit_mmap' doesn't have 3-th argument\n\
               invalid bpf_context access off=8 size=8\n";
    let fexit = Rejected::of("tracing", "fexit/exit_mmap");
    fexit.told(log, &["`exit_mmap`", "argument 2", "returned value"]);
    let fentry = Rejected::of("tracing", "fentry/exit_mmap");
    fentry.not_told(log, &["returned value"]);
    // A member of operations has no target.
    let member = log.replace("exit_mmap", "ssthresh");
    Rejected::of("struct_ops", "struct_ops").told(&member, &["arguments of `ssthresh` as"]);
    let context = "0: (61) r0 = *(u32 *)(r1 +0)\ninvalid bpf_context access off=0 size=4\n";
    Rejected::of("netfilter", "netfilter").told(context, &["`struct bpf_nf_ctx`"]);
    fentry.not_told(context, &["bpf_nf_ctx"]);
}

#[test]
fn a_task_as_a_number_and_a_map_for_reading() {
    let probe = Rejected::of("kprobe", "kprobe/vfs_read");
    let task = "0: (85) call bpf_get_current_task#35 ; R0=scalar()\n1: (bf) r2 = r0\n\
                4: (85) call bpf_task_storage_get#156\n\
                R2 type=scalar expected=ptr_, trusted_ptr_, rcu_ptr_\n";
    probe.told(task, &["`bpf_get_current_task_btf`", "argument 2"]);
    let other = task.replace("bpf_get_current_task#35", "bpf_ktime_get_ns#5");
    probe.not_told(&other, &["bpf_get_current_task_btf"]);
    let write = "9: (85) call bpf_map_update_elem#2\nwrite into map forbidden\n";
    let plain = probe.clone().with_map("table", "array", 8);
    plain.not_told(write, &["`table`"]);
    let flagged = probe.with_map("table", "array", 8).with_flags(0x80);
    flagged.told(write, &["`table` without BPF_F_RDONLY_PROG"]);
}
