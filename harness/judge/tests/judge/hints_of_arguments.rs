//! Hints on what programs, callbacks and helpers are given. Each has a log that is like it and is about
//! something else. The logs are of Debian's kernels.

use ukci_judge::judge;
use ukci_schema::diagnosis::Code;
use ukci_schema::verdict::Verdict;

use crate::hand::{alone, rejected as refused};
use crate::rejected::Rejected;

#[test]
fn arguments_of_traced_functions_are_not_trusted_and_those_of_tracepoints_are() {
    let log = "0: (79) r1 = *(u64 *)(r1 +0)\n1: R1_w=ptr_sk_buff()\n2: (b7) r2 = 0 ; R2_w=0\n\
               4: (85) call bpf_dynptr_from_skb#55119\nR1 must be referenced or trusted\n";
    let fentry = Rejected::of("tracing", "fentry/ip_rcv").attached_as("trace_fentry");
    fentry.told(
        log,
        &["`tp_btf` tracepoint", "arguments of `fentry` programs"],
    );
    fentry.not_told(log, &["an argument of the program"]);
    let tracepoint = Rejected::of("tracing", "tp_btf/kfree_skb").attached_as("trace_raw_tp");
    tracepoint.told(log, &["keeps alive"]);
    tracepoint.not_told(log, &["`tp_btf` tracepoint"]);
    // A pointer that is no argument, but was read through one.
    let walked = log.replace(
        "2: (b7) r2 = 0 ; R2_w=0\n",
        "2: (79) r1 = *(u64 *)(r1 +16) ; R1_w=ptr_sock()\n",
    );
    fentry.not_told(&walked, &["`tp_btf` tracepoint"]);
}

#[test]
fn the_context_of_a_traced_function_is_an_array_of_its_arguments() {
    let log = "0: R1=ctx() R10=fp0\n0: (85) call bpf_get_socket_cookie#46\n\
               R1 type=ctx expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_\n";
    let fentry = Rejected::of("tracing", "fentry/tcp_connect");
    fentry.told(log, &["a socket", "`BPF_PROG(name, …)`"]);
    Rejected::of("sched_cls", "tc").not_told(log, &["BPF_PROG"]);
    let stack = log.replace("type=ctx", "type=fp");
    fentry.not_told(&stack, &["BPF_PROG"]);
}

#[test]
fn values_of_socket_maps_are_sockets() {
    let log = "7: (18) r1 = 0xffff888005414e00 ; R1_w=map_ptr(map=socks,ks=4,vs=4)\n\
               10: (85) call bpf_map_update_elem#2\n\
               R3 type=fp expected=sock_common, sock, tcp_sock, xdp_sock, ptr_, trusted_ptr_\n";
    let program = || Rejected::of("kprobe", "kprobe/tcp_connect");
    let sockets = program().with_map("socks", "sockhash", 4);
    sockets.told(
        log,
        &["`bpf_sock_hash_update`", "from user space", "`socks`"],
    );
    let map = program().with_map("socks", "sockmap", 4);
    map.told(log, &["`bpf_sock_map_update`"]);
    let helper = log.replace("bpf_map_update_elem#2", "bpf_sk_storage_get#107");
    sockets.not_told(&helper, &["from user space"]);
    program()
        .with_map("socks", "hash", 4)
        .not_told(log, &["from user space"]);
}

#[test]
fn helpers_take_no_pointers_into_an_arena_and_maps_may_be_null() {
    let program = Rejected::of("syscall", "syscall");
    let arena = "13: (b7) r2 = 16 ; R2_w=16\n14: (85) call bpf_get_current_comm#16\n\
                 R1 type=arena expected=fp, pkt, pkt_meta, map_key, map_value, mem, ringbuf_mem, buf\n";
    program.told(
        arena,
        &["copy the bytes to the stack", "a pointer into the arena"],
    );
    let context = arena.replace("type=arena", "type=ctx");
    program.not_told(&context, &["copy the bytes"]);
    let null = "R1 type=map_ptr_or_null expected=map_ptr\n";
    let call = "10: (85) call bpf_map_lookup_elem#1\n";
    program.told(
        &format!("{call}{null}"),
        &["compare", "a map that may be NULL"],
    );
    let before = "R1 type=map_value_or_null expected=map_ptr\n";
    program.told(&format!("{call}{before}"), &["a map that may be NULL"]);
    let value = "R1 type=map_value_or_null expected=fp, map_value\n";
    program.told(&format!("{call}{value}"), &["a map value that may be NULL"]);
}

#[test]
fn arguments_that_nobody_passes_are_told_from_variables_that_are_not_set() {
    let callback = "2: (bf) r3 = r10 ; R3_w=fp0\n4: (b7) r1 = 4 ; R1_w=4\n8: (85) call bpf_loop#181 11: frame1: R1=scalar() R2=fp[0]-8 cb\n\
                    11: (0f) r3 += r1\nR3 !read_ok\n";
    let program = Rejected::of("sched_cls", "tc");
    program.told(
        callback,
        &["`bpf_loop` passes", "an index and a context", "argument 3"],
    );
    program.not_told(callback, &["on every path"]);
    let second = "0: R1=ctx() R10=fp0\n0: (79) r0 = *(u64 *)(r2 +16)\nR2 !read_ok\n";
    Rejected::of("kprobe", "kprobe/tcp_connect").told(second, &["BPF_KPROBE", "argument 2"]);
    Rejected::of("tracing", "fentry/tcp_connect").told(second, &["BPF_PROG"]);
    // A variable that one branch sets, and what a call has left.
    let set = "0: R1=ctx() R10=fp0\n0: (b7) r2 = 1 ; R2=1\n1: (85) call bpf_ktime_get_ns#5\n\
               2: (bf) r0 = r2\nR2 !read_ok\n";
    program.not_told(set, &["BPF_KPROBE", "argument 2, which"]);
    let variable = "0: R1=ctx() R10=fp0\n3: (bf) r0 = r7\nR7 !read_ok\n";
    program.told(variable, &["set the variable on every path"]);
}

