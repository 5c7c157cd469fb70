//! Hints that rest on the words of the verifier's sentence alone: one sentence that must get the hint,
//! and one that is like it and must not.

use crate::rejected::Rejected;

/// The instruction that the log ends with, the sentence, words of the hint, and a sentence that is like it.
type Row = (&'static str, &'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    (
        "9: (85) call bpf_kptr_xchg#194",
        "R1 has no valid kptr",
        "a pointer with `__kptr`",
        "map 'm' has no valid bpf_timer",
    ),
    (
        "",
        "Attaching tracing programs to function '__rcu_read_lock' is rejected.",
        "such as one that calls it",
        "Attaching fexit/fsession/fmod_ret to __noreturn function 'do_exit' is rejected.",
    ),
    (
        "",
        "Attaching fexit/fsession/fmod_ret to __noreturn function 'do_exit' is rejected.",
        "use `fentry`",
        "Attaching tracing programs to function '__rcu_read_lock' is rejected.",
    ),
    (
        "1: (bf) r1 = addr_space_cast(r1, 0, 1)",
        "addr_space_cast insn can only be used in a program that has an associated arena",
        "BPF_MAP_TYPE_ARENA",
        "arena pointers are not supported by this helper",
    ),
    (
        "1: (79) r1 = *(u64 *)(r1 +70000)",
        "invalid access to context, ctx_size=65535 off=70000 size=8",
        "within its first 65535 bytes",
        "invalid access to map value, value_size=65535 off=70000 size=8",
    ),
    (
        "",
        "Sleepable programs can only use array and hash maps",
        "do without the map",
        "Only fentry/fexit/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
    ),
    (
        "",
        "Only fentry/fexit/fsession/fmod_ret, lsm, iter, uprobe, and struct_ops programs can be sleepable",
        "drop `.s`",
        "helper call might sleep in a non-sleepable prog",
    ),
    (
        "5: (85) call bpf_spin_lock#93",
        "sleepable progs cannot use bpf_spin_lock yet",
        "drop `.s`",
        "tracing progs cannot use bpf_spin_lock yet",
    ),
    (
        "",
        "R0 leaks addr as return value",
        "kernel pointers",
        "R0 !read_ok",
    ),
    (
        "",
        "same insn cannot be used with different pointers",
        "keep the compiler from merging",
        "R1 invalid mem access 'ctx'",
    ),
    (
        "2: (db) lock *(u64 *)(r1 +0) += r2",
        "BPF_ATOMIC stores into R1 pkt is not allowed",
        "map values and the stack only",
        "cannot write into packet",
    ),
    (
        "",
        "BPF_LD_[ABS|IND] instructions not allowed for this program type",
        "`bpf_skb_load_bytes`",
        "BPF_STX uses reserved fields",
    ),
    (
        "",
        "last insn is not an exit or jmp",
        "`return` on every path",
        "jump out of range from insn 3 to 100",
    ),
    (
        "",
        "attach to unsupported member get_info of struct tcp_congestion_ops",
        "leave the member out",
        "attach_btf_id 5 is not a function",
    ),
    (
        "1: (37) r0 /= 0",
        "div by zero",
        "constant 0",
        "invalid shift 77",
    ),
    (
        "",
        "jump out of range from insn 3 to 100",
        "inside its function",
        "last insn is not an exit or jmp",
    ),
    (
        "",
        "unreachable insn 5",
        "no path leads to",
        "unknown opcode cb",
    ),
    (
        "4: (85) call bpf_spin_unlock#94",
        "bpf_spin_unlock without taking a lock",
        "take the lock before it is given back",
        "bpf_spin_unlock of different lock",
    ),
    (
        "4: (85) call bpf_spin_unlock#94",
        "bpf_spin_unlock of different lock",
        "one of another value",
        "bpf_spin_unlock without taking a lock",
    ),
    (
        "4: (85) call bpf_list_push_front_impl#7",
        "bpf_spin_lock at off=0 must be held for bpf_list_head",
        "`struct bpf_spin_lock` of the same value",
        "bpf_spin_unlock is missing",
    ),
    (
        "4: (85) call bpf_dynptr_slice_rdwr#7",
        "the prog does not allow writes to packet data",
        "`bpf_dynptr_slice`",
        "cannot write into packet",
    ),
    (
        "",
        "fd 5 is not pointing to valid bpf_map",
        "create the map before",
        "map 'x' has no valid bpf_timer",
    ),
    (
        "3: (85) call bpf_dynptr_from_mem#197",
        "Unsupported reg type fp for bpf_dynptr_from_mem data",
        "a map value to `bpf_dynptr_from_mem`",
        "R1 type=fp expected=map_value",
    ),
    (
        "3: (85) call bpf_throw#7",
        "bpf_throw cannot be called from callback subprog 1",
        "outside of the callback",
        "callback function not allowed for map",
    ),
    (
        "3: (85) call bpf_map_update_elem#2",
        "cannot update sockmap in this context",
        "from user space",
        "cannot pass map_type 15 into func bpf_map_update_elem#2",
    ),
    (
        "3: (85) call bpf_tail_call#12",
        "tail_call is only allowed in functions that return 'int'.",
        "as `int`",
        "tail_calls are not allowed when call stack of previous frames is 264 bytes. Too large",
    ),
    (
        "3: (79) r1 = *(u64 *)(r10 -8)",
        "corrupted spill memory",
        "part of a pointer",
        "invalid read from stack off -8+0 size 8",
    ),
    (
        "3: (85) call bpf_rcu_read_unlock#7",
        "unmatched rcu read unlock (kernel function bpf_rcu_read_unlock)",
        "pair each lock",
        "bpf_rcu_read_unlock is missing",
    ),
    (
        "3: (85) call bpf_copy_from_user#148",
        "sleepable helper bpf_copy_from_user#148 in IRQ-disabled region",
        "`bpf_local_irq_restore`",
        "sleepable helper bpf_copy_from_user#148 in rcu_read_lock region",
    ),
    (
        "3: (85) call bpf_copy_from_user#148",
        "sleepable helper bpf_copy_from_user#148 in non-preemptible region",
        "`bpf_preempt_enable`",
        "sleepable helper bpf_copy_from_user#148 in IRQ-disabled region",
    ),
    (
        "3: (85) call bpf_task_release#7",
        "Possibly NULL pointer passed to trusted arg0",
        "compare the pointer with NULL before it is passed to `bpf_task_release`",
        "R1 must have zero offset when passed to release func or trusted arg to kfunc",
    ),
    (
        "3: (85) call bpf_task_release#7",
        "R1 must have zero offset when passed to release func or trusted arg to kfunc",
        "not the address of a member",
        "Possibly NULL pointer passed to trusted arg0",
    ),
    (
        "3: (85) call bpf_cpumask_empty#7",
        "arg#0 pointer type STRUCT cpumask must point to scalar, or struct with scalar",
        "a `struct cpumask` of the kernel",
        "arg#0 pointer type UNKNOWN must point to scalar, or struct with scalar",
    ),
    (
        "3: (7b) *(u64 *)(r1 +16) = r2",
        "Only read is supported",
        "do not write to",
        "R1 is ptr_task_struct access user memory: off=16",
    ),
    (
        "3: (79) r2 = *(u64 *)(r1 +16)",
        "R1 is ptr_task_struct access user memory: off=16",
        "`bpf_probe_read_user`",
        "R1 is ptr_task_struct access percpu memory: off=16",
    ),
    (
        "3: (79) r2 = *(u64 *)(r1 +16)",
        "R1 is ptr_task_struct access percpu memory: off=16",
        "`bpf_per_cpu_ptr`",
        "R1 is ptr_task_struct access user memory: off=16",
    ),
    (
        "3: (79) r2 = *(u64 *)(r1 +16)",
        "R1 is ptr_task_struct invalid variable offset: off=16, var_off=(0x0; 0xff)",
        "constant offsets",
        "R1 is ptr_task_struct access user memory: off=16",
    ),
    (
        "3: (57) r1 &= 7",
        "R1 bitwise operator &= on pointer prohibited",
        "no other operator",
        "R1 pointer += pointer prohibited",
    ),
    (
        "3: (0f) r1 += r2",
        "R1 pointer += pointer prohibited",
        "not another pointer",
        "R1 pointer arithmetic with /= operator prohibited",
    ),
    (
        "3: (1f) r1 -= r2",
        "R1 tried to subtract pointer from scalar",
        "only a number from a pointer",
        "R1 pointer += pointer prohibited",
    ),
    (
        "3: (77) r1 >>= 32",
        "R1 pointer arithmetic with >>= operator prohibited",
        "cast to `int` or `__u32` becomes shifts",
        "R1 pointer arithmetic with *= operator prohibited",
    ),
    (
        "3: (1f) r10 -= r2",
        "R10 subtraction from stack pointer prohibited",
        "only a constant",
        "R1 pointer += pointer prohibited",
    ),
    (
        "3: (61) r1 = *(u32 *)(r2 +0)",
        "read from map forbidden, value_size=8 off=0 size=4",
        "without BPF_F_WRONLY_PROG",
        "write into map forbidden, value_size=8 off=0 size=4",
    ),
    (
        "3: (63) *(u32 *)(r1 +0) = r2",
        "cannot write into sock",
        "`bpf_setsockopt`",
        "cannot write into packet",
    ),
    (
        "3: (61) r1 = *(u32 *)(r1 -4)",
        "negative offset ctx ptr R1 off=-4 disallowed",
        "context",
        "R1 pointer += pointer prohibited",
    ),
    (
        "3: (61) r1 = *(u32 *)(r2 +1)",
        "misaligned packet access off (0x0; 0x0)+2+1 size 4",
        "of the packet",
        "misaligned value access off (0x0; 0x0)+0+1 size 4",
    ),
    (
        "3: (79) r1 = *(u64 *)(r0 +0)",
        "bpf_spin_lock cannot be accessed directly by load/store",
        "leave the `bpf_spin_lock` out",
        "bpf_spin_unlock is missing",
    ),
    (
        "3: (85) call bpf_strncmp#182",
        "R3 is not a constant address'",
        "at a constant place",
        "string is not zero-terminated",
    ),
];

#[test]
fn each_sentence_gets_its_hint_and_its_neighbour_does_not() {
    let program = Rejected::of("sched_cls", "tc");
    for (instruction, sentence, hint, neighbour) in ROWS {
        program.told(&format!("{instruction}\n{sentence}\n"), &[hint]);
        program.not_told(&format!("{instruction}\n{neighbour}\n"), &[hint]);
    }
}

#[test]
fn the_map_that_a_sleeping_program_may_not_use_is_named() {
    let short = "Sleepable programs can only use array and hash maps\n";
    let long = "Sleepable programs can only use array, hash, ringbuf and local storage maps\n";
    let program = || Rejected::of("lsm", "lsm.s/file_open").with_map("counts", "hash", 8);
    let array = program().with_map("tails", "prog_array", 4);
    array.told(short, &["map `tails` (`prog_array`)"]);
    let buffer = program().with_map("events", "ringbuf", 0);
    buffer.told(short, &["map `events`"]);
    buffer.not_told(long, &["map `events`"]);
}