#[test]
fn recursion_is_told_from_loops_and_from_long_chains() {
    let back = "back-edge from insn 14 to 4\nprocessed 0 insns (limit 1000000)\n";
    let program = Rejected::of("sched_cls", "tc");
    program
        .clone()
        .on("5.10.0-46-amd64")
        .told(back, &["recursion"]);
    program
        .clone()
        .on("5.10.0-46-amd64")
        .not_told(back, &["take no loops"]);
    program.clone().on("5.2.0").told(back, &["take no loops"]);
    program.told("recursive call from fact() to fact()\n", &["recursion"]);
    // With the path in the log, E2BIG is no limit where one call was entered again.
    let code = |log| match judge(&alone(7, refused("tc", "sched_cls", 7, log)), false).verdict {
        Verdict::Fail { diagnosis } => (diagnosis.code, diagnosis.hints.join("\n")),
        other => panic!("{other:?}"),
    };
    let again = "4: (85) call pc+1\n6: (b7) r1 = 1\n7: (85) call pc-2\n6: (b7) r1 = 1\n7: (85) call pc-2\n\
                 the call stack of 9 frames is too deep !\n";
    let (found, hints) = code(again);
    assert_eq!(found, Code::VerifierRejection, "{hints}");
    assert!(hints.starts_with("write a loop"), "{hints}");
    // Twice, but one after the other.
    let twice = "7: (85) call pc+9\n17: (95) exit\n8: (05) goto pc-2\n7: (85) call pc+9\n\
                 the call stack of 9 frames is too deep !\n";
    let (found, hints) = code(twice);
    assert_eq!(found, Code::VerifierLimit);
    assert!(
        hints.starts_with("inline functions of the chain"),
        "{hints}"
    );
}

#[test]
fn tasks_are_walked_under_rcu() {
    let new = "kernel func bpf_iter_task_new requires RCU critical section protection\n";
    let old = "expected an RCU CS when using bpf_iter_task_next\n";
    let program = Rejected::of("tracing", "fentry.s/bpf_fentry_test1");
    for (call, said) in [
        ("bpf_iter_task_new#66349", new),
        ("bpf_iter_task_next#55", old),
    ] {
        let log = format!("4: (85) call {call}\n{said}");
        program.told(
            &log,
            &[
                "`bpf_rcu_read_lock` before `bpf_iter_task_new`",
                "after the loop",
            ],
        );
    }
    let other = "4: (85) call bpf_iter_task_new#66349\nR2 must be referenced or trusted\n";
    program.not_told(other, &["before `bpf_iter_task_new`"]);
}

#[test]
fn what_is_called_a_packet_has_other_names_in_other_contexts() {
    let log = "0: (79) r1 = *(u64 *)(r1 +8) ; R1_w=pkt(r=0)\n1: (71) r1 = *(u8 *)(r1 +0)\n\
               invalid access to packet, off=0 size=1, R1(id=0,off=0,r=0)\n\
               R1 offset is outside of the packet\n";
    let option = Rejected::of("cgroup_sockopt", "cgroup/setsockopt");
    option.told(log, &["`optval` + 1 with `optval_end`"]);
    let message = Rejected::of("sk_msg", "sk_msg");
    message.told(log, &["`data` + 1 with `data_end`"]);
    message.not_told(log, &["optval"]);
}

#[test]
fn slices_are_taken_again_after_a_helper_that_moves_the_packet() {
    let log = |helper: &str| {
        format!(
            "15: (85) call bpf_dynptr_slice#55142 ; R0=rdonly_mem_or_null(id=2,sz=8)\n\
             16: (bf) r8 = r0 ; R0=rdonly_mem_or_null(id=2,sz=8) R8_w=rdonly_mem_or_null(id=2,sz=8)\n\
             17: (15) if r8 == 0x0 goto pc+6 ; R8_w=rdonly_mem(sz=8)\n20: (85) call {helper} ; R0_w=scalar()\n\
             21: (71) r7 = *(u8 *)(r8 +0)\nR8 invalid mem access 'scalar'\n"
        )
    };
    let program = Rejected::of("sched_cls", "tc");
    let moved = log("bpf_skb_pull_data#39");
    program.told(
        &moved,
        &[
            "call `bpf_dynptr_slice` again after `bpf_skb_pull_data`",
            "NULL",
        ],
    );
    program.not_told(&moved, &["bpf_probe_read_kernel"]);
    program.not_told(
        &log("bpf_ktime_get_ns#5"),
        &["call `bpf_dynptr_slice` again"],
    );
}

#[test]
fn the_end_of_the_packet_is_compared_and_never_computed_with() {
    let xdp = Rejected::of("xdp", "xdp");
    let said = "R2 pointer arithmetic on pkt_end prohibited\n";
    let begin = "0: (61) r2 = *(u32 *)(r1 +4) ; R2_w=pkt_end()\n1: (61) r3 = *(u32 *)(r1 +0) ; R3_w=pkt(r=0)\n";
    let moved = format!("{begin}2: (07) r2 += -14\n{said}");
    xdp.told(&moved, &["other side of the comparison"]);
    xdp.not_told(&moved, &["compute nothing else"]);
    let masked = format!("{begin}2: (57) r2 &= 1\n{said}");
    xdp.told(&masked, &["compute nothing else"]);
    xdp.not_told(&masked, &["other side of the comparison"]);
}
